"""The weights of a model in a file or a folder, found by the names of its modules."""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from lora_lint.document import UnreadableError
from lora_lint.reference.stream import TensorFiles, TensorRef, first_line

LARGEST_INDEX = 100_000_000

QUANTISERS = {"quantize_config.json": "gptq", "quant_config.json": "awq"}
"""Files that AutoGPTQ and AutoAWQ wrote beside the weights, at first without the method, which was the only one:
auto_gptq/quantization/config.py:66 at 9f7d370, awq/models/_config.py:10 at 88e4c76."""

PREFIXES = frozenset(("base_model", "model", "language_model", "module", "transformer"))
"""Leading parts in which checkpoints of the same model differ, by the class that saved them."""


def core(name: str) -> str:
    """What stays of a tensor's name once PEFT's wrapping and the leading containers are taken off."""
    parts = name.replace("base_model.model.", "").replace(".base_layer.", ".").split(".")
    while len(parts) > 2 and parts[0] in PREFIXES:
        parts.pop(0)
    return ".".join(parts)


class Weights:
    """The weights of a model, found by the names of its modules: one file, or a folder with one or many shards."""

    def __init__(self, tensors: Mapping[str, TensorRef], files: TensorFiles | None = None) -> None:
        self.tensors = tensors
        self.files = files or TensorFiles()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Reads the headers and no data.

        Raises:
            UnreadableError: when a file can't be read, a shard is missing or outside the folder, or nothing is there.
        """
        files = TensorFiles()
        return cls({name: TensorRef(shard, name) for shard in _shards(path) for name in files.open(shard).names}, files)

    def find(self, module: str, parameter: str = "weight") -> TensorRef | None:
        """The weight of a module by its exact name, or else by the only name that differs just in its containers."""
        for name in (f"{module}.{parameter}", f"{module}.base_layer.{parameter}"):
            if name in self.tensors:
                return self.tensors[name]
        return self._by_core.get(core(f"{module}.{parameter}"))

    def beside(self, module: str, end: str) -> Tensor | None:
        """Another tensor of a module, such as its scales; None where there is none."""
        ref = self.find(module, end)
        return None if ref is None else self.files.tensor(ref)

    def quantisation_of(self, module: str) -> Mapping[str, Any]:
        """The same for one module, which MLX may name in it with settings of its own: mlx_lm/utils.py:378."""
        own = self.quantisation.get(module)
        return {**self.quantisation, **own} if isinstance(own, dict) else self.quantisation

    @cached_property
    def quantisation(self) -> Mapping[str, Any]:
        """The `quantization_config` of the config beside the weights, or MLX's `quantization`; empty without one."""
        given = self.config.get("quantization_config") or self.config.get("quantization")
        if isinstance(given, dict) and given:
            return given
        for name, method in QUANTISERS.items():
            if found := self._beside(name):
                return {"quant_method": method, **found}
        return {}

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The config.json beside the weights, empty where there is none."""
        return self._beside("config.json")

    def _beside(self, name: str) -> dict[str, Any]:
        folder = next((ref.file.parent for ref in self.tensors.values()), None)
        return {} if folder is None else _json(folder / name)

    @cached_property
    def _by_core(self) -> dict[str, TensorRef | None]:
        found: dict[str, TensorRef | None] = {}
        for name, ref in self.tensors.items():
            short = core(name)
            found[short] = None if short in found else ref
        return found


def _shards(path: Path) -> list[Path]:
    if not path.is_dir():
        if path.name.endswith(".index.json"):
            return list(_indexed(path))
        return [path]
    for kind in ("safetensors", "bin"):
        if indices := sorted(path.glob(f"*.{kind}.index.json")):
            return list(_indexed(indices[0]))
        usual = (f"model.{kind}", f"adapter_model.{kind}", f"pytorch_model.{kind}")
        if found := [path / name for name in usual if (path / name).is_file()]:
            return found[:1]
    if shards := sorted(path.glob("*.safetensors")):
        return shards
    raise UnreadableError(f"{path.name or path} holds no weights: neither safetensors nor .bin")


def _indexed(index: Path) -> Iterator[Path]:
    try:
        if index.stat().st_size > LARGEST_INDEX:
            raise UnreadableError(f"{index.name} is larger than {LARGEST_INDEX} bytes")
        shards = set(json.loads(index.read_bytes())["weight_map"].values())
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise UnreadableError(f"{index.name} is no index of shards: {first_line(error)}") from error
    root = _root(index.parent)
    for name in sorted(map(str, shards)):
        shard = index.parent / name
        if "\0" in name or not shard.resolve().is_relative_to(root):
            raise UnreadableError(f"{index.name} names the shard {name!r}, which lies outside the folder")
        if not shard.is_file():
            raise UnreadableError(f"{index.name} names the shard {name!r}, which is missing")
        yield shard


def _json(path: Path) -> dict[str, Any]:
    """A small file of JSON; empty where it can't be read."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_INDEX:
            return {}
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _root(folder: Path) -> Path:
    """The folder that links may not leave; a Hugging Face cache links from its snapshots to its blobs."""
    resolved = folder.resolve()
    return next((parent for parent in resolved.parents if parent.name.startswith("models--")), resolved)
