"""LLaVA and its forks: launch scripts with `--lora_enable True`, `--lora_r` and `--lora_alpha`."""

import re
from collections.abc import Iterator
from typing import ClassVar

from lora_lint.document import Document
from lora_lint.facts import Site
from lora_lint.frameworks.gates import gated, other_gate
from lora_lint.frameworks.trainer import Rates
from lora_lint.schema import Number, PositiveInt
from lora_lint.view import View

NAME = "llava"
TITLE = "LLaVA"
DOCS = "https://github.com/haotian-liu/LLaVA"
FORKED = True
STAGE = "sft"


class Config(Rates):
    """llava/train/train.py:103-110 at c121f043; LLaVA-NeXT and InternVL's internvl_chat_llava have the same defaults.

    Nothing is read unless `lora_enable` is true. An unknown flag stops HfArgumentParser.
    """

    ARGPARSE: ClassVar[tuple[str, ...]] = ("shell",)
    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True

    lora_enable: bool = False
    lora_r: PositiveInt = 64
    lora_alpha: Number = 16
    lora_dropout: float = 0.05
    lora_weight_path: str = ""
    lora_bias: str = "none"
    bits: int = 16
    mm_projector_lr: float | None = None


_PROGRAM = re.compile(r"(?<!tiny)llava[/.]train")
_LORA_FLAGS = ("lora_enable", "lora_r", "lora_alpha", "lora_dropout", "lora_bias")
_OWN_FLAGS = ("mm_projector_type", "mm_projector_lr", "vision_tower", "mm_vision_select_layer", "mm_tunable_parts")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax != "shell" or not isinstance(data, dict):
        return ()
    lora = tuple(f"--{flag}" for flag in _LORA_FLAGS if flag in data)
    program = (document.callee,) if _PROGRAM.search(document.callee) else ()
    own = tuple(f"--{flag}" for flag in _OWN_FLAGS if flag in data)
    return (*program, *lora, *own) if lora and (program or own) and not other_gate(document, "lora_enable") else ()


def sites(config: View[Config]) -> Iterator[Site]:
    """One site: every linear layer of the language model (train.py:169-182)."""
    own = _PROGRAM.search(config.document.callee)
    yield gated(config, "lora_enable", ("all-linear",), *(() if own else ("llava/train",)))
