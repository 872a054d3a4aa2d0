"""The rules that hold for one file, and which of them to run on what."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from lora_lint.facts import Setup
from lora_lint.policy import Policy
from lora_lint.rule import Check, Rule

Conditional = tuple[Rule, frozenset[str]]
"""A rule, and the words of which one has to be set."""

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
    _calls: dict[tuple[type, frozenset[str] | None], list["Call"]] = field(default_factory=dict)

    @cached_property
    def rules_for(self) -> "dict[type, list[Conditional]]":
        """The rules by what they are run on, and the words that they are about.

        A rule about words is run on setups, so that its module is imported only where one of them is set.
        """
        return self._by_subject(rule for rule in self.active if not rule.of_values)

    def _of_values(self, subject: type) -> "Sequence[Conditional]":
        """Those about the numbers in tensors, whose module `check` has no use for."""
        if subject.__module__ != VALUES:
            return ()
        return self._by_subject(rule for rule in self.active if rule.of_values).get(subject, ())

    @staticmethod
    def _by_subject(rules: Iterable[Rule]) -> "dict[type, list[Conditional]]":
        found: dict[type, list[Conditional]] = {}
        for rule in rules:
            subject = Setup if rule.when else rule.parameters[0]
            found.setdefault(subject, []).append((rule, frozenset(rule.when)))
        return found

    def calls(self, subject: type, said: frozenset[str] | None) -> list["Call"]:
        """The rules to run on a subject where these words are set; None is any."""
        key = (subject, said)
        found = self._calls.get(key)
        if found is None:
            if len(self._calls) > MOST_CALLS:
                self._calls.clear()
            found = self._calls[key] = [
                Call(rule, rule.check, rule.parameters[1:], self.options.get(rule.name, {}))
                for rule, when in (*self.rules_for.get(subject, ()), *self._of_values(subject))
                if not (when and said is not None and when.isdisjoint(said))
            ]
        return found


class Call(NamedTuple):
    """A rule as it is run: its function, the types of the parameters besides the first one, the user's options."""

    rule: Rule
    check: Check
    others: tuple[type, ...]
    options: dict[str, Any]


MOST_CALLS = 2000
"""Sets of words whose rules are kept."""
