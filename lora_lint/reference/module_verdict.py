"""What is said of one module in the end: the gravest of what was found and of what the rules say, in words."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from lora_lint.catalogue import load_rules
from lora_lint.facts import Setup
from lora_lint.finding import Diagnostic, Severity
from lora_lint.linter import Linter
from lora_lint.reference.adapter import ModuleClaim
from lora_lint.reference.claims import lacking
from lora_lint.reference.said import Said
from lora_lint.reference.verdict import Evidence, Status, Verdict
from lora_lint.scaling import number
from lora_lint.settings import Settings
from lora_lint.update import Update

STATUSES: dict[Severity, Status] = {Severity.ERROR: "failed", Severity.WARNING: "warning", Severity.NOTE: "ok"}
GRAVITY: tuple[Status, ...] = ("ok", "undecided", "warning", "failed")


@dataclass(frozen=True, slots=True)
class ModuleVerdict:
    """What was found of one module.

    `cause` is the short name of a fault, for counting, and `diagnostics` are what the rules said, the worst first.
    """

    module: str
    rank: float | None
    declared: float | None
    measured: float | None
    residual: float | None
    status: Status
    message: str = ""
    cause: str = ""
    effective_rank: float | None = None
    diagnostics: tuple[Diagnostic, ...] = field(default=(), repr=False)

    @property
    def rule(self) -> str:
        return self.diagnostics[0].rule if self.diagnostics else ""


def verdict_on(
    claim: ModuleClaim,
    update: Update | Verdict,
    found: Verdict,
    seen: Evidence | None,
    rules: Said,
    expect: float | None = None,
) -> ModuleVerdict:
    """The verdict on a claim, whose scale is held to `expect` where nothing worse is known."""
    if found.rule:
        found = rules.fault(found, claim.b.name, claim.b.file.name)
    scale = seen.scale if seen else claim.declared
    sound = _status(found, rules.of(claim)) != "failed"
    if expect is not None and scale is not None and sound and not math.isclose(scale, expect, rel_tol=0.01):
        other = f"scale is {number(scale)}, {number(expect)} was expected"
        rules.fault(Verdict("failed", other, rule="scale-not-expected"), claim.b.name, claim.b.file.name)
    known = update.spectrum if isinstance(update, Update) and update.with_spectrum and update.adds else None
    return ModuleVerdict(
        claim.module,
        claim.rank,
        claim.declared,
        seen.scale if seen else None,
        seen.residual if seen else None,
        *_in_words(found, diagnostics := rules.of(claim)),
        known.effective if known else None,
        tuple(diagnostics),
    )


def incomplete(setup: Setup, linter: Linter | None = None) -> Iterator[ModuleVerdict]:
    """Verdicts on the modules that lack A or B; `linter` has the user's settings of the rules."""
    rules = Said(linter or Linter(Settings.model_construct(), None), setup)
    for module in lacking(setup):
        kept = module.a or module.b or module.magnitude
        name, file = (kept.name, kept.file) if kept is not None else (module.module, "")
        missing = "lora_A is missing" if module.a is None else "lora_B is missing"
        found = rules.fault(Verdict("failed", missing, missing, "missing-tensors"), name, file)
        diagnostics = rules.at(name)
        words = _in_words(found, diagnostics)
        yield ModuleVerdict(module.module, None, None, None, None, *words, diagnostics=tuple(diagnostics))


def _status(found: Verdict, diagnostics: list[Diagnostic]) -> Status:
    return max((found.status, *(STATUSES[one.severity] for one in diagnostics)), key=GRAVITY.index)


def _in_words(found: Verdict, diagnostics: list[Diagnostic]) -> tuple[Status, str, str]:
    """Status, message and cause."""
    messages = [found.message, *(one.message for one in diagnostics)]
    return (
        _status(found, diagnostics),
        "; ".join(dict.fromkeys(filter(None, messages))),
        found.cause or (load_rules()[diagnostics[0].rule].title if diagnostics else ""),
    )
