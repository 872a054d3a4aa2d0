"""Markdown: the fenced blocks in languages that lora-lint reads, as examples."""

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lora_lint.document import Document, Source, Span, Syntax
from lora_lint.embedding import read_inside

MAX_BLOCKS = 2_000

_SYNTAXES: dict[str, Syntax] = {
    **dict.fromkeys(("bash", "sh", "shell", "zsh", "console", "terminal", "bash-session", "shell-session"), "shell"),
    **dict.fromkeys(("powershell", "pwsh", "ps1"), "powershell"),
    **dict.fromkeys(("bat", "batch", "cmd"), "batch"),
    **dict.fromkeys(("python", "py", "python3", "pycon", "ipython"), "python"),
    **dict.fromkeys(("yaml", "yml"), "yaml"),
    **dict.fromkeys(("json", "jsonc", "json5"), "json"),
    **dict.fromkeys(("dockerfile", "docker"), "dockerfile"),
    **dict.fromkeys(("makefile", "make"), "makefile"),
    "toml": "toml",
}
"""Languages of fences, as people spell them."""

_FENCE = re.compile(
    r"^(?P<indent>[ \t>]*)(?P<mark>`{3,}|~{3,})[ \t]*\{?[ \t]*\.?(?P<language>[\w-]+)[^\n`]*$", re.MULTILINE
)
_LEFT_OUT = re.compile(r"[ \t]*(?:\.{3,}|…)[ \t\r]*\n?")
"""A line that stands for other ones."""
_CONTINUED: Sequence[tuple[re.Pattern[str], Syntax]] = (
    (re.compile(r"\s`[ \t\r]*\n\Z"), "powershell"),
    (re.compile(r"\s\^[ \t\r]*\n\Z"), "batch"),
)
"""How lines go on in the shells of Windows, whose blocks are called those of a shell as well."""
_PROMPTS = {
    "shell": re.compile(r"[ \t]*\$[ \t]+"),
    "python": re.compile(r"[ \t]*(?:>>>|\.\.\.)(?:[ \t]|$)"),
}


@dataclass(slots=True)
class _Block:
    """The lines of a fenced block, each from behind the indentation of its fence."""

    syntax: Syntax
    lines: list[Span]


def read(source: Source) -> Iterator[Document]:
    """The examples in the fenced blocks, in order."""
    for count, block in enumerate(_blocks(source)):
        if count >= MAX_BLOCKS:
            return
        text, places = _text(source, _prompted(source, block))
        yield from read_inside(source, text, places, block.syntax, example=True)


def _blocks(source: Source) -> Iterator[_Block]:
    text, at = source.text, 0
    while (fence := _FENCE.search(text, at)) is not None:
        mark, indent = fence["mark"], len(fence["indent"])
        closing = re.compile(rf"^[ \t>]*{mark[0]}{{{len(mark)},}}[ \t\r]*$", re.MULTILINE)
        end = closing.search(text, fence.end())
        stop = end.start() if end is not None else len(text)
        at = end.end() if end is not None else len(text)
        syntax = _SYNTAXES.get(fence["language"].lower())
        if syntax is not None:
            lines = list(_lines(text, fence.end() + 1, stop, indent))
            if syntax == "shell":
                lines = [line for line in lines if not _LEFT_OUT.fullmatch(text, *line)]
                yield _Block(_shell_of(text, lines), lines)
            else:
                yield _Block(syntax, lines)


def _shell_of(text: str, lines: list[Span]) -> Syntax:
    """Which shell a block is written for that is only called one."""
    return next((other for end, other in _CONTINUED if any(end.search(text, *line) for line in lines)), "shell")


def _lines(text: str, start: int, stop: int, indent: int) -> Iterator[Span]:
    while start < stop:
        end = text.find("\n", start, stop)
        end = stop if end < 0 else end + 1
        first = start
        while first < min(start + indent, end) and text[first] in " \t>":
            first += 1
        yield Span(first, end)
        start = end


def _prompted(source: Source, block: _Block) -> list[Span]:
    """The lines behind prompts and those that continue them, where there are any; all lines otherwise."""
    prompt = _PROMPTS.get(block.syntax)
    lines = [(line, prompt.match(source.text, *line)) for line in block.lines] if prompt else []
    if not any(match for _, match in lines):
        return block.lines
    kept: list[Span] = []
    continued = False
    for line, match in lines:
        if match or continued:
            kept.append(Span(match.end() if match else line.start, line.end))
            continued = block.syntax == "shell" and source.text[slice(*line)].rstrip().endswith("\\")
    return kept


def _text(source: Source, lines: list[Span]) -> tuple[str, "array[int]"]:
    places = array("q")
    for line in lines:
        places.extend(range(*line))
    return "".join(source.text[slice(*line)] for line in lines), places
