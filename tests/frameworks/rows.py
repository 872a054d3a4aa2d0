"""What lora-lint makes of a text, as rows of a table that a reader can check by eye."""

import json
from typing import NamedTuple

from lora_lint.facts import Fact, Setup, Site, UnknownFact
from lora_lint.reading import read_bytes

_INITIALS = {"written": "w", "default": "d", "derived": "c", "unknown": "u"}


class Row(NamedTuple):
    """A site: `?` is unknown, `-` an alpha that doesn't exist, and w, d, c, u say who gave rank and alpha.

    They were written, are a default, were computed by the framework, or are unknown.
    """

    modules: str
    rank: float | str | None
    alpha: float | str | None
    scale: float | str
    origins: str
    state: str = "active"
    method: str = "lora"


class Named(NamedTuple):
    """A row with the framework that the text is read as."""

    framework: str
    modules: str
    rank: float | str | None
    alpha: float | str | None
    scale: float | str
    origins: str
    state: str = "active"
    method: str = "lora"


def shell(*words: str) -> tuple[str, str]:
    return "train.sh", " \\\n  ".join(words)


def yaml(*lines: str) -> tuple[str, str]:
    return "config.yaml", "\n".join(lines)


def python(*lines: str) -> tuple[str, str]:
    return "train.py", "\n".join(lines)


def saved(name: str, **keys: object) -> tuple[str, str]:
    return name, json.dumps(keys)


def setups(name: str, text: str) -> list[Setup]:
    reading = read_bytes(name, text.encode())
    assert reading.problem is None
    return reading.setups


def rows(found: list[Setup]) -> list[Row]:
    """Every site, scales to six digits after the point."""
    exact = [row(site) for setup in found for site in setup.sites]
    return [one if isinstance(one.scale, str) else one._replace(scale=round(one.scale, 6)) for one in exact]


def named(name: str, text: str) -> list[Named]:
    """Every site of a text."""
    return [Named(setup.framework, *row(site)) for setup in setups(name, text) for site in setup.sites]


def row(site: Site) -> Row:
    try:
        scale: float | str = site.scale
    except UnknownFact:
        scale = "?"
    return Row(
        " ".join(site.modules),
        _value(site.rank),
        "-" if site.alpha is None else _value(site.alpha),
        scale,
        _INITIALS[site.rank.origin] + ("-" if site.alpha is None else _INITIALS[site.alpha.origin]),
        site.state,
        site.method,
    )


def _value(fact: Fact[float] | Fact[float | None]) -> float | str | None:
    return fact.value if fact.known else "?"
