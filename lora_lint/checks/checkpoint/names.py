"""Do the tensors have the names that loaders look for?"""

import re
from collections.abc import Iterator, Mapping

from lora_lint.dialects import is_adapters
from lora_lint.facts import Setup
from lora_lint.finding import Finding, Severity
from lora_lint.once import for_each
from lora_lint.tensors import Tensor

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
    yield from _findings(setup.checkpoint.tensors, of_peft)


@for_each
def _findings(named: Mapping[str, Tensor], of_peft: bool) -> list[Finding]:
    return list(_faults([tensor for name, tensor in named.items() if is_adapters(name)], of_peft=of_peft))


def _faults(tensors: list[Tensor], *, of_peft: bool) -> Iterator[Finding]:
    for wrapper, program in _WRAPPERS.items():
        found = [tensor for tensor in tensors if wrapper in tensor.name]
        yield from _told(f"keys have {wrapper} of {program} in them, which no loader looks for", found, tensors)
    found = [tensor for tensor in tensors if tensor.name.startswith(_DISTRIBUTED)]
    yield from _told(f"keys begin with {_DISTRIBUTED}, which a distributed run put there", found, tensors)
    if of_peft:
        yield from _as_peft_reads(tensors)


def _as_peft_reads(tensors: list[Tensor]) -> Iterator[Finding]:
    """What PEFT 0.20.0 finds no weights under; 0.21.2 takes the adapter's name if it is loaded under the same."""
    named = [tensor for tensor in tensors if _NAMED.search(tensor.name)]
    if named and (name := _NAMED.search(named[0].name)):
        yield from _told(f"keys keep the name of the adapter, {name[1]}, which saving takes out", named, tensors)
    doubled = [tensor for tensor in tensors if tensor.name.startswith(2 * _PREFIX)]
    # A model may have an attribute of that name, with a model in it.
    yield from _told(f"keys begin with {_PREFIX} twice", doubled, tensors, Severity.WARNING)
    if tensors and not any(_PREFIX in tensor.name for tensor in tensors):
        says = f"keys lack {_PREFIX} in front, without which PeftModel finds none of them"
        yield from _told(says, tensors, tensors, Severity.WARNING)


def _told(says: str, found: list[Tensor], tensors: list[Tensor], severity: Severity | None = None) -> Iterator[Finding]:
    if found:
        message = f"{len(found)} of {len(tensors)} {says}: {found[0].name}"
        yield Finding(message, file=found[0].file, tensor=found[0].name, severity=severity)
