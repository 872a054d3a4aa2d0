"""Tensors straight from files: safetensors through a memory map, `.bin` through torch's safe unpickler."""

import ctypes
import mmap
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from lora_lint.document import UnreadableError
from lora_lint.readers.safetensors import read_header
from lora_lint.reference.threads import aside, usual_threads

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "U32": torch.uint32,
    "F8_E8M0": getattr(torch, "float8_e8m0fnu", torch.uint8),
}
WINDOW = 16 * 2**20
"""Bytes of each model that may stay mapped behind each thread that reads.

Measured on 1 GB in the page cache with two threads, against 30 GB/s for one sum over the whole map: pages given back
every 64 MiB 20 GB/s, every 4 MiB 15 GB/s, and `preadv` into one buffer, which copies, 12 GB/s at best.
"""

_madvise = ctypes.CDLL(None).madvise if hasattr(mmap, "MADV_DONTNEED") else None
"""The function of mmap holds Python's lock while the pages go, which takes as long as adding up a fifth of them."""
if _madvise is not None:
    _madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

UNPICKLING_ERRORS = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ImportError,
    ArithmeticError,
    MemoryError,
)

with warnings.catch_warnings():
    # torch warns once per process that a read-only buffer isn't writable; nothing here writes to one.
    warnings.simplefilter("ignore")
    torch.frombuffer(b"\0", dtype=torch.uint8)


class TensorRef(NamedTuple):
    """One tensor of one file, as the file names it."""

    file: Path
    name: str


class _File(Protocol):
    @property
    def names(self) -> Collection[str]: ...
    def dtype(self, name: str) -> str: ...
    def size(self, name: str) -> int: ...
    def tensor(self, name: str) -> Tensor: ...
    def release(self) -> None: ...


class MappedFile:
    """A safetensors file; its tensors are views of the map and cost nothing until read."""

    def __init__(self, path: Path) -> None:
        self.header = read_header(path)
        self._start = 8 + self.header.header_size
        with path.open("rb") as file:
            self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._address = torch.frombuffer(self._memory, dtype=torch.uint8, count=1).data_ptr()

    @property
    def names(self) -> Collection[str]:
        return self.header.tensors.keys()

    def dtype(self, name: str) -> str:
        return self.header.tensors[name].dtype

    def size(self, name: str) -> int:
        info = self.header.tensors[name]
        return info.end - info.start

    def tensor(self, name: str) -> Tensor:
        info = self.header.tensors[name]
        if info.dtype not in DTYPES:
            raise UnreadableError(f"{name} is {info.dtype}, which can't be read here")
        return self.span(info.dtype, info.start, info.end).view(info.shape)

    def span(self, dtype: str, start: int, end: int) -> Tensor:
        """The numbers from byte `start` to `end` of the data, whatever tensors they belong to."""
        form, size, offset = DTYPES[dtype], end - start, self._start + start
        if not size:
            return torch.empty(0, dtype=form, device="cpu")
        if offset % form.itemsize:
            # Data that doesn't begin at a multiple of its size is legal, and rare: a copy is aligned.
            return torch.frombuffer(self._memory, dtype=torch.uint8, count=size, offset=offset).clone().view(form)
        return torch.frombuffer(self._memory, dtype=form, count=size // form.itemsize, offset=offset)

    def release(self) -> None:
        if _madvise is not None:
            _madvise(self._address, len(self._memory), mmap.MADV_DONTNEED)


class _UnpickledFile:
    """A `.bin`, `.pt` or `.ckpt` file that holds nothing but tensors."""

    def __init__(self, path: Path) -> None:
        try:
            with warnings.catch_warnings():
                # torch's warnings about old or unusual pickles say nothing that its refusal doesn't.
                warnings.simplefilter("ignore")
                loaded = _load(path)
        except pickle.UnpicklingError as error:
            raise UnreadableError(f"not a file of plain tensors: {_refusal(error)}") from error
        except UNPICKLING_ERRORS as error:
            raise UnreadableError(f"not a file of plain tensors: {first_line(error)}") from error
        if not isinstance(loaded, Mapping):
            raise UnreadableError(f"holds a {type(loaded).__name__}, not a mapping of tensors")
        self._tensors = {str(name): tensor for name, tensor in loaded.items() if isinstance(tensor, Tensor)}

    @property
    def names(self) -> Collection[str]:
        return self._tensors.keys()

    def dtype(self, name: str) -> str:
        dtype = self._tensors[name].dtype
        return next((spelling for spelling, other in DTYPES.items() if other == dtype), str(dtype))

    def size(self, name: str) -> int:
        return self._tensors[name].nbytes

    def tensor(self, name: str) -> Tensor:
        tensor = self._tensors[name].detach()
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise UnreadableError(f"{name} is a {tensor.layout} tensor on {tensor.device}, not a plain one")
        return tensor

    def release(self) -> None:
        """Nothing: torch holds the storage."""


def _refusal(error: pickle.UnpicklingError) -> str:
    """Why torch's safe unpickler refuses a file, without its advice to unpickle it all the same."""
    called = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f"it calls {called[1]}, which could run anything" if called else "it holds what only running it would give"


def _load(path: Path) -> object:
    if not zipfile.is_zipfile(path):
        return torch.load(path, map_location="cpu", weights_only=True)
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise UnreadableError("has compressed entries, which torch never writes")
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


class TensorFiles:
    """The files that were asked for so far, each opened once; pages of the maps go back as the reader moves on."""

    def __init__(self, told: Callable[[int], None] | None = None) -> None:
        self._files: dict[Path, _File] = {}
        self._passed = 0
        self._lock = Lock()
        self.told = told
        """Hears of every `passed`, for whoever wants to know how far the reading is."""

    def open(self, path: Path) -> _File:
        """The file at `path`.

        Raises:
            UnreadableError: when it can't be read.
        """
        with self._lock:
            if path not in self._files:
                try:
                    self._files[path] = MappedFile(path) if path.suffix == ".safetensors" else _UnpickledFile(path)
                except (OSError, ValueError) as error:
                    raise UnreadableError(f"{path.name}: {first_line(error)}") from error
                except UnreadableError as error:
                    raise UnreadableError(f"{path.name}: {error}") from error
            return self._files[path]

    def holding(self, ref: TensorRef) -> _File:
        """The file that holds a tensor.

        Raises:
            UnreadableError: when it can't be read, or holds no such tensor.
        """
        file = self.open(ref.file)
        if ref.name not in file.names:
            raise UnreadableError(f"{ref.file.name} has no tensor {ref.name}")
        return file

    def tensor(self, ref: TensorRef) -> Tensor:
        """The tensor, on the CPU; one from safetensors is read-only and lives in the file.

        Raises:
            UnreadableError: when the file can't be read, or holds no such tensor.
        """
        return self.holding(ref).tensor(ref.name)

    def size(self, ref: TensorRef) -> int:
        """Bytes of a tensor, 0 where it can't be read."""
        try:
            return self.holding(ref).size(ref.name)
        except UnreadableError:
            return 0

    def passed(self, size: int) -> None:
        """Says that another `size` bytes are read; what was read before them goes when the window is full."""
        self._passed += size
        if self.told is not None:
            self.told(size)
        if self._passed > WINDOW * usual_threads():
            self._passed = size
            with aside():
                for file in tuple(self._files.values()):
                    file.release()


class Reading:
    """How much is read of what there is to read; told from any thread."""

    def __init__(self, progress: Callable[[int, int], None] | None) -> None:
        self._progress = progress
        self._lock = Lock()
        self._done = 0
        self.total = 0

    def told(self, size: int) -> None:
        if self._progress is not None:
            with self._lock:
                self._done += size
                self._progress(min(self._done, self.total), self.total)
