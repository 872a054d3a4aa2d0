"""Qwen and Qwen-VL: `finetune.py --use_lora [--q_lora]`, with `--lora_r` and `--lora_alpha`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from lora_lint.document import Document
from lora_lint.facts import Site
from lora_lint.frameworks.commands import flags, runs
from lora_lint.frameworks.gates import gated, other_gate
from lora_lint.frameworks.trainer import Rates
from lora_lint.schema import Int, PositiveInt, Words
from lora_lint.view import View

NAME = "qwen_vl"
TITLE = "Qwen's finetune.py"
DOCS = "https://github.com/QwenLM/Qwen-VL"
FORKED = True


class Config(Rates):
    """finetune.py:50-63 of Qwen-VL at aa00ed04 and of Qwen at 2df8e8ac; the target for Qwen itself is `c_proj`.

    Nothing is read unless `use_lora` is true (line 322). An unknown flag stops HfArgumentParser.
    """

    ARGPARSE: ClassVar[tuple[str, ...]] = ("shell",)
    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {"lora_rank": "lora_r"}

    use_lora: bool = False
    lora_r: PositiveInt = 64
    lora_alpha: Int = 16
    lora_dropout: float = 0.05
    lora_target_modules: Words = Field(default_factory=lambda: ["c_attn", "attn.c_proj", "w1", "w2"])
    lora_weight_path: str = ""
    lora_bias: str = "none"
    q_lora: bool = False


def recognises(document: Document) -> tuple[str, ...]:
    """`finetune.py --use_lora` is InternLM-XComposer's and MiniCPM-V's too: Qwen's own flags decide."""
    program = runs(document, "finetune")
    lora = flags(document, "use_lora", "lora_r", "lora_alpha")
    own = flags(document, "lazy_preprocess", "fix_vit", "q_lora")
    others = flags(document, "given_num", "hd_num", "fix_sampler", "img_size", "llm_type", "tune_vision", "vla_path")
    ours = program and lora and own and not others and not other_gate(document, "use_lora")
    return (*program, *lora, *own) if ours else ()


def sites(config: View[Any]) -> Iterator[Site]:
    yield gated(config, "use_lora", tuple(config.model.lora_target_modules))
