"""XTuner: Python configs of MMEngine with `dict(type=LoraConfig, ...)`, and the options of `xtuner train`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lora_lint.document import Document, Path
from lora_lint.facts import Site
from lora_lint.frameworks import peft
from lora_lint.frameworks.blocks import block, blocks
from lora_lint.frameworks.commands import unless_set_by
from lora_lint.schema import Schema
from lora_lint.view import View

NAME = "xtuner"
TITLE = "XTuner"
DOCS = "https://github.com/InternLM/xtuner/tree/main/xtuner/configs"


class Config(peft.Call):
    """PEFT's keys: the dict is handed to the constructor of PEFT's class (xtuner/model/sft.py:119-126 at b934f462).

    Without `target_modules` every linear layer is adapted, whatever PEFT would take for the model (sft.py:165-167,
    llava.py:151-163, internvl.py:135-147, reward.py:208-210).
    """


class Options(Config):
    """`--cfg-options model.lora.r=8`, merged into the config that the command names (xtuner/tools/train.py:155-156)."""


_KEYS = ("r", "lora_alpha", "use_rslora")
_OWNERS = ("model.lora", "model.llm_lora", "model.visual_encoder_lora")


def recognises(document: Document) -> tuple[str, ...]:
    """A dict with PEFT's class as its `type`, in a file that names XTuner; the command's options."""
    if document.syntax == "python":
        stands_for_call = document.callee.rpartition(".")[2] == "LoraConfig" and _is_dict(document)
        return ("xtuner", "type=LoraConfig") if stands_for_call and "xtuner" in document.source.text else ()
    if document.syntax != "shell" or document.words[:2] != ("xtuner", "train"):
        return ()
    given = (f"{owner}.{key}" for owner in _OWNERS for key in _KEYS)
    options = tuple(key for key in given if key in block(document.data, ()))
    return ("xtuner train", *options) if options else ()


def _is_dict(document: Document) -> bool:
    return document.source.text.startswith(("dict(", "{"), document.span.start)


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    if document.syntax == "python":
        yield Config, ()
    else:
        yield from blocks(document, Options, _KEYS, *_OWNERS)


def sites(config: View[Any]) -> Iterator[Site]:
    for site in peft.sites(config):
        modules = ("all-linear",) if site.modules == ("*",) else site.modules
        if not isinstance(config.model, Options):
            yield replace(site, modules=modules)
        else:
            rank, alpha = (unless_set_by("the config", config.fact(key)) for key in ("r", "lora_alpha"))
            yield replace(site, modules=("*",), rank=rank, alpha=alpha)
