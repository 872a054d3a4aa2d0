"""What an audit says of one site: plain data, apart from internal types."""

import json
import math
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

from lora_lint.audit.quoted import quoted
from lora_lint.facts import Fact, Setup, Site, UnknownFact
from lora_lint.finding import Diagnostic
from lora_lint.policy import Policy
from lora_lint.reading import Reading

FORMAT = 1
"""The version of `Row`: fields may be added at its end, none go."""

_ALL = ("*", "all-linear")
_CONFIG = "adapter_config.json"


class Found(NamedTuple):
    """A finding of the row's adapter. Each one is on one row: that of the site it speaks of, else the first."""

    rule: str
    severity: str
    message: str
    line: int | None = None
    file: str | None = None
    """The file that it stands in, where that isn't the row's."""
    source: str = ""
    """The lines that it speaks of, as `quoted` gives them."""


class Row(NamedTuple):
    """One site. `problem` says why an adapter's config or weights can't be read; a row without it that has no framework
    holds findings that are about no adapter.

    `content` is the SHA-256 of the file's text, or of the names, types and shapes of its tensors. `kind` is a setup's,
    or `example` in a docstring, a README or a test. `modules` counts the modules where tensors are at hand, else the
    targets as written. `deviation` is the scale over the policy's: 1 holds, 0.5 is half of what was meant; None where
    either isn't known or the policy doesn't speak of the site.
    """

    adapter: str
    file: str
    line: int | None = None
    content: str = ""
    framework: str | None = None
    kind: str | None = None
    base_model: str | None = None
    state: str | None = None
    method: str | None = None
    modules: int | None = None
    rank: float | None = None
    alpha: float | None = None
    alpha_origin: str | None = None
    formula: str | None = None
    scale: float | None = None
    deviation: float | None = None
    undecided: str | None = None
    problem: str | None = None
    findings: tuple[Found, ...] = ()
    run: str = ""
    """The run that it is a checkpoint of: `adapter` without what its checkpoints differ in."""

    @property
    def holds(self) -> bool | None:
        """Whether the scale is the policy's; None where that can't be said."""
        return None if self.deviation is None else math.isclose(self.deviation, 1, rel_tol=1e-6)


class Names(NamedTuple):
    """What an adapter and its file are called in the rows, and the run that it is a checkpoint of."""

    adapter: str
    file: str
    run: str


NAMELESS = Names("", "", "")
_CHECKPOINT = re.compile(r"(?P<run>.*?)(?:^|/)checkpoint-\d+(?P<inside>/.*|)\Z")


def run_of(adapter: str) -> str:
    """What the checkpoints of one run have in common; the adapter itself where it is none."""
    if "checkpoint-" not in adapter or not (match := _CHECKPOINT.fullmatch(adapter)):
        return adapter
    return f"{match['run']}{match['inside']}".lstrip("/") or adapter


def encoded(rows: Sequence[Row], content: str = "") -> str:
    """The rows of one file as a line of JSON, the form in which they travel and are stored.

    Its names are left out, and its content where that is the one given: files that say the same have the same text.
    """
    bare = [
        row._replace(adapter="", file="", run="", content="" if row.content == content else row.content) for row in rows
    ]
    return json.dumps(bare, separators=(",", ":"), allow_nan=False)


NOTHING = encoded([])


def decoded(text: str, names: Names = NAMELESS, content: str = "") -> list[Row]:
    """The rows of such a line, as those of a file of these names."""
    adapter, file, run = names
    return [
        row._replace(adapter=adapter, file=file, run=run, content=row.content or content) for row in _nameless(text)
    ]


@lru_cache(1024)
def _nameless(text: str) -> tuple[Row, ...]:
    found = json.loads(text)
    for row in found:
        row[_FINDINGS] = tuple(Found(*values) for values in row[_FINDINGS])
    return tuple(map(Row._make, found))


def as_data(row: Row) -> dict[str, Any]:
    """A row with its keys, for JSON."""
    return {
        **row._asdict(),
        "holds": row.holds,
        "findings": [found._asdict() for found in row.findings],
    }


def off_by(row: Row) -> float:
    """How many factors of two the scale is away from the policy's; 0 where it holds, or nobody can say."""
    if row.deviation is None or row.holds:
        return 0.0
    return round(abs(math.log2(abs(row.deviation))), 6) if row.deviation else _FARTHEST


_FARTHEST = 1074.0
"""That of a scale of 0: as far as the smallest number is from 1."""
_FINDINGS = Row._fields.index("findings")


def rows(reading: Reading, diagnostics: Sequence[Diagnostic], policy: Policy, names: Names) -> list[Row]:
    """The rows of one file, none for one that says nothing about LoRA."""
    if not (reading.setups or diagnostics or reading.problem) or _is_beside_config(reading):
        return []
    found = _assigned(reading, diagnostics, names)
    content = _content(reading)
    start = Row(names.adapter, names.file, content=content, run=names.run)
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
    return name.endswith(".safetensors") and not reading.setups and os.path.isfile(os.path.join(folder, _CONFIG))


def lost(names: Names, problem: str) -> Row:
    """The row of an adapter that could not be gone through."""
    finding = Found("internal-error", "error", problem)
    return Row(names.adapter, names.file, problem=problem, findings=(finding,), run=names.run)


def _assigned(reading: Reading, diagnostics: Sequence[Diagnostic], names: Names) -> dict[int, list[Found]]:
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
