"""All rules, found by walking `rules/`: inside the package when installed, beside it in a checkout."""

from functools import cache
from pathlib import Path

from lora_lint.rule import Rule, RuleError

__all__ = ["RuleError", "family_names", "load_rules", "root"]


def root() -> Path:
    """The folder of the rule pages."""
    package = Path(__file__).parent
    return package / "rules" if (package / "rules").is_dir() else package.parent / "rules"


@cache
def load_rules() -> dict[str, Rule]:
    """Every rule by name, ordered by family and name.

    Raises:
        RuleError: for a malformed page, or when there are none.
    """
    pages = sorted(root().glob("*/*.md"))
    if not pages:
        raise RuleError(f"no rule pages in {root()}")
    return {page.stem: Rule.load(page) for page in pages}


def family_names() -> list[str]:
    return sorted({rule.family for rule in load_rules().values()})


def resolve(name: str) -> list[str] | None:
    """The rules that a name stands for: itself, its new name, or a whole family; None when there is none."""
    rules = load_rules()
    if name in rules:
        return [name]
    renamed = [rule.name for rule in rules.values() if name in rule.aliases]
    members = [rule.name for rule in rules.values() if rule.family == name]
    return renamed or members or None
