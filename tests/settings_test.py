import dataclasses
import importlib
import math
import os
import pathlib
import shlex
import subprocess
import sys

import gymnasium
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sen_tf import settings
from sen_tf.experiments import world_models
from sen_tf.settings import setting

train = importlib.import_module("sen_tf.train")

VECTORS = pathlib.Path(__file__).parent / "parity" / "i_c4conv.npz"

FUZZ = int(os.environ.get("SEN_TF_FUZZ", "1"))


@dataclasses.dataclass(frozen=True)
class Fitting:
    """How something is fitted."""

    epochs: int = setting(100, "Passes over the data.", at_least=1)
    learning_rate: float = setting(5e-4, "Learning rate.", at_least=0.0)
    validation: float = setting(0.05, "Share held out.", at_least=0.0, at_most=0.9)
    warm: bool = setting(False, "Whether to start warm.")
    size: str = setting("small", "How large it is.", choices=("small", "large"))


@dataclasses.dataclass(frozen=True)
class Places:
    """Where things are."""

    output: str | None = setting(None, "Where to write.")
    actions: list[str] = setting(["up"], "Which actions occur.")
    steps: int | None = setting(None, "How many steps.", at_least=1)


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """Of another program."""

    run: str | None = setting(None, "A run.")
    steps: int = setting(5, "Steps of something else.")


FIELDS = {field.name: field for group in train.GROUPS for field in dataclasses.fields(group)}
CHOICES = sorted({value for field in FIELDS.values() for value in field.metadata["choices"]})
CHOICES += ["", " ", "a ", "nan", "-inf", "1e999", "-0", "1_0", "a\nb", "up,,", "\0", "/", "-", '"']
VALUES = st.one_of(
    st.sampled_from(CHOICES),
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=10),
)
NAMES = st.sampled_from([*FIELDS, "flagfile", "undefok", "noenv", "epoch", ""])


@pytest.mark.parametrize(
    "argument, expected",
    [
        ("--epoch=3", "Did you mean --epochs"),
        ("--size=cube", "small"),
        ("--epochs=many", "epochs"),
        ("--epochs=0", "epochs"),
        ("--validation=1.5", "validation"),
        ("--run=x", "not a flag of this program"),
        ("stray", "written --name=value"),
        ("--flagfile=/no/such/file.cfg", "file.cfg"),
        ("--flagfile=\0", "--flagfile is no file of flags: embedded null byte"),
        (f"--flagfile={VECTORS}", "--flagfile is no file of flags"),
    ],
)
def test_a_wrong_command_line_is_one_clear_line(argument, expected):
    with pytest.raises(settings.UsageError) as error:
        settings.parse([argument], Fitting, Places, others=(Elsewhere,))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


@given(
    epochs=st.integers(1, 10**6),
    rate=st.floats(1e-8, 10, allow_nan=False),
    actions=st.lists(st.sampled_from(["up", "right", "down"]), max_size=3),
    output=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
)
def test_saved_flags_are_read_back(tmp_path_factory, epochs, rate, actions, output):
    arguments = [f"--epochs={epochs}", f"--learning_rate={rate}", f"--output={output}"]
    arguments.append(f"--train_actions={','.join(actions)}")
    parsed = settings.parse(arguments, *train.GROUPS)
    path = tmp_path_factory.mktemp("flags") / "flags.cfg"
    settings.save(path, *parsed)
    assert settings.load(path, *train.GROUPS) == parsed
    assert settings.parse([f"--flagfile={path}"], *train.GROUPS) == parsed


@hypothesis.settings(max_examples=100 * FUZZ)
@given(name=NAMES, value=VALUES)
def test_any_value_of_a_flag_is_read_or_refused_by_its_name(name, value, tmp_path_factory):
    try:
        parsed = settings.parse([f"--{name}={value}"], *train.GROUPS)
    except settings.UsageError as error:
        assert name in str(error) and str(error).splitlines() == [str(error)]
        return
    found_of = {flag: found for each in parsed for flag, found in vars(each).items()}
    for flag, field in FIELDS.items():
        found = found_of[flag]
        if isinstance(found, float):
            assert math.isfinite(found)
        if isinstance(found, int | float):
            least, most = field.metadata["at_least"], field.metadata["at_most"]
            assert least is None or least <= found
            assert most is None or found <= most
    path = tmp_path_factory.getbasetemp() / "fuzz.cfg"
    settings.save(path, *parsed)
    assert settings.load(path, *train.GROUPS) == parsed


@hypothesis.settings(max_examples=100 * FUZZ)
@given(st.lists(st.text(max_size=12) | st.builds("--{}={}".format, NAMES, VALUES), max_size=5))
def test_any_command_line_is_options_or_one_line(arguments):
    try:
        settings.parse(arguments, *train.GROUPS)
    except settings.UsageError as error:
        assert str(error).splitlines() == [str(error)]


def test_flagfiles_of_ours_stand_below_the_command_line_in_their_order(tmp_path):
    weak, strong = tmp_path / "weak.cfg", tmp_path / "strong.cfg"
    weak.write_text("# ours\n--epochs=3\n--size=large\n--unheard_of=1\n")
    strong.write_text("--epochs=4\n--actions=left,right\n--warm\n--steps=7\n")

    def files(values):
        return [weak, strong], {"output": values["size"]}

    command = ["--learning_rate=0.1"]
    fitting, places = settings.parse(command, Fitting, Places, files=files, others=(Elsewhere,))
    assert fitting == Fitting(4, 0.1, warm=True, size="large")
    # `steps` of another program is not that of this one.
    assert places == Places("small", ["left", "right"], None)
    (fitting,) = settings.parse(["--epochs=5", "--nowarm"], Fitting, files=files_of(weak, strong))
    assert (fitting.epochs, fitting.warm) == (5, False)


def files_of(*paths):
    return lambda values: (paths, {})


def test_a_flagfile_of_another_program_may_hold_its_flags(tmp_path):
    path = tmp_path / "other.cfg"
    path.write_text("--run=x\n--epochs=3\n")
    (fitting,) = settings.parse([f"--flagfile={path}"], Fitting, others=(Elsewhere,))
    assert fitting.epochs == 3
    with pytest.raises(settings.UsageError, match="--run is not a flag of this program"):
        settings.parse([f"--flagfile={path}"], Fitting)


def test_what_is_typed_is_told(tmp_path):
    path = tmp_path / "more.cfg"
    path.write_text("--learning_rate=3\n")
    for words in ([f"--flagfile={path}"], ["--flagfile", str(path)], []):
        typed = settings.typed(["--epochs=100", *words, "--nowarm"], Fitting, Places)
        assert typed == {"epochs", "warm"}


def test_some_flags_are_read_before_the_others_are_known(tmp_path):
    path = tmp_path / "more.cfg"
    path.write_text("# more\n--env=mine\n--unheard_of=1\n")
    words = ["--other", "7", "-run=a b", "--flag", f"--flagfile={path}", "--env_class", "my:Mine"]
    found = settings.glance(words, "env", "env_class", "run", "dataset")
    assert found == {"env": "mine", "env_class": "my:Mine", "run": "a b"}
    assert settings.glance([*words, "--env", "typed"], "env") == {"env": "typed"}
    with pytest.raises(settings.UsageError, match="Missing value for flag --env"):
        settings.glance(["--env"], "env")
    with pytest.raises(settings.UsageError, match="Unable to open flagfile"):
        settings.glance(["--flagfile=none.cfg"], "env")


def test_help_shows_first_flags_then_groups_with_the_defaults_of_now():
    text = settings.describe(
        "What it does.", Fitting(epochs=7), Places(), first=("epochs", "output")
    )
    assert text.startswith("What it does.\n")
    start, fitting, places = text.split("\n\n")[-3:]
    assert start.startswith("Flags to start with:\n  --epochs\n      Passes over the data.")
    assert "Default: 7." in start and start.endswith("Default: none.")
    assert fitting.startswith("How something is fitted:\n  --learning_rate\n")
    assert "One of: small, large. Default: small." in fitting and "--epochs" not in fitting
    assert places.startswith("Where things are:\n  --actions\n") and "Default: up." in places


def test_help_shows_the_defaults_of_environment_and_preset(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["train", "--env=reacher", "--preset=laptop", "--help"])
    settings.run(train.main, train.__doc__, *train.GROUPS, first=train.FIRST, parse=train.parse)
    text = capsys.readouterr().out
    assert "python -m sen_tf.train --env=cubes" in text
    start = text[text.index("Flags to start with:") :].split("\n\n")[0]
    assert start.count("\n  --") == 10
    chosen = world_models.choose(["--env=reacher", "--preset=laptop"])
    epochs = start[start.index("--epochs") :].splitlines()[1]
    assert epochs.endswith(f"Default: {chosen.training.epochs}.")
    for name in FIELDS:
        assert f"  --{name}\n" in text


@pytest.mark.parametrize("kind", [ValueError, OSError, gymnasium.error.DependencyNotInstalled])
def test_what_the_user_can_mend_is_one_line(kind, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["program"])

    def main(arguments):
        raise kind("run `apt install something`")

    with pytest.raises(SystemExit) as caught:
        settings.run(main, "")
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: run `apt install something`\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("comment", ["", "# by hand"])
def test_a_flagfile_may_start_with_a_byte_order_mark(tmp_path, end, comment):
    lines = [*([comment] if comment else []), "--size=large", "--epochs=1", ""]
    (tmp_path / "bom.cfg").write_bytes("\ufeff".encode() + end.join(lines).encode())
    (fitting,) = settings.parse([f"--flagfile={tmp_path / 'bom.cfg'}"], Fitting)
    assert (fitting.size, fitting.epochs) == ("large", 1)


def test_a_terminal_that_cannot_show_a_path_ends_nothing(tmp_path):
    program = (
        "from sen_tf import settings\n"
        "settings.run(lambda arguments: print('writing runs/\\u00fcn\\u00ef'), '')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONPATH": os.getcwd()},
        check=True,
    )
    assert done.stdout == b"writing runs/\\xfcn\\xef\n"


def test_a_reader_that_has_seen_enough_ends_a_program_without_a_word(tmp_path):
    program = (
        "from sen_tf import settings\n"
        "settings.run(lambda arguments: print('line\\n' * 100_000), '')"
    )
    script = f"set -o pipefail; {sys.executable} -c {shlex.quote(program)} | head -n 1"
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(["bash", "-c", script], capture_output=True, env=environment)
    assert (done.returncode, done.stdout) == (141, b"line\n")
    assert b"Broken pipe" not in done.stderr and b"BrokenPipe" not in done.stderr


@pytest.mark.parametrize(
    ("program", "command"),
    [
        ("{here}/train.py", "python -m sen_tf.train --seed=2"),
        ("{here}/export/__main__.py", "python -m sen_tf.export --seed=2"),
        ("/usr/bin/sen-train", "sen-train --seed=2"),
        ("/somewhere/sweep.py", None),
        ("/usr/lib/ipykernel_launcher.py", None),
    ],
)
def test_only_commands_of_ours_are_repeated(program, command, monkeypatch):
    here = pathlib.Path(settings.__file__).parent
    monkeypatch.setattr("sys.argv", [program.format(here=here), "--seed=2"])
    assert settings.command_line() == command
