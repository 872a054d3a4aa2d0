"""One line of source cut to the width of a terminal around the span that matters, hidden characters shown."""

from itertools import accumulate
from typing import Self

from rich.cells import cell_len

from lora_lint.printable import pieces

_TAB = 4
_DOTS = "..."


class Excerpt:
    """What is shown of a line; `text` is at most `room` cells wide."""

    def __init__(self, text: str, columns: list[int], first: int, length: int) -> None:
        self.text = text
        self._columns = columns
        self._first = first
        self._length = length

    @classmethod
    def around(cls, line: str, start: int, end: int, room: int) -> Self:
        """The part of a line that shows code points `start` to `end`, with what stands around them."""
        start = min(start, len(line))
        # A line may be a megabyte long, so only what could be shown is looked at.
        low, high = max(0, start - 2 * room), min(len(line), start + 2 * room)
        shown = _without_tabs(pieces(line[low:high]))
        edges = [0, *accumulate(cell_len(piece) for piece in shown)]
        whole = low == 0 and high == len(line) and edges[-1] <= room
        left, right = (0, len(shown)) if whole else _window(edges, start - low, end - low, room - 2 * len(_DOTS))
        before = "" if low + left == 0 else _DOTS
        after = "" if low + right == len(line) else _DOTS
        columns = [len(before) + edge - edges[left] for edge in edges[left : right + 1]]
        return cls(f"{before}{''.join(shown[left:right])}{after}", columns, low + left, len(line))

    def underline(self, start: int, end: int) -> tuple[int, int] | None:
        """How many cells to leave and how many to underline for code points `start` to `end`; None if out of sight."""
        last = len(self._columns) - 1
        at, to = min(start, self._length) - self._first, min(end - self._first, last)
        if not 0 <= at <= last:
            return None
        return self._columns[at], max(1, self._columns[max(at, to)] - self._columns[at])


def _without_tabs(shown: list[str]) -> list[str]:
    column = 0
    spread = []
    for piece in shown:
        wide = " " * (_TAB - column % _TAB) if piece == "^I" else piece
        column += cell_len(wide)
        spread.append(wide)
    return spread


def _window(edges: list[int], start: int, end: int, room: int) -> tuple[int, int]:
    """The first and last edge of a window of `room` cells with the span in its middle, or its start at the left."""
    span = edges[min(end, len(edges) - 1)] - edges[start]
    margin = max(room // 4, (room - span) // 2)
    left = start
    while left > 0 and edges[start] - edges[left - 1] <= margin:
        left -= 1
    right = left
    while right + 1 < len(edges) and edges[right + 1] - edges[left] <= room:
        right += 1
    while left > 0 and edges[right] - edges[left - 1] <= room:
        left -= 1
    return left, right
