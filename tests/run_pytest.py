"""Runs pytest on the paths of the command line: the main program of Bazel's tests."""

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main())
