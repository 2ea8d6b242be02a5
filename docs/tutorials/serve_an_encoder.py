# %% [markdown]
# # Serve an encoder
#
# A trained world model is a handful of functions of tensors. This tutorial trains a small one,
# writes it as a SavedModel, and asks it for latent states from a process that has TensorFlow and
# nothing of ours. The states are the same, and so is their symmetry.
#
# Run it with `python docs/tutorials/serve_an_encoder.py`. It takes some 40 seconds of one CPU
# core.

# %%
import pathlib
import subprocess
import sys
import tempfile

import keras
import matplotlib.pyplot as plt
import numpy as np

from sen_tf import datasets, envs
from sen_tf.export import export_model
from sen_tf.groups import actions
from sen_tf.losses import ContrastiveLoss
from sen_tf.models import ContrastiveWorldModel, embeddings, encoders, transitions

EPISODES = 100
EPOCHS = 3

# %% [markdown]
# ## A small world model
#
# 2D Shapes: five sprites on a board, seen from above. An action pushes one of them by a cell: up,
# right, down or left, which a quarter turn counter-clockwise exchanges (`MOVES_CLOCKWISE`). All
# three parts of the model commute with the group C4. A few passes over 2,000 transitions are enough
# for a model to serve, not for a good one: for that, `python -m sen_tf.train --env=shapes`, which
# exports by itself.

# %%
keras.utils.set_random_seed(0)
env = envs.make("shapes")
blocks = list(datasets.collect(env, episodes=EPISODES, steps=20, seed=0))
frames = np.concatenate([block.observations for block in blocks])  # (episodes, 21, 50, 50, 3)
pushes = np.concatenate([block.actions for block in blocks])  # (episodes, 20)
data = {
    "obs": frames[:, :-1].reshape(-1, 50, 50, 3),
    "action": pushes.reshape(-1).astype("int32"),
    "next_obs": frames[:, 1:].reshape(-1, 50, 50, 3),
}

model = ContrastiveWorldModel(
    embeddings.conv_embedding("C4", (50, 50, 3), objects=5, filters=(4, 4)),
    encoders.object_encoder("C4", (50, 50, 5), hidden=(32, 32)),
    transitions.object_transition("C4", 5, hidden=32, moves=transitions.MOVES_CLOCKWISE),
)
model.compile(keras.optimizers.Adam(1e-3), loss=ContrastiveLoss())
model.fit(data, batch_size=50, epochs=EPOCHS, verbose=2)

# %% [markdown]
# ## Export
#
# `export_model` writes the next version below a folder, in the layout that TensorFlow Serving
# watches. Training ends with the same, and `python -m sen_tf.export --run=...` does it for a run
# that is there; other formats (ONNX, LiteRT, `.keras`) are in the [guide](../guides/serving.md).

# %%
workplace = pathlib.Path(tempfile.mkdtemp())
version = export_model(model, workplace / "shapes")
print("wrote", *sorted(path.name for path in version.iterdir()))

# %% [markdown]
# ## A client with TensorFlow alone
#
# The model's signature `encode` takes images as bytes, `(batch, 50, 50, 3)`, and gives states,
# `(batch, 5, 4, 2)`: five objects, each with two functions on the group C4. The program below runs
# in a process of its own and would fail if it met `sen_tf`.

# %%
CLIENT = """
import sys
import numpy as np
import tensorflow as tf

version, images, states = sys.argv[1:]
encode = tf.saved_model.load(version).signatures["encode"]
np.save(states, encode(image=tf.constant(np.load(images)))["state"])
assert "sen_tf" not in sys.modules
"""

(board,) = env.render_states(env.sample_states(np.random.default_rng(1), 1))
images = np.stack([actions.rotate_grid(board, "C4", g, axes=(0, 1)) for g in range(4)])
np.save(workplace / "images.npy", images)
files = (version, workplace / "images.npy", workplace / "states.npy")
subprocess.run([sys.executable, "-c", CLIENT, *map(str, files)], check=True)
served = np.load(workplace / "states.npy")

# %% [markdown]
# ## The same states, and the same symmetry
#
# The export computes in float32 whatever the precision of training. Keras and TensorFlow agree up
# to rounding: 6e-7, where states are of size one. The four images are one board, turned: the states
# are those of the first, moved along the axis of the group, from element g of C4 to element g + 1.

# %%
expected = keras.ops.convert_to_numpy(model.encode(images))
turned = np.stack([actions.act_on_regular(served[0], "C4", g) for g in range(4)])
print(f"served and Keras differ by at most {np.abs(served - expected).max():.1e}")
print(f"served and the first state, turned, by at most {np.abs(served - turned).max():.1e}")
np.testing.assert_allclose(served, expected, atol=1e-4)
np.testing.assert_allclose(served, turned, atol=1e-4)

# %%
figure, axes = plt.subplots(3, 4, figsize=(9, 7), layout="constrained")
scale = {"vmin": served[..., 0].min(), "vmax": served[..., 0].max()}
for g in range(4):
    axes[0, g].imshow(images[g])
    axes[0, g].set_title(f"turned by {90 * g}°")
    axes[0, g].set_axis_off()
    for row, states in ((1, expected), (2, served)):
        axis = axes[row, g]
        shown = axis.imshow(states[g, :, :, 0], **scale)
        axis.set_xticks(range(4), ["0", "1", "2", "3"])
        axis.set_yticks(range(5))
        axis.set_xlabel("element of C4")
axes[1, 0].set_ylabel("Keras\nobject")
axes[2, 0].set_ylabel("TensorFlow alone\nobject")
figure.colorbar(shown, ax=axes[1:], label="state, first channel")

folder = pathlib.Path("docs/images/tutorials")
folder.mkdir(parents=True, exist_ok=True)
figure.savefig(folder / "serve_an_encoder.png", dpi=120)

# %% [markdown]
# ![One board turned, and its latent states][states]
#
# Each column of a state moves one step to the right per quarter turn, and comes back in from the
# left. Where next: TensorFlow Serving, other formats and clients in the
# [guide to serving](../guides/serving.md).
#
# [states]: ../images/tutorials/serve_an_encoder.png
