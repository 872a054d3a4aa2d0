"""SwissArmyTransformer, with which CogVLM, CogVideoX and VisualGLM are trained: `LoraMixin(r=)`, with an alpha of 1."""

from collections.abc import Iterator
from typing import Any, ClassVar

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.blocks import instantiated
from lora_lint.scaling import classic
from lora_lint.schema import NonNegativeInt, Number, Schema
from lora_lint.view import View

NAME = "sat"
TITLE = "SwissArmyTransformer"
DOCS = "https://github.com/THUDM/SwissArmyTransformer"

_MIXIN = "sat.model.finetune.lora2.LoraMixin"


class Config(Schema):
    """sat/model/finetune/lora2.py:181-199 of 0.4.12: the layers multiply by alpha/r."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("layer_num", "r", "lora_alpha", "lora_dropout", "layer_range")

    r: NonNegativeInt = 0
    lora_alpha: Number = 1
    lora_dropout: float = 0.0


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax == "python":
        return (_MIXIN,) if document.callee == _MIXIN else ()
    if document.syntax not in ("yaml", "json"):
        return ()
    return tuple(".".join(map(str, (*path, "target"))) for path in _mixins(document))


def _mixins(document: Document) -> Iterator[Path]:
    for target, path in instantiated(document.data, "sat.", key="target"):
        if target == _MIXIN:
            yield path


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    if document.syntax == "python":
        yield Config, ()
        return
    for path in _mixins(document):
        yield Config, (*path, "params")


def sites(config: View[Config]) -> Iterator[Site]:
    rank: Fact[Any] = config.fact("r")
    off = rank.known and not rank.value
    yield Site(("*",), rank, config.fact("lora_alpha"), classic, "off" if off else "active")
