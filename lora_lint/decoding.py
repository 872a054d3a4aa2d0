"""The bytes of a file: which syntax they are in, and the text that they stand for."""

import os

from lora_lint.document import Syntax, UnreadableError
from lora_lint.files import syntax_of_name

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def syntax_of(name: str, data: bytes) -> Syntax | None:
    """The syntax by the name's ending; without one, by a shebang or the brace of JSON."""
    if (syntax := syntax_of_name(name.rpartition("/")[2])) is not None:
        return syntax  # type: ignore[return-value]
    ending = os.path.splitext(name)[1]
    first = data[:128].partition(b"\n")[0]
    if first.startswith(b"#!"):
        return "python" if b"python" in first else "shell" if b"sh" in first else None
    return "json" if not ending and data.lstrip()[:1] == b"{" else None


def decode(data: bytes) -> str:
    """The text of a file, without its byte order mark.

    Raises:
        UnreadableError: for bytes that aren't UTF-8 (or UTF-16 with a mark), or NUL bytes.
    """
    encoding = "utf-8"
    for mark, of_mark in _BOMS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], of_mark
            break
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableError(
            f"isn't {encoding.upper()}: byte {data[error.start]:#04x} at offset {error.start}"
        ) from None
    if "\0" in text:
        raise UnreadableError("holds NUL bytes; it is binary, or was cut off by a crash")
    return text
