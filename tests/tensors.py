"""Safetensors files for tests, written from a table of names, dtypes and shapes."""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from zipfile import ZipFile

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


_STORAGES = {"F32": "Float", "F16": "Half", "BF16": "BFloat16"}


def write_pickled(path: Path, table: Table) -> Path:
    """Write zeros as torch.save does: an archive of the pickle and of each storage."""
    program, storages = b"\x80\x02}(", []
    for at, (name, (dtype, dimensions)) in enumerate(table.items()):
        shape = tuple(dimensions)
        strides = tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
        storage = f"ctorch\n{_STORAGES[dtype]}Storage\n".encode()
        program += _word(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + _word("storage") + storage + _word(str(at))
        program += _word("cpu") + _whole(prod(shape)) + b"tQ" + _whole(0) + _whole(*shape, of="(%bt")
        program += _whole(*strides, of="(%bt") + b"\x89ccollections\nOrderedDict\n)RtR"
        storages.append(bytes(prod(shape) * BITS[dtype] // 8))
    with ZipFile(path, "w") as archive:
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/data.pkl", program + b"u.")
        for at, data in enumerate(storages):
            archive.writestr(f"archive/data/{at}", data)
    return path


def _word(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def _whole(*numbers: int, of: str = "%b") -> bytes:
    return of.encode() % b"".join(b"J" + struct.pack("<i", number) for number in numbers)


GGUF_TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q8_0": (8, 32, 34), "BF16": (30, 1, 2)}
"""Number, elements and bytes of a block."""


def write_gguf(path: Path, values: Mapping[str, str | float | int], table: Table, version: int = 3) -> Path:
    """Write a file of llama.cpp: text, whole numbers of 32 bits and floats, then tensors of zeros.

    Shapes are PyTorch's, which GGUF turns round.
    """
    head = struct.pack("<4sIQQ", b"GGUF", version, len(table), len(values))
    for key, value in values.items():
        head += _text(key)
        if isinstance(value, str):
            head += struct.pack("<I", 8) + _text(value)
        else:
            head += struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)
    at = 0
    for name, (dtype, dimensions) in table.items():
        shape = tuple(dimensions)
        kind, elements, size = GGUF_TYPES[dtype]
        head += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), kind, at)
        data = prod(shape) // elements * size
        at += data + -data % 32
    path.write_bytes(head + bytes(-len(head) % 32 + at))
    return path


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


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
