"""The weight files beside a config: which there are, what their headers say, and the LoRA modules they hold."""

import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lora_lint.document import Problem, UnreadableError
from lora_lint.modules import LoraModule as LoraModule
from lora_lint.modules import tensor_modules as tensor_modules
from lora_lint.once import for_each
from lora_lint.readers.weights import Shaped, read_contents
from lora_lint.tensors import Checkpoint, Tensor
from lora_lint.used import used

LARGEST_INDEX = 32 * 2**20

ADAPTER_CONFIG = "adapter_config.json"
WEIGHTS = {
    ADAPTER_CONFIG: (
        *("adapter_model.safetensors", "adapter_model.bin"),
        *("adapters.safetensors", "adapter.safetensors", "pytorch_adapter.bin", "adapter_model.pt"),
    ),
    "config.json": ("model.safetensors", "pytorch_model.bin"),
    "hyperparameters.yaml": ("lit_model.pth.lora",),
}
"""What the weights beside a config are called, of which the first counts: PEFT's, MLX's, AdapterHub's, torchtune's own,
those of transformers, LitGPT's."""

_PICKLED = (".bin", ".pt", ".lora")
SMALLEST_PICKLE = 1500
"""Bytes: torch.save writes 1,161 for no tensor at all, PEFT 1,941 for one layer of rank 1. A smaller one isn't read."""


def beside(config_path: str) -> Checkpoint | None:
    """The weights in the folder of a config, or None when there are none; nothing is unpickled."""
    folder, config = os.path.split(config_path)
    names = WEIGHTS.get(config)
    if names is None:
        return None
    try:
        present = frozenset(os.listdir(folder or "."))
    except OSError:
        return None
    for single in names:
        if single in present:
            return _pickled(folder, single) if single.endswith(_PICKLED) else _read(folder, [single], {})
        if (index := f"{single}.index.json") in present:
            return _read_sharded(folder, index)
    return None


def _pickled(folder: str, name: str) -> Checkpoint:
    size = None if leads_out(folder, name) else _size(os.path.join(folder, name))
    if size is None or size < SMALLEST_PICKLE:
        return Checkpoint((name,), {}, {}, pickled_size=size)
    return replace(_read(folder, [name], {}), pickled_size=size)


_SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}(\.safetensors|\.bin)")


def of_file(path: str) -> Checkpoint:
    """The weights of one file; of all shards, where the index beside it says that it is one of several."""
    folder, name = os.path.split(path)
    return _read_sharded(folder, index_of(path)) if shards_of(path) else _read(folder, [name], {})


def index_of(path: str) -> str:
    """What the index of a shard is called, by the shard's name; empty for other files."""
    shard = _SHARD.fullmatch(os.path.basename(path))
    return f"{shard[1]}{shard[2]}.index.json" if shard else ""


def shards_of(path: str) -> Mapping[str, str]:
    """Which tensor is in which file, where a sound index beside a file says that it is one of several."""
    folder, name = os.path.split(path)
    index = index_of(path)
    if not index or leads_out(folder, index):
        return {}
    try:
        shards = _weight_map(os.path.join(folder, index))
    except (UnreadableError, OSError):
        return {}
    return shards if name in shards.values() else {}


def _size(path: str) -> int | None:
    used(path)
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _read_sharded(folder: str, index: str) -> Checkpoint:
    if leads_out(folder, index):
        return Checkpoint((), {}, {}, escaping_shards=(index,))
    try:
        shards = _weight_map(os.path.join(folder, index))
    except (UnreadableError, OSError) as error:
        return Checkpoint((index,), {}, {}, unreadable=True, problems=((index, _problem(error)),))
    return replace(_read(folder, dict.fromkeys(shards.values()), shards), named=frozenset(shards))


def _weight_map(path: str) -> dict[str, str]:
    """Which tensor is in which file.

    Raises:
        UnreadableError: when the index doesn't say so.
        OSError: when it can't be read.
    """
    if not os.path.isfile(path):
        raise UnreadableError("is a directory, not a file" if os.path.isdir(path) else "is not a regular file")
    with open(path, "rb") as file:
        data = file.read(LARGEST_INDEX + 1)
    if len(data) > LARGEST_INDEX:
        raise UnreadableError(f"is not read: larger than {LARGEST_INDEX} bytes")
    try:
        index = json.loads(data.decode())
    except UnicodeDecodeError as error:
        raise UnreadableError(f"is not UTF-8: byte 0x{data[error.start]:02x} at {error.start}") from None
    except json.JSONDecodeError as error:
        raise UnreadableError(f"is not JSON: {error.msg[:1].lower()}{error.msg[1:]}", error.pos) from None
    except RecursionError:
        raise UnreadableError("is not read: nested too deep") from None
    except ValueError as error:
        raise UnreadableError(f"is not read: {error}") from None
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict):
        raise UnreadableError("has no weight_map, which says what tensor is in what file")
    for name, shard in shards.items():
        if not isinstance(shard, str):
            raise UnreadableError(f"weight_map has no file name under {name[:80]!r}")
    return shards


def _read(folder: str, names: Iterable[str], shards: Mapping[str, str]) -> Checkpoint:
    """The tensors of some files; where two files have one of the same name, the one in `shards` counts."""
    files, missing, escaping = [], [], []
    problems: list[tuple[str, Problem]] = []
    tensors: Mapping[str, Tensor] = {}
    metadata: dict[str, str] = {}
    numbers: dict[str, float] = {}
    unreadable = False
    for name in names:
        if leads_out(folder, name):
            escaping.append(name)
            continue
        try:
            contents = read_contents(os.path.join(folder, name))
        except (UnreadableError, OSError) as error:
            if isinstance(error, FileNotFoundError) and not os.path.islink(os.path.join(folder, name)):
                missing.append(name)
                continue
            unreadable = True
            problems.append((name, _problem(error)))
        else:
            own = _tensors(contents.tensors, name)
            if tensors:
                own = {key: one for key, one in own.items() if key not in tensors or shards.get(key) == name}
            tensors = {**tensors, **own} if tensors else own
            metadata |= contents.metadata
            numbers |= contents.numbers
            problems += ((name, problem) for problem in contents.problems)
        files.append(name)
    faults = (tuple(missing), tuple(escaping), unreadable, tuple(problems))
    return Checkpoint(tuple(files), tensors, metadata, *faults, scalars=numbers)


@for_each
def _tensors(contents: Mapping[str, Shaped], file: str) -> Mapping[str, Tensor]:
    return {name: Tensor(name, info.dtype, info.shape, file) for name, info in contents.items()}


def _problem(error: UnreadableError | OSError) -> Problem:
    if isinstance(error, UnreadableError):
        return error.problem
    if isinstance(error, FileNotFoundError):
        return Problem("is a link to a file that isn't there")
    return Problem(f"can't be read: {(error.strerror or str(error)).lower()}")


def leads_out(folder: str, name: str) -> bool:
    """Whether a file name, by itself or through links, leads out of the root of a config's folder, or is none."""
    parts = name.split("/")
    if "\\" in name or ".." in parts or "" in parts or name[1:2] == ":" or not name.isprintable():
        return True
    path = os.path.join(folder, name)
    if len(parts) == 1 and not os.path.islink(path):
        return False
    return not os.path.realpath(path).startswith(os.path.join(_root(folder), ""))


def _root(folder: str) -> str:
    """The folder itself; in a Hugging Face cache the whole model, whose snapshots link to the blobs beside them."""
    real = os.path.realpath(folder)
    parts = real.split(os.sep)
    for at in range(len(parts) - 2, 0, -1):
        if parts[at] == "snapshots" and parts[at - 1].startswith("models--"):
            return os.sep.join(parts[:at])
    return real
