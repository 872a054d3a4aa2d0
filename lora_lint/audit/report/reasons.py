"""The reasons of rules, from their pages, as HTML."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from markdown_it import MarkdownIt

from lora_lint.catalogue import load_rules

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_TOLD = ("How to fix", "When to ignore")
"""Sections that help who reads about adapters; examples of configs don't."""


class Reason(NamedTuple):
    """What a page says of its rule. `html` comes from a page of lora-lint's own, in which HTML is text."""

    rule: str
    title: str
    html: str
    sections: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]
    url: str


def reasons(names: Iterable[str]) -> dict[str, Reason]:
    """By rule, for those that there are."""
    rules = load_rules()
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    found = {}
    for name in names:
        if (rule := rules.get(name)) is None:
            continue
        reason, *parts = _SECTION.split(rule.body)
        sections = dict(zip(parts[::2], parts[1::2], strict=True))
        told = tuple((title, markdown.render(sections[title])) for title in _TOLD if title in sections)
        found[name] = Reason(name, rule.title, markdown.render(reason), told, rule.sources, rule.url)
    return found
