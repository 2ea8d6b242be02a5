"""Exports the encoder of a trained model for TF Serving.

  python -m sen_tf.export --run=runs/cubes-sen --output=serving/cubes

writes serving/cubes/1 (then /2, ...), a SavedModel with the signatures `encode` (uint8 images, also
the default) and `encode_float` (float32 images in [0, 1]), each from `image` to `state`.
"""

import os
import pathlib
import shutil

import keras

from sen_tf import runs, settings

FLAGS = ("run", "model_file", "output")


def export_encoder(model, directory):
    """Writes the next version of the encoder's SavedModel below `directory`; returns its path.

    The version appears under its name only when it is whole.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    versions = [int(path.name) for path in directory.iterdir() if path.name.isdigit()]
    final = directory / str(max(versions, default=0) + 1)
    aside = directory / f".{final.name}.{os.getpid()}.tmp"
    archive = keras.export.ExportArchive()
    archive.track(model)
    shape = (None, *model.embedding.input_shape[1:])
    for name, dtype in (("encode", "uint8"), ("encode_float", "float32")):
        archive.add_endpoint(
            name,
            lambda image: {"state": model.encode(image)},
            input_signature=[keras.InputSpec(shape=shape, dtype=dtype, name="image")],
        )
    try:
        archive.write_out(str(aside), verbose=False)
        os.replace(aside, final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return final


def main(arguments):
    options = settings.parse(arguments, FLAGS)
    model, directory = runs.open_model(options)
    path = export_encoder(model, options.output or directory / "serving" / "encoder")
    print(f"{path}: SavedModel with signatures encode, encode_float")
    print(f"serve it with: tensorflow_model_server --model_base_path={path.parent.resolve()}")


if __name__ == "__main__":
    settings.run(main, __doc__, FLAGS)
