"""A flag that opens the gate to LoRA: the state of the site, and where the defaults behind the gate are reported."""

from dataclasses import replace
from typing import Any

from lora_lint.facts import Fact, Site, State
from lora_lint.scaling import classic
from lora_lint.schema import View

GATES = ("use_lora", "lora_enable", "lora_enabled", "enable_lora", "use_peft", "enable_lora_training")
"""How programs call the flag without which they train no LoRA."""

NAMED_RANKS = ("lora_r", "lora_rank", "lora_dim")
RANKS = frozenset((*NAMED_RANKS, "lora_attn_dim", "r", "rank"))
"""How they call the rank."""


def is_open(gate: object) -> bool:
    """Whether the value of a gate lets LoRA through; None is a gate that isn't given."""
    return gate not in (None, False, "False", "false", "0")


def state_of(gate: Fact[Any]) -> State:
    """A gate whose value isn't known may be open."""
    return "active" if not gate.known or gate.value else "off"


def at_gate(fact: Fact[Any], gate: Fact[Any]) -> Fact[Any]:
    """A default is reported where LoRA is switched on."""
    return replace(fact, path=gate.path) if fact.origin == "default" and gate.origin == "written" else fact


def gated(config: View[Any], flag: str, modules: tuple[str, ...]) -> Site:
    """The one site of a script with `lora_r` and `lora_alpha` behind a flag."""
    gate = config.fact(flag)
    return Site(
        modules, at_gate(config.fact("lora_r"), gate), at_gate(config.fact("lora_alpha"), gate), classic, state_of(gate)
    )
