"""H2O LLM Studio: a cfg.yaml whose section `training` has `lora`, `lora_r` and `lora_alpha`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path
from lora_lint.facts import Site
from lora_lint.frameworks.gates import state_of
from lora_lint.scaling import classic, rslora
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "h2o_llm_studio"
TITLE = "H2O LLM Studio"
DOCS = "https://docs.h2o.ai/h2o-llmstudio/guide/experiments/experiment-settings"


class Config(Schema):
    """llm_studio/python_configs/text_causal_language_modeling_config.py:189-196 at a4971c11.

    The keys go into a PEFT LoraConfig (llm_studio/src/utils/modeling_utils.py:1066).
    """

    UNKNOWN_KEYS: ClassVar[str] = "ignores it without a word"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".llm_backbone", "optim": "optimizer"}

    learning_rate: Number | None = None
    optimizer: Any = None
    lora: bool = True
    use_dora: bool = False
    lora_r: PositiveInt = 4
    lora_alpha: PositiveInt = 16
    lora_dropout: float = 0.05
    use_rslora: bool = False
    lora_target_modules: str = ""
    lora_unfreeze_layers: list[str] | None = None


_SECTIONS = ("architecture", "tokenizer", "prediction", "augmentation", "environment", "dataset")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax not in ("yaml", "json") or not isinstance(data, dict):
        return ()
    training = data.get("training")
    if not isinstance(training, dict) or not {"lora_r", "lora_alpha"} & training.keys():
        return ()
    own = ("llm_backbone",) if "llm_backbone" in data else ()
    sections = tuple(name for name in _SECTIONS if isinstance(data.get(name), dict))
    keys = tuple(f"training.{key}" for key in ("lora", "lora_r", "lora_alpha") if key in training)
    return (*own, *sections, *keys) if own or len(sections) >= 3 else ()


def configs(_: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield Config, ("training",)


def sites(config: View[Config]) -> Iterator[Site]:
    model = config.model
    modules = tuple(name.strip() for name in model.lora_target_modules.split(",") if name.strip()) or ("all-linear",)
    yield Site(
        modules,
        config.fact("lora_r"),
        config.fact("lora_alpha"),
        rslora if model.use_rslora else classic,
        state_of(config.fact("lora")),
        "dora" if model.use_dora else "lora",
    )
