"""OpenRLHF: `openrlhf.cli.train_sft --ds.lora.rank N --ds.lora.alpha M`, before April 2026 `--lora_rank N`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from lora_lint.document import Document
from lora_lint.facts import Site, State
from lora_lint.frameworks.commands import flags
from lora_lint.scaling import classic
from lora_lint.schema import Int, Number, Schema, Words
from lora_lint.view import View

NAME = "openrlhf"
TITLE = "OpenRLHF"
DOCS = "https://openrlhf.readthedocs.io/"


class Config(Schema):
    """openrlhf/cli/train_sft.py:258-261 and train_ppo_ray.py:365-368 at 3c3be623, which PPO's critic has as well.

    LoRA is used where the rank is above 0 (models/actor.py:177).
    """

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": "pretrain"}

    pretrain: Any = Field(
        None, validation_alias=AliasChoices("actor.model_name_or_path", "model.model_name_or_path", "pretrain")
    )
    learning_rate: Any = Field(None, validation_alias=AliasChoices("adam.lr", "learning_rate"))
    optim: Any = None
    lora_rank: Int = Field(0, validation_alias=AliasChoices("ds.lora.rank", "lora_rank"))
    lora_alpha: Number = Field(16, validation_alias=AliasChoices("ds.lora.alpha", "lora_alpha"))
    target_modules: Words = Field(
        ["all-linear"], validation_alias=AliasChoices("ds.lora.target_modules", "target_modules")
    )


_SCRIPT = re.compile(r"(^|/)train_\w+\.py$")
_OWN_FLAGS = ("pretrain", "micro_train_batch_size", "zero_stage", "micro_rollout_batch_size")
"""Of the scripts that came before the module `openrlhf.cli`."""


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax != "shell":
        return ()
    lora = flags(document, "ds.lora.rank", "ds.lora.alpha", "lora_rank", "lora_alpha")
    own = flags(document, *_OWN_FLAGS)
    ours = "openrlhf" in document.callee or (_SCRIPT.search(document.callee) and "--pretrain" in own and len(own) > 1)
    return (document.callee, *lora) if lora and ours else ()


def sites(config: View[Config]) -> Iterator[Site]:
    rank = config.fact("lora_rank")
    state: State = "off" if rank.known and rank.value <= 0 else "active"
    yield Site(tuple(config.model.target_modules), rank, config.fact("lora_alpha"), classic, state)
