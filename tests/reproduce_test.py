"""Tables of the paper: which runs they ask for, and what is said of their scores."""

import json

import pytest

from sen_tf import reproduce, runs, settings, train


def summary(seed, hits, ee):
    last = {"hits@1": hits, "hits@10": 1.0, "mrr": hits}
    symmetry = {"ee_embedding": ee, "die_embedding": 0.01, "die_model": 0.02}
    return {
        **{"seed": seed, "transitions_seen": 1000, "preset": "laptop", "precision": "float32"},
        "machine": "a machine",
        "scores": {
            "episodes": 100,
            "steps": {"1": {"hits@1": 1.0, "hits@10": 1.0, "mrr": 1.0}, "10": last},
            "symmetry": {"mean": symmetry},
        },
    }


def test_tables_have_flags_that_training_takes():
    assert set(reproduce.TABLES) == set(settings.TABLES)
    for table in reproduce.TABLES.values():
        options = settings.parse([f"--env={table.env}", *table.flags], train.FLAGS)
        assert options.env == table.env
        assert set(table.published) <= set(settings.ARMS)
        assert table.metrics


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


def test_finished_runs_are_kept_and_the_others_trained(tmp_path, monkeypatch, capsys):
    trained = []

    def fake(table, options, arm, seed, run):
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
    table = reproduce.Table("shapes", tiny, {"sen": {"mrr": (99.9, 0)}})
    monkeypatch.setitem(reproduce.TABLES, "shapes-limited", table)
    command = ["--table=shapes-limited", "--preset=quick", "--seeds=1", f"--output={tmp_path}/t"]
    reproduce.main([*command, f"--data_dir={tmp_path}"])
    assert "1 of 1: sen, seed 1" in capfd.readouterr().out
    assert (tmp_path / "t" / "sen-seed1" / "model.keras").exists()
    assert "| sen | MRR % |" in (tmp_path / "t" / "table.md").read_text()
