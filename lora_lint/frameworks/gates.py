"""A flag that opens the gate to LoRA: the state of the site, and where the defaults behind the gate are reported."""

from dataclasses import replace
from typing import Any

from lora_lint.document import Document, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.commands import runs
from lora_lint.scaling import classic
from lora_lint.view import View

GATES = ("use_lora", "lora_enable", "lora_enabled", "enable_lora", "use_peft", "enable_lora_training")
"""How programs call the flag without which they train no LoRA."""

NAMED_RANKS = ("lora_r", "lora_rank", "lora_dim")
RANKS = frozenset((*NAMED_RANKS, "lora_attn_dim", "r", "rank"))
"""How they call the rank."""


def is_open(gate: object) -> bool:
    """Whether the value of a gate lets LoRA through; None is a gate that isn't given."""
    return gate not in (None, False, "False", "false", "0")


def other_gate(document: Document, own: str) -> bool:
    """Whether a command opens or closes another gate than a framework's own: its program is another one."""
    data = document.data if isinstance(document.data, dict) else {}
    return own not in data and any(gate in data for gate in GATES)


def of_program(config: View[Any], name: str, *programs: str) -> Fact[Any]:
    """A fact whose default is upstream's only where the command runs one of upstream's programs."""
    fact: Fact[Any] = config.fact(name)
    document = config.document
    if fact.origin != "default" or document.program or runs(document, *programs):
        return fact
    return Fact(Unknown(name, f"{name} isn't given, and whose default it has isn't known"), fact.path, "unknown")


def state_of(gate: Fact[Any]) -> State:
    """A gate whose value isn't known may be open."""
    return "active" if not gate.known or gate.value else "off"


def at_gate(fact: Fact[Any], gate: Fact[Any]) -> Fact[Any]:
    """A default is reported where LoRA is switched on."""
    return replace(fact, path=gate.path) if fact.origin == "default" and gate.origin == "written" else fact


def gated(config: View[Any], flag: str, modules: tuple[str, ...], *programs: str) -> Site:
    """The one site of a script with `lora_r` and `lora_alpha` behind a flag; `programs` are upstream's, if not all."""
    if programs:
        gate, *both = (of_program(config, name, *programs) for name in (flag, "lora_r", "lora_alpha"))
    else:
        gate, *both = (config.fact(name) for name in (flag, "lora_r", "lora_alpha"))
    rank, alpha = (at_gate(fact, gate) for fact in both)
    return Site(modules, rank, alpha, classic, state_of(gate))
