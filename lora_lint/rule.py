"""A rule: a Markdown page and the function of the same name; the path of the page is the address of both."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import Any

from lora_lint.facts import Kind
from lora_lint.finding import Finding, Safety, Severity

PAGES_URL = "https://github.com/lora-lint/lora-lint/blob/main/rules"

Check = Callable[..., Iterator[Finding]]
FrontMatter = dict[str, Any]


class RuleError(Exception):
    """A page that is malformed, or has no function."""


def front_matter(text: str) -> tuple[FrontMatter, str]:
    """The metadata of a page and the text below it.

    Reads the small part of YAML that pages use (scalars, block lists, one level of mapping), so that a run on JSON
    doesn't import a YAML parser; a test compares it with PyYAML on every page.

    Raises:
        RuleError: when the page doesn't begin with `---` or a line can't be read.
    """
    head, mark, body = text.removeprefix("---\n").partition("\n---\n")
    if not mark or not text.startswith("---\n"):
        raise RuleError("the page doesn't begin with front matter")
    data: FrontMatter = {}
    key = ""
    for line in head.split("\n"):
        item = re.fullmatch(r"  - (.+)", line)
        inner = re.fullmatch(r"  ([\w-]+): (.+)", line)
        plain = re.fullmatch(r"([\w-]+):(?: (.+))?", line)
        if item and key:
            if not isinstance(data[key], list):
                data[key] = []
            data[key].append(item[1])
        elif inner and key:
            if not isinstance(data[key], dict):
                data[key] = {}
            data[key][inner[1]] = inner[2]
        elif plain:
            key = plain[1]
            data[key] = plain[2]
        elif line.strip():
            raise RuleError(f"front matter line {line!r}")
    return data, body


@dataclass(frozen=True)
class Rule:
    """What the page says, and the function that checks it."""

    name: str
    family: str
    title: str
    severity: Severity
    severities: Mapping[str, Severity]
    since: str
    fix: Safety | None
    instead_of: tuple[str, ...]
    when: tuple[str, ...]
    """Words of `lora_lint.vocabulary`: it is run only where one of them is set; always where there is none."""
    aliases: tuple[str, ...]
    sources: tuple[str, ...]
    body: str

    @classmethod
    def load(cls, page: Path) -> "Rule":
        """
        Raises:
            RuleError: for a malformed page.
            OSError: when it can't be read.
        """
        try:
            data, body = front_matter(page.read_text("utf-8"))
            level = data["severity"]
            per_kind = level if isinstance(level, dict) else {}
            return cls(
                name=page.stem,
                family=page.parent.name,
                title=data["title"],
                severity=Severity(per_kind.get("default", "error") if per_kind else level),
                severities={kind: Severity(value) for kind, value in per_kind.items()},
                since=data["since"],
                fix=Safety(data["fix"]) if data.get("fix") else None,
                instead_of=tuple(data.get("instead-of") or ()),
                when=tuple(data.get("when") or ()),
                aliases=tuple(data.get("aliases") or ()),
                sources=tuple(data.get("sources") or ()),
                body=body,
            )
        except (KeyError, ValueError, RuleError) as error:
            raise RuleError(f"{page.name}: {error}") from error

    @property
    def url(self) -> str:
        return f"{PAGES_URL}/{self.family}/{self.name}.md"

    @cached_property
    def explanation(self) -> str:
        """The first sentence of the page."""
        paragraph = self.body.strip().split("\n\n", 1)[0].replace("\n", " ")
        return re.split(r"(?<=[.!?]) ", paragraph, maxsplit=1)[0]

    @property
    def of_values(self) -> bool:
        """Whether it is about the numbers in tensors, which only `verify` reads."""
        return self.family == "tensors"

    @property
    def of_runs(self) -> bool:
        """Whether it is about a run, which a saved adapter has behind it."""
        return self.family == "training"

    def severity_for(self, kind: Kind | None) -> Severity:
        return self.severities.get(kind or "", self.severity)

    @cached_property
    def check(self) -> Check:
        """
        Raises:
            RuleError: when the page has no function.
        """
        module = import_module(f"lora_lint.checks.{self.family}")
        function: Check | None = getattr(module, self.name.replace("-", "_"), None)
        if function is None:
            raise RuleError(f"{self.name} has a page and no function")
        return function

    @cached_property
    def parameters(self) -> tuple[type, ...]:
        """The types of the positional parameters; the function is run once for each value of the first."""
        code = self.check.__code__
        hints = self.check.__annotations__
        return tuple(hints[name] for name in code.co_varnames[: code.co_argcount])

    @cached_property
    def options(self) -> dict[str, tuple[Any, Any]]:
        """The user's options: name -> (type, default)."""
        code = self.check.__code__
        names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        defaults = self.check.__kwdefaults__ or {}
        return {name: (self.check.__annotations__.get(name, NoneType), defaults.get(name)) for name in names}
