"""Qwen3-VL's own trainer: `qwenvl/train/train_qwen.py --lora_enable True`, where 0 means the default."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.commands import flags, runs
from lora_lint.frameworks.gates import at_gate, of_program, other_gate, state_of
from lora_lint.frameworks.trainer import Rates
from lora_lint.scaling import classic
from lora_lint.schema import Int, NonNegativeInt
from lora_lint.view import View

NAME = "qwen3_vl"
TITLE = "Qwen3-VL"
DOCS = "https://github.com/QwenLM/Qwen3-VL"
FORKED = True

WHEN_ZERO = {"lora_r": 64, "lora_alpha": 128}
"""`lora_r or 64`, `lora_alpha or 128`: qwen-vl-finetune/qwenvl/train/train_qwen.py:171-172 at 96588727."""


class Config(Rates):
    """qwen-vl-finetune/qwenvl/train/argument.py:42-45 at 96588727; an unknown flag stops HfArgumentParser."""

    ARGPARSE: ClassVar[tuple[str, ...]] = ("shell",)
    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {"lora_rank": "lora_r"}

    lora_enable: bool = False
    lora_r: NonNegativeInt = 64
    lora_alpha: Int = 128
    lora_dropout: float = 0.0
    mm_projector_lr: float | None = None
    vision_tower_lr: float | None = None


_PROGRAMS = ("qwenvl/train/train_qwen", "train_qwen")
_OWN_FLAGS = ("tune_mm_vision", "tune_mm_mlp", "tune_mm_llm", "dataset_use", "data_flatten", "data_packing")


def recognises(document: Document) -> tuple[str, ...]:
    program = runs(document, *_PROGRAMS)
    lora = flags(document, "lora_enable", "lora_r", "lora_alpha")
    own = flags(document, *_OWN_FLAGS)
    ours = lora and (program or len(own) >= 2) and not other_gate(document, "lora_enable")
    return (*program, *lora, *own) if ours else ()


def sites(config: View[Any]) -> Iterator[Site]:
    """One site: the attention of the language model (train_qwen.py:174)."""
    gate = of_program(config, "lora_enable", *_PROGRAMS)
    rank, alpha = (at_gate(_or_default(config, name), gate) for name in ("lora_r", "lora_alpha"))
    yield Site(("q_proj", "k_proj", "v_proj", "o_proj"), rank, alpha, classic, state_of(gate))


def _or_default(config: View[Any], name: str) -> Fact[Any]:
    fact = of_program(config, name, *_PROGRAMS)
    return Fact(WHEN_ZERO[name], fact.path, "derived") if fact.known and fact.value == 0 else fact
