"""The files beside a SavedModel that TensorFlow Serving reads: warm-up requests and its config."""

import importlib.util
import os
import pathlib
import shlex
from collections.abc import Mapping

from sen_tf.export.endpoints import Endpoint

PACKAGE = "tensorflow-serving-api"
CONFIG = "models.config"
WARM_UP = "assets.extra/tf_serving_warmup_requests"


def is_installed() -> bool:
    """True if the messages of TensorFlow Serving are installed here."""
    return importlib.util.find_spec("tensorflow_serving") is not None


def write_warm_up(
    saved_model: str | os.PathLike[str], name: str, endpoints: Mapping[str, Endpoint]
) -> None:
    """Writes a request for each endpoint, which the server answers before it takes others.

    Args:
        saved_model: Path of the SavedModel.
        name: The model's name for the server.
        endpoints: Dict from names to (function, signature), a spec of each argument with `shape`,
            `dtype` and `name`; unknown sizes are 1 in the requests, and all numbers 0.
    """
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path = pathlib.Path(saved_model) / WARM_UP
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as file:
        for endpoint, (_, signature) in endpoints.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = endpoint
            for spec in signature:
                zeros = np.zeros([size or 1 for size in spec.shape], spec.dtype)
                request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(zeros))
            log = prediction_log_pb2.PredictLog(request=request)
            file.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def write_config(directory: pathlib.Path, name: str) -> None:
    """Writes `models.config` beside the versions: a server's list of models, of this one alone.

    A list that has the model already, perhaps beside others, stays.
    """
    path = directory / CONFIG
    if path.is_file() and f'"/models/{name}"' in path.read_text(encoding="utf-8"):
        return
    aside = directory / f".{CONFIG}.{os.getpid()}.tmp"
    aside.write_text(
        "model_config_list {\n"
        "  config {\n"
        f'    name: "{name}"\n'
        f'    base_path: "/models/{name}"\n'
        '    model_platform: "tensorflow"\n'
        "  }\n"
        "}\n",
        encoding="utf-8",
    )
    os.replace(aside, path)


def docker_command(directory: str | os.PathLike[str]) -> str:
    """The command line that serves a directory of versions: gRPC on port 8500, REST on 8501."""
    directory = pathlib.Path(directory).resolve()
    inside = f"/models/{directory.name}"
    mounted = shlex.quote(f"{directory}:{inside}:ro")
    config = shlex.quote(f"--model_config_file={inside}/{CONFIG}")
    return f"docker run --rm -p 8500:8500 -p 8501:8501 -v {mounted} tensorflow/serving {config}"
