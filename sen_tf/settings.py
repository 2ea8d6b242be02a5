"""What the flags of the command line, `flag_table.FLAGS`, resolve to.

The command line beats the preset's flagfile, which beats the recipe's, which beats the
environment's, which beats the defaults. Flagfiles are plain absl flagfiles: `flags/<env>.cfg`
holds the paper's settings, `flags/recipes/<recipe>.cfg` how another recipe trains,
`flags/<preset>/<env>.cfg` what a smaller preset leaves out.
"""

import contextlib
import difflib
import math
import os
import pathlib
import shlex
import sys
import types

import gymnasium
from absl import flags

from sen_tf.envs.block_pushing import DIRECTION_NAMES
from sen_tf.flag_table import ARMS, FLAGS, OWNERS, TEAPOT_ARMS


class UsageError(ValueError):
    """The command line asks for something that cannot be done; the message is one line."""


def flagfiles(env, preset, recipe):
    """Paths of the flagfiles of an environment, a recipe and a preset, the stronger one last."""
    here = pathlib.Path(__file__).parent
    # Beside the package in a checkout, inside it where it was installed.
    folder = next(path for path in (here / "flags", here.parent / "flags") if path.is_dir())
    files = [folder / f"{env}.cfg"]
    if recipe != "paper":
        files.append(folder / "recipes" / f"{recipe}.cfg")
    if preset != "paper":
        files.append(folder / preset / f"{env}.cfg")
    return files


def parse(arguments, names, resolve_preset=None):
    """Values of all flags from a command line.

    Args:
        arguments: The command line without the program's name.
        names: Flags that this program takes; another one is refused.
        resolve_preset: Function from `"auto"` to a preset; without it `"auto"` means `"paper"`.

    Returns:
        A namespace with one attribute a flag; `given` holds the names set on the command line.

    Raises:
        UsageError: For an unknown flag, a bad value, an argument that is no flag, or a flag of
            another environment.
    """
    first = _parsed(arguments)
    # A saved flagfile holds the flags of all programs; only those typed are asked for.
    typed = _parsed([word for word in arguments if not word.lstrip("-").startswith("flagfile")])
    given = {name for name in FLAGS if typed[name].present}
    refused = sorted(given - set(names))
    if refused:
        raise UsageError(f"--{refused[0]} is not a flag of this program; see --help")
    env, preset, recipe = (first[name].value for name in ("env", "preset", "recipe"))
    if preset == "auto":
        preset = resolve_preset() if resolve_preset else "paper"
    if recipe == "auto":
        recipe = "paper" if preset == "paper" else "fast"
    files = flagfiles(env, preset, recipe)
    values = _parsed([f"--flagfile={path}" for path in files] + arguments)
    resolved = {name: values[name].value for name in FLAGS}
    resolved |= {"preset": preset, "recipe": recipe}
    _check_values(resolved)
    for name in given & set(OWNERS):
        # With --run, the run says the environment.
        if env != OWNERS[name] and not resolved["run"]:
            raise UsageError(f"--{name} is for --env={OWNERS[name]}, not for {env}")
    arms = TEAPOT_ARMS if env == "teapot" else ARMS[:3]
    if resolved["model"] not in arms and not resolved["run"]:
        raise UsageError(
            f"--model of --env={env} is one of {', '.join(arms)}, not {resolved['model']}"
        )
    for name in ("headings", "train_headings"):
        _check_headings(name, resolved[name] or [])
    return types.SimpleNamespace(**resolved, given=given)


def _check_values(values):
    """Raises a UsageError for what a flag's kind lets pass: a value that no flagfile can hold."""
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"--{name} must be a number, not {value}")
        several = isinstance(value, list)
        for text in value if several else [value] if isinstance(value, str) else []:
            if not text.isprintable() or text != text.strip():
                raise UsageError(
                    f"--{name} must be printable, with no space at its ends, not {text!r}"
                )
            if several and (not text or '"' in text or "," in text):
                raise UsageError(f"--{name} takes names separated by commas, not {text!r}")


def _check_headings(flag, headings):
    unknown = [name for name in headings if name not in DIRECTION_NAMES]
    if unknown:
        raise UsageError(
            f"--{flag} takes names out of {', '.join(DIRECTION_NAMES)}, not {unknown[0]!r}"
        )


class _Flags(flags.FlagValues):
    """Flags whose files may start with the byte order mark that some editors write."""

    def read_flags_from_files(self, argv, force_gnu=True):
        words = super().read_flags_from_files(argv, force_gnu)
        words = [word.removeprefix("\ufeff") for word in words]
        return [word for word in words if not word.startswith("#")]


def _parsed(arguments):
    values = _Flags()
    for name, (kind, default, text, further) in FLAGS.items():
        kind(name, default=default, help=text, flag_values=values, **further)
    try:
        rest = values(["sen_tf", *arguments])[1:]
    except flags.UnrecognizedFlagError as error:
        near = difflib.get_close_matches(error.flagname, FLAGS, n=1)
        hint = f" Did you mean --{near[0]}?" if near else ""
        raise UsageError(f"unknown flag --{error.flagname}.{hint}") from error
    except flags.Error as error:
        raise UsageError(" ".join(str(error).split())) from error
    except ValueError as error:  # a flagfile whose name, or what is in it, is no text
        raise UsageError(f"--flagfile is no file of flags: {error}") from error
    if rest:
        raise UsageError(f"unexpected argument {rest[0]!r}: flags are written --name=value")
    return values


def save(settings, path):
    """Writes the resolved flags as a flagfile, so that `--flagfile` repeats the run."""
    lines = []
    for name in FLAGS:
        value = getattr(settings, name)
        if value is not None:
            text = ",".join(value) if isinstance(value, list) else value
            lines.append(f"--{name}={text}\n")
    pathlib.Path(path).write_text("".join(lines), encoding="utf-8")


def load(path):
    """Settings out of a flagfile that `save` wrote."""
    values = _parsed([f"--flagfile={path}"])
    return types.SimpleNamespace(**{name: values[name].value for name in FLAGS}, given=set())


def describe(description, names):
    """The text of --help: what the program does and its flags with their defaults."""
    lines = [
        description.strip(),
        "",
        "Flags (--name=value; --flagfile=FILE reads them from a file):",
    ]
    for name in names:
        _, default, text, further = FLAGS[name]
        choices = (
            f" One of: {', '.join(further['enum_values'])}." if "enum_values" in further else ""
        )
        shown = ",".join(default) if isinstance(default, list) else default
        lines += [
            f"  --{name}",
            f"      {text}{choices}",
            f"      Default: {'none' if shown in (None, '') else shown}.",
        ]
    return "\n".join(lines)


def run(main, description, names):
    """Runs a program: --help, one clear line for what the user can mend, and exit codes.

    Args:
        main: Function of the command line's arguments.
        description: What the program does.
        names: The flags it takes.
    """
    for stream in (sys.stdout, sys.stderr):  # paths may hold what a terminal cannot show
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:]
    if {"--help", "-h", "-help", "-?"} & set(arguments):
        print(describe(description, names))
        return
    try:
        _check_backend()
        main(arguments)
    except KeyboardInterrupt:
        _stop("interrupted", 130)
    except (
        *(UsageError, ValueError, OSError, FloatingPointError),
        gymnasium.error.DependencyNotInstalled,
    ) as error:
        _stop(f"error: {error}", 2)


def _check_backend():
    """Raises a UsageError where Keras runs on another backend than the programs."""
    keras = sys.modules.get("keras")  # which takes seconds to import
    name = keras.backend.backend() if keras else os.environ.get("KERAS_BACKEND", "tensorflow")
    if name != "tensorflow":
        raise UsageError(
            f"programs need Keras on TensorFlow, not on {name}: set KERAS_BACKEND=tensorflow"
        )


def _stop(message, code):
    with contextlib.suppress(BrokenPipeError):
        print(message, file=sys.stderr)
    sys.exit(code)


def command_line():
    """The command that was run, for messages that say how to repeat it."""
    module = pathlib.Path(sys.argv[0]).stem
    return f"python -m sen_tf.{module} {shlex.join(sys.argv[1:])}"
