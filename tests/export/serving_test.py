"""Clients of exported models, as docs/guides/serving.md has them, get answers or clear errors."""

import json
import pathlib
import re
import shutil
import subprocess
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as service_grpc

from benchmarks import serving
from benchmarks.prediction_service import connect, make_request, serve
from sen_tf import export
from sen_tf.export import tf_serving

ROOT = pathlib.Path(__file__).parents[2]
NAME = serving.NAME


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model, the folder of its export, the server's addresses and a client."""
    folder = tmp_path_factory.mktemp("serving") / NAME
    model = serving.tiny_model()
    export.export_model(model, folder)
    with serve(folder) as addresses, connect(addresses.grpc) as channel:
        yield model, folder, addresses, service_grpc.PredictionServiceStub(channel)


def refusal(function, *arguments):
    """Code and message of the error that a call ends in."""
    with pytest.raises(grpc.RpcError) as caught:
        function(*arguments)
    return caught.value.code().name, caught.value.details()


def post(served, body, path=f"/v1/models/{NAME}:predict"):
    """Status and answer of REST."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{served[2].rest}{path}", content)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]


def answers(served):
    """(request, output, what Keras gives) of each endpoint."""
    for signature, inputs, name, expected in serving.examples(served[0], np.random.default_rng(0)):
        yield make_request(NAME, signature, inputs), name, expected


def test_answers_are_those_of_keras(served):
    found = set()
    for request, name, expected in answers(served):
        response = served[3].Predict(request)
        value = tf.make_ndarray(response.outputs[name])
        assert (value.dtype, list(response.outputs)) == (np.float32, [name])
        np.testing.assert_allclose(value, expected, rtol=0, atol=serving.tolerance(expected))
        assert response.model_spec.version.value == 1
        found.add(response.model_spec.signature_name)
    assert found == set(export.endpoints_of(served[0]))


def test_the_default_signature_is_encode(served):
    request, name, expected = next(answers(served))
    request.model_spec.ClearField("signature_name")
    request.model_spec.version.value = 1
    request.output_filter.append(name)
    response = served[3].Predict(request)
    value = tf.make_ndarray(response.outputs[name])
    np.testing.assert_allclose(value, expected, rtol=0, atol=serving.tolerance(expected))


def test_warm_up_requests_are_answered(served):
    records = tf.data.TFRecordDataset(str(served[1] / "1" / tf_serving.WARM_UP))
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in records]
    for log in logs:
        (output,) = served[3].Predict(log.predict_log.request).outputs.values()
        assert np.isfinite(tf.make_ndarray(output)).all()
    assert len(logs) == len(export.endpoints_of(served[0]))


IMAGE = np.zeros((2, 50, 50, 3), np.uint8)
STATE = np.zeros((2, 5, 4, 2), np.float32)
ACTION = np.zeros(2, np.int32)
STEP = {"state": STATE, "action": ACTION}
WRONG = {
    "signature": ("decode", {}, "FAILED_PRECONDITION", 'key "decode" not found'),
    "missing": ("step", {"state": STATE}, "INVALID_ARGUMENT", "Missing but required: {action}"),
    "extra": ("encode", {"image": IMAGE, "mask": ACTION}, "INVALID_ARGUMENT", "signature: mask"),
    "name": ("encode", {"obs": IMAGE}, "INVALID_ARGUMENT", "signature: obs. .*{image}"),
    "size": (
        *("encode", {"image": IMAGE[:, :, 1:]}, "INVALID_ARGUMENT"),
        r"encode_image.* \[2,50,49,3\] is not compatible with expected shape \[\?,50,50,3\]",
    ),
    "rank": ("encode", {"image": IMAGE[0]}, "INVALID_ARGUMENT", r"encode_image.* \[50,50,3\] "),
    "state": ("step", {**STEP, "state": STATE[:, 1:]}, "INVALID_ARGUMENT", "step_state"),
    "actions": ("rollout", {"state": STATE, "actions": ACTION}, "INVALID_ARGUMENT", "_actions_"),
    "dtype": (
        *("encode", {"image": np.zeros(IMAGE.shape, np.float32)}, "INVALID_ARGUMENT"),
        r"Expects arg\[0\] to be uint8 but float is provided",
    ),
    "int64": ("step", {**STEP, "action": ACTION.astype(np.int64)}, "INVALID_ARGUMENT", "int32"),
    "batches": ("step", {**STEP, "action": ACTION[:1]}, "INVALID_ARGUMENT", "`state` and `action`"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_named(served, kind):
    signature, inputs, code, message = WRONG[kind]
    found = refusal(served[3].Predict, make_request(NAME, signature, inputs))
    assert found[0] == code
    assert re.search(message, found[1]), found[1]


@pytest.mark.parametrize("name, version", [("nobody", None), (NAME, 7)])
def test_an_unknown_model_or_version_is_not_found(served, name, version):
    request = make_request(name, "encode", {"image": IMAGE})
    if version:
        request.model_spec.version.value = version
    code, message = refusal(served[3].Predict, request)
    assert code == "NOT_FOUND"
    assert name in message and str(version or "Latest") in message


def test_an_unknown_output_and_a_damaged_tensor_are_named(served):
    request = make_request(NAME, "encode", {"image": IMAGE}, output_filter=["mask"])
    assert "mask" in refusal(served[3].Predict, request)[1]
    request = make_request(NAME, "encode", {"image": IMAGE})
    request.inputs["image"].tensor_content = b"123"
    code, message = refusal(served[3].Predict, request)
    assert (code, message) == ("INVALID_ARGUMENT", "tensor parsing error: image")


def test_an_empty_batch_has_an_empty_answer(served):
    for request, name, expected in answers(served):
        for key, value in request.inputs.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(tf.make_ndarray(value)[:0]))
        output = tf.make_ndarray(served[3].Predict(request).outputs[name])
        assert output.shape == (0, *expected.shape[1:])


def test_rest_in_rows_and_in_columns(served):
    requests = list(serving.examples(served[0], np.random.default_rng(0)))
    for signature, inputs, _, expected in requests:
        columns = {name: value.tolist() for name, value in inputs.items()}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        for body, key in [({"inputs": columns}, "outputs"), ({"instances": rows}, "predictions")]:
            status, answer = post(served, {"signature_name": signature, **body})
            assert status == 200, answer
            found = np.array(answer[key], np.float32)
            np.testing.assert_allclose(found, expected, rtol=0, atol=serving.tolerance(expected))


ROW = {"state": STATE[0].tolist(), "action": 0}
REST_WRONG = {
    "json": (b"{", "`instances` or `inputs`"),
    "neither": ({}, "`instances` or `inputs`"),
    "empty": ({"instances": []}, "not empty"),
    "signature": ({"signature_name": "decode", "instances": [1]}, "decode"),
    "missing": ({"signature_name": "step", "instances": [{"action": 0}]}, "{state}"),
    "uneven": ({"signature_name": "step", "instances": [ROW, {"action": 0}]}, "same names"),
    "ragged": ({"instances": [[[1], [1, 2]]]}, "image: lists of unequal size"),
    "dtype": ({"signature_name": "step", "instances": [{**ROW, "action": 0.5}]}, "action: .*int32"),
    "shape": ({"instances": [[1, 2]]}, r"image.* \[1,2\] is not compatible"),
}


@pytest.mark.parametrize("kind", REST_WRONG)
def test_what_is_wrong_in_rest_is_named(served, kind):
    body, message = REST_WRONG[kind]
    status, found = post(served, body)
    assert status == 400
    assert re.search(message, found), found


@pytest.mark.parametrize(
    "path, status",
    [
        ("/v1/models/nobody:predict", 404),
        (f"/v1/models/{NAME}/versions/7:predict", 404),
        (f"/v1/models/{NAME}:explain", 400),
    ],
)
def test_rest_of_an_unknown_path(served, path, status):
    assert post(served, {"instances": []}, path)[0] == status


def test_a_newer_version_answers_once_it_is_whole(served, tmp_path):
    folder = tmp_path / NAME
    shutil.copytree(served[1], folder)
    request = make_request(NAME, "encode", {"image": IMAGE})
    with serve(folder) as addresses, connect(addresses.grpc) as channel:
        predict = service_grpc.PredictionServiceStub(channel).Predict
        assert predict(request).model_spec.version.value == 1
        shutil.copytree(folder / "1", folder / ".10.1.tmp")  # as a version that is being written
        assert predict(request).model_spec.version.value == 1
        (folder / ".10.1.tmp").rename(folder / "10")
        assert predict(request).model_spec.version.value == 10


def blocks(language, addresses):
    """The programs of the section on clients, for the ports of the test."""
    document = (ROOT / "docs" / "guides" / "serving.md").read_text(encoding="utf-8")
    section = re.search(r"\n### Clients\n(.*?)\n### ", document, re.DOTALL)[1]
    for port, address in (("8500", addresses.grpc), ("8501", addresses.rest)):
        section = section.replace(f"localhost:{port}", address)
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def test_the_documented_clients(served, tmp_path, monkeypatch, capsys):
    model, _, addresses, _ = served
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks("python", addresses):
        exec(compile(block, "docs/guides/serving.md", "exec"), names)
    names["channel"].close()
    expected = np.asarray(model.encode(names["images"]))
    atol = serving.tolerance(expected)
    np.testing.assert_allclose(names["state"], expected, rtol=0, atol=atol)
    np.testing.assert_allclose(names["state_rest"], expected[:2], rtol=0, atol=atol)
    assert names["states"].shape == (8, 3, 5, 4, 2)
    np.testing.assert_allclose(names["states"][:, 0], names["next_state"], rtol=0, atol=atol)
    printed = capsys.readouterr().out
    assert "image uint8 [-1, 50, 50, 3]" in printed
    assert "INVALID_ARGUMENT Shape of tensor _arg_encode_image_0_0" in printed
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    (block,) = blocks("bash", addresses)
    metadata, *steps = (
        json.loads(subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout)
        for line in block.splitlines()
    )
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert signatures["step"]["inputs"]["action"]["dtype"] == "DT_INT32"
    for step in steps:
        np.testing.assert_allclose(step["outputs"], names["next_state_rest"], rtol=0, atol=1e-6)


def test_metadata_names_inputs_dtypes_and_shapes(served):
    request = metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = NAME
    answer = served[3].GetModelMetadata(request)
    assert answer.model_spec.version.value == 1
    signatures = metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    for name, (_, specs) in export.endpoints_of(served[0]).items():
        inputs = signatures.signature_def[name].inputs
        assert set(inputs) == {spec.name for spec in specs}
        for spec in specs:
            shape = tuple(size.size for size in inputs[spec.name].tensor_shape.dim)
            assert shape == tuple(-1 if size is None else size for size in spec.shape)
            assert tf.as_dtype(inputs[spec.name].dtype).name == spec.dtype
    request.model_spec.name = "nobody"
    assert refusal(served[3].GetModelMetadata, request)[0] == "NOT_FOUND"
    request.ClearField("metadata_field")
    assert refusal(served[3].GetModelMetadata, request)[0] == "INVALID_ARGUMENT"


def test_soak(served):
    """200 requests; `python -m benchmarks.serving --requests=10000` is the longer form."""
    model, folder, _, _ = served
    rows = list(serving.soak(model, folder, 200, 2, np.random.default_rng(0)))
    last = rows[-1]
    assert (last.good + last.bad, last.wrong) == (200, [])
    assert min(last.good, last.bad) > 20
