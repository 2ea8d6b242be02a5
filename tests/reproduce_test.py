"""The program: which cells run, in processes of their own, and what becomes of them."""

import json
import re
import subprocess
import types

import pytest

from sen_tf import experiments, reproduce, settings
from sen_tf.experiments import pages, training_run
from sen_tf.experiments.experiment import RESULT


@pytest.fixture
def fake(monkeypatch):
    """Runs cells in this process, and only says that it did: a list of the commands."""
    commands, actual = [], subprocess.run

    def run(command, **options):
        if command[0] == "git":
            return actual(command, **options)
        assert command[1:3] == ["-m", "sen_tf.reproduce"]
        commands.append(command[3:])
        reproduce.main(command[3:])
        return subprocess.CompletedProcess(command, 0)

    def cell(arm, chosen, seed, directory):
        values = {name: value for part in chosen for name, value in vars(part).items()}
        metrics = dict.fromkeys(experiments.get("shapes-limited").metrics, 50.0)
        return {**metrics, "epochs": values["epochs"]}

    monkeypatch.setattr(subprocess, "run", run)
    experiment = experiments.get("shapes-limited")
    changed = dict(vars(experiment)) | {"run": cell}
    monkeypatch.setattr("sen_tf.experiments.get", lambda table: type(experiment)(**changed))
    return commands


def test_finished_runs_are_kept_and_the_others_made(tmp_path, fake, capsys):
    command = ["--table=shapes-limited", "--seeds=2", "--seed=5", f"--output={tmp_path}"]
    reproduce.main([*command, "--epochs=3"])
    assert len(fake) == 4 and all("--epochs=3" in each for each in fake)
    made = sorted(path.parent.name for path in tmp_path.glob(f"*/{RESULT}"))
    assert made == [f"{arm}-seed{seed}" for arm in ("nonequivariant", "sen") for seed in (5, 6)]
    text = (tmp_path / "table.md").read_text()
    assert "| sen | MRR % | 50 ± 0 | 99.9 | not reached |" in text
    report = json.loads((tmp_path / "table.json").read_text())
    assert text == pages.page(report)
    assert (report["seeds"], report["budget"]["sen"]) == ([5, 6], {"epochs": 3})
    assert {cell["arm"] for cell in report["cells"]} == {"nonequivariant", "sen"}
    repeat = "python -m sen_tf.reproduce --table=shapes-limited --seeds=2 --seed=5 --epochs=3"
    assert report["command"] == repeat
    reproduce.main([*command, "--epochs=3"])
    assert len(fake) == 4
    with pytest.raises(settings.UsageError, match="a run with --epochs=3, not 4; choose another"):
        reproduce.main([*command, "--epochs=4"])
    with pytest.raises(settings.UsageError, match="a run with --epochs=3, not 2; choose another"):
        reproduce.main(command)  # what is not typed counts, too
    one = [*command, "--only=sen", "--seeds=1"]
    with pytest.raises(settings.UsageError, match="a run with --epochs=3, not 5; choose another"):
        reproduce.main([*one, "--epochs=5"])
    capsys.readouterr()
    reproduce.main([*one, "--epochs=3"])
    assert capsys.readouterr().out == f"kept {tmp_path}/sen-seed5/{RESULT}\n"
    assert len(fake) == 4


def test_several_arms_may_be_asked_for(tmp_path, fake):
    command = ["--table=shapes-limited", "--only=sen,nonequivariant", "--seeds=1"]
    reproduce.main([*command, f"--output={tmp_path}"])
    made = sorted(path.parent.name for path in tmp_path.glob(f"*/{RESULT}"))
    assert made == ["nonequivariant-seed1", "sen-seed1"] and len(fake) == 2
    report = json.loads((tmp_path / "table.json").read_text())
    assert {cell["arm"] for cell in report["cells"] if cell["ours"]} == {"nonequivariant", "sen"}


def test_the_table_is_named_as_any_flag(tmp_path):
    file = tmp_path / "table.cfg"
    file.write_text("--table=shapes-limited\n")
    for words in (["--table", "shapes-limited"], ["-table=shapes-limited"], [f"--flagfile={file}"]):
        asked, environment, *_ = reproduce.parse([*words, "--output", "here"])
        assert (asked.table, asked.output) == ("shapes-limited", "here")
        assert environment.env == "shapes"


def test_one_cell_runs_in_this_process(tmp_path, fake, capsys):
    command = ["--table=shapes-limited", "--only=sen", "--seed=2", "--seeds=1"]
    reproduce.main([*command, f"--output={tmp_path}"])
    assert fake == [] and not (tmp_path / "table.md").exists()
    result = json.loads((tmp_path / "sen-seed2" / RESULT).read_text())
    assert (result["arm"], result["seed"]) == ("sen", 2)
    assert result["settings"]["train_actions"] == ["up"]
    assert set(result["versions"]) == {"sen_tf", "keras", "tensorflow"}
    with pytest.raises(settings.UsageError, match="is of nonequivariant, sen, not tfn"):
        reproduce.main(["--table=shapes-limited", "--only=sen,tfn"])


def test_the_gallery_names_every_table(capsys):
    reproduce.main(["--list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(experiments.TABLES)
    assert all(re.search(r"arXiv \d{4}\.\d{5} ", line) for line in lines)


@pytest.mark.parametrize(
    "command, message",
    [
        (["--table=cubes-limited", "--model=sen"], "--model is set by the table cubes-limited"),
        (["--table=cubes", "--train_actions=up"], "--train_actions is set by the table cubes"),
        (["--table=teapot-small", "--rotations=large"], "--rotations is set by the table"),
        (["--table=sequence", "--epochs=4"], "--epochs is not a flag of this program"),
        (["--table=cube"], "cubes"),
    ],
)
def test_what_a_table_sets_nobody_types(command, message, tmp_path):
    with pytest.raises(settings.UsageError, match=message):
        reproduce.main([*command, f"--output={tmp_path}"])
    assert not list(tmp_path.iterdir())


def test_a_table_of_one_arm_is_made_in_processes_of_its_own(tmp_path, capfd):
    command = ["--table=exact-sampling", "--only=naive", "--seeds=2", "--starts=2"]
    reproduce.main([*command, f"--output={tmp_path}/t"])
    assert "run 2 of 2: naive, seed 2" in capfd.readouterr().out
    assert all((tmp_path / "t" / f"naive-seed{seed}" / RESULT).exists() for seed in (1, 2))
    assert "| naive |" in (tmp_path / "t" / "table.md").read_text()


@pytest.mark.usefixtures("unexported")
def test_a_run_of_the_papers_tables_is_a_world_model_that_is_trained_and_scored(tmp_path):
    tiny = ("--train_episodes=100", "--eval_episodes=40", "--hidden=8", "--filters=4", "--epochs=1")
    command = ["--table=shapes-limited", "--only=sen", "--seeds=1", f"--output={tmp_path}/t"]
    reproduce.main([*command, "--preset=quick", *tiny, f"--data_dir={tmp_path}"])
    run = tmp_path / "t" / "sen-seed1"
    assert (run / "model.keras").exists()
    assert 0 < json.loads((run / RESULT).read_text())["found"]["mrr"] <= 100


def test_recipes_of_one_step_are_scored_by_it(tmp_path, monkeypatch):
    scores = {"steps": {"1": {"hits@1": 0.5, "hits@10": 1.0, "mrr": 0.75}}, "symmetry": None}
    summary = {"scores": scores, "history": [{"val_skill": 0.25, "val_z_norm": 2.0}]}
    summary |= {"transitions_seen": 64, "preset": "quick", "precision": "float32"}
    monkeypatch.setattr(training_run, "run", lambda *_: types.SimpleNamespace(summary=summary))
    chosen = reproduce.parse(["--table=recipes", "--env=reacher"])[1:]
    found = experiments.get("recipes").run("fast", chosen, 3, tmp_path)
    assert (found["hits@1"], found["val_skill"]) == (50.0, 0.25)


def test_recipes_are_compared_and_drawn(tmp_path):
    size = ("--fast_epochs=1", "--paper_epochs=1", "--seeds=1", f"--data_dir={tmp_path}/data")
    recipes = experiments.get("recipes")
    assert reproduce.parse(["--table=recipes", *size])[1].fast_epochs == 1
    for arm, skills in (("fast", (0.1, 0.9)), ("paper", (0.0, 0.2))):
        history = [{"transitions": 10 * n, "val_skill": s} for n, s in enumerate(skills, 1)]
        (tmp_path / f"{arm}-seed1").mkdir()
        (tmp_path / f"{arm}-seed1" / "metrics.json").write_text(json.dumps({"history": history}))
    (file,) = recipes.draw(tmp_path)
    assert file.stat().st_size > 5000


def test_each_negative_part_is_tried_where_the_table_says(tmp_path, monkeypatch):
    last = {"hits@1": 0.5, "hits@10": 1.0, "mrr": 0.75}
    history = [{"val_skill": 0.2, "val_z_norm": 3.0}, {"val_skill": 0.9, "val_z_norm": 2.0}]
    summary = {"scores": {"steps": {"1": last}, "symmetry": None}, "history": history}
    summary |= {"transitions_seen": 64, "preset": "quick", "precision": "float32"}
    losses = {}

    def trained(chosen, directory):
        losses[directory.name] = chosen.loss
        return types.SimpleNamespace(summary=summary)

    monkeypatch.setattr(training_run, "run", trained)
    table, chosen = experiments.get("negatives"), reproduce.parse(["--table=negatives"])[1:]
    for arm in table.arms:
        found = table.run(arm, chosen, 3, tmp_path / arm)
        assert (found["val_skill"], found["z_norm"], found["mrr"]) == (0.9, 3.0, 75.0)
        env, part = arm.split("-")
        assert losses[arm].negative_part == part.removesuffix("_contrast")
        contrasted = env in ("shapes", "cubes", "rush_hour") and part != "uniformity"
        assert (losses[arm].action_contrast > 0) == contrasted


def test_negative_parts_are_drawn(tmp_path):
    for arm in experiments.get("negatives").arms:
        row = {"transitions": 10, "val_skill": 0.2, "val_z_norm": 3.0}
        (tmp_path / f"{arm}-seed1").mkdir()
        (tmp_path / f"{arm}-seed1" / "metrics.json").write_text(json.dumps({"history": [row]}))
    (file,) = experiments.get("negatives").draw(tmp_path)
    assert file.stat().st_size > 5000


@pytest.mark.slow
def test_the_plateau_is_left_sooner_by_transitions_that_start_at_zero(tmp_path):
    command = ["--table=plateau", "--steps=200", "--seeds=1", f"--output={tmp_path}"]
    for arm in ("random", "zero"):
        reproduce.main([*command, f"--only={arm}"])
    found = {
        arm: json.loads((tmp_path / f"{arm}-seed1" / RESULT).read_text())["found"]
        for arm in ("random", "zero")
    }
    assert found["zero"]["skill_200"] > found["random"]["skill_200"]
    assert 0 <= found["zero"]["hits@1"] <= 100 and found["zero"]["steps"] == 200


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(settings.UsageError, match="thesis.tex, which is no run of a table"):
        reproduce.main(["--table=cubes-limited", f"--output={tmp_path}"])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
