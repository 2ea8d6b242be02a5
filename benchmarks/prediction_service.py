"""Serves exported models by the protocol of TensorFlow Serving, whose server is in no registry.

Written after the server's documentation and source: which version answers, what is a good request,
the code and mostly the words of an error. As the server does, it feeds a graph through a session
without comparing dtypes and shapes to the signature: what the graph says of them is the answer.
It has no batching, no warm-up, no polling between requests, no Classify, Regress or GetModelStatus.
"""

import concurrent.futures
import contextlib
import http.server
import json
import pathlib
import re
import threading
from typing import NamedTuple

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format, text_format
from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as service_grpc
from tensorflow_serving.config import model_server_config_pb2

CODES = {code.value[0]: code for code in grpc.StatusCode}
HTTP_STATUS = {grpc.StatusCode.NOT_FOUND: 404, grpc.StatusCode.INVALID_ARGUMENT: 400}
# Images by the hundred are more than gRPC's 4 MB; the server takes messages of any size too.
ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Refusal(Exception):
    """What a request gets instead of an answer: one of gRPC's status codes, and why."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = grpc.StatusCode[code]


class Servable:
    """One version of a model."""

    def __init__(self, directory):
        self.version = int(directory.name)
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        load = tf.compat.v1.saved_model.load
        with self._session.graph.as_default():
            self.signatures = load(self._session, ["serve"], str(directory)).signature_def

    def run(self, signature, inputs, wanted=()):
        """The outputs of a signature, all or the `wanted` ones, of a dict of arrays."""
        for difference in (set(inputs) - set(signature.inputs), set(wanted) - {*signature.outputs}):
            if difference:
                raise Refusal(
                    "INVALID_ARGUMENT",
                    f"tensor alias not found in signature: {', '.join(difference)}. Expected "
                    f"inputs {{{', '.join(signature.inputs)}}}, outputs "
                    f"{{{', '.join(signature.outputs)}}}.",
                )
        missing = set(signature.inputs) - set(inputs)
        if missing:
            raise Refusal("INVALID_ARGUMENT", f"Missing but required: {{{', '.join(missing)}}}.")
        names = list(wanted or signature.outputs)
        feeds = {self._handle(signature.inputs[name]): x for name, x in inputs.items()}
        fetches = [self._handle(signature.outputs[name]) for name in names]
        # `Session.run` would convert dtypes and check shapes before the graph sees them.
        found = self._session._call_tf_sessionrun(None, feeds, fetches, [], None)
        return dict(zip(names, found, strict=True))

    def _handle(self, info):
        return self._session.graph.get_tensor_by_name(info.name)._as_tf_output()


class Models:
    """The newest version of each model of a `models.config`, read again when a newer one appears.

    The directory that it lies in stands for `/models/<its name>`, as in the `docker` line.
    """

    def __init__(self, directory):
        text = (directory / "models.config").read_text(encoding="utf-8")
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        self._folders = {
            model.name: directory.parent / pathlib.PurePosixPath(model.base_path).name
            for model in config.model_config_list.config
        }
        self._loaded = {}
        self._lock = threading.Lock()

    def find(self, name, version=None):
        """The model's newest version, if `version` is that one or None."""
        request = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        servable = self._newest(name)
        if servable is None or version not in (None, servable.version):
            raise Refusal("NOT_FOUND", f"Servable not found for request: {request}")
        return servable

    def _newest(self, name):
        if name not in self._folders:
            return None
        with self._lock:
            versions = [path for path in self._folders[name].iterdir() if path.name.isdigit()]
            newest = max(versions, key=lambda path: int(path.name))
            loaded = self._loaded.get(name)
            if loaded is None or loaded.version != int(newest.name):
                self._loaded[name] = Servable(newest)
            return self._loaded[name]


class PredictionService(service_grpc.PredictionServiceServicer):
    """The two calls of gRPC that an exported model answers."""

    def __init__(self, models):
        self._models = models

    def Predict(self, request, context):
        with _aborting(context):
            return predict(self._models, request)

    def GetModelMetadata(self, request, context):
        with _aborting(context):
            return metadata(self._models, request)


@contextlib.contextmanager
def _aborting(context):
    try:
        yield
    except (Refusal, tf.errors.OpError) as error:
        code, message = _status(error)
        context.abort(code, message)


def _status(error):
    if isinstance(error, Refusal):
        return error.code, str(error)
    return CODES[error.error_code], error.message


def _find(models, spec):
    return models.find(spec.name, spec.version.value if spec.HasField("version") else None)


def predict(models, request):
    """Answers a `PredictRequest`."""
    servable = _find(models, request.model_spec)
    name = request.model_spec.signature_name or "serving_default"
    signature = servable.signatures.get(name)
    if signature is None or not signature.inputs:
        raise Refusal("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
    inputs = {key: _parse(key, tensor) for key, tensor in request.inputs.items()}
    response = predict_pb2.PredictResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = name
    response.model_spec.version.value = servable.version
    for key, value in servable.run(signature, inputs, request.output_filter).items():
        response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
    return response


def _parse(name, tensor):
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise Refusal("INVALID_ARGUMENT", f"tensor parsing error: {name}") from error


def metadata(models, request):
    """Answers a `GetModelMetadataRequest`: inputs, outputs, dtypes and shapes."""
    if list(request.metadata_field) != ["signature_def"]:
        raise Refusal("INVALID_ARGUMENT", "Metadata field must be signature_def")
    servable = _find(models, request.model_spec)
    signatures = metadata_pb2.SignatureDefMap()
    for name, signature in servable.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    response = metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = servable.version
    response.metadata["signature_def"].Pack(signatures)
    return response


REST_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(:predict|/metadata)")


def rest(models, path, body=None):
    """Answers a GET, or a POST with a body, by a dict that becomes JSON."""
    match = REST_PATH.fullmatch(path)
    if not match or (match[3] == ":predict") != (body is not None):
        raise Refusal("INVALID_ARGUMENT", f"Malformed request: {path}")
    name, version = match[1], match[2] and int(match[2])
    if body is None:
        request = metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = name
        if version:
            request.model_spec.version.value = version
        return json_format.MessageToDict(
            metadata(models, request), preserving_proto_field_name=True
        )
    return _rest_predict(models.find(name, version), body)


def _rest_predict(servable, body):
    try:
        request = json.loads(body)
        (layout,) = {"instances", "inputs"} & set(request)
    except (TypeError, ValueError) as error:
        message = "expected a JSON object with either `instances` or `inputs`"
        raise Refusal("INVALID_ARGUMENT", message) from error
    name = request.get("signature_name", "serving_default")
    signature = servable.signatures.get(name)
    if signature is None or not signature.inputs:
        message = f'Serving signature name: "{name}" not found in signature def'
        raise Refusal("INVALID_ARGUMENT", message)
    columns = (_columns if layout == "instances" else _named)(request[layout], signature)
    inputs = {
        key: _from_json(key, value, tf.as_dtype(signature.inputs[key].dtype).as_numpy_dtype)
        for key, value in columns.items()
        if key in signature.inputs
    }
    outputs = servable.run(signature, {**columns, **inputs})
    (values,) = (value.tolist() for value in outputs.values())  # each of our signatures has one
    return {"predictions" if layout == "instances" else "outputs": values}


def _named(value, signature):
    return value if isinstance(value, dict) else {next(iter(signature.inputs)): value}


def _columns(rows, signature):
    """A dict of lists from a list of dicts, or of values of the only input."""
    if not isinstance(rows, list) or not rows:
        raise Refusal("INVALID_ARGUMENT", "`instances` must be a list that is not empty")
    rows = [_named(row, signature) for row in rows]
    if any(set(row) != set(rows[0]) for row in rows):
        raise Refusal("INVALID_ARGUMENT", "`instances` must all have the same names")
    return {name: [row[name] for row in rows] for name in rows[0]}


def _from_json(name, value, dtype):
    """An array of nested lists; like the server, it lets integers that do not fit wrap around."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise Refusal("INVALID_ARGUMENT", f"{name}: lists of unequal size") from error
    kinds = "iu" if np.issubdtype(dtype, np.integer) else "iuf"
    if array.size and array.dtype.kind not in kinds:
        message = f"{name}: JSON value is not of expected type: {np.dtype(dtype).name}"
        raise Refusal("INVALID_ARGUMENT", message)
    return array.astype(dtype)


def _rest_handler(models):
    class Handler(http.server.BaseHTTPRequestHandler):
        wbufsize = -1  # head and body of an answer in one packet

        def do_GET(self):
            self._answer()

        def do_POST(self):
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, *body):
            try:
                status, answer = 200, rest(models, self.path, *body)
            except (Refusal, tf.errors.OpError) as error:
                code, message = _status(error)
                status, answer = HTTP_STATUS[code], {"error": message}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    return Handler


class Addresses(NamedTuple):
    grpc: str
    rest: str


@contextlib.contextmanager
def serve(directory):
    """Serves the `models.config` of a directory on free ports of this machine, in threads.

    Yields:
        The `Addresses`, host:port each.
    """
    models = Models(pathlib.Path(directory))
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), options=ANY_SIZE)
    service_grpc.add_PredictionServiceServicer_to_server(PredictionService(models), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    web = http.server.ThreadingHTTPServer(("localhost", 0), _rest_handler(models))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        yield Addresses(f"localhost:{port}", f"localhost:{web.server_port}")
    finally:
        web.shutdown()
        web.server_close()
        server.stop(None).wait()


def make_request(model, signature, inputs, **fields):
    """A `PredictRequest` of a dict of arrays."""
    request = predict_pb2.PredictRequest(**fields)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def connect(address):
    """A client of gRPC; closed as a context manager is."""
    return grpc.insecure_channel(address, options=ANY_SIZE)
