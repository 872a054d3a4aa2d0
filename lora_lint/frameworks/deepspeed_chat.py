"""DeepSpeed-Chat and -VisualChat: `--lora_dim N` and its siblings; the scale is 1 / N and there is no alpha."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from lora_lint.document import Document
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.commands import flags, runs
from lora_lint.scaling import inverse
from lora_lint.schema import Int, Schema
from lora_lint.view import View

NAME = "deepspeed_chat"
TITLE = "DeepSpeed-Chat"
DOCS = "https://github.com/deepspeedai/DeepSpeedExamples/tree/master/applications/DeepSpeed-Chat"


class Config(Schema):
    """`main.py` of the three steps and of VisualChat, applications/DeepSpeed-Chat at 45b4b715; 0 is off.

    `lora_scaling` stays 1 and is divided by the dimension (dschat/utils/module/lora.py:19,40); argparse refuses flags
    that it doesn't know.
    """

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": "model_name_or_path"}

    model_name_or_path: Any = Field(
        None, validation_alias=AliasChoices("model_name_or_path", "actor_model_name_or_path")
    )
    lora_dim: Int = 0
    actor_lora_dim: Int = 0
    critic_lora_dim: Int = 0
    lang_lora_dim: Int = 0
    vis_lora_dim: Int = 0
    lora_module_name: str = "decoder.layers."
    actor_lora_module_name: str = "decoder.layers."
    critic_lora_module_name: str = "decoder.layers."
    lang_lora_module_name: str = "decoder.layers."
    vis_lora_module_name: str = "encoder.layers."
    lora_learning_rate: float = 5e-4
    actor_lora_learning_rate: float = 5e-4
    critic_lora_learning_rate: float = 5e-4
    only_optimize_lora: bool = False
    enable_mixed_precision_lora: bool = False
    actor_learning_rate: float = 1e-5
    critic_learning_rate: float = 1e-5
    learning_rate: float = 1e-3


_PARTS = {"": "model", "actor_": "actor", "critic_": "critic", "lang_": "lang_decoder", "vis_": "vis_encoder"}
"""What stands before `lora_dim` -> the part of the setup that gets the layers."""

_OWN_FLAGS = (
    *(f"{part}{name}" for part in _PARTS for name in ("lora_module_name", "zero_stage", "gradient_checkpointing")),
    "only_optimize_lora",
    "data_split",
    "sft_only_data_path",
    "max_seq_len",
)


def recognises(document: Document) -> tuple[str, ...]:
    """A command with an alpha runs a copy whose layer divides that."""
    program = runs(document, "main")
    dims = flags(document, *(f"{part}lora_dim" for part in _PARTS))
    own = flags(document, *_OWN_FLAGS)
    alpha = flags(document, "lora_alpha")
    return (*program, *dims, *own) if program and dims and own and not alpha else ()


def sites(config: View[Any]) -> Iterator[Site]:
    """One site for each part that is given a dimension: the actor and the critic of step 3 are two."""
    for prefix, part in _PARTS.items():
        if config.has(f"{prefix}lora_dim"):
            rank: Fact[Any] = config.fact(f"{prefix}lora_dim")
            state: State = "off" if rank.known and rank.value <= 0 else "active"
            yield Site((part,), rank, None, inverse, state)
