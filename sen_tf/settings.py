"""Settings: dataclasses whose fields are absl flags, and the programs that read them.

Code that has settings declares them where it uses them:

    @dataclasses.dataclass(frozen=True)
    class Training:
        \"\"\"How a model is fitted.\"\"\"

        epochs: int = setting(100, "Passes over the training data.", at_least=1)

    network, training = settings.parse(arguments, Network, Training)

The command line beats flagfiles, which beat the defaults.
"""

import contextlib
import dataclasses
import difflib
import math
import os
import pathlib
import shlex
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Sequence

import gymnasium
from absl import flags

TENSORFLOW_LOGS = "--tensorflow_logs"
"""Shows the lines that TensorFlow writes when it starts; `sen_tf.distribution.quiet` heeds it."""
SEEDS: dict[str, typing.Any] = {"at_least": 0, "at_most": 2**32 - 1}  # those that NumPy takes


class UsageError(ValueError):
    """The command line asks for something that cannot be done; the message is one line."""


def setting(
    default: typing.Any,
    help: str,
    *,
    choices: Sequence[str] = (),
    at_least: float | None = None,
    at_most: float | None = None,
) -> typing.Any:
    """A field of a dataclass of settings, which is the flag of the same name.

    Args:
        default: Its value where no flag is given.
        help: What it is, in sentences.
        choices: The values it may have, strings; any if empty.
        at_least, at_most: Bounds of a number.
    """
    about = {"help": help, "choices": choices, "at_least": at_least, "at_most": at_most}
    if isinstance(default, list):
        return dataclasses.field(default_factory=default.copy, metadata=about)
    return dataclasses.field(default=default, metadata=about)


def parse(
    arguments: Sequence[str],
    *groups: type[typing.Any],
    files: Callable[[dict[str, typing.Any]], tuple[Sequence, dict]] | None = None,
    others: Sequence[type[typing.Any]] = (),
) -> tuple[typing.Any, ...]:
    """Instances of dataclasses of settings, from a command line.

    Args:
        arguments: The command line without the program's name.
        *groups: The dataclasses, no two of which have a field of one name; a flag that is typed
            must be one of theirs.
        files: Function from the values of the command line alone, a dict, to the paths of the
            flagfiles that stand below it, the stronger one last, and to a dict of the values that
            are settled by it, such as what `auto` means.
        others: Dataclasses of other programs, whose flags a `--flagfile` may hold too.

    Returns:
        One instance per dataclass, in their order.

    Raises:
        UsageError: For an unknown flag, a bad value, or an argument that is no flag.
    """
    typed(arguments, *groups)
    known = _fields([*groups, *others])
    first = _values(arguments, known)
    paths, settled = files(first) if files else ((), {})
    # What other code calls by the name of a flag of this program is not meant by it.
    namesakes = {
        field.name
        for other in others
        for field in dataclasses.fields(other)
        if known[field.name] is not field
    }
    words = [word for path in paths for word in _flags_in(path, known.keys() - namesakes)]
    values = _values(words + list(arguments), known) | settled
    _check(values)
    return tuple(
        group(**{field.name: values[field.name] for field in dataclasses.fields(group)})
        for group in groups
    )


def typed(arguments: Sequence[str], *groups: type[typing.Any]) -> set[str]:
    """The names of the flags that are typed on a command line, those in flagfiles left out.

    Raises:
        UsageError: As `parse`.
    """
    values = _absl_values(_without_files(arguments), _fields(groups))
    return {name for name in _fields(groups) if values[name].present}


def _without_files(arguments):
    """A command line without its flagfiles: `--flagfile=FILE`, or `--flagfile FILE`."""
    words = iter(arguments)
    for word in words:
        name, sign, _ = word.lstrip("-").partition("=")
        if name != "flagfile" or not word.startswith("-"):
            yield word
        elif not sign:
            next(words, None)


def _fields(groups):
    """The fields of dataclasses by name; of two of one name the first."""
    fields: dict[str, typing.Any] = {}
    for group in groups:
        for field in dataclasses.fields(group):
            fields.setdefault(field.name, field)
    return fields


class _Flags(flags.FlagValues):
    """Flags whose files may start with the byte order mark that some editors write."""

    def read_flags_from_files(self, argv: Sequence[str], force_gnu: bool = True) -> list[str]:
        words = super().read_flags_from_files(argv, force_gnu)
        words = [word.removeprefix("\ufeff") for word in words]
        return [word for word in words if not word.startswith("#")]


def _define(field, values):
    """Makes a field a flag."""
    name, help, default = field.name, field.metadata["help"], default_of(field)
    choices, bounds = field.metadata["choices"], {}
    kind = _kind(field)
    if choices:
        flags.DEFINE_enum(name, default, list(choices), help, flag_values=values)
        return
    if kind in (int, float):
        bounds = {
            "lower_bound": field.metadata["at_least"],
            "upper_bound": field.metadata["at_most"],
        }
    kinds: dict[typing.Any, Callable[..., object]] = {
        bool: flags.DEFINE_boolean,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
        list: flags.DEFINE_list,
    }
    kinds[kind](name, default, help, flag_values=values, **bounds)


def _kind(field):
    """The type of a field: `int` of `int | None`, `list` of `list[str]`."""
    kind = field.type
    if isinstance(kind, types.UnionType):
        (kind,) = set(typing.get_args(kind)) - {types.NoneType}
    return typing.get_origin(kind) or kind


def default_of(field: dataclasses.Field) -> typing.Any:
    """The default of a field."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _values(words, fields):
    values = _absl_values(words, fields)
    return {name: values[name].value for name in fields}


def _absl_values(words, fields):
    values = _Flags()
    for field in fields.values():
        _define(field, values)
    rest = _read(values, words, fields)
    if rest:
        raise UsageError(f"unexpected argument {rest[0]!r}: flags are written --name=value")
    return values


def _read(values, words, known, known_only=False):
    """Gives flags their values from a command line; returns what is no flag."""
    try:
        return values(["sen_tf", *words], known_only)[1:]
    except flags.UnrecognizedFlagError as error:
        near = difflib.get_close_matches(error.flagname, known, n=1)
        hint = f". Did you mean --{near[0]}?" if near else "; see --help"
        raise UsageError(f"--{error.flagname} is not a flag of this program{hint}") from error
    except flags.Error as error:
        raise UsageError(" ".join(str(error).split())) from error
    except ValueError as error:  # a flagfile whose name, or what is in it, is no text
        raise UsageError(f"--flagfile is no file of flags: {error}") from error


def glance(arguments: Sequence[str], *names: str) -> dict[str, str]:
    """The flags of these names that a command line and its flagfiles hold, a dict of text.

    Others may be anything: it is asked before it is known which flags there are.
    """
    values = _Flags()
    values.set_gnu_getopt(True)  # past the values of flags that are not known yet
    for name in names:
        flags.DEFINE_string(name, None, "", flag_values=values)
    _read(values, arguments, names, known_only=True)
    return {name: str(values[name].value) for name in names if values[name].present}


def _check(values):
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


def _flags_in(path, known):
    """The flags of a flagfile of ours that are known here; it also holds those of other code."""
    lines = map(str.strip, pathlib.Path(path).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line[:2] == "--" and line[2:].split("=")[0] in known]


def save(path: str | pathlib.Path, *instances: typing.Any) -> None:
    """Writes settings as a flagfile, so that `--flagfile` repeats what was done with them."""
    lines = []
    for instance in instances:
        for name, value in vars(instance).items():
            if value is not None:
                text = ",".join(value) if isinstance(value, list) else value
                lines.append(f"--{name}={text}\n")
    pathlib.Path(path).write_text("".join(lines), encoding="utf-8")


def load(path: str | pathlib.Path, *groups: type[typing.Any]) -> tuple[typing.Any, ...]:
    """Instances of dataclasses of settings, from a flagfile that `save` wrote."""
    return parse([], *groups, files=lambda values: ([path], {}))


def words_of(path: str | pathlib.Path) -> dict[str, str]:
    """The flags that a flagfile of ours holds, a dict of text by name."""
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    words = (line.strip()[2:].partition("=") for line in lines if line.strip().startswith("--"))
    return {name: value for name, _, value in words}


def flagfiles(env: str, preset: str, recipe: str) -> list[pathlib.Path]:
    """Paths of the flagfiles of an environment, a recipe and a preset, the stronger one last.

    `flags/<env>.cfg` holds the paper's settings, `flags/recipes/<recipe>.cfg` how another recipe
    trains, `flags/recipes/<recipe>/<env>.cfg` what it has for this environment alone,
    `flags/<preset>/<env>.cfg` what a smaller preset leaves out. An environment of the user's own
    has those called `own.cfg`.
    """
    here = pathlib.Path(__file__).parent
    # Beside the package in a checkout, inside it where it was installed.
    folder = next(path for path in (here / "flags", here.parent / "flags") if path.is_dir())
    env = env if (folder / f"{env}.cfg").is_file() else "own"
    files = [folder / f"{env}.cfg"]
    if recipe != "paper":
        files.append(folder / "recipes" / f"{recipe}.cfg")
        of_env = folder / "recipes" / recipe / f"{env}.cfg"
        files += [of_env] if of_env.is_file() else []
    if preset != "paper":
        files.append(folder / preset / f"{env}.cfg")
    return files


def describe(description: str, *instances: typing.Any, first: Sequence[str] = ()) -> str:
    """The text of --help: what a program does, and its flags in groups.

    Args:
        description: What it does.
        *instances: Its settings; their values are shown as the defaults.
        first: Names of the flags that are shown before all others, which most users need.
    """
    sections: dict[str, Sequence[str]] = {"Flags to start with": first} if first else {}
    for instance in instances:
        title = str(type(instance).__doc__).splitlines()[0].rstrip(".")
        names = [name for name in vars(instance) if name not in first]
        sections |= {title: names} if names else {}
    owners = {name: instance for instance in instances for name in vars(instance)}
    lines = [description.strip(), "", FLAGS_ARE]
    for title, shown in sections.items():
        lines += ["", f"{title}:"]
        for name in shown:
            lines += _describe_flag(name, owners[name])
    return "\n".join(lines)


FLAGS_ARE = (
    "Flags are written --name=value; --flagfile=FILE reads them from a file.\n"
    f"{TENSORFLOW_LOGS} shows the lines that TensorFlow writes at its start."
)


def _describe_flag(name, owner):
    about = _fields([type(owner)])[name].metadata
    value = getattr(owner, name)
    shown = ",".join(value) if isinstance(value, list) else value
    choices = f" One of: {', '.join(about['choices'])}." if about["choices"] else ""
    default = "none" if shown in (None, "") else shown
    text = textwrap.fill(
        f"{about['help']}{choices} Default: {default}.",
        width=82,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [f"  --{name}", textwrap.indent(text, 6 * " ")]


def run(
    main: Callable[[list[str]], object],
    description: str,
    *groups: type[typing.Any],
    first: Sequence[str] = (),
    parse: Callable[..., tuple[typing.Any, ...]] = parse,
) -> None:
    """Runs a program: --help, one clear line for what the user can mend, and exit codes.

    Args:
        main: Function of the command line's arguments.
        description: What the program does.
        *groups: Its dataclasses of settings.
        first: As in `describe`.
        parse: Function of arguments and dataclasses as `parse`, which knows the program's
            flagfiles, so that --help shows the defaults of the flags beside it.
    """
    for stream in (sys.stdout, sys.stderr):  # paths may hold what a terminal cannot show
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    arguments = [word for word in sys.argv[1:] if word != TENSORFLOW_LOGS]
    helped = {"--help", "-h", "-help", "-?"} & set(arguments)
    try:
        if helped:
            others = [word for word in arguments if word not in helped]
            print(describe(description, *parse(others, *groups), first=first), flush=True)
            return
        _check_backend()
        main(arguments)
    except KeyboardInterrupt:
        _stop("interrupted", 130)
    except BrokenPipeError:  # a reader such as `head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # as shells say of programs that the signal ends
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


def command_line() -> str | None:
    """The command of ours that was run, for messages that say how to repeat it; or None."""
    path = pathlib.Path(sys.argv[0]).absolute()
    if path.name.startswith("sen-"):  # a script of the installed package
        return f"{path.name} {shlex.join(sys.argv[1:])}"
    here = pathlib.Path(__file__).parent
    if not path.is_relative_to(here):
        return None
    module = path.parent if path.stem == "__main__" else path.with_suffix("")
    return f"python -m {'.'.join(module.relative_to(here.parent).parts)} {shlex.join(sys.argv[1:])}"
