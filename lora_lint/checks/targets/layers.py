"""Do settings beside the targets fit them: chosen layers, patterns, parameters, ranks, variants?"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from lora_lint import patterns
from lora_lint.checks.targets.names import MOST_DEAD
from lora_lint.facts import Setup
from lora_lint.finding import Finding, Insert, Replace, Severity
from lora_lint.once import for_each
from lora_lint.scaling import number
from lora_lint.targets import shown
from lora_lint.tensors import LoraTensors


def target_parameters_incompatible(setup: Setup) -> Iterator[Finding]:
    adapter = setup.adapter
    stacked = adapter.target_parameters
    if stacked is None or not stacked.value or not setup.active:
        return
    if isinstance(stacked.value, str):
        yield Finding("target_parameters is one text; PEFT wants a list and fails", at=stacked.path)
    dropout = adapter.lora_dropout
    if dropout is not None and dropout.value > 0:
        written = dropout.origin == "written"
        yield Finding(
            f"lora_dropout is {number(dropout.value)}{'' if written else ' by default'}, and PEFT fails on "
            "target_parameters with any dropout",
            at=dropout.path if written else stacked.path,
            fix=Replace(dropout.path, "0.0") if written else Insert(stacked.path, dropout.key, "0.0"),
        )
    for word in ("use_dora", "lora_bias", "fan_in_fan_out"):
        fact = getattr(adapter, word)
        if fact is not None and fact.value:
            yield Finding(f"{word} is true, and PEFT fails on target_parameters with it", at=fact.path)


def layers_to_transform_misuse(setup: Setup) -> Iterator[Finding]:
    layers, pattern = setup.adapter.layers_to_transform, setup.adapter.layers_pattern
    if (layers is None and pattern is None) or not setup.active or not setup.target_syntax:
        return
    for name, fact in (("layers_to_transform", layers), ("layers_pattern", pattern)):
        if fact is not None and setup.targets.one_text and fact.value is not None:
            yield Finding(f"{name} is set while target_modules is one text, not a list: PEFT fails", at=fact.path)
    if pattern is not None and layers is None and pattern.value:
        yield Finding("layers_pattern is set without layers_to_transform: PEFT fails", at=pattern.path)
    if layers is None or (base := setup.base) is None or (depth := base.depth) is None:
        return
    chosen = layers.value if isinstance(layers.value, list) else [layers.value]
    beyond = [one for one in chosen if isinstance(one, int) and not 0 <= one < depth]
    if beyond:
        more = f" and {len(beyond) - 3} more" if len(beyond) > 3 else ""
        yield Finding(
            f"{base.name} has layers 0 to {depth - 1}, none of which is {', '.join(map(str, beyond[:3]))}{more}",
            at=layers.path,
            severity=Severity.WARNING,
        )


def pattern_key_matches_nothing(setup: Setup) -> Iterator[Finding]:
    patterned = [fact for fact in (setup.adapter.rank_pattern, setup.adapter.alpha_pattern) if fact is not None]
    if not any(fact.value for fact in patterned) or not setup.active or setup.adapter.target_parameters is not None:
        return
    whole = setup.checkpoint is None or not (setup.checkpoint.unreadable or setup.checkpoint.missing_shards)
    modules = [module.module for module in setup.tensor_modules] if whole else []
    if not modules and not setup.targets.listed:
        return
    for fact in patterned:
        for key in islice(_dead_keys(fact.value, modules, setup), MOST_DEAD):
            shown = key if len(key) <= 80 else f"{key[:80]}…"
            yield Finding(
                f"{shown} names no {'module with tensors' if modules else 'target'}, so it changes nothing",
                at=(*fact.path, key),
                severity=Severity.WARNING if setup.trained else None,
                on_key=True,
            )


def _dead_keys(keys: Mapping[str, object], modules: list[str], setup: Setup) -> Iterator[str]:
    """The keys that are names and end like no module; those that are regular expressions aren't judged."""
    ends = {".".join(parts[at:]) for module in modules for parts in [module.split(".")] for at in range(len(parts))}
    last = {name.value.rpartition(".")[2] for name in setup.targets.names}
    for key in keys:
        if isinstance(key, str) and patterns.is_plain(key):
            known = key in ends if modules else key.rpartition(".")[2] in last
            if not known:
                yield key


def vlm_suffix_collision(setup: Setup) -> Iterator[Finding]:
    if not setup.active or setup.target_syntax not in ("peft", "unwrapped") or setup.trained or not setup.targets.names:
        return
    if (base := setup.base) is None or not base.architecture.tower or setup.adapter.exclude_modules is not None:
        return
    both = [name for name in setup.targets.names if {"layer", "tower"} <= base.kinds(name.value)]
    if both:
        names = ", ".join(shown(name) for name in both[:4])
        yield Finding(
            f"{names}: so are layers of {base.name}'s vision tower called, not those of its language model alone",
            at=both[0].path,
        )


def rank_exceeds_dimension(setup: Setup) -> Iterator[Finding]:
    if not setup.active or setup.checkpoint is None:
        return
    beyond = _beyond(setup.tensor_modules)
    if beyond:
        module, features = beyond[0]
        assert module.a is not None
        more = f", and of {len(beyond) - 1} more" if len(beyond) > 1 else ""
        yield Finding(
            f"rank {module.rank} of {module.module[:80]}{more} is more than the {min(features)} that its weight "
            "can have",
            file=module.a.file,
            tensor=module.a.name,
        )


@for_each
def _beyond(modules: Sequence[LoraTensors]) -> list[tuple[LoraTensors, tuple[int, int]]]:
    """Linear layers whose rank is larger than their outputs or inputs, with these."""
    linear = [(module, module.features) for module in modules if not module.of_parameter]
    sized = [(module, features) for module, features in linear if features is not None]
    return [
        (module, features)
        for module, features in sized
        if module.rank is not None and module.rank == module.rank_of_b and module.rank > min(features) > 0
    ]


def variant_unsupported_layer(setup: Setup) -> Iterator[Finding]:
    if not setup.active or setup.trained or (base := setup.base) is None:
        return
    transposed, dora = setup.adapter.fan_in_fan_out, setup.adapter.use_dora
    if dora is not None and dora.value and base.quantised in _WITHOUT_DORA:
        yield Finding(f"use_dora on a base in {base.quantised.upper()}: PEFT fails", at=dora.path)
    wanted = base.architecture.conv1d
    if transposed is not None and transposed.origin == "written" and transposed.value is not wanted:
        layers = "Conv1D, whose weights are transposed" if wanted else "nn.Linear, whose weights aren't transposed"
        yield Finding(
            f"fan_in_fan_out is {str(transposed.value).lower()}, but {base.name} has {layers}: PEFT corrects it",
            at=transposed.path,
            severity=Severity.NOTE,
            fix=Replace(transposed.path, _boolean(setup, wanted)),
        )


_WITHOUT_DORA = ("gptq", "awq", "aqlm", "eetq")
"""peft/tuners/lora/{gptq,awq,aqlm,eetq}.py at 0.21.2 raise for it."""


def _boolean(setup: Setup, value: bool) -> str:
    return str(value) if setup.document.syntax == "python" else str(value).lower()
