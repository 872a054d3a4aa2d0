"""The one gate before every sink: what a terminal, a CI log or an eye would misread is made visible."""

import json
import re

_MISREAD = re.compile(
    # Letters and marks that leave no trace on the screen, though Unicode counts them as printable.
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
    # Commands that a CI runner obeys wherever they stand in its log: ##[error], ##vso[...], ##teamcity[...].
    r"|#(?=#[\w-]*\[)"
    # Commands that it obeys at the start of a line: ::error::
    r"|^[ \t]*:(?=:)",
    re.MULTILINE,
)


def printable(text: str, *, newlines: bool = False) -> str:
    """The text with control characters, bidi controls, invisible characters, lone surrogates and CI commands shown.

    Control characters become `^[`, the others `\\u202e`. With `newlines`, line feeds and tabs stay.
    """
    if text.isascii() and text.isprintable() and "##" not in text and "::" not in text:
        return text
    kept = "\n\t" if newlines else ""
    return "".join(char if char in kept else piece for char, piece in zip(text, pieces(text), strict=True))


def pieces(text: str) -> list[str]:
    """The visible form of every code point."""
    shown = [char if char.isprintable() else _escape(char) for char in text]
    for match in _MISREAD.finditer(text):
        shown[match.end() - 1] = _escape(text[match.end() - 1])
    return shown


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return f"^{chr(code ^ 0x40)}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def printable_json(data: object, *, indent: int | None = 2) -> str:
    """JSON that is safe to show and reads back as the same data; without an indent it is one line.

    Only lone surrogates don't come back: strict parsers refuse them, so they become text such as `\\udcff`.
    """
    text = json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False)
    return "\n".join(_json_line(line) for line in text.split("\n"))


def _json_line(line: str) -> str:
    if line.isascii() and line.isprintable() and "##" not in line:
        return line
    return "".join(
        char if char == piece else _json_escape(char) for char, piece in zip(line, pieces(line), strict=True)
    )


def _json_escape(char: str) -> str:
    code = ord(char)
    if 0xD800 <= code < 0xE000:
        return f"\\\\u{code:04x}"
    units = char.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
