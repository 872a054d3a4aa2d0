"""The rules that hold for one file, and which of them to run on what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lora_lint.facts import Setup
from lora_lint.policy import Policy
from lora_lint.rule import Check, Rule

VALUES = "lora_lint.update"
"""Where the subjects of rules about the numbers in tensors are."""


@dataclass
class Effective:
    """The settings as they hold for one file, overrides applied."""

    policy: Policy
    framework: str | None
    active: list[Rule]
    severity: dict[str, str]

    options: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    _calls: dict[tuple[type, frozenset[str] | None, bool], list["Call"]] = field(default_factory=dict)

    def calls(self, subject: type, setup: Setup | None) -> list["Call"]:
        """The rules to run on a subject, which belongs to a setup: those about its kind and the words set in it."""
        said = setup.set_words if setup is not None else None
        saved = setup is not None and setup.kind == "checkpoint"
        key = (subject, said, saved)
        found = self._calls.get(key)
        if found is None:
            if len(self._calls) > MOST_CALLS:
                self._calls.clear()
            found = self._calls[key] = [
                Call(rule, rule.check, rule.parameters[1:], self.options.get(rule.name, {}))
                for rule in self.active
                if _is_about(rule, subject, said, saved=saved)
            ]
        return found


def _is_about(rule: Rule, subject: type, said: frozenset[str] | None, *, saved: bool) -> bool:
    """Whether a rule is run on a subject. What its page tells comes first, so that few modules of checks are imported.

    A rule about words is run on setups.
    """
    if rule.of_values != (subject.__module__ == VALUES) or (saved and rule.of_runs):
        return False
    if rule.when:
        return subject is Setup and not (said is not None and said.isdisjoint(rule.when))
    return rule.parameters[0] is subject


class Call(NamedTuple):
    """A rule as it is run: its function, the types of the parameters besides the first one, the user's options."""

    rule: Rule
    check: Check
    others: tuple[type, ...]
    options: dict[str, Any]


MOST_CALLS = 2000
"""Sets of words whose rules are kept."""
