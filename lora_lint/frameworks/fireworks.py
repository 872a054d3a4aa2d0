"""Fireworks: `firectl ... --lora-rank N`, provisioning YAML, the training SDK, and the archived cookbook's YAML."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.commands import flags, runs
from lora_lint.scaling import classic
from lora_lint.schema import Int, NonNegativeInt, Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "fireworks"
TITLE = "Fireworks"
DOCS = "https://docs.fireworks.ai/fine-tuning/supervised-fine-tuning"


class Config(Schema):
    """The SDK: training/recipes/sft_loop.py:688-694 and training/provision/provision.py:497 at 76821fa1; 0 is off."""

    base_model: str | None = None
    lora_rank: NonNegativeInt = 0
    lora_alpha: Number | None = 32


class Command(Schema):
    """`firectl` and the jobs of the older SDK: the service chooses alpha, and its choice isn't documented."""

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".base_model"}

    lora_rank: Int = 0


class Recipe(Schema):
    """The archived cookbook: recipes/common/peft.py:68-70 at 76821fa1; neither value has a default."""

    lora_r: PositiveInt | None = None
    lora_alpha: Number | None = None
    lora_target_modules: list[str] | None = None


_JOBS = ("create_supervised_fine_tuning_job", "create_reinforcement_fine_tuning_job")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "shell":
        program = runs(document, "firectl")
        return (*program, *flags(document, "lora_rank")) if program and "lora_rank" in data else ()
    if document.syntax == "python":
        recipe = document.called.startswith("training.recipes.") and document.called.endswith(".Config")
        known = recipe or document.called.rpartition(".")[2] in ("create_training_client", *_JOBS)
        return (document.called, "lora_rank") if known and "lora_rank" in data else ()
    return _file_marks(data) if document.syntax == "yaml" else ()


def _file_marks(data: Mapping[Any, Any]) -> tuple[str, ...]:
    common = data.get("common")
    if isinstance(common, dict) and "lora_rank" in common:
        own = tuple(key for key in ("trainers", "recipe", "deployment") if key in data)
        return ("common.lora_rank", *own) if own and str(common.get("base_model", "")).startswith("accounts/") else ()
    defaults = data.get("defaults")
    composed = isinstance(defaults, list) and any("common/conf/model/" in str(item) for item in defaults)
    return ("defaults", "lora_r", "lora_alpha") if composed and "lora_r" in data else ()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    if document.syntax == "shell" or document.called.rpartition(".")[2] in _JOBS:
        yield Command, ()
    elif isinstance(document.data, dict) and "lora_r" in document.data:
        yield Recipe, ()
    else:
        yield Config, () if document.syntax == "python" else ("common",)


def sites(config: View[Any]) -> Iterator[Site]:
    model = config.model
    if isinstance(model, Recipe):
        rank, alpha = (_set_elsewhere(config.fact(name)) for name in ("lora_r", "lora_alpha"))
        yield Site(tuple(model.lora_target_modules or ("*",)), rank, alpha, classic)
        return
    rank = config.fact("lora_rank")
    state: State = "off" if rank.known and rank.value == 0 else "active"
    if isinstance(model, Command):
        alpha = Fact(Unknown("", "Fireworks chooses alpha on its servers"), rank.path, "unknown")
    else:
        alpha = config.fact("lora_alpha")
    yield Site(("*",), rank, alpha, classic, state, fixed=isinstance(model, Command))


def _set_elsewhere(fact: Fact[Any]) -> Fact[Any]:
    missing = fact.known and fact.value is None
    return Fact(Unknown("", "a config under defaults may set it"), fact.path, "unknown") if missing else fact
