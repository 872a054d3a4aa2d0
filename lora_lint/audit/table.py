"""The rows of an audit as a table for notebooks: CSV, JSON lines or Parquet, written row by row."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol

from lora_lint.audit.rows import Row, as_data
from lora_lint.finding import Severity

COLUMNS: dict[str, type] = {
    "adapter": str,
    "run": str,
    "file": str,
    "line": int,
    "content": str,
    "framework": str,
    "kind": str,
    "base_model": str,
    "state": str,
    "method": str,
    "modules": int,
    "rank": float,
    "alpha": float,
    "alpha_origin": str,
    "formula": str,
    "scale": float,
    "deviation": float,
    "holds": bool,
    "undecided": str,
    "problem": str,
    "worst": str,
    "findings": str,
}
"""Names and types of the columns; any of them may be empty. `findings` is a text: `error alpha-not-2r; note ...`."""


class Table(Protocol):
    """A file that rows are added to."""

    def add(self, rows: Sequence[Row]) -> None: ...
    def finish(self) -> None: ...


class Csv:
    """Texts are quoted, numbers are not, so that nothing that a name begins with makes it another thing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = io.TextIOWrapper(file, "utf-8", "backslashreplace", newline="", write_through=True)
        self._writer = csv.writer(self._file, quoting=csv.QUOTE_NONNUMERIC)
        self._writer.writerow(COLUMNS)

    def add(self, rows: Sequence[Row]) -> None:
        self._writer.writerows([_cell(value) for value in flat(row).values()] for row in rows)

    def finish(self) -> None:
        self._file.detach()


class Jsonl:
    """One object a line, with the findings as a list."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._file.write(json.dumps(as_data(row), separators=(",", ":"), allow_nan=False).encode() + b"\n")

    def finish(self) -> None:
        return


class Parquet:
    """Columns of the types that `COLUMNS` names, written some thousand rows at a time."""

    GROUP = 10_000

    def __init__(self, file: BinaryIO) -> None:
        """
        Raises:
            ImportError: without pyarrow, the extra `table`.
        """
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise ImportError("Parquet needs pyarrow: pip install 'lora-lint[table]'") from None
        types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
        self._schema = pyarrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
        self._pyarrow = pyarrow
        self._writer = parquet.ParquetWriter(file, self._schema)
        self._rows: list[dict[str, Any]] = []

    def add(self, rows: Sequence[Row]) -> None:
        self._rows += map(flat, rows)
        if len(self._rows) >= self.GROUP:
            self._write()

    def finish(self) -> None:
        self._write()
        self._writer.close()

    def _write(self) -> None:
        texts = [{name: _text(value) for name, value in row.items()} for row in self._rows]
        self._writer.write_table(self._pyarrow.Table.from_pylist(texts, self._schema))
        self._rows.clear()


FORMATS: dict[str, type[Csv] | type[Jsonl] | type[Parquet]] = {"csv": Csv, "jsonl": Jsonl, "parquet": Parquet}


def flat(row: Row) -> dict[str, Any]:
    """The values of a row by column."""
    data = {**row._asdict(), "holds": row.holds}
    severities = [Severity(found.severity) for found in row.findings]
    data["worst"] = max(severities, key=lambda one: one.rank).value if severities else None
    data["findings"] = "; ".join(f"{found.severity} {found.rule}" for found in row.findings)
    return {name: float(value) if kind is float and value is not None else value for name, value, kind in _of(data)}


def _of(data: dict[str, Any]) -> list[tuple[str, Any, type]]:
    return [(name, data[name], kind) for name, kind in COLUMNS.items()]


def _cell(value: object) -> object:
    """Whole numbers without a point, true and false as texts that every reader knows."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _text(value: object) -> object:
    """A text that UTF-8 can hold: lone surrogates come from names of files that aren't in the system's encoding."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
