"""NeMo-RL: `policy.dtensor_cfg.lora_cfg` and `policy.megatron_cfg.peft` with `enabled`, `dim` and `alpha`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.blocks import block, blocks, overrides
from lora_lint.frameworks.commands import unless_set_by
from lora_lint.frameworks.gates import state_of
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema, Words
from lora_lint.view import View

NAME = "nemo_rl"
TITLE = "NeMo-RL"
DOCS = "https://docs.nvidia.com/nemo/rl/latest/guides/lora.html"


class Config(Schema):
    """DTensor: nemo_rl/models/automodel/setup.py:663-672 at 7ea279ab, into Automodel's PeftConfig with 8 and 32."""

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": "policy.model_name"}

    enabled: bool = False
    dim: PositiveInt | None = 8
    alpha: Number | None = 32
    target_modules: Words | None = None
    match_all_linear: bool = False
    use_dora: bool = False


class Megatron(Config):
    """nemo_rl/models/megatron/setup.py:1697 and 1773-1793 at 7ea279ab: refuses an absent or null dim or alpha."""

    dim: PositiveInt | None = None
    alpha: Number | None = None


_OWNERS = ("policy", "value", "teacher")
_DTENSOR = tuple(f"{owner}.dtensor_cfg.lora_cfg" for owner in _OWNERS)
_MEGATRON = tuple(f"{owner}.megatron_cfg.peft" for owner in _OWNERS)
_KEYS = ("enabled", "dim", "alpha")


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax not in ("yaml", "json", "shell"):
        return ()
    return tuple(mark for owner in (*_DTENSOR, *_MEGATRON) for mark in overrides(document, owner, *_KEYS))


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield from blocks(document, Config, _KEYS, *_DTENSOR)
    yield from blocks(document, Megatron, _KEYS, *_MEGATRON)


def sites(config: View[Config]) -> Iterator[Site]:
    model = config.model
    gate, rank, alpha = (_unless_inherited(config, name) for name in _KEYS)
    if rank.known and rank.value is None:
        rank = Fact(Unknown("", "dim is not set"), rank.path, "unknown")
    modules = ("all-linear",) if model.match_all_linear else tuple(model.target_modules or ("*",))
    state = "off" if _backend_is_off(config) else state_of(gate)
    yield Site(modules, rank, alpha, classic, state, "dora" if model.use_dora else "lora")


def _backend_is_off(config: View[Config]) -> bool:
    """One of the two backends trains (models/policy/lm_policy.py:118-119); the settings of the other aren't read."""
    data = config.document.data
    if config.document.syntax == "shell":
        rank = config.fact("dim")
        backend = ".".join((str(rank.path[0]) if rank.path else rank.key).split(".")[:2])
        enabled = block(data, ()).get(f"{backend}.enabled")
    else:
        enabled = block(data, config.path[:-1]).get("enabled")
    return enabled in (False, "false", "False")


def _unless_inherited(config: View[Config], name: str) -> Fact[Any]:
    """A command overrides a config file, and a file goes over those it names under `defaults`."""
    fact = config.fact(name)
    if config.document.syntax == "shell":
        return unless_set_by("the command's config", fact)
    return unless_set_by("the config under it", fact) if "defaults" in block(config.document.data, ()) else fact
