"""Do the target modules mean what they say?"""

import re
from collections.abc import Iterator

from lora_lint import patterns
from lora_lint.facts import Setup
from lora_lint.finding import Finding

_SEVERAL = re.compile(r"[\w.]+(?:\s*,\s*|\s+)[\w., ]+")
"""Names with commas or spaces between them: no module path holds either."""
_META = re.compile(r"[\\*+?|^$()\[\]{}]")


def target_list_syntax(setup: Setup) -> Iterator[Finding]:
    targets = setup.targets
    if not setup.active or setup.target_syntax != "peft":
        return
    if targets.regex is not None and _SEVERAL.fullmatch(targets.regex.value):
        yield Finding(
            f"target_modules is one regular expression, which no module path matches: {targets.regex.value!r}",
            at=targets.regex.path,
        )
    for name in targets.names:
        if patterns.is_plain(name.value):
            continue
        if _SEVERAL.fullmatch(name.value):
            yield Finding(f"target {name.value!r} is one name, and no module is called so", at=name.path)
        elif _META.search(name.value):
            yield Finding(
                f"target {name.value!r} is compared letter by letter in a list, not as a regular expression",
                at=name.path,
            )
