"""IBM watsonx.ai: `peft_parameters` of a fine-tuning job, as REST JSON, a dict or `PeftParameters(...)`."""

from collections.abc import Iterator
from typing import Any

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "watsonx"
TITLE = "watsonx.ai"
DOCS = "https://ibm.github.io/watsonx-ai-node-sdk/interfaces/1_4_x.WatsonXAI.FineTuningPeftParameters-1.html"


class Config(Schema):
    """`FineTuningPeftParameters` of the API; what isn't given is the service's choice and isn't documented."""

    type: str = "lora"
    rank: PositiveInt | None = None
    lora_alpha: Number | None = None
    lora_dropout: float | None = None
    target_modules: list[str] | None = None


_TYPES = ("lora", "qlora")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "python":
        name = document.called.rpartition(".")[2]
        ours = name == "PeftParameters" or (name in _TYPES and "watsonx" in document.source.text)
        return (name, "rank") if ours and "rank" in data else ()
    block = _block(document)
    return ("peft_parameters", "rank") if block is not None else ()


def _block(document: Document) -> Path | None:
    """Where `peft_parameters` stands in a job or in its `parameters`."""
    data = document.data
    if document.syntax not in ("json", "yaml") or not isinstance(data, dict):
        return None
    for path, owner in ((("parameters",), data.get("parameters")), ((), data)):
        block = owner.get("peft_parameters") if isinstance(owner, dict) else None
        if isinstance(block, dict) and ("rank" in block or "lora_alpha" in block):
            return (*path, "peft_parameters")
    return None


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield Config, _block(document) or ()


def sites(config: View[Any]) -> Iterator[Site]:
    model = config.model
    rank, alpha = (_by_service(config.fact(name)) for name in ("rank", "lora_alpha"))
    state: State = "off" if model.type == "none" else "active" if model.type in _TYPES else "not-lora"
    yield Site(tuple(model.target_modules or ("*",)), rank, alpha, classic, state)


def _by_service(fact: Fact[Any]) -> Fact[Any]:
    missing = fact.known and fact.value is None
    return Fact(Unknown("", "watsonx.ai chooses it on its servers"), fact.path, "unknown") if missing else fact
