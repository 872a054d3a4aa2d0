"""What an audit says of one site: plain data, apart from internal types."""

import json
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple

FORMAT = 1
"""The version of `Row`: fields may be added at its end, none go."""


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

    adapter: str = ""
    file: str = ""
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


@lru_cache(1024)
def said(text: str) -> int:
    """A number that tells such lines apart: 63 bits of their SHA-256, and 0 for no rows."""
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1 if text != NOTHING else 0


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


def lost(names: Names, problem: str) -> Row:
    """The row of an adapter that could not be gone through."""
    finding = Found("internal-error", "error", problem)
    return Row(names.adapter, names.file, problem=problem, findings=(finding,), run=names.run)
