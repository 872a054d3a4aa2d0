"""MiniCPM-V: `finetune.py --use_lora true`, with `--lora_r` and `--lora_alpha`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document
from lora_lint.facts import Site
from lora_lint.frameworks.commands import flags, runs
from lora_lint.frameworks.gates import gated, other_gate
from lora_lint.frameworks.trainer import Rates
from lora_lint.schema import Int, PositiveInt
from lora_lint.view import View

NAME = "minicpm_v"
TITLE = "MiniCPM-V"
DOCS = "https://github.com/OpenBMB/MiniCPM-V"
FORKED = True


class Config(Rates):
    """finetune/finetune.py:54-70 at 0dbb566d; the targets are one regular expression.

    Nothing is read unless `use_lora` is true (line 219). An unknown flag stops HfArgumentParser.
    """

    ARGPARSE: ClassVar[tuple[str, ...]] = ("shell",)
    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {"lora_rank": "lora_r"}

    use_lora: bool = False
    lora_r: PositiveInt = 64
    lora_alpha: Int = 64
    lora_dropout: float = 0.05
    lora_target_modules: str = r"llm\..*layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj)"
    lora_weight_path: str = ""
    lora_bias: str = "none"
    lora_modules_to_save: str = ""
    lora_layers_pattern: str | None = None
    q_lora: bool = False


def recognises(document: Document) -> tuple[str, ...]:
    program = runs(document, "finetune")
    lora = flags(document, "use_lora", "q_lora", "lora_r", "lora_alpha", "lora_target_modules")
    own = flags(document, "llm_type", "tune_vision", "tune_llm", "max_slice_nums")
    ours = program and lora and own and not other_gate(document, "use_lora")
    return (*program, *lora, *own) if ours else ()


def sites(config: View[Any]) -> Iterator[Site]:
    yield gated(config, "use_lora", (config.model.lora_target_modules,))
