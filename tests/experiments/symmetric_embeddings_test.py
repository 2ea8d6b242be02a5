import types

import pytest

from sen_tf.experiments import comparison, symmetric_embeddings, training_run

SCORES = {
    "episodes": 10,
    "steps": {
        str(step): {"hits@1": 0.5, "hits@10": 1.0, "mrr": 0.75 - step / 100, "die_model": 0.02}
        for step in (1, 10)
    },
    "symmetry": {"mean": {"ee_embedding": 0.125}},
    "hard_hits": {6: 0.5, 18: 0.25},
    "traversal_hits": {"yaw": 0.5, "pitch": 0.25, "roll": 1.0},
}
SUMMARY = {
    "scores": SCORES,
    "history": [{"val_skill": 0.25}, {"val_skill": 0.875}, {"val_skill": 0.5}],
    "best_epoch": 2,
    "transitions_seen": 640,
    "preset": "laptop",
    "precision": "float32",
}


@pytest.mark.parametrize("name", symmetric_embeddings.EXPERIMENTS)
def test_a_run_gives_the_metrics_of_its_table_and_what_it_cost(name, monkeypatch, tmp_path):
    monkeypatch.setattr(training_run, "run", lambda *_: types.SimpleNamespace(summary=SUMMARY))
    experiment = symmetric_embeddings.EXPERIMENTS[name]
    settings = experiment.parse(list(experiment.flags), *experiment.settings)
    found = experiment.run(experiment.arms[-1], settings, 3, tmp_path)
    cost = {"transitions_seen", "preset", "precision", "evaluation_episodes"}
    assert set(found) == {*experiment.metrics, *cost}
    horizon = 1 if name.startswith("reacher") else 10
    expected = {"mrr": 75.0 - horizon, "traversal_pitch": 25.0, "skill": 0.875}
    assert found == found | {key: expected[key] for key in expected if key in found}


def test_what_a_run_without_validation_did_not_measure_is_left_out(monkeypatch, tmp_path):
    summary = SUMMARY | {"history": [{}, {}]}
    monkeypatch.setattr(training_run, "run", lambda *_: types.SimpleNamespace(summary=summary))
    experiment = symmetric_embeddings.EXPERIMENTS["rush_hour"]
    settings = experiment.parse([*experiment.flags, "--validation=0"], *experiment.settings)
    found = experiment.run("sen", settings, 3, tmp_path)
    assert "skill" not in found
    run = {"seed": 3, "found": found, "date": "2026-01-01", "machine": "", "versions": {}}
    report = comparison.report("rush_hour", experiment, {"sen": [run | {"commit": None}]}, [])
    verdicts = {cell["metric"]: cell["verdict"] for cell in report["cells"][:5]}
    assert verdicts["skill"] == "not measured"
    assert verdicts["hits@1"] == "not reached"
