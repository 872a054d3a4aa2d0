"""Hugging Face's AutoTrain: `params: {peft: true, lora_r, lora_alpha}` under a `task`, `autotrain llm --peft`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path
from lora_lint.facts import Site
from lora_lint.frameworks.blocks import block
from lora_lint.frameworks.commands import flags, runs
from lora_lint.frameworks.gates import gated
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "autotrain"
TITLE = "AutoTrain"
DOCS = "https://huggingface.co/docs/autotrain/llm_finetuning"


class Config(Schema):
    """autotrain/trainers/clm/params.py:113-118 of 0.8.36; seq2seq's and vlm's have the same. The numbers go to PEFT."""

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".base_model"}

    peft: bool = False
    lora_r: PositiveInt = 16
    lora_alpha: Number = 32
    lora_dropout: float = 0.05
    target_modules: str | None = "all-linear"


class Flags(Config):
    """autotrain/cli/run_llm.py, which makes flags of the same parameters."""

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model"}


_TASKS = ("llm", "lm_training", "seq2seq", "vlm")


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax == "shell":
        given = flags(document, "peft", "lora_r", "lora_alpha")
        return (document.callee, *given) if given and runs(document, "autotrain") else ()
    data, params = block(document.data, ()), block(document.data, ("params",))
    ours = isinstance(data.get("task"), str) and data["task"].startswith(_TASKS) and "base_model" in data
    given = tuple(f"params.{key}" for key in ("peft", "lora_r", "lora_alpha") if key in params)
    return ("task", "base_model", *given) if ours and given and document.syntax == "yaml" else ()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    if document.syntax == "shell":
        yield Flags, ()
    else:
        yield Config, ("params",)


def sites(config: View[Any]) -> Iterator[Site]:
    yield gated(config, "peft", (config.model.target_modules or "all-linear",))
