"""Python code inside strings: `>>>` prompts and fenced blocks of docstrings, at their places in the file."""

import ast
import re
from collections.abc import Iterator
from itertools import groupby

from lora_lint.document import Span
from lora_lint.readers.python.lines import Lines

_PROMPT = re.compile(r"[ \t]*(?:>>>|\.\.\.)(?: |$)")
_FENCE = re.compile(r"[ \t]*```[ \t]*(\w*)")
_PYTHON = ("python", "py", "python3")
Line = tuple[int, str]
"""Where the code of a line begins in the file, and the code."""


def examples(text: str, span: Span) -> Iterator[list[Line]]:
    """The pieces of code in the part of a file that a string covers, line by line."""
    lines = list(_lines(text, span))
    prompts = [[(at + _prompt(line), line[_prompt(line) :]) for at, line in run] for run in _runs(lines)]
    together = [line for run in prompts for line in run]
    if len(prompts) > 1 and parsed(together) is not None:
        yield together
    else:
        yield from prompts
    yield from _fenced(lines)


def parsed(lines: list[Line]) -> ast.Module | None:
    """The tree of a piece of code, or None where it isn't Python."""
    try:
        return ast.parse("\n".join(line for _, line in lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def placed(text: str, lines: list[Line]) -> Lines:
    return Lines(text, [at for at, _ in lines])


def _lines(text: str, span: Span) -> Iterator[Line]:
    at = span.start
    for line in text[span.start : span.end].split("\n"):
        yield at, line.rstrip("\r")
        at += len(line) + 1


def _runs(lines: list[Line]) -> Iterator[list[Line]]:
    for is_code, run in groupby(lines, key=lambda line: _PROMPT.match(line[1]) is not None):
        if is_code:
            yield list(run)


def _prompt(line: str) -> int:
    match = _PROMPT.match(line)
    return match.end() if match else 0


def _fenced(lines: list[Line]) -> Iterator[list[Line]]:
    block: list[Line] | None = None
    for at, line in lines:
        fence = _FENCE.match(line)
        if fence and block is None:
            block = [] if fence[1] in _PYTHON else None
            indent = len(line) - len(line.lstrip())
        elif fence and block is not None:
            if not any(_PROMPT.match(code) for _, code in block):
                yield block
            block = None
        elif block is not None:
            cut = min(indent, len(line) - len(line.lstrip()))
            block.append((at + cut, line[cut:]))
