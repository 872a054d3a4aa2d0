"""A command that names a config file: the file's data with what the command gives on top."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from lora_lint.document import Document, Entry, Path, Source, Syntax, Unknown, UnreadableError
from lora_lint.facts import Checkpoint, Fact, Setup, Site
from lora_lint.frameworks import LAST, candidates
from lora_lint.frameworks import setup as setup_of
from lora_lint.interpolation import MISSING, resolved
from lora_lint.omegaconf import as_value

MAX_BYTES = 1024 * 1024
"""A larger file isn't a config that somebody wrote."""

MAX_LOOKUPS = 5_000
"""Places in which the config files of one file's commands are looked for."""

_CONFIG_FLAGS = ("config", "recipe", "config_file", "config_name", "config_path", "config_dir", "cn", "cp", "cd")
_CONFIG_ENDINGS = (".yaml", ".yml", ".json", ".toml")
_CONFIG_FOLDERS = ("", "conf", "config", "configs", "cfg")
"""Where a script keeps the configs that Hydra looks for, seen from its own folder."""


@dataclass(eq=False)
class Nearby:
    """Where the config files are that the commands of a file name; `inside` is its path below what was checked."""

    path: str
    inside: str
    lookups: int = 0

    @cached_property
    def folder(self) -> str:
        return os.path.dirname(os.path.abspath(self.path))

    @cached_property
    def top(self) -> str:
        """The repository of the file, or the folder that was to be checked; nothing outside of it is opened."""
        full, below = os.path.abspath(self.path), os.path.normpath(self.inside)
        checked = full[: -len(below)] if full.endswith(os.sep + below) else self.folder
        return os.path.realpath(_repository(self.folder) or checked)

    def find(self, name: str, script: str) -> "_File | None":
        """The file that `name` means, from the folder, the working directory, the top or that of the Python script."""
        folders = dict.fromkeys((self.folder, os.getcwd(), self.top))
        beside = os.path.dirname(script if script.endswith(".py") else script.replace(".", "/"))
        for folder in (*folders, *(os.path.join(one, beside, sub) for one in folders for sub in _CONFIG_FOLDERS)):
            self.lookups += 1
            if self.lookups > MAX_LOOKUPS:
                return None
            full = os.path.realpath(os.path.join(folder, name))
            if full.startswith(self.top.rstrip(os.sep) + os.sep) and (found := _read(full)) is not None:
                return found
        return None


@dataclass(frozen=True)
class _File:
    """A config file as its reader gives it, interpolations not filled in, and the frameworks whose marks it holds."""

    document: Document
    names: tuple[str, ...]


def setup(document: Document, names: list[str], nearby: Nearby) -> tuple[Document, Setup | None]:
    """What a command says about LoRA, and its document as it is meant: with the config file that it names.

    A command that only repeats what its config file says holds nothing; that is said in the file.
    """
    overlaid = _overlaid(document, nearby)
    if overlaid is not None:
        whole, file = overlaid
        found = _recognised(whole, list(dict.fromkeys((*names, *file.names))))
        if found is not None:
            alone = setup_of(resolved(file.document), [found.framework], _no_checkpoint)
            return found.document, _trimmed(found, alone)
    return document, setup_of(document, names, _no_checkpoint)


def _recognised(document: Document, names: list[str]) -> Setup | None:
    """The setup of a command with its config file, by what is in the file, or else by the command."""
    found = setup_of(document, names, _no_checkpoint)
    if found is None or found.framework == LAST:
        return setup_of(replace(document, syntax="shell"), names, _no_checkpoint) or found
    return found


def _no_checkpoint() -> Checkpoint | None:
    return None


def _trimmed(found: Setup, alone: Setup | None) -> Setup | None:
    """What the command brings about; None where it is nothing."""
    given = {path for path in found.document.entries if path}
    before = {_signature(site) for site in alone.sites} if alone is not None else set()
    found.sites = tuple(
        site
        for site in found.sites
        if site.rank.path in given or (site.alpha and site.alpha.path in given) or _signature(site) not in before
    )
    found.bad_values = tuple(bad for bad in found.bad_values if bad.path in given)
    found.unknown_keys = tuple(unknown for unknown in found.unknown_keys if unknown.path in given)
    return found if found.sites or found.bad_values or found.unknown_keys else None


def _signature(site: Site) -> tuple[object, ...]:
    return (site.state, site.method, site.formula.name, *_told(site.rank), *(_told(site.alpha) if site.alpha else ()))


def _told(fact: Fact[Any]) -> tuple[object, ...]:
    return fact.path, fact.value if fact.known else fact.reason


def _overlaid(document: Document, nearby: Nearby) -> tuple[Document, _File] | None:
    """The command's document over that of the config file it names."""
    data, names = document.data, list(_config_names(document))
    if not names or not isinstance(data, dict):
        return None
    found = next(((name, file) for name in names if (file := nearby.find(name, document.callee))), None)
    if found is None or not isinstance(found[1].document.data, dict):
        return None
    name, file = found
    base: dict[Any, Any] = file.document.data  # type: ignore[assignment]
    given = {key: _path(key, base, file.document.syntax) for key in data if key not in _CONFIG_FLAGS}
    merged = base
    for key, place in given.items():
        changed = _with(merged, place, _value(data[key]))
        if changed is None:
            return None
        merged = changed
    return _merged(document, name, file.document.syntax, merged, given), file


def _config_names(document: Document) -> Iterator[str]:
    """The config files that a command may mean, the likeliest first.

    The `--config_file` of `accelerate launch` says how to launch, unless it is the TOML of kohya's scripts.
    """
    data = document.data if isinstance(document.data, dict) else {}
    own = ".toml" if "accelerate" in document.words else _CONFIG_ENDINGS
    for flag, endings in (("config", _CONFIG_ENDINGS), ("recipe", _CONFIG_ENDINGS), ("config_file", own)):
        value = data.get(flag)
        if isinstance(value, str) and value.endswith(endings):
            yield value
    yield from (word for word in document.words[1:] if word.endswith(_CONFIG_ENDINGS))
    name = data.get("config_name", data.get("cn"))
    folder = data.get("config_path", data.get("config_dir", data.get("cp", "")))
    if isinstance(name, str) and isinstance(folder, str):
        ending = "" if name.endswith(_CONFIG_ENDINGS) else ".yaml"
        yield os.path.join(folder, name + ending)


def _merged(
    document: Document, name: str, syntax: Syntax, data: dict[Any, Any], given: Mapping[str | int, Path]
) -> Document:
    def moved(path: Path) -> Path:
        return (*given.get(path[0], (path[0],)), *path[1:]) if path else path

    def locate() -> Mapping[Path, Entry]:
        entries = {
            moved(path): replace(entry, key=None)
            for path, entry in document.entries.items()
            if path[:1] and path[0] in given
        }
        flag = next((entry for key in _CONFIG_FLAGS if (entry := document.entry((key,))) is not None), None)
        entries[()] = Entry(flag.value if flag is not None else document.span)
        return entries

    return resolved(
        replace(
            document,
            syntax="toml" if syntax == "toml" else "yaml",
            data=data,
            locate=locate,
            base=name,
            defaults=frozenset(map(moved, document.defaults)),
            expressions={moved(path): expression for path, expression in document.expressions.items()},
            duplicates=tuple(one._replace(path=moved(one.path)) for one in document.duplicates),
        )
    )


def _path(key: str | int, data: dict[Any, Any], syntax: Syntax) -> Path:
    """Where in the file's data a flag or a dotted key goes; the sections of a TOML are none to the flags of kohya."""
    if not isinstance(key, str) or key in data:
        return (key,)
    if "." in key:
        return tuple(key.split("."))
    sections = [name for name, inner in data.items() if isinstance(inner, dict) and key in inner]
    return (sections[0], key) if syntax == "toml" and len(sections) == 1 else (key,)


def _value(given: object) -> object:
    if isinstance(given, list):
        return [_value(item) for item in given]
    return as_value(given) if isinstance(given, str) else given


def _with(data: Any, path: Path, value: object) -> Any:
    """A copy of the data with another value at `path`; None where a mapping would have to be another one."""
    key, rest = path[0], path[1:]
    if isinstance(data, list) and isinstance(key, str) and key.isdecimal() and int(key[:9]) < len(data):
        inner = _with(data[int(key)], rest, value) if rest else value
        return None if inner is None else [*data[: int(key)], inner, *data[int(key) + 1 :]]
    if not isinstance(data, dict):
        return None
    before = data.get(key)
    if not rest:
        return None if isinstance(before, dict) and not isinstance(value, Unknown) else {**data, key: value}
    inner = _with({} if before is None or before == MISSING else before, rest, value)
    return None if inner is None else {**data, key: inner}


def _repository(folder: str) -> str | None:
    """The nearest folder upwards that is the top of a repository."""
    while not os.path.exists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


def _read(path: str) -> _File | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not os.path.isfile(path) or status.st_size > MAX_BYTES:
        return None
    return _parsed(path, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _parsed(path: str, changed: int) -> _File | None:
    """The first document of a config file, or None where it can't be read alone; `changed` makes a new file new."""
    from lora_lint.reading import decode

    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        source = Source(os.path.basename(path), decode(data))
        document = next(_documents(source), None)
    except (OSError, UnreadableError):
        return None
    if document is None or _composed_of_others(document.data):
        return None
    return _File(document, tuple(candidates(data)))


def _documents(source: Source) -> Iterator[Document]:
    if source.name.endswith((".yaml", ".yml")):
        from lora_lint.readers import yaml

        yield from yaml.composed(source)
    elif source.name.endswith(".json"):
        from lora_lint.readers import json

        yield from json.read(source)
    elif source.name.endswith(".toml"):
        from lora_lint.readers import toml

        yield from toml.read(source)


def _composed_of_others(data: object) -> bool:
    """Whether Hydra, or NeMo's loader, puts other files beneath this one."""
    defaults = data.get("defaults") if isinstance(data, dict) else None
    if isinstance(defaults, list):
        return any(item != "_self_" for item in defaults)
    return isinstance(defaults, str) and defaults.endswith(_CONFIG_ENDINGS)
