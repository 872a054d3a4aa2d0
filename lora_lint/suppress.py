"""Comments that silence findings: `# lora-lint: ignore[rule] because ...` on the line or the line above."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from lora_lint.document import Document, Source, Span

_COMMENT = re.compile(r"#[ \t]*lora-lint:[ \t]*(ignore|ignore-file)\[([^\]\n]*)\]")


@dataclass(eq=False)
class Ignore:
    """One comment: the rules it names, the lines it covers (None: the whole file), and which rules it silenced."""

    names: tuple[str, ...]
    unknown: tuple[str, ...]
    span: Span
    lines: range | None
    used: set[str] = field(default_factory=set)
    complete: bool = True
    """Whether all the rules it names were run; only then can it be called unused."""

    def covers(self, rule: str, line: int) -> bool:
        return rule in self.names and (self.lines is None or line in self.lines)


def ignores(
    source: Source, documents: Collection[Document], rules: Collection[str], active: Collection[str]
) -> Iterator[Ignore]:
    """The ignore comments of a text file.

    A comment on its own line covers the next line, and the whole command or call that begins there, where no comment
    can stand on a continued line.
    """
    if "lora-lint:" not in source.text:
        return
    for match in _COMMENT.finditer(source.text):
        names = tuple(name for part in match[2].split(",") if (name := part.strip()))
        unknown = tuple(name for name in names if name not in rules)
        complete = all(name in active for name in names if name not in unknown)
        yield Ignore(names, unknown, Span(*match.span()), _lines(source, documents, match), complete=complete)


def _lines(source: Source, documents: Collection[Document], match: re.Match[str]) -> range | None:
    if match[1] == "ignore-file":
        return None
    line = source.position(match.start()).line
    if source.line(line).lstrip().startswith("#"):
        below = line + 1
        last = below
        for document in documents:
            if document.syntax in ("shell", "python") and source.position(document.span.start).line == below:
                last = max(last, source.position(document.span.end).line)
        return range(line, last + 1)
    return range(line, line + 1)
