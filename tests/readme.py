"""Keeps the generated parts of README.md up to date: `python -m tests.readme` writes them, a test compares them."""

import re
from pathlib import Path

from lora_lint.catalogue import load_rules
from lora_lint.linter import lint
from lora_lint.reporters import text

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PICTURE = ROOT / ".github" / "check.svg"


def rules_table() -> str:
    """Every rule with a link to its page."""
    rows = ["| rule | severity | fix | what it finds |", "|---|---|---|---|"]
    for rule in load_rules().values():
        link = f"[{rule.name}](rules/{rule.family}/{rule.name}.md)"
        rows.append(f"| {link} | {rule.severity} | {rule.fix or ''} | {rule.title} |")
    return "\n".join(rows)


def with_part(readme: str, name: str, part: str) -> str:
    """The text with everything between the two marks of a part replaced."""
    return re.sub(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", rf"\g<1>{part}\n\g<2>", readme, flags=re.DOTALL)


def picture() -> str:
    """What a terminal shows for the examples."""
    return text.svg(lint(["examples"]))


if __name__ == "__main__":
    README.write_text(with_part(README.read_text("utf-8"), "rules", rules_table()), "utf-8")
    PICTURE.write_text(picture(), "utf-8")
