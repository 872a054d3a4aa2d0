"""Tinker: the rank in `create_lora_training_client(rank=N)` or the cookbook's `lora_rank=N`; alpha is the service's."""

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.commands import flags
from lora_lint.scaling import classic
from lora_lint.schema import NonNegativeInt, Number, Schema
from lora_lint.view import View

NAME = "tinker"
TITLE = "Tinker"
DOCS = "https://tinker-docs.thinkingmachines.ai"


class Config(Schema):
    """tinker_cookbook/supervised/train.py and its siblings at 9dfcc3a2: `lora_rank: int = 32`, and no alpha.

    The cookbook's helper for learning rates takes an alpha of 32 and doesn't use it (hyperparam_utils.py:66-74).
    Compatible services take `alpha` as well, and rank 0 for training without LoRA (SkyRL,
    skyrl/backends/skyrl_train_backend.py:110 at a9564572).
    """

    POSITIONAL: ClassVar[tuple[str, ...]] = ("base_model", "rank")

    base_model: Any = Field(None, validation_alias=AliasChoices("base_model", "model_name"))
    rank: NonNegativeInt = Field(32, validation_alias=AliasChoices("lora_rank", "rank"))
    alpha: Number | None = None


_CALLS = ("create_lora_training_client", "create_lora_training_client_async")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "shell":
        ours = document.callee.startswith("tinker_cookbook") or "/tinker_cookbook/" in f"/{document.callee}"
        return (document.callee, *flags(document, "lora_rank")) if ours and "lora_rank" in data else ()
    if document.syntax != "python":
        return ()
    called, name = document.called, document.called.rpartition(".")[2]
    cookbook = called.startswith("tinker_cookbook.") and name == "Config" and "lora_rank" in data
    return (called,) if cookbook or name in _CALLS or called == "tinker.LoraConfig" else ()


def sites(config: View[Any]) -> Iterator[Site]:
    rank: Fact[Any] = config.fact("rank")
    alpha: Fact[Any] = config.fact("alpha")
    if alpha.known and alpha.value is None:
        alpha = Fact(Unknown("", "Tinker's service chooses alpha"), rank.path, "unknown")
    yield Site(("all-linear",), rank, alpha, classic, "off" if rank.known and rank.value == 0 else "active")
