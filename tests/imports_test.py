"""The house rules that a reader of the imports, names and lengths of files can check."""

import ast
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted(
    path for room in ("sen_tf", "tests", "benchmarks") for path in ROOT.glob(f"{room}/**/*.py")
)
PACKAGE = [path for path in FILES if path.is_relative_to(ROOT / "sen_tf")]

# Which other rooms a room may import. Programs may import every room.
ARROWS = {
    "sen_tf": "distribution groups layers losses models",
    "agents": "groups layers models planning",
    "datasets": "envs settings",
    "distribution": "",
    "envs": "groups",
    "experiments": "",  # all but programs; see `allowed`
    "export": "layers models settings training",
    "figures": "groups",
    "groups": "",
    "layers": "distribution groups",
    "losses": "distribution",
    "metrics": "groups",
    "models": "distribution groups layers losses",
    "planning": "",
    "pretrained": "export settings training",
    "settings": "",
    "symmetry": "groups layers metrics",
    "tensors": "",  # which every room may import; see `allowed`
    "testing": "groups metrics",
    "training": "datasets distribution envs groups metrics settings",
}
PROGRAMS = {"decode", "evaluate", "generate", "plan", "reproduce", "train"}

# Others' packages that a room may import when it is imported itself; others wait in functions.
AT_IMPORT = {
    "sen_tf": "",
    "envs": "gymnasium numpy platformdirs",
    "groups": "numpy",
    "layers": "keras numpy",
    "losses": "keras",
    "metrics": "numpy",
    "models": "keras numpy",
    "planning": "numpy",
    "symmetry": "keras numpy",
    "tensors": "keras",
}
VAGUE_NAMES = {"base", "common", "helpers", "misc", "utils"}


def room(path):
    """`sen_tf/layers/pooling.py` is in the room `layers`, `sen_tf/train.py` is the room `train`."""
    part = path.relative_to(ROOT / "sen_tf").parts[0]
    return "sen_tf" if part in ("__init__.py", "__main__.py") else part.removesuffix(".py")


def allowed(name):
    everything = set(ARROWS)
    rooms = everything if name in {*PROGRAMS, "experiments"} else ARROWS[name].split()
    return {name, "tensors", *rooms}


def relative(path):
    return path.relative_to(ROOT).as_posix()


def test_imports_follow_the_arrows(imports):
    unknown = {room(path) for path in PACKAGE} - {*ARROWS, *PROGRAMS}
    assert not unknown, f"ARROWS lacks the rooms {unknown}"
    wrong = [
        f"{relative(path)} imports {item.name}"
        for path in PACKAGE
        for item in imports(path)
        if item.path and room(item.path) not in allowed(room(path))
    ]
    assert not wrong, "\n".join(wrong)


def test_importing_the_package_reaches_no_environment():
    reached, previous = {"sen_tf"}, set()
    while reached != previous:
        previous = reached
        reached = previous.union(*(allowed(name) for name in previous))
    rooms = {"distribution", "groups", "layers", "losses", "models", "tensors"}
    assert reached == {"sen_tf", *rooms}


def test_benchmarks_import_no_test(imports):
    files = [path for path in FILES if path.is_relative_to(ROOT / "benchmarks")]
    wrong = [
        f"{relative(path)} imports {item.name}"
        for path in files
        for item in imports(path)
        if item.name.split(".")[0] == "tests"
    ]
    assert not wrong, "\n".join(wrong)


def test_what_is_ours_is_imported_by_its_full_name(imports):
    wrong = [
        f"{relative(path)}: {item.name}"
        for path in FILES
        for item in imports(path)
        if item.name.startswith(".") or (item.name.startswith("sen_tf") and not item.path)
    ]
    assert not wrong, "\n".join(wrong)


def test_importing_a_room_imports_little(imports):
    wrong = [
        f"{relative(path)} imports {item.name}"
        for path in PACKAGE
        if room(path) in AT_IMPORT
        for item in imports(path)
        if not (item.path or item.deferred)
        and item.name.split(".")[0]
        not in {*sys.stdlib_module_names, *AT_IMPORT[room(path)].split()}
    ]
    assert not wrong, "\n".join(wrong)


# Runs without the package's own module, which imports Keras.
IMPORT_GROUPS_ALONE = """
import sys, types
package = sys.modules["sen_tf"] = types.ModuleType("sen_tf")
package.__path__ = [sys.argv[1]]
import sen_tf.groups
print(*{"keras", "tensorflow"} & set(sys.modules))
"""


def test_groups_import_neither_keras_nor_tensorflow():
    command = [sys.executable, "-c", IMPORT_GROUPS_ALONE, str(ROOT / "sen_tf")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


# Asks each program for --help, and prints the packages that it needed beyond TensorFlow and Keras.
HELP = """
import runpy, sys
import tensorflow, keras
before = set(sys.modules)
for program in sys.argv[1:]:
    sys.argv = [program, "--help"]
    runpy.run_module(f"sen_tf.{program}", run_name="__main__")
loaded = {name.split(".")[0] for name in set(sys.modules) - before}
print(*(loaded - {name.split(".")[0] for name in before} - set(sys.stdlib_module_names)))
"""
LIGHT = {"sen_tf", "farama_notifications", "gymnasium", "platformdirs", "tqdm"}


def test_help_imports_nothing_heavy():
    """It is there, as is the word about a wrong flag, about as soon as TensorFlow and Keras are."""
    command = [sys.executable, "-c", HELP, "export", *sorted(PROGRAMS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    packages = set(done.stdout.splitlines()[-1].split())
    assert {"sen_tf"} <= packages <= LIGHT


def test_files_are_short():
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert not {path: length for path, length in lengths.items() if length > 400}


def test_programs_are_short_and_import_no_program(imports):
    for name in PROGRAMS:
        path = ROOT / "sen_tf" / f"{name}.py"
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 150, name
        others = {room(item.path) for item in imports(path) if item.path} & PROGRAMS
        assert not others, f"{name} imports {others}"


def test_the_top_holds_programs_settings_and_folders_alone():
    files = {path.stem for path in (ROOT / "sen_tf").glob("*.py")}
    assert files == {*PROGRAMS, "settings", "__init__", "__main__"}


def test_there_is_no_room_below_a_room():
    assert not [relative(path) for path in PACKAGE if len(path.relative_to(ROOT).parts) > 3]


def test_names_say_what_is_in_them():
    assert not [relative(path) for path in FILES if VAGUE_NAMES & {path.stem, path.parent.name}]


QUESTIONS = ("What ", "Where ", "Whether ", "How ", "Why ", "Who ", "When ")


def docstrings(tree):
    """The strings that stand alone: docstrings of modules, classes, functions and constants."""
    return [
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]


def test_docstrings_say_what_a_thing_is():
    wrong = [
        f"{relative(path)}: {docstring.splitlines()[0]}"
        for path in PACKAGE
        for docstring in docstrings(ast.parse(path.read_text(encoding="utf-8")))
        if docstring.startswith(QUESTIONS)
    ]
    assert not wrong, "\n".join(wrong)


ERRORS = re.compile(r"` must (be|have|hold)|[,;] got ")


def test_errors_have_one_wording():
    """Expected `name` to be ...; received name=..."""
    wrong = [
        f"{relative(path)}:{node.lineno}: {text}"
        for path in PACKAGE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise)
        for text in [ast.unparse(node)]
        if ERRORS.search(text)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_library_raises_errors_and_asserts_nothing():
    wrong = [
        f"{relative(path)}:{node.lineno}"
        for path in PACKAGE
        if room(path) != "testing"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert)
    ]
    assert not wrong, "\n".join(wrong)
