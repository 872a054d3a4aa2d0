"""TinyLLaVA Factory: `tinyllava/train/train.py --training_recipe lora --tune_type_llm lora` with LLaVA's flags."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document
from lora_lint.facts import Site, State
from lora_lint.frameworks.commands import flags, runs
from lora_lint.scaling import classic
from lora_lint.schema import Int, PositiveInt, Schema
from lora_lint.view import View

NAME = "tiny_llava"
TITLE = "TinyLLaVA"
DOCS = "https://github.com/TinyLLaVA/TinyLLaVA_Factory"
FORKED = True


class Config(Schema):
    """tinyllava/utils/arguments.py:50-76 at 53f12c78; an unknown flag stops HfArgumentParser."""

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model_name_or_path"}

    training_recipe: str = "common"
    tune_type_llm: str = "frozen"
    tune_type_vision_tower: str = "frozen"
    tune_type_connector: str = "full"
    lora_r: PositiveInt = 64
    lora_alpha: Int = 16
    lora_dropout: float = 0.05
    lora_weight_path: str = ""
    lora_bias: str = "none"
    mm_projector_lr: float | None = None


_PARTS = {"llm": "language_model", "vision_tower": "vision_tower", "connector": "connector"}


def recognises(document: Document) -> tuple[str, ...]:
    program = runs(document, "tinyllava/train/train", "tinyllava/train/custom_finetune")
    lora = flags(document, "lora_r", "lora_alpha", "lora_dropout", "training_recipe")
    own = flags(document, "tune_type_llm", "tune_type_vision_tower", "tune_type_connector", "connector_type")
    return (*program, *lora, *own) if lora and own and program else ()


def sites(config: View[Any]) -> Iterator[Site]:
    """One site for the parts that are tuned by LoRA; nothing for a run that says nothing of it.

    tinyllava/training_recipe/lora_recipe.py:25-40 at 53f12c78; qlora_recipe.py has `qlora` for the parts.
    """
    tuned = {part: config.fact(f"tune_type_{name}") for name, part in _PARTS.items()}
    parts = tuple(part for part, fact in tuned.items() if fact.known and fact.value in ("lora", "qlora"))
    unclear = any(not fact.known for fact in tuned.values())
    if parts or unclear or config.has("lora_r") or config.has("lora_alpha"):
        state = _state(config) if parts or unclear else "off"
        yield Site(parts or ("*",), config.fact("lora_r"), config.fact("lora_alpha"), classic, state)


def _state(config: View[Any]) -> State:
    recipe = config.fact("training_recipe")
    return "active" if not recipe.known or recipe.value in ("lora", "qlora_int8") else "off"
