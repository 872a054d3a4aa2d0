"""A script's own rank and alpha: fields of a class, options of a parser, a dict, constants, what it assigns."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, Field

from lora_lint.document import Document
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.gates import GATES, NAMED_RANKS
from lora_lint.scaling import classic, rslora
from lora_lint.schema import NonNegativeInt, Number, Schema
from lora_lint.view import View

NAME = "script"
TITLE = "the script"
DOCS = "https://docs.python.org/3/library/dataclasses.html"
MOST = "warning"
"""A default is what happens when nobody sets anything; whether somebody does, another file knows."""

_LIBRARY = re.compile(r"\b(peft|trl|mlx|mlx_lm|mlx_vlm|unsloth|loralib|swift|wandb)\b|\bLora[A-Z]\w*\(|inject_\w*lora")
"""Where a file trains with a library itself, or hands settings to a log, a dict is a record of them."""
RANKS = ("lora_r", "lora_rank", "lora_dim", "r", "rank", "dim")
ALPHAS = ("lora_alpha", "alpha")
_OWN = re.compile(r"__main__\.(\w*(?:lora|peft)\w*)", re.IGNORECASE)
"""A class of the file itself whose name says what it is for."""
_OF_LIBRARY = re.compile(r"(?:^|/)(?:peft|site-packages)/")
"""Where a class lies whose defaults are a library's, not a setting of anybody's run."""


class Config(Schema):
    """What the Python reader calls a rank and an alpha; the scale is what the script hands to PEFT."""

    rank: NonNegativeInt = Field(0, validation_alias=AliasChoices(*RANKS))
    lora_alpha: Number = Field(0, validation_alias=AliasChoices(*ALPHAS))
    use_rslora: bool = False
    use_dora: bool = False


def recognises(document: Document) -> tuple[str, ...]:
    """A class, a parser or a dict as the reader hands it over: where no LoRA call of the file reads it."""
    data = document.data
    if document.syntax != "python" or not isinstance(data, dict):
        return ()
    if document.callee.startswith("class Lo") and _OF_LIBRARY.search(document.source.name):
        return ()
    keys = tuple(key for key in data if isinstance(key, str))
    if document.callee == "dict":
        settings = "lora_alpha" in keys and any(name in keys for name in NAMED_RANKS)
        settings = settings and _LIBRARY.search(document.source.text) is None
        return ("dict", *(key for key in keys if "lora" in key)) if settings else ()
    if document.called.startswith("assigned to ") or _OWN.fullmatch(document.called):
        whole = any(name in keys for name in RANKS) and any(name in keys for name in ALPHAS)
        return (document.called, *keys) if whole else ()
    declared = document.callee == "add_argument" or document.callee.startswith(("class ", "constants "))
    return (document.callee, *keys) if declared else ()


def sites(config: View[Config]) -> Iterator[Site]:
    rank: Fact[Any] = config.fact("rank")
    closed = any(config.data.get(gate) is False for gate in GATES)
    state: State = "off" if closed or (rank.known and rank.value == 0) else "active"
    formula = rslora if config.model.use_rslora else classic
    method = "dora" if config.model.use_dora else "lora"
    yield Site(("*",), rank, config.fact("lora_alpha"), formula, state, method)
