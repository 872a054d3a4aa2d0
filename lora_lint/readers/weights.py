"""Files of weights in every format that is read here: names, dtypes and shapes, and single numbers out of the data."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from lora_lint.document import Problem
from lora_lint.files import PICKLED

SAFETENSORS, GGUF, NEMO = ".safetensors", ".gguf", ".nemo"


class Shaped(Protocol):
    """A tensor in a header."""

    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


class Contents(NamedTuple):
    """What a file of weights says without its data; `numbers` are those of its metadata that aren't text."""

    tensors: Mapping[str, Shaped]
    metadata: Mapping[str, str]
    problems: tuple[Problem, ...] = ()
    numbers: Mapping[str, float] = {}


def read_contents(path: str) -> Contents:
    """
    Raises:
        UnreadableError: when a loader would refuse the file, or it can't be read without running it.
        OSError: when it can't be opened or read.
    """
    if path.endswith(GGUF):
        from lora_lint.readers import gguf

        found = gguf.read_header(path)
        texts = {key: value for key, value in found.values.items() if isinstance(value, str)}
        numbers = {key: float(value) for key, value in found.values.items() if isinstance(value, int | float)}
        return Contents(found.tensors, texts, numbers=numbers)
    if path.endswith(NEMO):
        from lora_lint.readers import nemo

        return Contents(nemo.read(path).tensors, {})
    if path.endswith(PICKLED):
        from lora_lint.readers import pickle

        return Contents(pickle.read_tensors(path), {})
    from lora_lint.readers import safetensors

    header = safetensors.read_header(path)
    return Contents(header.tensors, header.metadata, tuple(_warnings(header.duplicates, header.warning)))


def read_numbers(path: str, names: Iterable[str]) -> Mapping[str, float]:
    """The values of some tensors; without those that aren't one number.

    Raises:
        UnreadableError: when the file has become something else since its header was read.
        OSError: when it can't be read.
    """
    if path.endswith(SAFETENSORS):
        from lora_lint.readers.safetensors import read_header
        from lora_lint.readers.scalars import read_scalars

        return read_scalars(path, read_header(path), names)
    if path.endswith(PICKLED):
        from lora_lint.readers import pickle

        return pickle.read_scalars(path, names)
    return {}


def _warnings(duplicates: tuple[str, ...], warning: str) -> Iterator[Problem]:
    if duplicates:
        others = f" and {len(duplicates) - 1} more" if len(duplicates) > 1 else ""
        yield Problem(f"has the tensor {duplicates[0][:200]!r}{others} twice; loaders take the last one")
    if warning:
        yield Problem(warning)
