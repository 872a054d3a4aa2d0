"""Do the targets mean the experts of a mixture, and not its router?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lora_lint.architectures import paths
from lora_lint.checks.targets.names import IN_EXPERTS
from lora_lint.facts import Setup
from lora_lint.finding import Finding, Severity
from lora_lint.targets import shown

if TYPE_CHECKING:
    from lora_lint.base_model import BaseModel


def router_adapted(setup: Setup) -> Iterator[Finding]:
    every = setup.targets.all_linear if setup.targets.one_text else None
    parameters = [name for name in setup.parameters if name.value.split(".")[-2:-1] in [[one] for one in _ROUTERS]]
    if every is None and not parameters and setup.targets.lasts.isdisjoint(_ROUTERS):
        return
    named = [name for name in setup.targets.names if name.value.rpartition(".")[2] in _ROUTERS]
    if (
        not (named or every or parameters)
        or not setup.active
        or not setup.target_syntax
        or setup.trained
        or (base := setup.base) is None
    ):
        return
    routers = base.architecture.routers
    if not routers or setup.adapter.exclude_modules is not None:
        return
    for name in parameters:
        yield Finding(f"{shown(name)} chooses among the experts of {base.name}, and gets LoRA too", at=name.path)
    for name in named:
        if base.kinds(name.value) & {"router", "former"}:
            yield Finding(f"{shown(name)} chooses among the experts of {base.name}, and gets LoRA too", at=name.path)
    if every is not None and base.architecture.converted:
        yield Finding(f"{every.value} takes in what chooses among the experts of {base.name}", at=every.path)


_ROUTERS = ("gate", "router")


def moe_experts_not_adapted(setup: Setup) -> Iterator[Finding]:
    if setup.trained or not setup.active or not setup.target_syntax:
        return
    targets = setup.targets
    every = targets.all_linear
    stacked, otherwise = setup.adapter.target_parameters, setup.adapter.adapts_experts
    if every is None and stacked is None and targets.lasts.isdisjoint(IN_EXPERTS):
        return
    named = {last: name for name in targets.names if (last := name.value.rpartition(".")[2]) in IN_EXPERTS}
    if not (named or every or stacked):
        return
    if (base := setup.base) is None or not base.architecture.experts or (otherwise is not None and otherwise.value):
        return
    if stacked is not None and stacked.value:
        yield from _other_half(setup, base)
        return
    if base.architecture.converted:
        halves = [pair for pair in _PAIRS if targets.listed and len(named.keys() & set(pair)) == 1]
        for given, other in (pair if pair[0] in named else pair[::-1] for pair in halves):
            if base.kinds(named[given].value) and base.kinds(other):
                yield Finding(
                    f"{given} without {other}: in transformers 5 {base.name} has both in one parameter, and PEFT fails",
                    at=named[given].path,
                    severity=Severity.WARNING,
                )
    elif not base.architecture.formerly and all("layer" in base.kinds(name.value) for name in named.values()):
        what = every.value if every is not None else ", ".join(name.value for name in named.values())
        at = (every or next(iter(named.values()))).path
        yield Finding(
            f"{what}: nothing of it is in the routed experts of {base.name}, which are parameters; if they were meant, "
            "target_parameters names them",
            at=at,
            severity=Severity.NOTE,
        )


def _other_half(setup: Setup, base: "BaseModel") -> Iterator[Finding]:
    """Experts of which one of the two stacked weights gets LoRA, the way in or the way out."""
    given = {name.value.rpartition(".")[2]: name for name in setup.parameters if "experts" in name.value.split(".")}
    wanted = {path[-1] for path in paths(base.architecture.experts)}
    if len(given.keys() & wanted) == 1 and not any(name.value in IN_EXPERTS for name in setup.targets.names):
        (one,) = given.keys() & wanted
        (other,) = wanted - {one}
        yield Finding(
            f"of the experts of {base.name} {one} gets LoRA, {other} none",
            at=given[one].path,
            severity=Severity.NOTE,
        )


_PAIRS = (("gate_proj", "up_proj"), ("w1", "w3"))
