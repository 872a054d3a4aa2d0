"""Together: `together fine-tuning create --lora-r N`, `client.fine_tuning.create(lora_r=N)`, and the API's own JSON."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.commands import flags, runs
from lora_lint.frameworks.derivation import from_rank
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "together"
TITLE = "Together"
DOCS = "https://docs.together.ai/docs/fine-tuning-quickstart"

ALPHA_PER_RANK = 2
"""For an alpha that isn't given: src/together/resources/finetune.py:131, cli/api/finetune.py:347 at eba5e5f0."""

COMMAND_RANK = 8
"""The command's default; the model's largest rank is meant, but never taken (cli/api/finetune.py:127,341-344)."""


class Config(Schema):
    """src/together/resources/finetune.py:352-356 at eba5e5f0; LoRA is on unless `lora` is false."""

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model"}

    lora: bool = True
    no_lora: bool = False
    lora_r: PositiveInt | None = None
    lora_alpha: Number | None = None
    lora_dropout: float | None = 0
    lora_trainable_modules: str | None = "all-linear"


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    given = tuple(key for key in ("lora_r", "lora_alpha") if key in data)
    if document.syntax == "shell":
        command = runs(document, "together") and {"fine-tuning", "create"} <= {*document.words}
        on = flags(document, "lora")
        return (document.callee, *on, *flags(document, *given)) if command and (given or on) else ()
    if document.syntax == "python":
        known = document.called == "Lora" or document.called.endswith("fine_tuning.create")
        return (document.called, *given) if known and given else ()
    training = data.get("training_type")
    lora = isinstance(training, dict) and training.get("type") == "Lora" and "lora_r" in training
    return ("training_type.type", "training_type.lora_r") if lora else ()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield Config, () if document.syntax in ("shell", "python") else ("training_type",)


def sites(config: View[Any]) -> Iterator[Site]:
    rank: Fact[Any] = config.fact("lora_r")
    if rank.known and rank.value is None:
        command = config.document.syntax == "shell"
        missing = Unknown("", "the rank is the largest that the model allows")
        rank = Fact(COMMAND_RANK, rank.path, "default") if command else Fact(missing, rank.path, "unknown")
    alpha: Fact[Any] = config.fact("lora_alpha")
    if alpha.known and alpha.value is None:
        alpha = from_rank(rank, alpha.path if alpha.origin == "written" else (), factor=ALPHA_PER_RANK)
    yield Site((config.model.lora_trainable_modules or "all-linear",), rank, alpha, classic, _state(config))


def _state(config: View[Any]) -> State:
    gate = config.fact("lora")
    return "off" if config.model.no_lora or (gate.known and not gate.value) else "active"
