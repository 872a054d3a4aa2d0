"""FastChat: `fastchat/train/train_lora.py --lora_r N --lora_alpha N`, which always trains with LoRA."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document
from lora_lint.facts import Site
from lora_lint.frameworks.commands import flags, runs
from lora_lint.frameworks.trainer import Rates
from lora_lint.scaling import classic
from lora_lint.schema import Int, PositiveInt, Words
from lora_lint.view import View

NAME = "fastchat"
TITLE = "FastChat"
DOCS = "https://github.com/lm-sys/FastChat/blob/main/docs/training.md"
FORKED = True
STAGE = "sft"


class Config(Rates):
    """fastchat/train/train_lora.py:56-65 at 0e6d3e4b, train_lora_t5.py:59-66 the same; HfArgumentParser is strict."""

    ARGPARSE: ClassVar[tuple[str, ...]] = ("shell",)
    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {"lora_rank": "lora_r"}

    lora_r: PositiveInt = 8
    lora_alpha: Int = 16
    lora_dropout: float = 0.05
    lora_target_modules: Words | None = None
    lora_weight_path: str = ""
    lora_bias: str = "none"
    q_lora: bool = False


_OWN_PROGRAMS = ("fastchat/train/train_lora", "fastchat/train/train_lora_t5")


def recognises(document: Document) -> tuple[str, ...]:
    own = runs(document, *_OWN_PROGRAMS)
    lora = flags(document, "lora_r", "lora_alpha", "lora_dropout", "q_lora", "lora_target_modules")
    if not own and not ("--q_lora" in lora and runs(document, "train_lora", "train_lora_t5")):
        return ()
    return (document.callee, *lora)


def sites(config: View[Any]) -> Iterator[Site]:
    t5 = config.document.callee.removesuffix(".py").endswith("_t5")
    modules = tuple(config.model.lora_target_modules or (("q", "v") if t5 else ("q_proj", "v_proj")))
    yield Site(modules, config.fact("lora_r"), config.fact("lora_alpha"), classic)
