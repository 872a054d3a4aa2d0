"""Adapters as the page's script reads them: short JSON, a thousand at a time, that no name can break out of."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from lora_lint.audit.rows import Found, Row, off_by
from lora_lint.audit.summary import VERDICTS, verdict_of
from lora_lint.credentials import masked
from lora_lint.printable import printable
from lora_lint.scaling import number

Standing = Literal["holds", "deviates", "undecided", "other", "unreadable", "aside"]
STANDINGS: tuple[Standing, ...] = (*VERDICTS, "aside")
"""Verdicts of adapters; `aside` is a file about none that has findings, such as an example in a text."""
SEVERITIES = ("note", "warning", "error")
CONFIG = "/adapter_config.json"
AT_ONCE = 1000
"""Adapters of one block, which share its words."""
LONGEST = 600
"""Characters of a text: a config may hold a megabyte where a name belongs."""
MOST_SITES = MOST_FINDINGS = 200
"""Of one adapter."""
_ROOM = 9
_HASH = 16
"""Characters of a SHA-256 that are shown."""

Entry = list[Any]


class Block:
    """Some adapters. What they have in common is written once, among the words, and is a number elsewhere."""

    def __init__(self) -> None:
        self._words: dict[str, int] = {"": 0}
        self._known: dict[str | float, int] = {}
        """Values that were made words of before."""
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, rows: Sequence[Row], standing: Standing) -> None:
        """One file. The order of the values is the one in which `page.js` takes them."""
        first, own = rows[0], own_rows(rows) or rows
        shown = max(own, key=off_by)
        findings = [found for row in rows for found in row.findings]
        sites = [row for row in rows if row.framework]
        if shown.framework and not any(row is shown for row in sites[:MOST_SITES]):
            sites.insert(0, shown)
        name = plain(first.adapter, len(first.adapter))
        self._entries.append(
            [
                name,
                0 if first.file == first.adapter + CONFIG else plain(first.file, len(first.file)),
                STANDINGS.index(standing),
                self._word(shown.framework),
                self._word(shown.kind),
                self._word(shown.base_model),
                first.content[:_HASH],
                self._word(next((row.problem for row in rows if row.problem), None)),
                next((at for at, row in enumerate(sites) if row is shown), 0),
                sum(1 for row in rows if row.framework),
                [self._site(row) for row in sites[:MOST_SITES]],
                [self._finding(found) for found in findings[:MOST_FINDINGS]],
                len(findings),
            ]
        )

    def text(self) -> str:
        """The block as JSON."""
        return island({"words": list(self._words), "adapters": self._entries})

    def _site(self, row: Row) -> list[int]:
        values = (row.rank, row.alpha, row.scale, row.deviation, row.modules, row.line)
        texts = (row.state, row.method, row.formula, row.alpha_origin, row.undecided, row.kind)
        return [*map(self._number, values), *map(self._word, texts)]

    def _finding(self, found: Found) -> list[int]:
        texts = (found.rule, found.message, found.file, found.source)
        return [SEVERITIES.index(found.severity), found.line or 0, *map(self._word, texts)]

    def _number(self, value: float | None) -> int:
        if value is None:
            return 0
        known = self._known.get(value)
        return known if known is not None else self._learn(value, figure(value))

    def _word(self, text: str | None) -> int:
        if not text:
            return 0
        known = self._known.get(text)
        return known if known is not None else self._learn(text, plain(text))

    def _learn(self, value: str | float, word: str) -> int:
        number = self._words.setdefault(word, len(self._words))
        if not isinstance(value, str) or len(value) <= LONGEST:
            self._known[value] = number
        return number


def own_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that are about an adapter, not about an example of one."""
    return [row for row in rows if row.kind != "example" and (row.kind or row.problem)]


def standing(rows: Sequence[Row]) -> Standing | None:
    """What a file is to the page; None where there is nothing to say of it."""
    own = own_rows(rows)
    if own:
        return verdict_of(own)
    return "aside" if any(row.findings for row in rows) else None


def plain(text: str, most: int = LONGEST) -> str:
    """What is shown of a text: no longer than `most`, without tokens, and nothing in it misleads the eye."""
    cut = masked(text)
    return printable(cut if len(cut) <= most else f"{cut[: most - 1]}…", newlines=True)


def figure(value: float | str) -> str:
    """A number as `number` writes it, or has written it, in no more characters than a cell has room for."""
    text = value if isinstance(value, str) else number(value)
    return text if len(text) <= _ROOM else f"{float(text):.4g}"


def island(data: object) -> str:
    """JSON that ends neither the element that it stands in nor begins another one."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
