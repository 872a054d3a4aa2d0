"""kohya's sd-scripts and musubi-tuner, and lora-scripts: `network_module`, `network_dim` and `network_alpha`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from lora_lint.document import Document, Path, Unknown, lookup
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.gates import at_gate
from lora_lint.frameworks.network_args import Arguments, number_of, parsed
from lora_lint.frameworks.networks import DEFAULT_ALPHA, DEFAULT_RANK, Network
from lora_lint.schema import Number, PositiveInt, Schema, Words
from lora_lint.view import View

NAME = "kohya"
TITLE = "sd-scripts"
DOCS = "https://github.com/kohya-ss/sd-scripts/blob/main/docs/train_network.md"
CONVENTION = "r"
SAYS = ("loraplus_lr_ratio",)


class Config(Schema):
    """train_network.py:1779-1830 at 48d368fa; musubi-tuner's training/parser_common.py:541-590 at 30c658c is the same.

    The sections of a TOML file are flattened (library/train_util.py:4739-4749), their values taken as they are. A rank
    that isn't set is 4 in every network module; the parser's alpha is 1.
    """

    FLAT: ClassVar[bool] = True
    UNKNOWN_KEYS: ClassVar[str] = "ignores it without a word"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {
        "network_rank": "network_dim",
        "lora_rank": "network_dim",
        "lora_alpha": "network_alpha",
        "lora_dropout": "network_dropout",
    }

    SPELLED: ClassVar[Mapping[str, str]] = {
        "optim": "optimizer_type",
        "fp16_adapter": "full_fp16",
        "resume_from": "network_weights",
        "base_model": "pretrained_model_name_or_path",
        "image_model": "pretrained_model_name_or_path",
    }

    pretrained_model_name_or_path: Any = None
    learning_rate: Any = None
    unet_lr: Any = None
    optimizer_type: Any = None
    mixed_precision: Any = None
    full_fp16: Any = None
    full_bf16: Any = None
    learning_rate_te: Any = None
    network_module: str = "networks.lora"
    network_dim: PositiveInt = DEFAULT_RANK
    network_alpha: Number = DEFAULT_ALPHA
    network_args: Words = Field(default_factory=list)
    network_weights: str | None = None
    network_dropout: Number | None = None
    network_train_unet_only: bool = False
    network_train_text_encoder_only: bool = False
    dim_from_weights: bool = False


class Flags(Config):
    """The same on a command line, where an unknown flag ends the program."""

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"


_LORA_KEYS = ("network_dim", "network_alpha", "network_args")
_PACKAGES = ("networks.", "lycoris.", "musubi_tuner.networks.", "locon.")
_OTHERS = ("gen_img", "lllite", "merge_lora", "resize_lora", "extract_lora")
"""Programs whose flags of these names don't train a LoRA."""

_LLLITE = "cond_emb_dim"
"""A key of ControlNet-LLLite alone, whose `network_dim` is no rank of a LoRA (networks/control_net_lllite.py)."""


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax not in ("toml", "shell") or not isinstance(document.data, dict):
        return ()
    given = dict(document.data)
    for section in document.data.values():
        given |= section if isinstance(section, dict) else {}
    lora = tuple(key for key in _LORA_KEYS if key in given)
    module = given.get("network_module")
    ours = ("network_module",) if isinstance(module, str) and module.startswith(_PACKAGES) else ()
    if document.syntax == "toml":
        return (*ours, *lora) if (ours or "network_dim" in lora) and _LLLITE not in given else ()
    program = document.callee.rpartition("/")[2]
    if any(other in program for other in _OTHERS):
        return ()
    trains = (document.callee,) if "train_network" in program else ()
    # Any program may have one of these flags, and then its defaults aren't sd-scripts'.
    marks = (*trains, *ours, *lora)
    return marks if len(marks) >= 2 else ()


def says(config: View[Config], word: str) -> Fact[Any] | None:
    """The ratio of the U-Net before that of all parts: networks/lora.py:1144 at 48d368fa."""
    if word == "loraplus_lr_ratio":
        arguments = _arguments(config)
        keys = ("loraplus_unet_lr_ratio", "loraplus_lr_ratio", "loraplus_text_encoder_lr_ratio")
        return next((number_of(arguments, key) for key in keys if key in arguments), None)
    return Fact("diffusion", (), "derived") if word == "stage" else None


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield (Flags if document.syntax == "shell" else Config), ()


def sites(config: View[Config]) -> Iterator[Site]:
    module = config.fact("network_module")
    rank, alpha = (_or_file(config, at_gate(config.fact(key), module)) for key in ("network_dim", "network_alpha"))
    if config.model.dim_from_weights:
        rank, alpha = (Fact(Unknown("", "network_weights give it"), fact.path, "unknown") for fact in (rank, alpha))
    if not module.known:
        alpha = Fact(Unknown("", module.reason), alpha.path, "unknown")
    yield from Network(config.model.network_module, rank, alpha, _arguments(config)).sites()


def _or_file(config: View[Config], fact: Fact[Any]) -> Fact[Any]:
    """What a command doesn't give, the file that it names may; `.toml` can be left out. YAML is accelerate's own."""
    data = config.document.data
    named = data.get("config_file") if config.document.syntax == "shell" and isinstance(data, dict) else None
    if named is None or fact.origin != "default" or (isinstance(named, str) and named.endswith((".yaml", ".yml"))):
        return fact
    return Fact(Unknown("", "the file that --config_file names may set it"), fact.path, "unknown")


def _arguments(config: View[Config]) -> Arguments:
    fact = config.fact("network_args")
    if fact.origin == "default":
        return {}
    # The view leaves out what isn't known; the place of an item is its place in the document.
    return parsed(lookup(config.document.data, fact.path), fact.path)
