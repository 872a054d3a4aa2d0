"""LLaMA-Factory: `finetuning_type: lora`, where alpha is twice `lora_rank` unless set, and v1's `peft_config`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, State, TargetSyntax
from lora_lint.frameworks.commands import config_file, runs
from lora_lint.frameworks.derivation import trained_before
from lora_lint.frameworks.trainer import LatestArguments
from lora_lint.scaling import classic, rslora
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "llama_factory"
TITLE = "LLaMA-Factory"
DOCS = "https://llamafactory.readthedocs.io/en/latest/advanced/arguments.html"

ALPHA_PER_RANK = 2


def _spelled(name: str) -> AliasChoices:
    """The key itself, or as LLaMA-Board saves it (webui/runner.py:210-222 at ff6d4d1)."""
    return AliasChoices(name, f"train.{name}", f"top.{name}")


class Config(LatestArguments):
    """v0: src/llamafactory/hparams/finetuning_args.py:69-120 at ff6d4d1.

    `lora_alpha or lora_rank * 2` (line 587): absent, null and 0 all mean twice the rank. Unknown keys stop the start.
    OmegaConf reads the file (parser.py:119). The last adapter of `adapter_name_or_path` is trained on with its own rank
    and alpha unless a new one is asked for (model/adapter.py:181-216).
    """

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    ARGPARSE: ClassVar[tuple[str, ...]] = ("shell",)
    EXPONENTS: ClassVar[bool] = True
    TARGETS: ClassVar[TargetSyntax] = "comma"
    MEANT: ClassVar[Mapping[str, str]] = {
        "r": "lora_rank",
        "lora_r": "lora_rank",
        "lora_dim": "lora_rank",
        "lora_target_modules": "lora_target",
        "target_modules": "lora_target",
        "modules_to_save": "additional_target",
    }

    SPELLED: ClassVar[Mapping[str, str]] = {
        "base_model": "model_name_or_path",
        "revision": "model_revision",
        "target_modules": "lora_target",
        "modules_to_save": "additional_target",
        "adapter_path": "adapter_name_or_path",
        "adapts_experts": "use_kt",
        "new_tokens": "add_tokens",
    }

    model_name_or_path: str | None = Field(None, validation_alias=_spelled("model_name_or_path"))
    model_revision: Any = "main"
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
    resize_vocab: Any = None
    use_kt: bool = False
    add_tokens: Any = Field(None, validation_alias=AliasChoices("add_tokens", "add_special_tokens"))
    adapter_name_or_path: Any = None
    stage: Any = "sft"
    flash_attn: str | Literal[True] | None = "auto"
    """A word since v0.7.1; before, true."""
    quantization_bit: Any = None
    local_rank: Any = None


class Early(Config):
    """src/train_sft.py and its neighbours, of 2023-05-28 to 2023-07-15: src/utils/config.py:164 at 17024ebc.

    The fixed default outlived the scripts until v0.3.0 (b2ac8376, 2023-11-15); nothing in a file tells that.
    """

    lora_alpha: Number | None = 32


class Plugin(Schema):
    """v1: src/llamafactory/v1/plugins/model_plugins/peft.py:36-50 at ff6d4d1; here nothing is derived."""

    EXPONENTS: ClassVar[bool] = True
    TARGETS: ClassVar[TargetSyntax] = "peft"
    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model"}

    name: str = "lora"
    r: PositiveInt = 8
    lora_alpha: Number = 16
    lora_dropout: float = 0.05
    target_modules: list[str] | str = "all"
    use_rslora: bool = False
    use_dora: bool = False
    modules_to_save: list[str] | None = None


_OWN_KEYS = ("stage", "template", "dataset", "cutoff_len", "lora_target", "finetuning_type", "do_train")
_WITHOUT_TYPE = ("stage", "template", "dataset")
"""Keys that tell a file whose `finetuning_type` is left to its default."""
_USES = ("export_dir", "infer_backend", "do_predict", "adapter_name_or_path")
"""Keys of files that train nothing, unless `do_train` says so."""
_BOARD_KEYS = ("train.lora_rank", "train.lora_alpha", "top.finetuning_type")
_PROGRAMS = ("llamafactory-cli", "lmf", "llamafactory")
_EARLY = ("src/train_sft", "src/train_pt", "src/train_rm", "src/train_ppo")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "shell":
        return _command_marks(document, data)
    if document.syntax not in ("yaml", "json", "toml") and not (document.syntax == "python" and _is_dict(document)):
        return ()
    plugin = data.get("peft_config")
    if isinstance(plugin, dict) and plugin.get("name") == "lora" and ("r" in plugin or "lora_alpha" in plugin):
        return ("peft_config.name", "peft_config.r")
    board = tuple(key for key in _BOARD_KEYS if key in data)
    return board if len(board) >= 2 else _file_marks(data)


def _is_dict(document: Document) -> bool:
    """A plain dict, which notebooks write to the JSON that they train from."""
    return document.callee == "dict"


def _file_marks(data: dict[Any, Any]) -> tuple[str, ...]:
    own = tuple(key for key in _OWN_KEYS if key in data)
    lora = tuple(key for key in ("lora_rank", "lora_alpha") if key in data)
    if _trains_nothing(data):
        return ()
    sized = lora or "lora_target" in own
    typed = "finetuning_type" in own and (len(own) >= 2 or lora)
    return (*own, *lora) if typed or (sized and all(key in own for key in _WITHOUT_TYPE)) else ()


def _trains_nothing(data: dict[Any, Any]) -> bool:
    return not data.get("do_train") and any(key in data for key in _USES)


def _command_marks(document: Document, data: dict[Any, Any]) -> tuple[str, ...]:
    flags = ("finetuning_type", "lora_rank", "lora_alpha", "lora_target")
    given = tuple(flag for flag in flags if flag in data)
    if _trains_nothing(data):
        return ()
    program = next((word for word in (document.callee, *document.words) if word.rpartition("/")[2] in _PROGRAMS), None)
    program = program or next(iter(runs(document, "src/train_bash", *_EARLY)), None)
    if program is not None:
        return (program, *given) if given else ()
    return given if "finetuning_type" in data and len(given) >= 2 else ()


def says(config: View[Any], word: str) -> Fact[Any] | None:
    """Where new tokens resize the vocabulary and nothing is named, the embeddings are saved (adapter.py:246)."""
    own = isinstance(config.model, Config) and word == "trainable_token_indices"
    if not own or config.model.additional_target is not None or not config.model.add_tokens:
        return None
    return Fact(["embed_tokens"], (), "derived")


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    data = document.data
    if isinstance(data, dict) and isinstance(data.get("peft_config"), dict):
        yield Plugin, ("peft_config",)
    else:
        yield Early if runs(document, *_EARLY) else Config, ()


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
    if model.adapter_name_or_path and not model.create_new_adapter:
        rank, alpha = (trained_before(fact) for fact in (rank, alpha))
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
