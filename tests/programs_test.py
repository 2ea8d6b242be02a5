"""The programs as a terminal shows them: quiet, listed, and by script."""

import pathlib
import subprocess
import sys
import tomllib

import pytest

from sen_tf import __main__ as listing
from sen_tf import settings
from sen_tf.distribution import quiet

ROOT = pathlib.Path(__file__).parents[1]


def run(*words, **environment):
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", "CUDA_VISIBLE_DEVICES": "-1", **environment},
        capture_output=True,
        text=True,
    )


def test_programs_are_listed_and_start_without_a_word_of_tensorflow():
    done = run("-m", "sen_tf")
    assert (done.returncode, done.stderr) == (0, "")
    for name in listing.PROGRAMS:
        assert f"python -m sen_tf.{name} " in done.stdout


def test_a_wrong_flag_is_one_line_on_a_quiet_terminal():
    done = run("-u", "-W", "ignore", "-m", "sen_tf.train", "--epoch=3")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: --epoch is not a flag of this program. Did you mean --epochs?"
    ]


LOUD = """
import os, sys
os.write(2, b"a line of TensorFlow\\n")
sys.path.remove(os.path.dirname(__file__))
del sys.modules["keras"]
import keras
"""


def test_tensorflow_s_own_lines_come_back(tmp_path):
    """They are those of a stranger here, who writes one before Keras is there."""
    assert quiet.FLAG == settings.TENSORFLOW_LOGS
    (tmp_path / "keras.py").write_text(LOUD)

    def lines(*words, **environment):
        found = run(
            "-m", "sen_tf.train", "--epoch=3", *words, PYTHONPATH=str(tmp_path), **environment
        )
        assert found.stderr.splitlines()[-1].startswith("error: --epoch")
        return found.stderr.splitlines()

    assert "a line of TensorFlow" not in lines()
    assert "a line of TensorFlow" in lines(quiet.FLAG)
    assert "a line of TensorFlow" in lines(TF_CPP_MIN_LOG_LEVEL="0")


def test_what_is_kept_back_is_shown_after_an_error(tmp_path):
    program = (
        "import os\nfrom sen_tf.distribution import quiet\n"
        "with quiet._stderr_kept_back():\n"
        "    os.write(2, b'a reason\\n')\n    raise ImportError('no backend')\n"
    )
    done = run("-c", program, TF_CPP_MIN_LOG_LEVEL="3")
    assert "a reason" in done.stderr and "ImportError: no backend" in done.stderr


def test_a_library_says_what_it_says():
    assert not quiet._is_program()


@pytest.mark.parametrize("name", listing.PROGRAMS)
def test_every_program_has_a_script_and_a_line(name):
    with open(ROOT / "pyproject.toml", "rb") as file:
        scripts = tomllib.load(file)["project"]["scripts"]
    module, function = scripts[f"sen-{name}"].split(":")
    source = ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    assert f"def {function}() -> None:" in source or f"def {function}():" in source
    assert listing.describe(name)[0].isupper()
