"""A setting that the framework has no default for."""

from typing import Any

from lora_lint.document import Unknown
from lora_lint.facts import Fact


def required(fact: Fact[Any], name: str) -> Fact[Any]:
    """The fact itself, or an unknown one where it is None."""
    return Fact(Unknown("", f"{name} is not set"), fact.path, "unknown") if fact.known and fact.value is None else fact
