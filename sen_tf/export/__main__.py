"""Exports a trained model to be served, or to be run by other programs.

  python -m sen_tf.export --run=runs/cubes-sen --output=serving/cubes
  python -m sen_tf.export --run=runs/cubes-sen --output=onnx/cubes --format=onnx --plain

writes serving/cubes/1 (then /2, ...), which appears under its name when it is whole. Endpoints:

  encode        image, uint8 (batch, rows, columns, channels)      -> state
  encode_float  image, float32 in [0, 1]                           -> state
  step          state, action                                      -> next_state
  rollout       state, actions (batch, steps, ...), any number     -> states (batch, steps, ...)

All compute in float32, whatever the precision of training. What lies in the directory:

  saved_model  a SavedModel with four signatures, encode the default; requests that warm it up; and
               beside the versions models.config, for TensorFlow Serving
  onnx         encode.onnx, encode_float.onnx, step.onnx, rollout.onnx
  litert       model.tflite, with four signatures
  keras        encode.keras, encode_float.keras, step.keras, from and to dicts of these names; no
               rollout, whose loop Keras does not save. With --plain they need Keras alone, else
               `import sen_tf`.
"""

import dataclasses
import pathlib

from sen_tf import settings
from sen_tf.export import tf_serving
from sen_tf.export.endpoints import endpoints_of
from sen_tf.export.formats import WRITERS, export_model
from sen_tf.settings import setting
from sen_tf.training import runs


@dataclasses.dataclass(frozen=True)
class Export:
    """Model, format and output."""

    run: str | None = setting(None, "Directory of a run that sen_tf.train wrote.")
    model_file: str | None = setting(None, "A saved model, .keras, instead of a run.")
    output: str | None = setting(
        None,
        "Directory of the versions, whose name is the model's for TensorFlow Serving. Default: "
        "serving/world_model beside the model.",
    )
    format: str = setting(
        "saved_model",
        "What to export: saved_model, for TensorFlow Serving and OpenVINO; onnx, one file per "
        "endpoint; litert, one file; keras, one file per endpoint but for rollout.",
        choices=tuple(WRITERS),
    )
    plain: bool = setting(
        False,
        "Export ordinary layers with the expanded kernels in place of the group's, so that a "
        ".keras file loads with Keras alone.",
    )


def main(arguments: list[str]) -> None:
    (asked,) = settings.parse(arguments, Export)
    model, directory = runs.open_model(asked.run, asked.model_file)
    output = pathlib.Path(asked.output or directory / "serving" / "world_model")
    path = export_model(model, output, asked.format, asked.plain)
    print(f"{path}: {', '.join(sorted(child.name for child in path.iterdir()))}")
    for name, (_, signature) in endpoints_of(model).items():
        if asked.format != "keras" or name != "rollout":
            print(f"  {name}: {', '.join(map(_describe, signature))}")
    if asked.format == "saved_model":
        if not tf_serving.is_installed():
            print(f"without warm-up requests: they need pip install {tf_serving.PACKAGE}")
        print(f"serve it with: {tf_serving.docker_command(path.parent)}")


def _describe(spec):
    axes = ["batch", *("steps" if size is None else size for size in spec.shape[1:])]
    return f"{spec.name} {spec.dtype} ({', '.join(map(str, axes))})"


def run() -> None:
    """The command line; see the module."""
    settings.run(main, __doc__, Export)


if __name__ == "__main__":
    run()
