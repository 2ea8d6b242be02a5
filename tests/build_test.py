"""BUILD and pyproject.toml say what the source tree says."""

import ast
import collections
import pathlib
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
RULES = ("py_library", "py_binary")


@pytest.fixture(scope="module")
def targets():
    return read_build((ROOT / "BUILD").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def owners(targets):
    """The target that compiles each source file."""
    return {path: f":{name}" for name, target in targets.items() for path in sources(target)}


def read_build(text):
    """Targets of a BUILD file, which Python parses too: name to (rule, arguments).

    A name set to a list may be an argument; the comprehension that makes the tests is left out.
    """
    read, names = {}, {}
    for statement in ast.parse(text).body[1:]:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]):
                names[name] = value(statement.value, names)
            case ast.Expr(value=ast.Call() as call):
                arguments = {each.arg: value(each.value, names) for each in call.keywords}
                if "name" in arguments:
                    read[arguments["name"]] = (call.func.id, arguments)
    return read


def value(node, names):
    """The value of an expression of strings, lists, sums, names and globs."""
    match node:
        case ast.List():
            return [value(element, names) for element in node.elts]
        case ast.BinOp(op=ast.Add()):
            return value(node.left, names) + value(node.right, names)
        case ast.Name(id=name):
            return names[name]
        case ast.Call(func=ast.Name(id="glob")):
            left_out = [matching(value(each.value, names)) for each in node.keywords]
            left_out = {path for paths in left_out for path in paths}
            return [path for path in matching(value(node.args[0], names)) if path not in left_out]
        case _:
            return ast.literal_eval(node)


def matching(patterns):
    """The files that glob patterns match, as BUILD writes them."""
    return [
        path.relative_to(ROOT).as_posix()
        for pattern in patterns
        for path in sorted(ROOT.glob(pattern))
        if path.is_file()
    ]


def sources(target):
    rule, arguments = target
    return [ROOT / path for path in arguments["srcs"]] if rule in RULES else []


def test_read_build():
    text = """'A docstring.'
NAMES = [":a"]
py_library(name = "b", srcs = ["c.py"] + glob(["tests/b*"], exclude = ["tests/ba*"]), deps = NAMES)
"""
    srcs = ["c.py", "tests/benchmarks_test.py", "tests/build_test.py"]
    assert read_build(text) == {"b": ("py_library", {"name": "b", "srcs": srcs, "deps": [":a"]})}


def test_every_source_file_is_in_one_target(targets):
    count = collections.Counter(path for target in targets.values() for path in sources(target))
    wrong = [
        f"{path.relative_to(ROOT)} is in {count[path]} targets of BUILD; expected 1"
        for path in sorted({*(ROOT / "sen_tf").rglob("*.py"), *count})
        if count[path] != 1 or not path.is_file()
    ]
    assert not wrong, "\n".join(wrong)


def test_dependencies_are_the_imports(targets, owners, imports):
    wrong = []
    for name, target in targets.items():
        rule, arguments = target
        if rule not in RULES or name == "test_support":
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


def test_tests_may_use_everything(targets):
    everything = {f":{name}" for name, (rule, _) in targets.items() if rule in RULES}
    assert set(targets["test_support"][1]["deps"]) == everything - {":test_support"}


def test_tests_have_the_files_that_they_read(targets):
    files = {path for path in (ROOT / "tests").rglob("[!.]*") if path.is_file()}
    data = {ROOT / path for path in targets["test_support"][1]["data"]}
    assert not {path for path in files - data if path.suffix in (".json", ".keras", ".npz")}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_requirements_are_those_of_the_package_and_its_tests(project):
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert "-e ." in lines
    stated = [line for line in lines if line and line[0] not in "#-"]
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
            rooms = (".".join(folder.parts) for folder in name.parents)
            installed = [
                path.match(pattern) for room in rooms for pattern in patterns.get(room, [])
            ]
            if name.as_posix() not in data or not any(installed):
                wrong.append(f"{name} is not in `data` of BUILD or in package-data")
    assert not wrong, "\n".join(wrong)
