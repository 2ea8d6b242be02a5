"""Type hints: the public signatures are whole, and a type checker reads them for users."""

import ast
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# Rooms, and single files of others, whose public signatures state every type.
TYPED = [
    "datasets",
    "distribution",
    "envs",
    "experiments",
    "export",
    "figures",
    "groups",
    "layers",
    "losses",
    "metrics",
    "models",
    "pretrained",
    "settings",
    "symmetry",
    "tensors",
    "testing",
    "training",
]


def untyped(source):
    """The parameters and returns without a type, of public functions and of methods of classes.

    Private classes are looked at too, for public ones inherit from them.
    """
    tree = ast.parse(source)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    scopes = [("", tree.body), *((f"{node.name}.", node.body) for node in classes)]
    return [
        f"{scope}{function.name}: {name}"
        for scope, body in scopes
        for function in body
        if isinstance(function, ast.FunctionDef) and is_public(function.name)
        for name in untyped_parts(function, is_method=bool(scope))
    ]


def is_public(name):
    return not name.startswith("_") or name.endswith("__")


def untyped_parts(function, is_method):
    given = function.args
    parameters = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    static = any(ast.unparse(each) == "staticmethod" for each in function.decorator_list)
    parameters = parameters[is_method and not static :]  # without self or cls
    missing = [each.arg for each in parameters if each and each.annotation is None]
    return missing if function.returns else [*missing, "return"]


def test_untyped_parts_are_found():
    source = """
def typed(a: int, *, b: str = "") -> None: ...
def half(a, *b: int, c, **d): ...
def _private(a): ...
class _Base:
    def __init__(self, a): ...
    def _private(self, a): ...
    @staticmethod
    def free(a) -> None: ...
    @property
    def size(self): ...
"""
    assert untyped(source) == [
        *("half: a", "half: c", "half: d", "half: return"),
        *("_Base.__init__: a", "_Base.__init__: return", "_Base.free: a", "_Base.size: return"),
    ]


@pytest.mark.parametrize("name", TYPED)
def test_public_signatures_state_every_type(name):
    folder = ROOT / "sen_tf"
    paths = [*folder.glob(f"{name}.py"), *folder.glob(f"{name}/*.py")]
    assert paths, f"there is no {name}"
    wrong = [
        f"{path.relative_to(ROOT)}: {missing}"
        for path in paths
        for missing in untyped(path.read_text(encoding="utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


# A user's script; what a type checker should refuse is marked.
SCRIPT = """
import keras
import numpy as np

from sen_tf import ContrastiveWorldModel, explain, groups
from sen_tf.groups import Field, FiniteGroup, actions
from sen_tf.layers import GroupConv2D, GroupPooling, LiftingConv2D, ToRegular
from sen_tf.losses import ContrastiveLoss, OtherSamples, ReversedFrames
from sen_tf.metrics import equivariance_error
from sen_tf.models.embeddings import conv_embedding
from sen_tf.models.encoders import object_encoder
from sen_tf.models.transitions import object_transition
from sen_tf.testing import assert_equivariant

c4: FiniteGroup = groups.get("C4")
klein = FiniteGroup("V", [[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]])
order: int = klein.order
groups.get(4)  # wrong
c4.elements.append(4)  # wrong

layers = [
    LiftingConv2D("C4", 16, 3, padding="same", dtype="mixed_bfloat16"),
    GroupConv2D(c4, filters=16, kernel_size=(3, 3), activation="relu", name="second"),
    GroupPooling("mean"),
    ToRegular(c4, "2 trivial + sign", components=[0]),
]
GroupConv2D("C4", "16", 3)  # wrong
GroupConv2D("C4", 16)  # wrong
shape: tuple[int | None, ...] = GroupConv2D("C4", 16, 3).compute_output_shape((None, 9, 9, 4, 3))
outputs = GroupConv2D("C4", 16, 3, strides=2)(np.zeros((1, 9, 9, 4, 3)))
images = np.asarray(outputs) + outputs[0]

embedding = conv_embedding("C4", (50, 50, 3), objects=5, filters=[32, 32])
encoder = object_encoder("C4", (50, 50, 5), dtype=None)
transition = object_transition(c4, objects=5)
conv_embedding("C4", (50, 50, 3), objects=5, filters=32)  # wrong
model = ContrastiveWorldModel(embedding, encoder, transition, name="world")
model.compile("adam", loss=ContrastiveLoss([OtherSamples(2), ReversedFrames()], hinge=1))
model.compile(keras.optimizers.Adam(1e-3), loss="mse")  # wrong
model.fit({"obs": images, "action": images, "next_obs": images}, epochs=2, verbose=0)
states = model.rollout(model.encode(images), np.zeros((1, 3)))


def turn(x: np.ndarray, group: FiniteGroup, g: int) -> np.ndarray:
    return actions.rotate_grid(x, group, g, axes=(1, 2))


error: float = assert_equivariant(
    GroupConv2D("C4", 4, 3), (2, 9, 9, 4, 3), "C4", actions.act_on_regular_image, turn
)
assert_equivariant(layers[0], (2, 9, 9, 3), "C4", turn, "turn")  # wrong
error = equivariance_error([[0.0, 1.0]], np.zeros((1, 2)))

report = explain(embedding, images, "C4", fields={"conv": Field(c4, "regular", pixels=True)})
culprit = report.culprit
culprit.reason  # wrong
reason: str = "" if culprit is None else culprit.reason
explain(embedding, images)  # wrong
"""


def test_a_type_checker_reads_the_installed_package(tmp_path):
    """It refuses what is wrong in a user's script, and nothing else."""
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    installed.mkdir()
    elsewhere.mkdir()
    (installed / "sen_tf").symlink_to(ROOT / "sen_tf")
    script = elsewhere / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    # Keras and TensorFlow have no types.
    options = ["--ignore-missing-imports", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, script.name],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    found = re.findall(r"^(.+):(\d+): error: ", done.stdout, re.MULTILINE)
    refused = {(path, int(line)) for path, line in found}
    wrong = [n for n, line in enumerate(SCRIPT.splitlines(), 1) if line.endswith("# wrong")]
    assert refused == {(script.name, n) for n in wrong}, done.stdout + done.stderr
