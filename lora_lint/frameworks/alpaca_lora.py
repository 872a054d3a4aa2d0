"""Alpaca-LoRA and what grew from it (LLM-Adapters): `finetune.py --base_model X --lora_r N --lora_alpha M`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document
from lora_lint.facts import Site, State
from lora_lint.frameworks.commands import flags
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "alpaca_lora"
TITLE = "Alpaca-LoRA"
DOCS = "https://github.com/tloen/alpaca-lora"
FORKED = True
STAGE = "sft"


class Config(Schema):
    """finetune.py:41-47 at 8bb8579e; LLM-Adapters has the same (finetune.py:46-49 at 81665720), and `adapter_name`.

    DoRA's own repository is a copy of that with one method more (commonsense_reasoning/finetune.py:228 at 7e2f10aa).
    fire refuses a flag that the function doesn't have.
    """

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {"lora_rank": "lora_r"}
    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".base_model"}

    lora_r: PositiveInt = 8
    lora_alpha: Number = 16
    lora_dropout: float = 0.05
    lora_target_modules: Any = None
    target_modules: Any = None
    adapter_name: str = "lora"
    use_rslora: Any = None


_LORA_FLAGS = ("lora_r", "lora_alpha", "lora_target_modules", "lora_dropout")
_OWN_FLAGS = (
    "data_path",
    "cutoff_len",
    "micro_batch_size",
    "val_set_size",
    "num_epochs",
    "train_on_inputs",
    "prompt_template_name",
    "adapter_name",
)


def recognises(document: Document) -> tuple[str, ...]:
    lora, own = flags(document, *_LORA_FLAGS), flags(document, *_OWN_FLAGS)
    return ("--base_model", *lora, *own) if lora and len(own) >= 2 and flags(document, "base_model") else ()


def sites(config: View[Config]) -> Iterator[Site]:
    method = config.model.adapter_name
    state: State = "active" if method in ("lora", "dora") else "not-lora"
    yield Site(("*",), config.fact("lora_r"), config.fact("lora_alpha"), classic, state, method)
