"""Pretrained world models: loaded by name, from a folder or from the Hugging Face Hub, and pushed.

Such a folder holds `model.keras`, which computes in float32 and has no optimizer, `README.md`, its
card: data, scores with the seed, the command that trains it, and the licence, and `flags.cfg`, the
flags of that command. Those beside this file are of the laptop preset.
"""

import difflib
import json
import pathlib
import shutil
import tempfile
import warnings

import keras

from sen_tf import export, settings
from sen_tf.pretrained.cards import card_of
from sen_tf.training import runs

HERE = pathlib.Path(__file__).parent
HUB = "hf://"
CARD = "README.md"


def names() -> list[str]:
    """The names of the models that come with the package."""
    return sorted(path.parent.name for path in HERE.glob(f"*/{runs.MODEL}"))


def from_pretrained(name: str | pathlib.Path) -> keras.Model:
    """A trained world model, ready to encode, step and roll out.

    Args:
        name: One of `names()`, such as `"cubes-sen"`; a folder that `push` wrote, or a run's; or
            `"hf://user/model"`, of the Hugging Face Hub, for which `huggingface_hub` must be
            installed. A folder that is called as one of `names()` is asked for by a
            `pathlib.Path`, or as `"./cubes-sen"`.

    Returns:
        A `ContrastiveWorldModel`, which is not compiled.

    Raises:
        ValueError: For a name that is none of these, or a folder without a model.

    Example:
        >>> model = from_pretrained("cubes-sen")
        >>> state = model.encode(images)
    """
    path = _folder(name) / runs.MODEL
    if not path.is_file():
        raise ValueError(f"Expected {name} to hold {runs.MODEL}, as `push` writes it.")
    return keras.models.load_model(path, compile=False)


def card(name: str | pathlib.Path) -> str:
    """The card of a model, Markdown: data, scores, command and licence.

    Args:
        name: As for `from_pretrained`, but for a run, whose card `push` writes.

    Raises:
        ValueError: As `from_pretrained`, and for a folder without a card.
    """
    path = _folder(name) / CARD
    if not path.is_file():
        raise ValueError(f"Expected {name} to hold {CARD}, the card, as `push` writes it.")
    return path.read_text(encoding="utf-8")


def push(run: str | pathlib.Path, to: str | pathlib.Path, licence: str = "mit") -> str:
    """Writes the model of a finished run, with its card, where `from_pretrained` finds it.

    Args:
        run: Directory of the run.
        to: A folder, new or written by `push` before; or `"hf://user/model"`, a repository of the
            Hugging Face Hub that is made where it is missing, for which `huggingface_hub` must be
            installed and logged in.
        licence: Identifier of the licence, as the Hub has it.

    Returns:
        The name or place by which `from_pretrained` finds it.

    Raises:
        UsageError: If the run is not finished.
        ValueError: If the folder holds something else, or is called as one of `names()`.
    """
    if isinstance(to, str) and to in names():
        raise ValueError(
            f"Expected `to` to be no name of a model of the package; received to={to!r}. A folder "
            f"of that name is './{to}'."
        )
    run = pathlib.Path(run)
    model, _ = runs.open_model(run)
    summary = json.loads((run / runs.METRICS).read_text(encoding="utf-8"))
    flags = settings.words_of(run / runs.FLAGS)
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        export.for_inference(model).save(folder / runs.MODEL)
        shape = model.embedding.input_shape[1:]
        found_by = _place(to)
        card = card_of(summary, flags, licence, shape, found_by, runs.FLAGS)
        (folder / CARD).write_text(card, encoding="utf-8")
        (folder / runs.FLAGS).write_text(_lines(flags), encoding="utf-8")
        if not str(to).startswith(HUB):
            _copy(folder, pathlib.Path(to))
            return found_by
        repository = str(to).removeprefix(HUB)
        hub = _hub()
        hub.create_repo(repository, exist_ok=True)
        hub.upload_folder(repo_id=repository, folder_path=folder)
    return found_by


def _place(to):
    """The name or place by which `from_pretrained` finds a model that is pushed there."""
    if pathlib.Path(to).resolve().parent == HERE:
        return pathlib.Path(to).name
    return f"./{to}" if str(to) in names() else str(to)


def _lines(flags):
    """A flagfile, without the place of the data on the machine of the run."""
    return "".join(f"--{name}={value}\n" for name, value in flags.items() if name != "data_dir")


def _copy(folder, to):
    if to.is_file():
        raise ValueError(f"Expected `to` to be a folder; received {to}, a file.")
    ours = {runs.MODEL, CARD, runs.FLAGS}
    there = {path.name for path in to.iterdir()} if to.is_dir() else set()
    others = sorted(there - ours if {runs.MODEL, CARD} <= there else there)
    if others:
        raise ValueError(
            f"Expected `to` to be a new folder, or one that `push` wrote; received {to}, which "
            f"holds {others[0]}."
        )
    to.mkdir(parents=True, exist_ok=True)
    for name in ours:
        shutil.copyfile(folder / name, to / name)


def _folder(name):
    if isinstance(name, str) and name in names():
        if (pathlib.Path(name) / runs.MODEL).is_file():
            warnings.warn(
                f"{name} is a model of the package, which is taken; the folder is './{name}'",
                stacklevel=3,
            )
        return HERE / name
    if str(name).startswith(HUB):
        return pathlib.Path(_hub().snapshot_download(str(name).removeprefix(HUB)))
    if pathlib.Path(name).is_dir():
        return pathlib.Path(name)
    nearest = difflib.get_close_matches(str(name), names(), n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise ValueError(
        f"Expected `name` to be one of {', '.join(names())}, a folder, or {HUB}user/model; "
        f"received name={str(name)!r}.{hint}"
    )


def _hub():
    try:
        import huggingface_hub
    except ImportError as error:
        raise ValueError(
            f"{HUB}... needs a package of its own: pip install huggingface_hub"
        ) from error
    return huggingface_hub
