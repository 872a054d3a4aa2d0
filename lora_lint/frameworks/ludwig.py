"""Ludwig: `adapter: {type: lora, r, alpha}` of an LLM or of a text encoder, where alpha is twice r unless set."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import Field

from lora_lint.document import Document, Path, lookup
from lora_lint.facts import Site
from lora_lint.frameworks import peft
from lora_lint.frameworks.derivation import from_rank
from lora_lint.frameworks.required import required
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "ludwig"
TITLE = "Ludwig"
DOCS = "https://ludwig.ai/latest/configuration/large_language_model/#lora"

ALPHA_PER_RANK = 2
_LUDWIG = re.compile(r"^\s*(from|import) ludwig\b", re.MULTILINE)


class Config(peft.Config):
    """ludwig/schema/llms/peft.py:146-283 at 5d19f3e6: PEFT's settings, with `alpha` None meaning `2 * r` (line 149)."""

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {
        "rank": "r",
        "lora_r": "r",
        "lora_rank": "r",
        "lora_alpha": "alpha",
        "lora_dropout": "dropout",
    }

    SPELLED: ClassVar[Mapping[str, str]] = {
        "base_model": ".base_model",
        "learning_rate": "trainer.learning_rate",
        "optim": "trainer.optimizer.type",
    }

    type: str = "lora"
    lora_alpha: PositiveInt | None = Field(None, validation_alias="alpha")
    lora_dropout: float | None = Field(0.05, validation_alias="dropout")
    bias_type: str = "none"
    init_lora_weights: str | bool = "default"
    loraplus_lr_ratio: float | None = None
    pretrained_adapter_weights: str | None = None
    postprocessor: dict[str, Any] | None = None


class Other(Schema):
    """An adapter of another type, some of which have a rank of their own."""

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".base_model"}

    type: str = ""
    r: PositiveInt | None = None
    alpha: Number | None = None


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax == "python":
        return (document.callee, "ludwig") if document.callee == "lora" and _LUDWIG.search(document.source.text) else ()
    if document.syntax not in ("yaml", "json") or not isinstance(data, dict) or "input_features" not in data:
        return ()
    model_type = ("model_type",) if data.get("model_type") in ("llm", "ecd") else ()
    paths = list(_adapters(data))
    keys = (f"{'.'.join(map(str, path))}.{key}" for path in paths for key in ("type", "r") if _has(data, path, key))
    return ("input_features", *model_type, ".".join(map(str, paths[0])), *keys) if paths else ()


def _has(data: object, path: Path, key: str) -> bool:
    adapter = lookup(data, path)
    return isinstance(adapter, dict) and key in adapter


def _adapters(data: dict[Any, Any]) -> Iterator[Path]:
    """Where adapters stand; `adapter: lora` is short for one with all defaults."""
    if _is_adapter(data.get("adapter")):
        yield ("adapter",)
    features = data["input_features"]
    for index, feature in enumerate(features if isinstance(features, list) else ()):
        encoder = feature.get("encoder") if isinstance(feature, dict) else None
        if isinstance(encoder, dict) and _is_adapter(encoder.get("adapter")):
            yield ("input_features", index, "encoder", "adapter")


def _is_adapter(value: object) -> bool:
    return value == "lora" or (isinstance(value, dict) and isinstance(value.get("type"), str))


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    data = document.data
    assert isinstance(data, dict)
    if document.syntax == "python":
        yield Config, ()
        return
    for path in _adapters(data):
        adapter = lookup(data, path)
        is_lora = not isinstance(adapter, dict) or adapter["type"] == "lora"
        yield (Config if is_lora else Other), path


def sites(config: View[Any]) -> Iterator[Site]:
    if isinstance(config.model, Other):
        rank, alpha = (required(config.fact(name), name) for name in ("r", "alpha"))
        yield Site(("*",), rank, alpha, classic, "not-lora", config.model.type)
        return
    for site in peft.sites(config):
        assert site.alpha is not None
        unset = site.alpha.known and site.alpha.value is None
        yield replace(site, alpha=from_rank(config.fact("r"), factor=ALPHA_PER_RANK)) if unset else site
