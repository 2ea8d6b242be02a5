"""Worlds of the user's own: a class that only steps, and episodes without any class."""

import importlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from sen_tf import datasets, pretrained
from sen_tf.datasets import Episodes, collect, save_episodes
from sen_tf.envs import ENVS
from sen_tf.experiments import naming, training_run, world_models
from sen_tf.settings import UsageError
from sen_tf.training import runs

ROOT = pathlib.Path(__file__).parents[2]
DOT = """
import gymnasium
import numpy as np


class Dot(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (12, 12, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = self.np_random.integers(0, 6, 2)
        return self.image(), {}

    def step(self, action):
        self.at = np.clip(self.at + [(-1, 0), (0, 1), (1, 0), (0, -1)][action], 0, 5)
        return self.image(), 0.0, False, False, {}

    def image(self):
        image = np.zeros((6, 6, 3), np.uint8)
        image[tuple(self.at)] = 255
        return image.repeat(2, 0).repeat(2, 1)
"""
SIZES = ("--train_episodes=60", "--train_steps=5", "--eval_episodes=16", "--eval_steps=2")
SIZES += ("--hidden=8", "--filters=4", "--epochs=1", "--batch_size=32", "--precision=float32")
NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1"}


def run(folder, program, *arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", f"sen_tf.{program}", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "HOME": str(folder), **NO_GPU},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr[-3000:]
    return done.stdout if code == 0 else done.stderr.splitlines()[-1]


@pytest.fixture
def here(monkeypatch, capsys, unexported):
    """Runs a program as `run` does, but in this process, which imports worlds anew each time."""

    def run_here(folder, program, *arguments, code=0):
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        status = 0
        try:
            importlib.import_module(f"sen_tf.{program}").run()
        except SystemExit as stop:
            status = stop.code
        finally:
            for name in ("facts", "my_dot"):
                sys.modules.pop(name, None)
        out, error = capsys.readouterr()
        assert status == code, error[-3000:]
        return out if code == 0 else error.splitlines()[-1]

    return run_here


@pytest.fixture(scope="module")
def dot(tmp_path_factory):
    """A folder with a world of twenty lines, and a run of it."""
    folder = tmp_path_factory.mktemp("dot")
    (folder / "my_dot.py").write_text(DOT)
    out = run(folder, "train", "--env=my_dot:Dot", "--preset=quick", *SIZES, "--output=run")
    return folder, out


def test_twenty_lines_are_trained_up_to_the_report(dot):
    folder, out = dot
    assert "dot: no symmetry, images as a whole" in out
    assert "dot, nonequivariant, seed 1" in out and out.splitlines()[-1] == "  run/report.html"
    summary = json.loads((folder / "run" / runs.METRICS).read_text())
    assert summary["scores"]["episodes"] == 16 and summary["scores"]["symmetry"] == {}
    stages = ["data", "training", "scoring", "exporting", "drawing"]
    assert list(summary["seconds_by_stage"]) == stages
    rows = (folder / "run" / runs.HISTORY).read_text().splitlines()
    assert rows[0].startswith("epoch,loss,") and len(rows) == 2
    report = (folder / "run" / runs.REPORT).read_text()
    for part in ("<h1>dot, nonequivariant, seed 1</h1>", "Hits@10", "--env_class=my_dot:Dot"):
        assert part in report
    assert report.count("data:image/png;base64,") == 3 and 'src="http' not in report


def test_the_other_programs_find_its_class_by_the_run(dot, here):
    folder, _ = dot
    assert "Hits@1" in here(folder, "evaluate", "--run=run")
    out = here(folder, "decode", "--run=run", "--epochs=1")
    assert "wrote run/report.html" in out
    assert "data:image/gif" in (folder / "run" / runs.REPORT).read_text()


def test_it_is_found_however_its_place_is_written(dot, tmp_path, monkeypatch):
    folder, _ = dot
    monkeypatch.syspath_prepend(folder)
    mine = tmp_path / "mine.cfg"
    mine.write_text("--env=my_dot:Dot\n")
    saved = f"--flagfile={folder / 'run' / runs.FLAGS}"
    places = (["--env=my_dot:Dot"], ["-env", "my_dot:Dot"], [f"--flagfile={mine}"], [saved])
    for words in places:
        environment = world_models.choose([*words, "--epochs", "2"]).environment
        assert (environment.env, environment.env_class) == ("dot", "my_dot:Dot")
    over = world_models.choose([saved, "--env=shapes"]).environment
    assert (over.env, over.env_class) == ("shapes", None)
    repeated = [vars(each) for each in world_models.choose([saved])]
    assert repeated == [vars(each) for each in world_models.of_run(folder / "run")]


def test_its_card_says_the_command_that_trains_it(dot, tmp_path, monkeypatch):
    folder, _ = dot
    place = pretrained.push(folder / "run", tmp_path / "mine")
    words = "--env=my_dot:Dot --flagfile=flags.cfg"
    assert f"python -m sen_tf.train {words}" in pretrained.card(place)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(place)
    repeated = [vars(each) for each in world_models.choose(words.split())]
    assert repeated == [vars(each) for each in world_models.of_run(folder / "run")]


def test_the_report_opens_in_a_browser(dot):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    page = (dot[0] / "run" / runs.REPORT).resolve()
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000"]
    # Images that are broken have no width.
    probe = page.with_name("probe.html")
    script = (
        "<script>onload=()=>{document.title=[...document.images].map(i=>i.naturalWidth).join()}"
        "</script></body>"
    )
    probe.write_text(page.read_text().replace("</body>", script))
    done = subprocess.run(
        [chromium, *words, "--dump-dom", f"file://{probe}"], capture_output=True, text=True
    )
    title = done.stdout.split("<title>")[1].split("</title>")[0]
    widths = [int(width) for width in title.split(",")]
    assert len(widths) >= 3 and min(widths) > 200


def test_an_edited_world_is_not_trained_on_the_data_of_before(dot, here):
    folder, _ = dot
    text = (folder / "my_dot.py").read_text()
    (folder / "my_dot.py").write_text(text.replace("255\n", "200\n"))
    try:
        words = ("--env=my_dot:Dot", "--preset=quick", *SIZES, "--output=again")
        said = here(folder, "train", *words, code=2)
    finally:
        (folder / "my_dot.py").write_text(text)
    assert "it was made by version" in said and not (folder / "again").exists()


def episodes(count=40, steps=4):
    """A dot that walks on a ring of 8 columns, and what it was told to do: back, stay, on."""
    rng = np.random.default_rng(0)
    actions = rng.integers(0, 3, (count, steps))
    at = np.cumsum(np.concatenate([rng.integers(0, 8, (count, 1)), actions - 1], 1), axis=1) % 8
    frames = np.zeros((count, steps + 1, 8, 8, 1), np.uint8)
    frames[:, :, 0, 0, 0] = np.arange(count)[:, None]  # no two are the same
    np.put_along_axis(frames[:, :, 3, :, 0], at[..., None], 255, axis=2)
    return frames, actions


def written(folder, kind):
    frames, actions = episodes()
    if kind == "folder":
        (folder / "ring").mkdir()
        np.save(folder / "ring" / "observations.npy", frames)
        np.save(folder / "ring" / "actions.npy", actions)
        return "ring"
    save_episodes(folder / "ring.h5", Episodes.from_arrays(frames, actions, env="ring"))
    return "ring.h5"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_dataset_alone_is_trained_on_and_held_out_episodes_are_scored(kind, tmp_path, here):
    name = written(tmp_path, kind)
    words = ("--preset=quick", *SIZES, "--output=run")
    out = here(tmp_path, "train", f"--dataset={name}", *words)
    assert "ring, nonequivariant, seed 1" in out and "4 evaluation episodes" in out
    assert "4 evaluation episodes" in here(tmp_path, "evaluate", "--run=run")
    assert here(tmp_path, "train", f"--dataset={name}", *words).startswith("run holds this run")
    said = here(tmp_path, "evaluate", "--run=run", "--held_out=0.5", "--overwrite", code=2)
    assert "--held_out is at most 0.1, which the run held out: it was trained on the other" in said
    if kind == "file":
        return
    (tmp_path / name).rename(tmp_path / f"moved_{name}")
    words = ("--run=run", f"--dataset={tmp_path}/moved_{name}", "--overwrite")
    assert "40 evaluation episodes" in here(tmp_path, "evaluate", *words)


@pytest.mark.parametrize("file", ["steps.h5", "日本.h5"])
def test_episodes_of_no_name_are_named_like_others(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_episodes(file, Episodes.from_arrays(*episodes()))
    chosen = world_models.choose(["--dataset", file], world_models.default_preset)
    assert naming.default_name(chosen).startswith("recorded-nonequivariant")


def test_real_numbers_are_vectors(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frames, actions = episodes()
    save_episodes("lengths.h5", Episodes.from_arrays(frames, actions + 0.5))
    with pytest.raises(datasets.DatasetError, match=r"vectors \(episodes, steps, size\) are expec"):
        world_models.choose(["--dataset=lengths.h5"])


def test_what_is_scored_is_never_trained_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chosen = world_models.choose(["--dataset", written(tmp_path, "file")])
    assert chosen.network.model == "nonequivariant"
    trained = world_models.training_episodes(chosen)
    read = datasets.cache.evaluation_reader(
        chosen.environment, chosen.evaluation_set, chosen.training_set.dataset
    )
    frames, actions = episodes()
    scored = read(steps=(0, 4))
    rows = [
        int(np.flatnonzero((frames[:, 0] == first).all((1, 2, 3)) & (actions == move).all(1))[0])
        for first, move in zip(scored.observations[:, 0], scored.actions, strict=True)
    ]
    assert rows == [36, 37, 38, 39] and list(trained.index) == list(range(36))


FACTS = """
from sen_tf import groups

class Ring:
    name, group, objects = "ring_facts", groups.get("D1"), 1
    action_representation = "permutation(0,1,2;2,1,0)"
"""


def test_facts_of_a_dataset_are_a_class_that_cannot_be_run(tmp_path, here):
    (tmp_path / "facts.py").write_text(FACTS)
    name = written(tmp_path, "folder")
    words = ("--env=facts:Ring", "--preset=quick", *SIZES, "--output=run")
    assert "ring_facts, sen, seed 1" in here(tmp_path, "train", *words, f"--dataset={name}")
    assert "4 evaluation episodes" in here(tmp_path, "evaluate", "--run=run")
    said = here(tmp_path, "train", *words[:2], code=2)
    assert "Expected facts:Ring to be a gymnasium.Env, or its episodes in --dataset" in said


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ('group = __import__("sen_tf").groups.get("C4")', "to state 'action_representation'"),
        ('arguments = {"seed": ("which.", ("a", "b"))}', "'seed' of Dot would be a flag"),
        (
            'group = __import__("sen_tf").groups.get("C8")\n'
            '    action_representation = "permutation(3,0,1,2)"',
            "Expected `group` of `dot` to be one of C1, C2, D1, D2, C4, D4",
        ),
    ],
)
def test_what_a_class_must_still_say_is_one_sentence(facts, said, tmp_path, here):
    text = DOT.replace("    observation_space", f"    {facts}\n    observation_space", 1)
    (tmp_path / "my_dot.py").write_text(text)
    line = here(tmp_path, "train", "--env=my_dot:Dot", "--preset=quick", code=2)
    assert line.startswith("error: ") and said in line
    assert not (tmp_path / "data").exists()  # it is said before anything is made


def test_an_arm_with_a_symmetry_needs_one(dot, here):
    said = here(dot[0], "train", "--env=my_dot:Dot", "--model=sen", code=2)
    assert "--model of --env=dot is one of nonequivariant, since its class states no" in said


@pytest.mark.usefixtures("unexported")
def test_python_trains_and_scores_what_is_in_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours = Episodes.from_arrays(*episodes(), env="ring_in_memory")
    sizes = {"hidden": 8, "filters": 4, "epochs": 1, "batch_size": 32, "precision": "float32"}
    done = training_run.train(episodes=ours, preset="quick", output="run", **sizes)
    assert repr(done) == "Run(directory=PosixPath('run'))"
    assert done.directory == pathlib.Path("run") and done.scores["episodes"] == 4
    assert (tmp_path / "run.h5").exists()
    scores = training_run.evaluate(done.model, Episodes.from_arrays(*episodes()))
    assert scores["episodes"] == 40 and 0 <= scores["steps"]["1"]["mrr"] <= 1
    again = training_run.train(episodes=ours, preset="quick", output="run", **sizes)
    assert again.written == [] and again.scores == done.scores
    other = Episodes.from_arrays(*episodes(30), env="ring_in_memory")
    with pytest.raises(datasets.DatasetError, match="was not made with these settings"):
        training_run.train(episodes=other, preset="quick", output="run", **sizes)
    with pytest.raises(UsageError, match="--epoch is not a flag.*--epochs"):
        training_run.train("shapes", epoch=3)
    with pytest.raises(UsageError, match="give the run an `output`"):
        training_run.train(episodes=ours)
    for call, said in (
        (lambda: training_run.train(str), "'package.module:Class' of a class; received a type"),
        (lambda: training_run.train(ours), "Expected `env` to be a name"),
        (lambda: training_run.train("shapes", episodes=episodes()[0]), "received a ndarray"),
        (lambda: training_run.evaluate("run/model.keras", ours), "world model.*received a str"),
        (lambda: training_run.evaluate(done.model, episodes()[0]), "or the file of some; received"),
    ):
        with pytest.raises(ValueError, match=said):
            call()


def test_episodes_in_memory_of_a_class_note_its_version(dot, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(dot[0])
    ours = Episodes.from_arrays(*episodes())
    with training_run._saved(ours, tmp_path / "run", "my_dot:Dot") as file:
        attrs = datasets.read_episodes(file, episodes=1).attrs
        assert attrs["env_version"] == ENVS["dot"].version != 1


@pytest.mark.usefixtures("unexported")
def test_episodes_in_memory_that_name_no_environment_are_of_the_one_asked_for(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    env = ENVS["shapes"]()
    (block,) = collect(env, episodes=40, steps=2, seed=5)
    unnamed = Episodes.from_arrays(block.observations, block.actions)
    sizes = {"hidden": 8, "filters": 4, "epochs": 1, "batch_size": 32, "eval_episodes": 16}
    with pytest.raises(UsageError, match="--epoch is not a flag"):
        training_run.train("shapes", episodes=unnamed, output="run", epoch=1)
    assert not list(tmp_path.iterdir())  # nothing is in the way of the right call
    done = training_run.train("shapes", episodes=unnamed, preset="quick", output="run", **sizes)
    assert done.scores["episodes"] == 16 and done.summary["trained_on"] == "run.h5"


def test_the_package_offers_them_when_they_are_asked_for():
    program = (
        "import sys, sen_tf\n"
        "assert 'sen_tf.experiments' not in sys.modules\n"
        "print(sen_tf.train.__module__, sen_tf.evaluate.__name__, sen_tf.Episodes.__name__)\n"
        "print(sen_tf.callbacks.Checkpoint.__name__, sen_tf.from_pretrained.__name__)\n"
        "assert set(sen_tf.__all__) <= {name for name in sen_tf.__all__ if getattr(sen_tf, name)}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == [
        *("sen_tf.experiments.training_run", "evaluate", "Episodes"),
        *("Checkpoint", "from_pretrained"),
    ], done.stderr[-2000:]
