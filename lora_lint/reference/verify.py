"""Checkpoints held against their config: an adapter alone, or a merged model against its base."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import repeat

import torch

from lora_lint.catalogue import load_rules
from lora_lint.document import UnreadableError
from lora_lint.facts import Setup
from lora_lint.finding import Diagnostic, Severity
from lora_lint.linter import Linter
from lora_lint.reference.adapter import ModuleClaim
from lora_lint.reference.blocks import single_threaded
from lora_lint.reference.device import shares
from lora_lint.reference.merge import Merge
from lora_lint.reference.said import Said
from lora_lint.reference.stream import Reading, TensorFiles
from lora_lint.reference.values import updates
from lora_lint.reference.verdict import Evidence, Fault, Status, Terms, Verdict, judge
from lora_lint.reference.weights import Weights
from lora_lint.settings import Settings
from lora_lint.update import Adapter, Comparison, Update

CPU = torch.device("cpu")

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
    device: torch.device | Sequence[torch.device] = CPU,
    base: Weights | None = None,
    merged: Weights | None = None,
    also: Iterable[ModuleClaim] = (),
    spectrum: bool = False,
    linter: Linter | None = None,
    setup: Setup | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[ModuleVerdict]:
    """One verdict for each claim, in their order.

    Without `base` and `merged` the adapter is checked alone: its rank, shapes and values, and a forward pass. With
    both, the scale that was really merged is measured as well, in row blocks on `device`, or on each of several for a
    range of the modules; `also` are claims of other adapters that were merged too. With `spectrum` the effective rank
    of every update is computed. `linter` has the user's settings of the rules, and `setup` says where the claims come
    from. `progress` is told the bytes read so far and those in all.

    Raises:
        ValueError: when only one of base and merged is given.
    """
    if (base is None) != (merged is None):
        raise ValueError("base and merged weights are compared with each other: both are needed")
    claims = list(claims)
    devices = [device] if isinstance(device, torch.device) else list(device)
    reading = Reading(progress)
    merge = None if base is None or merged is None else Merge(claims, list(also), base, merged, reading.told)
    rules = Said(linter or Linter(Settings.model_construct(), ["tensors"]), setup)
    return _verdicts(claims, devices, merge, spectrum, rules, reading)


def _verdicts(
    claims: list[ModuleClaim],
    devices: list[torch.device],
    merge: Merge | None,
    spectrum: bool,
    rules: Said,
    reading: Reading,
) -> Iterator[ModuleVerdict]:
    files = TensorFiles(reading.told)
    sizes = [merge.size(claim) if merge is not None else 0 for claim in claims]
    reading.total = sum(sizes) + sum(files.size(ref) for claim in claims for ref in claim.refs)
    measured = list(updates(claims, files, devices[0], with_spectrum=spectrum))
    rules.ask(Adapter(tuple(one for one in measured if isinstance(one, Update)), _step(claims)))
    compared = _compared(claims, measured, sizes, devices, merge)
    for claim, update, seen in zip(claims, measured, compared, strict=True):
        found = update if isinstance(update, Verdict) else Verdict("ok") if claim.declared is not None else UNSETTLED
        if isinstance(seen, Verdict):
            found = seen
        elif seen is not None and merge is not None:
            found = _held(merge.terms(claim), claim, seen, rules)
        yield _said(claim, update, found, seen if isinstance(seen, Evidence) else None, rules.of(claim))


def _compared(
    claims: list[ModuleClaim],
    measured: list[Update | Verdict],
    sizes: list[int],
    devices: list[torch.device],
    merge: Merge | None,
) -> Iterator[Evidence | Verdict | None]:
    """What the weights say of each claim, or why they can't; None where there is nothing to ask them.

    Every device takes a range of the modules: a GPU with a thread of its own, the CPU with one for every core.
    """
    if merge is None:
        yield from repeat(None, len(claims))
        return

    def evidence(claim: ModuleClaim, update: Update | Verdict, device: torch.device) -> Evidence | Verdict | None:
        if isinstance(update, Verdict) or not update.adds:
            return None
        try:
            return merge.evidence(claim, device)
        except Fault as fault:
            return fault.verdict
        except UnreadableError as error:
            return Verdict("failed", str(error), "unreadable")

    with ExitStack() as stack:
        # Held over all modules: torch's own threads, once woken, spin for a while and take the time of ours.
        threads = stack.enter_context(single_threaded())
        pools = [stack.enter_context(ThreadPoolExecutor(threads if device.type == "cpu" else 1)) for device in devices]
        places = shares(sizes, len(devices))
        futures = [
            pools[place].submit(evidence, claim, update, devices[place])
            for claim, update, place in zip(claims, measured, places, strict=True)
        ]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def _step(claims: list[ModuleClaim]) -> int | None:
    """The step of training in the name that trainers give to the folder of a checkpoint."""
    for claim in claims[:1]:
        name, _, step = claim.a.file.parent.name.rpartition("-")
        return int(step) if name == "checkpoint" and step.isdecimal() else None
    return None


def _held(terms: Terms | None, claim: ModuleClaim, seen: Evidence, rules: Said) -> Verdict:
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
