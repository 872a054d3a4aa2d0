"""Google DeepMind's gemma library: `gm.nn.LoRA(rank=, model=)`, which adds `x @ a @ b` as it is."""

from collections.abc import Iterator

from lora_lint.document import Document
from lora_lint.facts import Kind, Site
from lora_lint.frameworks.required import required
from lora_lint.scaling import unscaled
from lora_lint.schema import PositiveInt, Schema
from lora_lint.view import View

NAME = "gemma"
TITLE = "gemma"
DOCS = "https://gemma-llm.readthedocs.io/en/latest/lora_finetuning.html"
CONVENTION = "r"


class Config(Schema):
    """gemma/gm/nn/_lora.py:46-65 and gemma/peft/_lora.py:45-52 at 7691fd4e: there is no alpha and no scale."""

    rank: PositiveInt | None = None


_CLASSES = ("gm.nn.LoRA", "gemma.nn.LoRA", "hd.lora.LoRA")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax != "python" or not isinstance(data, dict) or "rank" not in data or "model" not in data:
        return ()
    return (document.called,) if f".{document.called}".endswith(tuple(f".{name}" for name in _CLASSES)) else ()


def kind(_: Document) -> Kind:
    return "source"


def sites(config: View[Config]) -> Iterator[Site]:
    yield Site(("all-linear",), required(config.fact("rank"), "rank"), None, unscaled)
