"""Do the keys of patterns name modules that are adapted, and are there in the base model?"""

from collections.abc import Iterator, Mapping
from itertools import islice

from lora_lint import patterns
from lora_lint.checks.targets.names import INSIDE_PEFT, MOST_DEAD
from lora_lint.facts import Setup
from lora_lint.finding import Finding, Severity


def pattern_key_matches_nothing(setup: Setup) -> Iterator[Finding]:
    patterned = [fact for fact in (setup.adapter.rank_pattern, setup.adapter.alpha_pattern) if fact is not None]
    if not any(fact.value for fact in patterned) or not setup.active or setup.adapter.target_parameters is not None:
        return
    whole = setup.checkpoint is None or not (setup.checkpoint.unreadable or setup.checkpoint.missing_shards)
    modules = [module.module for module in setup.tensor_modules] if whole else []
    for fact in patterned:
        for key, why in islice(_dead_keys(fact.value, modules, setup), MOST_DEAD):
            shown = key if len(key) <= 80 else f"{key[:80]}…"
            yield Finding(
                f"{shown} {why}, so it changes nothing",
                at=(*fact.path, key),
                severity=Severity.WARNING if setup.trained or (setup.base is not None and setup.base.assumed) else None,
                on_key=True,
            )


def _dead_keys(keys: Mapping[str, object], modules: list[str], setup: Setup) -> Iterator[tuple[str, str]]:
    """The keys that are names and end like no module, and why; those that are regular expressions aren't judged."""
    ends = {".".join(parts[at:]) for module in modules for parts in [module.split(".")] for at in range(len(parts))}
    last = {name.value.rpartition(".")[2] for name in setup.targets.names} if setup.targets.listed else set()
    for key in keys:
        if not isinstance(key, str) or not patterns.is_plain(key):
            continue
        if modules and key not in ends:
            yield key, "names no module with tensors"
        elif not modules and last and key.rpartition(".")[2] not in last:
            yield key, "names no target"
        elif not modules and (why := _nowhere(key, setup)):
            yield key, why


def _nowhere(key: str, setup: Setup) -> str:
    """Why no module of the base model has a name that ends so; empty where one may have."""
    if key.startswith(INSIDE_PEFT):
        return f"begins with {INSIDE_PEFT}, which PEFT puts before the names that it compares"
    base = setup.base
    if base is None:
        return ""
    if not base.kinds(key):
        return f"names no module of {base.name}"
    numbers = [int(one) for one in key.split(".") if one.isdecimal() and len(one) < 6]
    beyond = base.depth is not None and not base.architecture.tower and base.kinds(key) == {"layer"}
    if beyond and base.depth is not None and numbers and numbers[0] >= base.depth:
        return f"names layer {numbers[0]}, and {base.name} has layers 0 to {base.depth - 1}"
    return ""
