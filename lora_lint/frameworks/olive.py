"""Olive: passes of type LoRA, QLoRA and their kin in a workflow's JSON or YAML, and `olive finetune`."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.blocks import at
from lora_lint.frameworks.derivation import from_rank
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "olive"
TITLE = "Olive"
DOCS = "https://microsoft.github.io/Olive/features/peft-adapters.html"

Searched = str | list[Any] | dict[str, Any]
"""Instead of a number: what Olive is to choose from."""


def _either(default: float | None, *spellings: str) -> Any:
    """A field that is a number where it can be one."""
    return Field(default, validation_alias=AliasChoices(*spellings), union_mode="left_to_right")


class Config(Schema, strict=False):
    """A pass: olive/passes/pytorch/lora.py:106-112 at ee6f40fb; `olive finetune` has them too (cli/finetune.py:50)."""

    r: PositiveInt | Searched = _either(64, "r", "lora_r")
    alpha: Number | Searched | None = _either(16.0, "alpha", "lora_alpha")
    target_modules: Any = None


class Diffusion(Config):
    """SDLoRA, olive/passes/diffusers/lora.py:101-111 and :305, and `olive diffusion-lora`: alpha None is the rank."""

    r: PositiveInt | Searched = _either(16, "r", "lora_r")
    alpha: Number | Searched | None = _either(None, "alpha", "lora_alpha")


_TYPES = {
    "lora": "lora",
    "qlora": "lora",
    "loftq": "lora",
    "sdlora": "lora",
    "dora": "dora",
    "loha": "loha",
    "lokr": "lokr",
}
"""Type of a pass, in lower case as Olive compares it (olive_pass.py:488), and its method."""


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "shell":
        words = document.words[document.words.index("olive") + 1 :] if "olive" in document.words else ()
        command = next((word for word in words[:1] if word in ("finetune", "diffusion-lora")), "")
        return ("olive", command) if command else ()
    if document.syntax not in ("json", "yaml"):
        return ()
    own = tuple(key for key in ("input_model", "systems", "data_configs", "engine") if key in data)
    return tuple(f"{'.'.join(map(str, path))}.type" for path, _ in _passes(data)) + own


def _passes(data: Mapping[Any, Any]) -> Iterator[tuple[Path, str]]:
    """Paths and types of the passes that train an adapter; a name may hold a list of alternatives."""
    passes = data.get("passes")
    for name, value in passes.items() if isinstance(passes, dict) else ():
        alternatives = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, one in alternatives:
            kind = one.get("type") if isinstance(one, dict) else None
            if isinstance(kind, str) and kind.lower() in _TYPES:
                yield ("passes", name) if index is None else ("passes", name, index), kind.lower()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    data = document.data
    assert isinstance(data, dict)
    if document.syntax == "shell":
        yield (Diffusion if "diffusion-lora" in document.words else Config), ()
        return
    for path, kind in _passes(data):
        one = data["passes"][path[1]]
        nested = isinstance(one, dict) and isinstance(one.get("config"), dict)
        yield (Diffusion if kind == "sdlora" else Config), ((*path, "config") if nested else path)


SAYS = ("base_model",)


def says(config: View[Any], word: str) -> Fact[Any] | None:
    return at(config.document, "model_name_or_path", "input_model.model_path") if word == "base_model" else None


def sites(config: View[Config]) -> Iterator[Site]:
    data = config.document.data
    assert isinstance(data, dict)
    kinds = dict(_passes(data))
    kind = kinds.get(config.path) or kinds.get(config.path[:-1]) or "lora"
    rank, alpha = _chosen(config.fact("r")), _chosen(config.fact("alpha"))
    if isinstance(config.model, Diffusion) and alpha.known and alpha.value is None:
        alpha = from_rank(rank, alpha.path if alpha.origin == "written" else ())
    method = _TYPES[kind]
    targets = config.model.target_modules
    modules = tuple(map(str, targets)) if isinstance(targets, list) and targets else ("*",)
    state: State = "not-lora" if method in ("loha", "lokr") else "active"
    yield Site(modules, rank, alpha, classic, state, method, folded=kind == "loftq")


def _chosen(fact: Fact[Any]) -> Fact[Any]:
    searched = fact.known and isinstance(fact.value, str | list | dict)
    return Fact(Unknown("", "Olive searches for it"), fact.path, "unknown") if searched else fact
