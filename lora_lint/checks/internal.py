"""Did a rule itself fail?"""

from collections.abc import Iterator
from typing import NamedTuple

from lora_lint.finding import Finding


class Failure(NamedTuple):
    """A rule that raised: its name, and what it raised in one line."""

    rule: str
    error: str


def internal_error(failure: Failure) -> Iterator[Finding]:
    yield Finding(f"the rule {failure.rule} failed: {failure.error}; this is a fault of lora-lint")
