"""safetensors: the header of a file of weights, accepted and refused as the reference library does."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from lora_lint.document import UnreadableError
from lora_lint.readers.strict_json import U64, Repeats, decode, items, repeated

LARGEST_HEADER = 100_000_000
LARGE_HEADER = 16 * 2**20
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"

BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("C64", "F64", "I64", "U64"), 64),
}
"""Bits of one element of every dtype that safetensors 0.8.0 knows."""

_FIELDS = ("dtype", "shape", "data_offsets")
_PREFIX = 4096


class TensorInfo(NamedTuple):
    """One tensor: its bytes are `start` to `end`, counted from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class Header(NamedTuple):
    """What the header of a safetensors file says; the data begins at byte `8 + header_size`.

    `duplicates` are the names that occur more than once, of which loaders silently take the last.
    """

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]
    header_size: int
    file_size: int
    duplicates: tuple[str, ...] = ()
    warning: str = ""


def read_header(path: str | os.PathLike[str]) -> Header:
    """The header of the file at `path`; of the data only what shares the first 4 KiB with it is touched.

    Raises:
        UnreadableError: when the file isn't what a loader would accept.
        OSError: when it can't be opened or read.
    """
    data, size = header_bytes(path)
    return remembered(data, size) if len(data) <= LARGEST_REMEMBERED else parse_header(data, size)


def header_bytes(path: str | os.PathLike[str]) -> tuple[bytes, int]:
    """The first bytes of a file, to the end of its header or of the file, and the size of the file.

    Raises:
        UnreadableError: when it can't have a header of that length.
        OSError: when it can't be opened or read.
    """
    with opened(path) as (descriptor, size):
        data = os.read(descriptor, _PREFIX)
        end = 8 + _header_size(data, size)
        if end > len(data):
            data += b"".join(_read(descriptor, end - len(data)))
    return data[:end], size


LARGEST_REMEMBERED = 2**18
"""Bytes of a header that is parsed once for all files that begin with it: 1,700 tensors of an adapter."""


@lru_cache(maxsize=64)
def remembered(data: bytes, file_size: int) -> Header:
    """`parse_header` for the first bytes of a file, once for all files that begin alike and are of one size."""
    return parse_header(data, file_size)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[int, int]]:
    """The descriptor of a regular file, and its size.

    Raises:
        UnreadableError: for anything else.
        OSError: when it can't be opened.
    """
    # A named pipe would block an ordinary open until somebody writes to it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            _refuse("is a directory, not a file" if stat.S_ISDIR(status.st_mode) else "is not a regular file")
        yield descriptor, status.st_size
    finally:
        os.close(descriptor)


def _read(descriptor: int, size: int) -> Iterator[bytes]:
    while size > 0 and (data := os.read(descriptor, size)):
        yield data
        size -= len(data)


def parse_header(data: bytes, file_size: int) -> Header:
    """The header in the first bytes of a file of `file_size` bytes; `data` holds the whole header, and maybe more.

    Raises:
        UnreadableError: when a loader would refuse the file.
    """
    size = _header_size(data, file_size)
    if len(data) < 8 + size:
        _refuse(f"the header says {size} bytes, reading ends after {len(data) - 8}")
    try:
        text = data[8 : 8 + size].decode()
    except UnicodeDecodeError as error:
        _refuse(f"the header is not UTF-8: byte 0x{data[8 + error.start]:02x} at {error.start}")
    held = file_size - 8 - size
    tensors, metadata, duplicates = _ordinary(text, held) or _table(text, held)
    warning = f"the header has {size} bytes, more than {LARGE_HEADER}" if size > LARGE_HEADER else ""
    return Header(tensors, metadata, size, file_size, duplicates, warning)


def _refuse(message: str) -> NoReturn:
    raise UnreadableError(message)


def _header_size(data: bytes, file_size: int) -> int:
    if data.startswith(LFS_POINTER):
        _refuse("is a Git LFS pointer, not the file itself; run git lfs pull")
    if file_size == 0:
        _refuse("is empty")
    if file_size < 8 or len(data) < 8:
        _refuse(f"the file ends after {min(file_size, len(data))} bytes, within the 8 bytes of the header's length")
    size = int.from_bytes(data[:8], "little")
    if size > LARGEST_HEADER:
        _refuse(f"the header says {size} bytes, more than the {LARGEST_HEADER} that loaders take")
    if size > file_size - 8:
        _refuse(f"the header says {size} bytes, the file ends after {file_size - 8}")
    return size


_Contents = tuple[dict[str, TensorInfo], dict[str, str], tuple[str, ...]]

_CHARACTERS = r'[^"\\\x00-\x1f]*'
_PAIR = re.compile(f'"({_CHARACTERS})":"({_CHARACTERS})"')
_PAIRS = f'(?:"{_CHARACTERS}":"{_CHARACTERS}"' + r'(?:,(?=")|(?=\})))*'
_METADATA = re.compile(r'\{"__metadata__":\{(' + _PAIRS + r")\},|\{")
_ENTRY = re.compile(
    f'"({_CHARACTERS})"' + r':\{"dtype":"([^"]*)","shape":\[([^]]*)\],"data_offsets":\[([^]]*)\]\}(?:,|\Z)'
)
_WHOLE = "(?:0|[1-9][0-9]{0,17})"
_SHAPE = re.compile(f"(?:{_WHOLE}(?:,{_WHOLE})*)?")


def _ordinary(text: str, held: int) -> _Contents | None:
    """A sound header laid out as the usual writers do; None for all others, good or bad.

    Several times as fast as Python's parser with the hooks that make it strict.
    """
    body = text.rstrip(" ")
    opening = _METADATA.match(body)
    if opening is None or not body.endswith("}}"):
        return None
    parts = _ENTRY.split(body[opening.end() : -1])
    between = parts[::5]
    if any(between):
        return None
    tensors: dict[str, TensorInfo] = {}
    known: dict[tuple[str, str], tuple[tuple[int, ...], int] | None] = {}
    at = 0
    for name, dtype, dimensions, offsets in zip(parts[1::5], parts[2::5], parts[3::5], parts[4::5], strict=True):
        form = (dtype, dimensions)
        ordinary = known.get(form)
        if ordinary is None:
            ordinary = known[form] = _ordinary_size(dtype, dimensions)
            if ordinary is None:
                return None
        shape, size = ordinary
        start, at = at, at + size
        if offsets != f"{start},{at}":
            return None
        tensors[name] = TensorInfo(dtype, shape, start, at)
    if at != held or len(tensors) != len(between) - 1 or "__metadata__" in tensors:
        return None
    return tensors, dict(_PAIR.findall(opening[1])) if opening[1] else {}, ()


def _ordinary_size(dtype: str, text: str) -> tuple[tuple[int, ...], int] | None:
    """A shape of sane length and the bytes it takes."""
    if dtype not in BITS or len(text) > 1000 or not _SHAPE.fullmatch(text):
        return None
    shape = tuple(map(int, text.split(","))) if text else ()
    bits = _bits(dtype, shape)
    return (shape, bits // 8) if bits is not None and bits % 8 == 0 else None


def _table(text: str, held: int) -> _Contents:
    """Any header; says what is wrong with a bad one."""
    try:
        table = decode(text)
    except UnreadableError as error:
        _refuse(f"the header {error}")
    if not isinstance(table, dict):
        _refuse(f"the header is {_kind(table)}, not a mapping")
    metadata = _metadata(table)
    tensors = {name: _tensor(name, info) for name, info in items(table) if name != "__metadata__"}
    end = _end(tensors)
    if end != held:
        _refuse(f"the header describes {end} bytes of data, the file holds {held}")
    return tensors, metadata, tuple(repeated(table))


def _metadata(table: dict[str, Any]) -> dict[str, str]:
    metadata = table.get("__metadata__")
    if "__metadata__" in repeated(table):
        _refuse("the header has __metadata__ twice")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        _refuse(f"__metadata__ is {_kind(metadata)}, not a mapping of strings")
    for name, value in items(metadata):
        if type(value) is not str:
            _refuse(f"__metadata__ has {_kind(value)} under {_shown(name)}, where only strings may stand")
    return dict(metadata)


def _tensor(name: str, info: Any) -> TensorInfo:
    if type(info) is not dict:
        info = _uncommon(name, info)
    for field in _FIELDS:
        if field not in info:
            _refuse(f"tensor {_shown(name)} has no {field}")
    dtype, shape, offsets = info["dtype"], info["shape"], info["data_offsets"]
    if type(dtype) is dict and list(dtype.values()) == [None]:
        (dtype,) = dtype  # serde's other way to write a variant
    if type(dtype) is not str or dtype not in BITS:
        _refuse(f"tensor {_shown(name)} has the unknown dtype {_shown(dtype)}")
    if type(offsets) is not list or len(offsets) != 2 or not all(map(_is_u64, offsets)):
        _refuse(f"tensor {_shown(name)} has the data_offsets {_shown(offsets)}, not two whole numbers")
    if type(shape) is not list:
        _refuse(f"tensor {_shown(name)} has {_kind(shape)} for a shape")
    for size in shape:
        if not _is_u64(size):
            _refuse(f"tensor {_shown(name)} has {_shown(size)} in its shape, not a whole number")
    return TensorInfo(dtype, tuple(shape), *offsets)


def _uncommon(name: str, info: Any) -> dict[str, Any]:
    """A tensor written as a list of its fields, which loaders take, or with a key twice, which may mean nothing."""
    if isinstance(info, Repeats):
        for field in repeated(info):
            if field in _FIELDS:
                _refuse(f"tensor {_shown(name)} has {field} twice")
        return info
    if type(info) is not list or len(info) != 3:
        _refuse(f"tensor {_shown(name)} is {_kind(info)}, not a mapping with dtype, shape and data_offsets")
    return dict(zip(_FIELDS, info, strict=True))


def _is_u64(number: object) -> bool:
    return type(number) is int and 0 <= number <= U64


def _bits(dtype: str, shape: tuple[int, ...]) -> int | None:
    """The size of a tensor, or None as soon as a partial product overflows, even where a zero comes later."""
    elements = 1
    for size in shape:
        elements *= size
        if elements > U64:
            return None
    bits = elements * BITS[dtype]
    return bits if bits <= U64 else None


def _end(tensors: dict[str, TensorInfo]) -> int:
    """Where the last tensor ends, once all follow each other without holes and have the right length."""
    at = 0
    for name, info in sorted(tensors.items(), key=_offsets):
        if info.start != at:
            fault = "overlap" if info.start < at else "leave a hole"
            _refuse(f"tensors {fault}: {_shown(name)} begins at byte {info.start}, the one before it ends at {at}")
        bits = _bits(info.dtype, info.shape)
        if bits is None:
            _refuse(f"tensor {_shown(name)} of shape {_shape(info)} has more than 2**64 bits")
        if bits % 8:
            _refuse(f"tensor {_shown(name)} has {bits} bits, which is no whole number of bytes")
        if info.end - info.start != bits // 8:
            _refuse(
                f"tensor {_shown(name)}, {info.dtype} of shape {_shape(info)}, has {bits // 8} bytes, "
                f"its offsets hold {info.end - info.start}"
            )
        at = info.end
    return at


def _shape(info: TensorInfo) -> str:
    return _shown(list(info.shape))


def _offsets(item: tuple[str, TensorInfo]) -> tuple[int, int]:
    return item[1].start, item[1].end


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _shown(value: object) -> str:
    text = repr(value[:80] if isinstance(value, list | str) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
