"""SageMaker HyperPod recipes: a `training_config` for verl, for a PEFT trainer (`peft_config`) or for Nova."""

from collections.abc import Iterator
from typing import Any

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks import verl
from lora_lint.frameworks.blocks import at, block, blocks, overrides
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema, Words
from lora_lint.view import View

NAME = "hyperpod"
TITLE = "SageMaker HyperPod recipes"
DOCS = "https://github.com/aws/sagemaker-hyperpod-recipes"


class Config(Schema):
    """`peft_config`: recipes_src/fine-tuning/hydra_config/llmft/peft/lora.yaml at 26319955.

    Its trainer is a container whose code isn't published, so what is absent is unknown.
    """

    peft_type: str | None = None
    r: PositiveInt | None = None
    lora_alpha: Number | None = None
    target_modules: Words | None = None
    use_dora: bool = False


class Nova(Schema):
    """`peft` of Nova's recipes, which never name a rank: recipes_collection/recipes/fine-tuning/nova at 26319955."""

    peft_scheme: str | None = None
    lora_tuning: dict[str, Any] | None = None


_BASES = ("training_config.", "recipes.training_config.", "training.training_config.", "")
_LLMFT = tuple(f"{base}model_config.peft_config" for base in _BASES)
_NOVA = tuple(f"{base}{owner}" for base in _BASES[:3] for owner in ("model.peft", "trainer.peft", "peft"))
_VERL = tuple(f"{base}{owner}" for base in _BASES for owner in verl.OWNERS)
_OWN_KEYS = ("display_name", "training_config", "recipes", "run")


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax not in ("yaml", "json"):
        return ()
    own = tuple(key for key in _OWN_KEYS if key in block(document.data, ()))
    llmft = tuple(mark for owner in _LLMFT for mark in overrides(document, owner, "r", "lora_alpha", "peft_type"))
    nova = tuple(mark for owner in _NOVA for mark in overrides(document, owner, "peft_scheme", "lora_tuning"))
    trained = tuple(mark for owner in _VERL for mark in verl.marks(document, owner))
    return (*own, *llmft, *nova, *trained) if llmft or (own and (nova or trained)) else ()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield from blocks(document, Config, ("r", "lora_alpha"), *_LLMFT)
    yield from blocks(document, Nova, ("lora_tuning",), *_NOVA)
    yield from verl.models(document, *_VERL)


SAYS = ("base_model",)


def says(config: View[Any], word: str) -> Fact[Any] | None:
    """That of Nova is a name of the service's."""
    if word != "base_model":
        return None
    keys = ("model_config.model_name_or_path", "model.model_name")
    names = [f"{base}{key}" for base in _BASES for key in keys]
    return at(config.document, *names, "run.model_name_or_path") or verl.base_model(config, *_BASES)


def sites(config: View[Any]) -> Iterator[Site]:
    if isinstance(config.model, Nova):
        yield from _nova(config)
    elif isinstance(config.model, Config):
        state: State = "active" if config.model.peft_type in ("lora", None) else "not-lora"
        rank, alpha = (_unless_null(config.fact(name)) for name in ("r", "lora_alpha"))
        method = "dora" if config.model.use_dora else "lora"
        yield Site(tuple(config.model.target_modules or ("*",)), rank, alpha, classic, state, method)
    else:
        yield from verl.sites(config)


def _nova(config: View[Nova]) -> Iterator[Site]:
    tuning = config.model.lora_tuning or {}
    alpha = tuning.get("alpha")
    path = (*config.path, "lora_tuning", "alpha")
    known = isinstance(alpha, int | float) and not isinstance(alpha, bool)
    scheme = config.model.peft_scheme
    if known:
        rank: Fact[Any] = Fact(Unknown("", "Nova keeps its rank to itself"), path, "unknown")
        yield Site(("*",), rank, Fact(alpha, path), classic, "active" if scheme == "lora" else "off")


def _unless_null(fact: Fact[Any]) -> Fact[Any]:
    if not fact.known or fact.value is not None:
        return fact
    return Fact(Unknown("", "the recipe doesn't say it"), fact.path, "unknown")
