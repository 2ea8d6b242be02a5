"""What layers take: arguments as Keras takes them, and inputs whose sizes a graph does not know."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from sen_tf.layers import (
    FieldBatchNormalization,
    FieldLayerNormalization,
    FromIrreps,
    GroupConv2D,
    GroupDense,
    GroupPooling,
    IrrepsDense,
    LiftingConv2D,
    OneHotActions,
    ProjectionConv2D,
    SpatialPooling2D,
    TensorFieldConv,
    ToIrreps,
    ToRegular,
)


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": (3, 3)},
        {"kernel_size": [3, 3], "strides": (1, 1)},
        {"kernel_size": np.int64(3), "filters": np.int32(2)},
        {"padding": "VALID", "data_format": "channels_last", "dilation_rate": (1, 1)},
    ],
)
@pytest.mark.parametrize("make", [LiftingConv2D, GroupConv2D, ProjectionConv2D])
def test_what_keras_takes_is_taken_and_saved_as_json(make, arguments):
    """Square pairs, NumPy's integers, which tuners give, and capital letters."""
    plain = make(group="C4", filters=2, kernel_size=3, name="layer").get_config()
    config = make(**{"group": "C4", "filters": 2, "kernel_size": 3, **arguments}).get_config()
    assert json.loads(json.dumps(config)) == {**plain, "name": config["name"]}


@pytest.mark.parametrize(
    "arguments",
    [
        {"pool_size": (2, 2), "strides": np.int64(2)},
        {"pool_size": np.int64(2), "strides": (2, 2), "padding": "VALID", "mode": "MAX"},
    ],
)
def test_pooling_takes_what_keras_takes(arguments):
    plain = SpatialPooling2D("C4", 2, 2, name="layer").get_config()
    config = SpatialPooling2D("C4", **arguments, name="layer").get_config()
    assert json.loads(json.dumps(config)) == plain


@pytest.mark.parametrize(
    "make",
    [
        lambda n: OneHotActions(n(3), n(4)),
        lambda n: ToRegular("C4", "standard", components=[n(1)]),
        lambda n: ToIrreps(n(1), n(2)),
        lambda n: FromIrreps(n(1)),
        lambda n: IrrepsDense(n(3)),
        lambda n: TensorFieldConv(n(3), n(1), n(2), n(8), n(16)),
        lambda n: GroupDense("C4", n(3)),
        lambda n: FieldBatchNormalization(momentum=n(0.5), epsilon=n(0.25)),
        lambda n: FieldLayerNormalization(epsilon=n(0.25)),
    ],
)
def test_numpys_numbers_are_taken_and_saved_as_json(make):
    def numpy(number):
        return np.int64(number) if isinstance(number, int) else np.float32(number)

    configs = [make(n).get_config() for n in (lambda number: number, numpy)]
    for config in configs:
        config.pop("name")
    assert json.loads(json.dumps(configs[1])) == configs[0]


FREE = (None, None, None, 3)


def strided():
    """A network whose images may have any size that its stride allows, and one it does not."""
    inputs = keras.Input(FREE[1:])
    lifted = LiftingConv2D("C4", 4, 3, strides=2, padding="same")(inputs)
    return keras.Model(inputs, GroupPooling()(lifted))


def traced(model, jit_compile):
    return tf.function(model, input_signature=[tf.TensorSpec(FREE)], jit_compile=jit_compile)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_graph_refuses_the_sizes_that_the_layer_refuses(jit_compile):
    model = strided()
    f = traced(model, jit_compile)
    np.testing.assert_allclose(f(noise(1, 31, 31, 3)), model(noise(1, 31, 31, 3)), atol=1e-6)
    for shape in ((1, 32, 32, 3), (1, 31, 32, 3), (1, 32, 31, 3)):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="not placed symmetrically|refused"
        ):
            f(noise(*shape))


def test_an_export_refuses_the_sizes_that_the_layer_refuses(tmp_path):
    strided().export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    assert exported.serve(noise(1, 31, 31, 3)).shape == (1, 16, 16, 4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not placed symmetrically"):
        exported.serve(noise(1, 32, 32, 3))


def test_with_a_stride_of_one_no_size_need_be_known():
    with pytest.raises(ValueError, match="a window of an odd number of pixels"):
        LiftingConv2D("C4", 2, 4, padding="same").build(FREE)
    layer = LiftingConv2D("C4", 2, 4)
    layer.build(FREE)
    f = traced(layer, False)
    assert f(noise(1, 6, 5, 3)).shape == (1, 3, 2, 4, 2)
    with pytest.raises(tf.errors.InvalidArgumentError):
        f(noise(1, 3, 6, 3))


def test_no_pixels_are_too_few():
    with pytest.raises(ValueError, match="at least 1 rows"):
        LiftingConv2D("C4", 2, 3, padding="same").build((None, 0, 5, 3))


def test_a_tensor_without_a_rank_is_refused():
    layer = LiftingConv2D("C4", 2, 3)
    layer.build(FREE)
    with pytest.raises(ValueError, match="rank"):
        tf.function(layer.call, input_signature=[tf.TensorSpec(None)]).get_concrete_function()
