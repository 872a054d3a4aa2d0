"""Benchmarks as a Markdown table: minimum, median and maximum of several runs, and ratios."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Row:
    """One comparison; `ours` and `theirs` are seconds (or MB, as `unit` says) of interleaved runs."""

    what: str
    ours: list[float]
    against: str = ""
    theirs: list[float] = field(default_factory=list)
    budget: str = ""
    unit: str = "ms"

    @property
    def ratio(self) -> str:
        return f"{median(self.ours) / median(self.theirs):.2f}" if self.theirs else ""

    @property
    def cells(self) -> tuple[str, ...]:
        theirs = f"{self.against}: {_spread(self.theirs, self.unit)}" if self.theirs else self.against
        return (self.what, _spread(self.ours, self.unit), theirs, self.ratio, self.budget)


HEAD = ("what", "lora-lint: min / median / max", "against", "ratio", "budget")


def markdown(rows: Iterable[Row]) -> Iterator[str]:
    yield _line(HEAD)
    yield _line(["---"] * len(HEAD))
    for row in rows:
        yield _line(row.cells)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _spread(values: list[float], unit: str) -> str:
    scale = 1000 if unit == "ms" else 1
    shown = [_digits(value * scale) for value in (min(values), median(values), max(values))]
    return f"{' / '.join(shown)} {unit}"


def _digits(value: float) -> str:
    return f"{value:.2g}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:,.0f}"
