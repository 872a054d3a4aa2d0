"""What the page shows besides a summary's numbers: pairs of rank and alpha, findings by base model."""

from collections.abc import Sequence
from typing import NamedTuple

from lora_lint.audit.report.entries import own_rows
from lora_lint.audit.rows import Row
from lora_lint.audit.summary import MOST_KEYS


class Pair(NamedTuple):
    """Rank and alpha of active sites; `holds` as in `Row`, since other formulas make another scale of the same pair."""

    rank: float
    alpha: float
    holds: bool | None


class Figures:
    """Counts that grow with what differs, not with the number of rows."""

    def __init__(self) -> None:
        self.pairs: dict[Pair, int] = {}
        self.without_pair = 0
        """Active sites whose rank or alpha isn't known, or that have no alpha."""
        self.other_pairs = 0
        self.by_base: dict[str, dict[str, int]] = {}
        """Findings by base model and severity."""

    def add(self, rows: Sequence[Row]) -> None:
        for row in own_rows(rows):
            if row.state == "active":
                self._add_pair(row)
            base = row.base_model or ""
            if row.findings and (base in self.by_base or len(self.by_base) < MOST_KEYS):
                counts = self.by_base.setdefault(base, dict.fromkeys(("error", "warning", "note"), 0))
                for found in row.findings:
                    counts[found.severity] += 1

    def _add_pair(self, row: Row) -> None:
        if row.rank is None or row.alpha is None:
            self.without_pair += 1
            return
        pair = Pair(row.rank, row.alpha, row.holds)
        if pair in self.pairs or len(self.pairs) < MOST_KEYS:
            self.pairs[pair] = self.pairs.get(pair, 0) + 1
        else:
            self.other_pairs += 1

    def largest_pairs(self) -> list[tuple[Pair, int]]:
        return sorted(self.pairs.items(), key=lambda item: (-item[1], item[0].rank, item[0].alpha))
