"""Findings for eyes: the source line with the place underlined, the reason and the fix; only here rich is imported."""

from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.style import Style
from rich.text import Text

from lora_lint.finding import Delete, Diagnostic, Insert, Range, Report, Safety, Severity
from lora_lint.printable import printable
from lora_lint.reporters import placed, related_file
from lora_lint.reporters.snippet import Excerpt
from lora_lint.reporters.text import summary_lines

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "bold cyan"}
_MARGIN = "bright_blue"
_LABELS = {"help": "bold green"}
_NARROWEST = 40
_WIDEST_PROSE = 100
_LONGEST_PROSE = 2000
_MOST_RELATED = 4
_SAFETIES = {Safety.SAFE: "(--fix does it)", Safety.UNSAFE: "(--fix --unsafe-fixes does it; training changes)"}


class Mark(NamedTuple):
    """Code points of one line to underline, from 0, the end exclusive."""

    line: int
    text: str
    start: int
    end: int
    label: str
    style: str
    sign: str


def render(report: Report, *, width: int, color: bool, links: bool, summary: bool) -> str:
    def draw(console: Console) -> None:
        _print(report, console, links=links, summary=summary)

    return drawn(draw, width=max(width, _NARROWEST), color=color)


def drawn(draw: Callable[[Console], None], *, width: int, color: bool) -> str:
    """What something draws for a terminal, as text with its colours."""
    console = Console(
        file=StringIO(),
        width=width,
        force_terminal=True,
        color_system="standard" if color else None,
        legacy_windows=False,
    )
    with console.capture() as capture:
        draw(console)
    return capture.get()


def svg(report: Report, *, width: int, title: str) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system="truecolor", record=True)
    _print(report, console, links=False, summary=True)
    return console.export_svg(title=title)


def _print(report: Report, console: Console, *, links: bool, summary: bool) -> None:
    explained: set[str] = set()
    for diagnostic in _by_file(report.diagnostics):
        for line in _diagnostic(diagnostic, console, links, explain=diagnostic.rule not in explained):
            line.rstrip()
            console.print(line, soft_wrap=True, highlight=False)
        explained.add(diagnostic.rule)
        console.print()
    if summary:
        for text in summary_lines(report):
            for line in _prose(_summary(text), Text(), console, indent=2):
                console.print(line, soft_wrap=True, highlight=False)


def _by_file(diagnostics: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """All of a file together, files in the order in which they first come."""
    files: dict[str, list[Diagnostic]] = {}
    for diagnostic in diagnostics:
        files.setdefault(diagnostic.file, []).append(diagnostic)
    for found in files.values():
        yield from found


def _summary(line: str) -> Text:
    text = Text(printable(line))
    for severity, style in _STYLES.items():
        text.highlight_regex(rf"\d+ {severity.value}s?\b", style)
    text.highlight_regex("no findings", "bold green")
    return text


def _diagnostic(diagnostic: Diagnostic, console: Console, links: bool, *, explain: bool) -> Iterator[Text]:
    style = _STYLES[diagnostic.severity]
    url = diagnostic.url if links else None
    rule = (diagnostic.rule, Style.parse(style) + Style(link=url))
    head = Text.assemble((f"{diagnostic.severity.value}[", style), rule, ("]", style), (": ", "bold"))
    yield from _prose(head, Text(_short(diagnostic.message), "bold"), console, indent=2)
    marks = _marks(diagnostic) if placed(diagnostic) else []
    digits = len(str(max((mark.line for mark in marks), default=1)))
    yield Text.assemble((f"{' ' * digits}--> ", _MARGIN), _location(diagnostic, links))
    hidden: list[Mark] = []
    yield from _snippet(diagnostic, marks, digits, console.width, hidden)
    notes = [*_notes(diagnostic, hidden, explain=explain)]
    if marks and notes:
        yield _margin("", digits)
    for label, text in notes:
        prefix = Text.assemble((f"{' ' * digits} = ", _MARGIN), (f"{label}: ", _LABELS.get(label, "bold")))
        yield from _prose(prefix, Text(_short(text)), console)


def _location(diagnostic: Diagnostic, links: bool) -> Text:
    start = diagnostic.range.start
    name = printable(diagnostic.file) + (f":{start.line}:{start.column}" if placed(diagnostic) else "")
    linked = links and not diagnostic.file.startswith("<")
    return Text(name, Style(link=_file_uri(diagnostic.file)) if linked else "")


def _file_uri(file: str) -> str:
    return Path(printable(file)).absolute().as_uri()


def _short(text: str) -> str:
    return printable(text if len(text) <= _LONGEST_PROSE else f"{text[:_LONGEST_PROSE]}...")


def _prose(prefix: Text, body: Text, console: Console, *, indent: int | None = None) -> Iterator[Text]:
    """Words wrapped beside a prefix; the lines after the first are indented as far, or by `indent`."""
    if indent is None:
        indent = prefix.cell_len
    else:
        prefix, body = Text(), prefix + body
    width = max(min(console.width, _WIDEST_PROSE) - indent, _NARROWEST // 2)
    for number, line in enumerate(body.wrap(console, width)):
        line.rstrip()
        # A break may leave a CI command at the start of a line.
        if number and printable(line.plain) != line.plain:
            line = Text(printable(line.plain))
        yield (Text(" " * indent) if number else prefix) + line


def _marks(diagnostic: Diagnostic) -> list[Mark]:
    """The lines of the finding, and of the related places of the same file whose text is at hand, in order."""
    style = _STYLES[diagnostic.severity]
    marks = [
        Mark(line, text, *_columns(line, text, diagnostic.range), "", style, "^")
        for line, text in enumerate(diagnostic.source_lines, diagnostic.range.start.line)
        if line == diagnostic.range.start.line or (line, 1) != diagnostic.range.end
    ]
    if diagnostic.document is not None and diagnostic.document.source.name == diagnostic.file:
        source = diagnostic.document.source
        for related in diagnostic.related[:_MOST_RELATED]:
            line = related.range.start.line
            text = source.line(line)
            marks.append(Mark(line, text, *_columns(line, text, related.range), related.message, _MARGIN, "-"))
    return sorted(marks, key=lambda mark: mark.line)


def _columns(line: int, text: str, place: Range) -> tuple[int, int]:
    """The part of a range that stands on one line, without the indent of the lines after its first."""
    (first, column), (last, end_column) = place
    start = column - 1 if line == first else len(text) - len(text.lstrip())
    return start, end_column - 1 if line == last else len(text)


def _snippet(diagnostic: Diagnostic, marks: list[Mark], digits: int, width: int, hidden: list[Mark]) -> Iterator[Text]:
    """Source lines with their marks; those that don't fit on the screen beside the finding end up in `hidden`."""
    if marks:
        yield _margin("", digits)
    before, room = None, width - digits - 4
    for line, group in groupby(marks, key=lambda mark: mark.line):
        on_line = sorted(group, key=lambda mark: mark.sign != "^")
        if before is not None and line > before + 1:
            yield Text("...", _MARGIN)
        before = line
        main = on_line[0]
        excerpt = Excerpt.around(main.text, main.start, main.end, room)
        yield _margin(str(line), digits).append(excerpt.text)
        for mark in on_line:
            place = excerpt.underline(mark.start, mark.end)
            if place is None:
                hidden.append(mark)
                continue
            yield _margin("", digits).append(_underline(mark, *place, room), mark.style)
    if marks and diagnostic.range.end.line >= diagnostic.range.start.line + len(diagnostic.source_lines) > 0:
        yield Text("...", _MARGIN)


def _underline(mark: Mark, indent: int, length: int, room: int) -> str:
    label = printable(mark.label)
    if room - length - len(label) < indent > len(label):
        return f"{label:>{indent - 1}} {mark.sign * length}"
    return f"{' ' * indent}{mark.sign * length} {label}"


def _margin(number: str, digits: int) -> Text:
    return Text.assemble((f"{number:>{digits}} | ", _MARGIN))


def _notes(diagnostic: Diagnostic, hidden: list[Mark], *, explain: bool) -> Iterator[tuple[str, str]]:
    """What stands below the source: related places that it doesn't show, the tensor, the reason, the fix."""
    if diagnostic.tensor and diagnostic.tensor not in diagnostic.message:
        yield "tensor", diagnostic.tensor
    for mark in hidden:
        yield "note", f"{mark.line}:{mark.start + 1} {mark.label}"
    beside = related_file(diagnostic)
    elsewhere = "" if beside == diagnostic.file else f"{beside}:"
    shown = _MOST_RELATED if diagnostic.document is not None and not elsewhere else 0
    for message, place in diagnostic.related[shown:]:
        yield "note", f"{elsewhere}{place.start.line}:{place.start.column} {message}"
    if explain and diagnostic.explanation:
        yield "why", f"{diagnostic.explanation} (lora-lint explain {diagnostic.rule})"
    yield from (("help", text) for text in _helps(diagnostic))


def _helps(diagnostic: Diagnostic) -> Iterator[str]:
    if diagnostic.suggestion is None:
        return
    safety = _SAFETIES[diagnostic.suggestion.safety]
    for place, text in diagnostic.edit_ranges:
        words = text.strip(", \t\r\n")
        if isinstance(diagnostic.suggestion.fix, Insert):
            yield f"add {words} after line {place.start.line} {safety}"
        elif isinstance(diagnostic.suggestion.fix, Delete):
            yield f"take {diagnostic.suggestion.fix.path[-1]} out {safety}"
        else:
            at = "" if place == diagnostic.range else f" at {place.start.line}:{place.start.column}"
            yield f"write {words}{at} {safety}"
