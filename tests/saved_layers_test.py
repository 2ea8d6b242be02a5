"""Files of layers that earlier versions wrote open, and give the numbers they gave."""

import keras
import numpy as np
import pytest

from sen_tf import layers
from tests.saved_layers import FOLDER, compute

FILES = sorted(FOLDER.glob("*/*.keras"))


def test_every_layer_has_a_file():
    assert {path.stem for path in FILES} == set(layers.__all__)


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}-{path.stem}" for path in FILES])
def test_files_of_earlier_versions(path):
    numbers = np.load(path.parent / "numbers.npz")
    model, expected = keras.models.load_model(path), numbers[f"{path.stem}/output"]
    found = compute(model, [numbers[f"{path.stem}/{n}"] for n in range(len(model.inputs))])
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
