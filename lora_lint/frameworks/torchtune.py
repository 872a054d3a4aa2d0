"""torchtune: a YAML whose `model._component_` is a LoRA builder, and `tune run RECIPE model.lora_rank=N`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, TargetSyntax
from lora_lint.frameworks.required import required
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "torchtune"
TITLE = "torchtune"
DOCS = "https://docs.pytorch.org/torchtune/stable/tutorials/lora_finetune.html"


def _spelled(name: str) -> AliasChoices:
    """The key under `model:`, or as an override on the command line."""
    return AliasChoices(name, f"model.{name}")


class Config(Schema):
    """torchtune/models/llama3/_model_builders.py:112-121 at bd2a0fc7; all LoRA builders have these parameters.

    Their defaults of 8 and 16 are never reached: the recipes read `cfg_model.lora_rank` and `cfg_model.lora_alpha`
    (recipes/lora_finetune_single_device.py:413-414), and OmegaConf raises ConfigAttributeError where one is missing. A
    key that the builder doesn't take is a TypeError.
    """

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    EXPONENTS: ClassVar[bool] = True
    TARGETS: ClassVar[TargetSyntax] = "words"
    LAYERS_OF: ClassVar[str] = "torchtune"
    SPELLED: ClassVar[Mapping[str, str]] = {
        "learning_rate": "optimizer.lr",
        "target_modules": "lora_attn_modules",
        "optim": "optimizer._component_",
        "gradient_checkpointing": "enable_activation_checkpointing",
    }

    lora_rank: PositiveInt | None = Field(None, validation_alias=_spelled("lora_rank"))
    lora_alpha: Number | None = Field(None, validation_alias=_spelled("lora_alpha"))
    lora_dropout: float = Field(0.0, validation_alias=_spelled("lora_dropout"))
    lora_attn_modules: str | list[str] = Field([], validation_alias=_spelled("lora_attn_modules"))
    apply_lora_to_mlp: bool = Field(False, validation_alias=_spelled("apply_lora_to_mlp"))
    apply_lora_to_output: bool = Field(False, validation_alias=_spelled("apply_lora_to_output"))
    use_dora: bool = Field(False, validation_alias=_spelled("use_dora"))
    quantize_base: bool = Field(False, validation_alias=_spelled("quantize_base"))


_FAMILIES: Mapping[str, str] = {
    "llama2": "meta-llama/Llama-2-",
    "llama3": "meta-llama/Meta-Llama-3-",
    "llama3_1": "meta-llama/Llama-3.1-",
    "llama3_2": "meta-llama/Llama-3.2-",
    "llama3_3": "meta-llama/Llama-3.3-",
    "qwen2": "Qwen/Qwen2-",
    "qwen2_5": "Qwen/Qwen2.5-",
    "qwen3": "Qwen/Qwen3-",
    "gemma": "google/gemma-",
    "gemma2": "google/gemma-2-",
    "mistral": "mistralai/Mistral-",
}
"""Package below torchtune/models -> what the ids of its models begin with, the size apart."""


_BUILDER = re.compile(r"torchtune\.(models\.)?\w+(\.\w+)*\.q?lora_\w+")
_KEYS = ("lora_rank", "lora_alpha", "lora_attn_modules", "apply_lora_to_mlp")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "shell":
        flags = tuple(f"model.{key}" for key in _KEYS if f"model.{key}" in data)
        sized = "model.lora_rank" in data or "model.lora_alpha" in data
        return ("tune run", *flags) if sized and document.words[:2] == ("tune", "run") else ()
    model = data.get("model")
    if document.syntax not in ("yaml", "json") or not isinstance(model, dict):
        return ()
    builder = model.get("_component_")
    if not isinstance(builder, str) or not _BUILDER.fullmatch(builder):
        return ()
    keys = tuple(f"model.{key}" for key in _KEYS if key in model)
    return ("model._component_", *keys) if keys else ()


SAYS = ("stage",)


def says(config: View[Any], word: str) -> Fact[Any] | None:
    data = config.document.data if isinstance(config.document.data, dict) else {}
    if word == "stage":
        return _stage(config.document, _component(data, "loss"))
    return _built(_component(data, "model")) if word == "base_model" else None


def _component(data: Mapping[Any, Any], key: str) -> str:
    block = data.get(key)
    name = block.get("_component_") if isinstance(block, dict) else None
    return name if isinstance(name, str) else ""


def _stage(document: Document, loss: str) -> Fact[Any] | None:
    """The loss tells what a recipe does, as the name of the recipe does in a command."""
    told = " ".join(document.words) if document.syntax == "shell" else loss
    if "CrossEntropyLoss" in told or "lora_finetune" in told:
        return Fact("sft", (), "derived")
    return Fact("dpo", (), "derived") if "DPO" in told or "dpo" in told else None


def _built(builder: str) -> Fact[Any] | None:
    """The builder is made for one model of a known size: `lora_qwen2_5_0_5b` for Qwen2.5 0.5B."""
    package, _, name = builder.removeprefix("torchtune.models.").rpartition(".")
    size = re.search(rf"lora_{re.escape(package)}_(\d+(?:_\d+)?b)(?:_base|_instruct)?\Z", name)
    if size is None or package not in _FAMILIES:
        return None
    return Fact(f"{_FAMILIES[package]}{size[1].replace('_', '.')}", ("model", "_component_"), "derived")


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield Config, () if document.syntax == "shell" else ("model",)


def sites(config: View[Config]) -> Iterator[Site]:
    """One site: a teacher of knowledge distillation is frozen, and has no adapter of its own."""
    model = config.model
    rank: Fact[Any] = config.fact("lora_rank")
    alpha: Fact[Any] = config.fact("lora_alpha")
    if config.document.syntax == "shell":
        rank, alpha = (_in_recipe(fact) for fact in (rank, alpha))
    yield Site(
        _modules(model), required(rank, "lora_rank"), alpha, classic, method="dora" if model.use_dora else "lora"
    )


def _in_recipe(fact: Fact[Any]) -> Fact[Any]:
    if fact.origin != "default":
        return fact
    return Fact(Unknown("", "the config that tune run names sets it"), fact.path, "unknown")


def _modules(model: Config) -> tuple[str, ...]:
    attention = model.lora_attn_modules
    named = attention.strip("[]").split(",") if isinstance(attention, str) else attention
    others = (("mlp", model.apply_lora_to_mlp), ("output", model.apply_lora_to_output))
    return (*(name for name in named if name), *(name for name, adapted in others if adapted)) or ("*",)
