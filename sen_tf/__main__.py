"""Lists the programs of sen_tf.

python -m sen_tf
"""

import ast
import pathlib

import sen_tf

PROGRAMS = ("train", "evaluate", "decode", "plan", "generate", "export", "reproduce")


def describe(name):
    """The first line of a program's docstring, which is read and not run."""
    folder = pathlib.Path(__file__).parent
    path = folder / f"{name}.py"
    path = path if path.exists() else folder / name / "__main__.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return str(ast.get_docstring(tree)).splitlines()[0]


def run():
    """Prints the programs, a line for each."""
    print(f"sen_tf {sen_tf.__version__}: {sen_tf.__doc__.splitlines()[0]}\n")
    for name in PROGRAMS:
        print(f"  python -m sen_tf.{name:10} {describe(name)}")
    print("\n--help after any of them shows its flags.")
    print("A first model: python -m sen_tf.train --env=cubes")


if __name__ == "__main__":
    run()
