"""Tasks are the text of programs, for `exec`: a new process need not import these tests."""

import pathlib

import pytest

from sen_tf.datasets import RUNNERS
from sen_tf.datasets.runners import ATTEMPTS

# Appends its number to a file, and kills its own process the first time.
WRITE = "open({path!r}, 'a').write('{number} ')"
DIE_ONCE = (
    "import os, pathlib, signal\n"
    "if not pathlib.Path({path!r} + '.died').exists():\n"
    "    pathlib.Path({path!r} + '.died').touch()\n"
    "    os.kill(os.getpid(), signal.SIGKILL)\n"
)
DIE = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.slow)])
def run(request):
    if request.param == "ray":
        pytest.importorskip("ray")
    return RUNNERS[request.param]


def test_every_task_is_done_though_a_worker_is_killed(run, tmp_path):
    path = str(tmp_path / "done")
    tasks = [WRITE.format(path=path, number=number) for number in range(5)]
    tasks[2] = DIE_ONCE.format(path=path) + tasks[2]
    run(exec, tasks, 2, "tasks")
    assert pathlib.Path(path + ".died").exists()
    assert set(pathlib.Path(path).read_text().split()) == set("01234")


def test_an_error_is_raised(run):
    with pytest.raises(ZeroDivisionError):
        run(exec, ["1 / 0"], 1, "tasks")


def test_workers_that_are_always_killed(capsys):
    with pytest.raises(RuntimeError, match=f"killed {ATTEMPTS} times before any of 2 tasks"):
        RUNNERS["local"](exec, [DIE, DIE], 1, "tasks")
