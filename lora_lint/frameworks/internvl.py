"""InternVL: `--use_llm_lora N` and its siblings, where N is the rank and alpha is always 2N."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Kind, Site
from lora_lint.frameworks.trainer import TrainingArguments
from lora_lint.scaling import classic
from lora_lint.schema import NonNegativeInt, Number, PositiveInt, Schema
from lora_lint.tensors import Checkpoint
from lora_lint.view import View

NAME = "internvl"
TITLE = "InternVL"
DOCS = "https://github.com/OpenGVLab/InternVL"

ALPHA_PER_RANK = 2
"""On training and on loading: internvl_chat/internvl/model/internvl_chat/modeling_internvl_chat.py:105 at 2410d1d."""


class Config(TrainingArguments):
    """The flags of the trainers and the keys of config.json: the number is the rank, 0 is off.

    internvl_chat_finetune.py:128-135, configuration_internvl_chat.py:28-29 and internvl_g's
    internvl_stage2_finetune.py:78-83 at 2410d1d.
    """

    SPELLED: ClassVar[Mapping[str, str]] = {
        "freeze_vision": "freeze_backbone",
        "unfreeze_vision_layers": "unfreeze_vit_layers",
    }

    freeze_llm: Any = None
    freeze_backbone: Any = None
    unfreeze_vit_layers: Any = None
    use_backbone_lora: NonNegativeInt = 0
    use_llm_lora: NonNegativeInt = 0
    use_qllama_lora: NonNegativeInt = 0


class Flags(Config):
    """The trainers' flags, which HfArgumentParser refuses where it doesn't know them."""

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {"lora_r": "use_llm_lora", "lora_rank": "use_llm_lora"}

    freeze_mlp: Any = None
    unfreeze_lm_head: Any = None


class Wrap(Schema):
    """`wrap_backbone_lora(r, lora_alpha, lora_dropout)` and its siblings, modeling_internvl_chat.py:111 at 2410d1d."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("r", "lora_alpha", "lora_dropout")

    r: PositiveInt = 128
    lora_alpha: Number = 256
    lora_dropout: float = 0.05


PARTS = {
    "use_backbone_lora": ("vision_model", "wrap_backbone_lora"),
    "use_llm_lora": ("language_model", "wrap_llm_lora"),
    "use_qllama_lora": ("qllama", "wrap_qllama_lora"),
}
"""Flag -> the part of the model that it wraps, and the method that wraps it."""

_METHODS = {method: part for part, method in PARTS.values()}
_PARTS_OF_CONFIG = ("llm_config", "vision_config")
"""Models that grew from InternVL have these and a `model_type` of their own."""
_ARGUMENTS = ("conv_style", "meta_path", "force_image_size", "freeze_backbone")
"""Arguments of the trainer, which takes one JSON file in place of flags: internvl_chat_finetune.py:810 at 2410d1d."""


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "python":
        name = document.callee.rpartition(".")[2]
        return (name,) if name in _METHODS else ()
    flags = tuple(flag for flag in PARTS if flag in data and not _is_switch(data[flag]))
    if document.syntax == "shell":
        return tuple(f"--{flag}" for flag in flags)
    own = str(data.get("model_type")).startswith("internvl") or any(part in data for part in _PARTS_OF_CONFIG)
    marks = ("model_type",) if own and "model_type" in data else tuple(key for key in _ARGUMENTS if key in data)
    return (*marks, *flags) if flags and marks else ()


def _is_switch(value: object) -> bool:
    """Whether it is no rank: VisionLLM v2 has a flag of the same name that is true or false."""
    return isinstance(value, bool) or value in ("True", "False", "true", "false")


def kind(document: Document) -> Kind:
    if document.syntax == "python":
        return "source"
    trained = isinstance(document.data, dict) and "model_type" in document.data and document.syntax == "json"
    return "checkpoint" if trained else "training"


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield Wrap if document.syntax == "python" else Flags if document.syntax == "shell" else Config, ()


def sites(config: View[Any]) -> Iterator[Site]:
    if isinstance(config.model, Wrap):
        part = _METHODS[config.document.callee.rpartition(".")[2]]
        yield Site((part,), config.fact("r"), config.fact("lora_alpha"), classic)
        return
    if isinstance(config.model, Flags):
        config.refuse("lora_alpha", "makes it twice the rank, and refuses to start")
    for flag, (part, _) in PARTS.items():
        if config.has(flag):
            rank: Fact[Any] = config.fact(flag)
            yield Site(
                _modules(config.checkpoint, part),
                rank,
                _alpha(flag, rank, config),
                classic,
                state="off" if rank.known and rank.value == 0 else "active",
                fixed=True,
            )


def _alpha(flag: str, rank: Fact[Any], config: View[Config]) -> Fact[Any]:
    """Twice the rank, save that internvl_g's trainer takes the backbone's for qllama.

    internvl_stage2_finetune.py:235 at 2410d1d; its loading code takes qllama's own (modeling_internvl.py:253).
    """
    other = config.document.syntax == "shell" and flag == "use_qllama_lora"
    doubled: Fact[Any] = config.fact("use_backbone_lora") if other else rank
    path = doubled.path or rank.path
    if not doubled.known:
        return Fact(Unknown("", doubled.reason), path, "unknown")
    return Fact(ALPHA_PER_RANK * doubled.value, path, "derived", key="use_backbone_lora" if other else "")


def _modules(checkpoint: Checkpoint | None, part: str) -> tuple[str, ...]:
    """The wrapped modules that an unmerged checkpoint names, or the part as a whole."""
    if checkpoint is None or not checkpoint.tensors:
        return (part,)
    from lora_lint.checkpoint import tensor_modules

    found = dict.fromkeys(m.module for m in tensor_modules(checkpoint) if m.module.startswith(f"{part}."))
    return tuple(found) or (part,)
