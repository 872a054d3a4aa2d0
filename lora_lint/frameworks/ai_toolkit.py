"""ostris' ai-toolkit: jobs whose processes have a `network` with `linear` and `linear_alpha`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Path, lookup
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.derivation import from_rank
from lora_lint.scaling import classic
from lora_lint.schema import NonNegativeInt, Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "ai_toolkit"
TITLE = "ai-toolkit"
DOCS = "https://github.com/ostris/ai-toolkit"
CONVENTION = "r"
SAYS = ("learning_rate", "base_model")


class Config(Schema):
    """`NetworkConfig`, toolkit/config_modules.py:169-209 at 27a03a91: `rank` wins over `linear`.

    An alpha of 0 or null means the rank (toolkit/lora_special.py:115).
    """

    UNKNOWN_KEYS: ClassVar[str] = "ignores it without a word"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {
        "network_dim": "linear",
        "network_alpha": "linear_alpha",
        "dim": "linear",
        "lora_rank": "linear",
        "lora_alpha": "linear_alpha",
        "conv_dim": "conv",
    }

    type: str = "lora"
    linear: PositiveInt = Field(4, validation_alias=AliasChoices("rank", "linear"))
    linear_alpha: Number | None = Field(1.0, validation_alias=AliasChoices("linear_alpha", "alpha"))
    conv: NonNegativeInt | None = None
    conv_alpha: Number | None = None


_UNETS = ("sd1", "sd15", "sd2", "sdxl", "ssd", "vega", "pixart", "pixart_sigma", "auraflow")
"""Architectures of the first model class, which takes alpha as it is written (lora_special.py:421 at 27a03a91)."""

_TRANSFORMERS = ("is_flux", "is_v3", "is_lumina2")
"""Older keys of the model that name an architecture whose LoRA has no alpha."""

_METHODS = {"lora": "lora", "lierla": "lora", "locon": "lora", "lycoris": "lora", "dora": "dora"}


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax not in ("yaml", "json") or not isinstance(data, dict) or data.get("job") == "extract":
        return ()
    found = list(_networks(document))
    return ("job", "config.process", *("network" for _ in found)) if found and "job" in data else ()


def _networks(document: Document) -> Iterator[Path]:
    data = document.data
    config = data.get("config") if isinstance(data, dict) else None
    processes = config.get("process") if isinstance(config, dict) else None
    for at, process in enumerate(processes if isinstance(processes, list) else ()):
        if isinstance(process, dict) and isinstance(process.get("network"), dict):
            yield ("config", "process", at, "network")


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    for path in _networks(document):
        yield Config, path


_BESIDE: Mapping[str, Path] = {
    "learning_rate": ("train", "lr"),
    "optim": ("train", "optimizer"),
    "base_model": ("model", "name_or_path"),
}
"""toolkit/config_modules.py, `TrainConfig` and `ModelConfig`; the sections stand beside the network's."""


def says(config: View[Config], word: str) -> Fact[Any] | None:
    if word == "stage":
        return Fact("diffusion", (), "derived")
    path = (*config.path[:-1], *_BESIDE.get(word, ()))
    try:
        return Fact(lookup(config.document.data, path), path) if word in _BESIDE else None
    except KeyError:
        return None


def sites(config: View[Config]) -> Iterator[Site]:
    kind = config.model.type.lower()
    method = _METHODS.get(kind, kind)
    state: State = "active" if kind in _METHODS else "not-lora"
    fixed = _without_alpha(config, kind)
    rank: Fact[Any] = config.fact("linear")
    yield _site(("linear",), rank, config.fact("linear_alpha"), method, state, fixed=fixed)
    conv: Fact[Any] = config.fact("conv")
    if conv.known and conv.value is None:
        return
    alpha: Fact[Any] = config.fact("conv_alpha")
    yield _site(("conv",), conv, alpha, method, "off" if conv.known and not conv.value else state, fixed=fixed)


def _site(
    modules: tuple[str, ...], rank: Fact[Any], alpha: Fact[Any], method: str, state: State, *, fixed: bool
) -> Site:
    if fixed or (alpha.known and not alpha.value):
        alpha = from_rank(rank, alpha.path if alpha.origin == "written" else ())
    return Site(modules, rank, alpha, classic, state, method, fixed=fixed)


def _without_alpha(config: View[Config], kind: str) -> bool:
    """Whether the model's LoRA is in PEFT's format, where alpha is replaced by the rank (lora_special.py:421-433).

    LoCon networks are of another class, without that format. A model that the first class doesn't load is a
    transformer; a tag may follow the architecture's name (config_modules.py:764).
    """
    if kind in ("locon", "lycoris"):
        return False
    process: Any = lookup(config.document.data, config.path[:-1])
    model = process.get("model")
    if not isinstance(model, dict):
        return False
    arch = model.get("arch")
    if isinstance(arch, str):
        return arch.partition(":")[0] not in _UNETS
    return any(model.get(key) is True for key in _TRANSFORMERS)
