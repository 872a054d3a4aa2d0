"""Setups as JSON for scripts, and as a table for people."""

import math
from collections.abc import Iterable
from typing import Any

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Setup, Site, UnknownFact
from lora_lint.printable import printable, printable_json
from lora_lint.reading import Reading
from lora_lint.scaling import number


def as_json(readings: Iterable[Reading]) -> str:
    """The shape that the documentation promises: every key is always there, null is unknown."""
    setups: list[dict[str, Any]] = []
    unreadable: list[dict[str, Any]] = []
    for reading in readings:
        setups += [_setup(setup) for setup in reading.setups]
        if reading.problem is not None:
            place = reading.source.position(min(reading.problem.offset, len(reading.source.text)))
            unreadable.append(
                {
                    "file": reading.source.name,
                    "line": place.line,
                    "column": place.column,
                    "message": reading.problem.message,
                }
            )
    return printable_json({"format": 1, "setups": setups, "unreadable": unreadable})


def _setup(setup: Setup) -> dict[str, Any]:
    source = setup.document.source
    return {
        "file": source.name,
        "line": source.position(setup.document.span.start).line,
        "framework": setup.framework,
        "recognised_by": list(setup.recognised_by),
        "also": list(setup.also),
        "kind": setup.kind,
        "sites": [_site(site, setup.document) for site in setup.sites],
    }


def _site(site: Site, document: Document) -> dict[str, Any]:
    named = {"rank": site.rank, "alpha": site.alpha}
    return {
        "modules": list(site.modules),
        "state": site.state,
        "method": site.method,
        "rank": _value(site.rank),
        "alpha": _value(site.alpha),
        "scale": scale_of(site),
        "formula": site.formula.name,
        "origins": {name: fact.origin if fact is not None else None for name, fact in named.items()},
        "expressions": {
            name: fact.expression.text
            for name, fact in named.items()
            if fact is not None and fact.expression is not None
        },
        "at": {name: _place(fact, document) for name, fact in named.items()},
        "unknown": [f"{name}: {fact.reason}" for name, fact in named.items() if fact is not None and not fact.known],
    }


def _value(fact: Fact[Any] | None) -> float | None:
    if fact is None or not fact.known:
        return None
    value = fact.value
    if value is None or not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() else float(value)


def scale_of(site: Site) -> float | None:
    """The scale, or None where it is unknown or the site isn't classic LoRA."""
    if site.state == "not-lora":
        return None
    try:
        return float(site.scale)
    except UnknownFact:
        return None


def _place(fact: Fact[Any] | None, document: Document) -> dict[str, int] | None:
    if fact is None or (fact.origin in ("default", "derived") and not _written(fact.path, document)):
        return None
    if fact.origin == "derived":
        return None
    position = document.source.position(document.span_of(fact.path).start)
    return {"line": position.line, "column": position.column}


def _written(path: Path, document: Document) -> bool:
    return document.entry(path) is not None


_HEAD = ("where", "framework", "rank", "alpha", "scale", "modules", "alpha from")


def as_text(readings: Iterable[Reading]) -> str:
    """A table with a line for each site, and a line for each file that can't be read."""
    rows: list[tuple[str, ...]] = [_HEAD]
    problems = []
    for reading in readings:
        for setup in reading.setups:
            rows += [_row(site, setup) for site in setup.sites]
        if reading.problem is not None:
            place = reading.source.position(min(reading.problem.offset, len(reading.source.text)))
            problems.append(printable(f"{reading.source.name}:{place.line}: {reading.problem.message}"))
    if len(rows) == 1:
        return "\n".join([*problems, "no LoRA setup found"])
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, *problems])


def _row(site: Site, setup: Setup) -> tuple[str, ...]:
    document = setup.document
    line = document.source.position(document.span_of(site.rank.path).start).line
    scale = scale_of(site)
    shown = "-" if site.state == "not-lora" else "?" if scale is None else number(scale)
    return tuple(
        printable(cell)
        for cell in (
            f"{document.source.name}:{line}",
            setup.framework,
            _cell(site.rank),
            _cell(site.alpha),
            shown if site.state != "off" else "off",
            _modules(site.modules),
            _origin(site),
        )
    )


def _cell(fact: Fact[Any] | None) -> str:
    if fact is None:
        return "-"
    value = _value(fact)
    if value is not None:
        return number(value)
    return fact.expression.text[:24] if fact.expression is not None else "?"


def _modules(modules: tuple[str, ...], limit: int = 28) -> str:
    if len(modules) == 1:
        name = modules[0]
        return name if len(name) <= limit else f"…{name[-limit + 1 :]}"
    return f"{len(modules)} modules"


def _origin(site: Site) -> str:
    if site.state == "not-lora":
        return site.method
    return site.undecided or (site.alpha.origin if site.alpha is not None else "framework")
