"""llama.cpp: adapters in GGUF, whose header holds one alpha for all modules and no rank."""

from collections.abc import Iterator

from lora_lint.document import Document
from lora_lint.facts import Site
from lora_lint.schema import Number, Schema
from lora_lint.view import View

NAME = "llama_cpp"
TITLE = "llama.cpp"
DOCS = "https://github.com/ggml-org/llama.cpp/blob/master/convert_lora_to_gguf.py"

ALPHA = "adapter.lora.alpha"


class Config(Schema):
    """convert_lora_to_gguf.py:331 of ik_llama.cpp at 8337e4cd; `use_rslora` and patterns of the adapter aren't kept.

    The scale is alpha over `b->ne[0]`, and 1 where alpha is 0 or absent: src/llama-build-context.cpp:981-983.
    """

    alpha: Number | None = None


def recognises(document: Document) -> tuple[str, ...]:
    """None: its files are no documents, `lora_lint.lone` makes setups of them."""
    return ()


def sites(_: View[Config]) -> Iterator[Site]:
    yield from ()
