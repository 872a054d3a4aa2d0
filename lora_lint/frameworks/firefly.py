"""Firefly: the JSON of `train.py --train_args_file`, with `train_mode`, `lora_rank` and `lora_alpha`."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from lora_lint.document import Document
from lora_lint.facts import Site, State
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "firefly"
TITLE = "Firefly"
DOCS = "https://github.com/yangjianxin1/Firefly"


class Config(Schema):
    """component/argument.py:19-22 at e22b406a; HfArgumentParser refuses keys that it doesn't know."""

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model_name_or_path"}

    train_mode: str = "qlora"
    lora_rank: PositiveInt = 64
    lora_alpha: Number = 16
    lora_dropout: float = 0.05
    use_unsloth: bool = False


_OWN_KEYS = ("template_name", "train_file", "train_mode", "max_seq_length", "max_prompt_length", "task_type")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax not in ("json", "yaml") or not isinstance(data, dict) or "train_file" not in data:
        return ()
    own = tuple(key for key in _OWN_KEYS if key in data)
    lora = tuple(key for key in ("lora_rank", "lora_alpha") if key in data)
    named = "template_name" in data or "train_mode" in data
    return (*own, *lora) if named and lora and "max_seq_length" in data else ()


def sites(config: View[Config]) -> Iterator[Site]:
    """Every linear layer but the head (train.py:76-92)."""
    state: State = "off" if config.model.train_mode == "full" else "active"
    yield Site(("all-linear",), config.fact("lora_rank"), config.fact("lora_alpha"), classic, state)
