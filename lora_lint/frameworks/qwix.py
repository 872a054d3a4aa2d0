"""Google's Qwix, which Tunix trains with: `qwix.LoraProvider(rank=, alpha=)` and its `LoraRule`."""

from collections.abc import Iterator

from lora_lint.document import Document
from lora_lint.facts import Kind, Site
from lora_lint.frameworks.required import required
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "qwix"
TITLE = "Qwix"
DOCS = "https://qwix.readthedocs.io/en/latest/lora.html"


class Config(Schema):
    """qwix/_src/providers/lora.py:69-73 at aa623acb: no defaults; the layer multiplies by alpha / rank (317)."""

    rank: PositiveInt | None = None
    alpha: Number | None = None
    module_path: str = ".*"


_CLASSES = ("LoraProvider", "LoraRule")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax != "python" or not isinstance(data, dict):
        return ()
    ours = document.called.rpartition(".")[2] in _CLASSES
    return (document.called,) if ours and {"rank", "alpha"} & data.keys() else ()


def kind(_: Document) -> Kind:
    return "source"


def sites(config: View[Config]) -> Iterator[Site]:
    rank, alpha = (required(config.fact(name), name) for name in ("rank", "alpha"))
    yield Site((config.model.module_path,), rank, alpha, classic)
