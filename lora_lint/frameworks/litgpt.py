"""LitGPT: `litgpt finetune_lora` with a flat YAML or flags, and the hyperparameters.yaml that it saves."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from lora_lint.document import Document
from lora_lint.facts import Kind, Site, State
from lora_lint.frameworks.commands import unless_in_file
from lora_lint.scaling import classic
from lora_lint.schema import Int, NonNegativeInt, Schema
from lora_lint.view import View

NAME = "litgpt"
TITLE = "LitGPT"
DOCS = "https://github.com/Lightning-AI/litgpt/blob/main/tutorials/finetune_lora.md"
STAGE = "sft"


class Config(Schema):
    """litgpt/finetune/lora.py:49-64 at 26857050; the scale is alpha/r (litgpt/lora.py:127), rank 0 makes no adapter.

    jsonargparse stops at an unknown key.
    """

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    EXPONENTS: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {"lora_rank": "lora_r", "lora_dim": "lora_r"}

    SPELLED: ClassVar[Mapping[str, str]] = {
        "base_model": ".checkpoint_dir",
        "learning_rate": "optimizer.init_args.lr",
        "optim": "optimizer.class_path",
    }

    lora_r: NonNegativeInt = 8
    lora_alpha: Int = 16
    lora_dropout: float = 0.05
    lora_query: bool = True
    lora_key: bool = False
    lora_value: bool = True
    lora_projection: bool = False
    lora_mlp: bool = False
    lora_head: bool = False


_PARTS = ("query", "key", "value", "projection", "mlp", "head")
_OWN_KEYS = ("checkpoint_dir", "out_dir", "precision", "logger_name")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    lora = tuple(key for key in ("lora_r", "lora_alpha", *(f"lora_{part}" for part in _PARTS)) if key in data)
    if document.syntax == "shell":
        command = _command(document)
        return (command, *lora) if command == "finetune_lora" or (command and lora) else ()
    own = tuple(key for key in _OWN_KEYS if key in data)
    parts = sum(f"lora_{part}" in data for part in _PARTS)
    return (*lora, *own) if document.syntax in ("yaml", "json") and lora and own and parts else ()


def kind(document: Document) -> Kind:
    """What a run saves beside its weights: `save_hyperparameters` in litgpt/finetune/lora.py:275 and 431."""
    return "checkpoint" if document.source.name.endswith("hyperparameters.yaml") else "training"


def _command(document: Document) -> str:
    """The way to the LoRA trainer that a command takes: `litgpt finetune_lora`, `finetune`, or the script itself."""
    if document.callee.replace("/", ".").removesuffix(".py").endswith("finetune.lora"):
        return "finetune/lora.py"
    if "litgpt" not in document.words:
        return ""
    after = document.words[document.words.index("litgpt") + 1 :]
    if after[:2] == ("finetune", "lora"):
        return "finetune_lora"
    return after[0] if after[:1] in (("finetune_lora",), ("finetune",)) else ""


def sites(config: View[Config]) -> Iterator[Site]:
    rank, alpha = unless_in_file(config, "lora_r", "lora_alpha")
    parts = tuple(part for part in _PARTS if getattr(config.model, f"lora_{part}"))
    state: State = "off" if not parts or (rank.known and rank.value == 0) else "active"
    yield Site(parts or ("*",), rank, alpha, classic, state)
