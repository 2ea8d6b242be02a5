"""Exports a model in every format and reads it with independent programs.

Run with: python -m benchmarks.readers [--run=DIR] [--env=cubes --model=sen] [--plain]

Prints, for each reader and endpoint, the largest difference from Keras in float32, relative to the
largest number there. Readers run in processes that cannot import sen_tf, those of OpenVINO, ONNX
Runtime and LiteRT without TensorFlow too. Without a run it takes a small fresh model.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

import keras
import numpy as np

from benchmarks.read_exports import ENDPOINTS, READERS, WITHOUT_TENSORFLOW
from sen_tf import export
from sen_tf.experiments import networks
from sen_tf.export.formats import WRITERS
from sen_tf.testing import randomize_weights

TOLERANCE = 1e-5


def fresh_model(env, arm, dtype="mixed_bfloat16"):
    """A small model none of whose layers is zero, as those of a new transition are."""
    keras.utils.set_random_seed(0)
    model = networks.make_model(env, arm, hidden=8, filters=8, dtype=dtype)
    randomize_weights(model)
    return model


def make_inputs(model, rng, count=5, steps=4):
    """Random images and actions, and the states of these images."""
    image = rng.integers(0, 256, (count, *model.embedding.input_shape[1:]), dtype=np.uint8)
    action = model.transition.inputs[1]
    shape = (count, steps, *action.shape[1:])
    numbers = rng.integers(0, 20, shape) if "int" in action.dtype else rng.uniform(-1, 1, shape)
    actions = numbers.astype(action.dtype)
    return {
        "image": image,
        "image_float": image.astype(np.float32) / 255,
        "state": np.asarray(model.encode(image)),
        "action": actions[:, 0],
        "actions": actions,
    }


def expected_outputs(model, inputs):
    """What Keras makes of the inputs, an array an endpoint."""
    outputs = {
        "encode": inputs["state"],
        "encode_float": model.encode(inputs["image_float"]),
        "step": model.step(inputs["state"], inputs["action"]),
        "rollout": model.rollout(inputs["state"], inputs["actions"]),
    }
    return {name: np.asarray(value) for name, value in outputs.items()}


def with_other_defaults(saved_model, directory):
    """Copies of a SavedModel, one an endpoint, which is its default signature."""
    from tensorflow.core.protobuf import saved_model_pb2

    for endpoint in ENDPOINTS:
        shutil.copytree(saved_model, directory / endpoint)
        path = directory / endpoint / "saved_model.pb"
        content = saved_model_pb2.SavedModel.FromString(path.read_bytes())
        signatures = content.meta_graphs[0].signature_def
        signatures["serving_default"].CopyFrom(signatures[endpoint])
        path.write_bytes(content.SerializeToString())


def compare(model, folder, plain=False):
    """Exports a model below a folder and reads it.

    The .keras files are plain in any case: they are read by Keras alone.

    Returns:
        Dict from (reader, endpoint) to the largest difference from Keras, relative to the largest
        number there.
    """
    reference = export.for_inference(model)
    inputs = make_inputs(reference, np.random.default_rng(1))
    expected = expected_outputs(reference, inputs)
    np.savez(folder / "inputs.npz", **inputs)
    for form in WRITERS:
        export.export_model(model, folder / form, form, plain or form == "keras")
    with_other_defaults(folder / "saved_model" / "1", folder / "defaults")
    others = [reader for reader in READERS if reader not in WITHOUT_TENSORFLOW]
    for readers in (WITHOUT_TENSORFLOW, others):
        program = pathlib.Path(__file__).with_name("read_exports.py")
        command = [sys.executable, str(program), str(folder), *readers]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr[-3000:])
    return {
        (reader, endpoint): _difference(expected[endpoint], found)
        for reader in READERS
        for endpoint, found in np.load(folder / f"{reader}.npz").items()
    }


def _difference(expected, found):
    if (found.dtype, found.shape) != (np.float32, expected.shape):
        raise ValueError(f"expected float32 {expected.shape}, got {found.dtype} {found.shape}")
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", help="directory of a run that sen_tf.train wrote")
    parser.add_argument("--env", default="cubes", choices=list(networks.NETWORKS))
    parser.add_argument("--model", default="sen")
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    if options.run:
        model = keras.models.load_model(pathlib.Path(options.run) / "model.keras")
    else:
        model = fresh_model(options.env, options.model)
    with tempfile.TemporaryDirectory() as folder:
        found = compare(model, pathlib.Path(folder), options.plain)
    print(f"{'':16}" + "".join(f"{endpoint:>14}" for endpoint in ENDPOINTS))
    for reader in READERS:
        row = [found.get((reader, endpoint)) for endpoint in ENDPOINTS]
        print(f"{reader:16}" + "".join(f"{'-' if x is None else f'{x:.1e}':>14}" for x in row))
    print(f"largest: {max(found.values()):.1e}")


if __name__ == "__main__":
    main()
