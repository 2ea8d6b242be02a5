"""What we save is opened in a new process; what we export, in tests/export."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from sen_tf.experiments import networks

LOAD = """
import sys, keras, numpy as np, sen_tf
model = keras.models.load_model(sys.argv[1] + "/model.keras")
batch = np.load(sys.argv[1] + "/in.npz")
state = model.encode(batch["obs"])
np.savez(sys.argv[1] + "/out.npz", state=state, states=model.rollout(state, batch["actions"]))
"""


@pytest.fixture(scope="module", params=["float32", "mixed_bfloat16"])
def saved(request, tmp_path_factory):
    """A trained model's folder, and what the model gives here."""
    folder = tmp_path_factory.mktemp("saved")
    keras.utils.set_random_seed(0)
    model = networks.make_model("cubes", "sen", hidden=8, filters=4, dtype=request.param)
    model.compile("adam", jit_compile=False)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 8, 50, 50, 3), dtype=np.uint8)
    actions = rng.integers(0, 20, (8, 3)).astype(np.int32)
    data = {"obs": frames[0], "next_obs": frames[1], "action": actions[:, 0]}
    model.fit(data, epochs=2, batch_size=4, verbose=0)
    model.save(folder / "model.keras")
    np.savez(folder / "in.npz", obs=frames[0], actions=actions)
    state = model.encode(frames[0])
    return folder, np.array(state), np.array(model.rollout(state, actions))


def run(program, folder):
    root = pathlib.Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_load_model_is_bit_equal(saved):
    folder, state, states = saved
    run(LOAD, folder)
    out = np.load(folder / "out.npz")
    np.testing.assert_array_equal(out["state"], state)
    np.testing.assert_array_equal(out["states"], states)
