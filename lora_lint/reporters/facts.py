"""Setups as JSON for scripts, and as a table for people."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Setup, Site
from lora_lint.printable import printable, printable_json
from lora_lint.reading import Reading
from lora_lint.scaling import number
from lora_lint.tensors import Checkpoint


def as_json(readings: Iterable[Reading]) -> str:
    """The shape that the documentation promises: every key is always there, null is unknown."""
    setups: list[dict[str, Any]] = []
    unreadable: list[dict[str, Any]] = []
    for reading in readings:
        setups += [_setup(setup) for setup in reading.setups if setup.sites]
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
        "weights": _weights(setup.checkpoint) if setup.checkpoint is not None else None,
    }


def _weights(checkpoint: Checkpoint) -> dict[str, Any]:
    """The files beside the config, or the file itself, and how many tensors there are of each dtype."""
    return {
        "files": list(checkpoint.files),
        "missing": list(checkpoint.missing_shards),
        "tensors": len(checkpoint.tensors),
        "dtypes": dict(Counter(tensor.dtype for tensor in checkpoint.tensors.values())),
    }


def _site(site: Site, document: Document) -> dict[str, Any]:
    named = {"rank": site.rank, "alpha": site.alpha}
    return {
        "modules": list(site.modules),
        "state": site.state,
        "method": site.method,
        "rank": _value(site.rank),
        "alpha": _value(site.alpha),
        "scale": site.told_scale,
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


def _place(fact: Fact[Any] | None, document: Document) -> dict[str, int] | None:
    if fact is None or (fact.origin in ("default", "derived") and not _written(fact.path, document)):
        return None
    if fact.origin == "derived" or not document.source.text:
        return None
    position = document.source.position(document.span_of(fact.path).start)
    return {"line": position.line, "column": position.column}


def _written(path: Path, document: Document) -> bool:
    return document.entry(path) is not None


def as_text(readings: Iterable[Reading]) -> str:
    """A line for each site, and one for each file that can't be read."""
    lines = []
    for reading in readings:
        lines += [_line(site, setup) for setup in reading.setups for site in setup.sites]
        if reading.problem is not None:
            place = reading.source.position(min(reading.problem.offset, len(reading.source.text)))
            lines.append(f"{reading.source.name}:{place.line}: {reading.problem.message}")
    return "\n".join(printable(line) for line in lines) or "no LoRA setup found"


def _line(site: Site, setup: Setup) -> str:
    document = setup.document
    line = document.source.position(document.span_of(site.rank.path).start).line
    where = f"{document.source.name}:{line}: {setup.framework}, {_modules(site.modules)}"
    if site.state == "not-lora":
        return f"{where}: {site.method}, not a LoRA scale"
    if site.state == "off":
        return f"{where}: LoRA is off"
    values = [f"rank {_shown(site.rank)}"]
    if site.alpha is not None:
        values.append(f"alpha {_shown(site.alpha)}")
    scale = site.told_scale
    if scale is None:
        return f"{where}: {', '.join(values)}, scale unknown: {site.undecided}"
    how = f" = {site.formula.name}" if site.formula.name != "alpha/r" else ""
    return f"{where}: {', '.join(values)}, scale {number(scale)}{how}"


def _shown(fact: Fact[Any]) -> str:
    """A value with where it comes from, unless it is simply written there."""
    value = _value(fact)
    if value is None:
        return fact.expression.text if fact.expression is not None else "unknown"
    return number(value) if fact.origin == "written" else f"{number(value)} ({fact.origin})"


def _modules(modules: tuple[str, ...]) -> str:
    if len(modules) == 1:
        return "all targets" if modules[0] == "*" else modules[0]
    return f"{len(modules)} modules"
