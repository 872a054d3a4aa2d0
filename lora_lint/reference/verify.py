"""Checkpoints held against their config: an adapter alone, or a merged model against its base."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import repeat

import torch

from lora_lint.document import UnreadableError
from lora_lint.facts import Setup
from lora_lint.linter import Linter
from lora_lint.reference.adapter import ModuleClaim
from lora_lint.reference.device import shares
from lora_lint.reference.merge import Merge
from lora_lint.reference.module_verdict import ModuleVerdict, verdict_on
from lora_lint.reference.precision import full_precision
from lora_lint.reference.said import Said
from lora_lint.reference.stream import Reading, TensorFiles
from lora_lint.reference.threads import in_turn, pool_of, single_threaded
from lora_lint.reference.values import updates
from lora_lint.reference.verdict import Evidence, Fault, NotMeasuredError, Terms, Verdict, judge, unreadable
from lora_lint.reference.weights import Weights
from lora_lint.settings import Settings
from lora_lint.update import Adapter, Update

CPU = torch.device("cpu")

FEEDERS = 8
"""Threads for one GPU: one copies 10 GB/s into page-locked memory, where the bus takes 55. With one, 8.6 GB took 1.5 s
on an H100 beside 16 cores, with 4 of them 0.6 s, and with 8, 12 and 16 of them 0.45 s."""

UNSETTLED = Verdict("undecided", "the config doesn't settle the scale")


def verify(
    claims: Iterable[ModuleClaim],
    *,
    device: torch.device | Sequence[torch.device] = CPU,
    base: Weights | None = None,
    merged: Weights | None = None,
    also: Iterable[ModuleClaim] = (),
    spectrum: bool = False,
    expect: float | None = None,
    linter: Linter | None = None,
    setup: Setup | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[ModuleVerdict]:
    """One verdict for each claim, in their order.

    Without `base` and `merged` the adapter is checked alone: its rank, shapes and values, and a forward pass. With
    both, the scale that was really merged is measured as well, in row blocks on `device`, or on each of several for a
    range of the modules; `also` are claims of other adapters that were merged too. With `spectrum` the effective rank
    of every update is computed. Every scale is held to `expect`, which stands for the ones that no config settles.
    `linter` has the user's settings of the rules, and `setup` says where the claims come
    from. `progress` is told the bytes read so far and those in all.

    Raises:
        ValueError: when only one of base and merged is given.
    """
    if (base is None) != (merged is None):
        raise ValueError("base and merged weights are compared with each other: both are needed")
    claims = [claim if claim.declared is not None else replace(claim, declared=expect) for claim in claims]
    devices = [device] if isinstance(device, torch.device) else list(device)
    reading = Reading(progress)
    merge = None if base is None or merged is None else Merge(claims, list(also), base, merged, reading.told)
    rules = Said(linter or Linter(Settings.model_construct(), None), setup)
    return _verdicts(claims, devices, merge, spectrum, rules, reading, expect)


def _verdicts(
    claims: list[ModuleClaim],
    devices: list[torch.device],
    merge: Merge | None,
    spectrum: bool,
    rules: Said,
    reading: Reading,
    expect: float | None,
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
            found = _held(merge.terms(claim), seen)
        # Rows that aren't those of the module give a number, which isn't its scale.
        known = seen if isinstance(seen, Evidence) and not (seen.fused and found.status == "undecided") else None
        yield verdict_on(claim, update, found, known, rules, expect)


def _compared(
    claims: list[ModuleClaim],
    measured: list[Update | Verdict],
    sizes: list[int],
    devices: list[torch.device],
    merge: Merge | None,
) -> Iterator[Evidence | Verdict | None]:
    """What the weights say of each claim, or why they can't; None where there is nothing to ask them.

    Every device takes a range of the modules: the CPU with a thread for every core, a GPU with as many as fill its bus.
    """
    if merge is None:
        yield from repeat(None, len(claims))
        return

    def evidence(claim: ModuleClaim, update: Update | Verdict, device: torch.device) -> Evidence | Verdict | None:
        if isinstance(update, Verdict) or not update.adds:
            return None
        try:
            with in_turn():
                return merge.evidence(claim, device)
        except (Fault, NotMeasuredError) as reason:
            return reason.verdict
        except UnreadableError as error:
            return unreadable(error)

    with ExitStack() as stack:
        # Held over all modules: torch's own threads, once woken, spin for a while and take the time of ours.
        threads = stack.enter_context(single_threaded())
        stack.enter_context(full_precision())
        workers = [threads if device.type == "cpu" else min(threads, FEEDERS) for device in devices]
        pools = [stack.enter_context(pool_of(count)) for count in workers]
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


def _held(terms: Terms | None, seen: Evidence) -> Verdict:
    """The evidence held against the declared scale."""
    if terms is None:
        return UNSETTLED
    return judge(terms, seen)
