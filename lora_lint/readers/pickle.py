"""torch.save: the names, dtypes and shapes in its archives, read off the pickle's program; nothing is unpickled."""

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from math import prod
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from lora_lint.document import UnreadableError
from lora_lint.readers.opcodes import Call, Global, Persistent, follow
from lora_lint.readers.safetensors import BITS, LFS_POINTER, opened

if TYPE_CHECKING:
    from zipfile import ZipFile

LARGEST_PICKLE = 64 * 2**20
LARGEST_DIRECTORY = 16 * 2**20
"""Bytes of an archive's list of entries: some seventy for each tensor."""
_MAGIC = 0x1950A86A20F9469CFC6C
"""What torch before 1.6 puts in front of its five pickles: torch/serialization.py."""
_ZIP = b"PK\x03\x04"
_TAIL = 22 + 2**16

_DTYPES = {
    **dict.fromkeys(
        (
            "FloatStorage",
            "float32",
        ),
        "F32",
    ),
    **dict.fromkeys(
        (
            "HalfStorage",
            "float16",
        ),
        "F16",
    ),
    **dict.fromkeys(
        (
            "BFloat16Storage",
            "bfloat16",
        ),
        "BF16",
    ),
    **dict.fromkeys(
        (
            "DoubleStorage",
            "float64",
        ),
        "F64",
    ),
    **dict.fromkeys(
        (
            "LongStorage",
            "int64",
        ),
        "I64",
    ),
    **dict.fromkeys(
        (
            "IntStorage",
            "int32",
        ),
        "I32",
    ),
    **dict.fromkeys(
        (
            "ShortStorage",
            "int16",
        ),
        "I16",
    ),
    **dict.fromkeys(
        (
            "CharStorage",
            "int8",
        ),
        "I8",
    ),
    **dict.fromkeys(
        (
            "ByteStorage",
            "UntypedStorage",
            "uint8",
        ),
        "U8",
    ),
    **dict.fromkeys(
        (
            "BoolStorage",
            "bool",
        ),
        "BOOL",
    ),
    **dict.fromkeys(("float8_e4m3fn",), "F8_E4M3"),
    **dict.fromkeys(("float8_e5m2",), "F8_E5M2"),
}
"""Classes of `torch` to the dtypes as safetensors calls them."""
_HOLDS_WEIGHTS = ("state_dict", "model", "module", "model_state_dict", "lora", "adapter")
"""Keys under which trainers put the weights beside the state of their run."""


class Saved(NamedTuple):
    """A tensor: its dtype as safetensors calls it, its shape, and where in which storage it begins."""

    dtype: str
    shape: tuple[int, ...]
    storage: str
    start: int
    """Counted in elements."""
    held: int
    """Elements of the storage, which other tensors may share."""


class _Storage(NamedTuple):
    dtype: str
    key: str
    held: int


def read_tensors(path: str | os.PathLike[str]) -> Mapping[str, Saved]:
    """The tensors of a file that torch.save wrote, by name.

    Raises:
        UnreadableError: when it isn't one, is cut off, or would run a program.
        OSError: when it can't be read.
    """
    with opened(path) as (descriptor, size), os.fdopen(os.dup(descriptor), "rb") as file:
        return tensors_in(file, size)


def tensors_in(file: IO[bytes], size: int) -> Mapping[str, Saved]:
    """The same from an open file.

    Raises:
        UnreadableError: as above.
    """
    head = file.read(len(LFS_POINTER))
    if head == LFS_POINTER:
        raise UnreadableError("is a Git LFS pointer, not the file itself; run git lfs pull")
    if not size:
        raise UnreadableError("is empty")
    root = _of_archive(file, size) if head.startswith(_ZIP) else _of_stream(file)
    return dict(_named(root))


def read_scalars(path: str | os.PathLike[str], names: Iterable[str]) -> Mapping[str, float]:
    """The values of tensors of one number; without those that aren't, or can't be read.

    Raises:
        UnreadableError: when the file can't be read.
        OSError: when it can't be opened.
    """
    found: dict[str, float] = {}
    with opened(path) as (descriptor, size), os.fdopen(os.dup(descriptor), "rb") as file:
        tensors = tensors_in(file, size)
        file.seek(0)
        if file.read(4) != _ZIP:
            return {}
        with _archive(file, size) as archive:
            entries = {entry.filename.rpartition("/data/")[2]: entry for entry in archive.infolist()}
            for name in names:
                tensor = tensors[name]
                entry = entries.get(tensor.storage)
                if prod(tensor.shape) == 1 and entry is not None and not entry.compress_type:
                    with archive.open(entry) as data:
                        value = _scalar(data, tensor)
                    if value is not None:
                        found[name] = value
    return found


_FORMATS = {"F64": "d", "F32": "f", "F16": "e", "I64": "q", "I32": "i", "I16": "h", "I8": "b", "U8": "B", "BF16": "f"}


def _scalar(data: IO[bytes], tensor: Saved) -> float | None:
    """The number in an entry, where it is one that Python can read."""
    width = BITS[tensor.dtype] // 8
    data.seek(tensor.start * width)
    raw = data.read(width)
    if tensor.dtype not in _FORMATS or len(raw) < width:
        return None
    # The upper half of a float32 is what bfloat16 keeps.
    return float(struct.unpack(f"<{_FORMATS[tensor.dtype]}", b"\0\0" + raw if tensor.dtype == "BF16" else raw)[0])


def _of_archive(file: IO[bytes], size: int) -> object:
    """What the archive of torch since 1.6 holds: the pickle, and each storage in an entry of its own."""
    with _archive(file, size) as archive:
        entries = archive.infolist()
        pickled = next((entry for entry in entries if entry.filename.endswith("/data.pkl")), None)
        if pickled is None:
            raise UnreadableError("is an archive without data.pkl, which torch.save always writes")
        if pickled.compress_type or pickled.file_size > LARGEST_PICKLE:
            raise UnreadableError(f"is not read: its pickle is compressed or larger than {LARGEST_PICKLE} bytes")
        with archive.open(pickled) as data:
            root = follow(BytesIO(data.read()), _rebuilt)
        sizes = {entry.filename.rpartition("/data/")[2]: entry.file_size for entry in entries}
    for name, tensor in _named(root):
        needed, held = tensor.held * BITS[tensor.dtype] // 8, sizes.get(tensor.storage)
        if held is None or held < needed:
            raise UnreadableError(f"tensor {name[:80]!r} needs {needed} bytes, its entry holds {held or 0}")
    return root


@contextmanager
def _archive(file: IO[bytes], size: int) -> "Iterator[ZipFile]":
    """
    Raises:
        UnreadableError: when it isn't whole, or lists more entries than weights have.
    """
    from zipfile import BadZipFile, ZipFile

    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    at, at64 = tail.rfind(b"PK\5\6"), tail.rfind(b"PK\6\6")
    if at < 0 or len(tail) < at + 22:
        raise UnreadableError("ends before the list of its entries: it is cut off")
    listed = struct.unpack("<I", tail[at + 12 : at + 16])[0]
    if at64 >= 0 and len(tail) >= at64 + 48:
        listed = max(struct.unpack("<Q", tail[at64 + 40 : at64 + 48])[0], listed if listed != 2**32 - 1 else 0)
    if listed > LARGEST_DIRECTORY:
        raise UnreadableError(f"is not read: its list of entries has {listed} bytes")
    try:
        with ZipFile(file) as archive:
            yield archive
    except (BadZipFile, OSError, EOFError, RuntimeError, ValueError, OverflowError, struct.error) as error:
        raise UnreadableError(f"is a broken archive: {str(error)[:80].lower()}") from None


def _of_stream(file: IO[bytes]) -> object:
    """What torch before 1.6 writes: a number, a version, the machine, and then the value, with the storages behind."""
    file.seek(0)
    stream = BytesIO(file.read(LARGEST_PICKLE))
    if follow(stream, _rebuilt) != _MAGIC:
        raise UnreadableError("is no file of torch.save: neither its archive nor its number is there")
    for _ in range(2):
        follow(stream, _rebuilt)
    return follow(stream, _rebuilt)


def _rebuilt(call: Call) -> object:
    """What a call gives, where it gives a tensor or a mapping."""
    function, given = call
    if not isinstance(function, Global) or not isinstance(given, tuple):
        return call
    match function:
        case Global("collections", "OrderedDict" | "defaultdict"):
            return {}
        case Global("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3"):
            return _tensor(function.name, given) or call
        case Global("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") if given:
            return given[0]
        case Global("torch._tensor", "_rebuild_from_type_v2") if len(given) > 2:
            return _rebuilt(Call(given[0], given[2]))
        case _:
            return call


def _tensor(function: str, given: tuple[Any, ...]) -> Saved | None:
    if len(given) < 4 or not isinstance(given[0], Persistent):
        return None
    storage = _storage(given[0].id)
    start, shape = given[1], given[2]
    if storage is None or type(start) is not int or not isinstance(shape, tuple | list):
        return None
    if not all(type(size) is int and 0 <= size < 2**63 for size in (start, *shape)):
        raise ValueError("a tensor without a shape")
    dtype, held = storage.dtype, storage.held
    if function == "_rebuild_tensor_v3" and len(given) > 6:
        dtype = _DTYPES.get(given[6].name, "") if isinstance(given[6], Global) else ""
        held = held * 8 // BITS[dtype] if dtype else held
    if not dtype:
        return None
    if prod(shape) and 0 not in _strides(given[3]) and start + prod(shape) > held:
        raise ValueError(f"a tensor of {prod(shape)} elements in a storage of {held}")
    return Saved(dtype, tuple(shape), storage.key, start, held)


def _strides(value: object) -> tuple[Any, ...]:
    """Of an expanded tensor some are 0: it has more elements than its storage."""
    return tuple(value) if isinstance(value, tuple | list) else ()


def _storage(value: object) -> _Storage | None:
    match value:
        case ("storage", Global("torch" | "torch.storage", kind), str(key), _, int(held), *_) if (
            kind in _DTYPES and 0 <= held < 2**63
        ):
            return _Storage(_DTYPES[kind], key, held)
    return None


def _named(root: object) -> Iterator[tuple[str, Saved]]:
    """The tensors of a state dict; where there are none at the top, those of the state dict inside."""
    if not isinstance(root, dict):
        return
    inner: dict[Any, Any] = next((root[key] for key in _HOLDS_WEIGHTS if isinstance(root.get(key), dict)), {})
    for mapping in (root, inner):
        own = [(name, value) for name, value in mapping.items() if isinstance(name, str) and isinstance(value, Saved)]
        if own:
            yield from own
            return
