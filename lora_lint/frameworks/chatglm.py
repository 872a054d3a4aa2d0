"""The finetune_demo of ChatGLM3, GLM-4 and their kin: PEFT's settings under `peft_config`."""

from collections.abc import Iterator
from typing import Any, ClassVar

from lora_lint.document import Document, Path
from lora_lint.facts import Site
from lora_lint.frameworks import peft
from lora_lint.schema import Schema
from lora_lint.view import View

NAME = "chatglm"
TITLE = "ChatGLM finetune_demo"
DOCS = "https://github.com/THUDM/ChatGLM3/tree/main/finetune_demo"
STAGE = "sft"


class Config(peft.Config):
    """finetune_demo/finetune_hf.py:200-202 at 732294f0 hands the section to PEFT as keywords."""

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"


_SECTIONS = ("data_config", "training_args", "max_input_length", "max_output_length")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax not in ("yaml", "json") or not isinstance(data, dict):
        return ()
    section = data.get("peft_config")
    own = tuple(key for key in _SECTIONS if key in data)
    if not own or not isinstance(section, dict) or section.get("peft_type") != "LORA":
        return ()
    return ("peft_config.peft_type", *(f"peft_config.{key}" for key in ("r", "lora_alpha") if key in section), *own)


def configs(_: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield Config, ("peft_config",)


def sites(config: View[Any]) -> Iterator[Site]:
    return peft.sites(config)
