"""A quiet start of programs: TensorFlow's own lines at its import are kept back."""

import contextlib
import os
import sys
import tempfile

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
FLAG = "--tensorflow_logs"
"""The word on a command line that shows the lines all the same."""


def import_keras() -> None:
    """Imports Keras and its backend; quietly, where this process is one of our programs.

    TensorFlow writes some lines to the process's own stderr before anything can stop it. They come
    back if the import fails, with `FLAG`, and with a `TF_CPP_MIN_LOG_LEVEL` of 0 to 2.
    """
    if _is_program() and FLAG not in sys.argv:
        os.environ.setdefault(LEVEL, "3")  # which processes that we start inherit
    quiet = os.environ.get(LEVEL) == "3"
    with _stderr_kept_back() if quiet else contextlib.nullcontext():
        import keras  # noqa: F401


def _is_program():
    """True if Python was started as `python -m sen_tf...` or by one of our scripts."""
    words = sys.orig_argv  # Python's own options may stand first, as in `python -u -m sen_tf.train`
    modules = words[words.index("-m") + 1 :][:1] if "-m" in words else []
    ours = any(module.split(".")[0] == "sen_tf" for module in modules)
    return ours or os.path.basename(sys.argv[0]).startswith("sen-")


@contextlib.contextmanager
def _stderr_kept_back():
    """Keeps what is written to the process's stderr in a file, and shows it after an error."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        ours = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield
        except BaseException:
            file.seek(0)
            os.write(ours, file.read())
            raise
        finally:
            os.dup2(ours, 2)
            os.close(ours)
