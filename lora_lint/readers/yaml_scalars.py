"""Where in the file each character of a YAML string stands, through quotes, escapes, folding and indentation."""

import re
from array import array
from collections.abc import Sequence

from lora_lint.document import Span

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
_HEADER = re.compile(r"[|>][^\n]*\n?")
_ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_FOLD = re.compile(r"(?:\\(?:\r?\n|[ \tntr])|[ \t\r\n])*")
_BLANK = " \t\r\n"


def places(text: str, span: Span, value: str) -> Sequence[int]:
    """The place of every character of `value`, which stands at `span`; all at its start where they can't be told.

    Only blanks are ever folded or left out, so that the other characters follow each other in both.
    """
    properties = _PROPERTIES.match(text, span.start, span.end)
    start = properties.end() if properties else span.start
    if text[start : start + len(value)] == value and start + len(value) == span.end:
        return range(start, span.end)
    style = text[start : start + 1]
    if style in ("|", ">") and (header := _HEADER.match(text, start, span.end)):
        start = header.end()
    elif style in ("'", '"'):
        start += 1
    found = array("q")
    at = start
    for character in value:
        at, place = _next(text, at, span.end, character, style)
        if place < 0:
            return [span.start] * len(value)
        found.append(place)
    return found


def _next(text: str, at: int, end: int, character: str, style: str) -> tuple[int, int]:
    """Where to go on after `character` of the value, and where it stands; -1 where it isn't found."""
    if character not in _BLANK:
        at = _passed(text, at, end, style)
    if at >= end:
        return at, end - 1 if character in _BLANK else -1
    sign = text[at]
    if style == '"' and sign == "\\" and (escape := _ESCAPE.match(text, at, end)) and escape[0] not in ("\\\n", "\\\r"):
        return escape.end(), at
    if style == "'" and text.startswith("''", at) and character == "'":
        return at + 2, at
    if sign == character:
        return at + 1, at
    return at, at if character in _BLANK else -1


def _passed(text: str, at: int, end: int, style: str) -> int:
    """Past the blanks that the value holds already, and the ends of lines that are escaped."""
    if style != '"':
        while at < end and text[at] in _BLANK:
            at += 1
        return at
    fold = _FOLD.match(text, at, end)
    return fold.end() if fold else at
