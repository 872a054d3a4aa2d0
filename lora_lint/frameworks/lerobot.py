"""LeRobot: `lerobot-train --peft.r N --peft.lora_alpha N`, the same in train_config.json, and MolmoAct2's own keys."""

from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.blocks import at, block
from lora_lint.frameworks.commands import flags, runs, unless_in_file, unless_set_by
from lora_lint.scaling import classic
from lora_lint.schema import Int, NonNegativeInt, Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "lerobot"
TITLE = "LeRobot"
DOCS = "https://huggingface.co/docs/lerobot/peft_training"

PEFT_ALPHA = 8
"""What PEFT takes for the alpha that LeRobot leaves out when it is None (policies/pretrained.py:466 at 7427f318)."""


def _spelled(block: str, name: str) -> AliasChoices:
    """As a flag, `--peft.r`, or inside the block of a file."""
    return AliasChoices(f"{block}.{name}", name)


class Config(Schema, strict=False):
    """`PeftConfig`, src/lerobot/configs/default.py:196-226 at 7427f318; any of its flags switches PEFT on."""

    method_type: str = Field("LORA", validation_alias=_spelled("peft", "method_type"))
    r: PositiveInt = Field(16, validation_alias=_spelled("peft", "r"))
    lora_alpha: Int | None = Field(None, validation_alias=_spelled("peft", "lora_alpha"))
    target_modules: Any = Field(None, validation_alias=_spelled("peft", "target_modules"))


class Policy(Schema, strict=False):
    """What the policies of others make of such keys isn't known.

    GR00T's were never wired: src/lerobot/policies/groot/configuration_groot.py:350-359 at 7427f318.
    """

    type: str | None = Field(None, validation_alias=_spelled("policy", "type"))
    lora_rank: NonNegativeInt = Field(0, validation_alias=_spelled("policy", "lora_rank"))
    lora_alpha: Number = Field(16, validation_alias=_spelled("policy", "lora_alpha"))


class MolmoAct(Policy):
    """src/lerobot/policies/molmoact2/configuration_molmoact2.py:345-349 and :442-445 at 7427f318."""

    train_mode_vlm: str = Field("lora", validation_alias=_spelled("policy", "train_mode_vlm"))
    lora_rank: PositiveInt = Field(64, validation_alias=_spelled("policy", "lora_rank"))
    lora_alpha: PositiveInt = Field(16, validation_alias=_spelled("policy", "lora_alpha"))


_PROGRAMS = ("lerobot-train", "lerobot/scripts/lerobot_train", "lerobot/scripts/train")
_FLAGS = ("peft.method_type", "peft.r", "peft.lora_alpha", "peft.target_modules")
_POLICY_FLAGS = ("policy.lora_rank", "policy.lora_alpha", "policy.train_mode_vlm")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "shell":
        given = flags(document, *_FLAGS, *_POLICY_FLAGS)
        program = runs(document, *_PROGRAMS) or flags(document, "policy.path", "policy.type", "policy.pretrained_path")
        return (*program, *given) if program and given else ()
    if document.syntax not in ("json", "yaml") or not isinstance(data.get("policy"), dict):
        return ()
    own = tuple(key for key in ("dataset", "policy", "num_workers", "eval_freq", "save_freq") if key in data)
    blocks = tuple(block for block in ("peft", "policy") if _speaks(block, data.get(block)))
    return (*own, *blocks) if blocks and len(own) >= 3 else ()


def _speaks(block: str, value: object) -> bool:
    keys = ("method_type", "r") if block == "peft" else ("type", "lora_rank")
    return isinstance(value, dict) and all(key in value for key in keys)


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    data = document.data
    assert isinstance(data, dict)
    shell = document.syntax == "shell"
    if any(flag in data for flag in _FLAGS) if shell else _speaks("peft", data.get("peft")):
        yield Config, () if shell else ("peft",)
    if any(flag in data for flag in _POLICY_FLAGS) if shell else _speaks("policy", data.get("policy")):
        yield (MolmoAct if _kind(document) == "molmoact2" else Policy), () if shell else ("policy",)


SAYS = ("base_model",)


def says(config: View[Any], word: str) -> Fact[Any] | None:
    return at(config.document, "policy.path", "policy.pretrained_path") if word == "base_model" else None


def sites(config: View[Any]) -> Iterator[Site]:
    model = config.model
    if isinstance(model, Policy):
        yield _of_policy(config)
        return
    targets = model.target_modules
    named = tuple(targets) if isinstance(targets, list) else (str(targets),) if targets else ("*",)
    rank, alpha = unless_in_file(config, "r", "lora_alpha")
    if alpha.known and alpha.value is None:
        alpha = Fact(_alpha(config.document), config.fact("r").path, "default", key=alpha.key)
    method = model.method_type.lower()
    yield Site(named, rank, alpha, classic, "active" if method == "lora" else "not-lora", method)


def _kind(document: Document) -> object:
    """The type of the policy, where it is given; `policy.path` names one that may be of any type."""
    data = block(document.data, ())
    return data.get("policy.type") if document.syntax == "shell" else block(data, ("policy",)).get("type")


def _alpha(document: Document) -> int | Unknown:
    """PEFT's own default, unless the policy has one that goes before it (policies/pretrained.py:457-460)."""
    before = _kind(document) == "molmoact2"
    return Unknown("", "the policy's lora_alpha goes before PEFT's") if before else PEFT_ALPHA


def _of_policy(config: View[Policy]) -> Site:
    model = config.model
    rank, alpha = unless_in_file(config, "lora_rank", "lora_alpha")
    if isinstance(model, MolmoAct):
        return Site(("vlm",), rank, alpha, classic, "active" if model.train_mode_vlm == "lora" else "off")
    off = model.type == "groot" or (rank.known and rank.value == 0 and rank.origin == "written")
    rank, alpha = (unless_set_by("the policy", fact) for fact in (rank, alpha))
    return Site(("policy",), rank, alpha, classic, "off" if off else "active")
