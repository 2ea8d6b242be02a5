"""BUILD and pyproject.toml say what the source tree says."""

import ast
import collections
import pathlib
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
RULES = ("py_library", "py_binary", "py_test")


@pytest.fixture(scope="module")
def targets():
    return read_build((ROOT / "BUILD").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def owners(targets):
    """The target that compiles each source file."""
    return {path: f":{name}" for name, target in targets.items() for path in sources(target)}


def read_build(text):
    """Targets of a BUILD file, which Python parses too: name to (rule, arguments)."""
    calls = [statement.value for statement in ast.parse(text).body[1:]]
    read = [
        (call.func.id, {argument.arg: value(argument.value) for argument in call.keywords})
        for call in calls
    ]
    return {arguments["name"]: (rule, arguments) for rule, arguments in read if "name" in arguments}


def value(node):
    """The value of an expression of strings, lists, sums and globs."""
    match node:
        case ast.List():
            return [value(element) for element in node.elts]
        case ast.BinOp(op=ast.Add()):
            return value(node.left) + value(node.right)
        case ast.Call(func=ast.Name(id="glob")):
            return [
                path.relative_to(ROOT).as_posix()
                for pattern in value(node.args[0])
                for path in sorted(ROOT.glob(pattern))
                if path.is_file()
            ]
        case _:
            return ast.literal_eval(node)


def sources(target):
    rule, arguments = target
    return [ROOT / path for path in arguments["srcs"] if path[0] != ":"] if rule in RULES else []


def python_files():
    files = [path for room in ("sen_tf", "tests") for path in (ROOT / room).rglob("*.py")]
    shared = {ROOT / "tests/conftest.py", ROOT / "tests/run_pytest.py"}
    return sorted(set(files) - shared)


def test_read_build():
    text = """'A docstring.'\npy_test(name = "a", srcs = ["b.py"] + glob(["tests/build_*.py"]))"""
    srcs = ["b.py", "tests/build_test.py"]
    assert read_build(text) == {"a": ("py_test", {"name": "a", "srcs": srcs})}


def test_every_source_file_is_in_one_target(targets):
    count = collections.Counter(path for target in targets.values() for path in sources(target))
    wrong = [
        f"{path.relative_to(ROOT)} is in {count[path]} targets of BUILD; expected 1"
        for path in sorted({*python_files(), *count})
        if count[path] != 1 or not path.is_file()
    ]
    assert not wrong, "\n".join(wrong)


def test_dependencies_are_the_imports(targets, owners, imports):
    wrong = []
    for name, target in targets.items():
        rule, arguments = target
        if rule not in RULES:
            continue
        found = {item.path for path in sources(target) for item in imports(path)} - {None}
        expected = {owners[path] for path in found if path in owners}
        # Python runs the package's own module before that of a program.
        expected = (expected | {":sen_tf"} if rule == "py_binary" else expected) - {f":{name}"}
        stated = set(arguments.get("deps", []))
        if stated != expected:
            missing, idle = sorted(expected - stated), sorted(stated - expected)
            wrong.append(f"deps of :{name} in BUILD: missing {missing}, not imported {idle}")
    assert not wrong, "\n".join(wrong)


def test_labels_and_files_exist(targets):
    for name, (_, arguments) in targets.items():
        for label in arguments.get("deps", []) + arguments.get("data", []) + arguments["srcs"]:
            found = label[1:] in targets if label[0] == ":" else (ROOT / label).is_file()
            assert found, f"{label} of :{name} does not exist"


def test_every_program_is_a_binary(targets):
    programs = [
        path
        for path in (ROOT / "sen_tf").rglob("*.py")
        if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")
    ]
    binaries = [arguments for rule, arguments in targets.values() if rule == "py_binary"]
    assert sorted(binary["main"] for binary in binaries) == sorted(
        path.relative_to(ROOT).as_posix() for path in programs
    )


def test_every_test_runs_its_files(targets):
    for name, (rule, arguments) in targets.items():
        if rule == "py_test":
            paths = [ROOT / path for path in arguments["args"]]
            missed = [
                path
                for path in sources((rule, arguments))
                if path.name.endswith("_test.py") and not {path, path.parent} & set(paths)
            ]
            assert not missed, f"`args` of :{name} leave out {missed}"


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_requirements_are_those_of_the_package_and_its_tests(project):
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    stated = [line for line in lines if line and line[0] != "#"]
    package = project["project"]
    assert stated == package["dependencies"] + package["optional-dependencies"]["dev"]


def test_every_room_is_packaged(project):
    rooms = {path.parent.relative_to(ROOT) for path in (ROOT / "sen_tf").rglob("*.py")}
    expected = {".".join(room.parts) for room in rooms} | {"sen_tf.flags"}
    assert set(project["tool"]["setuptools"]["packages"]) == expected


def test_data_files_are_packaged(project, targets):
    """The files that lie beside modules: BUILD gives them to the room, setuptools installs them."""
    patterns = project["tool"]["setuptools"]["package-data"]
    data = {path for _, arguments in targets.values() for path in arguments.get("data", [])}
    files = [path for path in (ROOT / "sen_tf").rglob("*") if path.is_file()]
    wrong = []
    for path in files:
        if path.suffix not in (".py", ".pyc"):
            name = path.relative_to(ROOT)
            installed = map(path.match, patterns.get(".".join(name.parent.parts), []))
            if name.as_posix() not in data or not any(installed):
                wrong.append(f"{name} is not in `data` of BUILD or in package-data")
    assert not wrong, "\n".join(wrong)
