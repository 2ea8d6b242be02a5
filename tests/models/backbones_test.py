"""Whole networks for images commute with their groups, before and after training."""

import keras
import numpy as np
import pytest

from sen_tf import explain, groups, models, to_plain
from sen_tf.groups import actions

ON_PIXELS = {"SO2": "C4", "O2": "D4", "C8": "C4", "D6": "D2"}
"""The elements of a group that map pixels to pixels, where that is not all of them."""


@pytest.fixture(autouse=True)
def seeded():
    """New weights are the same in every run."""
    keras.utils.set_random_seed(0)


def make(kind, group, **more):
    size = {"resnet": 33, "wide_resnet": 17, "unet": 16, "convnext": 16}[kind]
    arguments = {
        "resnet": {"width": 0.125, "classes": 5},
        "wide_resnet": {"depth": 10, "width": 1, "classes": 5},
        "unet": {"filters": 8, "depth": 2, "classes": 3},
        "convnext": {"depths": (1, 2, 1), "filters": (16, 16, 32), "classes": 5},
    }[kind]
    arguments |= {"classifier_activation": None}
    return getattr(models, kind)(group, (size, size, 2), **{**arguments, **more})


def images(model, count=2):
    shape = (count, *model.input_shape[1:])
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def largest_error(model, group):
    group = groups.get(ON_PIXELS.get(group, group))
    x = images(model)
    y, errors = np.array(model(x)), []
    for g in group.elements:
        found = np.array(model(actions.rotate_grid(x, group, g, axes=(1, 2))))
        expected = actions.rotate_grid(y, group, g, axes=(1, 2)) if y.ndim == 4 else y
        errors.append(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    return max(errors)


CASES = [
    *(("resnet", group) for group in ("C4", "D4", "C8", "D1")),
    *(("wide_resnet", group) for group in ("D4", "SO2", "O2", "D6")),
    *(("unet", group) for group in ("C4", "D4", "C8", "SO2", "O2")),
    *(("convnext", group) for group in ("D4", "C8")),
]


ORDINARY = {("resnet", "D4"), ("wide_resnet", "SO2"), ("unet", "C8"), ("convnext", "D4")}
"""One group per network in an ordinary run; the others take as long each."""


@pytest.mark.parametrize(
    "kind, group",
    [pytest.param(*case, marks=() if case in ORDINARY else pytest.mark.slow) for case in CASES],
)
def test_networks_commute_before_and_after_training(kind, group):
    model = make(kind, group)
    assert largest_error(model, group) < 1e-5
    x, rng = images(model, 8), np.random.default_rng(1)
    y = rng.integers(0, model.output_shape[-1], (8, *model.output_shape[1:-1]))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, run_eagerly=True)  # to trace takes longer
    before = model.evaluate(x, y, verbose=0)
    model.fit(x, y, epochs=4, batch_size=4, verbose=0)
    assert np.isfinite(before) and largest_error(model, group) < 2e-5


@pytest.mark.parametrize("kind", ["resnet", "wide_resnet", "unet", "convnext"])
def test_on_the_trivial_group_nothing_but_the_axis_is_there(kind):
    """The plain network: kernels of the shapes of Keras', and any size where none can break it."""
    model = make(kind, "C1")
    assert all(weight.shape[2] == 1 for weight in model.weights if weight.ndim == 5)
    if kind in ("resnet", "wide_resnet"):
        shape = (30, 31, 3)
        assert getattr(models, kind)("C1", shape, classes=2).output_shape == (None, 2)


@pytest.mark.parametrize("match, low, high", [("compute", 0.1, 0.16), ("parameters", 0.8, 1.25)])
def test_widths_match_compute_or_parameters(match, low, high):
    plain = models.wide_resnet("C1", (29, 29, 1), depth=10, width=4)
    ours = models.wide_resnet("D4", (29, 29, 1), depth=10, width=4, match=match)
    assert low < ours.count_params() / plain.count_params() < high


def test_the_plain_resnet_is_as_large_as_the_published_one():
    """11.69 million weights and statistics of batch normalization (torchvision: 11,689,512)."""
    model = models.resnet("C1", (97, 97, 3))
    statistics = sum(w.shape[0] for w in model.non_trainable_weights)
    assert model.count_params() - statistics == 11_689_512


@pytest.mark.parametrize("kind, group", [("resnet", "D4"), ("unet", "C4"), ("convnext", "D4")])
def test_the_plain_form_gives_the_same_numbers(kind, group):
    model = make(kind, group)
    x = images(model)
    y = np.array(model(x))
    np.testing.assert_allclose(to_plain(model)(x), y, atol=1e-5 * np.abs(y).max())


def test_features_without_the_top():
    model = make("resnet", "D4", include_top=False)
    assert model.output_shape == (None, 2, 2, 8, 8)
    assert explain(model, images(model), "D4").is_exact


def test_models_are_saved_and_loaded(tmp_path):
    model = make("unet", "O2")
    model.save(tmp_path / "unet.keras")
    loaded = keras.models.load_model(tmp_path / "unet.keras")
    np.testing.assert_array_equal(loaded(images(model)), model(images(model)))


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: models.resnet("C4", (96, 96, 3)),
            r"32 n \+ 1 rows, such as 65 or 97.*96",
        ),
        (lambda: models.resnet("D1", (96, 96, 3)), "columns.*received 96"),
        (lambda: models.unet("C1", (30, 32, 3), 2), "16 n rows, such as 16 or 32.*received 30"),
        (lambda: models.convnext("C4", (32, 40, 3)), "32 n columns, such as 32 or 64.*received 40"),
        (lambda: models.resnet("C4", (97, 97)), r"`input_shape`.*\(97, 97\)"),
        (lambda: models.resnet("C4", (97, 97, 3), depth=20), "`depth` to be 18, 34.*20"),
        (lambda: models.wide_resnet("C4", (33, 33, 3), depth=12), "`depth` to be 6 n.*12"),
        (lambda: models.resnet("C4", (97, 97, 3), match="speed"), "`match`.*'parameters'.*'speed'"),
        (lambda: models.convnext("SO2", (32, 32, 3)), "`group`.*'SO2'"),
        (
            lambda: models.convnext("C4", (32, 32, 3), (1, 1), (8,)),
            "equal length; received 2 and 1",
        ),
        (lambda: models.wide_resnet("C4", (33, 33, 3), width=0), "at least one filter.*received 0"),
        (lambda: models.unet("C4", (32, 32, 3), 2, filters=0), "at least one filter.*received 0"),
        (lambda: models.resnet("O", (97, 97, 3)), "cyclic or dihedral.*group=O"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
