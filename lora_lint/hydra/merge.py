"""Layers of mappings merged into one, with the layer that gives each value."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lora_lint.document import Path, Unknown
from lora_lint.hydra.element import MISSING, UnsettledError
from lora_lint.hydra.tree import Layer

MAX_VALUES = 100_000


@dataclass
class Merged:
    """`OmegaConf.merge` with the origin of each value: `giver` maps paths to positions in `layers`.

    `open` holds the paths beneath which a config that isn't here may set more, with the reason.
    """

    layers: list[Layer] = field(default_factory=list)
    data: dict[Any, Any] = field(default_factory=dict)
    giver: dict[Path, int] = field(default_factory=dict)
    open: dict[Path, str] = field(default_factory=dict)
    _values: int = 0

    def add(self, layer: Layer, *, replaces: bool = False) -> None:
        """Put a layer over the others; `replaces` says that `_override_: true` makes a mapping stand alone.

        Raises:
            UnsettledError: where the values can't be merged, or are too many.
        """
        self.layers.append(layer)
        package: Path = tuple(layer.package.split(".")) if layer.package else ()
        if layer.file is None:
            self._obscure(package, f"{layer.name}, which isn't here, may set it")
            return
        values = layer.file.document.data
        if not isinstance(values, dict):
            raise UnsettledError(f"{layer.name} is no mapping")
        own = {key: value for key, value in values.items() if key != "defaults"}
        owner = self.data
        for end, part in enumerate(package, 1):
            if not isinstance(owner.get(part), dict):
                self._drop(package[:end])
                owner[part] = {}
            owner = owner[part]
        if replaces:
            for key in [key for key, value in own.items() if isinstance(value, dict) and value.get("_override_")]:
                self._drop((key,))
                self.data.pop(key, None)
                own[key] = {name: inner for name, inner in own[key].items() if name != "_override_"}
        self._merge(owner, own, package)

    def _merge(self, owner: dict[Any, Any], values: dict[Any, Any], path: Path) -> None:
        for key, value in values.items():
            here = (*path, key)
            before = owner.get(key)
            if value == MISSING and key in owner:
                continue
            if isinstance(value, dict):
                if not isinstance(before, dict):
                    if isinstance(before, str) and "${" in before:
                        self.open[here] = f"{before[:40]} may set it"
                    self._drop(here)
                    before = owner[key] = {}
                self._merge(before, value, here)
                if not value:
                    self._give(here)
                continue
            if isinstance(before, dict):
                self._drop(here)
            owner[key] = value
            self._give(here)

    def _give(self, path: Path) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise UnsettledError(f"its defaults hold more than {MAX_VALUES} values")
        self.giver[path] = len(self.layers) - 1

    def _drop(self, path: Path) -> None:
        """Forget who gave what stands at a path and beneath it."""
        for one in [one for one in self.giver if one[: len(path)] == path]:
            del self.giver[one]

    def _obscure(self, package: Path, reason: str) -> None:
        """A layer that isn't here may have set everything beneath its package anew."""
        self.open[package] = reason
        for path in [path for path in self.giver if path[: len(package)] == package]:
            owner: Any = self.data
            for part in path[:-1]:
                owner = owner[part]
            if not isinstance(owner[path[-1]], dict):
                owner[path[-1]] = Unknown(reason, reason)

    def given(self, path: Path) -> tuple[Layer, Path] | None:
        """The layer that gives the value at a path, and the value's path in the layer's file."""
        for end in range(len(path), -1, -1):
            at = self.giver.get(path[:end])
            if at is not None:
                layer = self.layers[at]
                return layer, path[len(layer.package.split(".")) if layer.package else 0 :]
        return None

    def paths_of(self, full: str) -> Iterator[tuple[Path, Path]]:
        """The paths of what a file gives: in the whole, and in the file."""
        for path, at in self.giver.items():
            layer = self.layers[at]
            if layer.file is not None and layer.file.path == full:
                yield path, path[len(layer.package.split(".")) if layer.package else 0 :]
