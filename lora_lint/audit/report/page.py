"""Rows to a page: adapters are written aside while they come, and the page around them when all is known."""

import base64
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import lora_lint
from lora_lint.audit.changes import CHANGES
from lora_lint.audit.report import charts
from lora_lint.audit.report.answer import told
from lora_lint.audit.report.entries import AT_ONCE, STANDINGS, Block, Standing, figure, plain, standing
from lora_lint.audit.report.figures import Figures
from lora_lint.audit.rows import Row
from lora_lint.audit.run import Tally
from lora_lint.audit.summary import Summary
from lora_lint.policy import Policy
from lora_lint.reporters.cells import percent

if TYPE_CHECKING:
    from jinja2 import Environment

LISTED = 100_000
"""Adapters with something to say that the page lists, and as many of the others: a browser holds that many."""
SHOWN = 12
"""Lines of a list, the largest first."""
WIDE, NARROW = (600, 300), (336, 260)
"""Sizes of the drawings: on a desk and on a telephone."""
IN_MEMORY = 1 << 24
"""Bytes of adapters that are kept before they go to a temporary file."""

VERDICTS: dict[Standing, tuple[str, str, str]] = {
    "holds": ("holds the policy", "hold the policy", "The scale is the one that the policy wants."),
    "deviates": ("deviates", "deviate", "The scale is another than the policy wants."),
    "undecided": ("undecided", "undecided", "The files don't settle the scale: a value is set elsewhere."),
    "other": ("not judged", "not judged", "Switched off, no LoRA, or a scale that is part of the weights."),
    "unreadable": ("unreadable", "unreadable", "The file is broken, or isn't what its name says."),
    "aside": ("no adapter", "no adapters", "Examples in texts, and files about no adapter that have findings."),
}
"""In words for one and for many, and what they mean."""


class Page:
    """The page of an audit that is under way."""

    def __init__(self, roots: Sequence[str], begun: datetime) -> None:
        """
        Raises:
            ImportError: without jinja2, the extra `report`.
        """
        self._roots, self._begun = roots, begun
        self._environment = _environment()
        self._figures = Figures()
        self._block = Block()
        self._spool = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed by __exit__
        self._standings = dict.fromkeys(STANDINGS, 0)
        self._listed = {True: 0, False: 0}
        self._left_out = 0

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._spool.close()

    def add(self, rows: Sequence[Row]) -> None:
        """The rows of one file.

        Raises:
            OSError: when the temporary folder is full.
        """
        self._figures.add(rows)
        what = standing(rows)
        if what is None:
            return
        self._standings[what] += 1
        well = what == "holds" and not any(row.findings for row in rows)
        if self._listed[well] >= LISTED:
            self._left_out += 1
            return
        self._listed[well] += 1
        self._block.add(rows, what)
        if len(self._block) == AT_ONCE:
            self._put_aside()

    def pieces(self, summary: Summary, tally: Tally) -> Iterator[bytes]:
        """The page, piece by piece.

        Raises:
            OSError: when the temporary folder is full.
        """
        self._put_aside()
        policy = Policy.parse(summary.policy)
        style, script = (_text(name) for name in ("page.css", "page.js"))
        template = self._environment.get_template("page.html")
        for piece in template.generate(
            begun=self._begun,
            blocks=self._blocks(),
            changes=tally.changes,
            changes_order=CHANGES,
            charts=list(_drawings(summary, self._figures, policy)),
            figures=self._figures,
            formula=charts.policy_formula(policy),
            hashes={"script": _hash(script), "style": _hash(style)},
            left_out=self._left_out,
            most=SHOWN,
            policy=policy,
            reasons=_reasons(summary),
            roots=self._roots,
            script=script,
            standings=self._standings,
            style=style,
            summary=summary,
            tally=tally,
            told=told(summary, policy),
            verdicts=VERDICTS,
            version=lora_lint.__version__,
        ):
            yield piece.encode("utf-8", "backslashreplace")

    def _put_aside(self) -> None:
        if len(self._block):
            self._spool.write(self._block.text().encode("utf-8", "backslashreplace") + b"\n")
            self._block = Block()

    def _blocks(self) -> Iterator[str]:
        self._spool.seek(0)
        for line in self._spool:
            yield line.decode().rstrip("\n")


def _drawings(summary: Summary, figures: Figures, policy: Policy) -> Iterator[dict[str, charts.Chart]]:
    """Both charts in both sizes."""
    drawings = (partial(charts.scales, summary.scales.largest()), partial(charts.pairs, figures.largest_pairs()))
    for draw in drawings:
        yield {"wide": draw(policy, *WIDE), "narrow": draw(policy, *NARROW)}


def _reasons(summary: Summary) -> dict[str, Any]:
    from lora_lint.audit.report.reasons import reasons

    return reasons(summary.rules.each)


def _environment() -> "Environment":
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise ImportError("a report needs jinja2: pip install 'lora-lint[report]'") from None
    environment = Environment(
        loader=PackageLoader("lora_lint.audit", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        {
            "figure": figure,
            "percent": percent,
            "plain": plain,
            "thousands": lambda count: f"{count:,}",
            "part": lambda text: quote(text, safe=""),
        }
    )
    return environment


def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


def _hash(text: str) -> str:
    """What a Content-Security-Policy calls an inline script or style."""
    return "sha256-" + base64.b64encode(sha256(text.encode()).digest()).decode()
