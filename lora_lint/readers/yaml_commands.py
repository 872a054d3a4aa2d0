"""Commands in YAML: the scripts of workflows and pipelines, the containers of Kubernetes and Compose, stages of DVC."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lora_lint.document import Document, Path, Unknown
from lora_lint.readers.composition import Composition
from lora_lint.readers.yaml_scalars import places

_SCRIPTS = frozenset(
    (
        "run",
        "script",
        "before_script",
        "after_script",
        "inlineScript",
        "bash",
        "setup",
        "commands",
        "cmd",
        "cmds",
    )
)
"""Keys whose string, or list of strings, is a script: GitHub, GitLab, Azure, SkyPilot, dstack, DVC."""
_COMMANDS = ("entrypoint", "command", "args")
"""Keys whose string is a command and whose list is the words of one; together they are one."""
_ENVIRONMENTS = ("env", "envs", "environment", "variables", "environment_variables")

MAX_CHARACTERS = 500_000
"""Characters of commands in one file, which aliases can repeat."""

MAX_COMMANDS = 2_000
MAX_VARIABLES = 200
"""Variables around one command."""

_TEMPLATE = re.compile(r"\$?\{\{(?P<inside>[^{}\n]{0,200})\}\}")
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_ENVIRONMENT = re.compile(r"env\.(?P<name>[A-Za-z_]\w*)", re.ASCII)
_NOT_IN_NAME = re.compile(r"\W+", re.ASCII)


@dataclass(slots=True)
class _String:
    """A string of the document, as it is written before templates are filled in."""

    text: str
    path: Path


def commands(document: Document) -> Iterator[Document]:
    """The documents of the commands in a YAML document, in order."""
    reading = _Reading(document)
    yield from reading.mapping(document.data, (), [])


@dataclass
class _Reading:
    document: Document
    characters: int = 0
    commands: int = 0

    def mapping(self, value: object, path: Path, environment: list[tuple[str, _String]]) -> Iterator[Document]:
        """The commands of a mapping or list and of what is in it, with the variables that are set around them."""
        if isinstance(value, list):
            for at, item in enumerate(value):
                if isinstance(item, dict | list):
                    yield from self.mapping(item, (*path, at), environment)
            return
        if not isinstance(value, dict):
            return
        environment = [*environment, *_environment(value, path)][-MAX_VARIABLES:]
        for key in value:
            if key in _SCRIPTS:
                lines = list(_strings(value[key], (*path, key)))
                if self._within(lines):
                    yield from self.script(lines, environment)
        yield from self.words(value, path, environment)
        for key, inner in value.items():
            if isinstance(inner, dict | list):
                yield from self.mapping(inner, (*path, key), environment)

    def script(self, lines: Sequence[_String], environment: list[tuple[str, _String]]) -> Iterator[Document]:
        """Lines that one shell runs."""
        composition = self._begun(lines, environment)
        for line in lines:
            self._copy(composition, line)
            composition.say("\n")
        yield from composition.documents(self.document.source)

    def words(
        self, mapping: dict[object, object], path: Path, environment: list[tuple[str, _String]]
    ) -> Iterator[Document]:
        """The one command that an image's entry point and its arguments are."""
        given = [(key, list(_strings(mapping[key], (*path, key)))) for key in _COMMANDS if key in mapping]
        strings = [string for _, found in given for string in found]
        if not self._within(strings):
            return
        composition = self._begun(strings, environment)
        if given and given[0][0] == "args":
            composition.say("args ")
        for key, found in given:
            for string in found:
                if isinstance(mapping[key], list):
                    composition.word(string.text, self._places(string))
                else:
                    self._copy(composition, string)
                    composition.say(" ")
        yield from composition.documents(self.document.source)

    def _begun(self, strings: Sequence[_String], environment: list[tuple[str, _String]]) -> Composition:
        """A script that knows the variables of its surroundings."""
        composition = Composition()
        text = "".join(string.text for string in strings)
        for name, value in environment:
            if name in text:
                where = self._places(value)
                composition.say(f"{name}=", where[0] if where else None)
                composition.word(value.text, where)
                composition.say("\n")
        return composition

    def _within(self, strings: Sequence[_String]) -> bool:
        """Whether there is something to read, and the limits allow it."""
        self.characters += sum(len(string.text) for string in strings)
        self.commands += bool(strings)
        return bool(strings) and self.characters <= MAX_CHARACTERS and self.commands <= MAX_COMMANDS

    def _places(self, string: _String) -> Sequence[int]:
        entry = self.document.entry(string.path)
        span = entry.value if entry is not None else self.document.span
        return places(self.document.source.text, span, string.text)

    def _copy(self, composition: Composition, string: _String) -> None:
        """A script as it stands, its templates as variables that nobody sets."""
        text, where = string.text, self._places(string)
        end = 0
        for match in _TEMPLATE.finditer(text):
            composition.copy(text[end : match.start()], where[end : match.start()])
            inside = match["inside"].strip(" \t-")
            known = _ENVIRONMENT.fullmatch(inside)
            name = known["name"] if known else "_" + _NOT_IN_NAME.sub("_", inside).strip("_")
            composition.say(f"${{{name}", where[match.start()])
            composition.say("}", where[match.end() - 1])
            end = match.end()
        composition.copy(text[end:], where[end:])


def _strings(value: object, path: Path) -> Iterator[_String]:
    """A string, or those of a list."""
    if isinstance(value, list):
        for at, item in enumerate(value):
            yield from _strings(item, (*path, at)) if not isinstance(item, list) else ()
    elif isinstance(value, str):
        yield _String(value, path)
    elif isinstance(value, Unknown):
        yield _String(value.text, path)
    elif isinstance(value, int | float) and not isinstance(value, bool) and isinstance(path[-1], int):
        yield _String(str(value), path)


def _environment(mapping: dict[object, object], path: Path) -> Iterator[tuple[str, _String]]:
    """The variables that a mapping sets for what is in it: a mapping, or Kubernetes' list of names and values."""
    for key in _ENVIRONMENTS:
        listed = mapping.get(key)
        if isinstance(listed, dict):
            for name, value in listed.items():
                yield from _variable(name, value, (*path, key, name))
        elif isinstance(listed, list):
            for at, item in enumerate(listed):
                if isinstance(item, dict):
                    yield from _variable(item.get("name"), item.get("value"), (*path, key, at, "value"))


def _variable(name: object, value: object, path: Path) -> Iterator[tuple[str, _String]]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return
    if isinstance(value, str) and "${" not in value:
        yield name, _String(value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, _String(str(value), path)
