"""Rows of a benchmark: ours beside a peer, the target, and whether it is reached."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Measured:
    """The median of several measurements, and their spread: (most - least) / median."""

    median: float
    spread: float

    @classmethod
    def of(cls, values):
        median = statistics.median(values)
        return cls(median, (max(values) - min(values)) / median if median else 0.0)


@dataclasses.dataclass(frozen=True)
class Row:
    """What something costs us, and what it costs a peer.

    what: what is done.
    variant: which of our ways of doing it, such as "float32"; empty if there is one.
    by, at: where the cost is followed as something grows: what, and how much of it.
    unit: of the costs, "s", "MiB" or "B"; "%" of errors.
    ours: our cost.
    peer: who is compared; empty if nobody is.
    theirs: the peer's cost; None where there is no peer, or it cannot run here.
    most_of_peer: the target: as many times the peer's cost as ours may be at most.
    most: the target: our cost may be at most so much.
    note: what else there is to know.
    """

    what: str
    unit: str
    ours: Measured
    peer: str = ""
    theirs: Measured | None = None
    most_of_peer: float | None = None
    most: float | None = None
    variant: str = ""
    by: str = ""
    at: float | None = None
    note: str = ""

    @property
    def ratio(self):
        """Our cost in those of the peer; None without one."""
        return self.ours.median / self.theirs.median if self.theirs else None

    @property
    def reached(self):
        """Whether all targets are; None where there is none, or no peer to compare with."""
        pairs = ((self.ratio, self.most_of_peer), (self.ours.median, self.most))
        verdicts = [cost <= most for cost, most in pairs if None not in (cost, most)]
        return all(verdicts) if verdicts else None


def as_json(row):
    """A dict of plain values, with the ratio and the verdict."""
    return {**dataclasses.asdict(row), "ratio": row.ratio, "reached": row.reached}


def markdown(rows):
    """The rows as a table in Markdown."""
    lines = [("what", "ours", "peer", "ratio", "target", "reached"), *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)


def _cells(row):
    where = f"{row.at:g} {row.by}" if row.by else ""
    peer = f"{row.peer}: {_cost(row.theirs, row.unit)}" if row.theirs else row.peer
    share = (row.ratio or 0 if row.most_of_peer is None else row.most_of_peer) < 1
    targets = []
    if row.most_of_peer is not None:
        bound, value = (
            ("at least", 1 / row.most_of_peer) if share else ("at most", row.most_of_peer)
        )
        targets.append(f"{bound} {value:g}")
    if row.most is not None:
        targets.append(f"at most {_quantity(row.most, row.unit)}")
    return (
        ", ".join(filter(None, (row.what, row.variant, where))),
        _cost(row.ours, row.unit),
        "; ".join(filter(None, (peer, row.note))),
        _times(row.ratio, share) if row.theirs else "",
        ", ".join(targets),
        {True: "yes", False: "no", None: ""}[row.reached],
    )


def _times(ratio, share):
    """A ratio of our cost to the peer's; with `share` the other way round, how much less it is."""
    if not share:
        return f"{ratio:.2f} times as much"
    return f"{1 / ratio:,.{0 if ratio < 0.1 else 2}f} times less"


def _cost(measured, unit):
    return f"{_quantity(measured.median, unit)} ({measured.spread:.0%})"


def _quantity(value, unit):
    """Three digits of seconds below 1000 and of shares, and all of whole bytes."""
    if unit == "%":
        return f"{value:.3g} %"
    if unit != "s" or value >= 1000:
        return f"{value:,.0f} {unit}"
    for scale, name in ((1, "s"), (1e3, "ms")):
        if value * scale >= 1:
            return f"{value * scale:.3g} {name}"
    return f"{value * 1e6:.3g} µs"
