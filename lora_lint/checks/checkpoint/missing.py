"""Is everything in the files that the config promises?"""

import re
from collections.abc import Iterator, Sequence

from lora_lint import patterns
from lora_lint.facts import Setup, Site, may_be_set
from lora_lint.finding import Finding, Severity
from lora_lint.once import alike, for_each
from lora_lint.scaling import number
from lora_lint.tensors import LoraTensors, Tensor

_PEFT = re.compile(r"\.lora_(?:embedding_)?[AB]\b")


def missing_tensors(setup: Setup) -> Iterator[Finding]:
    checkpoint = setup.checkpoint
    active = [site for site in setup.sites if site.state == "active"]
    if checkpoint is None or not active:
        return
    if checkpoint.missing_shards:
        names = ", ".join(checkpoint.missing_shards[:3])
        yield Finding(f"the index names {len(checkpoint.missing_shards)} files that aren't in the folder: {names}")
        return
    pickled = not any(file.endswith(".safetensors") for file in checkpoint.files)
    if checkpoint.unreadable or (pickled and not checkpoint.tensors):
        return
    unheld = sorted(checkpoint.named - checkpoint.tensors.keys()) if not checkpoint.escaping_shards else []
    if unheld:
        yield Finding(f"the index names {len(unheld)} tensors that its files don't hold: {unheld[0]}")
    yield from _without_tensors(active, setup)
    yield from _holes(setup)
    yield from _without_layers(setup)
    for module, kept in _alone(setup.tensor_modules):
        lost = _halves(kept.name)[module.a is not None]
        yield Finding(f"{module.module} has no {lost}", file=kept.file, tensor=kept.name)


def _halves(name: str) -> tuple[str, str]:
    """What A and B are called, by the name of one of them."""
    if _PEFT.search(name):
        return "lora_A", "lora_B"
    return (
        ("lora_down", "lora_up")
        if name.endswith((".down.weight", ".up.weight", "_down.weight", "_up.weight"))
        else ("A", "B")
    )


@for_each
def _alone(modules: Sequence[LoraTensors]) -> list[tuple[LoraTensors, Tensor]]:
    """The modules that have one half, with it."""
    halves = [(module, module.a or module.b) for module in modules if module.a is None or module.b is None]
    return [(module, kept) for module, kept in halves if kept is not None]


def _without_tensors(active: list[Site], setup: Setup) -> Iterator[Finding]:
    modules = set(_names(setup.tensor_modules))
    assert setup.checkpoint is not None
    where = setup.checkpoint.files[0]
    for site in active:
        if not modules or (site.fixed and not any(name in modules for name in site.modules)):
            yield Finding(
                f"rank is {number(site.rank.value)}, but {where} holds no LoRA tensors"
                + (f" of {site.modules[0]}" if site.fixed else ""),
                at=site.rank.path,
            )
            if not site.fixed:
                return
    if not modules:
        return
    lost = _without_modules(_names(setup.tensor_modules), tuple(target.value for target in setup.targets.names))
    for target in setup.targets.names if lost else ():
        if target.value in lost:
            yield Finding(
                f"target {target.value} has no tensors in {where}",
                file=where,
                related=((target.path, "the target"),),
                severity=Severity.WARNING,
            )


@for_each
def _names(modules: Sequence[LoraTensors]) -> tuple[str, ...]:
    return alike(module.module for module in modules)


@for_each
def _without_modules(modules: tuple[str, ...], targets: tuple[str, ...]) -> frozenset[str]:
    """The plain names among the targets that none of the names of modules ends with."""
    ends = {name for module in modules for name in _ends(module)}
    return frozenset(name for name in targets if patterns.is_plain(name) and name not in ends)


def _ends(module: str) -> Iterator[str]:
    """A module's name, and what is left of it from each of its dots on."""
    while module:
        yield module
        module = module.partition(".")[2]


def _holes(setup: Setup) -> Iterator[Finding]:
    """Modules of a base at hand that a target names and that have no tensors, where others of that name have."""
    adapter, base = setup.adapter, setup.base_files
    limits = (adapter.exclude_modules, adapter.layers_to_transform, adapter.modules_to_save)
    if base is None or base.checkpoint is None or any(map(may_be_set, limits)):
        return
    names = set(_names(setup.tensor_modules))
    layers = [name.removesuffix(".weight") for name in base.checkpoint.tensors if base.is_matrix(name)]
    if not names <= set(layers):
        return  # the model has other names than its file: converted while it is loaded
    for target in setup.targets.names:
        meant = [name for name in layers if name == target.value or name.endswith(f".{target.value}")]
        left = [name for name in meant if name not in names]
        if left and len(left) < len(meant):
            yield Finding(
                f"target {target.value} is {len(meant)} modules of the base model, {len(left)} of which have no "
                f"tensors: {left[0]}",
                file=setup.checkpoint.files[0] if setup.checkpoint is not None else None,
                related=((target.path, "the target"),),
                severity=Severity.WARNING,
            )


def _without_layers(setup: Setup) -> Iterator[Finding]:
    """Layers at one end of the model that have no tensors at all, as after a pipeline's stage was saved alone."""
    adapter, base = setup.adapter, setup.base
    limits = (adapter.exclude_modules, adapter.layers_to_transform, adapter.modules_to_save)
    if base is None or base.depth is None or setup.targets.regex is not None or any(map(may_be_set, limits)):
        return
    owners, numbers = _numbered(_names(setup.tensor_modules))
    least, most, depth = min(numbers, default=0), max(numbers, default=0), base.depth
    whole = len(owners) == 1 and len(numbers) == most - least + 1 and len(numbers) > 1
    if not whole or len(numbers) >= depth or most >= depth or (least > 0 and most < depth - 1):
        return
    lost = f"{most + 1} to {depth - 1}" if least == 0 else f"0 to {least - 1}"
    yield Finding(
        f"layers {lost} of {base.source[:80]} have no tensors: {len(numbers)} of its {depth} layers were saved",
        file=setup.checkpoint.files[0] if setup.checkpoint is not None else None,
        severity=Severity.WARNING,
    )


_NUMBER = re.compile(r"\A(.*?\.?(?:layers|layer|h|blocks))\.(\d+)\.")


@for_each
def _numbered(modules: tuple[str, ...]) -> tuple[frozenset[str], frozenset[int]]:
    """What holds the numbered layers that have tensors, and their numbers."""
    found = [match for module in modules if (match := _NUMBER.match(module))]
    return frozenset(match[1] for match in found), frozenset(int(match[2]) for match in found)
