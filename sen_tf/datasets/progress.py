"""Progress of what takes long: a bar on a terminal, elsewhere a line every ten per cent."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

import tqdm

LONG = 2.0
"""Seconds from which on a wait is worth a line, where there is no terminal."""


class Tenths:
    """The lines of a wait off a terminal, where a bar would be one line without an end.

    Args:
        total: How much there is to do.
        show: Function of the share done, in tenths, called when a further tenth is done; not
            within `LONG` seconds of the start or the tenth before, and not for the last.
    """

    def __init__(self, total: int, show: Callable[[int], object]) -> None:
        self.total, self.show = total, show
        self.shown, self.last = 0, time.perf_counter()

    def reach(self, done: int) -> None:
        """Shows the tenth that `done` of the total has reached, if it is a further one."""
        tenth, now = 10 * done // self.total, time.perf_counter()
        if self.shown < tenth < 10 and now - self.last > LONG:
            self.shown, self.last = tenth, now
            self.show(tenth)


@contextlib.contextmanager
def progress(
    total: int, title: str, unit: str = "", enabled: bool = True
) -> Iterator[Callable[[int], object]]:
    """Shows on stderr how far something has come; gives a function that counts what is done.

    Args:
        total: How much there is to do.
        title: What is done.
        unit: What is counted, plural.
        enabled: Whether to show anything.
    """
    if sys.stderr.isatty() or not enabled:
        with tqdm.tqdm(
            total=total, desc=title, unit=f" {unit}", mininterval=0.5, disable=not enabled
        ) as bar:
            yield bar.update
        return
    done = 0

    def update(count=1):
        nonlocal done
        done += count
        tenths.reach(done)

    def show(tenth):
        print(f"{title}: {10 * tenth} % of {total:,} {unit}".rstrip(), file=sys.stderr, flush=True)

    tenths = Tenths(total, show)
    yield update
