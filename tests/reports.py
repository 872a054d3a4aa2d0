"""Pages of audits for tests: rows with a scale, the page that comes of them, and what a parser sees in it."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from lora_lint.audit.report.page import Page
from lora_lint.audit.rows import Found, Row
from lora_lint.audit.run import Tally
from lora_lint.audit.summary import Summary
from lora_lint.scaling import number

WHEN = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
VOID = {"meta", "link", "br", "hr", "img", "input"}


def row(name: str = "a", rank: float = 8, alpha: float = 16, *found: Found, **others: Any) -> Row:
    """An adapter of PEFT's that policy 2r speaks of, with a finding where its scale isn't 2."""
    scale = alpha / rank
    if scale != 2 and not found:
        source = f'2\t  "r": {number(rank)},\n3\t  "lora_alpha": {number(alpha)}'
        message = f"scale is {number(scale)}, policy 2r wants alpha {number(2 * rank)}"
        found = (Found("alpha-not-2r", "error", message, 3, None, source),)
    start = Row(name, f"{name}/adapter_config.json", 1, "0123456789abcdef" * 4, "peft", "checkpoint", "org/base")
    site = {"state": "active", "method": "lora", "modules": 2, "rank": rank, "alpha": alpha, "alpha_origin": "written"}
    made = {"formula": "alpha/r", "scale": scale, "deviation": scale / 2, "findings": found, "run": name}
    return start._replace(**{**site, **made, **others})


def unreadable(name: str, problem: str = "not JSON: expecting a comma") -> Row:
    finding = Found("syntax-error", "error", problem, 3, None, '3\t  "r": 8')
    return Row(name, f"{name}/adapter_config.json", problem=problem, findings=(finding,))


def page(
    files: Iterable[Sequence[Row]],
    *,
    policy: str = "2r",
    tally: Tally | None = None,
    roots: Sequence[str] = ("adapters",),
) -> str:
    """The page of an audit that found these rows, file by file."""
    summary = Summary(policy)
    with Page(roots, WHEN) as made:
        for rows in files:
            summary.add(rows)
            made.add(rows)
        return b"".join(made.pieces(summary, tally or Tally())).decode()


class Parsed(HTMLParser):
    """Elements as (name, attributes), the texts of scripts and styles, and all other text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.unclosed: list[str] = []
        self.wrong: list[str] = []
        self.kept: dict[str, list[str]] = {"style": [], "script": [], "data": []}
        self.shown = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.unclosed or self.unclosed.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        inside = self.unclosed[-1] if self.unclosed else ""
        if inside == "script" and self.elements[-1][1].get("type") == "application/json":
            self.kept["data"].append(data)
        elif inside in ("script", "style"):
            self.kept[inside].append(data)
        else:
            self.shown += data

    @property
    def tags(self) -> Counter[str]:
        return Counter(tag for tag, _ in self.elements)

    @property
    def adapters(self) -> list[list[Any]]:
        """The entries of all blocks, with the words of their own block in place of none."""
        return [entry for block in self.kept["data"] for entry in json.loads(block)["adapters"]]

    @property
    def words(self) -> set[str]:
        return {word for block in self.kept["data"] for word in json.loads(block)["words"]}
