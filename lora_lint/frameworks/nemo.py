"""NeMo 1: `model.peft.peft_scheme: lora` and `model.peft.lora_tuning.adapter_dim`, in YAML or as overrides."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.blocks import block, blocks, overrides, under
from lora_lint.frameworks.commands import unless_set_by
from lora_lint.frameworks.derivation import from_rank
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema, Words
from lora_lint.view import View

NAME = "nemo"
TITLE = "NeMo"
DOCS = "https://docs.nvidia.com/nemo-framework/user-guide/24.07/sft_peft/peft_nemo1.html"

_OWNER = "model.peft.lora_tuning"
_SAVED = "peft.lora_tuning"
"""Where they stand in the model_config.yaml of an archive: nemo/export/utils/lora_converter.py:91."""
_KEYS = ("adapter_dim", "alpha", "adapter_dropout")
_TUNING = re.compile(r"megatron_\w*(finetuning|peft_tuning)")
_OWN_ALPHA = re.compile(r"megatron_(mamba|griffin)_")


class Config(Schema, strict=False):
    """nemo/collections/nlp/parts/peft_config.py:255-272 at 8cfedd72: an absent or null alpha is `adapter_dim`.

    The examples' own YAML, which a command's overrides go over, has `adapter_dim: 32`; in code there is no default. It
    has the rank's interpolation as alpha, those of Mamba and Griffin have 32 (language_modeling/tuning/conf:
    megatron_gpt_finetuning_config.yaml:106-107, megatron_mamba_finetuning_config.yaml:106-107).
    """

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": "model.restore_from_path"}

    adapter_dim: PositiveInt = 32
    alpha: Number | None = None
    adapter_dropout: float = 0.0
    target_modules: Words | None = None


def recognises(document: Document) -> tuple[str, ...]:
    """Nova's recipes have a `lora_tuning` without a rank; they are HyperPod's."""
    if document.syntax not in ("yaml", "json", "shell"):
        return ()
    if document.syntax != "shell":
        owner = _owner(document)
        lora = overrides(document, owner, *_KEYS)
        scheme = overrides(document, owner.removesuffix(".lora_tuning"), "peft_scheme")
        return (*scheme, *lora) if f"{owner}.adapter_dim" in lora else ()
    lora = overrides(document, _OWNER, *_KEYS)
    scheme = overrides(document, "model.peft", "peft_scheme")
    named = scheme and _is_lora(block(document.data, ())["model.peft.peft_scheme"])
    return (*scheme, *lora) if lora or (named and _TUNING.search(document.callee)) else ()


def _owner(document: Document) -> str:
    return _SAVED if block(document.data, ("peft", "lora_tuning")) else _OWNER


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    if document.syntax == "shell":
        yield under(Config, _OWNER), ()
    else:
        yield from blocks(document, Config, _KEYS, _owner(document))


def sites(config: View[Config]) -> Iterator[Site]:
    rank, alpha = (_unless_in_config(config, name) for name in ("adapter_dim", "alpha"))
    if alpha.known and alpha.value is None:
        own = alpha.origin == "default" and _OWN_ALPHA.search(config.document.callee)
        at = alpha.path if alpha.origin == "written" else ()
        alpha = Fact(32, alpha.path, "default", key=alpha.key) if own else from_rank(rank, at)
    yield Site(tuple(config.model.target_modules or ("attention_qkv",)), rank, alpha, classic, _state(config.document))


def _state(document: Document) -> State:
    """Several schemes can be joined by commas (peft_config.py:416 names them)."""
    data = block(document.data, ())
    shell = document.syntax == "shell"
    path = tuple(_owner(document).split(".")[:-1])
    scheme = data.get("model.peft.peft_scheme", "lora") if shell else block(data, path).get("peft_scheme")
    return "active" if isinstance(scheme, Unknown) or _is_lora(scheme) else "off"


def _is_lora(scheme: object) -> bool:
    return any(name.strip(" '\"") in ("lora", "qlora", "sdlora") for name in str(scheme).split(","))


def _unless_in_config(config: View[Config], name: str) -> Fact[Any]:
    """A command may bring a config of its own instead of NeMo's."""
    fact, data = config.fact(name), block(config.document.data, ())
    if config.document.syntax != "shell" or str(data.get("config_name", "megatron_")).startswith("megatron_"):
        return fact
    return unless_set_by("the config at --config-name", fact)
