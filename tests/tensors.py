"""Safetensors files for tests, written from a table of names, dtypes and shapes."""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path

from lora_lint.readers.safetensors import BITS

Table = Mapping[str, tuple[str, Iterable[int]]]
Fill = float | Sequence[float]

_CODES = {"F64": "d", "F32": "f", "F16": "e", "BOOL": "?"} | {"I64": "q", "I32": "i", "I16": "h", "I8": "b"}
_CODES |= {"U64": "Q", "U32": "I", "U16": "H", "U8": "B"}


def write_safetensors(
    path: Path,
    table: Table,
    metadata: Mapping[str, str] | None = None,
    fill: Fill | Mapping[str, Fill] = 1.0,
    cut: int = 0,
) -> Path:
    """Write a file that loaders take, `cut` bytes short of its end.

    Every element of a tensor is `fill`, or what `fill` has under its name and 1 otherwise, a number or one for each
    element; dtypes of 8 bits and less without a number in Python hold zeros.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata is not None else {}
    data = b""
    for name, (dtype, dimensions) in table.items():
        shape = list(dimensions)
        value = fill.get(name, 1.0) if isinstance(fill, Mapping) else fill
        tensor = _elements(dtype, value, prod(shape))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(tensor)]}
        data += tensor
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False)
    whole = framed(text.encode(), data)
    path.write_bytes(whole[: len(whole) - cut])
    return path


def framed(header: bytes, data: bytes = b"") -> bytes:
    """A header, sound or not, preceded by its length and followed by data."""
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data


def _elements(dtype: str, value: Fill, count: int) -> bytes:
    if isinstance(value, Sequence):
        return b"".join(_elements(dtype, one, 1) for one in value)
    if dtype == "BF16":
        return struct.pack("<f", value)[2:] * count
    if dtype == "C64":
        return struct.pack("<ff", value, 0.0) * count
    code = _CODES.get(dtype)
    if code is None:
        return bytes(BITS[dtype] * count // 8)
    return struct.pack(f"<{code}", value if code in "dfe" else int(value)) * count
