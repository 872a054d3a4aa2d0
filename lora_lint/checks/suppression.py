"""Are the comments that silence findings still needed?"""

from collections.abc import Iterator

from lora_lint.finding import Finding
from lora_lint.suppress import Ignore


def unknown_ignore(ignore: Ignore) -> Iterator[Finding]:
    for name in ignore.unknown:
        yield Finding(f"there is no rule {name}", span=ignore.span)


def unused_ignore(ignore: Ignore) -> Iterator[Finding]:
    unused = [name for name in ignore.names if name not in ignore.used and name not in ignore.unknown]
    if unused and ignore.complete:
        yield Finding(f"{', '.join(unused)}: nothing is found here to ignore", span=ignore.span)
