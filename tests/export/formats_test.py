"""Exports are read by programs that know nothing of sen_tf, and agree with Keras."""

import logging
import shlex
import sys
import zipfile

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from benchmarks import readers
from benchmarks.read_exports import ENDPOINTS, READERS
from sen_tf import export, layers, models, to_plain
from sen_tf.experiments import networks
from sen_tf.export import __main__ as program
from sen_tf.export import converters, tf_serving

COMPARISONS = {(reader, endpoint) for reader in READERS for endpoint in ENDPOINTS}
COMPARISONS -= {("keras", "rollout")}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model in mixed precision, a folder of its exports, and what readers make of them."""
    folder = tmp_path_factory.mktemp("exports")
    model = readers.fresh_model("shapes", "sen", "mixed_bfloat16")
    return model, folder, readers.compare(model, folder)


def test_readers_agree_with_keras(exported):
    _, _, found = exported
    assert set(found) == COMPARISONS
    worst = max(found, key=found.get)
    print(f"largest difference: {found[worst]:.1e}, {worst}")
    assert found[worst] <= readers.TOLERANCE, (worst, found[worst])


@pytest.mark.slow
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("env", networks.NETWORKS)
@pytest.mark.parametrize("arm", ["sen", "nonequivariant", "fully_equivariant", "tfn"])
def test_readers_agree_on_every_model(env, arm, plain, tmp_path):
    if (arm == "tfn") != (env == "teapot") and arm in ("tfn", "fully_equivariant"):
        pytest.skip(f"{env} has no {arm}")
    found = readers.compare(readers.fresh_model(env, arm), tmp_path, plain)
    assert set(found) == COMPARISONS
    assert max(found.values()) <= readers.TOLERANCE, found


def test_float32_is_near_the_precision_of_training(exported):
    model, folder, _ = exported
    state = np.load(folder / "saved_model_cli.npz")["encode"]
    expected = np.asarray(model.encode(np.load(folder / "inputs.npz")["image"]))
    np.testing.assert_allclose(state, expected, atol=2e-2 * np.abs(expected).max())


def test_plain_files_do_not_mention_us(exported):
    _, folder, _ = exported
    names = sorted(path.name for path in (folder / "keras" / "1").iterdir())
    assert names == ["encode.keras", "encode_float.keras", "step.keras"]
    for name in names:
        with zipfile.ZipFile(folder / "keras" / "1" / name) as file:
            assert b"sen_tf" not in file.read("config.json")


def test_warm_up_requests_are_answered(exported):
    _, folder, _ = exported
    version = folder / "saved_model" / "1"
    signatures = tf.saved_model.load(version).signatures
    records = tf.data.TFRecordDataset(str(version / tf_serving.WARM_UP))
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in records]
    requests = [log.predict_log.request for log in logs]
    assert [request.model_spec.signature_name for request in requests] == list(ENDPOINTS)
    for request in requests:
        assert request.model_spec.name == "saved_model"
        tensors = {name: tf.constant(tf.make_ndarray(x)) for name, x in request.inputs.items()}
        answer = signatures[request.model_spec.signature_name](**tensors)
        assert list(answer) == [ENDPOINTS[request.model_spec.signature_name][1]]


def test_config_names_the_directory(exported):
    _, folder, _ = exported
    text = (folder / "saved_model" / tf_serving.CONFIG).read_text(encoding="utf-8")
    parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (config,) = parsed.model_config_list.config
    assert (config.name, config.base_path) == ("saved_model", "/models/saved_model")
    command = tf_serving.docker_command(folder / "saved_model")
    assert f"{folder}/saved_model:{config.base_path}:ro" in command
    spaced = shlex.split(tf_serving.docker_command("/models of mine/cubes"))
    assert "/models of mine/cubes:/models/cubes:ro" in spaced


def test_versions_and_what_is_printed(exported, tmp_path, capsys):
    model, _, _ = exported
    model.save(tmp_path / "model.keras")
    for version in ("1", "2"):
        program.main([f"--model_file={tmp_path / 'model.keras'}", "--format=keras", "--plain"])
        path = tmp_path / "serving" / "world_model" / version
        assert (path / "encode.keras").is_file()
        printed = capsys.readouterr().out.splitlines()
        assert printed[0] == f"{path}: encode.keras, encode_float.keras, step.keras"
        assert printed[-1] == "  step: state float32 (batch, 5, 4, 2), action int32 (batch)"
    assert sorted(path.name for path in path.parent.iterdir()) == ["1", "2"]


def test_a_missing_package_is_named_and_nothing_is_written(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ValueError, match="needs the package tf2onnx: pip install tf2onnx"):
        export.export_model(exported[0], tmp_path, "onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_a_sentence_and_nothing_is_written(exported, tmp_path):
    with pytest.raises(ValueError, match="one of saved_model, onnx, .*; received 'tflite'"):
        export.export_model(exported[0], tmp_path / "new", "tflite")
    classifier = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="digits")
    with pytest.raises(ValueError, match="received Sequential `digits`.*`export` of Keras"):
        export.export_model(classifier, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def unheard_of(x):
    return {"y": tf.linalg.cross(x, x)}


BACKBONES = {
    "resnet": ("D4", (33, 33, 2), {"width": 0.125, "classes": 5}),
    "wide_resnet": ("O2", (17, 17, 2), {"depth": 10, "width": 1, "classes": 5}),
    "unet": ("C4", (16, 16, 2), {"filters": 8, "depth": 2, "classes": 3}),
    "convnext": ("D4", (16, 16, 2), {"depths": (1, 2, 1), "filters": (16, 16, 32), "classes": 5}),
}


@pytest.mark.parametrize("kind", BACKBONES)
def test_backbones_in_onnx(kind):
    """The plain form of a new network gives onnxruntime's numbers, to 1e-5; so does GELU."""
    group, shape, arguments = BACKBONES[kind]
    model = getattr(models, kind)(group, shape, classifier_activation=None, **arguments)
    plain = to_plain(model)
    spec = keras.InputSpec(shape=(None, *shape), dtype="float32", name="image")
    file = converters.to_onnx(kind, lambda image: {"y": plain(image)}, [spec])
    images = np.random.default_rng(0).standard_normal((2, *shape)).astype("float32")
    (found,) = onnxruntime.InferenceSession(file).run(None, {"image": images})
    expected = np.array(model(images))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_what_onnx_cannot_hold_is_named():
    spec = keras.InputSpec(shape=(None, 3), dtype="float32", name="x")
    with pytest.raises(ValueError, match="--format=onnx cannot hold the endpoint `turn`: .*Cross"):
        converters.to_onnx("turn", unheard_of, [spec])
    assert logging.root.manager.disable == logging.NOTSET


def test_what_litert_cannot_hold_is_named(tmp_path):
    archive = keras.export.ExportArchive()
    specs = [keras.InputSpec(shape=(None, 3), dtype="float32", name="x")]
    archive.add_endpoint("twice", lambda x: {"y": 2 * x}, input_signature=specs)
    archive.add_endpoint("turn", unheard_of, input_signature=specs)
    archive.write_out(str(tmp_path / "model"), verbose=False)
    with pytest.raises(ValueError, match="--format=litert cannot hold the endpoint `turn`"):
        converters.to_litert(tmp_path / "model", ["twice", "turn"])


def test_a_list_of_models_for_the_server_stays(tmp_path):
    tf_serving.write_config(tmp_path, "world")
    config = tmp_path / "models.config"
    config.write_text(config.read_text() + "# and another one\n")
    tf_serving.write_config(tmp_path, "world")
    assert config.read_text().endswith("# and another one\n")
    tf_serving.write_config(tmp_path, "renamed")
    assert '"/models/renamed"' in config.read_text() and "another" not in config.read_text()


@pytest.mark.parametrize(
    ("shape", "layer"),
    [((4, 64), layers.GroupDense("C4", 64)), ((5, 5, 8, 64), layers.GroupConv2D("D4", 64, 3))],
    ids=["dense", "convolution"],
)
def test_litert_holds_products_by_blocks(shape, layer, tmp_path):
    model = keras.Sequential([keras.Input(shape), layer])
    model.export(tmp_path / "model", verbose=False)
    written = converters.to_litert(tmp_path / "model", ["serving_default"])
    run = tf.lite.Interpreter(model_content=written).get_signature_runner("serving_default")
    x = np.random.default_rng(0).random((3, *shape), "float32")
    (found,) = run(**{next(iter(run.get_input_details())): x}).values()
    np.testing.assert_allclose(found, model(x), rtol=1e-4, atol=1e-4)


def test_a_litert_file_that_cannot_be_opened_is_refused(monkeypatch, tmp_path):
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).export(tmp_path, verbose=False)
    monkeypatch.setattr(tf.lite, "Interpreter", lambda model_content: 1 / 0)
    with pytest.raises(ValueError, match="--format=litert cannot hold the endpoint `serving_defau"):
        converters.to_litert(tmp_path, ["serving_default"])
