"""What layers and models must do under every backend of Keras.

Run with: KERAS_BACKEND=jax python -m tests.backend_checks FOLDER first

FOLDER holds models that TensorFlow wrote, and what it computed with them (`write_model`); of the
layers it checks some rows of the conformance table, or `all`. Prints what went wrong as JSON: a
message by name, empty where all is well.
"""

import json
import pathlib
import sys

import keras
import numpy as np
from keras import ops

import sen_tf
from sen_tf import losses, testing
from sen_tf.experiments import networks
from tests.conformance_table import ROWS
from tests.symmetry import planted

EPOCHS = 2
# After steps of training, in which statistics over two samples enlarge what rounding leaves: two
# libraries of convolutions make TensorFlow itself differ from itself by as much.
TOLERANCES = {"losses": 1e-3, "weight": 1e-4}
MODELS = {
    ("reacher", "sen"): {"negatives": [losses.Uniformity(), losses.ReversedFrames()]},
    # So that a model must know which step it is in.
    ("shapes", "nonequivariant"): {
        "transitions": 3,
        "negatives": [losses.OtherSamples(), losses.SameEpisode()],
        "variant": "predicted",
        "terms": [losses.ActionContrast(2, moves=4)],
        "object_hinge_steps": 2,
    },
    ("teapot", "sen"): {"hinge": 20.0, "terms": [losses.Alignment(2, epsilon=0.1)]},
}


def write_model(folder, env, arm, transitions=2, **loss):
    """Saves a new model of an arm, beside it a batch of data and what `train` makes of both."""
    path = folder / f"{env}-{arm}.keras"
    keras.utils.set_random_seed(0)
    model = networks.make_model(env, arm, 8, 4)
    for layer in model.encoder.layers:
        if hasattr(layer, "kernel_regularizer"):
            layer.kernel_regularizer = keras.regularizers.L2(1e-3)
    testing.randomize_weights(model.transition)  # it starts at "nothing moves"
    model.compile("sgd", networks.make_loss(env, **loss))
    model.save(path)
    batch = draw_transitions(model, np.random.default_rng(0), transitions)
    np.savez(path.with_suffix(".batch.npz"), **batch)
    np.savez(path.with_suffix(".found.npz"), **train(model, batch))


def draw_transitions(model, rng, count):
    """Transitions between random images, for batches of two, each of which can only be the other's
    negative; a third is alone in its batch and has none, for which everything compiles anew."""
    batch = networks.blank_transitions(model, count)
    images = {name: rng.integers(0, 256, batch[name].shape, np.uint8) for name in batch}
    action = batch["action"]
    if action.ndim == 3:
        drawn = np.linalg.qr(rng.standard_normal(action.shape))[0]
    else:
        drawn = rng.uniform(-1, 1, action.shape) if action.ndim > 1 else rng.integers(0, 20, count)
    return {**images, "action": drawn.astype(action.dtype)}


def train(model, batch):
    """The states of a batch, its loss before and during some steps, and the weights after them."""
    # TensorFlow, whose compiled steps other tests take, need not compile anything.
    eager = keras.backend.backend() == "tensorflow"
    optimizer = keras.optimizers.SGD(5e-3, global_clipnorm=1.0)
    model.compile(optimizer, model.loss, run_eagerly=eager)
    outputs = model.predict(batch, verbose=0)
    loss = model.evaluate(batch, batch_size=2, verbose=0, return_dict=True)["loss"]
    losses = model.fit(batch, batch_size=2, epochs=EPOCHS, shuffle=False, verbose=0).history["loss"]
    weights = {f"weight {k}": weight for k, weight in enumerate(model.get_weights())}
    return {**outputs, "loss": loss, "losses": losses, **weights}


def check_model(path):
    """A model that TensorFlow saved computes the same here, and learns the same."""
    expected, batch = (
        dict(np.load(path.with_suffix(f".{name}.npz"))) for name in ("found", "batch")
    )
    found = train(keras.models.load_model(path), batch)
    assert set(found) == set(expected), set(found) ^ set(expected)
    for name, array in expected.items():
        tolerance = TOLERANCES.get(name.split()[0], 1e-5)
        error = np.abs(found[name] - array).max() / max(1, np.abs(array).max())
        assert error <= tolerance, f"{name} is off by {error:.2g}"


def check_layer(name):
    """A layer commutes with its group in float32, and its gradients are finite."""
    case = ROWS[name]
    layer = case.made()
    case.call(layer, *case.symbolic())
    testing.randomize_weights(layer)
    weights = [weight.value for weight in layer.trainable_variables]

    def forward(weights, arrays):
        with keras.StatelessScope(list(zip(layer.trainable_variables, weights, strict=True))):
            return case.call(layer, *arrays)

    fast = compiled(forward)
    testing.assert_equivariant(
        lambda *arrays: fast(weights, arrays), case.inputs, case.group, case.act_in, case.act_out
    )
    for gradient in gradients(lambda *values: ops.sum(forward(*values) ** 2), weights, case.arrays):
        assert np.isfinite(ops.convert_to_numpy(gradient)).all(), "gradients are not finite"


def compiled(function):
    """Compiled by JAX, which is slow to call single operations for the first time."""
    if keras.backend.backend() == "torch":
        return function
    import jax

    return jax.jit(function)


def gradients(loss, weights, arrays):
    """Those of `loss(weights, arrays)` by all weights, and by all arrays but integers."""
    if keras.backend.backend() == "jax":
        import jax

        found = compiled(jax.grad(loss, argnums=(0, 1), allow_int=True))(weights, arrays)
        return [g for part in found for g in part if g.dtype != jax.dtypes.float0]
    import torch

    arrays = [torch.from_numpy(x) for x in arrays]
    leaves = [x.requires_grad_() for x in [*weights, *arrays] if x.is_floating_point()]
    return torch.autograd.grad(loss(weights, arrays), leaves) if leaves else []


def check_contract(name):
    """All that a layer promises."""
    case = ROWS[name]
    for check in testing.LAYER_CHECKS.values():
        check(case)


def check_imports():
    assert "tensorflow" not in sys.modules, "TensorFlow was imported"


def check_explanation(fault):
    """`explain` names the layer with a fault, and none where there is none."""
    make = planted.FAULTS[fault][0] if fault in planted.FAULTS else planted.unet
    model = planted.randomized(make())
    culprit = sen_tf.explain(model, planted.images(model), "C4").culprit
    assert (culprit and culprit.layer) == (None if fault == "clean" else "guilty"), culprit


def first_rows():
    """A row of each layer, all of the one that changes its state when it is called, and edges."""
    first = {name.split("-")[0]: name for name in reversed(ROWS)}.values()
    also = ("FieldBatchNormalization", "TensorFieldConv-1-2-neighbours")
    return [name for name in ROWS if name in first or name.startswith(also)]


def outcome(check, *arguments):
    try:
        check(*arguments)
    except Exception as error:  # whatever it is, the other checks go on
        return f"{type(error).__name__}: {error}"
    return ""


def main(folder, rows):
    checks = [(check_model, path) for path in pathlib.Path(folder).glob("*.keras")]
    checks += [(check_layer, name) for name in (ROWS if rows == "all" else first_rows())]
    if rows == "all":
        checks += [(check_contract, name) for name in ROWS]
    checks += [(check_explanation, name) for name in ("position_bias", "gru_over_pixels", "clean")]
    checks.append((check_imports,))
    names = [" ".join([check.__name__, *map(str, arguments)]) for check, *arguments in checks]
    print(json.dumps(dict(zip(names, (outcome(*check) for check in checks), strict=True))))


if __name__ == "__main__":
    main(*sys.argv[1:])
