"""Whether the PyTorch peers compute what our models compute, and how many parameters both have.

Run with: python -m benchmarks.peers [--env=cubes]

Both get the same weights and the same transitions. States, predictions and the loss of the same
negatives are compared in float32: in evaluation, with moving statistics, and in training, where the
peer embeds both frames in one pass for once, so that batch statistics are the same. Printed are the
largest differences, relative to the largest number; those over 1e-4 are an error.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import torch
from keras import ops

from benchmarks import torch_models, torch_weights
from sen_tf.envs import ENVS
from sen_tf.experiments import networks
from sen_tf.losses import contrastive_hinge

TOLERANCE = 1e-4
STATE_SCALE = 0.1
"""Of random states: some of their energies are below the hinge and some above."""
HIDDEN = {"cubes": 256, "shapes": 256, "reacher": 181, "reacher-65": 16}
FILTERS = 32


def make_pair(env, hidden, filters):
    """A peer, and the model of ours with the same weights, biases and statistics not zero."""
    torch.manual_seed(0)
    peer = torch_models.make_model(env, hidden, filters)
    torch_weights.randomize(peer, np.random.default_rng(0))
    name, _, pixels = env.partition("-")
    world = ENVS[name](size=int(pixels)) if pixels else ENVS[name]()
    model = networks.make_model(world, "sen", hidden, filters, "float32")
    model.compile(loss=networks.make_loss(name))
    torch_weights.give_weights(peer, model)
    return peer, model


def compare(peer, model, batch):
    """The largest differences of the two in what they make of a batch, and in its loss.

    Args:
        peer, model: What `make_pair` returns; the moving statistics of both are updated.
        batch: What `torch_models.random_batch` returns.

    Returns:
        Dict from what is compared to the difference, relative to the largest number.
    """
    order = np.roll(np.arange(len(batch["action"])), 1)
    differences = {}
    for training in (False, True):
        found = _outputs_of_peer(peer, batch, order, training)
        expected = _outputs_of_model(model, batch, order, training)
        for name, value in expected.items():
            key = f"{name}, training" if training else name
            differences[key] = _difference(value, found[name])
    # The states of noise are so close to each other that their negatives hardly count.
    states = STATE_SCALE * np.random.default_rng(2).normal(size=(3, *found["state"].shape))
    states = states.astype(np.float32)
    found = peer.contrast(*torch.from_numpy(states), order).numpy()
    differences["loss of random states"] = _difference(_loss(model, *states, order), found)
    return differences


def _outputs_of_peer(peer, batch, order, training):
    peer.train(training)
    with torch.no_grad():
        frames = torch.cat([batch["obs"], batch["next_obs"]])
        state, next_state = peer.encode(frames).chunk(2)
        predicted = peer.step(state, batch["action"])
        outputs = {"state": state, "predicted": predicted, "next_state": next_state}
        if training:
            loss = peer.contrast(state, predicted, next_state, order)
        else:
            loss = peer.loss(batch, order)
    return {name: _as_ours(value) for name, value in outputs.items()} | {"loss": loss.numpy()}


def _as_ours(states):
    """States `(batch, fields * 8, 1, 1)` of e2cnn as `(batch, 8, fields)`; others as they are."""
    states = states.numpy()
    if states.shape[2:] == (1, 1):
        return states.reshape(len(states), -1, 8).swapaxes(1, 2)
    return states


def _outputs_of_model(model, batch, order, training):
    images = {name: batch[name].permute(0, 2, 3, 1).numpy() for name in ("obs", "next_obs")}
    outputs = model({**images, "action": batch["action"].numpy()}, training=training)
    outputs = {name: ops.convert_to_numpy(value) for name, value in outputs.items()}
    states = (outputs[name] for name in ("state", "predicted", "next_state"))
    return {**outputs, "loss": _loss(model, *states, order)}


def _loss(model, state, predicted, next_state, order):
    settings = model.loss.hinge, model.loss.sigma, model.loss.object_axis
    terms = contrastive_hinge(predicted, next_state, state, [state[order]], *settings)
    return ops.convert_to_numpy(ops.mean(sum(terms)))


def _difference(expected, found):
    if expected.shape != found.shape:
        raise ValueError(f"expected an array of shape {expected.shape}, got {found.shape}")
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def check(differences):
    """Raises a ValueError unless all differences are within the tolerance; nan is not."""
    within = {name for name, value in differences.items() if value <= TOLERANCE}
    wrong = [f"{k} by {value:.1e}" for k, value in differences.items() if k not in within]
    if wrong:
        raise ValueError(f"expected differences of at most {TOLERANCE:.0e}, got {', '.join(wrong)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", choices=list(HIDDEN), action="append", help="default: all")
    parser.add_argument("--hidden", type=int, help="default: that of the paper")
    parser.add_argument("--filters", type=int, default=FILTERS)
    parser.add_argument("--batch_size", type=int, default=8)
    arguments = parser.parse_args()
    for env in arguments.env or HIDDEN:
        peer, model = make_pair(env, arguments.hidden or HIDDEN[env], arguments.filters)
        batch = torch_models.random_batch(env, arguments.batch_size, np.random.default_rng(1))
        differences = compare(peer, model, batch)
        for name, value in differences.items():
            print(f"{env:8} {name:22}{value:10.1e}")
        check(differences)
        count = sum(weights.numel() for weights in peer.parameters())
        ours = sum(weights.numpy().size for weights in model.trainable_weights)
        print(f"{env:8} parameters: {ours:,}, peer {count:,}")


if __name__ == "__main__":
    main()
