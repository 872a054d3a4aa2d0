"""The sites of one file as rows, each with the findings that speak of it."""

import json
import math
import os
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from lora_lint.audit.quoted import quoted
from lora_lint.audit.roots import CONFIG
from lora_lint.audit.rows import Found, Row
from lora_lint.facts import Fact, Setup, Site, UnknownFact
from lora_lint.finding import Diagnostic
from lora_lint.policy import Policy
from lora_lint.reading import Reading

_ALL = ("*", "all-linear")


def rows(reading: Reading, diagnostics: Sequence[Diagnostic], policy: Policy) -> list[Row]:
    """The rows of one file without its names, none for one that says nothing about LoRA."""
    if not (reading.setups or diagnostics or reading.problem) or _is_beside_config(reading):
        return []
    found = _assigned(reading, diagnostics)
    start = Row(content=_content(reading))
    made = [
        _site(start, setup, site, policy)._replace(findings=tuple(found.get(id(site), ())))
        for setup in reading.setups
        for site in setup.sites
    ]
    if made:
        return [made[0]._replace(findings=(*found.get(0, ()), *made[0].findings)), *made[1:]] if 0 in found else made
    problem = reading.problem.message if reading.problem is not None else None
    return [start._replace(problem=problem, findings=tuple(found.get(0, ())))]


def _is_beside_config(reading: Reading) -> bool:
    """Whether it is weights that can't be read with a config beside them, whose row says so."""
    folder, name = os.path.split(reading.path)
    return name.endswith(".safetensors") and not reading.setups and os.path.isfile(os.path.join(folder, CONFIG))


def _assigned(reading: Reading, diagnostics: Sequence[Diagnostic]) -> dict[int, list[Found]]:
    """The findings by the `id` of the site that they are told with, 0 where the file has none that they speak of."""
    found: dict[int, list[Found]] = {}
    for one in diagnostics:
        setup = next((setup for setup in reading.setups if setup.document is one.document), None)
        sites = setup.sites if setup is not None else ()
        at = next((id(site) for site in sites if id(site) in one.sites), id(sites[0]) if sites else 0)
        elsewhere = None if one.file == reading.source.name else one.file.rpartition("/")[2]
        line = one.range.start.line if one.source_lines else None
        found.setdefault(at, []).append(Found(one.rule, one.severity.value, one.message, line, elsewhere, quoted(one)))
    return found


def _content(reading: Reading) -> str:
    text = reading.source.text
    if not text and reading.documents:
        text = json.dumps(reading.documents[0].data, sort_keys=True, default=str)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest() if text else ""


def _site(start: Row, setup: Setup, site: Site, policy: Policy) -> Row:
    source = setup.document.source
    active = site.state == "active"
    scale = site.told_scale
    return start._replace(
        line=source.position(setup.document.span.start).line if source.text else None,
        framework=setup.framework,
        kind="example" if setup.document.example else setup.kind,
        base_model=_base_model(setup),
        state=site.state,
        method=site.method,
        modules=None if site.modules[:1] and site.modules[0] in _ALL else len(site.modules),
        rank=_value(site.rank),
        alpha=_value(site.alpha),
        alpha_origin=site.alpha.origin if site.alpha is not None else None,
        formula=site.formula.name,
        scale=scale,
        deviation=_deviation(site, scale, policy) if active else None,
        undecided=site.undecided or None,
        problem=_problem(setup),
    )


def _problem(setup: Setup) -> str | None:
    """Why the weights beside a config can't be read."""
    weights = setup.checkpoint
    if weights is None or not weights.unreadable:
        return None
    return next((f"{file}: {problem.message}" for file, problem in weights.problems), None)


def _base_model(setup: Setup) -> str | None:
    """What is written, or what the framework makes of something else: torchtune's builders are made for one model."""
    named = setup.base_name
    if named is not None:
        return named.repository or named.name or None
    fact = setup.adapter.base_model
    return fact.value if fact is not None and fact.known and fact.origin == "derived" else None


def _value(fact: Fact[Any] | None) -> float | None:
    if fact is None or not fact.known:
        return None
    value = fact.value
    return value if value is not None and math.isfinite(value) else None


def _deviation(site: Site, scale: float | None, policy: Policy) -> float | None:
    """Weights that a tool has put the scale into are right at scale 1, whatever the policy."""
    if scale is None or (site.folded and scale == 1):
        return None
    try:
        wanted = policy.scale(site)
    except (UnknownFact, ArithmeticError, ValueError):
        return None
    deviation = scale / wanted if wanted else math.inf
    return deviation if math.isfinite(deviation) else None
