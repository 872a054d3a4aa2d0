"""NeMo 1: `model.peft.peft_scheme: lora` and `model.peft.lora_tuning.adapter_dim`, in YAML or as overrides."""

from collections.abc import Iterator
from typing import Any

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.blocks import block, blocks, overrides
from lora_lint.frameworks.derivation import from_rank
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema, View, Words

NAME = "nemo"
TITLE = "NeMo"
DOCS = "https://docs.nvidia.com/nemo-framework/user-guide/24.07/sft_peft/peft_nemo1.html"

_OWNER = "model.peft.lora_tuning"
_KEYS = ("adapter_dim", "alpha", "adapter_dropout")


class Config(Schema, strict=False):
    """nemo/collections/nlp/parts/peft_config.py:255-272 at 8cfedd72: an absent or null alpha is `adapter_dim`.

    The examples' own YAML, which a command's overrides go over, has `adapter_dim: 32`; in code there is no default.
    """

    adapter_dim: PositiveInt = 32
    alpha: Number | None = None
    adapter_dropout: float = 0.0
    target_modules: Words | None = None


def recognises(document: Document) -> tuple[str, ...]:
    """Nova's recipes have a `lora_tuning` without a rank; they are HyperPod's."""
    if document.syntax not in ("yaml", "json", "shell"):
        return ()
    lora = overrides(document, _OWNER, *_KEYS)
    scheme = overrides(document, "model.peft", "peft_scheme")
    rank = f"{_OWNER}.adapter_dim" in lora
    return (*scheme, *lora) if rank or (document.syntax == "shell" and lora) else ()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield from blocks(document, Config, _KEYS, _OWNER)


def sites(config: View[Config]) -> Iterator[Site]:
    rank: Fact[Any] = config.fact("adapter_dim")
    alpha: Fact[Any] = config.fact("alpha")
    if alpha.known and alpha.value is None:
        alpha = from_rank(rank, alpha.path if alpha.origin == "written" else ())
    yield Site(tuple(config.model.target_modules or ("attention_qkv",)), rank, alpha, classic, _state(config.document))


def _state(document: Document) -> State:
    """Several schemes can be joined by commas (peft_config.py:416 names them)."""
    data = block(document.data, ())
    shell = document.syntax == "shell"
    scheme = data.get("model.peft.peft_scheme", "lora") if shell else block(data, ("model", "peft")).get("peft_scheme")
    if isinstance(scheme, Unknown):
        return "active"
    schemes = str(scheme).split(",")
    return "active" if any(name.strip() in ("lora", "qlora", "sdlora") for name in schemes) else "off"
