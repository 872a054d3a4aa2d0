"""The options of a Python program, in its own file or in those that it imports from beside it."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from lora_lint.document import Source, UnreadableError
from lora_lint.frameworks.gates import RANKS
from lora_lint.nearby import MAX_BYTES, is_below
from lora_lint.readers.python.options import Module, read
from lora_lint.upwards import upwards

MAX_FILES = 24
"""Files that are read for one program."""
MAX_DEPTH = 4
"""Imports, or classes above each other."""
MAX_STEPS = 2_000
"""Names and folders that are looked at for one program."""


@lru_cache(maxsize=64)
def options(path: str, top: str, changed: int) -> Mapping[str, object]:
    """The options of the first file, among the program and what it imports, that has a rank; `changed` makes it new."""
    search = _Search(top, path)
    level = [path]
    for _ in range(MAX_DEPTH):
        for file in level:
            found = search.options(file)
            if not RANKS.isdisjoint(found):
                return found
        level = [inner for file in level for inner in search.imports(file)]
    return {}


@dataclass(eq=False)
class _Search:
    """The files of one program, each read once."""

    top: str
    start: str
    modules: dict[str, Module | None] = field(default_factory=dict)
    steps: int = MAX_STEPS

    def module(self, path: str) -> Module | None:
        if path not in self.modules:
            self.modules[path] = _read(path) if len(self.modules) < MAX_FILES else None
        return self.modules[path]

    def options(self, path: str) -> dict[str, object]:
        module = self.module(path)
        if module is None:
            return {}
        found = dict(module.options)
        for name in module.parsed:
            found.update(self.fields(path, name, MAX_DEPTH))
        if not module.parsed and not found:
            for fields in module.classes.values() if path == self.start else ():
                found.update({name: value for name, value in fields.defaults.items() if name not in found})
        return found

    def imports(self, path: str) -> Iterator[str]:
        module = self.module(path)
        names = [origin for origin, _ in module.imported.values()] + [*module.opened] if module is not None else []
        yield from filter(None, (self.file(name, path) for name in dict.fromkeys(names)))

    def fields(self, path: str, name: str, depth: int) -> dict[str, object]:
        """The fields of a class under the name that it has in a file, those of its bases first."""
        module = self.module(path)
        self.steps -= 1
        if module is None or depth < 0 or self.steps < 0:
            return {}
        if name in module.classes:
            own = module.classes[name]
            above = (self.fields(path, base, depth - 1) for base in own.bases if base != name)
            return {key: value for base in above for key, value in base.items()} | dict(own.defaults)
        if name in module.imported:
            origin, original = module.imported[name]
            places = [(self.file(origin, path), original)]
        else:
            places = [(self.file(origin, path), name) for origin in module.opened]
        return next((found for file, at in places if file and (found := self.fields(file, at, depth - 1))), {})

    def file(self, module: str, importer: str) -> str | None:
        """The file of a module that a file imports, from its folder or one above it."""
        bare = module.lstrip(".")
        up = len(module) - len(bare)
        folder = os.path.dirname(importer)
        above = os.path.normpath(os.path.join(folder, *[os.pardir] * (up - 1)))
        folders = [above] if up else [one for each in upwards(folder) for one in (each, os.path.join(each, "src"))]
        for one in folders:
            self.steps -= 1
            if self.steps < 0:
                return None
            base = os.path.join(one, *bare.split("."))
            for full in map(os.path.realpath, (f"{base}.py", os.path.join(base, "__init__.py"))):
                if is_below(self.top, full) and os.path.isfile(full):
                    return full
        return None


def _read(path: str) -> Module | None:
    from lora_lint.decoding import decode

    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        return read(Source(os.path.basename(path), decode(data))) if len(data) <= MAX_BYTES else None
    except (OSError, UnreadableError):
        return None
