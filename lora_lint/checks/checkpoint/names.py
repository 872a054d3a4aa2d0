"""Do the tensors have the names that loaders look for?"""

import re
from collections.abc import Iterator

from lora_lint.dialects import is_adapters
from lora_lint.facts import Setup
from lora_lint.finding import Finding, Severity
from lora_lint.once import for_each

_WRAPPERS = {
    "_orig_mod.": "torch.compile",
    "_fsdp_wrapped_module.": "FSDP",
    "_checkpoint_wrapped_module.": "activation checkpointing",
}
"""What a wrapper puts between the names of modules, and whose it is."""
_DISTRIBUTED = "module."
"""What DataParallel and DeepSpeed put in front of all of them."""
_PREFIX = "base_model.model."
_NAMED = re.compile(r"\.lora_(?:embedding_)?[AB]\.(?!weight\Z|bias\Z)([^.]+)")


def bad_key_prefix(setup: Setup) -> Iterator[Finding]:
    if setup.checkpoint is None or not setup.active:
        return
    # torchtune's adapter_model.pt has names of its own.
    of_peft = any(file.startswith("adapter_model") and not file.endswith(".pt") for file in setup.checkpoint.files)
    tensors = setup.checkpoint.tensors
    for finding in _findings(setup.checkpoint.names, of_peft):
        yield finding._replace(file=tensors[finding.tensor].file) if finding.tensor is not None else finding


@for_each
def _findings(names: tuple[str, ...], of_peft: bool) -> list[Finding]:
    return list(_faults([name for name in names if is_adapters(name)], of_peft=of_peft))


def _faults(names: list[str], *, of_peft: bool) -> Iterator[Finding]:
    for wrapper, program in _WRAPPERS.items():
        found = [name for name in names if wrapper in name]
        yield from _told(f"keys have {wrapper} of {program} in them, which no loader looks for", found, names)
    found = [name for name in names if name.startswith(_DISTRIBUTED)]
    yield from _told(f"keys begin with {_DISTRIBUTED}, which a distributed run put there", found, names)
    if of_peft:
        yield from _as_peft_reads(names)


def _as_peft_reads(names: list[str]) -> Iterator[Finding]:
    """What PEFT 0.20.0 finds no weights under; 0.21.2 takes the adapter's name if it is loaded under the same."""
    named = [name for name in names if _NAMED.search(name)]
    if named and (kept := _NAMED.search(named[0])):
        yield from _told(f"keys keep the name of the adapter, {kept[1]}, which saving takes out", named, names)
    doubled = [name for name in names if name.startswith(2 * _PREFIX)]
    # A model may have an attribute of that name, with a model in it.
    yield from _told(f"keys begin with {_PREFIX} twice", doubled, names, Severity.WARNING)
    if names and not any(_PREFIX in name for name in names):
        says = f"keys lack {_PREFIX} in front, without which PeftModel finds none of them"
        yield from _told(says, names, names, Severity.WARNING)


def _told(says: str, found: list[str], names: list[str], severity: Severity | None = None) -> Iterator[Finding]:
    if found:
        message = f"{len(found)} of {len(names)} {says}: {found[0]}"
        yield Finding(message, tensor=found[0], severity=severity)
