"""A flag that opens the gate to LoRA: the state of the site, and where the defaults behind the gate are reported."""

from dataclasses import replace
from typing import Any

from lora_lint.facts import Fact, State


def state_of(gate: Fact[Any]) -> State:
    """A gate whose value isn't known may be open."""
    return "active" if not gate.known or gate.value else "off"


def at_gate(fact: Fact[Any], gate: Fact[Any]) -> Fact[Any]:
    """A default is reported where LoRA is switched on."""
    return replace(fact, path=gate.path) if fact.origin == "default" and gate.origin == "written" else fact
