"""Do the names of target modules stand for layers of the base model?"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lora_lint import patterns
from lora_lint.facts import Fact, Setup
from lora_lint.finding import Finding, Severity
from lora_lint.targets import is_no_expression, is_several, shown

if TYPE_CHECKING:
    from lora_lint.base_model import BaseModel


_META = re.compile(r"[\\*+?|^$()\[\]{}]")


def target_list_syntax(setup: Setup) -> Iterator[Finding]:
    targets = setup.targets
    if not setup.active or setup.target_syntax not in ("peft", "unwrapped", "words", "comma"):
        return
    if targets.regex is not None and is_no_expression(targets.regex.value):
        yield Finding(
            f"target_modules is one regular expression, which no module path matches: {targets.regex.value[:200]!r}",
            at=targets.regex.path,
        )
    every = targets.all_linear if setup.target_syntax in ("peft", "unwrapped") else None
    if every is not None and every.path and isinstance(every.path[-1], int) and every.value.lower() == "all-linear":
        yield Finding(f"{every.value} is a name like any other in a list, and no module is called so", at=every.path)
    for name in targets.names:
        if patterns.is_plain(name.value):
            continue
        if is_several(name.value):
            yield Finding(f"target {name.value!r} is one name, and no module is called so", at=name.path)
        elif _META.search(name.value):
            yield Finding(
                f"target {name.value!r} is compared letter by letter in a list, not as a regular expression",
                at=name.path,
            )


INSIDE_PEFT = "base_model.model."
"""What the names of an adapted model's modules begin with, and those of the model that is adapted don't."""

_MOST_NAMES = 8
"""Of layers that a message lists."""


MOST_DEAD = 20
"""Targets that are reported one by one."""


def target_matches_nothing(setup: Setup) -> Iterator[Finding]:
    targets = setup.targets
    if not setup.active or not setup.target_syntax or not (targets.names or targets.regex):
        return
    # What a trained adapter has tensors for is there, whatever its base is called.
    if setup.checkpoint is not None and setup.checkpoint.tensors:
        return
    inside = [name for name in targets.names if name.value.startswith(INSIDE_PEFT)]
    for name in inside[:MOST_DEAD]:
        yield Finding(
            f"{shown(name)} begins with {INSIDE_PEFT}, which PEFT puts before the names that it compares",
            at=name.path,
            severity=Severity.WARNING,
        )
    if (base := setup.base) is None or inside:
        return
    names = [name for name in targets.names if patterns.is_plain(name.value) and not name.value.startswith("all-")]
    dead = [name for name in names if base.lacks(name.value)]
    written = setup.adapter.target_modules
    by_default = base.assumed or (written is not None and written.origin == "default")
    level = Severity.WARNING if setup.trained or by_default else None
    if dead and len(dead) == len(targets.names) and targets.listed and not setup.adapter.target_parameters:
        several = f"none of the {len(dead)} targets is a layer" if len(dead) > 1 else f"{dead[0].value} is no layer"
        at = setup.adapter.target_modules.path if setup.adapter.target_modules is not None else ()
        yield Finding(f"{several} of {base.name}, {_which(base)}", at=at, severity=level)
    else:
        for name in dead[:MOST_DEAD]:
            yield Finding(
                f"{base.name} has no {shown(name)}{_meant(name, base)}",
                at=name.path,
                severity=Severity.NOTE if by_default else Severity.WARNING,
            )
    for name in names:
        if base.kinds(name.value) == {"block"}:
            yield Finding(f"{shown(name)} is a block of layers, which PEFT refuses", at=name.path, severity=level)
    if (
        targets.regex is not None
        and not base.partial
        and not is_no_expression(targets.regex.value)
        and base.matches(targets.regex.value) is False
    ):
        yield Finding(
            f"the expression matches no path of {base.name} that is known",
            at=targets.regex.path,
            severity=Severity.WARNING,
        )


def _which(base: "BaseModel") -> str:
    names = base.layer_names
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"whose layers are {', '.join(names[:_MOST_NAMES])}{more}"


def _meant(name: Fact[str], base: "BaseModel") -> str:
    """What to write in place of a target that isn't there."""
    if base.architecture.experts and name.value.rpartition(".")[2] in (*IN_EXPERTS, "gate_up_proj"):
        return " among its modules: the weights of its experts are parameters, for target_parameters"
    from lora_lint.base_model import every_layer_name
    from lora_lint.spelling import nearest

    # The name of another architecture's layer is no slip of the pen: q_proj isn't meant for o_proj.
    last = name.value.rpartition(".")[2]
    known = nearest(last, base.layer_names) if last not in every_layer_name() else None
    return f"; {known} was likely meant" if known else f", {_which(base)}"


IN_EXPERTS = ("gate_proj", "up_proj", "down_proj", "w1", "w2", "w3")
