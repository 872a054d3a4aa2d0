"""AdapterHub's adapters: an adapter_config.json with everything under `config`, and `LoRAConfig(r=, alpha=)`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Kind, Site, State, derived
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "adapterhub"
TITLE = "AdapterHub"
DOCS = "https://docs.adapterhub.ml/methods.html#lora"


class Config(Schema):
    """`LoRAConfig`: src/adapters/configuration/adapter_config.py:526-544 at 88f18ebd; alpha/r in methods/lora.py:100.

    `composition_mode: scale` is (IA)^3, and `vera_d` or `vera_b` make it VeRA.
    """

    POSITIONAL: ClassVar[tuple[str, ...]] = (
        "architecture",
        "selfattn_lora",
        "intermediate_lora",
        "output_lora",
        "leave_out",
        "r",
        "alpha",
    )
    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model_name"}

    r: PositiveInt = 8
    alpha: Number = 8
    attn_matrices: list[str] = Field(default_factory=lambda: ["q", "v"])
    composition_mode: str = "add"
    use_dora: bool = False
    vera_d: float | None = None
    vera_b: float | None = None


_LIBRARIES = ("adapters.", "transformers.")
_CLASSES = {"LoRAConfig": "lora", "DoRAConfig": "dora"}


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "python":
        name = document.callee.rpartition(".")[2]
        return (name,) if name in _CLASSES and document.callee.startswith(_LIBRARIES) else ()
    config = data.get("config")
    if document.syntax != "json" or not isinstance(config, dict) or config.get("architecture") != "lora":
        return ()
    return ("config.architecture", *(f"config.{key}" for key in ("r", "alpha", "attn_matrices") if key in config))


def kind(document: Document) -> Kind:
    return "source" if document.syntax == "python" else "checkpoint"


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield Config, () if document.syntax == "python" else ("config",)


def sites(config: View[Config]) -> Iterator[Site]:
    model = config.model
    rank: Fact[Any] = config.fact("r")
    alpha: Fact[Any] = config.fact("alpha")
    replaced = rank.known and alpha.known and alpha.value != rank.value and _is_faulty(config.document)
    if replaced:
        alpha = derived(rank.value, alpha.path)
    method = "dora" if model.use_dora else _CLASSES.get(config.document.callee.rpartition(".")[2], "lora")
    state: State = "active"
    if model.composition_mode != "add":
        method, state = "ia3", "not-lora"
    elif model.vera_d is not None or model.vera_b is not None:
        method, state = "vera", "not-lora"
    yield Site(tuple(model.attn_matrices) or ("*",), rank, alpha, classic, state, method, fixed=replaced)


def _is_faulty(document: Document) -> bool:
    """Whether loading replaces alpha by the rank: the adapter is of a release before 1.1.0, which didn't scale at all.

    src/adapters/loading.py:408-426 at 88f18ebd; `1.1.0.dev0` is before 1.1.0 as well.
    """
    version = document.data.get("version") if isinstance(document.data, dict) else None
    found = _VERSION.match(version) if isinstance(version, str) else None
    if found is None:
        return False
    release = tuple(int(part or 0) for part in found.groups()[:3])
    return release < (1, 1, 0) or (release == (1, 1, 0) and found[4] is not None)


_VERSION = re.compile(r"adapters\.(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(\.?(?:dev|a|b|rc)\d)?", re.ASCII)
