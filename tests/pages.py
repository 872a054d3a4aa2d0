"""The examples of the rule pages: blocks become files, comments at the ends of lines become expectations."""

import os
import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import NamedTuple

from lora_lint.catalogue import root
from lora_lint.finding import Diagnostic
from lora_lint.rule import FrontMatter, front_matter
from lora_lint.settings import Settings
from tests.tensors import Fill, write_pickled, write_safetensors

ENDINGS = {"json": ".json", "yaml": ".yaml", "shell": ".sh", "python": ".py", "toml": ".toml"}
"""Syntax of a fence -> ending of a file that isn't named."""

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```(?P<info>[^`\n]*)\n(?P<text>.*?)^```$\n?", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"\s*(?:#|//) (error|warning|note): ")
_TENSOR = re.compile(
    r"(?P<name>\S+) (?P<dtype>\w+) (?P<shape>\d+(?:x\d+)*|scalar)"
    r"(?: = (?P<fill>random(?=\W|$)|[\w.+-]+)(?:\*(?P<times>[\d.]+))?"
    r"(?: (?P<axis>rows|columns) (?P<start>\d+):(?P<end>\d+))?)?"
)
"""`= 3`, `= nan`, `= random`, `= random*0.5`; with `rows 0:8` or `columns 0:8` behind it, the others are zeros."""


class Expected(NamedTuple):
    """A finding that a page announces: its place is a line, or a tensor, or the file as a whole."""

    file: str
    line: int | None
    tensor: str | None
    severity: str
    words: str

    def fits(self, diagnostic: Diagnostic) -> bool:
        return (
            diagnostic.file.endswith(f"/{self.file}")
            and (self.line is None or diagnostic.range.start.line == self.line)
            and diagnostic.tensor == self.tensor
            and diagnostic.severity == self.severity
            and self.words in diagnostic.message
        )


@dataclass(frozen=True)
class Fence:
    """One fenced block.

    `framework` is empty for plain text, for tensors beside a config and where the page says `-`, since the file is no
    setup; `name` where the page gives none.
    """

    syntax: str
    framework: str
    name: str
    settings: dict[str, str]
    text: str

    @classmethod
    def parse(cls, info: str, text: str) -> "Fence":
        syntax, *others = info.split()
        settings = dict(word.split("=", 1) for word in others if "=" in word)
        words = [word for word in others if "=" not in word]
        framework = words.pop(0) if syntax not in ("tensors", "text") or len(words) > 1 else ""
        return cls(syntax, framework.strip("-"), words[0] if words else "", settings, text)

    @property
    def before(self) -> bool:
        """Whether it is the file as it was before the change that the fence of the same name shows."""
        return self.settings.get("since") == "before"

    @property
    def file(self) -> str:
        return self.name or f"example{ENDINGS[self.syntax]}"

    @property
    def lines(self) -> Iterator[tuple[int, str, list[tuple[str, str]]]]:
        """Number, text without announcements, and (severity, words) of each announcement."""
        for number, line in enumerate(self.text.splitlines(), 1):
            text, *marks = _MARK.split(line)
            yield number, text, list(zip(marks[::2], (words.strip() for words in marks[1::2]), strict=True))

    @property
    def expected(self) -> Iterator[Expected]:
        for number, text, marks in self.lines:
            tensor = _TENSOR.fullmatch(text) if self.syntax == "tensors" else None
            for severity, words in marks:
                yield Expected(
                    self.file,
                    None if self.syntax == "tensors" else number,
                    tensor["name"] if tensor else None,
                    severity,
                    words,
                )

    def write(self, folder: Path) -> None:
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.syntax == "tensors":
            self._write_tensors(path)
        else:
            path.write_text("".join(f"{text}\n" for _, text, _ in self.lines), "utf-8")

    def _write_tensors(self, path: Path) -> None:
        table: dict[str, tuple[str, tuple[int, ...]]] = {}
        metadata: dict[str, str] = {}
        fill: dict[str, Fill] = {}
        for _, text, _ in self.lines:
            if text.startswith("@"):
                key, _, value = text[1:].partition(" ")
                metadata[key] = value
            elif tensor := _TENSOR.fullmatch(text):
                sizes = tensor["shape"].split("x") if tensor["shape"] != "scalar" else ()
                table[tensor["name"]] = (tensor["dtype"], tuple(map(int, sizes)))
                fill[tensor["name"]] = _filled(tensor, table[tensor["name"]][1])
            elif text.strip():
                raise ValueError(f"not a tensor: {text!r}")
        if path.suffix == ".bin":
            write_pickled(path, table)
            return
        write_safetensors(path, table, metadata or None, fill, int(self.settings.get("cut", 0)))


def _filled(tensor: re.Match[str], shape: tuple[int, ...]) -> Fill:
    """The elements that a line of a table asks for; random ones are drawn by the tensor's name."""
    chance, times = random.Random(tensor["name"]), float(tensor["times"] or 1)
    if tensor["fill"] != "random" and tensor["axis"] is None:
        return float(tensor["fill"] or 1)
    kept = range(int(tensor["start"] or 0), int(tensor["end"] or shape[0]))
    by_row = tensor["axis"] != "columns"

    def element(index: int) -> float:
        if (index // shape[1] if by_row else index % shape[1]) not in kept:
            return 0.0
        return times * (chance.gauss(0, 1) if tensor["fill"] == "random" else float(tensor["fill"]))

    return [element(index) for index in range(prod(shape))]


def commit(folder: Path) -> None:
    """Make a folder a git repository with everything in it committed."""
    who = {f"GIT_{role}_{what}": "somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for command in ("init -q", "add -A", "commit -q -m start"):
        subprocess.run(["git", *command.split()], cwd=folder, env=environment, check=True, capture_output=True)


@dataclass(frozen=True)
class Example:
    """Fences that form one folder, on the page of one rule."""

    rule: str
    bad: bool
    fences: tuple[Fence, ...]

    def __str__(self) -> str:
        first = self.fences[0]
        return f"{self.rule}-{first.framework or first.syntax}"

    @property
    def frameworks(self) -> set[str]:
        return {fence.framework for fence in self.fences if fence.framework}

    @property
    def expected(self) -> list[Expected]:
        return [one for fence in self.fences for one in fence.expected]

    def settings(self) -> Settings:
        """`policy=r` sets the policy, `select=a,b` adds rules, `extreme-scale.ceiling=64` sets a rule's option."""
        given: dict[str, object] = {}
        rules: dict[str, dict[str, float]] = {}
        for fence in self.fences:
            for key, value in fence.settings.items():
                rule, _, option = key.partition(".")
                if option:
                    rules.setdefault(rule, {})[option] = float(value)
                elif key not in ("cut", "since", "expect"):
                    given[key] = value.split(",") if key in ("select", "ignore") else value
        return Settings.model_validate({**given, "rules": rules})

    @property
    def expect(self) -> float | None:
        """The scale that `verify` is told to expect: `expect=4`."""
        given = [fence.settings["expect"] for fence in self.fences if "expect" in fence.settings]
        return float(given[0]) if given else None

    @property
    def since(self) -> str | None:
        """The revision that holds the files as they were, where the example shows a change."""
        return "HEAD" if any(fence.before for fence in self.fences) else None

    def write(self, folder: Path) -> Path:
        if self.since:
            for fence in self.fences:
                if fence.before:
                    fence.write(folder)
            commit(folder)
        for fence in self.fences:
            if not fence.before:
                fence.write(folder)
        return folder


@dataclass(frozen=True)
class Page:
    """A rule page as its readers see it."""

    path: Path
    data: FrontMatter = field(repr=False)
    head: str = field(repr=False)
    body: str = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> "Page":
        text = path.read_text("utf-8")
        data, body = front_matter(text)
        return cls(path, data, text.removeprefix("---\n").partition("\n---\n")[0], body)

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def introduction(self) -> str:
        """The first paragraph, in one line."""
        return " ".join(self.body.strip().partition("\n\n")[0].split())

    @property
    def sections(self) -> dict[str, str]:
        """Heading -> text, in the order of the page."""
        parts = _SECTION.split(self.body)
        return dict(zip(parts[1::2], parts[2::2], strict=True))

    @property
    def examples(self) -> Iterator[Example]:
        for heading in ("Bad", "Good"):
            for fences in _folders(self.sections.get(heading, "")):
                yield Example(self.name, heading == "Bad", tuple(fences))


def _folders(text: str) -> Iterator[list[Fence]]:
    """Fences with different file names and nothing between them stand in one folder."""
    folder: list[Fence] = []
    end = 0
    for match in _FENCE.finditer(text):
        fence = Fence.parse(match["info"], match["text"])
        names = [other.name for other in folder if not other.before]
        joined = all((*names, fence.name)) and fence.name not in names and not text[end : match.start()].strip()
        if folder and not joined:
            yield folder
            folder = []
        folder.append(fence)
        end = match.end()
    if folder:
        yield folder


def pages() -> list[Page]:
    return [Page.read(path) for path in sorted(root().glob("*/*.md"))]
