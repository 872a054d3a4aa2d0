"""SimpleTuner: a config.json or config.toml of its flags, with `model_type: lora`, `lora_rank` and `lora_alpha`."""

from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.derivation import from_rank
from lora_lint.frameworks.gates import at_gate
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema, View

NAME = "simpletuner"
TITLE = "SimpleTuner"
DOCS = "https://github.com/bghira/SimpleTuner/blob/main/documentation/OPTIONS.md"
CONVENTION = "r"


def _flag(name: str) -> AliasChoices:
    """The key itself, or the flag as it stands on a command line."""
    return AliasChoices(f"--{name}", name)


class Config(Schema, strict=False):
    """simpletuner_sdk/server/services/field_registry/sections/lora.py:16-90 and model.py:196-210 at bc8e6ab7.

    The file becomes flags, so numbers may be text. An alpha that isn't given is the rank
    (helpers/models/common.py:1089-1093); 0 stays 0.
    """

    model_type: str = Field("full", validation_alias=_flag("model_type"))
    lora_type: str = Field("standard", validation_alias=_flag("lora_type"))
    lora_rank: PositiveInt = Field(16, validation_alias=_flag("lora_rank"))
    lora_alpha: Number | None = Field(None, validation_alias=_flag("lora_alpha"))
    use_dora: bool = Field(False, validation_alias=_flag("use_dora"))


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


def sites(config: View[Config]) -> Iterator[Site]:
    gate = config.fact("model_type")
    rank: Fact[Any] = at_gate(config.fact("lora_rank"), gate)
    alpha: Fact[Any] = at_gate(config.fact("lora_alpha"), gate)
    if config.model.lora_type == "lycoris":
        yield _lycoris(rank, alpha)
        return
    if alpha.known and alpha.value is None:
        alpha = from_rank(rank, alpha.path if alpha.origin == "written" else ())
    method = "dora" if config.model.use_dora else "lora"
    trains = not gate.known or gate.value == "lora"
    yield Site(("*",), rank, alpha, classic, "active" if trains else "off", method)


def _lycoris(rank: Fact[Any], alpha: Fact[Any]) -> Site:
    """Rank and alpha are read from the file that `lycoris_config` names; these two keys aren't."""
    rank, alpha = (
        Fact(Unknown("", "the file that lycoris_config names gives it"), fact.path, "unknown")
        if fact.origin == "default"
        else fact
        for fact in (rank, alpha)
    )
    return Site(("*",), rank, alpha, classic, "not-lora", "lycoris")
