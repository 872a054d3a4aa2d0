"""DiffSynth-Studio: `--lora_base_model` and `--lora_rank`; alpha is the rank."""

from collections.abc import Iterator
from typing import ClassVar

from lora_lint.document import Document
from lora_lint.facts import Site
from lora_lint.frameworks.commands import flags
from lora_lint.frameworks.derivation import from_rank
from lora_lint.frameworks.gates import at_gate
from lora_lint.scaling import classic
from lora_lint.schema import PositiveInt, Schema, View

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


_OWN_FLAGS = ("model_id_with_origin_paths", "model_paths", "dataset_metadata_path", "remove_prefix_in_ckpt")


def recognises(document: Document) -> tuple[str, ...]:
    own, lora = flags(document, *_OWN_FLAGS), flags(document, "lora_base_model", "lora_rank", "lora_target_modules")
    return (*own, *lora) if own and lora else ()


def sites(config: View[Config]) -> Iterator[Site]:
    gate = config.fact("lora_base_model")
    rank = at_gate(config.fact("lora_rank"), gate)
    targets = tuple(name.strip() for name in config.model.lora_target_modules.split(",") if name.strip())
    trains = (not gate.known or gate.value is not None) and not config.model.task.endswith(":data_process")
    yield Site(targets or ("*",), rank, from_rank(rank), classic, "active" if trains else "off", fixed=True)
