"""Tables of the paper: which runs they ask for, and what is said of their scores."""

import json
import subprocess

import pytest

from sen_tf import published, reproduce, sequence_labelling, settings, train
from sen_tf.experiments import world_models
from sen_tf.training import runs


def summary(seed, hits, ee):
    last = {"hits@1": hits, "hits@10": 1.0, "mrr": hits, "die_model": 0.02}
    symmetry = {"ee_embedding": ee, "die_embedding": 0.01}
    return {
        **{"seed": seed, "transitions_seen": 1000, "preset": "laptop", "precision": "float32"},
        "machine": "a machine",
        "scores": {
            "episodes": 100,
            "steps": {"1": {"hits@1": 1.0, "hits@10": 1.0, "mrr": 1.0}, "10": last},
            "symmetry": {"mean": symmetry},
        },
    }


def teapot_summary(seed, hard_hits, traversal_hits):
    done = summary(seed, 0.5, 0.06)
    done["scores"] |= {"hard_hits": hard_hits, "traversal_hits": traversal_hits}
    return done


def sequence_summary(seed, unseen):
    return {
        **{"seed": seed, "sequences_seen": 4000, "machine": "a machine"},
        "scores": {
            "sequences": 200,
            "accuracy": {"seen": 0.9, "unseen": unseen},
            "symmetry": {"mean": {"ee_embedding": 0.03}},
        },
    }


@pytest.mark.parametrize("name", published.TABLES)
def test_tables_have_arms_and_flags_that_their_program_takes(name):
    table = published.TABLES[name]
    for arm in table.published:
        if table.env:
            command = [f"--env={table.env}", *table.flags, f"--model={arm}"]
            assert world_models.choose(command).network.model == arm
        else:
            (labelling,) = settings.parse([f"--model={arm}"], sequence_labelling.Labelling)
            assert labelling.model == arm
    assert table.metrics


def test_a_table_shows_what_is_printed_for_some_arm_and_what_is_named():
    table = published.Table("cubes", (), {"sen": {"mrr": (99, 0)}}, unpublished=("hits@1",))
    assert table.metrics == ["hits@1", "mrr"]


@pytest.mark.parametrize(
    "metric, ours, published, expected",
    [
        ("hits@1", (100.0, 0.0), (99.9, 0), "better"),
        ("hits@1", (100.0, 0.5), (99.9, 0), "reached"),  # within our own deviation
        ("hits@1", (90.0, 1.0), (83.7, 36), "reached"),
        ("hits@1", (90.0, 1.0), (95.8, 0.7), "not reached"),
        ("ee_embedding", (0.5, 0.1), (0.96, 0), "better"),
        ("ee_embedding", (1.2, 0.1), (0.96, 0), "not reached"),
        ("ee_embedding", (1.2, 0.1), None, "no published value"),
    ],
)
def test_verdicts(metric, ours, published, expected):
    assert reproduce.verdict(metric, ours, published) == expected


def test_scores_are_those_of_the_last_horizon_over_all_seeds():
    done = [summary(1, 0.9, 1.0), summary(2, 0.7, 2.0)]
    assert reproduce.measured(done, "hits@1") == pytest.approx((80, 10))
    assert reproduce.measured(done, "ee_embedding") == pytest.approx((1.5, 0.5))
    assert reproduce.measured(done, "die_model") == pytest.approx((2, 0))


def test_scores_are_those_of_the_horizon_that_the_table_names():
    done = [summary(1, 0.9, 1.0), summary(2, 0.7, 2.0)]
    assert reproduce.measured(done, "hits@1", horizon=1) == (100, 0)
    table = published.TABLES["reacher"]
    cells = reproduce.compare(table, {"sen": done})
    ours = {cell["metric"]: cell["ours"] for cell in cells}
    assert ours == {"hits@10": (100, 0), "mrr": (100, 0), "ee_embedding": (1.5, 0.5)}
    verdicts = {cell["metric"]: cell["verdict"] for cell in cells}
    assert verdicts == {"hits@10": "reached", "mrr": "better", "ee_embedding": "not reached"}


def test_the_teapot_is_compared_by_hard_hits_and_traversals():
    done = teapot_summary(1, {"6": 0.9, "18": 1.0}, {"pitch": 1.0, "yaw": 0.5, "roll": 1.0})
    arms = ("nonequivariant", "sen", "tfn")
    cells = reproduce.compare(published.TABLES["teapot-large"], dict.fromkeys(arms, [done]))
    found = {(cell["arm"], cell["metric"]): cell for cell in cells}
    assert found["sen", "hard_hits@6"]["ours"] == (90, 0)
    assert found["sen", "hard_hits@18"]["verdict"] == "reached"
    assert found["sen", "traversal_yaw"]["verdict"] == "not reached"
    assert found["nonequivariant", "traversal_yaw"]["ours"] == (50, 0)
    assert found["nonequivariant", "traversal_yaw"]["verdict"] == "better"
    assert found["sen", "die_model"]["ours"] == pytest.approx((2, 0))
    assert found["tfn", "hard_hits@18"]["verdict"] == "no published value"
    small = reproduce.compare(published.TABLES["teapot-small"], {"tfn": [done]})
    assert [cell["metric"] for cell in small] == ["hard_hits@6", "ee_embedding"]


def test_sequences_are_compared_with_nothing_printed():
    summaries = {
        "nonequivariant": [sequence_summary(1, 0.8)],
        "sen": [sequence_summary(1, 0.875)],
    }
    cells = reproduce.compare(published.TABLES["sequence"], summaries)
    assert {cell["verdict"] for cell in cells} == {"no published value"}
    text = reproduce.markdown(cells, summaries, "sequence")
    assert "Seeds 1; 4,000 sequences seen, 200 to test; a machine." in text
    assert "| sen | accuracy, shifts unseen % | 87.5 ± 0 |  | no published value |" in text


def test_commands_are_those_of_the_table_s_program(tmp_path, monkeypatch):
    commands = []

    def fake(command):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", fake)
    for name, flags in (("cubes", {"preset": "quick"}), ("sequence", {})):
        reproduce._train(published.TABLES[name], flags, "sen", 4, tmp_path)
    cubes, sequence = (command[1:] for command in commands)
    assert cubes[:3] == ["-m", "sen_tf.train", "--train_actions="]
    assert {"--env=cubes", "--preset=quick", "--seed=4"} < set(cubes)
    output = f"--output={tmp_path}"
    assert sequence == ["-m", "sen_tf.sequence_labelling", "--model=sen", "--seed=4", output]


def test_finished_runs_are_kept_and_the_others_trained(tmp_path, monkeypatch, capsys):
    trained = []

    def fake(table, flags, arm, seed, run):
        trained.append((arm, seed))
        run.mkdir(parents=True)
        runs.write_json(run / runs.METRICS, summary(seed, 0.5, 1.0))

    monkeypatch.setattr(reproduce, "_train", fake)
    command = ["--table=shapes-limited", "--seeds=2", "--seed=5", f"--output={tmp_path}"]
    reproduce.main(command)
    assert sorted(trained) == [(arm, s) for arm in ("nonequivariant", "sen") for s in (5, 6)]
    text = (tmp_path / "table.md").read_text()
    assert "| sen | MRR % | 50 ± 0 | 99.9 ± 0 | not reached |" in text
    assert "Seeds 5, 6; 1,000 transitions" in text
    cells = json.loads((tmp_path / "table.json").read_text())
    assert {cell["arm"] for cell in cells} == {"nonequivariant", "sen"}
    reproduce.main(command)
    assert len(trained) == 4
    capsys.readouterr()


def test_a_table_of_one_arm_is_trained_in_processes_of_its_own(tmp_path, monkeypatch, capfd):
    tiny = ("--train_episodes=100", "--eval_episodes=40", "--hidden=8", "--epochs=1")
    table = published.Table("shapes", tiny, {"sen": {"mrr": (99.9, 0)}})
    monkeypatch.setitem(published.TABLES, "shapes-limited", table)
    command = ["--table=shapes-limited", "--preset=quick", "--seeds=1", f"--output={tmp_path}/t"]
    reproduce.main([*command, f"--data_dir={tmp_path}"])
    assert "1 of 1: sen, seed 1" in capfd.readouterr().out
    assert (tmp_path / "t" / "sen-seed1" / "model.keras").exists()
    assert "| sen | MRR % |" in (tmp_path / "t" / "table.md").read_text()


def test_flags_of_training_go_to_every_run(tmp_path, monkeypatch):
    commands = []

    def fake(command):
        commands.append(command)
        (run := tmp_path / f"sen-seed{len(commands)}").mkdir()
        runs.write_json(run / runs.METRICS, summary(len(commands), 0.5, 0.06))
        settings.save(run / runs.FLAGS, *train.parse(command[3:], *train.GROUPS)[:-1])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", fake)
    table = published.Table("cubes", ("--epochs=7",), {"sen": {"hits@1": (100, 0)}})
    monkeypatch.setitem(published.TABLES, "cubes-limited", table)
    asked = ["--table=cubes-limited", "--seeds=2", f"--output={tmp_path}"]
    reproduce.main([*asked, "--epochs=3"])
    found = [train.parse(command[3:], *train.GROUPS)[5] for command in commands]
    assert [(each.epochs, each.seed) for each in found] == [(3, 1), (3, 2)]
    reproduce.main([*asked, "--epochs=3"])
    with pytest.raises(settings.UsageError, match="a run with --epochs=3, not 4; choose another"):
        reproduce.main([*asked, "--epochs=4"])
    assert len(commands) == 2
    with pytest.raises(settings.UsageError, match="--epochs is no flag of the runs"):
        reproduce.main(["--table=sequence", "--epochs=4", f"--output={tmp_path}"])


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(settings.UsageError, match="thesis.tex, which is no run of a table"):
        reproduce.main(["--table=cubes-limited", f"--output={tmp_path}"])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
