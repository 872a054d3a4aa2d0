"""Checks that LoRA configs and adapters have the scale you think they have."""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lora_lint.catalogue import load_rules as load_rules
    from lora_lint.facts import Setup as Setup
    from lora_lint.finding import Diagnostic as Diagnostic
    from lora_lint.finding import Report as Report
    from lora_lint.finding import Severity as Severity
    from lora_lint.linter import lint as lint
    from lora_lint.linter import read_setups as read_setups
    from lora_lint.reference import assert_policy as assert_policy
    from lora_lint.reference import assert_scale as assert_scale
    from lora_lint.reference import measure_scale as measure_scale
    from lora_lint.reference import measure_scales as measure_scales
    from lora_lint.rule import Rule as Rule

_HOMES = {
    "Diagnostic": "finding",
    "Report": "finding",
    "Rule": "rule",
    "Setup": "facts",
    "Severity": "finding",
    "assert_policy": "reference",
    "assert_scale": "reference",
    "lint": "linter",
    "load_rules": "catalogue",
    "measure_scale": "reference",
    "measure_scales": "reference",
    "read_setups": "linter",
}

__all__ = [
    "Diagnostic",
    "Report",
    "Rule",
    "Setup",
    "Severity",
    "assert_policy",
    "assert_scale",
    "lint",
    "load_rules",
    "measure_scale",
    "measure_scales",
    "read_setups",
]


def __getattr__(name: str) -> object:
    """The public names, imported when asked for: a run of one command shouldn't pay for all."""
    if name in _HOMES:
        return getattr(import_module(f"lora_lint.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lora_lint' has no attribute {name!r}")
