"""DiffSynth-Studio: `--lora_base_model` and `--lora_rank`, alpha being the rank; once `--lora_alpha` beside it."""

from collections.abc import Iterator
from typing import Any, ClassVar

from lora_lint.document import Document, Path
from lora_lint.facts import Site, State
from lora_lint.frameworks.commands import flags, runs
from lora_lint.frameworks.derivation import from_rank
from lora_lint.frameworks.gates import at_gate
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "diffsynth"
TITLE = "DiffSynth-Studio"
DOCS = "https://github.com/modelscope/DiffSynth-Studio"
CONVENTION = "r"


class Config(Schema):
    """diffsynth/diffusion/parsers.py:54-61 at fed7b18f; alpha is never given (diffusion/training_module.py:94-99).

    Without `lora_base_model`, and where a task only prepares data, no LoRA is made (training_module.py:312).
    """

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True

    lora_base_model: str | None = None
    lora_target_modules: str = "q,k,v,o,ffn.0,ffn.2"
    lora_rank: PositiveInt = 32
    lora_checkpoint: str | None = None
    preset_lora_path: str | None = None
    preset_lora_model: str | None = None
    task: str = "sft"


class Older(Schema):
    """The trainers until June 2025, which people's copies still are: PEFT gets both numbers.

    diffsynth/trainers/text_to_image.py:192-204 and examples/wanvideo/train_wan_t2v.py:309-481 at bf81de0c; the first
    knows neither a task nor an architecture.
    """

    lora_target_modules: str = "q,k,v,o,ffn.0,ffn.2"
    lora_rank: PositiveInt = 4
    lora_alpha: Number = 4.0
    train_architecture: str = "lora"
    task: str = "train"


_OWN_FLAGS = ("model_id_with_origin_paths", "model_paths", "dataset_metadata_path", "remove_prefix_in_ckpt")
_LORA_FLAGS = ("lora_base_model", "lora_rank", "lora_target_modules")
_OLDER_FLAGS = ("train_architecture", "lora_rank", "lora_alpha", "lora_target_modules", "steps_per_epoch", "dit_path")
_OLDER_SCRIPTS = (
    *("flux/train_flux_lora", "hunyuan_dit/train_hunyuan_dit_lora", "kolors/train_kolors_lora"),
    *("stable_diffusion/train_sd_lora", "stable_diffusion_3/train_sd3_lora", "stable_diffusion_xl/train_sdxl_lora"),
)


def recognises(document: Document) -> tuple[str, ...]:
    if _is_older(document):
        return (document.callee, *flags(document, *_OLDER_FLAGS))
    own, lora = flags(document, *_OWN_FLAGS), flags(document, *_LORA_FLAGS)
    return (*own, *lora) if own and lora else ()


def _is_older(document: Document) -> bool:
    if runs(document, *_OLDER_SCRIPTS):
        return True
    given = document.data.get("train_architecture") if isinstance(document.data, dict) else None
    return given == "lora" or (given is not None and bool(flags(document, "lora_rank", "lora_alpha")))


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield (Older if _is_older(document) else Config), ()


def sites(config: View[Any]) -> Iterator[Site]:
    targets = tuple(name.strip() for name in config.model.lora_target_modules.split(",") if name.strip()) or ("*",)
    trains = not config.model.task.endswith("data_process")
    if isinstance(config.model, Older):
        trains = trains and config.model.train_architecture == "lora"
        yield Site(targets, config.fact("lora_rank"), config.fact("lora_alpha"), classic, _state(trains=trains))
        return
    gate = config.fact("lora_base_model")
    rank = at_gate(config.fact("lora_rank"), gate)
    trains = trains and (not gate.known or gate.value is not None)
    yield Site(targets, rank, from_rank(rank), classic, _state(trains=trains), fixed=True)


def _state(*, trains: bool) -> State:
    return "active" if trains else "off"
