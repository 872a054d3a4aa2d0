"""XLabs' x-flux: the YAML of its LoRA trainer, with `rank`, `single_blocks` and `double_blocks`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.scaling import unscaled
from lora_lint.schema import PositiveInt, Schema
from lora_lint.view import View

NAME = "x_flux"
TITLE = "x-flux"
DOCS = "https://github.com/XLabs-AI/x-flux"
CONVENTION = "r"


class Config(Schema):
    """train_flux_lora_deepspeed.py:108-139 at 47495425: only the rank is handed on, and without `network_alpha` the
    update isn't scaled (src/flux/modules/layers.py:107).
    """

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model_name"}

    rank: PositiveInt | None = None
    single_blocks: Any = None
    double_blocks: Any = None


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax != "yaml" or not isinstance(data, dict):
        return ()
    # Trainers that came of it take the layout over, and write a scale of their own into their code.
    if _OTHERS in data:
        return ()
    blocks = tuple(key for key in ("single_blocks", "double_blocks") if key in data)
    return ("rank", "data_config", *blocks) if blocks and "rank" in data and "data_config" in data else ()


_OTHERS = "pretrained_model_name_or_path"
"""x-flux itself asks for a `model_name` of its own list."""


def sites(config: View[Config]) -> Iterator[Site]:
    rank: Fact[Any] = config.fact("rank")
    if rank.known and rank.value is None:
        rank = Fact(Unknown("", "rank is null"), rank.path, "unknown")
    yield Site(("double_blocks", "single_blocks"), rank, None, unscaled)
