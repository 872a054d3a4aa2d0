"""Levanter: `lora: {r, alpha}` beside `trainer:` in a YAML, `--lora.r` on the command line, its own LoraConfig."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "levanter"
TITLE = "Levanter"
DOCS = "https://levanter.readthedocs.io/en/latest/LoRA/"


class Config(Schema):
    """src/levanter/lora.py:93-100 at 9263f81e; the scale is alpha/r (line 154). draccus stops at an unknown key."""

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    POSITIONAL: ClassVar[tuple[str, ...]] = ("target_modules", "r", "alpha", "dropout")
    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".initialize_from_hf"}

    target_modules: list[str] | str | None = Field(
        None, validation_alias=AliasChoices("target_modules", "lora.target_modules")
    )
    r: PositiveInt = Field(8, validation_alias=AliasChoices("r", "lora.r"))
    alpha: Number = Field(8.0, validation_alias=AliasChoices("alpha", "lora.alpha"))
    dropout: float = Field(0.0, validation_alias=AliasChoices("dropout", "lora.dropout"))


class Flags(Config):
    """The same among a program's other flags."""

    UNKNOWN_KEYS: ClassVar[str] = ""


_KEYS = ("r", "alpha", "dropout", "target_modules")
_TRAINER_KEYS = ("mp", "num_train_steps", "train_batch_size", "tensor_parallel_axes", "tracker", "wandb")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "python":
        named = document.called in ("levanter.lora.LoraConfig", "levanter.LoraConfig")
        return (document.called,) if named and {"r", "alpha", 1, 2} & data.keys() else ()
    if document.syntax == "shell":
        flags = tuple(f"--lora.{key}" for key in _KEYS if f"lora.{key}" in data)
        return (document.callee, *flags) if flags and _runs_levanter(document) else ()
    lora, trainer = data.get("lora"), data.get("trainer")
    if document.syntax not in ("yaml", "json") or not isinstance(lora, dict) or not isinstance(trainer, dict):
        return ()
    keys = tuple(f"lora.{key}" for key in _KEYS if key in lora)
    own = tuple(f"trainer.{key}" for key in _TRAINER_KEYS if key in trainer)
    return (*keys, *own) if own and ("r" in lora or "alpha" in lora) else ()


def _runs_levanter(command: Document) -> bool:
    """draccus gives other programs a `--config_path` as well; the trainer's flags or the name tell whose it is."""
    data: dict[str, Any] = command.data if isinstance(command.data, dict) else {}
    known = any("levanter" in word for word in (command.callee, *command.words, str(data.get("config_path", ""))))
    return known or ("config_path" in data and any(f"trainer.{key}" in data for key in _TRAINER_KEYS))


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield {"shell": (Flags, ()), "python": (Config, ())}.get(document.syntax, (Config, ("lora",)))


def sites(config: View[Config]) -> Iterator[Site]:
    targets = config.model.target_modules
    modules = (targets,) if isinstance(targets, str) else tuple(targets or ()) or ("all-linear",)
    rank, alpha = (_unless_in_file(config.fact(name), config.document) for name in ("r", "alpha"))
    yield Site(modules, rank, alpha, classic)


def _unless_in_file(fact: Fact[Any], document: Document) -> Fact[Any]:
    """A program always has a `--config_path`, where more may be set."""
    if document.syntax != "shell" or fact.origin != "default":
        return fact
    return Fact(Unknown("", "the config file may set it"), fact.path, "unknown")
