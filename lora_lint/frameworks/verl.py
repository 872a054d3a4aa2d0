"""verl: `actor_rollout_ref.model.lora_rank=N` for FSDP, `actor_rollout_ref.model.lora.rank=N` for Megatron."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, State, TargetSyntax
from lora_lint.frameworks.blocks import at, block, blocks, overrides
from lora_lint.frameworks.commands import unless_set_by
from lora_lint.frameworks.derivation import from_rank
from lora_lint.scaling import classic
from lora_lint.schema import Int, Number, Schema
from lora_lint.view import View

NAME = "verl"
TITLE = "verl"
DOCS = "https://verl.readthedocs.io/en/latest/advance/ppo_lora.html"


class Config(Schema, strict=False):
    """A model that FSDP trains: trainer/config/model/hf_model.yaml:43-55 and critic.py:276 at 1dda039b; 0 is off."""

    SPELLED: ClassVar[Mapping[str, str]] = {
        "adapter_path": "lora_adapter_path",
        "learning_rate": "actor_rollout_ref.actor.optim.lr",
        "stage": "algorithm.adv_estimator",
    }

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {"lora_r": "lora_rank", "lora_target_modules": "target_modules"}

    lora_rank: Int = 0
    lora_alpha: Number = 16
    target_modules: list[str] | str | None = "all-linear"
    lora_adapter_path: str | None = None


class Megatron(Schema, strict=False):
    """The block `lora` of a model that Megatron trains: hf_model.yaml:100-150 at 1dda039b.

    An absent alpha is 32 there, also in code (workers/config/megatron_peft.py:53 of b178a3cd). A null one is the rank,
    as in Megatron-Bridge, whose classes take the block (peft/utils.py:378-401 and :1001 at 067f987d).
    """

    TARGETS: ClassVar[TargetSyntax] = "glob"
    LAYERS_OF: ClassVar[str] = "megatron"

    rank: Int = 0
    alpha: Number | None = 32
    type: str = "lora"
    target_modules: list[str] | str | None = None


OWNERS = ("actor_rollout_ref.model", "critic.model", "model")
_FSDP, _MEGATRON = ("lora_rank", "lora_alpha"), ("rank", "alpha")
_OWN_KEYS = ("fsdp_config", "partial_pretrain", "use_remove_padding", "lora_adapter_path", "use_fused_kernels")
"""Keys beside the rank in a model's block that no other framework has."""


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax not in ("shell", "yaml", "json"):
        return ()
    found = tuple(mark for owner in OWNERS for mark in marks(document, owner))
    if document.syntax == "shell":
        own = any("verl." in word for word in document.words) or any(name.startswith(OWNERS[:2]) for name in found)
        return (document.callee, *found) if own and found else ()
    data = document.data
    trains = tuple(key for key in ("actor_rollout_ref", "critic") if key in block(data, ()))
    model = block(data, ("model",))
    known = tuple(key for key in _OWN_KEYS if key in model or key in block(data, ()))
    target = ("_target_",) if str(block(data, ()).get("_target_", model.get("_target_"))).startswith("verl.") else ()
    found = found or (marks(document, "") if target or len(known) >= 2 else ())
    return (*trains, *known, *target, *found) if found and (trains or known or target) else ()


def marks(document: Document, owner: str) -> tuple[str, ...]:
    """The LoRA keys of one model that a document holds."""
    return (*overrides(document, owner, *_FSDP), *overrides(document, f"{owner}.lora".lstrip("."), *_MEGATRON))


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield from models(document, *OWNERS)
    if document.syntax != "shell":
        yield from models(document, "")


def models(document: Document, *owners: str) -> Iterator[tuple[type[Schema], Path]]:
    """The schemas and paths of the models that hold LoRA keys."""
    for owner in owners:
        yield from blocks(document, Megatron, _MEGATRON, f"{owner}.lora".lstrip("."))
        yield from blocks(document, Config, _FSDP, owner)


SAYS = ("base_model",)


def says(config: View[Any], word: str) -> Fact[Any] | None:
    return base_model(config) if word == "base_model" else None


def base_model(config: View[Any], *bases: str) -> Fact[Any] | None:
    """`path` of the model, or `partial_pretrain` of the SFT trainer's, in the order of `OWNERS`."""
    names = [f"{owner}.{key}" for owner in OWNERS for key in ("path", "partial_pretrain")]
    return at(config.document, *(f"{base}{name}" for base in bases or ("",) for name in names))


def sites(config: View[Any]) -> Iterator[Site]:
    model = config.model
    names = _MEGATRON if isinstance(model, Megatron) else _FSDP
    rank, alpha = (_unless_elsewhere(config, config.fact(name)) for name in names)
    if isinstance(model, Config) and model.lora_adapter_path not in (None, "", "null", "None"):
        rank, alpha = (_of_adapter(fact) for fact in (rank, alpha))
    if alpha.known and alpha.value is None:
        alpha = from_rank(rank, alpha.path)
    state: State = "off" if rank.known and rank.value <= 0 else "active"
    if not isinstance(model, Megatron) and _megatron_trains(config):
        state = "off"
    targets = model.target_modules or ("*",)
    method = "dora" if isinstance(model, Megatron) and model.type == "dora" else "lora"
    yield Site((targets,) if isinstance(targets, str) else tuple(targets), rank, alpha, classic, state, method)


def _unless_elsewhere(config: View[Any], fact: Fact[Any]) -> Fact[Any]:
    """Hydra overrides verl's own config, unless the command brings one of its own, or runs what is built on verl."""
    document = config.document
    if any("verl_omni" in word for word in document.words):
        return unless_set_by("verl-omni's config", fact)
    folder = block(document.data, ()).get("config_path", "config")
    own = document.syntax != "shell" or folder == "config"
    return fact if own else unless_set_by("the config at --config-path", fact)


def _of_adapter(fact: Fact[Any]) -> Fact[Any]:
    """The settings of an adapter that is trained on are its own (workers/engine/fsdp/transformer_impl.py:323-334)."""
    return Fact(Unknown("", "the adapter at lora_adapter_path has its own"), fact.path, "unknown")


def _megatron_trains(config: View[Any]) -> bool:
    """A rank in the block `lora` goes first (main_ppo.py:137 of b178a3cd); `lora_rank` is then unused for training."""
    data = block(config.document.data, ())
    if config.document.syntax != "shell":
        return _above_zero(block(data, (*config.path, "lora")).get("rank"))
    rank = config.fact("lora_rank")
    key = str(rank.path[0]) if rank.path else rank.key
    return _above_zero(data.get(key.replace("lora_rank", "lora.rank")))


def _above_zero(value: object) -> bool:
    return str(value).isdecimal() and int(str(value)) > 0
