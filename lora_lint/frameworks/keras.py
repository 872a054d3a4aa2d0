"""Keras and KerasHub in Python: `enable_lora(rank)` and layers made with `lora_rank=`."""

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Kind, Site
from lora_lint.frameworks.derivation import from_rank
from lora_lint.frameworks.required import required
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "keras"
TITLE = "Keras"
DOCS = "https://keras.io/keras_hub/guides/"
CONVENTION = "r"


class Enable(Schema):
    """`enable_lora` of a layer: keras/src/layers/core/dense.py:251-257 and :312 at 3422977a; alpha None is the rank."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("rank", "lora_alpha")

    rank: PositiveInt | None = None
    lora_alpha: Number | None = None


class Backbone(Schema):
    """`Backbone.enable_lora` has no alpha: keras_hub/src/models/backbone.py:195 and :223 at 71453d08."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("rank", "target_layer_names")

    rank: PositiveInt | None = None
    target_layer_names: list[str] | None = None


class Config(Schema):
    """A layer's constructor.

    Dense and Embedding enable LoRA without the alpha that they were given, which makes it the rank (core/dense.py:161
    and core/embedding.py:167 at 3422977a). EinsumDense and the convolutions keep it (core/einsum_dense.py:235,
    convolutional/base_conv.py:225).
    """

    lora_rank: PositiveInt | None = None
    lora_alpha: Number | None = None


_LAYER = re.compile(r"(.*\.)?(Dense|Embedding|EinsumDense|(Depthwise)?Conv[123]D)")
_LOSES_ALPHA = ("Dense", "Embedding")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax != "python" or not isinstance(data, dict):
        return ()
    name = _called(document).rpartition(".")[2]
    if name == "enable_lora":
        return (name,) if "rank" in data or type(data.get(0)) is int else ()
    return (name, "lora_rank") if _LAYER.fullmatch(_called(document)) and data.get("lora_rank") is not None else ()


def _called(document: Document) -> str:
    """The method itself where a method of that name calls it for every layer, as a backbone's does."""
    return document.callee if document.callee.endswith("enable_lora") else document.called


def kind(_: Document) -> Kind:
    return "source"


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    data = document.data
    assert isinstance(data, dict)
    owner, _, name = _called(document).rpartition(".")
    if name != "enable_lora":
        yield Config, ()
    else:
        of_layer = "lora_alpha" in data or re.search("layer|dense|embed|conv", owner, re.IGNORECASE)
        yield (Enable if of_layer else Backbone), ()


def sites(config: View[Any]) -> Iterator[Site]:
    name = _called(config.document).rpartition(".")[2]
    rank: Fact[Any] = required(config.fact("lora_rank" if isinstance(config.model, Config) else "rank"), "rank")
    if isinstance(config.model, Backbone):
        yield Site(tuple(config.model.target_layer_names or ("*",)), rank, from_rank(rank), classic, fixed=True)
        return
    alpha: Fact[Any] = config.fact("lora_alpha")
    fixed = name in _LOSES_ALPHA
    if fixed or (alpha.known and alpha.value is None):
        alpha = from_rank(rank, alpha.path)
    yield Site(("*",), rank, alpha, classic, fixed=fixed)
