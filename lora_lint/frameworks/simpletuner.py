"""SimpleTuner: a config.json or config.toml of its flags, with `model_type: lora`, `lora_rank` and `lora_alpha`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.commands import unless_set_by
from lora_lint.frameworks.derivation import from_rank
from lora_lint.frameworks.gates import at_gate
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "simpletuner"
TITLE = "SimpleTuner"
DOCS = "https://github.com/bghira/SimpleTuner/blob/main/documentation/OPTIONS.md"
CONVENTION = "r"
STAGE = "diffusion"


def _flag(name: str) -> AliasChoices:
    """The key itself, or the flag as it stands on a command line."""
    return AliasChoices(f"--{name}", name)


class Config(Schema, strict=False):
    """simpletuner_sdk/server/services/field_registry/sections/lora.py:16-90 and model.py:196-210 at bc8e6ab7.

    The file becomes flags, so numbers may be text. An alpha that isn't given is the rank
    (helpers/models/common.py:1089-1093); 0 stays 0. Since 4.7 the numbers of a file that `init_lora` names come first
    (line 1088), where older releases take what is written. SingLoRA has a product of its own (1078-1087), and the
    ControlNet of a U-Net is a LoHa (1057-1073).
    """

    SPELLED: ClassVar[Mapping[str, str]] = {
        "optim": "optimizer",
        "base_model": "pretrained_model_name_or_path",
    }

    pretrained_model_name_or_path: Any = Field(None, validation_alias=_flag("pretrained_model_name_or_path"))
    learning_rate: Any = Field(None, validation_alias=_flag("learning_rate"))
    optimizer: Any = Field(None, validation_alias=_flag("optimizer"))
    model_type: str = Field("full", validation_alias=_flag("model_type"))
    lora_type: str = Field("standard", validation_alias=_flag("lora_type"))
    lora_rank: PositiveInt = Field(16, validation_alias=_flag("lora_rank"))
    lora_alpha: Number | None = Field(None, validation_alias=_flag("lora_alpha"))
    use_dora: bool = Field(False, validation_alias=_flag("use_dora"))
    init_lora: str | None = Field(None, validation_alias=_flag("init_lora"))
    peft_lora_mode: str | None = Field(None, validation_alias=_flag("peft_lora_mode"))
    controlnet: bool = Field(False, validation_alias=_flag("controlnet"))
    model_family: str | None = Field(None, validation_alias=_flag("model_family"))


_LORA_KEYS = ("lora_rank", "lora_alpha", "lora_type", "lycoris_config")
_OWN_KEYS = ("model_family", "data_backend_config", "model_type", "model_flavour", "validation_prompt_library")


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax not in ("json", "toml", "shell") or not isinstance(document.data, dict):
        return ()
    given = {str(key).removeprefix("--"): value for key, value in document.data.items()}
    own = tuple(key for key in _OWN_KEYS if key in given)
    lora = tuple(key for key in _LORA_KEYS if key in given)
    trains = given.get("model_type") == "lora" or lora
    return (*own, *lora) if trains and len(own) >= 2 else ()


_U_NETS = ("sdxl", "sd1x", "sd2x", "kolors", "deepfloyd", "stable_cascade")
"""Families with a U-Net (`MODEL_TYPE` in helpers/models/*/model.py)."""


def sites(config: View[Config]) -> Iterator[Site]:
    gate = config.fact("model_type")
    rank: Fact[Any] = at_gate(config.fact("lora_rank"), gate)
    alpha: Fact[Any] = at_gate(config.fact("lora_alpha"), gate)
    if config.model.lora_type == "lycoris":
        yield _lycoris(rank, alpha)
        return
    if config.model.init_lora:
        rank, alpha = (unless_set_by("the file that init_lora names", fact) for fact in (rank, alpha))
    if alpha.known and alpha.value is None:
        alpha = from_rank(rank, alpha.path if alpha.origin == "written" else ())
    trains = not gate.known or gate.value == "lora"
    method = _method(config.model)
    state: State = "active" if method in ("lora", "dora") else "not-lora"
    yield Site(("*",), rank, alpha, classic, state if trains else "off", method)


def _method(model: Config) -> str:
    if model.controlnet and model.model_family in _U_NETS:
        return "loha"
    if (model.peft_lora_mode or "").lower() == "singlora":
        return "singlora"
    return "dora" if model.use_dora else "lora"


def _lycoris(rank: Fact[Any], alpha: Fact[Any]) -> Site:
    """Rank and alpha are read from the file that `lycoris_config` names; these two keys aren't."""
    rank, alpha = (
        Fact(Unknown("", "the file that lycoris_config names gives it"), fact.path, "unknown")
        if fact.origin == "default"
        else fact
        for fact in (rank, alpha)
    )
    return Site(("*",), rank, alpha, classic, "not-lora", "lycoris")
