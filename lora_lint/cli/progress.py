"""How far a long run is: a bar with rate and remaining time on standard error, on a terminal only."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

SOON = 1.0
"""Seconds that a run may take without a bar."""


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A function to be told the bytes that are done, and those in all; it may be called from any thread."""
    bars: list[Progress] = []
    began = time.monotonic()

    def tell(done: int, total: int) -> None:
        if bars:
            bars[0].update(bars[0].task_ids[0], completed=done, total=total)
        elif sys.stderr.isatty() and time.monotonic() - began > SOON:
            bars.append(_bar(what, total))
            bars[0].update(bars[0].task_ids[0], completed=done)

    try:
        yield tell
    finally:
        for bar in bars:
            bar.stop()


def _bar(what: str, total: int) -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TextColumn("left"), TimeRemainingColumn())
    bar = Progress(TextColumn("{task.description}"), *columns, console=Console(stderr=True), transient=True)
    bar.add_task(what, total=total)
    bar.start()
    return bar
