import json

import numpy as np
import pytest

from sen_tf import experiments
from sen_tf.envs.point_mass import PointMass
from sen_tf.experiments import equivariant_planning
from sen_tf.experiments.equivariant_planning import EquivariantPlanning


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_oracle_acts_well(dimensions):
    env = PointMass(dimensions)
    starts = env.sample_states(np.random.default_rng(0), 50)
    assert 47.5 < equivariant_planning.oracle(env, starts) < 50


@pytest.mark.parametrize(
    "arm",
    ["equivariant", *(pytest.param(arm, marks=pytest.mark.slow) for arm in ("augmented", "plain"))],
)
def test_an_arm_learns_and_the_equivariant_one_returns_the_same_where_turned(
    arm, tmp_path, monkeypatch
):
    monkeypatch.setattr(equivariant_planning, "LONGEST", 8)
    asked = EquivariantPlanning(steps=24, every=16, starts=1)
    experiment = experiments.get("equivariant-planning")
    directory = tmp_path / f"{arm}-seed0"
    directory.mkdir()
    found = experiment.run(arm, (asked,), 0, directory)
    assert set(experiment.metrics) <= set(found)
    curve = json.loads((directory / "curve.json").read_text())
    assert list(curve) == ["16", "24"] and curve["24"] == found["return_last"]
    assert found["turned"] < 1e-6 if arm == "equivariant" else found["turned"] > 1e-3
    assert [path.name for path in experiment.draw(tmp_path)] == ["returns.png"]
