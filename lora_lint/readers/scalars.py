"""Single numbers in the data of a safetensors file, as the alphas of its modules are."""

import os
import struct
from collections.abc import Iterable, Mapping
from math import prod

from lora_lint.readers.safetensors import Header, TensorInfo, opened
from lora_lint.tensors import READABLE

MOST = 100_000
"""Numbers that are read of one file: no model has as many modules."""

_FLOATS = {"F64": "<d", "F32": "<f", "F16": "<e"}
_INTEGERS = {"I64": "<q", "I32": "<i", "I16": "<h", "I8": "<b", "U64": "<Q", "U32": "<I", "U16": "<H", "U8": "<B"}
_FORMATS = _FLOATS | _INTEGERS
_BF16 = "BF16"


beginnings: dict[str, int] = {}
"""Files of which only the beginning lies here, a hole behind it, and how many bytes that is."""


def is_scalar(info: TensorInfo) -> bool:
    """Whether it is one number that Python can read; some writers give it the shape [1]."""
    return prod(info.shape) == 1 and info.dtype in READABLE


def read_scalars(path: str | os.PathLike[str], header: Header, names: Iterable[str]) -> Mapping[str, float]:
    """The values of some tensors; without those that aren't one number, or where the file ends early by now.

    None at all where some lie in a hole: a part of them would speak for the others.

    Raises:
        UnreadableError: when the file has become something else since its header was read.
        OSError: when it can't be read.
    """
    found: dict[str, float] = {}
    wanted = [(name, header.tensors[name]) for name in names if is_scalar(header.tensors[name])][:MOST]
    held = beginnings.get(os.fspath(path)) if beginnings else None
    if held is not None and any(8 + header.header_size + info.end > held for _, info in wanted):
        return {}
    with opened(path) as (descriptor, _):
        for name, info in wanted:
            os.lseek(descriptor, 8 + header.header_size + info.start, os.SEEK_SET)
            data = os.read(descriptor, info.end - info.start)
            if len(data) == info.end - info.start:
                found[name] = _number(info.dtype, data)
    return found


def _number(dtype: str, data: bytes) -> float:
    # The upper half of a float32 is what bfloat16 keeps.
    value: float = struct.unpack(_FORMATS.get(dtype, "<f"), data if dtype != _BF16 else b"\0\0" + data)[0]
    return float(value)
