"""HCP-Diffusion with LyCORIS: plugins whose `_target_` is a block of `lycoris.hcp`, with `dim` and `alpha`."""

from collections.abc import Iterator
from typing import Any

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.derivation import from_rank
from lora_lint.frameworks.networks import algorithm
from lora_lint.scaling import classic
from lora_lint.schema import Number, Schema, View

NAME = "hcp_diffusion"
TITLE = "HCP-Diffusion"
DOCS = "https://github.com/IrisRainbowNeko/HCP-Diffusion"
CONVENTION = "r"


class Config(Schema):
    """One plugin, as LyCORIS' example_configs/training_configs/hcp at f49d30d have them.

    The blocks themselves are gone from LyCORIS: what they took for an absent alpha isn't known, 0 is the rank as in
    all its modules.
    """

    dim: Number | None = None
    alpha: Number | None = None


_PARTS = {"plugin_unet": "unet", "plugin_TE": "text_encoder"}
_BLOCK = "lycoris.hcp."


def recognises(document: Document) -> tuple[str, ...]:
    return tuple(".".join(str(part) for part in path) for path, _ in _plugins(document))


def _plugins(document: Document) -> Iterator[tuple[Path, str]]:
    """The paths of the plugins with the names of their blocks."""
    data = document.data if document.syntax == "yaml" and isinstance(document.data, dict) else {}
    for part in _PARTS:
        plugins = data.get(part)
        for name, plugin in plugins.items() if isinstance(plugins, dict) else ():
            target = plugin.get("_target_") if isinstance(plugin, dict) else None
            if isinstance(target, str) and target.startswith(_BLOCK):
                yield (part, name), target.removeprefix(_BLOCK).partition(".")[0].removesuffix("Block").lower()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    for path, _ in _plugins(document):
        yield Config, path


def sites(config: View[Config]) -> Iterator[Site]:
    method, state = algorithm(dict(_plugins(config.document))[config.path])
    rank, alpha = (_known(config.fact(name), name) for name in ("dim", "alpha"))
    if alpha.known and alpha.value == 0:
        alpha = from_rank(rank, alpha.path)
    yield Site((_PARTS[str(config.path[0])],), rank, alpha, classic, state, method)


def _known(fact: Fact[Any], name: str) -> Fact[Any]:
    missing = fact.known and fact.value is None
    return Fact(Unknown("", f"{name} is not set"), fact.path, "unknown") if missing else fact
