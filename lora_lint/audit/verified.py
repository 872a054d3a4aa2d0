"""What the tensors of an adapter do, as findings of its row: asked of torch in the process that reads it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lora_lint.audit.rows import Found
from lora_lint.document import UnreadableError
from lora_lint.facts import Setup
from lora_lint.linter import Linter
from lora_lint.reading import Reading

if TYPE_CHECKING:
    from lora_lint.reference import ModuleClaim, ModuleVerdict

UNREADABLE = "syntax-error"
"""The rule that speaks of files which can't be read."""
SEVERITIES = {"failed": "error", "warning": "warning"}
"""Of the verdicts that are findings."""
_SHOWN = 300
"""Characters of a message."""


def verified(reading: Reading, linter: Linter, device: str) -> list[Found]:
    """What is wrong with the tensors of the adapters in a file; those without weights, or unreadable ones, have none.

    `linter` has the user's settings of the rules; `device` is a name as for `lora-lint verify`.

    Raises:
        ImportError: without torch.
    """
    from lora_lint import reference

    where = reference.pick_device(device)
    found = []
    for setup in reading.setups:
        try:
            claims, verdicts = _claimed(setup, Path(reading.path).parent)
            verdicts += reference.verify(claims, device=where, linter=linter, setup=setup)
        except (UnreadableError, ValueError, OSError) as error:
            found.append(Found(UNREADABLE, "error", f"the tensors can't be verified: {error}"[:_SHOWN]))
            continue
        found += _findings(verdicts)
    return found


def _claimed(setup: Setup, folder: Path) -> "tuple[list[ModuleClaim], list[ModuleVerdict]]":
    """The claims of a setup, and verdicts on modules that lack a tensor.

    Raises:
        UnreadableError: when a pickled file holds more than tensors.
    """
    from lora_lint.frameworks import setup as setup_of
    from lora_lint.reference import incomplete
    from lora_lint.reference.claims import claims, unpickled

    weights = setup.checkpoint
    if setup.kind != "checkpoint" or weights is None or weights.unreadable or not weights.files:
        return [], []
    if weights.missing_shards or weights.escaping_shards:
        return [], []
    if not weights.tensors:
        loaded = unpickled(weights, folder)
        setup = setup_of(setup.document, [setup.framework], lambda: loaded) or setup
    return list(claims(setup, folder)), list(incomplete(setup))


def _findings(verdicts: "Sequence[ModuleVerdict]") -> Iterator[Found]:
    """One finding for each kind of fault: how many modules have it, and what is said of the first."""
    faults: dict[str, list[ModuleVerdict]] = {}
    for one in verdicts:
        if one.status in SEVERITIES:
            faults.setdefault(one.rule, []).append(one)
    for members in faults.values():
        first = members[0]
        where = f"{len(members)} of {len(verdicts)} modules, {first.module} first"
        yield Found(first.rule, SEVERITIES[first.status], f"{first.message} ({where})"[:_SHOWN])
