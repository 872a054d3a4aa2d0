"""A command that names a config file: the file's data with what the command gives on top."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from lora_lint.document import Document, Entry, Path, Syntax, Unknown
from lora_lint.facts import Fact, Setup, Site
from lora_lint.frameworks import LAST
from lora_lint.frameworks import setup as setup_of
from lora_lint.hydra.choices import chosen
from lora_lint.hydra.composition import composes
from lora_lint.hydra.script import config_of
from lora_lint.interpolation import resolved
from lora_lint.interpolation.language import as_value
from lora_lint.interpolation.result import MISSING
from lora_lint.nearby import CONFIG_FLAGS, ConfigFile, Nearby, config_names, read
from lora_lint.tensors import Checkpoint


def setup(document: Document, names: list[str], nearby: Nearby) -> tuple[Document, Setup | None]:
    """What a command says about LoRA, and its document as it is meant: with the config file that it names.

    A command that only repeats what its config file says holds nothing; that is said in the file.
    """
    overlaid = _overlaid(document, nearby)
    if overlaid is not None:
        found = _recognised(overlaid.document, list(dict.fromkeys((*names, *overlaid.names))))
        if found is not None:
            alone = setup_of(resolved(overlaid.alone), [found.framework], _no_checkpoint)
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
    sites = tuple(
        site
        for site in found.sites
        if site.rank.path in given or (site.alpha and site.alpha.path in given) or _signature(site) not in before
    )
    return found.narrowed(sites, given)


def _signature(site: Site) -> tuple[object, ...]:
    return (site.state, site.method, site.formula.name, *_told(site.rank), *(_told(site.alpha) if site.alpha else ()))


def _told(fact: Fact[Any]) -> tuple[object, ...]:
    return fact.path, fact.value if fact.known else fact.reason


class _Overlaid(NamedTuple):
    """A command over its config file, the file without the command, and the frameworks whose marks the files hold."""

    document: Document
    alone: Document
    names: list[str]


def _overlaid(document: Document, nearby: Nearby) -> _Overlaid | None:
    """The command's document over that of the config file it names."""
    data, found = document.data, _named(document, nearby)
    if found is None or not isinstance(data, dict) or not isinstance(found[1].document.data, dict):
        return None
    name, file = found
    base, alone, names, rest = file.document, file.document, list(file.names), data
    if composes(base.data):
        plain, whole, rest = chosen(file, name, data, nearby.top)
        base, alone, names = whole.document(file), plain.document(file), [*plain.names, *whole.names]
    merged: dict[Any, Any] = base.data  # type: ignore[assignment]
    given = {key: _path(key, merged, base.syntax) for key in rest if key not in CONFIG_FLAGS}
    for key, place in given.items():
        changed = _with(merged, place, _value(data[key]))
        if changed is None:
            return None
        merged = changed
    overlaid = _merged(document, name, base.syntax, merged, given)
    return _Overlaid(replace(overlaid, open=base.open, comes_from=base.comes_from), alone, names)


def _named(document: Document, nearby: Nearby) -> tuple[str, ConfigFile] | None:
    """The config file of a command, and what it is called: by the command, or by the script that it runs."""
    names = list(config_names(document))
    if names:
        return next(((name, file) for name in names if (file := nearby.find(name, document.callee))), None)
    path = config_of(document, nearby)
    file = read(path, nearby.top) if path is not None else None
    return (os.path.relpath(file.path, nearby.folder).replace(os.sep, "/"), file) if file is not None else None


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
        flag = next((entry for key in CONFIG_FLAGS if (entry := document.entry((key,))) is not None), None)
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
