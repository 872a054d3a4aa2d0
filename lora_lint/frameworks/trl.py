"""TRL: `--use_peft --lora_r N --lora_alpha M`, the same keys in YAML (alignment-handbook's too), `ModelConfig(...)`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, TargetSyntax
from lora_lint.frameworks.blocks import block
from lora_lint.frameworks.commands import config_file, flags, unless_in_file
from lora_lint.frameworks.gates import at_gate, state_of
from lora_lint.frameworks.trainer import TRL_RATES, LatestArguments, sets_run
from lora_lint.scaling import classic, rslora
from lora_lint.schema import Number, PositiveInt, Schema, Words
from lora_lint.view import View

NAME = "trl"
TITLE = "TRL"
DOCS = "https://huggingface.co/docs/trl/peft_integration"


class Config(LatestArguments, strict=False):
    """trl/trainer/model_config.py:81-169 at f2cd5771; nothing is read unless `use_peft` is true (utils.py:255).

    The YAML's values become argparse defaults, which turns text into numbers. One target module in a list is taken out
    of it (model_config.py:177), so that PEFT reads it as a regular expression.
    """

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    ARGPARSE: ClassVar[tuple[str, ...]] = ("shell",)
    MEANT: ClassVar[Mapping[str, str]] = {
        "lora_rank": "lora_r",
        "use_lora": "use_peft",
        "target_modules": "lora_target_modules",
        "lora_target": "lora_target_modules",
        "modules_to_save": "lora_modules_to_save",
    }

    TARGETS: ClassVar[TargetSyntax] = "unwrapped"
    SPELLED: ClassVar[Mapping[str, str]] = {
        "target_modules": "lora_target_modules",
        "target_parameters": "lora_target_parameters",
        "modules_to_save": "lora_modules_to_save",
        "task_type": "lora_task_type",
        "revision": "model_revision",
        "use_reentrant": "gradient_checkpointing_kwargs.use_reentrant",
    }

    model_revision: Any = "main"
    use_peft: bool = False
    lora_r: PositiveInt = 16
    lora_alpha: Number = 32
    lora_dropout: float = 0.05
    lora_target_modules: Words | None = None
    lora_target_parameters: Words | None = None
    lora_modules_to_save: Words | None = None
    lora_task_type: str = "CAUSAL_LM"
    use_rslora: bool = False
    use_dora: bool = False
    load_in_8bit: bool = False
    load_in_4bit: bool = False


class Early(Config):
    """The example scripts before 2024-01-26: examples/scripts/sft.py:52-56 and dpo.py:56-58 at 830cadfc."""

    lora_r: PositiveInt = Field(64, validation_alias="peft_lora_r")
    lora_alpha: Number = Field(16, validation_alias="peft_lora_alpha")


_EARLY_KEYS = ("peft_lora_r", "peft_lora_alpha")
_LORA_KEYS = ("lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "lora_modules_to_save", "lora_task_type")
_OWN_KEYS = ("dataset_name", "dataset_mixer", "dataset_mixture", "model_name_or_path", "use_peft")
_OTHERS = ("autotrain",)
"""Programs of their own, with flags that look alike."""
_OTHERS_KEYS = ("lora_rank", "peft_method", "finetuning_type", "lora_enable")
"""Keys of other programs that have a `use_peft` as well."""


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict) or (any(key in data for key in _OTHERS_KEYS) and not _is_trl(document)):
        return ()
    if document.callee in _OTHERS:
        return ()
    lora = tuple(key for key in (*_LORA_KEYS, *_EARLY_KEYS) if key in data)
    own = tuple(key for key in _OWN_KEYS if key in data)
    if not lora and data.get("use_peft") in (None, False, "False", "false"):
        return ()
    if document.syntax == "python":
        called = document.callee.startswith("trl.") or "use_peft" in own
        return (document.callee, *lora) if called and document.callee.endswith("ModelConfig") else ()
    if _is_trl(document):
        return (document.callee, *lora, *flags(document, *own))
    if document.syntax not in ("shell", "yaml", "json") or _is_group(document):
        return ()
    gated = "use_peft" in own and (lora or len(own) >= 2)
    return (*lora, *own) if gated or ("lora_task_type" in lora and len(own) >= 1) else ()


def _is_group(document: Document) -> bool:
    """Whether a file holds the LoRA settings of another program: keys for LoRA that TRL lacks, and no model."""
    data = document.data
    if document.syntax == "shell" or not isinstance(data, dict) or "model_name_or_path" in data:
        return False
    return any(str(key).startswith("lora_") and key not in Config.model_fields for key in data)


def _is_trl(document: Document) -> bool:
    if document.syntax != "shell":
        return False
    return document.callee == "trl" or document.callee.startswith(("trl/scripts/", "trl.scripts."))


SAYS = ("stage",)
_METHODS = ("sft", "dpo", "kto", "grpo", "rloo")
"""What TRL's own commands and scripts train, with the rates of its classes."""


def says(config: View[Any], word: str) -> Fact[Any] | None:
    """What a command or a script of TRL's trains, and at which rate where none is given.

    `trl reward` and the script of that name train a reward model, whatever the task of the adapter.
    """
    document, stage = config.document, _stage(config.document)
    if word == "stage" and stage:
        return Fact(stage, (), "derived")
    if word == "reward_model":
        rewards = stage == "reward" or "reward_modeling" in document.callee or _is_of_reward(config)
        return Fact(True, ("use_peft",) if "use_peft" in config.data else (), "derived") if rewards else None
    alone = _is_trl(document) and config_file(document) is None and stage in _METHODS and sets_run(document.data)
    return Fact(TRL_RATES[stage], (), "default") if word == "default_learning_rate" and alone else None


def _is_of_reward(config: View[Any]) -> bool:
    """Whether a file is one of the settings of a reward model, by a key that only those have, or by its comment."""
    document = config.document
    if document.syntax != "yaml" or document.example:
        return False
    return _LAUNCHED.search(document.source.text) is not None or "center_rewards_coefficient" in config.data


_LAUNCHED = re.compile(
    r"^[ \t]*#.*(?:\btrl[ ]reward\b|\btrl[./]scripts[./]reward\b|\breward_modeling\.py\b)", re.MULTILINE
)
"""The comment of a file that says by which command it is run."""


def _stage(document: Document) -> str:
    """The method of a command: `trl sft`, `trl/scripts/sft.py`, `examples/scripts/sft_vlm.py`."""
    if document.syntax != "shell":
        return ""
    script = document.callee.rpartition("/")[2].removesuffix(".py").rpartition(".")[2]
    named = document.words[1:2] if document.callee == "trl" else (script.partition("_")[0],)
    return next((name for name in named if name in (*_METHODS, "reward", "orpo", "cpo", "ppo")), "")


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield Early if any(key in block(document.data, ()) for key in _EARLY_KEYS) else Config, ()


def sites(config: View[Config]) -> Iterator[Site]:
    model = config.model
    gate, *numbers = unless_in_file(config, "use_peft", "lora_r", "lora_alpha")
    if isinstance(model, Early) and gate.origin == "default":
        gate = Fact(Unknown("", "each script has a default of its own"), gate.path, "unknown")
    if config.document.syntax in ("yaml", "json") and gate.origin == "default":
        gate = Fact(Unknown("", "the command may set use_peft"), gate.path, "unknown")
    rank, alpha = (at_gate(fact, gate) for fact in numbers)
    yield Site(
        tuple(model.lora_target_modules or ("*",)),
        rank,
        alpha,
        rslora if model.use_rslora else classic,
        state_of(gate),
        "dora" if model.use_dora else "lora",
    )
