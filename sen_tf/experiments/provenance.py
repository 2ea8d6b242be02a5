"""Circumstances of a run: the machine, the versions, the commit of the code and the day."""

import datetime
import pathlib
import subprocess
from typing import Any

import keras
import tensorflow as tf

import sen_tf
from sen_tf.distribution import devices

PACKAGE = pathlib.Path(sen_tf.__file__).parent


def describe() -> dict[str, Any]:
    """Date (UTC), machine, versions and commit of what runs now, a dict."""
    versions = {"sen_tf": sen_tf.__version__, "keras": keras.__version__}
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": devices.describe(),
        "versions": versions | {"tensorflow": tf.__version__},
        "commit": commit(PACKAGE),
    }


def commit(package: pathlib.Path) -> str | None:
    """The commit that a package's code is of, with `-dirty` where files differ from it.

    None where git does not know the package: it is installed, even if below somebody's repository.
    """
    git = ("git", "-C", str(package), "--no-optional-locks")
    try:
        subprocess.run(
            [*git, "ls-files", "--error-unmatch", "__init__.py"], check=True, capture_output=True
        )
        described = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
