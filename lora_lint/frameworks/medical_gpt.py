"""MedicalGPT: `training/supervised_finetuning.py --use_peft True --lora_rank N --lora_alpha M` and its other stages."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.commands import flags, runs
from lora_lint.frameworks.gates import state_of
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "medical_gpt"
TITLE = "MedicalGPT"
DOCS = "https://github.com/shibing624/MedicalGPT"
FORKED = True


class Config(Schema):
    """training/supervised_finetuning.py:196-201, pretraining.py:183-187 and reward_modeling.py:144-148 at 2f1008cf."""

    ARGPARSE: ClassVar[tuple[str, ...]] = ("shell",)
    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model_name_or_path"}

    use_peft: bool = True
    target_modules: str = "all"
    lora_rank: PositiveInt = 8
    lora_alpha: Number = 32.0
    lora_dropout: float = 0.05
    peft_path: str | None = None


class Preference(Config):
    """training/dpo_training.py:129-134; orpo_training.py and opd_training.py are the same."""

    lora_alpha: Number = 16.0


_SCRIPTS = {
    "supervised_finetuning": Config,
    "pretraining": Config,
    "reward_modeling": Config,
    "dpo_training": Preference,
    "orpo_training": Preference,
    "opd_training": Preference,
}
"""The stages with flags of their own; the reinforcement learning ones take TRL's."""


def recognises(document: Document) -> tuple[str, ...]:
    program = runs(document, *_SCRIPTS)
    lora = flags(document, "lora_rank", "lora_alpha")
    own = flags(document, "use_peft", "target_modules", "train_file_dir", "qlora")
    return (*program, *lora, *own) if program and len((*lora, *own)) >= 2 else ()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    stem = document.callee.removesuffix(".py").replace("/", ".").rpartition(".")[2]
    yield _SCRIPTS[stem], ()


def sites(config: View[Config]) -> Iterator[Site]:
    rank, alpha = config.fact("lora_rank"), config.fact("lora_alpha")
    if config.model.peft_path:
        kept = Unknown("", "the adapter at peft_path keeps its own")
        rank, alpha = Fact(kept, rank.path, "unknown"), Fact(kept, alpha.path, "unknown")
    modules = tuple(config.model.target_modules.split(","))
    yield Site(modules, rank, alpha, classic, state_of(config.fact("use_peft")))
