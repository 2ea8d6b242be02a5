"""Layers and models under Keras' other backends, each in a process of its own."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

from sen_tf.experiments import networks
from tests import backend_checks

ROOT = pathlib.Path(__file__).parents[1]
BACKENDS = ("jax", "torch")
INSTALLED = [name for name in BACKENDS if importlib.util.find_spec(name)]

# All that takes long: every row of the conformance table, and models of every arm.
ALL = pytest.param("all", marks=pytest.mark.slow)


def environment(backend):
    # Nothing here is worth optimizing.
    return {
        **os.environ,
        "KERAS_BACKEND": backend,
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }


def every_model():
    arms_of = {env: networks.arms_of(env) for env in networks.NETWORKS}
    every = {(env, arm): {} for env, names in arms_of.items() for arm in names}
    return every | backend_checks.MODELS


@pytest.fixture(scope="module", params=["first", ALL])
def outcomes(request, tmp_path_factory):
    """What `backend_checks` found, by backend; all run at once, on models written here."""
    folder = tmp_path_factory.mktemp("models")
    models = every_model() if request.param == "all" else backend_checks.MODELS
    for (env, arm), loss in models.items():
        backend_checks.write_model(folder, env, arm, **loss)
    command = [sys.executable, "-m", "tests.backend_checks", str(folder), request.param]
    processes = {
        name: subprocess.Popen(
            command, cwd=ROOT, env=environment(name), stdout=subprocess.PIPE, text=True
        )
        for name in INSTALLED
    }
    printed = {name: process.communicate()[0] for name, process in processes.items()}
    return {name: json.loads(text) if text else {name: "crashed"} for name, text in printed.items()}


@pytest.mark.parametrize("backend", BACKENDS)
def test_layers_and_models(backend, outcomes):
    if backend not in INSTALLED:
        pytest.skip(f"{backend} is not installed")
    wrong = [f"{name}: {message}" for name, message in outcomes[backend].items() if message]
    assert not wrong, "\n".join(wrong)


def test_programs_need_tensorflow():
    command = [sys.executable, "-m", "sen_tf.generate", "--env=shapes"]
    done = subprocess.run(command, cwd=ROOT, env=environment("jax"), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: programs need Keras on TensorFlow, not on jax: set KERAS_BACKEND=tensorflow"
    )
