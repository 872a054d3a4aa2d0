"""LyCORIS: `create_lycoris`, the JSON with its arguments, and presets that give modules an algorithm of their own."""

from collections.abc import Iterator
from typing import Any, ClassVar

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.derivation import from_rank
from lora_lint.frameworks.networks import DEFAULT_ALPHA, DEFAULT_RANK, algorithm
from lora_lint.scaling import classic
from lora_lint.schema import NonNegativeInt, Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "lycoris"
TITLE = "LyCORIS"
DOCS = "https://github.com/KohakuBlueleaf/LyCORIS"
CONVENTION = "r"


class Config(Schema):
    """lycoris/wrapper.py:64-75 at f49d30d; `rs_lora` is read by lycoris/kohya.py alone.

    SimpleTuner hands the keys of its `lycoris_config.json` on, and `apply_preset` to the class.
    """

    POSITIONAL: ClassVar[tuple[str, ...]] = ("module", "multiplier", "linear_dim", "linear_alpha")

    algo: str = "lora"
    linear_dim: PositiveInt | None = DEFAULT_RANK
    linear_alpha: Number | None = DEFAULT_ALPHA
    conv_dim: NonNegativeInt | None = None
    conv_alpha: Number | None = None
    dora_wd: bool = False


class Entry(Schema):
    """A module's settings in a preset, wrapper.py:310-318 at f49d30d: what is absent or 0 is the network's."""

    algo: str | None = None
    dim: NonNegativeInt | None = None
    alpha: Number | None = None


_MAPS = ("module_algo_map", "name_algo_map")
_PRESET_KEYS = ("enable_conv", "unet_target_module", "unet_target_name", "text_encoder_target_module", "target_module")
_CALLS = ("create_lycoris",)


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "python":
        module, _, name = document.callee.rpartition(".")
        return (document.callee,) if name in _CALLS and module.partition(".")[0] == "lycoris" else ()
    if document.syntax == "json":
        keys = tuple(key for key in ("linear_dim", "linear_alpha", "full_matrix") if key in data)
        return ("algo", *keys) if "algo" in data and keys else ()
    maps = tuple(key for key in _MAPS if isinstance(data.get(key), dict)) if document.syntax == "toml" else ()
    return (*maps, *(key for key in _PRESET_KEYS if key in data)) if maps else ()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    data = document.data
    assert isinstance(data, dict)
    if document.syntax in ("json", "python"):
        yield Config, ()
    owner: Path = () if document.syntax == "toml" else ("apply_preset",)
    preset = data.get(*owner) if owner else data
    for key in _MAPS if isinstance(preset, dict) else ():
        entries = preset.get(key)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and ("dim" in entry or "alpha" in entry or "algo" in entry):
                yield Entry, (*owner, key, name)


def sites(config: View[Any]) -> Iterator[Site]:
    if isinstance(config.model, Config):
        yield from _network(config)
    else:
        yield _entry(config)


def _network(config: View[Config]) -> Iterator[Site]:
    rank, alpha, algo = _of_network(config)
    yield _site(("*",), rank, alpha, algo, decomposed=config.model.dora_wd)
    if config.model.conv_dim or config.model.conv_alpha:
        # 0 and null mean the network's own: wrapper.py:77-78.
        conv_rank = config.fact("conv_dim") if config.model.conv_dim else rank
        conv_alpha = config.fact("conv_alpha") if config.model.conv_alpha else _shared(alpha)
        yield _site(("conv",), conv_rank, conv_alpha, algo, decomposed=config.model.dora_wd)


def _of_network(config: View[Config]) -> tuple[Fact[Any], Fact[Any], Fact[Any]]:
    rank: Fact[Any] = config.fact("linear_dim")
    if rank.known and rank.value is None:
        rank = Fact(DEFAULT_RANK, rank.path, "derived")
    return rank, config.fact("linear_alpha"), config.fact("algo")


def _entry(config: View[Entry]) -> Site:
    if config.document.syntax == "toml":
        given = Unknown("", "the command that names the preset gives it")
        rank: Fact[Any] = Fact(given, config.path, "unknown")
        alpha = algo = rank
    else:
        rank, alpha, algo = _of_network(View(Config, config.document, title=TITLE))
    model = config.model
    return _site(
        (str(config.path[-1]),),
        config.fact("dim") if model.dim else rank,
        config.fact("alpha") if model.alpha else _shared(alpha),
        config.fact("algo") if model.algo else algo,
    )


def _shared(alpha: Fact[Any]) -> Fact[Any]:
    """The network's alpha for a part of it, where it can't be rewritten alone."""
    return Fact(alpha.value, alpha.path, "derived") if alpha.known and alpha.origin == "written" else alpha


def _site(
    modules: tuple[str, ...], rank: Fact[Any], alpha: Fact[Any], algo: Fact[Any], *, decomposed: bool = False
) -> Site:
    if not algo.known:
        alpha = Fact(Unknown("", f"the algorithm decides: {algo.reason}"), alpha.path, "unknown")
    method, state = algorithm(str(algo.value).lower()) if algo.known else ("lora", "active")
    if alpha.known and not alpha.value:
        alpha = from_rank(rank, alpha.path)
    return Site(modules, rank, alpha, classic, state, "dora" if decomposed and method == "lora" else method)
