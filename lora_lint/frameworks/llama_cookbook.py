"""llama-cookbook, once llama-recipes: `finetuning.py --use_peft --lora_config.r N`, and `lora_config()` in Python."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.commands import flags, runs, unless_set_by
from lora_lint.frameworks.gates import at_gate, state_of
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "llama_cookbook"
TITLE = "llama-cookbook"
DOCS = "https://github.com/meta-llama/llama-cookbook/blob/main/getting-started/finetuning/README.md"


class Config(Schema):
    """src/llama_cookbook/configs/peft.py:8-15 and configs/training.py:32-34 at 0e003351.

    A flag may name the class, `--lora_config.r`, or not (utils/config_utils.py:22-40). An adapter to go on from keeps
    its own settings.
    """

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model_name"}

    r: PositiveInt = Field(8, validation_alias=AliasChoices("lora_config.r", "r"))
    lora_alpha: Number = Field(32, validation_alias=AliasChoices("lora_config.lora_alpha", "lora_alpha"))
    target_modules: Any = Field(
        ["q_proj", "v_proj"], validation_alias=AliasChoices("lora_config.target_modules", "target_modules")
    )
    use_peft: bool = False
    peft_method: str = "lora"
    from_peft_checkpoint: str = ""


_CLASSES = ("llama_cookbook.configs.", "llama_recipes.configs.")
_FLAGS = ("use_peft", "peft_method", "lora_config.r", "lora_config.lora_alpha")
_BESIDE = ("use_peft", "peft_method", "batch_size_training", "batching_strategy")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax == "python" and isinstance(data, dict):
        named = document.called.startswith(_CLASSES) and document.called.endswith(".lora_config")
        return (document.called,) if named and {"r", "lora_alpha"} & data.keys() else ()
    program, given = runs(document, "finetuning"), flags(document, *_FLAGS)
    return (*program, *given) if given and (program or _is_fork(document)) else ()


def _is_fork(document: Document) -> bool:
    """Scripts that were made from it have its flags under another name."""
    return len(flags(document, *_FLAGS[2:])) > 0 and len(flags(document, *_BESIDE)) > 0


def sites(config: View[Config]) -> Iterator[Site]:
    model = config.model
    rank: Fact[Any] = config.fact("r")
    alpha: Fact[Any] = config.fact("lora_alpha")
    state: State = "active"
    if config.document.syntax == "shell":
        gate: Fact[Any] = config.fact("use_peft")
        if not runs(config.document, "finetuning"):
            gate, rank, alpha = (unless_set_by("the script", fact) for fact in (gate, rank, alpha))
        state = state_of(gate) if model.peft_method == "lora" else "not-lora"
        rank, alpha = at_gate(rank, gate), at_gate(alpha, gate)
        if model.from_peft_checkpoint:
            kept = Unknown("", "from_peft_checkpoint keeps its own")
            rank, alpha = (Fact(kept, fact.path, "unknown") for fact in (rank, alpha))
    targets = model.target_modules
    modules = tuple(targets) if isinstance(targets, list) else (str(targets),)
    yield Site(modules, rank, alpha, classic, state, "lora" if state != "not-lora" else model.peft_method)
