"""A world model written in the formats that servers and other programs read."""

import os
import pathlib
import shutil

import keras

from sen_tf.export import converters, tf_serving
from sen_tf.export.endpoints import endpoints_of, guarded
from sen_tf.export.precision import in_float32
from sen_tf.models import ContrastiveWorldModel, to_plain


def write_saved_model(model: ContrastiveWorldModel, folder: pathlib.Path, name: str) -> None:
    """Writes a SavedModel, warm-up requests in it where their package is installed."""
    archive = keras.export.ExportArchive()
    for part in (model.embedding, model.encoder, model.transition):
        archive.track(part)
    named = endpoints_of(model)
    for endpoint, (function, signature) in named.items():
        archive.add_endpoint(endpoint, guarded(function, signature), input_signature=signature)
    with converters.silence():
        archive.write_out(str(folder), verbose=False)
    if tf_serving.is_installed():
        tf_serving.write_warm_up(folder, name, named)


def write_onnx(model: ContrastiveWorldModel, folder: pathlib.Path, name: str) -> None:
    """Writes an ONNX file per endpoint."""
    for endpoint, (function, signature) in endpoints_of(model).items():
        content = converters.to_onnx(endpoint, function, signature)
        (folder / f"{endpoint}.onnx").write_bytes(content)


def write_litert(model: ContrastiveWorldModel, folder: pathlib.Path, name: str) -> None:
    """Writes a LiteRT file, one signature per endpoint."""
    aside = folder / "saved_model"
    write_saved_model(model, aside, name)
    (folder / "model.tflite").write_bytes(converters.to_litert(aside, list(endpoints_of(model))))
    shutil.rmtree(aside)


def write_keras(model: ContrastiveWorldModel, folder: pathlib.Path, name: str) -> None:
    """Writes a functional model per endpoint, from and to dicts, but for `rollout`."""
    for endpoint, (function, signature) in endpoints_of(model).items():
        if endpoint != "rollout":
            inputs = {
                spec.name: keras.Input(spec.shape[1:], dtype=spec.dtype, name=spec.name)
                for spec in signature
            }
            whole = keras.Model(inputs, function(**inputs), name=endpoint)
            whole.save(folder / f"{endpoint}.keras")


WRITERS = {
    "saved_model": write_saved_model,
    "onnx": write_onnx,
    "litert": write_litert,
    "keras": write_keras,
}


def for_inference(model: ContrastiveWorldModel, as_plain: bool = False) -> ContrastiveWorldModel:
    """A copy of a world model that computes in float32, for its endpoints alone.

    Args:
        model: A `ContrastiveWorldModel`.
        as_plain: Whether to write the copy out in Keras' own layers; see `layers.plain`.
    """
    parts = [in_float32(part) for part in (model.embedding, model.encoder, model.transition)]
    copy = ContrastiveWorldModel(*parts, dtype="float32")
    return to_plain(copy) if as_plain else copy


def export_model(
    model: ContrastiveWorldModel,
    directory: str | os.PathLike[str],
    form: str = "saved_model",
    as_plain: bool = False,
) -> pathlib.Path:
    """Writes the next version of the model below `directory`.

    Args:
        model: A `ContrastiveWorldModel`.
        directory: Its name is the model's name for TensorFlow Serving.
        form: `"saved_model"`, `"onnx"`, `"litert"` or `"keras"`.
        as_plain: As in `for_inference`.

    Returns:
        Path of the version, such as `directory/1`.

    Raises:
        ValueError: For an unknown format, or one that cannot hold an endpoint or needs a package
            that is missing; for a model of another kind.
    """
    if form not in WRITERS:
        raise ValueError(f"Expected `form` to be one of {', '.join(WRITERS)}; received {form!r}.")
    if not isinstance(model, ContrastiveWorldModel):
        raise ValueError(
            f"Expected `model` to be a ContrastiveWorldModel; received {type(model).__name__} "
            f"`{model.name}`. Other models have `export` of Keras, after `sen_tf.to_plain` for "
            "programs without sen_tf."
        )
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    versions = [int(path.name) for path in directory.iterdir() if path.name.isdigit()]
    final = directory / str(max(versions, default=0) + 1)
    aside = directory / f".{final.name}.{os.getpid()}.tmp"
    aside.mkdir()
    name = directory.resolve().name
    try:
        WRITERS[form](for_inference(model, as_plain), aside, name)
        os.replace(aside, final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    if form == "saved_model":
        tf_serving.write_config(directory, name)
    return final
