"""Which framework reads a document, and what it makes of it; a module is imported when one of its markers is seen."""

from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

from lora_lint.document import Document, Path
from lora_lint.facts import Checkpoint, Kind, Setup, Site
from lora_lint.schema import Schema, View

MARKERS: dict[str, tuple[bytes, ...]] = {
    "axolotl": (b"base_model:", b'base_model"', b"base_model'", b"base_model :", b"axolotl", b"scripts/finetune.py"),
    "internvl": (b"backbone_lora", b"llm_lora", b"qllama_lora"),
    "llama_factory": (b"finetuning_type", b"peft_config", b"lora_rank", b"lora_target", b"llamafactory"),
    "llava": (b"lora_enable",),
    "peft": (b"peft_type", b"lora_alpha", b"target_modules", b"LoraConfig", b"LoHaConfig", b"LoKrConfig"),
}
"""Bytes that a file of the framework holds at least one of. Adding a framework is one module and one line here."""


class Framework(Protocol):
    """A module of this package.

    `configs` is optional: the schemas of a document with the path that each starts at; `Config` at the root otherwise.
    `kind` is optional: a Python call is source, a command or a config is training otherwise. `targets` is optional: the
    target modules that are plain names. `base_scale` is optional: the scale of modules that no pattern names.
    """

    NAME: str
    TITLE: str
    DOCS: str
    Config: type[Schema]

    @staticmethod
    def recognises(document: Document) -> tuple[str, ...]:
        """The marks by which the document is one of this framework's; none when it isn't."""

    @staticmethod
    def sites(config: View[Any]) -> Iterator[Site]:
        """What the document says about LoRA; empty when it says nothing."""


@cache
def framework(name: str) -> Framework:
    """The module of a framework.

    Raises:
        KeyError: when there is none of that name.
    """
    if name not in MARKERS:
        raise KeyError(name)
    return cast("Framework", import_module(f"lora_lint.frameworks.{name}"))


def candidates(data: bytes) -> list[str]:
    """The frameworks one of whose markers occurs in a file: the cheap question asked of every file.

    A substring search each is twice as fast as one regular expression over all.
    """
    found = []
    for name, markers in MARKERS.items():
        for marker in markers:
            if marker in data:
                found.append(name)
                break
    return found


def recognise(document: Document, names: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The frameworks that recognise a document with the marks they saw, the one with the most marks first."""
    found = [(name, marks) for name in names if (marks := framework(name).recognises(document))]
    return sorted(found, key=lambda pair: -len(pair[1]))


def setup(document: Document, names: list[str], beside: Callable[[], Checkpoint | None]) -> Setup | None:
    """What a document says about LoRA, or None when no framework recognises it or it says nothing."""
    recognised = recognise(document, names)
    if not recognised:
        return None
    name, marks = recognised[0]
    module = framework(name)
    optional = cast("Any", module)
    kind: Kind = "source" if document.syntax == "python" else "training"
    if hasattr(module, "kind"):
        kind = optional.kind(document)
    checkpoint = beside() if kind == "checkpoint" else None
    result = Setup(
        document,
        name,
        kind,
        recognised_by=marks,
        also=tuple(other for other, others in recognised[1:] if len(others) >= len(marks)),
        convention=getattr(module, "CONVENTION", "2r"),
        checkpoint=checkpoint,
    )
    configs: list[tuple[type[Schema], Path]] = (
        list(optional.configs(document)) if hasattr(module, "configs") else [(module.Config, ())]
    )
    sites: list[Site] = []
    for model, path in configs:
        view = View(model, document, path, title=module.TITLE, checkpoint=checkpoint)
        found = list(module.sites(view))
        sites += found
        if hasattr(module, "targets"):
            result.targets += tuple(optional.targets(view))
        if hasattr(module, "base_scale"):
            result.base_scale = optional.base_scale(view)
        result.bad_values += tuple(view.bad_values)
        if reaction := getattr(model, "UNKNOWN_KEYS", ""):
            near = getattr(model, "UNKNOWN_KEYS_NEAR", False)
            result.unknown_keys += tuple(view.report_unknown(reaction, only_near=near))
    if not sites:
        return None
    result.sites = tuple(sites)
    return result
