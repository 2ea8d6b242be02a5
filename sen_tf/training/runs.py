"""The directory of a run: its files, its lock, and how it is opened again.

flags.cfg       the resolved flags
model.keras     the model with its best weights
metrics.json    its scores, how it was trained, and the logs of each epoch
evaluation.json what sen_tf.evaluate found later
decoder.json    what sen_tf.decode found, beside decoder.keras
serving/        the model as a versioned SavedModel
figures/        figures as PNG files
history.csv     the logs of each epoch, as metrics.json has them
report.html     all of it on one page
logs/           TensorBoard
checkpoint/     what training resumes from; see checkpoints.py
memory.json     the bytes that its training episodes may take
precision.json  the dtype policy that it began with
.lock           which process has it
"""

import contextlib
import fcntl
import json
import os
import pathlib
import platform
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from sen_tf import settings

MODEL = "model.keras"
METRICS = "metrics.json"
EVALUATION = "evaluation.json"
FLAGS = "flags.cfg"
HISTORY = "history.csv"
REPORT = "report.html"
MEMORY = "memory.json"
PRECISION = "precision.json"
LOCK = ".lock"
# Settings that may differ when a run is taken up again.
_FREE = {"data_dir"}


@contextlib.contextmanager
def open_run(directory: pathlib.Path, *settings_of_run: Any) -> Iterator[bool]:
    """Makes or takes up the directory of a run and holds it; gives whether it was there before.

    The lock goes with the process, however that ends. Where nothing was trained yet, a command that
    fails leaves no directory behind, and another one may take its place.

    Raises:
        ValueError: If the directory holds something else, a run with other flags, or one that
            another process is training.
    """
    is_new = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / FLAGS
    ours = {LOCK, _aside(path).name}
    # A killed start leaves the lock beside the flags; without it they are somebody's own.
    begun = path.exists() and ((directory / LOCK).exists() or not _only_prepared(directory))
    if not begun and any(entry.name not in ours for entry in directory.iterdir()):
        raise ValueError(f"{directory} is not empty and not a run; choose another --output")
    with open(directory / LOCK, "a+", encoding="utf-8") as lock:
        _lock(lock, directory)
        known = path.exists() and not _only_prepared(directory)
        if known:
            _check_flags(directory, settings_of_run)
        else:
            for name in (MEMORY, PRECISION):
                (directory / name).unlink(missing_ok=True)
            with aside(path) as temporary:
                settings.save(temporary, *settings_of_run)
        try:
            yield known
        finally:
            if _only_prepared(directory):
                for entry in directory.iterdir():
                    entry.unlink()
                if is_new:
                    directory.rmdir()


def _only_prepared(directory):
    """True for a run of no more than its flags: nothing was trained, and nothing can be lost."""
    ours = (FLAGS, MEMORY, PRECISION)
    prepared = {LOCK, *ours, *(_aside(directory / name).name for name in ours)}
    return all(entry.name in prepared for entry in directory.iterdir())


def _lock(file, directory):
    file.seek(0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = file.read() or "another process"
        raise ValueError(
            f"{directory} is in use by {owner}; wait for it, or choose another --output"
        ) from None
    file.truncate()
    file.write(f"process {os.getpid()} on {platform.node()}")
    file.flush()


def _check_flags(directory, settings_of_run):
    saved = settings.load(directory / FLAGS, *map(type, settings_of_run))
    for ours, theirs in zip(settings_of_run, saved, strict=True):
        for name, value in vars(ours).items():
            known = getattr(theirs, name)
            if name not in _FREE and known != value and not _is_one_file(name, known, value):
                raise ValueError(
                    f"{directory} holds a run with --{name}={known}, not {value}; choose another "
                    "--output to start a new one"
                )


def _is_one_file(name, *paths):
    return name == "dataset" and all(paths) and len(set(map(os.path.realpath, paths))) == 1


def keep(path: pathlib.Path, value: Any) -> Any:
    """The value that a run began with, and goes on with wherever it is taken up: `value` at first.

    The order of episodes that are streamed depends on the bytes of memory that were free, and the
    optimizer's state on the precision that the machine is best at.
    """
    if not path.exists():
        write_json(path, value)
    return json.loads(path.read_text(encoding="utf-8"))


def open_model(
    run: str | pathlib.Path | None, model_file: str | pathlib.Path | None = None
) -> tuple[keras.Model, pathlib.Path]:
    """The model of a run's directory or of a file, and the directory that it lies in.

    Raises:
        UsageError: If neither is given, there is no model, or the run is not finished.
    """
    if not (run or model_file):
        raise settings.UsageError("give --run=DIR (what sen_tf.train wrote) or --model_file=FILE")
    path = pathlib.Path(model_file or pathlib.Path(run or "") / MODEL)
    if not model_file and path.is_file() and not (metrics := path.with_name(METRICS)).is_file():
        raise settings.UsageError(
            f"{run} is not a finished run: there is no {metrics}; the command that began it ends it"
        )
    if not path.is_file():
        what = f"{run} is not a finished run" if run else "no such file"
        raise settings.UsageError(f"{what}: there is no {path}")
    try:
        model = keras.models.load_model(path)
        if not hasattr(model, "rollout"):
            raise TypeError(f"it is a {type(model).__name__}")
        return model, path.parent
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        command = _command_of(run) if run else None
        again = f"; make a new one with: {command}" if command else ""
        raise settings.UsageError(f"{path} is not a saved world model: {reason}{again}") from error


def _command_of(run):
    """The command that trains what a run, perhaps of an older version, was to be; or None."""
    file = pathlib.Path(run) / FLAGS
    if not file.is_file():
        return None
    flags = settings.words_of(file)
    flags["env"] = flags.get("env_class", flags["env"])
    names = ("env", "preset", "recipe", "model", "seed", "dataset")
    words = [f"--{name}={flags[name]}" for name in names if name in flags]
    return shlex.join(["python", "-m", "sen_tf.train", *words, f"--output={run}-again"])


def check_replaced(
    files: Sequence[pathlib.Path], records: Sequence[pathlib.Path], made_with: Any, overwrite: bool
) -> None:
    """Raises a ValueError where one of the files is there and was not made with the same settings.

    Args:
        files: What is about to be written.
        records: JSON files of ours beside them, the newest first: the first that is there says, as
            `made_with`, with which settings the files were made.
        made_with: The settings of now, ready for JSON.
        overwrite: Whether files may be replaced all the same.
    """
    there = [path for path in files if path.exists()]
    known = next((_made_with(path) for path in records if path.exists()), None)
    if there and not overwrite and known != made_with:
        raise ValueError(
            f"{there[0]} is there already and was not made with these settings; --overwrite "
            "replaces it"
        )


def _made_with(path):
    """The settings that a JSON file of ours names, or None where it is somebody else's."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["made_with"]
    except (ValueError, LookupError, TypeError):
        return None


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes JSON, as `aside` does."""
    with aside(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


@contextlib.contextmanager
def aside(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a path to write to; when the block ends, the file is on the disk, whole, as `path`.

    The ending stays, which Keras goes by. When the block fails, nothing is left.

    Raises:
        OSError: If the file cannot be written; it says which and why.
    """
    temporary = _aside(path)
    try:
        yield temporary
        _to_disk(temporary)
        os.replace(temporary, path)
        _to_disk(path.parent)  # the name itself
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _aside(path):
    return path.with_name(f".aside-{path.name}")


def _to_disk(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def log_figures(directory: str | pathlib.Path, paths: Iterable[str | pathlib.Path]) -> None:
    """Shows PNG files in the TensorBoard of a run, each under its name without the ending.

    Args:
        directory: The run's directory, in `logs/figures` of which an event file is written.
        paths: The files.
    """
    writer = tf.summary.create_file_writer(str(pathlib.Path(directory) / "logs" / "figures"))
    with writer.as_default():
        for path in map(pathlib.Path, paths):
            image = tf.io.decode_png(path.read_bytes(), channels=3)
            tf.summary.image(path.stem, image[None], step=0)
    writer.close()
