"""The config files that stand near a script, as far as its commands may name them."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from lora_lint.document import Document, Source, UnreadableError
from lora_lint.frameworks import candidates
from lora_lint.upwards import repository, upwards
from lora_lint.used import used

if TYPE_CHECKING:
    from lora_lint.facts import Setup

MAX_BYTES = 1024 * 1024
"""A larger file isn't a config that somebody wrote."""

MAX_NAME = 1_000
"""Characters of a path that is looked for."""

MAX_LOOKUPS = 5_000
"""Places in which the config files of one file's commands are looked for."""

CONFIG_FLAGS = ("config", "c", "recipe", "config_file", "config_name", "config_path", "config_dir", "cn", "cp", "cd")
CONFIG_ENDINGS = (".yaml", ".yml", ".json", ".toml")
_CONFIG_FOLDERS = ("", "conf", "config", "configs", "cfg")
"""Where a script keeps the configs that Hydra looks for, seen from its own folder."""


def config_names(document: Document) -> Iterator[str]:
    """The config files that a command may mean, the likeliest first.

    The `--config_file` of `accelerate launch` says how to launch, unless it is the TOML of kohya's scripts.
    """
    data = document.data if isinstance(document.data, dict) else {}
    own = ".toml" if "accelerate" in document.words else CONFIG_ENDINGS
    for flag in ("config", "c", "recipe", "config_path", "config_file"):
        value, endings = data.get(flag), own if flag == "config_file" else CONFIG_ENDINGS
        if isinstance(value, str) and value.endswith(endings):
            yield value
    yield from (word for word in document.words[1:] if word.endswith(CONFIG_ENDINGS))
    name = data.get("config_name", data.get("cn"))
    folder = data.get("config_path", data.get("config_dir", data.get("cp", "")))
    if isinstance(name, str) and isinstance(folder, str):
        ending = "" if name.endswith(CONFIG_ENDINGS) else ".yaml"
        yield os.path.join(folder, name + ending)


@dataclass(frozen=True, eq=False)
class ConfigFile:
    """A config file as its reader gives it, interpolations not filled in, and the frameworks whose marks it holds.

    `package` is what its first lines say about the place that Hydra gives its values in the whole.
    """

    path: str
    document: Document
    names: tuple[str, ...]
    package: str | None = None

    @property
    def name(self) -> str:
        return os.path.basename(self.path)


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
        return os.path.realpath(repository(self.folder) or checked)

    def file(self, name: str) -> str | None:
        """A file within the top that `name` means, from the folder, the working directory or the top."""
        for folder in dict.fromkeys((self.folder, os.getcwd(), self.top)):
            self.lookups += 1
            if self.lookups > MAX_LOOKUPS or "\0" in name:
                return None
            full = os.path.realpath(os.path.join(folder, name))
            if is_below(self.top, full) and os.path.isfile(full):
                return full
        return None

    def find(self, name: str, script: str) -> ConfigFile | None:
        """The file that `name` means, from the folder, the working directory, the top or that of the Python script."""
        if "\0" in name + script:
            return None
        folders = dict.fromkeys((self.folder, os.getcwd(), self.top))
        beside = os.path.dirname(script if script.endswith(".py") else script.replace(".", "/"))
        for folder in (*folders, *(os.path.join(one, beside, sub) for one in folders for sub in _CONFIG_FOLDERS)):
            self.lookups += 1
            if self.lookups > MAX_LOOKUPS:
                return None
            if (found := read(os.path.join(folder, name), self.top)) is not None:
                return found
        return None

    def above(self, name: str) -> Document | None:
        """The document of the file that a config names."""
        found = self.file_above(name)
        return found.document if found is not None else None

    def file_above(self, name: str) -> ConfigFile | None:
        """The file that a config names, seen from its own folder or from one above it, up to the top."""
        if "\0" in name or len(name) > MAX_NAME:
            return None
        for folder in upwards(os.path.realpath(self.folder)):
            if (found := read(os.path.join(folder, name), self.top)) is not None:
                return found
            if folder == self.top:
                break
        return None


_LORA_IN_NAME = re.compile(r"q?d?lora", re.IGNORECASE)
_FULL_IN_NAME = ("full", "fft", "full_finetune", "full-ft")


def full_sibling(setup: "Setup") -> Document | None:
    """The config beside a setup's own that differs in its name alone: `8B_full.yaml` beside `8B_lora.yaml`."""
    folder = setup.folder
    if folder is None or setup.document.syntax not in ("yaml", "json", "toml"):
        return None
    name = os.path.basename(setup.path)
    others = (_LORA_IN_NAME.sub(word, name) for word in _FULL_IN_NAME)
    other = next((one for one in others if one != name and one in folder.names), None)
    return Nearby(setup.path, setup.document.source.inside).above(other) if other is not None else None


def is_below(top: str, full: str) -> bool:
    return full.startswith(top.rstrip(os.sep) + os.sep)


def read(path: str, top: str) -> ConfigFile | None:
    """A config file within `top`, or None where there is none that can be read."""
    try:
        path = os.path.realpath(path)
        if not is_below(top, path):
            return None
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    used(path)
    if not os.path.isfile(path) or status.st_size > MAX_BYTES:
        return None
    return _parsed(path, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _parsed(path: str, changed: int) -> ConfigFile | None:
    """The first document of a config file, or None where it can't be read alone; `changed` makes a new file new."""
    from lora_lint.decoding import decode
    from lora_lint.hydra.element import header_of

    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        source = Source(os.path.basename(path), decode(data))
        document = next(_documents(source), None)
    except (OSError, UnreadableError):
        return None
    if document is None:
        return None
    return ConfigFile(path, document, tuple(candidates(data)), header_of(source.text))


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
