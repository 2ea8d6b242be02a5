"""What every test shares: few threads, quiet logs, and the vectors of the published code."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("sen_tf", deadline=None)
hypothesis.settings.load_profile("sen_tf")


@pytest.fixture(scope="session")
def vectors():
    """Opens a file of tests/parity by its name without ending."""
    folder = pathlib.Path(__file__).parent / "parity"
    return lambda name: np.load(folder / f"{name}.npz")
