"""What several frameworks' commands have in common: the program, its flags, the config file that a command names."""

from collections.abc import Iterator
from typing import Any

from lora_lint.document import Document, Unknown
from lora_lint.facts import Fact
from lora_lint.view import View

_CONFIG_ENDINGS = (".yaml", ".yml", ".json", ".toml")


def config_file(document: Document) -> str | None:
    """The config file among the words or the `--config` of a command, whose values the flags override.

    The `--config_file` of `accelerate launch` says how to launch, not what to train. None where the file was read.
    """
    if document.base:
        return None
    data = document.data if isinstance(document.data, dict) else {}
    launched = "accelerate" in document.words
    given = [data.get(key) for key in ("config", "recipe") + (() if launched else ("config_file",))]
    variable = next((value.text for value in given if isinstance(value, Unknown)), None)
    others = (data.get(key) for key in ("c", "config_path"))
    named = (word for word in (*document.words, *given, *others) if isinstance(word, str))
    return next((word for word in named if word.endswith(_CONFIG_ENDINGS)), variable)


def unless_in_file(config: View[Any], *names: str) -> Iterator[Fact[Any]]:
    """The facts of some flags; where a command names a config file, what it doesn't give may be set there."""
    named = config_file(config.document) if config.document.syntax == "shell" else None
    for name in names:
        fact = config.fact(name)
        yield fact if named is None else unless_set_by(named, fact)


def unless_set_by(other: str, fact: Fact[Any]) -> Fact[Any]:
    """A fact whose default is unknown because something else that isn't read here may set it."""
    if fact.origin != "default":
        return fact
    return Fact(Unknown("", f"{other} may set it"), fact.path, "unknown")


def runs(document: Document, *programs: str) -> tuple[str, ...]:
    """The program of a command as a mark, when its path or its dotted name ends with one of `programs`.

    Where a launcher starts a program that is no Python file, as `srun lerobot-train` does, it is one of the words.
    """
    if document.syntax != "shell":
        return ()
    launched = document.words if document.callee in document.words[:1] else ()
    endings = tuple(f"/{program}" for program in programs)
    return next(((name,) for name in (document.callee, *launched) if _path(name).endswith(endings)), ())


def _path(program: str) -> str:
    return "/" + program.removesuffix(".py").replace(".", "/").lstrip("/")


def flags(document: Document, *names: str) -> tuple[str, ...]:
    """Those of the flags that a command gives, as marks."""
    data = document.data if document.syntax == "shell" and isinstance(document.data, dict) else {}
    return tuple(f"--{name}" for name in names if name in data)
