"""Hugging Face PEFT: `adapter_config.json`, the same keys in YAML, and `LoraConfig(...)` in Python."""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Kind, Site, TargetSyntax, UnknownFact
from lora_lint.keys import BadValue
from lora_lint.per_module import PerModule
from lora_lint.scaling import classic
from lora_lint.schema import Int, Number, Old, PositiveInt, Schema, since
from lora_lint.view import View

NAME = "peft"
TITLE = "PEFT"
DOCS = "https://huggingface.co/docs/peft/package_reference/lora"

LONGEST_KEY = 80
"""Characters of a pattern's key that a message shows."""

Modules = list[str] | str | None
Options = dict[str, Any] | None
Switch = bool | None
"""PEFT only asks whether it is true; `fan_in_fan_out` is null in what axolotl trains (loaders/adapter.py:195)."""


class Config(Schema):
    """`LoraConfig` of PEFT 0.21.2, src/peft/tuners/lora/config.py, with the first release of each field.

    PEFT itself checks few of these when it reads the file: a rank that isn't a positive integer and an alpha that
    isn't a number fail when the layer is built (lora/layer.py:243); unknown keys are dropped with a warning since
    0.14.0.
    """

    UNKNOWN_KEYS: ClassVar[str] = "drops it with a warning, before 0.14.0 it fails"
    POSITIONAL: ClassVar[tuple[str, ...]] = (
        "task_type",
        "peft_type",
        "auto_mapping",
        "peft_version",
        "base_model_name_or_path",
        "revision",
        "inference_mode",
        "r",
        "target_modules",
        "exclude_modules",
        "lora_alpha",
        "lora_dropout",
    )
    MEANT: ClassVar[Mapping[str, str]] = {
        "alpha": "lora_alpha",
        "rank": "r",
        "lora_r": "r",
        "lora_rank": "r",
        "network_dim": "r",
        "network_alpha": "lora_alpha",
        "dropout": "lora_dropout",
        "lora_target_modules": "target_modules",
        "use_rs_lora": "use_rslora",
    }
    TARGETS: ClassVar[TargetSyntax] = "peft"
    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": "base_model_name_or_path"}
    OLD: ClassVar[Mapping[str, Old]] = {
        "enable_lora": Old("PEFT", "0.3.0", neutral=(None,)),
        "merge_weights": Old("PEFT", "0.3.0", neutral=(None, False)),
    }

    peft_type: str | None = since("0.0.1", None)
    task_type: (
        Literal["SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"] | None
    ) = since("0.0.1", None)
    inference_mode: Switch = since("0.0.1", False)
    base_model_name_or_path: str | None = since("0.1.0", None)
    revision: str | None = since("0.4.0", None)
    auto_mapping: Options = since("0.4.0", None)
    peft_version: str | None = since("0.18.0", None)
    r: PositiveInt = since("0.0.1", 8)
    target_modules: Modules = since("0.0.1", None)
    lora_alpha: Number | None = since("0.0.1", 8)
    lora_dropout: float | None = since("0.0.1", 0.0, ge=0, lt=1)
    fan_in_fan_out: Switch = since("0.0.1", False)
    bias: Literal["none", "all", "lora_only"] = since("0.0.1", "none")
    modules_to_save: list[str] | None = since("0.1.0", None)
    init_lora_weights: (
        bool
        | Literal["gaussian", "eva", "olora", "pissa", "corda", "loftq", "orthogonal", "lora_ga", "mica"]
        | Annotated[str, Field(pattern=r"^(pissa_niter_\d+|(?i:gaussian|olora))$")]
        | None
    ) = since("0.3.0", True)
    layers_to_transform: list[Int] | Int | None = since("0.4.0", None)
    layers_pattern: list[str] | str | None = since("0.4.0", None)
    rank_pattern: dict[str, PositiveInt] | None = since("0.6.0", {})
    alpha_pattern: dict[str, Number] | None = since("0.6.0", {})
    loftq_config: Options = since("0.7.0", {})
    megatron_config: Options = since("0.7.0", None)
    megatron_core: str | None = since("0.7.0", "megatron.core")
    use_rslora: Switch = since("0.8.0", False)
    use_dora: Switch = since("0.9.0", False)
    layer_replication: list[Any] | None = since("0.10.0", None)
    runtime_config: Options = since("0.12.0", {})
    exclude_modules: Modules = since("0.14.0", None)
    eva_config: Options = since("0.14.0", None)
    lora_bias: Switch = since("0.14.0", False)
    trainable_token_indices: list[Int] | dict[str, list[Int]] | None = since("0.15.0", None)
    corda_config: Options = since("0.15.0", None)
    use_qalora: Switch = since("0.16.0", False)
    qalora_group_size: Int = since("0.16.0", 16)
    target_parameters: list[str] | None = since("0.17.0", None)
    alora_invocation_tokens: list[Int] | None = since("0.18.0", None)
    arrow_config: Options = since("0.18.0", None)
    ensure_weight_tying: Switch = since("0.18.0", False)
    lora_ga_config: Options = since("0.19.0", None)
    use_bdlora: Options = since("0.19.0", None)
    velora_config: Options = since("0.20.0", None)
    monteclora_config: Options = since("0.20.0", None)
    kasa_config: Options = since("0.21.0", None)


class Among(Config):
    """The same keys among those of another program, which may mean something else by the rarer of them."""

    UNKNOWN_KEYS: ClassVar[str] = ""
    OLD: ClassVar[Mapping[str, Old]] = {}

    bias: Any = "none"
    lora_bias: Any = None


class Call(Config):
    """The class itself, whose constructor takes no other keyword."""

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"


class Other(Schema):
    """An adapter of another PEFT type: the keys that stand for rank and alpha there, unchecked."""

    peft_type: Any = None
    target_modules: Any = None
    r: Any = Field(None, validation_alias=AliasChoices("r", "init_r", "rank"))
    alpha: Any = Field(None, validation_alias=AliasChoices("lora_alpha", "alpha", "randlora_alpha"))


_OTHER_CLASSES = {"AdaLoraConfig": "adalora", "LoHaConfig": "loha", "LoKrConfig": "lokr"}
_OTHERS_KEYS = 3
"""Keys of a file that PEFT lacks, from which on the file is another program's rather than one with mistakes."""
_TELLING = ("lora_alpha", "target_modules", "lora_dropout", "base_model_name_or_path", "task_type")


def recognises(document: Document) -> tuple[str, ...]:
    """`peft_type`, or a LoraConfig call; the other schemas that are called adapter_config.json have neither."""
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.deed:
        return (document.deed,)
    if document.syntax == "python":
        called = document.through or document.callee
        name = _class_name(document)
        known = name == "LoraConfig" or name in _OTHER_CLASSES
        return (name,) if known and (called == name or called.startswith(("peft.", "."))) else ()
    if document.syntax not in ("json", "yaml"):
        return ()
    if isinstance(data.get("peft_type"), str):
        return ("peft_type", *(key for key in ("r", "lora_alpha") if key in data))
    if "r" in data and sum(key in data for key in _TELLING) >= 2 and "base_model" not in data:
        return ("r", *(key for key in _TELLING if key in data))
    return ()


def kind(document: Document) -> Kind:
    if document.syntax == "python":
        return "source"
    return "checkpoint" if document.syntax == "json" and not _is_among_others(document) else "training"


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    data = document.data
    assert isinstance(data, dict)
    other = data.get("peft_type", "LORA")
    if _class_name(document) in _OTHER_CLASSES or (isinstance(other, str) and other.upper() != "LORA"):
        yield Other, ()
    elif document.syntax == "python":
        yield Call, ()
    else:
        yield Among if _is_among_others(document) else Config, ()


def _is_among_others(document: Document) -> bool:
    data = document.data
    if not isinstance(data, dict) or "peft_type" in data:
        return False
    others = [key for key in data if key not in Config.model_fields and not str(key).startswith("_")]
    return len(others) >= _OTHERS_KEYS


def _class_name(document: Document) -> str:
    return (document.through or document.callee).rpartition(".")[2]


def sites(config: View[Any]) -> Iterator[Site]:
    """One site for the global rank and alpha, one more for each other pair that the patterns give."""
    if config.document.deed:
        return
    if isinstance(config.model, Other):
        method = _OTHER_CLASSES.get(_class_name(config.document)) or str(config.model.peft_type).lower()
        rank, alpha = (_number_or_unknown(config.fact(name)) for name in ("r", "alpha"))
        yield Site(("*",), rank, alpha, classic, state="not-lora", method=method)
        return
    if config.data.get("r") == 0 and config.data.get("target_modules") == []:
        yield _without_adapter(config)
        return
    settings = PerModule(config)
    for name, keys in (("rank_pattern", settings.rank_keys), ("alpha_pattern", settings.alpha_keys)):
        for key, fault in keys.faults.items():
            shown = key if len(key) <= LONGEST_KEY else f"{key[:LONGEST_KEY]}…"
            path = (*config.path, name, key)
            config.bad_values.append(BadValue(path, "out-of-range", f"{name} key {shown!r} {fault}"))
    modules = settings.real_modules()
    yield from settings.grouped(modules) if modules is not None else settings.as_written()


def _without_adapter(config: View[Any]) -> Site:
    """Servers stand a config of rank 0 without targets for the bare model; only a layer refuses the rank."""
    path = config.fact("r").path
    config.bad_values[:] = [bad for bad in config.bad_values if bad.path != path]
    return Site(("*",), Fact(0, path), config.fact("lora_alpha"), classic, state="off")


def base_scale(config: View[Any]) -> float:
    """The scale of modules that no pattern names, or NaN where there are no patterns to compare it with."""
    if isinstance(config.model, Other) or not (config.model.rank_pattern or config.model.alpha_pattern):
        return math.nan
    try:
        return PerModule(config).site(("*",), None, None).scale
    except UnknownFact:
        return math.nan


def _number_or_unknown(fact: Fact[Any]) -> Fact[Any]:
    known = fact.known and isinstance(fact.value, int | float) and not isinstance(fact.value, bool)
    return fact if known else Fact(Unknown("", "another schema's"), fact.path, "unknown")
