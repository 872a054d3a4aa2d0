"""Comments that silence findings: `# lora-lint: ignore[rule] because ...` on the line or the line above."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lora_lint.document import Document, Source, Span

_COMMENT = re.compile(r"(?:#|::|\b[Rr][Ee][Mm]\b)[ \t]*lora-lint:[ \t]*(ignore|ignore-file)\[([^\]\n]*)\]")


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


class Silencer:
    """The comments of a file by the rule and line that they cover; of two for the same, one is unused."""

    def __init__(self, comments: Iterable[Ignore]) -> None:
        self._by_place: dict[tuple[str, int | None], Ignore] = {}
        for comment in comments:
            for rule in comment.names:
                for line in comment.lines or (None,):
                    self._by_place.setdefault((rule, line), comment)

    def silences(self, rule: str, line: int) -> bool:
        """Whether a comment covers a finding; the comment is in use then."""
        found = [self._by_place[place] for place in ((rule, line), (rule, None)) if place in self._by_place]
        for comment in found:
            comment.used.add(rule)
        return bool(found)


def ignores(
    source: Source, documents: Collection[Document], rules: Collection[str], active: Collection[str]
) -> Iterator[Ignore]:
    """The ignore comments of a text file.

    A comment on its own line covers the next line, and the whole command or call that begins there, where no comment
    can stand on a continued line.
    """
    if "lora-lint:" not in source.text:
        return
    ends: dict[int, int] = {}
    for document in documents:
        if document.syntax in ("shell", "python") or (document.base and document.words):
            line = source.position(document.span.start).line
            ends[line] = max(ends.get(line, 0), source.position(document.span.end).line)
    for match in _COMMENT.finditer(source.text):
        names = tuple(name for part in match[2].split(",") if (name := part.strip()))
        unknown = tuple(name for name in names if name not in rules)
        complete = all(name in active for name in names if name not in unknown)
        yield Ignore(names, unknown, Span(*match.span()), _lines(source, ends, match), complete=complete)


def _lines(source: Source, ends: Mapping[int, int], match: re.Match[str]) -> range | None:
    if match[1] == "ignore-file":
        return None
    line = source.position(match.start()).line
    if not source.text[source.line_starts[line - 1] : match.start()].strip():
        return range(line, max(line + 1, ends.get(line + 1, 0)) + 1)
    return range(line, line + 1)
