"""Qwen-VL-Series-Finetune and its siblings by 2U1: `src/train/train_sft.py --lora_enable True --lora_rank N`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document
from lora_lint.facts import Site
from lora_lint.frameworks.commands import flags, runs
from lora_lint.frameworks.gates import at_gate, of_program, other_gate, state_of
from lora_lint.frameworks.trainer import Rates
from lora_lint.scaling import classic
from lora_lint.schema import Int, PositiveInt
from lora_lint.view import View

NAME = "qwen_vl_series"
TITLE = "Qwen-VL-Series-Finetune"
DOCS = "https://github.com/2U1/Qwen-VL-Series-Finetune"
FORKED = True


class Config(Rates):
    """src/params.py:89-101 and train/train_sft.py:122-130 at 93fef862; an unknown flag stops HfArgumentParser."""

    ARGPARSE: ClassVar[tuple[str, ...]] = ("shell",)
    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {"lora_r": "lora_rank"}

    SPELLED: ClassVar[Mapping[str, str]] = {
        "base_model": ".model_id",
        "must_freeze_llm": "freeze_llm",
        "must_freeze_vision": "freeze_vision_tower",
    }

    freeze_llm: Any = None
    freeze_vision_tower: Any = None
    lora_enable: bool = False
    vision_lora: bool = False
    use_dora: bool = False
    lora_rank: PositiveInt = 64
    lora_alpha: Int = 16
    lora_dropout: float = 0.05
    lora_weight_path: str = ""
    lora_bias: str = "none"
    lora_namespan_exclude: str | None = None
    num_lora_modules: int = -1
    vision_lr: float | None = None
    merger_lr: float | None = None


_STAGES = ("train/train_sft", "train/train_dpo", "train/train_grpo", "train/train_cls", "training/train")
_PROGRAMS = tuple(f"src/{stage}" for stage in _STAGES)
_LORA_FLAGS = ("lora_enable", "lora_rank", "lora_alpha")
_OWN_FLAGS = ("vision_lora", "lora_namespan_exclude", "num_lora_modules", "freeze_llm", "freeze_merger", "merger_lr")


def recognises(document: Document) -> tuple[str, ...]:
    program = runs(document, *_PROGRAMS)
    lora = flags(document, *_LORA_FLAGS)
    own = flags(document, *_OWN_FLAGS)
    ours = lora and own and (program or len(own) >= 2) and not other_gate(document, "lora_enable")
    return (*program, *lora, *own) if ours else ()


def sites(config: View[Any]) -> Iterator[Site]:
    """Linear layers and embeddings of the language model, those of the vision tower too with `vision_lora`.

    src/train/train_sft.py:210-216 at 93fef862.
    """
    gate, *both = (of_program(config, name, *_PROGRAMS) for name in ("lora_enable", "lora_rank", "lora_alpha"))
    rank, alpha = (at_gate(fact, gate) for fact in both)
    modules = ("language_model", "visual") if config.model.vision_lora else ("language_model",)
    yield Site(modules, rank, alpha, classic, state_of(gate), "dora" if config.model.use_dora else "lora")
