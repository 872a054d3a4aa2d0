"""mistral-finetune: `lora: {enable, rank, scaling}` in its YAML and in the params.json that it saves."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Kind, Site
from lora_lint.frameworks.gates import state_of
from lora_lint.scaling import direct
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "mistral_finetune"
TITLE = "mistral-finetune"
DOCS = "https://github.com/mistralai/mistral-finetune"
STAGE = "sft"


class Config(Schema):
    """`LoraArgs`: model/args.py:7-17 at 19435350; the layer multiplies by `scaling` itself (model/lora.py:91).

    There is no alpha: the default of 2.0 is what alpha 2r means elsewhere. simple-parsing stops at an unknown key.
    """

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model_id_or_path", "learning_rate": "optim.lr"}

    enable: bool = True
    rank: PositiveInt = 16
    dropout: float = 0.0
    scaling: Number = 2.0


class Moshi(Config):
    """kyutai's fork for speech, moshi-finetune: finetune/args.py:11-15 at 2acc879f; its README starts at a rate of 2e-6
    with LoRA as without."""

    SPELLED: ClassVar[Mapping[str, str]] = {"learning_rate": ""}

    enable: bool = False
    rank: PositiveInt = 64
    ft_embed: bool = False


_OWN_KEYS = ("model_id_or_path", "run_dir", "seq_len", "save_adapters", "ckpt_freq", "num_microbatches")
_PARAMETERS = ("dim", "n_layers", "head_dim", "hidden_dim")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "python":
        named = document.called.rpartition(".")[2] == "LoraArgs" and "rank" in data
        return ("LoraArgs", "rank") if named else ()
    lora = data.get("lora")
    if document.syntax not in ("yaml", "json") or not isinstance(lora, dict) or not {"rank", "scaling"} & lora.keys():
        return ()
    if {"r", "alpha", "lora_alpha"} & lora.keys():
        return ()
    own = tuple(key for key in (*_OWN_KEYS, *_PARAMETERS) if key in data)
    return (*(f"lora.{key}" for key in lora if key in Config.model_fields), *own) if len(own) >= 2 else ()


def kind(document: Document) -> Kind:
    return {"json": "checkpoint", "python": "source"}.get(document.syntax, "training")  # type: ignore[return-value]


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    moshi = isinstance(document.data, dict) and "moshi_paths" in document.data
    yield Moshi if moshi else Config, () if document.syntax == "python" else ("lora",)


def sites(config: View[Config]) -> Iterator[Site]:
    gate: Fact[Any] = config.fact("enable")
    yield Site(("all-linear",), config.fact("rank"), config.fact("scaling"), direct, state_of(gate))
