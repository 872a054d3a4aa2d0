"""Keeps the generated parts of README.md up to date: `python -m tests.readme` writes them, a test compares them."""

import re
from pathlib import Path

from lora_lint.catalogue import load_rules
from lora_lint.frameworks import MARKERS, framework
from lora_lint.linter import lint
from lora_lint.reporters import text

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
UNNAMED = ("generic", "script")
"""Modules that stand for no framework."""
PICTURE = ROOT / ".github" / "check.svg"


def rules_table() -> str:
    """Every rule with a link to its page."""
    rows = ["| rule | severity | fix | what it finds |", "|---|---|---|---|"]
    for rule in load_rules().values():
        link = f"[{rule.name}](rules/{rule.family}/{rule.name}.md)"
        rows.append(f"| {link} | {rule.severity} | {rule.fix or ''} | {rule.title} |")
    return "\n".join(rows)


def frameworks_list() -> str:
    """Every framework by the name that its users know, with a link to its documentation."""
    modules = sorted((framework(name) for name in MARKERS if name not in UNNAMED), key=lambda one: one.TITLE.lower())
    return ", ".join(f"[{module.TITLE}]({module.DOCS})" for module in modules) + "."


def with_part(readme: str, name: str, part: str) -> str:
    """The text with everything between the two marks of a part replaced."""
    return re.sub(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", rf"\g<1>{part}\n\g<2>", readme, flags=re.DOTALL)


def picture() -> str:
    """What a terminal shows for the examples."""
    return text.svg(lint(["examples"]))


if __name__ == "__main__":
    text_now = README.read_text("utf-8")
    for name, part in (("rules", rules_table()), ("frameworks", frameworks_list())):
        text_now = with_part(text_now, name, part)
    README.write_text(text_now, "utf-8")
    PICTURE.write_text(picture(), "utf-8")
