"""Jupyter notebooks: the code cells as one program, their shell lines and written files as what they are."""

import ast
import re
import warnings
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from lora_lint.document import Document, Path, Source, Syntax, UnreadableError
from lora_lint.embedding import read_inside
from lora_lint.readers import json

_SHELL_CELL = re.compile(r"%%(?:bash|sh|shell|script +(?:ba)?sh)\b[^\n]*\n")
_FILE_CELL = re.compile(r"%%(?:writefile|file) +(?:-a +)?(?P<name>\S+)[^\n]*\n")
_SYNTAXES: dict[str, Syntax] = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml", ".sh": "shell"}
_MAGIC = re.compile(r"^(?P<indent>[ \t]*)(?P<mark>[%!?])", re.MULTILINE)
_BLANK = "pass#"
_PYTHON_CELL = re.compile(r"\s*%%(?:capture|time|timeit|prun|memit|python3?)\b")
_RESULT = re.compile(r"^(?P<indent>[ \t]*+)(?:[A-Za-z_]\w*[ \t]*=[ \t]*[!%].*|\S.*\?[ \t]*)$", re.MULTILINE)
"""What IPython reads and Python doesn't: the output of a command put into a name, a question about one."""

MAX_COMMANDS = 2_000
MAX_CELLS = 1_000
MAX_MARKS = 75_000
"""Signs in all cells that make the parser work; a notebook of 5,000 lines has half of that."""
_MARKS = "\n({,=+-*/<>;[.:|&%@^~"


@dataclass
class _Cell:
    """The text of a code cell, and where each character of it stands in the file."""

    text: str
    places: "array[int]"

    def after(self, start: int) -> "_Cell":
        return _Cell(self.text[start:], self.places[start:])


def read(source: Source) -> Iterator[Document]:
    """The LoRA calls and commands of a notebook, with their lines in the notebook file.

    Raises:
        UnreadableError: when the file isn't JSON, or holds no cells.
    """
    (whole,) = json.read(source)
    cells = whole.data.get("cells") if isinstance(whole.data, dict) else None
    if not isinstance(cells, list):
        raise UnreadableError("holds no cells, as a notebook does")
    program: list[str] = []
    places = array("q")
    marks = commands = 0
    for index, cell in enumerate(cells):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        text = _text(source, whole, index, cell.get("source"))
        if text is None:
            continue
        marks += sum(map(text.text.count, _MARKS))
        if marks > MAX_MARKS or len(program) >= MAX_CELLS:
            break
        special = _special(text)
        if special is not None:
            syntax, body = special
            yield from read_inside(source, body.text, body.places, syntax)
            continue
        for line in islice(_shell_lines(text), MAX_COMMANDS - commands):
            commands += 1
            yield from read_inside(source, line.text, line.places, "shell")
        code = next(filter(_parses, _as_python(text.text)), None)
        if code is not None:
            program.append(f"{code}\n")
            places.extend(text.places)
            places.append(text.places[-1] if text.places else 0)
    yield from read_inside(source, "".join(program), places, "python")


def _text(source: Source, whole: Document, index: int, lines: object) -> _Cell | None:
    """The text of a cell, which is one string or a list of them."""
    path: Path = ("cells", index, "source")
    paths: list[Path] = [(*path, at) for at in range(len(lines))] if isinstance(lines, list) else [path]
    parts: list[str] = []
    places = array("q")
    for at in paths:
        entry = whole.entry(at)
        if entry is None or source.text[entry.value.start] != '"':
            return None
        text, inner = json.decoded(source.text, entry.value)
        parts.append(text)
        places.extend(inner)
    return _Cell("".join(parts), places)


def _special(cell: _Cell) -> tuple[Syntax, _Cell] | None:
    """A cell that is a shell script or the text of a file, without its first line."""
    if match := _SHELL_CELL.match(cell.text):
        return "shell", cell.after(match.end())
    if match := _FILE_CELL.match(cell.text):
        ending = "." + match["name"].strip("\"'").rpartition(".")[2].lower()
        syntax: Syntax | Literal[""] = _SYNTAXES.get(ending, "python" if ending == ".py" else "")
        return (syntax, cell.after(match.end())) if syntax else ("shell", _Cell("", array("q")))
    return None


def _shell_lines(cell: _Cell) -> Iterator[_Cell]:
    """The commands behind `!`, with the lines that they continue on."""
    for match in re.finditer(r"^[ \t]*!(?P<command>(?:[^\n]*\\\n)*[^\n]*)", cell.text, re.MULTILINE):
        yield _Cell(match["command"], cell.places[match.start("command") : match.end("command")])


def _as_python(text: str) -> Iterator[str]:
    """What the cell may be as Python, every character in its place: as it stands, or without what is IPython's."""
    yield text
    magic = text.lstrip().startswith("%%")
    if magic and not _PYTHON_CELL.match(text):
        return
    yield _without_magics(text)
    yield _without_magics(_RESULT.sub(_as_magic, text))


def _as_magic(line: re.Match[str]) -> str:
    return line["indent"] + "%".ljust(len(line[0]) - len(line["indent"]))


def _without_magics(text: str) -> str:
    """The cell with IPython's lines as comments behind a `pass`."""
    lines = text.split("\n")
    continued = False
    for at, line in enumerate(lines):
        continued_line = continued
        if continued or _MAGIC.match(line):
            continued = line.rstrip().endswith("\\")
            indent = len(line) - len(line.lstrip())
            blank = "#" if continued_line else _BLANK if len(line) - indent >= len(_BLANK) else "0#"
            lines[at] = (line[:indent] + blank + line[indent + len(blank) :])[: len(line)].rstrip("\\").ljust(len(line))
    return "\n".join(lines)


def _parses(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
