"""VideoX-Fun, EasyAnimate and CogVideoX-Fun: `train_lora.py` and its kin with `--rank` and `--network_alpha`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.commands import flags
from lora_lint.frameworks.derivation import from_rank
from lora_lint.scaling import classic
from lora_lint.schema import Int, PositiveInt, Schema, Words
from lora_lint.view import View

NAME = "videox_fun"
TITLE = "VideoX-Fun"
DOCS = "https://github.com/aigc-apps/VideoX-Fun"
CONVENTION = "r"


class Config(Schema):
    """scripts/wan2.1/train_lora.py:551-568 at 804a425; the 29 scripts with a LoRA have the same defaults."""

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".pretrained_model_name_or_path"}

    rank: PositiveInt = 128
    network_alpha: Int = 64
    use_peft_lora: bool = False
    target_name: str | None = None
    lora_skip_name: Words | None = None


_OWN_FLAGS = (
    "train_data_meta",
    "video_sample_size",
    "image_sample_size",
    "video_sample_stride",
    "training_with_video_token_length",
)
_LORA_FLAGS = ("rank", "network_alpha", "use_peft_lora", "lora_skip_name", "target_name")


def recognises(document: Document) -> tuple[str, ...]:
    program = document.callee.rpartition("/")[2]
    if not (program.startswith("train_") and program.removesuffix(".py").endswith("_lora")):
        return ()
    own, lora = flags(document, *_OWN_FLAGS), flags(document, *_LORA_FLAGS)
    return (document.callee, *own, *lora) if own or {"--rank", "--network_alpha"} <= {*lora} else ()


def sites(config: View[Config]) -> Iterator[Site]:
    """Without PEFT's layers alpha 0 is the rank (videox_fun/utils/lora_utils.py:68); with them it is 0."""
    rank, alpha = config.fact("rank"), _alpha(config)
    targets = tuple(name for name in (config.model.target_name or "").split(",") if name)
    yield Site(targets or ("*",), rank, alpha, classic)


def _alpha(config: View[Config]) -> Fact[Any]:
    alpha: Fact[Any] = config.fact("network_alpha")
    means_rank = alpha.known and alpha.value == 0 and not config.model.use_peft_lora
    return from_rank(config.fact("rank"), alpha.path) if means_rank else alpha
