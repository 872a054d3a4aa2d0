"""OneTrainer: a JSON with `training_method: LORA`, `lora_rank` and `lora_alpha`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.gates import at_gate
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "onetrainer"
TITLE = "OneTrainer"
DOCS = "https://github.com/Nerogar/OneTrainer/wiki/LoRA"
CONVENTION = "r"


class Config(Schema, strict=False):
    """modules/util/config/TrainConfig.py:1229-1251 at 23df3832; values go through `int` and `float` beside it.

    The scale is alpha over rank, whatever they are (modules/module/LoRAModule.py:581).
    """

    SPELLED: ClassVar[Mapping[str, str]] = {"optim": "optimizer.optimizer", "base_model": "base_model_name"}

    base_model_name: Any = None
    learning_rate: Any = None
    training_method: str = "FINE_TUNE"
    peft_type: str = "LORA"
    lora_weight_dtype: Any = None
    lora_rank: PositiveInt = 16
    lora_alpha: Number = 1.0
    lora_decompose: bool = False
    lokr_dim: PositiveInt = 16


_OWN_KEYS = ("base_model_name", "model_type", "output_model_format", "concept_file_name", "training_method")
_LORA_KEYS = ("lora_rank", "lora_alpha", "peft_type")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax != "json" or not isinstance(data, dict) or "training_method" not in data:
        return ()
    own = tuple(key for key in _OWN_KEYS if key in data)
    return (*own, *(key for key in _LORA_KEYS if key in data)) if len(own) >= 2 else ()


def says(config: View[Config], word: str) -> Fact[Any] | None:
    """An adapter in float16 is trained without a scaled loss: modules/util/dtype_util.py:9 at 23df3832."""
    if word == "fp16_adapter":
        dtype = config.fact("lora_weight_dtype")
        return Fact(True, dtype.path) if dtype.known and dtype.value == "FLOAT_16" else None
    return Fact("diffusion", (), "derived") if word == "stage" else None


def sites(config: View[Config]) -> Iterator[Site]:
    """Saved configs hold every key; one of another method keeps its LoRA keys and doesn't read them."""
    gate = config.fact("training_method")
    if config.model.training_method != "LORA" and not (config.has("lora_rank") or config.has("lora_alpha")):
        return
    kind = config.model.peft_type
    state: State = "off" if config.model.training_method != "LORA" else "active" if kind == "LORA" else "not-lora"
    rank: Fact[Any] = config.fact("lokr_dim" if kind == "LOKR" else "lora_rank")
    alpha: Fact[Any] = config.fact("lora_alpha")
    method = "dora" if kind == "LORA" and config.model.lora_decompose else kind.lower()
    yield Site(("*",), at_gate(rank, gate), at_gate(alpha, gate), classic, state, method)
