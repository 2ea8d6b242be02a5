import math
import os
import pathlib
import subprocess
import sys

import gymnasium
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sen_tf import flag_table, settings
from sen_tf.envs import ENVS

VECTORS = pathlib.Path(__file__).parent / "parity" / "i_c4conv.npz"

ALL = tuple(flag_table.FLAGS)
FUZZ = int(os.environ.get("SEN_TF_FUZZ", "1"))

FURTHER = [further for *_, further in flag_table.FLAGS.values()]
CHOICES = sorted({value for further in FURTHER for value in further.get("enum_values", ())})
CHOICES += ["", " ", "a ", "nan", "-inf", "1e999", "-0", "1_0", "a\nb", "up,,", "\0", "/", "-", '"']
VALUES = st.one_of(
    st.sampled_from(CHOICES),
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=10),
)
NAMES = st.sampled_from([*ALL, "flagfile", "undefok", "noenv", "epoch", ""])


@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("preset", flag_table.PRESETS)
def test_every_environment_has_flagfiles_for_every_preset(env, preset):
    options = settings.parse([f"--env={env}", f"--preset={preset}"], ALL)
    assert (options.env, options.preset) == (env, preset)
    assert options.train_episodes * options.train_steps >= options.batch_size
    for path in settings.flagfiles(env, preset, options.recipe):
        assert pathlib.Path(path).is_file()


def test_command_line_beats_preset_beats_environment_beats_default():
    paper = settings.parse(["--env=cubes", "--preset=paper"], ALL)
    quick = settings.parse(["--env=cubes", "--preset=quick"], ALL)
    given_ = settings.parse(["--epochs=3", "--env=cubes", "--preset=quick"], ALL)
    assert (paper.epochs, paper.train_actions) == (100, ["up", "right", "down"])
    assert quick.epochs != paper.epochs and quick.train_actions == paper.train_actions
    assert given_.epochs == 3 and given_.given == {"epochs", "env", "preset"}


def test_recipe_stands_between_environment_and_preset_and_the_paper_s_is_the_environment_s():
    paper, quick, plain = (
        settings.parse([f"--preset={preset}", f"--recipe={recipe}"], ALL)
        for preset, recipe in [("paper", "auto"), ("quick", "auto"), ("quick", "paper")]
    )
    assert (paper.recipe, quick.recipe, plain.recipe) == ("paper", "fast", "paper")
    assert (paper.schedule, paper.action_contrast) == ("constant", 0)
    assert (quick.schedule, quick.batch_size) == ("cosine", 64) and quick.action_contrast > 0
    assert plain.epochs == quick.epochs and plain.batch_size == paper.batch_size


def test_auto_preset_is_what_the_machine_says():
    assert settings.parse([], ALL, lambda: "laptop").preset == "laptop"
    assert settings.parse([], ALL).preset == "paper"


@pytest.mark.parametrize(
    "argument, expected",
    [
        ("--epoch=3", "Did you mean --epochs"),
        ("--env=cube", "cubes"),
        ("--epochs=many", "epochs"),
        ("--epochs=0", "epochs"),
        ("--validation=1.5", "validation"),
        ("--action_contrast=1.1", "action_contrast"),
        ("--recipe=slow", "fast"),
        ("--run=x", "not a flag of this program"),
        ("--train_headings=up", "--train_headings is for --env=rush_hour, not for cubes"),
        ("--model=tfn", "of --env=cubes is one of sen, nonequivariant, fully_equivariant, not tfn"),
        ("--rotations=small", "--rotations is for --env=teapot"),
        ("--sprites=paper", "--sprites is for --env=shapes"),
        ("--headings=up", "--headings is for --env=rush_hour"),
        ("--reversed_negatives", "--reversed_negatives is for --env=reacher"),
        ("--episode_negatives", "--episode_negatives is for --env=rush_hour"),
        ("stray", "written --name=value"),
        ("--flagfile=/no/such/file.cfg", "file.cfg"),
        ("--flagfile=\0", "--flagfile is no file of flags: embedded null byte"),
        (f"--flagfile={VECTORS}", "--flagfile is no file of flags"),
    ],
)
def test_a_wrong_command_line_is_one_clear_line(argument, expected):
    with pytest.raises(settings.UsageError) as error:
        settings.parse([argument], [name for name in ALL if name != "run"])
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_headings_are_named():
    options = settings.parse(["--env=rush_hour", "--train_headings=up,left"], ALL)
    assert options.train_headings == ["up", "left"]
    with pytest.raises(settings.UsageError, match="out of up, right, down, left, not 'north'"):
        settings.parse(["--env=rush_hour", "--train_headings=up,north"], ALL)


@given(
    epochs=st.integers(1, 10**6),
    rate=st.floats(1e-8, 10, allow_nan=False),
    actions=st.lists(st.sampled_from(["up", "right", "down"]), max_size=3),
    output=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
)
def test_saved_flags_are_read_back(tmp_path_factory, epochs, rate, actions, output):
    arguments = [f"--epochs={epochs}", f"--learning_rate={rate}", f"--output={output}"]
    arguments.append(f"--train_actions={','.join(actions)}")
    options = settings.parse(arguments, ALL)
    path = tmp_path_factory.mktemp("flags") / "flags.cfg"
    settings.save(options, path)
    loaded, saved = vars(settings.load(path)), vars(options)
    assert {k: loaded[k] for k in ALL} == {k: saved[k] for k in ALL}


@hypothesis.settings(max_examples=100 * FUZZ)
@given(name=NAMES, value=VALUES)
def test_any_value_of_a_flag_is_read_or_refused_by_its_name(name, value, tmp_path_factory):
    try:
        options = settings.parse([f"--{name}={value}"], ALL)
    except settings.UsageError as error:
        assert name in str(error) and str(error).splitlines() == [str(error)]
        return
    for flag, (_, _, _, further) in flag_table.FLAGS.items():
        found = getattr(options, flag)
        if isinstance(found, float):
            assert math.isfinite(found)
        if isinstance(found, int | float):
            assert further.get("lower_bound", -math.inf) <= found
            assert found <= further.get("upper_bound", math.inf)
    path = tmp_path_factory.getbasetemp() / "fuzz.cfg"
    settings.save(options, path)
    loaded = vars(settings.load(path))
    assert {k: loaded[k] for k in ALL} == {k: getattr(options, k) for k in ALL}


@hypothesis.settings(max_examples=100 * FUZZ)
@given(st.lists(st.text(max_size=12) | st.builds("--{}={}".format, NAMES, VALUES), max_size=5))
def test_any_command_line_is_options_or_one_line(arguments):
    try:
        settings.parse(arguments, ALL)
    except settings.UsageError as error:
        assert str(error).splitlines() == [str(error)]


def test_help_names_every_flag():
    text = settings.describe("What it does.", ALL)
    assert text.startswith("What it does.")
    for name in ALL:
        assert f"--{name}\n" in text


@pytest.mark.parametrize("kind", [ValueError, OSError, gymnasium.error.DependencyNotInstalled])
def test_what_the_user_can_mend_is_one_line(kind, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["program"])

    def main(arguments):
        raise kind("run `apt install something`")

    with pytest.raises(SystemExit) as caught:
        settings.run(main, "", ())
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: run `apt install something`\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("comment", ["", "# by hand"])
def test_a_flagfile_may_start_with_a_byte_order_mark(tmp_path, end, comment):
    lines = [*([comment] if comment else []), "--env=shapes", "--epochs=1", ""]
    (tmp_path / "bom.cfg").write_bytes("\ufeff".encode() + end.join(lines).encode())
    options = settings.parse([f"--flagfile={tmp_path / 'bom.cfg'}"], flag_table.FLAGS)
    assert (options.env, options.epochs) == ("shapes", 1)


def test_a_terminal_that_cannot_show_a_path_ends_nothing(tmp_path):
    program = (
        "from sen_tf import settings\n"
        "settings.run(lambda arguments: print('writing runs/\\u00fcn\\u00ef'), '', ())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONPATH": os.getcwd()},
        check=True,
    )
    assert done.stdout == b"writing runs/\\xfcn\\xef\n"
