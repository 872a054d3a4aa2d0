"""SpeechBrain: `AdaptedModel` with `adapter_class: !name:speechbrain.nnet.adapters.LoRA` in HyperPyYAML."""

import re
from collections.abc import Iterator, Mapping

from lora_lint.document import Document, Path
from lora_lint.facts import Site
from lora_lint.frameworks.blocks import mappings
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "speechbrain"
TITLE = "SpeechBrain"
DOCS = "https://speechbrain.readthedocs.io/en/latest/API/speechbrain.nnet.adapters.html"

_CLASS = "speechbrain.nnet.adapters.LoRA"
_ADAPTERS = re.compile(r"speechbrain\.nnet\.adapters\.(\w+)")


class Config(Schema):
    """speechbrain/nnet/adapters.py:358-408 of 1.1.2: the layer multiplies by alpha/rank."""

    rank: PositiveInt = 16
    alpha: Number = 1.0


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax == "python":
        return (_CLASS,) if document.callee == _CLASS else ()
    # What a tag stands for isn't in the data: a file that names this class and no other adapter means it.
    if document.syntax != "yaml" or {*_ADAPTERS.findall(document.source.text)} - {"AdaptedModel"} != {"LoRA"}:
        return ()
    return tuple(".".join(map(str, path)) for path in _arguments(document))


def _arguments(document: Document) -> Iterator[Path]:
    for path, mapping in mappings(document.data):
        if "adapter_class" in mapping and isinstance(mapping.get("adapter_kwargs"), Mapping):
            yield (*path, "adapter_kwargs")


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    for path in _arguments(document) if document.syntax != "python" else ((),):
        yield Config, path


def sites(config: View[Config]) -> Iterator[Site]:
    rank, alpha = config.fact("rank"), config.fact("alpha")
    yield Site(("*",), rank, alpha, classic)
