"""Unsloth: `FastLanguageModel.get_peft_model(...)`, unsloth-cli.py's flags, `unsloth train` and Studio's YAML."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Site, TargetSyntax
from lora_lint.frameworks.blocks import block
from lora_lint.frameworks.commands import flags, runs, unless_in_file
from lora_lint.scaling import classic, rslora
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "unsloth"
TITLE = "Unsloth"
DOCS = "https://docs.unsloth.ai/get-started/fine-tuning-llms-guide/lora-hyperparameters-guide"


class Config(Schema):
    """`get_peft_model`, models/llama.py:3061-3092 and vision.py:1855 at 015bdef0; any other rank is a TypeError.

    Other keywords go on to PEFT's `LoraConfig` (llama.py:3452), which knows more of them than stand here.
    """

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {"alpha": "lora_alpha", "lora_r": "r", "lora_rank": "r", "rank": "r"}
    TARGETS: ClassVar[TargetSyntax] = "peft"
    POSITIONAL: ClassVar[tuple[str, ...]] = ("model", "r", "target_modules", "lora_alpha", "lora_dropout", "bias")

    r: PositiveInt = 16
    target_modules: list[str] | str | None = None
    lora_alpha: Number | None = 16
    lora_dropout: float = 0.0
    use_rslora: bool = False
    use_dora: bool = False
    init_lora_weights: bool | str | None = True
    loftq_config: dict[str, Any] | None = None
    bias: Literal["none", "all", "lora_only"] = "none"
    layers_to_transform: Any = None
    layers_pattern: Any = None
    exclude_modules: Any = None
    modules_to_save: Any = None
    rank_pattern: Any = None
    alpha_pattern: Any = None
    target_parameters: Any = None
    ensure_weight_tying: Any = None


class Flags(Schema):
    """unsloth-cli.py:331-386 at 015bdef0."""

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model_name"}

    r: PositiveInt = 16
    lora_alpha: Number = 16
    lora_dropout: float = 0.0
    use_rslora: bool = False
    use_dora: bool = False
    learning_rate: Any = 2e-4
    optim: Any = "adamw_8bit"
    load_in_4bit: Any = None


class Section(Schema, strict=False):
    """`lora:` in Studio's files and the flags of `unsloth train`, unsloth_cli/config.py:36-50 at 015bdef0."""

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model", "learning_rate": "training.learning_rate"}

    lora_r: PositiveInt = 64
    lora_alpha: Number = 16
    lora_dropout: float = 0.0
    target_modules: list[str] | str | None = None
    use_rslora: bool = False
    use_loftq: bool = False
    use_dora: bool = False
    training_type: str = "lora"


_CLASSES = ("FastLanguageModel", "FastVisionModel", "FastModel", "FastSentenceTransformer", "FastDiffusionModel")
_LORA_FLAGS = ("r", "lora_r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora", "loftq_config")


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax == "python":
        owner, _, method = document.callee.rpartition(".")
        return (document.callee,) if method == "get_peft_model" and _is_ours(owner) else ()
    if document.syntax == "shell":
        train = ("unsloth train",) if document.callee == "unsloth" and "train" in document.words else ()
        program = train or runs(document, "unsloth-cli", "unsloth_cli")
        return (*program, *flags(document, *_LORA_FLAGS)) if program else ()
    if document.syntax not in ("yaml", "json"):
        return ()
    lora = tuple(f"lora.{key}" for key in ("lora_r", "lora_alpha") if key in block(document.data, ("lora",)))
    return ("training", *lora) if lora and block(document.data, ("training",)) else ()


def _is_ours(owner: str) -> bool:
    return owner.startswith("unsloth.") or owner.rpartition(".")[2] in _CLASSES


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    if document.syntax == "python":
        yield Config, ()
    elif document.syntax == "shell":
        yield Section if document.callee == "unsloth" else Flags, ()
    else:
        yield Section, ("lora",)


def _is_loftq(model: Any) -> bool:
    return bool(getattr(model, "init_lora_weights", None) == "loftq" or getattr(model, "use_loftq", False)) or bool(
        getattr(model, "loftq_config", None)
    )


def sites(config: View[Any]) -> Iterator[Site]:
    model: Any = config.model
    section = isinstance(model, Section)
    names = ("lora_r", "lora_alpha") if section else ("r", "lora_alpha")
    rank, alpha = unless_in_file(config, *names)
    gate: Fact[Any] = config.fact("training_type") if section else Fact(True)
    if section and config.document.syntax != "shell":
        training = block(config.document.data, ("training",))
        gate = Fact(training.get("training_type", "lora"), ("training", "training_type"))
    targets = getattr(model, "target_modules", None) or ("*",)
    yield Site(
        tuple(targets.split(",")) if isinstance(targets, str) else tuple(targets),
        rank,
        alpha,
        rslora if model.use_rslora else classic,
        "off" if gate.known and gate.value == "full" else "active",
        "dora" if model.use_dora else "lora",
        folded=_is_loftq(model),
    )
