"""GGUF: the header of a file of llama.cpp, read as strictly as llama.cpp does; of a model's only what it is at all."""

import os
import struct
from collections.abc import Mapping
from math import prod
from typing import IO, Any, NamedTuple

from lora_lint.document import UnreadableError
from lora_lint.readers.safetensors import LFS_POINTER, opened

LARGEST_HEADER = 64 * 2**20
"""Bytes; a vocabulary takes some ten million."""
LONGEST_NAME = 63
"""`GGML_MAX_NAME` with its end: ggml.h."""
MOST_DIMENSIONS = 4
ADAPTER = "adapter"
TYPE, ALIGNMENT = "general.type", "general.alignment"
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_ORDINARY_ALIGNMENT = 32

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9

_TABLE = """
0 F32 1 4, 1 F16 1 2, 2 Q4_0 32 18, 3 Q4_1 32 20, 6 Q5_0 32 22, 7 Q5_1 32 24,
8 Q8_0 32 34, 9 Q8_1 32 40, 10 Q2_K 256 84, 11 Q3_K 256 110, 12 Q4_K 256 144, 13 Q5_K 256 176,
14 Q6_K 256 210, 15 Q8_K 256 292, 16 IQ2_XXS 256 66, 17 IQ2_XS 256 74, 18 IQ3_XXS 256 98, 19 IQ1_S 256 50,
20 IQ4_NL 32 18, 21 IQ3_S 256 110, 22 IQ2_S 256 82, 23 IQ4_XS 256 136, 24 I8 1 1, 25 I16 1 2,
26 I32 1 4, 27 I64 1 8, 28 F64 1 8, 29 IQ1_M 256 56, 30 BF16 1 2, 34 TQ1_0 256 54,
35 TQ2_0 256 66, 39 MXFP4 32 17, 40 NVFP4 64 36, 41 Q1_0 128 18
"""
_ROWS = [row.split() for row in _TABLE.split(",")]
BLOCKS = {int(kind): (name, int(elements), int(size)) for kind, name, elements, size in _ROWS}
"""Elements and bytes of a block of each type: `GGML_QUANT_SIZES` of gguf 0.19.0."""


class GgufTensor(NamedTuple):
    """One tensor, its shape as PyTorch has it: GGUF's own is the other way round."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    """Counted in bytes from the beginning of the file."""


class Gguf(NamedTuple):
    """What the header says; without tensors where the file is no adapter."""

    values: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]


def read_header(path: str | os.PathLike[str]) -> Gguf:
    """The header of the file at `path`.

    Raises:
        UnreadableError: when llama.cpp would refuse the file.
        OSError: when it can't be opened or read.
    """
    with opened(path) as (descriptor, size), os.fdopen(os.dup(descriptor), "rb") as file:
        return _Reader(file, size).header()


class _Reader:
    """The file, and the order of its bytes."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size = file, size
        self.order, self.at = "<", 0

    def header(self) -> Gguf:
        tensors, count = self._frame()
        values: dict[str, Any] = {}
        for _ in range(count):
            key = self._string()
            if key in values:
                raise UnreadableError(f"has the key {key[:80]!r} twice")
            values[key] = self._value(self._number("I"))
            if key == TYPE and values[key] != ADAPTER:
                return Gguf(values, {})
        if values.get(TYPE) != ADAPTER:
            return Gguf(values, {})
        found = self._tensors(tensors)
        return Gguf(values, self._placed(found, values.get(ALIGNMENT, _ORDINARY_ALIGNMENT)))

    def _frame(self) -> tuple[int, int]:
        """How many tensors and how many values there are."""
        head = self.file.read(len(LFS_POINTER))
        if head == LFS_POINTER:
            raise UnreadableError("is a Git LFS pointer, not the file itself; run git lfs pull")
        if not head.startswith(_MAGIC):
            raise UnreadableError("is empty" if not self.size else f"begins with {head[:4]!r}, not with GGUF")
        self.file.seek(4)
        self.at = 4
        version = self._number("I")
        if version not in _VERSIONS and (turned := int.from_bytes(version.to_bytes(4, "little"), "big")) in _VERSIONS:
            self.order, version = ">", turned
        if version not in _VERSIONS:
            raise UnreadableError(f"is of version {version}; llama.cpp reads 2 and 3")
        return self._number("Q"), self._number("Q")

    def _take(self, size: int) -> bytes:
        self.at += size
        if self.at > min(self.size, LARGEST_HEADER):
            if self.at > self.size:
                raise UnreadableError(f"the header goes on for {size} bytes, the file ends after {self.size} in all")
            raise UnreadableError(f"the header has more than {LARGEST_HEADER} bytes")
        return self.file.read(size)

    def _number(self, code: str) -> Any:
        return struct.unpack(self.order + code, self._take(struct.calcsize("<" + code)))[0]

    def _string(self) -> str:
        data = self._take(self._number("Q"))
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise UnreadableError(f"the header is not UTF-8: byte 0x{data[error.start]:02x}") from None

    def _value(self, kind: int) -> Any:
        """A value; of an array the kind and the length, which is all that anybody asks for."""
        if kind == _STRING:
            return self._string()
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind])
        if kind != _ARRAY:
            raise UnreadableError(f"the header has a value of the unknown type {kind}")
        inner, count = self._number("I"), self._number("Q")
        if inner in _NUMBERS:
            self._take(count * struct.calcsize("<" + _NUMBERS[inner]))
        elif inner == _STRING:
            for _ in range(count):
                self._take(self._number("Q"))
        else:
            raise UnreadableError(f"the header has an array of the unknown type {inner}")
        return (inner, count)

    def _tensors(self, count: int) -> dict[str, tuple[int, tuple[int, ...], int]]:
        """Type, shape and offset of each tensor."""
        found: dict[str, tuple[int, tuple[int, ...], int]] = {}
        for _ in range(count):
            name = self._string()
            if name in found:
                raise UnreadableError(f"has the tensor {name[:80]!r} twice")
            if len(name.encode()) > LONGEST_NAME:
                raise UnreadableError(f"the name of tensor {name[:80]!r} has more than {LONGEST_NAME} bytes")
            dimensions = self._number("I")
            if dimensions > MOST_DIMENSIONS:
                raise UnreadableError(f"tensor {name!r} has {dimensions} dimensions, more than {MOST_DIMENSIONS}")
            shape = tuple(self._number("q") for _ in range(dimensions))
            found[name] = (self._number("I"), shape[::-1], self._number("Q"))
        return found

    def _placed(
        self, tensors: Mapping[str, tuple[int, tuple[int, ...], int]], alignment: object
    ) -> dict[str, GgufTensor]:
        """The tensors, once they follow each other in order and end within the file."""
        if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
            raise UnreadableError(f"{ALIGNMENT} is {str(alignment)[:40]}, no power of two")
        data, at = _padded(self.at, alignment), 0
        found: dict[str, GgufTensor] = {}
        for name, (kind, shape, offset) in tensors.items():
            if kind not in BLOCKS:
                raise UnreadableError(f"tensor {name!r} is of the unknown type {kind}")
            dtype, elements, width = BLOCKS[kind]
            if any(size < 0 for size in shape) or (shape[-1] if shape else 1) % elements or prod(shape) > 2**63:
                raise UnreadableError(f"tensor {name!r}, {dtype}, can't have the shape {list(shape)}")
            if offset != at:
                raise UnreadableError(f"tensor {name!r} begins at byte {offset}, the one before it ends at {at}")
            size = prod(shape) // elements * width
            if data + at + size > self.size:
                raise UnreadableError(f"the data of {name!r} ends at byte {data + at + size}, the file at {self.size}")
            found[name] = GgufTensor(dtype, shape, data + at)
            at = _padded(at + size, alignment)
        return found


def _padded(at: int, alignment: int) -> int:
    return -(-at // alignment) * alignment
