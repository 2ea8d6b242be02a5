"""The report of `explain`: a record for each layer, and what follows from them."""

import dataclasses
import math
from typing import Any, Self

HARMLESS = 1e-5
"""Effect on the output, relative to it, below which a broken layer does no harm."""


@dataclasses.dataclass(frozen=True)
class LayerRecord:
    """A layer under the moves of a group; errors are the largest of all moves.

    Attributes:
        layer: its name, after those of the models that it is nested in; "(2)" is a second call.
        kind: its class.
        shape: the shape of its output, without the batch.
        field: how its output transforms, as text; "unknown" if no rule says so.
        verdict: "exact", "approximate", "broken", "dead" (zero or constant), or "unknown".
        own: the error of the layer by itself, |L(g h) - g L(h)| / |L(h)|; nan if it is not known.
        accumulated: the error of all layers from the input to this one.
        effect: the error of the network's output that this layer makes.
        move: the move of the largest own error: the index of an element, or "rows", "columns".
        reason: why it is not exact; empty if it is.
        fix: what to do about it.
    """

    layer: str
    kind: str
    shape: tuple[int, ...]
    field: str
    verdict: str
    own: float
    accumulated: float
    effect: float
    move: str = ""
    reason: str = ""
    fix: str = ""

    @property
    def is_harmless(self) -> bool:
        """True if what the layer breaks does not reach the output."""
        return self.effect < HARMLESS


@dataclasses.dataclass(frozen=True)
class Report:
    """The layers of a network, and what they do to its symmetry; `str` makes a table of it.

    Attributes:
        network: the model's name.
        group: the group's name.
        moves: "elements" or "translation".
        error: the error of the whole network; nan if the field of no output is known.
        tolerance: the error up to which the whole is exact, by the coarsest of its dtypes.
        layers: a tuple of `LayerRecord` in topological order.
    """

    network: str
    group: str
    moves: str
    error: float
    tolerance: float
    layers: tuple[LayerRecord, ...]

    @property
    def is_exact(self) -> bool:
        """True if the network commutes and no layer is broken, or of unknown field."""
        exact = all(record.verdict in ("exact", "dead") for record in self.layers)
        return exact and self.error <= self.tolerance

    @property
    def culprit(self) -> LayerRecord | None:
        """The first broken layer that changes the output, else the first broken one; or None."""
        broken = [record for record in self.layers if record.verdict == "broken"]
        harmful = [record for record in broken if not record.is_harmless]
        return next(iter(harmful or broken), None)

    @property
    def worst(self) -> LayerRecord | None:
        """The layer of the largest effect on the output, or None if there is no layer."""
        return max(self.layers, key=lambda record: _or_zero(record.effect), default=None)

    @property
    def suspects(self) -> list[LayerRecord]:
        """The layers by their own error, the largest first."""
        return sorted(self.layers, key=lambda record: -_or_zero(record.own))

    def to_dict(self) -> dict[str, Any]:
        """The report as lists, texts and numbers, which JSON has; nan as None."""
        read = dataclasses.asdict(self)
        read["layers"] = [
            {name: list(v) if name == "shape" else _plain(v) for name, v in record.items()}
            for record in read["layers"]
        ]
        return {name: _plain(value) for name, value in read.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The report that `to_dict` was made of; infinite errors come back as nan."""
        layers = tuple(
            LayerRecord(**{**_numbers(record), "shape": tuple(record["shape"])})
            for record in values["layers"]
        )
        return cls(**{**_numbers(values), "layers": layers})

    def __str__(self) -> str:
        head = ["layer", "output", "field", "own", "accumulated", "effect", "verdict"]
        lines = _aligned([head, *map(_row, self.layers)])
        others = [record for record in self.layers if record.reason and record != self.culprit]
        notes = [f"{record.layer}: {_sentence(record)}" for record in others]
        return "\n".join([*lines, "", *notes, *[""] * bool(notes), self.conclusion])

    @property
    def conclusion(self) -> str:
        """A sentence or two on the whole, and what to do."""
        known = not math.isnan(self.error)
        error = f"the network's error is {_number(self.error) if known else 'not known'}"
        if self.layers and self.layers[-1].verdict == "dead":
            error = f"{error}, but its output is the same for all inputs"
        unknown = [f"`{r.layer}`" for r in self.layers if r.verdict == "unknown"]
        if self.moves == "translation":
            names = ", ".join(f"`{r.layer}` ({r.own:.2g})" for r in self.suspects[:3])
            return f"The largest own errors: {names}. They rank layers, and convict none."
        if (culprit := self.culprit) is not None:
            if culprit.is_harmless:
                error = f"it does not reach the output: {error}"
            error = f"{error[:1].upper()}{error[1:]}."
            return f"`{culprit.layer}` breaks {self.group}: {_sentence(culprit)} {error}"
        if unknown:
            return (
                f"No layer of known field breaks {self.group}, but those of {', '.join(unknown)} "
                "are not known: state them by `fields`."
            )
        if self.is_exact:
            return f"The network commutes with {self.group}: its error is {_number(self.error)}."
        return (
            f"The network commutes with {self.group} approximately: {error}, and no layer is "
            "broken."
        )


def _sentence(record):
    fix = f" {record.fix[:1].upper()}{record.fix[1:]}." if record.fix else ""
    return f"{record.reason}.{fix}"


def _row(record):
    harmless = record.verdict == "broken" and record.is_harmless
    return [
        record.layer,
        str(record.shape),
        record.field,
        *map(_number, (record.own, record.accumulated, record.effect)),
        record.verdict + ", harmless" * harmless,
    ]


def _aligned(rows):
    """Rows of texts as lines, columns of numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if 3 <= column <= 5 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _number(value):
    if math.isnan(value):
        return "-"
    return "0" if value == 0 else f"{value:.1e}" if value < 1e-3 else f"{value:.3f}"


def _or_zero(value):
    return 0.0 if math.isnan(value) else value


def _plain(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _numbers(values):
    return {name: math.nan if value is None else value for name, value in values.items()}
