"""Bad input of `explain` is an error that says what to do; reports are values."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from sen_tf.groups import Field
from sen_tf.layers import GroupPooling, LiftingConv2D
from sen_tf.symmetry import LayerRecord, Report, explain
from tests.symmetry import planted

X = np.random.default_rng(0).normal(size=(2, 9, 9, 3)).astype("float32")


def network(side=9, rows=None):
    image = keras.Input((rows or side, side, 3), name="image")
    return keras.Model(image, GroupPooling()(LiftingConv2D("C4", 4, 3, name="lift")(image)))


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(x)


def nan():
    return np.where(np.arange(3) == 1, np.nan, X)


def dead():
    image = keras.Input((9, 9, 3))
    return keras.Model(image, layers.ReLU()(layers.Rescaling(0.0, name="zero")(image)))


def overflowing():
    image = keras.Input((9, 9, 3))
    return keras.Model(image, layers.Rescaling(1e30, name="huge")(layers.Rescaling(1e30)(image)))


def cloud():
    points = keras.Input((5, 7, 3, 2, 2), name="points")
    return keras.Model(points, layers.ReLU()(points))


WRONG = {
    "own": (lambda: explain(Own(), X, "C4"), "code of its own, pass a part that is functional"),
    "layer": (lambda: explain(layers.Dense(3), X, "C4"), r"wrap a layer as keras.Sequential"),
    "unbuilt": (
        lambda: explain(keras.Sequential([layers.Dense(3)]), X, "C4"),
        "call it on data, or begin it with keras.Input",
    ),
    "group": (lambda: explain(network(), X, "C3"), "`group` to be one of C1, C2, C4, D1, D2, D4"),
    "name": (lambda: explain(network(), X, "Z4"), "Expected `group` to be a FiniteGroup"),
    "moves": (lambda: explain(network(), X, "C4", moves="rotation"), "Expected `moves` to be one"),
    "oblong": (
        lambda: explain(network(9, 7), X[:, :7], "C4"),
        "to be square images or .* for C4, whose quarter turns exchange their sides",
    ),
    "shape": (lambda: explain(network(), X[:, :7], "C4"), r"\(None, 9, 9, 3\) for `image`"),
    "rank": (lambda: explain(network(), X[0], "C4"), r"received \(9, 9, 3\)"),
    "number": (lambda: explain(network(), [X, X], "C4"), "an array for each input, image"),
    "empty": (lambda: explain(network(), X[:0], "C4"), r"received \(0, 9, 9, 3\)"),
    "nan": (lambda: explain(network(), nan(), "C4"), "Expected `inputs` to be finite"),
    "zeros": (lambda: explain(dead(), X, "C4"), "not all zero.*received zeros, from `zero` on"),
    "infinity": (lambda: explain(overflowing(), X, "C4"), "infinity from layer `huge`"),
    "field": (lambda: explain(cloud(), X, "C4"), "Expected `fields` to say how input `points`"),
    "no_layer": (
        lambda: explain(network(), X, "C4", {"lifting": Field("C4")}),
        "to name inputs or layers, of .*lift; received lifting",
    ),
    "no_field": (lambda: explain(network(), X, "C4", {"lift": "regular"}), "hold a Field for each"),
    "wrong_field": (
        lambda: explain(network(), X, "C4", {"image": Field("C4", "regular")}),
        "Expected `inputs` to be a field regular C4 for `image`",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_is_named(name):
    call, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_an_output_that_is_always_the_same_hides_effects():
    model = planted.chain(images=layers.Conv2D(4, 3, name="guilty"))
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([0 * kernel, 0 * bias + 0.5])
    report = explain(model, planted.images(model), "C4")
    assert report.culprit.layer == "guilty" and not report.culprit.is_harmless
    assert report.layers[-1].verdict == "dead" and "same for all inputs" in report.conclusion


def test_a_report_is_a_value_that_json_has():
    model = planted.randomized(planted.FAULTS["plain_conv"][0]())
    report = explain(model, planted.images(model), "C4")
    loaded = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert loaded == report and hash(loaded) == hash(report)
    assert loaded.worst == report.culprit and loaded.suspects[0] == report.culprit


def test_a_report_prints_a_table_and_a_conclusion():
    record = LayerRecord(
        "conv", "Conv2D", (9, 9, 3), "image", "broken", 0.5, 1.0, 2e-5, "1", "it turns"
    )
    layer = LayerRecord("add", "Add", (9, 9, 3), "unknown", "unknown", *[float("nan")] * 3)
    report = Report("net", "C4", "elements", 0.25, 1e-5, (layer, record))
    assert str(report).splitlines() == [
        "layer  output     field      own  accumulated   effect  verdict",
        "add    (9, 9, 3)  unknown      -            -        -  unknown",
        "conv   (9, 9, 3)  image    0.500        1.000  2.0e-05  broken",
        "",
        "`conv` breaks C4: it turns. The network's error is 0.250.",
    ]
