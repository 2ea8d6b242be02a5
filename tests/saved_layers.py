"""Files of layers, each with its output, that later versions must open.

Run with: python -m tests.saved_layers tests/saved/0.1.0

It writes those that the folder lacks: a model of the first row that the conformance table has of a
layer, NAME.keras, and into numbers.npz the row's inputs, NAME/0 and so on, and what the model made
of them, NAME/output. Files that are there stay as they are: they are what users have.
"""

import pathlib
import sys

import keras
import numpy as np

import sen_tf  # noqa: F401, its classes are in the files
from sen_tf.testing import randomize_weights
from tests.conformance_table import ROWS

FIRST_ROWS = {name.split("-")[0]: row for name, row in reversed(ROWS.items())}
FOLDER = pathlib.Path(__file__).parent / "saved"


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "numbers.npz"
    numbers = dict(np.load(path)) if path.exists() else {}
    for name, row in sorted(FIRST_ROWS.items()):
        if (folder / f"{name}.keras").exists():
            continue
        inputs = row.symbolic()
        model = keras.Model(inputs, row.call(row.made(), *inputs))
        randomize_weights(model)
        model.save(folder / f"{name}.keras")
        numbers |= {f"{name}/{index}": x for index, x in enumerate(row.arrays)}
        numbers[f"{name}/output"] = compute(model, row.arrays)
        print(f"wrote {name}")
    np.savez_compressed(path, **numbers)


def compute(model, arrays):
    """The output in inference: that of training depends on random numbers."""
    return np.array(model(arrays, training=False))


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
