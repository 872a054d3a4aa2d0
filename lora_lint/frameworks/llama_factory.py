"""LLaMA-Factory: `finetuning_type: lora`, where alpha is twice `lora_rank` unless set, and v1's `peft_config`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.commands import config_file
from lora_lint.scaling import classic, rslora
from lora_lint.schema import Number, PositiveInt, Schema, View

NAME = "llama_factory"
TITLE = "LLaMA-Factory"
DOCS = "https://llamafactory.readthedocs.io/en/latest/advanced/arguments.html"

ALPHA_PER_RANK = 2


def _spelled(name: str) -> AliasChoices:
    """The key itself, or as LLaMA-Board saves it (webui/runner.py:210-222 at ff6d4d1)."""
    return AliasChoices(name, f"train.{name}", f"top.{name}")


class Config(Schema):
    """v0: src/llamafactory/hparams/finetuning_args.py:69-120 at ff6d4d1.

    `lora_alpha or lora_rank * 2` (line 587): absent, null and 0 all mean twice the rank. Unknown keys stop the start.
    OmegaConf reads the file (parser.py:119).
    """

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    ARGPARSE: ClassVar[tuple[str, ...]] = ("shell",)
    EXPONENTS: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {
        "r": "lora_rank",
        "lora_r": "lora_rank",
        "lora_dim": "lora_rank",
        "lora_target_modules": "lora_target",
        "target_modules": "lora_target",
        "modules_to_save": "additional_target",
    }

    finetuning_type: Literal["lora", "oft", "freeze", "full"] = Field(
        "lora", validation_alias=_spelled("finetuning_type")
    )
    lora_rank: PositiveInt = Field(8, validation_alias=_spelled("lora_rank"))
    lora_alpha: Number | None = Field(None, validation_alias=_spelled("lora_alpha"))
    lora_dropout: float = Field(0.0, validation_alias=_spelled("lora_dropout"))
    lora_target: str | list[str] = Field("all", validation_alias=_spelled("lora_target"))
    additional_target: str | list[str] | None = Field(None, validation_alias=_spelled("additional_target"))
    loraplus_lr_ratio: float | None = Field(None, validation_alias=_spelled("loraplus_lr_ratio"))
    loraplus_lr_embedding: float = 1e-6
    use_rslora: bool = Field(False, validation_alias=_spelled("use_rslora"))
    use_dora: bool = Field(False, validation_alias=_spelled("use_dora"))
    pissa_init: bool = False
    pissa_iter: int = 16
    pissa_convert: bool = False
    create_new_adapter: bool = False


class Plugin(Schema):
    """v1: src/llamafactory/v1/plugins/model_plugins/peft.py:36-50 at ff6d4d1; here nothing is derived."""

    EXPONENTS: ClassVar[bool] = True

    name: str = "lora"
    r: PositiveInt = 8
    lora_alpha: Number = 16
    lora_dropout: float = 0.05
    target_modules: list[str] | str = "all"
    use_rslora: bool = False
    use_dora: bool = False
    modules_to_save: list[str] | None = None


_OWN_KEYS = ("stage", "template", "dataset", "cutoff_len", "lora_target", "finetuning_type", "do_train")
_BOARD_KEYS = ("train.lora_rank", "train.lora_alpha", "top.finetuning_type")
_PROGRAMS = ("llamafactory-cli", "lmf", "llamafactory")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "shell":
        return _command_marks(document, data)
    if document.syntax not in ("yaml", "json", "toml"):
        return ()
    plugin = data.get("peft_config")
    if isinstance(plugin, dict) and plugin.get("name") == "lora" and ("r" in plugin or "lora_alpha" in plugin):
        return ("peft_config.name", "peft_config.r")
    board = tuple(key for key in _BOARD_KEYS if key in data)
    if len(board) >= 2:
        return board
    own = tuple(key for key in _OWN_KEYS if key in data)
    trains = data.get("do_train") or not any(key in data for key in ("export_dir", "infer_backend"))
    lora = tuple(key for key in ("lora_rank", "lora_alpha") if key in data)
    return (*own, *lora) if trains and "finetuning_type" in own and len(own) >= 2 else ()


def _command_marks(document: Document, data: dict[Any, Any]) -> tuple[str, ...]:
    flags = ("finetuning_type", "lora_rank", "lora_alpha", "lora_target")
    given = tuple(flag for flag in flags if flag in data)
    program = next((word for word in (document.callee, *document.words) if word.rpartition("/")[2] in _PROGRAMS), None)
    if program is not None:
        return (program, *given) if given else ()
    return given if "finetuning_type" in data and len(given) >= 2 else ()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    data = document.data
    if isinstance(data, dict) and isinstance(data.get("peft_config"), dict):
        yield Plugin, ("peft_config",)
    else:
        yield Config, ()


def sites(config: View[Any]) -> Iterator[Site]:
    model = config.model
    formula = rslora if model.use_rslora else classic
    method = "dora" if model.use_dora else "lora"
    if isinstance(model, Plugin):
        yield Site(_names(model.target_modules), config.fact("r"), config.fact("lora_alpha"), formula, method=method)
        return
    rank: Fact[Any] = config.fact("lora_rank")
    alpha: Fact[Any] = config.fact("lora_alpha")
    named = config_file(config.document) if config.document.syntax == "shell" else None
    if named is not None:
        rank, alpha = (
            fact if fact.origin != "default" else Fact(Unknown("", f"{named} may set it"), fact.path, "unknown")
            for fact in (rank, alpha)
        )
    if alpha.known and not alpha.value:
        alpha = _derived(rank, alpha)
    yield Site(_names(model.lora_target), rank, alpha, formula, _state(config), method)


def _derived(rank: Fact[Any], alpha: Fact[Any]) -> Fact[Any]:
    path = alpha.path if alpha.origin == "written" else rank.path
    if not rank.known:
        return Fact(Unknown("", rank.reason), path, "unknown")
    return Fact(ALPHA_PER_RANK * rank.value, path, "derived")


def _state(config: View[Config]) -> State:
    kind = config.model.finetuning_type
    return "active" if kind == "lora" else "not-lora" if kind == "oft" else "off"


def _names(targets: str | list[str]) -> tuple[str, ...]:
    """Targets are a comma string here, split by the framework (finetuning_args.py:579)."""
    listed = targets.split(",") if isinstance(targets, str) else targets
    return tuple(name.strip() for name in listed if name.strip()) or ("all",)
