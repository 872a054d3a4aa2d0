"""finetrainers: `--training_type lora` with `--rank` and `--lora_alpha`, and its older CogVideoX scripts."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from lora_lint.document import Document
from lora_lint.facts import Site
from lora_lint.frameworks.commands import flags, runs
from lora_lint.scaling import classic
from lora_lint.schema import Int, PositiveInt, Schema
from lora_lint.view import View

NAME = "finetrainers"
TITLE = "finetrainers"
DOCS = "https://github.com/a-r-r-o-w/finetrainers"
CONVENTION = "r"


class Config(Schema):
    """finetrainers/trainer/sft_trainer/config.py:25-45 at f476c371, the control trainer's and
    examples/_legacy/training/cogvideox/args.py:166-172 with the same defaults.
    """

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".pretrained_model_name_or_path"}

    training_type: str = ""
    rank: PositiveInt = 64
    lora_alpha: Int = 64


_SCRIPTS = ("cogvideox_text_to_video_lora", "cogvideox_image_to_video_lora")
_OWN_FLAGS = ("training_type", "target_modules", "rank", "lora_alpha", "flow_weighting_scheme", "train_steps")


def recognises(document: Document) -> tuple[str, ...]:
    own = flags(document, *_OWN_FLAGS)
    if script := runs(document, *_SCRIPTS):
        return (*script, *own)
    lora = "--rank" in own or "--lora_alpha" in own
    return own if "--training_type" in own and (lora or _trains_lora(document)) and len(own) >= 2 else ()


def _trains_lora(document: Document) -> bool:
    data = document.data
    return isinstance(data, dict) and data.get("training_type") in ("lora", "control-lora")


def sites(config: View[Config]) -> Iterator[Site]:
    kind = config.fact("training_type")
    trains = not kind.known or not kind.value or _trains_lora(config.document)
    yield Site(("*",), config.fact("rank"), config.fact("lora_alpha"), classic, "active" if trains else "off")
