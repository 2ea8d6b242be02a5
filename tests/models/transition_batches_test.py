"""Transitions and parts that a world model cannot take are refused at every door."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sen_tf import layers
from sen_tf.models import ContrastiveWorldModel, embeddings, transitions
from tests.models.trainer_test import IMAGE, data, small_embedding, small_encoder, small_model


def small_transition(objects):
    return transitions.object_transition("C4", objects, 8, moves=transitions.MOVES_CLOCKWISE)


def moved(**arrays):
    return {**data(8), **arrays}


LESS = {key: value for key, value in data(8).items() if key != "action"}
BAD = {
    "float images in 0..255": (
        moved(obs=data(8)["obs"].astype("float32"), next_obs=data(8)["obs"].astype("float32")),
        r"in \[0, 1\]; received numbers up to 255",
    ),
    "16 bits": (
        moved(obs=data(8)["obs"].astype("uint16"), next_obs=data(8)["obs"].astype("uint16")),
        "uint16",
    ),
    "integers out of range": (
        moved(obs=np.full((8, *IMAGE), 999), next_obs=np.full((8, *IMAGE), 999)),
        "0..255; received 999",
    ),
    "two dtypes": (moved(next_obs=data(8)["obs"] / np.float32(255)), "uint8 and float32"),
    "another size": (moved(obs=np.zeros((8, 18, 16, 3), "uint8")), r"16, 16, 3.*18, 16, 3"),
    "actions above": (moved(action=np.full(8, 8)), "0 to 7.*received 8"),
    "actions below": (moved(action=np.full(8, -1)), "0 to 7.*received -1"),
    "half an action": (moved(action=np.full(8, 0.5)), "0 to 7.*received 0.5"),
    "one-hot actions": (
        moved(action=np.eye(8, dtype="float32")),
        r"shape \(batch, \); received \([48], 8\)",
    ),
    "no actions": (LESS, "`obs`, `action` and `next_obs`.*'next_obs', 'obs'"),
    "no dict": ((data(8)["obs"], data(8)["action"]), "dict of `obs`"),
}


def doors(x):
    """The ways in, and what comes in by each."""

    def forever():
        while True:
            yield x

    class Sequence(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return x

    yield "fit", x, {}
    yield "evaluate", x, {}
    yield "predict", x, {}
    yield "fit", forever(), {"steps_per_epoch": 1}
    yield "fit", Sequence(), {}
    if isinstance(x, dict):
        yield "fit", tf.data.Dataset.from_tensor_slices(x).batch(4), {}
        yield "fit", data(8), {"validation_data": x}


@pytest.mark.parametrize("name", BAD)
def test_bad_transitions_are_refused_at_every_door(name):
    x, message = BAD[name]
    model = small_model()
    with pytest.raises(ValueError, match=message):
        model.check(x)
    if name != "half an action":  # which a transition reads as an integer
        with pytest.raises(ValueError):
            model(x)
    for method, given, arguments in doors(x):
        if not isinstance(x, dict):
            continue
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(given, verbose=0, **arguments)


def test_no_batch_of_a_generator_is_lost():
    seen, model = [], small_model()

    def batches():
        for k in range(3):
            seen.append(k)
            yield data(4 + k)

    history = model.fit(batches(), steps_per_epoch=3, verbose=0)
    assert int(model.optimizer.iterations) == 3 and history.epoch == [0]


def parts(embedding=None, encoder=None, transition=None):
    return (
        embedding or small_embedding(),
        encoder or small_encoder(),
        transition or small_transition(2),
    )


@pytest.mark.parametrize(
    "others, message",
    [
        (
            {"embedding": embeddings.conv_embedding("C1", IMAGE, objects=3, filters=(4,))},
            r"`encoder` takes features.*16, 2\).*`embedding` makes.*16, 3\)",
        ),
        ({"encoder": small_encoder(latent=3)}, r"`transition` takes states.*4, 2\).*4, 3\)"),
        (
            {
                "transition": transitions.object_transition(
                    "C4", 3, hidden=8, moves=transitions.MOVES_CLOCKWISE
                )
            },
            r"`transition` takes states.*3, 4, 2\).*`encoder` makes.*2, 4, 2\)",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(others, message):
    with pytest.raises(ValueError, match=message):
        ContrastiveWorldModel(*parts(**others))


def test_parts_of_different_groups_are_refused():
    """C4 and D2 both have four elements: shapes alone fit."""
    state, action = keras.Input((2, 4, 2)), keras.Input((), dtype="int32")
    transition = keras.Model([state, action], layers.GroupDense("D2", 2)(state))
    with pytest.raises(ValueError, match="C4 acts, but `transition` commutes with D2"):
        ContrastiveWorldModel(*parts(transition=transition))


def test_a_list_is_no_array():
    with pytest.raises(ValueError, match="`action` to be an array; received a list"):
        small_model().fit(moved(action=list(range(8))))


def test_arrays_of_other_lengths_are_told():
    with pytest.raises(ValueError, match="as many of each of the arrays; received {.*'action': 5"):
        small_model().fit(moved(action=np.zeros(5, int)))
