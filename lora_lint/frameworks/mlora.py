"""mLoRA: a YAML with a list of `adapters`, each with its r and alpha, and `tasks` that train them."""

from collections.abc import Iterator
from typing import Any

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.required import required
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "mlora"
TITLE = "mLoRA"
DOCS = "https://github.com/TUDB-Labs/mLoRA"


class Config(Schema, strict=False):
    """`LoRAConfig`: mlora/config/adapter.py:57-78 at 4abf120e; alpha/r in model/modules/lora.py:206.

    A missing key is a KeyError; values go through `int()`.
    """

    name: Any = None
    type: str = "lora"
    r: PositiveInt | None = None
    alpha: Number | None = None


_METHODS = {"lora": "lora", "loraplus": "lora", "dora": "dora", "vera": "vera"}
_OWN_KEYS = ("dispatcher", "datasets", "tasks")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax not in ("yaml", "json") or not isinstance(data, dict):
        return ()
    own = tuple(key for key in _OWN_KEYS if key in data)
    return ("adapters", *own) if len(own) >= 2 and any(_adapters(data)) else ()


def _adapters(data: dict[Any, Any]) -> Iterator[Path]:
    adapters = data.get("adapters")
    for index, adapter in enumerate(adapters if isinstance(adapters, list) else ()):
        method = adapter.get("type") if isinstance(adapter, dict) else None
        if isinstance(method, str) and method in _METHODS:
            yield "adapters", index


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    assert isinstance(document.data, dict)
    yield from ((Config, path) for path in _adapters(document.data))


def sites(config: View[Config]) -> Iterator[Site]:
    """One site for each adapter, under its name."""
    model = config.model
    rank: Fact[Any] = required(config.fact("r"), "r")
    method = _METHODS[model.type]
    state: State = "not-lora" if method == "vera" else "active"
    yield Site((str(model.name),), rank, config.fact("alpha"), classic, state, method)
