"""Are the chosen layers there, and those of the language model alone?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lora_lint import patterns
from lora_lint.facts import Setup
from lora_lint.finding import Finding, Severity
from lora_lint.targets import shown

if TYPE_CHECKING:
    from lora_lint.base_model import BaseModel


def layers_to_transform_misuse(setup: Setup) -> Iterator[Finding]:
    layers, pattern = setup.adapter.layers_to_transform, setup.adapter.layers_pattern
    if (layers is None and pattern is None) or not setup.active or not setup.target_syntax:
        return
    for name, fact in (("layers_to_transform", layers), ("layers_pattern", pattern)):
        if fact is not None and setup.targets.one_text and fact.value is not None:
            yield Finding(f"{name} is set while target_modules is one text, not a list: PEFT fails", at=fact.path)
    if pattern is not None and layers is None and pattern.value:
        yield Finding("layers_pattern is set without layers_to_transform: PEFT fails", at=pattern.path)
    if layers is None or (base := setup.base) is None:
        return
    yield from _unknown_blocks(setup, base)
    # The vision tower has a number of layers of its own.
    if (depth := base.depth) is None or base.architecture.tower:
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


def _unknown_blocks(setup: Setup, base: "BaseModel") -> Iterator[Finding]:
    """A list of blocks that the model doesn't have: every target is passed over, and PEFT fails."""
    pattern, layers = setup.adapter.layers_pattern, setup.adapter.layers_to_transform
    if pattern is None or not pattern.value or layers is None or not base.blocks:
        return
    named = [pattern.value] if isinstance(pattern.value, str) else pattern.value
    if all(
        isinstance(one, str) and patterns.is_plain(one) and one.rpartition(".")[2] not in base.blocks for one in named
    ):
        yield Finding(
            f"no list of blocks of {base.name} is called {' or '.join(map(str, named))[:80]}; it has "
            f"{', '.join(sorted(base.blocks))}, so that no layer is chosen and PEFT fails",
            at=pattern.path,
            severity=Severity.WARNING if setup.trained or base.assumed else None,
        )


def vlm_suffix_collision(setup: Setup) -> Iterator[Finding]:
    if not setup.active or setup.target_syntax not in _AS_PEFT or setup.trained or not setup.targets.names:
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


_AS_PEFT = ("peft", "unwrapped", "words")
"""How targets are written where PEFT compares them with all modules, whatever their part of the model."""
