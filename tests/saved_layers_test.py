"""Files of layers that earlier versions wrote open, and give the numbers they gave."""

import keras
import numpy as np
import pytest

from sen_tf import layers
from tests.saved_layers import FOLDER, compute

FILES = sorted(FOLDER.glob("*/*.keras"))


def test_every_layer_has_a_file():
    public = {name for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    assert {path.stem for path in FILES} == public


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}-{path.stem}" for path in FILES])
def test_files_of_earlier_versions(path):
    numbers = np.load(path.parent / "numbers.npz")
    model, expected = keras.models.load_model(path), numbers[f"{path.stem}/output"]
    found = compute(model, [numbers[f"{path.stem}/{n}"] for n in range(len(model.inputs))])
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def field_of_points():
    inputs = [keras.Input((6, 1, 2)), keras.Input((6, 3))]
    return keras.Model(inputs, layers.TensorFieldConv(8, 1, 2.0)(*inputs))


@pytest.mark.filterwarnings("ignore:A dense layer inside another layer is not quantized")
@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.Sequential([keras.Input((4, 8)), layers.InvariantHead("C4", 10)]),
        lambda: keras.Sequential([keras.Input((4, 8)), layers.GatedActivation()]),
        field_of_points,
    ],
    ids=["head", "gates", "points"],
)
def test_a_quantized_model_is_saved_and_loaded(make, tmp_path):
    model = make()
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = [np.random.default_rng(0).random((2, *i.shape[1:]), "float32") for i in model.inputs]
    x = x if len(x) > 1 else x[0]
    np.testing.assert_array_equal(loaded(x), model(x))
