"""A config with all that its `defaults` bring in, and the document that it is in the eyes of one of its files."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from lora_lint.document import Document, Entry, Path, lookup
from lora_lint.hydra.element import Element, UnsettledError
from lora_lint.hydra.merge import Merged
from lora_lint.hydra.tree import MAX_CONFIGS, MAX_DEPTH, Choice, Layer, Tree
from lora_lint.nearby import ConfigFile, read
from lora_lint.used import used

_ENDING = ".yaml"
_HIGHEST = 4
"""Folders upwards in which the root of a config tree is looked for."""


@dataclass
class Composition:
    """What the files make together; `reason` says why they can't be put together."""

    primary: ConfigFile
    merged: Merged
    groups: Mapping[str, Choice]
    """The groups that were met, by the name that the command line calls them, with the option of each."""
    root: str
    reason: str = ""
    stamps: Mapping[str, int | None] = field(default_factory=dict)
    """When each file that was looked for was changed, None where it isn't there."""

    @property
    def files(self) -> dict[str, ConfigFile]:
        """The files that give values, by their path."""
        return {layer.file.path: layer.file for layer in self.merged.layers if layer.file is not None}

    @property
    def missing(self) -> int:
        return sum(1 for layer in self.merged.layers if layer.file is None) + bool(self.reason)

    @property
    def names(self) -> list[str]:
        """The frameworks whose marks the files hold."""
        return list(dict.fromkeys(name for file in self.files.values() for name in file.names))

    def document(self, home: ConfigFile, document: Document | None = None) -> Document:
        """The whole as it is seen from one of its files, where its own values stand; interpolations are as written.

        `document` is what that file was read as, where it was read before.
        """
        own = document or home.document
        return replace(
            own,
            data=self.merged.data,
            locate=lambda: self._entries(home.path, own),
            base=self.primary.name if home.path != self.primary.path else "a config under defaults",
            comes_from=lambda path: self._place(path, home),
            open=dict(self.merged.open),
            duplicates=(),
        )

    def _entries(self, home: str, own: Document) -> Mapping[Path, Entry]:
        """Where the values stand that a file gives, by their path in the whole; its defaults stand for the others."""
        there = own.entries
        top = there.get(("defaults",)) or there.get(())
        found: dict[Path, Entry] = {(): top} if top is not None else {}
        for path, inner in self.merged.paths_of(home):
            package = path[: len(path) - len(inner)]
            places = [inner[:end] for end in range(1, len(inner) + 1)]
            places += [(*inner, at) for at in range(_length(self.merged.data, path))]
            for place in places:
                if entry := there.get(place):
                    found.setdefault((*package, *place), entry)
        return found

    def giver(self, path: Path) -> str:
        """The path of the file that gives a value, empty where none does."""
        given = self.merged.given(path)
        return given[0].file.path if given is not None and given[0].file is not None else ""

    def _place(self, path: Path, home: ConfigFile) -> str:
        """`conf/model/lora.yaml:3`, seen from the folder of a file."""
        given = self.merged.given(path)
        if given is None or given[0].file is None:
            return ""
        file, inner = given[0].file, given[1]
        name = os.path.relpath(file.path, os.path.dirname(home.path)).replace(os.sep, "/")
        if file.document.entry(inner) is None:
            return name
        return f"{name}:{file.document.source.position(file.document.span_of(inner).start).line}"


def _length(data: object, path: Path) -> int:
    """How many items the list at a path has."""
    try:
        value = lookup(data, path)
    except KeyError:
        return 0
    return len(value) if isinstance(value, list) else 0


def composes(data: object) -> bool:
    """Whether Hydra, or NeMo-RL's loader, puts other files beneath this one."""
    return inherits(data) or (
        isinstance(data, dict)
        and isinstance(listed := data.get("defaults"), list)
        and any(item != "_self_" for item in listed)
        and all(isinstance(item, str | dict) for item in listed)
    )


def inherits(data: object) -> bool:
    """Whether `defaults` names files, as in NeMo-RL, not configs of a tree."""
    defaults = data.get("defaults") if isinstance(data, dict) else None
    listed = defaults if isinstance(defaults, list) else [defaults]
    return bool(listed) and all(isinstance(name, str) and name.endswith((".yaml", ".yml")) for name in listed)


def composed(
    primary: ConfigFile,
    top: str,
    root: str = "",
    choices: Mapping[str, Choice] | None = None,
    added: tuple[Element, ...] = (),
) -> Composition:
    """The composition of a primary config; without a `root` the nearest folder at which all its defaults are found."""
    if inherits(primary.document.data):
        return _inherited(primary, top)
    best: Composition | None = None
    for folder in [root] if root else _above(primary.path, top):
        found = _composed(primary, top, folder, choices or {}, added)
        if best is None or found.missing < best.missing:
            best = found
        if not best.missing:
            break
    assert best is not None
    return best


def _above(path: str, top: str) -> list[str]:
    folders = [os.path.dirname(path)]
    while len(folders) < _HIGHEST and folders[-1] != top and len(folders[-1]) > len(top):
        folders.append(os.path.dirname(folders[-1]))
    return folders


def _composed(
    primary: ConfigFile, top: str, root: str, choices: Mapping[str, Choice], added: tuple[Element, ...]
) -> Composition:
    name = os.path.relpath(primary.path, root).replace(os.sep, "/").removesuffix(_ENDING)

    stamps: dict[str, int | None] = {}

    def load(path: str) -> ConfigFile | None:
        full = os.path.join(root, path + _ENDING)
        stamps[full] = _stamp(full)
        return primary if path == name else read(full, top)

    tree = Tree(load, choices, added)
    merged, reason = Merged(), ""
    try:
        for layer in tree.layers(name):
            merged.add(layer)
    except UnsettledError as error:
        merged, reason = Merged(), str(error)
        merged.add(Layer(name, "", primary))
        merged.open[()] = reason
    return Composition(primary, merged, tree.known, root, reason, stamps)


def standing(primary: ConfigFile, top: str, root: str) -> Composition:
    """The composition of a primary config that nothing is chosen for, made once while its files stay as they are."""
    kept = _composed_once(primary, top, root)
    if any(_stamp(path) != stamp for path, stamp in kept.stamps.items()):
        _composed_once.cache_clear()
        kept = _composed_once(primary, top, root)
    return kept


@lru_cache(maxsize=64)
def _composed_once(primary: ConfigFile, top: str, root: str) -> Composition:
    return _composed(primary, top, root, {}, ())


def _stamp(path: str) -> int | None:
    used(path)
    try:
        return os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return None


def _inherited(primary: ConfigFile, top: str) -> Composition:
    """nemo_rl/utils/config.py:53-96 at 7ea279ab: the files under `defaults`, from the folder of each, in order."""
    merged, reason = Merged(), ""
    try:
        for layer in _ancestors(primary, top, [0], 0):
            merged.add(layer, replaces=True)
    except UnsettledError as error:
        reason = str(error)
        merged.open[()] = reason
    return Composition(primary, merged, {}, os.path.dirname(primary.path), reason)


def _ancestors(file: ConfigFile, top: str, count: list[int], depth: int) -> list[Layer]:
    count[0] += 1
    if depth > MAX_DEPTH or count[0] > MAX_CONFIGS:
        raise UnsettledError(f"its defaults lead to more than {MAX_CONFIGS} configs, or deeper than {MAX_DEPTH}")
    data = file.document.data
    named = data.get("defaults") if isinstance(data, dict) else None
    found: list[Layer] = []
    for name in [named] if isinstance(named, str) else named if isinstance(named, list) else []:
        parent = read(os.path.join(os.path.dirname(file.path), str(name)), top)
        if parent is None:
            found.append(Layer(str(name), "", None))
        else:
            found += _ancestors(parent, top, count, depth + 1)
    return [*found, Layer(file.name, "", file)]
