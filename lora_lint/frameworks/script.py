"""A script's own rank and alpha: fields of a class, options of a parser, constants, what it assigns."""

from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, Field

from lora_lint.document import Document
from lora_lint.facts import Fact, Site, State
from lora_lint.scaling import classic, rslora
from lora_lint.schema import NonNegativeInt, Number, Schema, View

NAME = "script"
TITLE = "the script"
DOCS = "https://docs.python.org/3/library/dataclasses.html"
MOST = "warning"
"""A default is what happens when nobody sets anything; whether somebody does, another file knows."""

RANKS = ("lora_r", "lora_rank", "lora_dim", "r", "rank", "dim")
LIBRARIES = ("class LoraConfig", "class LoRAConfig")
"""Classes of libraries: their defaults are the library's, not a setting of anybody's run."""


class Config(Schema):
    """What the Python reader calls a rank and an alpha; the scale is what the script hands to PEFT."""

    rank: NonNegativeInt = Field(0, validation_alias=AliasChoices(*RANKS))
    lora_alpha: Number = Field(0, validation_alias=AliasChoices("lora_alpha", "alpha"))
    use_rslora: bool = False
    use_dora: bool = False


def recognises(document: Document) -> tuple[str, ...]:
    """A class or a parser as the reader hands it over, which it does only where no LoRA call of the file reads it."""
    data = document.data
    declared = document.callee == "add_argument" or document.callee.startswith(("class ", "constants ", "assigned to "))
    if document.syntax != "python" or not isinstance(data, dict) or not declared or document.callee in LIBRARIES:
        return ()
    return (document.callee, *(key for key in data if isinstance(key, str)))


def sites(config: View[Config]) -> Iterator[Site]:
    rank: Fact[Any] = config.fact("rank")
    state: State = "off" if rank.known and rank.value == 0 else "active"
    formula = rslora if config.model.use_rslora else classic
    method = "dora" if config.model.use_dora else "lora"
    yield Site(("*",), rank, config.fact("lora_alpha"), formula, state, method)
