"""derrian-distro's LoRA_Easy_Training_Scripts: the TOML of its window, and what it hands to sd-scripts for it."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.blocks import block
from lora_lint.frameworks.network_args import Arguments, number_of
from lora_lint.frameworks.networks import Network
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "lora_easy"
TITLE = "LoRA_Easy_Training_Scripts"
DOCS = "https://github.com/derrian-distro/LoRA_Easy_Training_Scripts"
CONVENTION = "r"
SAYS = ("loraplus_lr_ratio",)


class Config(Schema):
    """main_ui_files/NetworkUI.py:12-13 at ae5ce07: what the window shows for a key that the file doesn't have."""

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": "general_args.args.pretrained_model_name_or_path"}

    network_dim: PositiveInt = 32
    network_alpha: Number = 16.0
    network_args: dict[str, Any] = Field(default_factory=dict)
    fa: bool = False


_BLOCK: Path = ("network_args", "args")


def recognises(document: Document) -> tuple[str, ...]:
    given = block(document.data, _BLOCK) if document.syntax == "toml" else {}
    keys = tuple(key for key in ("network_dim", "network_alpha") if key in given)
    return ("network_args.args", *keys) if keys else ()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield Config, _BLOCK


def says(config: View[Config], word: str) -> Fact[Any] | None:
    """sd-scripts' network arguments hold the ratio."""
    if word == "loraplus_lr_ratio":
        arguments = _arguments(config)
        keys = ("loraplus_unet_lr_ratio", "loraplus_lr_ratio", "loraplus_text_encoder_lr_ratio")
        return next((number_of(arguments, key) for key in keys if key in arguments), None)
    return Fact("diffusion", (), "derived") if word == "stage" else None


def sites(config: View[Config]) -> Iterator[Site]:
    arguments = _arguments(config)
    alpha: Fact[Any] = config.fact("network_alpha")
    if alpha.known and not alpha.value:
        # What equals False isn't handed on (line 78), so sd-scripts takes its default.
        alpha = Fact(1.0, alpha.path, "derived")
    yield from Network(_module(config, arguments), config.fact("network_dim"), alpha, arguments).sites()


def _module(config: View[Config], arguments: Arguments) -> str:
    """The backend's utils/validation.py:45-56 and 116-120 at 162e56d, the last of the keys that are there."""
    named = {"algo": "lycoris.kohya", "unit": "networks.dylora"}
    return next((named[key] for key in reversed(list(arguments)) if key in named), _without_argument(config))


def _without_argument(config: View[Config]) -> str:
    if config.model.fa:
        return "networks.lora_fa"
    general = block(config.document.data, ("general_args", "args"))
    return "networks.lora_flux" if "guidance_scale" in general else "networks.lora"


def _arguments(config: View[Config]) -> Arguments:
    """The arguments as sd-scripts gets them, lists joined by commas (lines 57-69)."""
    given = block(config.document.data, (*_BLOCK, "network_args"))
    return {key: Fact(_text(value), (*_BLOCK, "network_args", key)) for key, value in given.items()}


def _text(value: object) -> object:
    return ",".join(str(item) for item in value) if isinstance(value, list) else value
