"""Lightricks' trainers of LTX-Video and LTX-2: a YAML with `model.training_mode` and a `lora` block."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.blocks import at, block
from lora_lint.scaling import classic
from lora_lint.schema import Int, Schema
from lora_lint.view import View

NAME = "ltx_trainer"
TITLE = "ltx-trainer"
DOCS = "https://github.com/Lightricks/LTX-2/tree/main/packages/ltx-trainer"
CONVENTION = "r"


class Config(Schema, strict=False):
    """packages/ltx-trainer/src/ltx_trainer/config.py:282-306 at 400fd31 of LTX-2, which PEFT gets (trainer.py:473-479).

    LTX-Video-Trainer's src/ltxv_trainer/config.py:46-70 at 31b1273 is the same.
    """

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"

    rank: Annotated[Int, Field(ge=2)] = 64
    alpha: Annotated[Int, Field(ge=1)] = 64
    dropout: Annotated[float, Field(ge=0, le=1)] = 0.0
    target_modules: list[str] = Field(default_factory=lambda: ["to_k", "to_q", "to_v", "to_out.0"])


_SECTIONS = ("training_strategy", "conditioning", "optimization", "acceleration", "flow_matching", "validation", "data")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax != "yaml" or not isinstance(data, dict) or not isinstance(data.get("lora"), dict):
        return ()
    sections = tuple(key for key in _SECTIONS if isinstance(data.get(key), dict))
    moded = "training_mode" in block(data, ("model",))
    return ("model.training_mode", "lora", *sections) if moded and len(sections) >= 2 else ()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield Config, ("lora",)


SAYS = ("base_model",)


def says(config: View[Any], word: str) -> Fact[Any] | None:
    """`model_source` is LTX-Video-Trainer's (config.py:17)."""
    return at(config.document, "model.model_path", "model.model_source") if word == "base_model" else None


def sites(config: View[Config]) -> Iterator[Site]:
    mode = block(config.document.data, ("model",)).get("training_mode")
    state: State = "off" if mode == "full" else "active"
    rank: Fact[Any] = config.fact("rank")
    yield Site(tuple(config.model.target_modules) or ("*",), rank, config.fact("alpha"), classic, state)
