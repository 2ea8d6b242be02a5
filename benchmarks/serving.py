"""Serves an exported model by the protocol of TensorFlow Serving: its speed, and a soak.

Run with: python -m benchmarks.serving [--env=cubes --model=sen]
          python -m benchmarks.serving --requests=10000

Prints how long the exported encoder takes for batches of 1, 32 and 256 images, called in this
process and through gRPC (the service of benchmarks/prediction_service.py, not the real server),
beside Keras, in turn. With --requests it sends random good and bad requests instead, compares every
answer and prints the memory of this process, service and client.
"""

import argparse
import json
import os
import pathlib
import tempfile
import time
import urllib.error
import urllib.request
from typing import NamedTuple

import grpc
import keras
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_service_pb2_grpc as service_grpc

from benchmarks.prediction_service import connect, make_request, serve
from benchmarks.soak import resident
from benchmarks.timing import seconds
from sen_tf import export
from sen_tf.experiments import networks
from sen_tf.testing import randomize_weights

NAME = "cubes"
BATCHES = (1, 32, 256)
STEPS = 3
TOLERANCE = 1e-5  # of the largest number of an answer


def tiny_model():
    """A model none of whose layers is zero, as those of a new transition are."""
    keras.utils.set_random_seed(0)
    model = networks.make_model("cubes", "sen", hidden=4, filters=4, dtype="float32")
    randomize_weights(model)
    return model


def tolerance(expected):
    """How far an answer may be from these numbers."""
    return TOLERANCE * np.abs(expected).max()


def examples(model, rng, batch=3):
    """Yields (signature, inputs, name of the output, what Keras makes of them) of each endpoint."""
    image = rng.integers(0, 256, (batch, 50, 50, 3), dtype=np.uint8)
    scaled = rng.random(image.shape, dtype=np.float32)
    state = rng.normal(size=(batch, 5, 4, 2)).astype(np.float32)
    actions = rng.integers(0, 20, (batch, STEPS), dtype=np.int32)
    action = actions[:, 0]
    for signature, inputs, output, expected in (
        ("encode", {"image": image}, "state", model.encode(image)),
        ("encode_float", {"image": scaled}, "state", model.encode(scaled)),
        ("step", {"state": state, "action": action}, "next_state", model.step(state, action)),
        (
            *("rollout", {"state": state, "actions": actions}, "states"),
            model.rollout(state, actions),
        ),
    ):
        yield signature, inputs, output, np.asarray(expected)


# What is done to a good request, and the code that it then gets.


def _set(field, value):
    def spoil(request):
        setattr(request.model_spec, field, value)

    return spoil


def _other_version(request):
    request.model_spec.version.value = 7


def _damage(request):
    next(iter(request.inputs.values())).tensor_content = b"123"


def _drop(request):
    del request.inputs[next(iter(request.inputs))]


def _add(request):
    request.inputs["mask"].CopyFrom(tf.make_tensor_proto(0))


def _want(request):
    request.output_filter.append("mask")


def _change(function):
    def spoil(request):
        for name in {"image", "state"} & set(request.inputs):
            changed = function(tf.make_ndarray(request.inputs[name]))
            request.inputs[name].CopyFrom(tf.make_tensor_proto(changed))

    return spoil


BAD = {
    "another model": (_set("name", "nobody"), "NOT_FOUND"),
    "another version": (_other_version, "NOT_FOUND"),
    "another signature": (_set("signature_name", "decode"), "FAILED_PRECONDITION"),
    "damaged": (_damage, "INVALID_ARGUMENT"),
    "an input missing": (_drop, "INVALID_ARGUMENT"),
    "an input more": (_add, "INVALID_ARGUMENT"),
    "another output": (_want, "INVALID_ARGUMENT"),
    "fewer channels": (_change(lambda x: x[..., 1:]), "INVALID_ARGUMENT"),
    "fewer rows": (_change(lambda x: x[:, 1:]), "INVALID_ARGUMENT"),
    "no batch": (_change(lambda x: x[0]), "INVALID_ARGUMENT"),
    "an axis more": (_change(lambda x: x[..., None]), "INVALID_ARGUMENT"),
    "another dtype": (_change(lambda x: x.astype(np.float64)), "INVALID_ARGUMENT"),
    "text": (_change(lambda x: np.array(["x"])), "INVALID_ARGUMENT"),
}
BAD_REST = {
    "no JSON": (b"{", 400),
    "nothing": (b"{}", 400),
    "no rows": (b'{"instances": []}', 400),
    "ragged": (b'{"instances": [[1], [1, 2]]}', 400),
    "text for numbers": (b'{"instances": ["x"]}', 400),
    "too few axes": (b'{"instances": [[1, 2]]}', 400),
    "no dict": (b"[1, 2]", 400),
}


class Row(NamedTuple):
    """Where a soak stands: requests so far, the largest difference of an answer from Keras, what
    went wrong, and the memory of the process."""

    good: int
    bad: int
    difference: float
    wrong: list
    mib: float


def soak(model, folder, requests, intervals, rng):
    """Sends random requests, about every second one bad; yields a `Row` at `intervals`.

    Args:
        model: The model of 3D Blocks that was exported.
        folder: Where; its name is `NAME`.
        requests: How many.
        intervals: How many rows, a divisor of `requests`.
        rng: `numpy.random.Generator`.
    """
    pool = [example for batch in (1, 2, 3) for example in examples(model, rng, batch)]
    good = bad = 0
    wrong, largest = [], 0.0
    with serve(folder) as addresses, connect(addresses.grpc) as channel:
        predict = service_grpc.PredictionServiceStub(channel).Predict
        for count in range(1, requests + 1):
            example = pool[rng.integers(len(pool))]
            by_rest = rng.random() < 0.2
            if rng.random() < 0.5:
                bad += 1
                kind, code, found = (
                    _send_bad_rest(addresses.rest, rng)
                    if by_rest
                    else _send_bad(predict, example, rng)
                )
                if found != code:
                    wrong.append((kind, found))
            else:
                good += 1
                send, target = (_post, addresses.rest) if by_rest else (_send, predict)
                difference = _difference(example[-1], send(target, *example[:-1]))
                largest = max(largest, difference)
                if not difference <= TOLERANCE:
                    wrong.append((example[0], difference))
            if count % (requests // intervals) == 0:
                yield Row(good, bad, largest, list(wrong), resident(os.getpid()))


def _difference(expected, found):
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _send(predict, signature, inputs, output):
    response = predict(make_request(NAME, signature, inputs))
    return tf.make_ndarray(response.outputs[output])


def _send_bad(predict, example, rng):
    """What was wrong with a request, the code it should get, and the code it got."""
    kind = list(BAD)[rng.integers(len(BAD))]
    spoil, code = BAD[kind]
    request = make_request(NAME, *example[:2])
    spoil(request)
    try:
        predict(request)
    except grpc.RpcError as error:
        return kind, code, error.code().name
    return kind, code, "an answer"


def _url(address):
    return f"http://{address}/v1/models/{NAME}:predict"


def _post(address, signature, inputs, output):
    columns = {name: value.tolist() for name, value in inputs.items()}
    body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
    with urllib.request.urlopen(_url(address), body) as answer:
        return np.array(json.load(answer)["outputs"], np.float32)


def _send_bad_rest(address, rng):
    kind = list(BAD_REST)[rng.integers(len(BAD_REST))]
    body, code = BAD_REST[kind]
    try:
        urllib.request.urlopen(_url(address), body).close()
    except urllib.error.HTTPError as error:
        error.close()
        return kind, code, error.code
    return kind, code, "an answer"


def encoders(model, version, predict):
    """Functions from images to states, by name: Keras twice, the export twice."""
    served = tf.saved_model.load(str(version)).signatures["encode"]
    layers = [keras.layers.Rescaling(1 / 255), model.embedding, model.encoder]
    whole = keras.Sequential([keras.Input(model.embedding.input_shape[1:]), *layers])
    return {
        "model.predict": lambda x: whole.predict(x, batch_size=len(x), verbose=0),
        "model.encode": lambda x: model.encode(x).numpy(),
        "SavedModel": lambda x: served(image=tf.constant(x))["state"].numpy(),
        "gRPC": lambda x: _send(predict, "encode", {"image": x}, "state"),
    }


def measure(functions, images, limit):
    """Arrays of seconds of each function, called in turn for about `limit` seconds in all."""
    for function in functions.values():
        seconds(function, images)
    times = {name: [] for name in functions}
    end = time.perf_counter() + limit
    while time.perf_counter() < end:
        for name, function in functions.items():
            times[name].append(seconds(function, images))
    return {name: np.array(values) for name, values in times.items()}


def print_speed(model, folder, limit):
    version = export.export_model(model, folder)
    rng = np.random.default_rng(0)
    print("batch  calls                 median ms    p99 ms  images/s  of predict")
    with serve(folder) as addresses, connect(addresses.grpc) as channel:
        functions = encoders(model, version, service_grpc.PredictionServiceStub(channel).Predict)
        for batch in BATCHES:
            shape = (batch, *model.embedding.input_shape[1:])
            images = rng.integers(0, 256, shape, dtype=np.uint8)
            times = measure(functions, images, limit)
            reference = np.median(times["model.predict"])
            for name, values in times.items():
                median, slow = np.median(values), np.quantile(values, 0.99)
                print(
                    f"{batch:5} {len(values):6} {name:>15} {1e3 * median:14.2f} {1e3 * slow:9.2f} "
                    f"{batch / median:9.0f} {reference / median:10.2f}x"
                )


def print_soak(folder, requests, intervals):
    model = tiny_model()
    export.export_model(model, folder)
    print("    good      bad  largest difference   wrong       MiB")
    rows = []
    for row in soak(model, folder, requests, intervals, np.random.default_rng(0)):
        rows.append(row)
        print(
            f"{row.good:8,} {row.bad:8,} {row.difference:19.1e} {len(row.wrong):7} {row.mib:9.1f}",
            flush=True,
        )
    warm = rows[len(rows) // 5].mib
    print(f"growth after a fifth: {rows[-1].mib / warm - 1:+.1%}")
    if rows[-1].wrong:
        raise SystemExit(f"wrong: {rows[-1].wrong[:10]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="cubes", choices=list(networks.NETWORKS))
    parser.add_argument("--model", default="sen")
    parser.add_argument("--seconds", type=float, default=15, help="for each batch size")
    parser.add_argument("--requests", type=int, help="send so many instead of timing")
    parser.add_argument("--intervals", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder) / NAME
        if options.requests:
            print_soak(folder, options.requests, options.intervals)
        else:
            model = networks.make_model(options.env, options.model, dtype="float32")
            print_speed(model, folder, options.seconds)


if __name__ == "__main__":
    main()
