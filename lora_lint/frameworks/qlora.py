"""QLoRA, the repository of the paper: `qlora.py --bits 4 --lora_r N --lora_alpha M`."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from lora_lint.document import Document
from lora_lint.facts import Site, State
from lora_lint.frameworks.commands import flags, runs
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "qlora"
TITLE = "QLoRA"
DOCS = "https://github.com/artidoro/qlora"
FORKED = True
STAGE = "sft"


class Config(Schema):
    """qlora.py:157-188 at 7f4e95a6. HfArgumentParser keeps unknown flags apart for generation and stops at the rest."""

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model_name_or_path"}

    full_finetune: bool = False
    bits: int = 4
    lora_r: PositiveInt = 64
    lora_alpha: Number = 16
    lora_dropout: float = 0.0


_FLAGS = (
    "lora_r",
    "lora_alpha",
    "lora_modules",
    "bits",
    "double_quant",
    "quant_type",
    "do_mmlu_eval",
    "source_max_len",
)


def recognises(document: Document) -> tuple[str, ...]:
    program, given = runs(document, "qlora"), flags(document, *_FLAGS)
    return (*program, *given) if program and given else ()


def sites(config: View[Config]) -> Iterator[Site]:
    state: State = "off" if config.model.full_finetune else "active"
    yield Site(("all-linear",), config.fact("lora_r"), config.fact("lora_alpha"), classic, state)
