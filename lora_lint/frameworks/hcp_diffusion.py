"""HCP-Diffusion: `lora_unet` and `lora_text_encoder` with `rank` and `alpha`, and plugins made of LyCORIS' blocks."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.derivation import from_rank
from lora_lint.frameworks.networks import algorithm
from lora_lint.frameworks.required import required
from lora_lint.scaling import classic, direct
from lora_lint.schema import Number, Schema, Words
from lora_lint.view import View

NAME = "hcp_diffusion"
TITLE = "HCP-Diffusion"
DOCS = "https://github.com/IrisRainbowNeko/HCP-Diffusion"
CONVENTION = "r"


class Plugin(Schema):
    """One plugin, as LyCORIS' example_configs/training_configs/hcp at f49d30d have them.

    The blocks themselves are gone from LyCORIS: what they took for an absent alpha isn't known, 0 is the rank as in
    all its modules.
    """

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": "model.pretrained_model_name_or_path"}

    dim: Number | None = None
    alpha: Number | None = None


class Config(Schema):
    """hcpdiff/models/lora_base_patch.py:41-59 and 148 at 404f0e8: one item of a list, for the layers that it names.

    Its alpha is divided by the rank unless `alpha_auto_scale` is off, and 0 stays 0.
    """

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": "model.pretrained_model_name_or_path"}

    rank: int | float = 1
    alpha: Number = 1.0
    alpha_auto_scale: bool = True
    layers: Words = Field(default_factory=list)


_PARTS = {"plugin_unet": "unet", "plugin_TE": "text_encoder"}
_LISTS = ("lora_unet", "lora_text_encoder")
_BLOCK = "lycoris.hcp."


def recognises(document: Document) -> tuple[str, ...]:
    paths = (*(path for path, _ in _plugins(document)), *_items(document))
    return tuple(".".join(str(part) for part in path) for path in paths)


def _plugins(document: Document) -> Iterator[tuple[Path, str]]:
    """The paths of the plugins with the names of their blocks."""
    for part in _PARTS:
        plugins = _root(document).get(part)
        for name, plugin in plugins.items() if isinstance(plugins, dict) else ():
            target = plugin.get("_target_") if isinstance(plugin, dict) else None
            if isinstance(target, str) and target.startswith(_BLOCK):
                yield (part, name), target.removeprefix(_BLOCK).partition(".")[0].removesuffix("Block").lower()


def _items(document: Document) -> Iterator[Path]:
    for name in _LISTS:
        items = _root(document).get(name)
        for at, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict) and "layers" in item:
                yield name, at


def _root(document: Document) -> dict[Any, Any]:
    return document.data if document.syntax == "yaml" and isinstance(document.data, dict) else {}


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    for path in _items(document):
        yield Config, path
    for path, _ in _plugins(document):
        yield Plugin, path


def sites(config: View[Any]) -> Iterator[Site]:
    if isinstance(config.model, Config):
        rank: Fact[Any] = config.fact("rank")
        if rank.known and isinstance(rank.value, float):
            rank = Fact(Unknown("", "rank is a fraction of each layer's outputs"), rank.path, "unknown")
        formula = classic if config.model.alpha_auto_scale else direct
        yield Site(tuple(config.model.layers) or ("*",), rank, config.fact("alpha"), formula)
        return
    method, state = algorithm(dict(_plugins(config.document))[config.path])
    rank, alpha = (required(config.fact(name), name) for name in ("dim", "alpha"))
    if alpha.known and alpha.value == 0 and state != "not-lora":
        alpha = from_rank(rank, alpha.path)
    yield Site((_PARTS[str(config.path[0])],), rank, alpha, classic, state, method)
