"""cloneofsimo's lora: `lora_pti` with `--lora_rank` and `--lora_scale`, which is the multiplier itself."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from lora_lint.document import Document
from lora_lint.facts import Site
from lora_lint.frameworks.commands import flags, runs
from lora_lint.scaling import direct, unscaled
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "lora_diffusion"
TITLE = "cloneofsimo/lora"
DOCS = "https://github.com/cloneofsimo/lora"
CONVENTION = "r"


class Config(Schema):
    """lora_diffusion/cli_lora_pti.py:700-724 at d84074b3; the scripts beside it have `--lora_rank` alone.

    The layer multiplies by the scale and nothing else (lora_diffusion/lora.py:52-58).
    """

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".pretrained_model_name_or_path"}

    lora_rank: PositiveInt = 4
    lora_scale: Number = 1.0
    use_extended_lora: bool = False
    train_text_encoder: bool | None = None


_SCRIPTS = ("train_lora_dreambooth", "train_lora_w_ti", "train_lora_pt_caption")


def recognises(document: Document) -> tuple[str, ...]:
    program = runs(document, "lora_pti", "cli_lora_pti", *_SCRIPTS)
    return (*program, *flags(document, "lora_rank", "lora_scale", "use_extended_lora")) if program else ()


def sites(config: View[Config]) -> Iterator[Site]:
    """The scale reaches the U-Net's plain layers only: cli_lora_pti.py:935-952 and 984-988."""
    rank = config.fact("lora_rank")
    by_script = bool(runs(config.document, *_SCRIPTS))
    if by_script or config.model.use_extended_lora:
        yield Site(("unet",), rank, None, unscaled)
    else:
        yield Site(("unet",), rank, config.fact("lora_scale"), direct)
    trains_text = config.model.train_text_encoder
    if not by_script if trains_text is None else trains_text:
        yield Site(("text_encoder",), rank, None, unscaled)
