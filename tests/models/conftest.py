"""What tests of models share."""

import pathlib
import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def run_program():
    """Runs a program in a process of its own, which may divide its CPU; gives what it printed."""

    def run(program):
        command = [sys.executable, "-c", textwrap.dedent(program)]
        root = pathlib.Path(__file__).parents[2]
        done = subprocess.run(command, capture_output=True, text=True, cwd=root)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run
