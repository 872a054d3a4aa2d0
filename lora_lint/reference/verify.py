"""Checkpoints held against their config: an adapter alone, or a merged model against its base."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch

from lora_lint.catalogue import load_rules
from lora_lint.document import Source, UnreadableError
from lora_lint.facts import Setup
from lora_lint.finding import Diagnostic, Severity
from lora_lint.linter import Linter
from lora_lint.reading import whole
from lora_lint.reference.adapter import ModuleClaim
from lora_lint.reference.merge import Merge
from lora_lint.reference.stream import TensorFiles
from lora_lint.reference.values import updates
from lora_lint.reference.verdict import Evidence, Fault, Status, Terms, Verdict, judge
from lora_lint.reference.weights import Weights
from lora_lint.settings import Settings
from lora_lint.update import Adapter, Comparison, Update

UNSETTLED = Verdict("undecided", "the config doesn't settle the scale")

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


def verify(
    claims: Iterable[ModuleClaim],
    *,
    device: torch.device | None = None,
    base: Weights | None = None,
    merged: Weights | None = None,
    also: Iterable[ModuleClaim] = (),
    spectrum: bool = False,
    linter: Linter | None = None,
    setup: Setup | None = None,
) -> Iterator[ModuleVerdict]:
    """One verdict for each claim, in their order.

    Without `base` and `merged` the adapter is checked alone: its rank, shapes and values, and a forward pass. With
    both, the scale that was really merged is measured as well, in row blocks on `device`; `also` are claims of other
    adapters that were merged too. With `spectrum` the effective rank of every update is computed. `linter` has the
    user's settings of the rules, and `setup` says where the claims come from.

    Raises:
        ValueError: when only one of base and merged is given.
    """
    if (base is None) != (merged is None):
        raise ValueError("base and merged weights are compared with each other: both are needed")
    claims = list(claims)
    return _verdicts(
        claims,
        device or torch.device("cpu"),
        None if base is None or merged is None else Merge(claims, list(also), base, merged),
        spectrum,
        _Rules(linter or Linter(Settings.model_construct(), ["tensors"]), setup),
    )


class _Rules:
    """What the rules say, by the tensor that they point at."""

    def __init__(self, linter: Linter, setup: Setup | None) -> None:
        self._linter = linter
        self._setup = setup
        self._document = setup.document if setup is not None else whole(Source("", ""))
        self._said: defaultdict[str | None, list[Diagnostic]] = defaultdict(list)

    def ask(self, subject: object) -> None:
        for diagnostic in self._linter.judge(subject, self._document, self._setup):
            self._said[diagnostic.tensor].append(diagnostic)

    def of(self, claim: ModuleClaim) -> list[Diagnostic]:
        found = [one for ref in claim.refs for one in self._said.get(ref.name, ())]
        return sorted(found, key=lambda one: -one.severity.rank)


def _verdicts(
    claims: list[ModuleClaim],
    device: torch.device,
    merge: Merge | None,
    spectrum: bool,
    rules: _Rules,
) -> Iterator[ModuleVerdict]:
    files = TensorFiles()
    measured = list(updates(claims, files, device, with_spectrum=spectrum))
    rules.ask(Adapter(tuple(one for one in measured if isinstance(one, Update)), _step(claims)))
    for claim, update in zip(claims, measured, strict=True):
        seen: Evidence | None = None
        found = update if isinstance(update, Verdict) else Verdict("ok") if claim.declared is not None else UNSETTLED
        if merge is not None and isinstance(update, Update) and update.adds:
            try:
                seen = merge.evidence(claim, device)
                found = _held(merge.terms(claim), claim, seen, rules)
            except Fault as fault:
                found = fault.verdict
            except UnreadableError as error:
                found = Verdict("failed", str(error), "unreadable")
        yield _said(claim, update, found, seen, rules.of(claim))


def _step(claims: list[ModuleClaim]) -> int | None:
    """The step of training in the name that trainers give to the folder of a checkpoint."""
    for claim in claims[:1]:
        name, _, step = claim.a.file.parent.name.rpartition("-")
        return int(step) if name == "checkpoint" and step.isdecimal() else None
    return None


def _held(terms: Terms | None, claim: ModuleClaim, seen: Evidence, rules: _Rules) -> Verdict:
    """The evidence held against the declared scale; the rule says what is wrong, in its own severity."""
    if terms is None:
        return UNSETTLED
    found = judge(terms, seen)
    if found.status != "failed":
        return found
    rules.ask(Comparison(found.message, claim.b.name, claim.b.file.name))
    return Verdict("ok", "", found.cause)


def _said(
    claim: ModuleClaim, update: Update | Verdict, found: Verdict, seen: Evidence | None, diagnostics: list[Diagnostic]
) -> ModuleVerdict:
    """The gravest of what was found and what the rules said, and all of it in words."""
    statuses = [found.status, *(STATUSES[one.severity] for one in diagnostics)]
    messages = [found.message, *(one.message for one in diagnostics)]
    known = update.spectrum if isinstance(update, Update) and update.with_spectrum and update.adds else None
    return ModuleVerdict(
        claim.module,
        claim.rank,
        claim.declared,
        seen.scale if seen else None,
        seen.residual if seen else None,
        max(statuses, key=GRAVITY.index),
        "; ".join(dict.fromkeys(filter(None, messages))),
        found.cause or (load_rules()[diagnostics[0].rule].title if diagnostics else ""),
        known.effective if known else None,
        tuple(diagnostics),
    )
