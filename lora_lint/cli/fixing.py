"""Writing fixes into files, or showing them as a diff."""

from typing import TYPE_CHECKING

from lora_lint.cli.output import emit, say, write_file

if TYPE_CHECKING:
    from lora_lint.document import Document, Source
    from lora_lint.finding import Diagnostic
    from lora_lint.linter import Linter
    from lora_lint.reading import Reading

_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def mended(linter: "Linter", reading: "Reading", *, unsafe: bool, write: bool) -> "Reading":
    """The file as it stands after its fixes, which are written or shown as a diff."""
    from lora_lint.finding import Report
    from lora_lint.fix import apply

    if not reading.setups:
        return reading
    diagnostics = list(linter.check(reading, Report()))

    def check_again(source: "Source") -> "tuple[list[Document], list[Diagnostic]] | None":
        again = _read_again(linter, reading, source.text)
        if again.problem is not None:
            return None
        return again.documents, list(linter.check(again, Report()))

    text, applied = apply(reading.source, diagnostics, reading.documents, check_again, unsafe=unsafe)
    if not applied:
        return reading
    if not write:
        emit(_diff(reading.path, reading.source.text, text))
        return reading
    if not _replace(reading, text):
        return reading
    say(f"{reading.path}: {applied} fixed")
    return _read_again(linter, reading, text)


def _read_again(linter: "Linter", reading: "Reading", text: str) -> "Reading":
    from lora_lint.checkpoint import beside
    from lora_lint.reading import read_bytes

    only = linter.effective(reading.path).framework
    again = read_bytes(
        reading.source.name,
        text.encode("utf-8", "surrogatepass"),
        only=only,
        inside=reading.source.inside,
        beside=lambda: beside(reading.path),
        path=reading.path,
    )
    again.path = reading.path
    return again


def _replace(reading: "Reading", text: str) -> bool:
    """Write the new text in the file's own encoding, unless the file changed since it was read."""
    try:
        with open(reading.path, "rb") as file:
            old = file.read()
        if _decoded(old) != reading.source.text:
            say(f"{reading.path}: changed while it was checked; left alone")
            return False
        bom = next((mark for mark in _BOMS if old.startswith(mark)), b"")
        encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(bom, "utf-8")
        write_file(reading.path, bom + text.encode(encoding))
    except OSError as error:
        say(f"{reading.path}: can't be written: {(error.strerror or str(error)).lower()}")
        return False
    return True


def _decoded(data: bytes) -> str | None:
    from lora_lint.decoding import decode
    from lora_lint.document import UnreadableError

    try:
        return decode(data)
    except UnreadableError:
        return None


def _diff(path: str, old: str, new: str) -> str:
    """A diff that can be applied; what a terminal would misread is made visible."""
    from difflib import unified_diff
    from io import StringIO

    before, after = (list(StringIO(text, newline="\n")) for text in (old, new))
    return "".join(map(_diff_line, unified_diff(before, after, f"a/{path}", f"b/{path}")))


def _diff_line(line: str) -> str:
    from lora_lint.printable import printable

    end = "\r\n" if line.endswith("\r\n") else "\n"
    shown = printable(line.removesuffix(end), newlines=True) + end
    return shown if line.endswith("\n") else f"{shown}\\ No newline at end of file\n"
