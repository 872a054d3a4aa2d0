"""InternLM-XComposer: `finetune.py --use_lora True`, with `--lora_r` and `--lora_alpha`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from lora_lint.document import Document
from lora_lint.facts import Site
from lora_lint.frameworks.commands import flags, runs
from lora_lint.frameworks.gates import gated, other_gate
from lora_lint.schema import Int, PositiveInt, Schema, Words
from lora_lint.view import View

NAME = "xcomposer"
TITLE = "InternLM-XComposer"
DOCS = "https://github.com/InternLM/InternLM-XComposer"
FORKED = True

_TARGETS = ("attention.wqkv", "attention.wo", "feed_forward.w1", "feed_forward.w2", "feed_forward.w3")


class Config(Schema):
    """finetune/finetune.py:46-66 at 0f70c3e3; nothing is read unless `use_lora` is true (line 273)."""

    ARGPARSE: ClassVar[tuple[str, ...]] = ("shell",)
    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {"lora_rank": "lora_r"}
    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model_name_or_path"}

    use_lora: bool = False
    lora_r: PositiveInt = 64
    lora_alpha: Int = 64
    lora_dropout: float = 0.05
    lora_target_modules: Words = Field(default_factory=lambda: list(_TARGETS))
    lora_weight_path: str = ""
    lora_bias: str = "none"


def recognises(document: Document) -> tuple[str, ...]:
    program = runs(document, "finetune")
    lora = flags(document, "use_lora", "lora_r", "lora_alpha")
    own = flags(document, "given_num", "hd_num", "fix_sampler", "img_size")
    ours = program and lora and own and not other_gate(document, "use_lora")
    return (*program, *lora, *own) if ours else ()


def sites(config: View[Any]) -> Iterator[Site]:
    yield gated(config, "use_lora", tuple(config.model.lora_target_modules))
