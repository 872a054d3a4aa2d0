"""FastVideo: `--lora_training True` with `--lora_rank`, and the `lora` block of a model's role in YAML."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.blocks import at, block
from lora_lint.frameworks.commands import flags
from lora_lint.frameworks.derivation import from_rank
from lora_lint.frameworks.gates import at_gate, state_of
from lora_lint.frameworks.required import required
from lora_lint.scaling import classic
from lora_lint.schema import Int, PositiveInt, Schema, Words
from lora_lint.view import View

NAME = "fastvideo"
TITLE = "FastVideo"
DOCS = "https://hao-ai-lab.github.io/FastVideo/training/finetune/"
CONVENTION = "r"


class Flags(Schema):
    """fastvideo/fastvideo_args.py:995-997 at 2f3d4074; without a rank the run stops (training_pipeline.py:78).

    An alpha that isn't given is the rank (pipelines/lora_pipeline.py:154).
    """

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".pretrained_model_name_or_path"}

    lora_training: bool = False
    lora_rank: PositiveInt | None = None
    lora_alpha: Int | None = None
    lora_target_modules: Words | None = None


class Config(Schema, strict=False):
    """fastvideo/train/utils/lora.py:37-79 at 2f3d4074: a rank alone switches nothing on."""

    enable: bool = False
    rank: PositiveInt | None = None
    alpha: Int | None = None
    target_modules: Words | None = None


_OWN_FLAGS = ("dit_precision", "hsdp_shard_dim", "hsdp_replicate_dim", "sp_size", "num_latent_t", "training_cfg_rate")


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax == "yaml":
        return tuple(".".join(map(str, path)) for path in _roles(document.data))
    own, lora = flags(document, *_OWN_FLAGS), flags(document, "lora_training", "lora_rank", "lora_alpha")
    return (*own, *lora) if own and "--lora_training" in lora else ()


def _roles(data: object) -> Iterator[Path]:
    for role, model in block(data, ("models",)).items():
        target = model.get("_target_") if isinstance(model, dict) else None
        if isinstance(target, str) and target.startswith("fastvideo.") and isinstance(model.get("lora"), dict):
            yield ("models", role, "lora")


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    if document.syntax != "yaml":
        yield Flags, ()
        return
    for path in _roles(document.data):
        yield Config, path


SAYS = ("base_model",)


def says(config: View[Any], word: str) -> Fact[Any] | None:
    """`init_from` of the role: fastvideo/train/models/wan/wan.py:65."""
    path = ".".join(map(str, (*config.path[:-1], "init_from")))
    return at(config.document, path) if word == "base_model" and config.path else None


def sites(config: View[Any]) -> Iterator[Site]:
    prefix, switch = ("lora_", "lora_training") if isinstance(config.model, Flags) else ("", "enable")
    gate = config.fact(switch)
    rank = required(at_gate(config.fact(f"{prefix}rank"), gate), f"{prefix}rank")
    alpha: Fact[Any] = config.fact(f"{prefix}alpha")
    if alpha.known and alpha.value is None:
        alpha = from_rank(rank, alpha.path if alpha.origin == "written" else ())
    modules = tuple(getattr(config.model, f"{prefix}target_modules") or ("*",))
    yield Site(modules, rank, alpha, classic, state_of(gate))
