"""ms-swift: `swift sft --tuner_type lora --lora_rank N` and `megatron sft`, the same in YAML, args.json and Python."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Kind, Site, State, TargetSyntax
from lora_lint.frameworks import peft
from lora_lint.frameworks.blocks import block
from lora_lint.frameworks.commands import flags, runs, unless_in_file
from lora_lint.frameworks.derivation import trained_before
from lora_lint.frameworks.gates import at_gate
from lora_lint.frameworks.trainer import LatestArguments
from lora_lint.scaling import classic, rslora
from lora_lint.schema import Number, Old, PositiveInt, Schema, Words
from lora_lint.view import View

NAME = "ms_swift"
TITLE = "ms-swift"
DOCS = "https://swift.readthedocs.io/en/latest/Instruction/Command-line-parameters.html"

_GATES = ("tuner_type", "train_type", "sft_type")
"""Since v4, in v3, before December 2024."""


class Config(LatestArguments, strict=False):
    """swift/arguments/tuner_args.py:126-152 and base_args/base_args.py:93 at 36023605; YAML becomes flags there.

    v2 and v3 have the same defaults; v2's names for two of the keys are the second ones here. An adapter that training
    goes on from keeps its own rank and alpha (pipelines/train/tuner.py:389).
    """

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    ARGPARSE: ClassVar[tuple[str, ...]] = ("shell", "yaml")
    TARGETS: ClassVar[TargetSyntax] = "words"
    MEANT: ClassVar[Mapping[str, str]] = {"lora_r": "lora_rank", "lora_target": "target_modules"}

    SPELLED: ClassVar[Mapping[str, str]] = {
        "base_model": "model",
        "optim": "optimizer",
        "quantization_bit": "quant_bits",
        "loraplus_lr_ratio": "lorap_lr_ratio",
        "init_lora_weights": "init_weights",
        "adapter_path": "adapters",
        "stage": "rlhf_type",
        "new_tokens": "new_special_tokens",
    }

    model: Any = None
    optimizer: Any = None
    quant_bits: Any = Field(None, validation_alias=AliasChoices("quant_bits", "quantization_bit"))
    lorap_lr_ratio: Any = Field(None, validation_alias=AliasChoices("lorap_lr_ratio", "lora_lr_ratio"))
    rlhf_type: Any = None
    tuner_type: str = Field("lora", validation_alias=AliasChoices(*_GATES))
    adapters: Words | None = None
    resume_from_checkpoint: str | None = None
    target_modules: Words = Field(
        ["all-linear"], validation_alias=AliasChoices("target_modules", "lora_target_modules")
    )
    target_regex: str | None = None
    target_parameters: Words | None = None
    modules_to_save: Words = Field(default_factory=list)
    new_special_tokens: Words = Field(default_factory=list)
    lora_rank: PositiveInt = 8
    lora_alpha: Number = 32
    lora_dropout: float = Field(0.05, validation_alias=AliasChoices("lora_dropout", "lora_dropout_p"))
    use_rslora: bool = False
    use_dora: bool = False
    vera_rank: Any = None
    vera_dropout: Any = None
    vera_target_modules: Any = None
    local_rank: Any = None
    init_weights: str | bool = Field("true", validation_alias=AliasChoices("init_weights", "init_lora_weights"))


_LOST_IN_4 = {"train_type": Old("ms-swift", "4.1.0", "tuner_type", package="swift")}
"""swift/arguments/base_args/base_args.py:73 of 4.0.4 has the key, that of 4.1.0 hasn't."""
_LOST_IN_3 = {
    "sft_type": Old("ms-swift", "3.0.0", "tuner_type", package="swift"),
    "lora_target_modules": Old("ms-swift", "3.0.0", "target_modules", package="swift"),
    "lora_dropout_p": Old("ms-swift", "3.0.0", "lora_dropout", package="swift"),
}
"""swift/llm/utils/argument.py:617-896 of 2.6.1 has the keys, swift/llm/argument of 3.0.0 hasn't."""


class Command(Config):
    """The command of whatever release is installed; a script that lies beside its caller is of one release."""

    OLD: ClassVar[Mapping[str, Old]] = _LOST_IN_3 | _LOST_IN_4


class ByExpression(Command):
    """With `target_regex`, `target_modules` isn't read (swift/pipelines/train/tuner.py:178 at 36023605)."""

    TARGETS: ClassVar[TargetSyntax] = "peft"
    SPELLED: ClassVar[Mapping[str, str]] = {**Config.SPELLED, "target_modules": "target_regex"}


class Megatron(Config):
    """swift/megatron/arguments/megatron_args.py:449-470 at 36023605: the default is to train everything.

    Layers have the names of Megatron Core.
    """

    LAYERS_OF: ClassVar[str] = "megatron"

    OLD: ClassVar[Mapping[str, Old]] = _LOST_IN_4

    tuner_type: str = Field("full", validation_alias=AliasChoices(*_GATES))


class MegatronFile(Config):
    """A file of `megatron sft`, which says that it trains LoRA; the model is in the root where groups override it."""

    LAYERS_OF: ClassVar[str] = "megatron"
    SPELLED: ClassVar[Mapping[str, str]] = {**Config.SPELLED, "base_model": ".model"}


class Tuner(peft.Config):
    """`swift.LoraConfig`, swift/tuners/peft.py:41 at 36023605: PEFT's, with keys of its own."""

    UNKNOWN_KEYS: ClassVar[str] = ""


_LORA_KEYS = ("lora_rank", "lora_alpha", "lora_dropout", "target_modules", "lora_target_modules", "target_regex")
_OTHER_TUNERS = ("adalora", "llamapro", "adapter", "vera", "boft", "fourierft", "reft", "bone", "ia3", "rosa")
_MEGATRON_KEYS = ("micro_batch_size", "global_batch_size", "tensor_model_parallel_size", "expert_model_parallel_size")
_METHODS = ("sft", "pt", "rlhf")
_ARGUMENTS = ("SftArguments", "TrainArguments", "PretrainArguments", "RLHFArguments")
_SAVED = ("ckpt_dir", "local_world_size", "global_world_size", "model_info", "model_meta")
"""Keys that only the args.json of a run has."""


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "python":
        return _call_marks(document)
    if document.syntax == "shell":
        return _command_marks(document)
    keys = data.keys() | block(data, ("train",)).keys()
    gate = tuple(key for key in _GATES if key in keys)
    lora = tuple(key for key in _LORA_KEYS if key in keys)
    rank = "lora_rank" in keys or "lora_alpha" in keys
    return (*gate, *lora) if gate and rank and document.syntax in ("yaml", "json") else ()


def _call_marks(document: Document) -> tuple[str, ...]:
    if not document.callee.startswith("swift."):
        return ()
    data = block(document.data, ())
    if document.callee.endswith((".LoRAConfig", ".LoraConfig")):
        return (document.callee,)
    given = tuple(key for key in (*_GATES, *_LORA_KEYS) if key in data)
    return (document.callee, *given) if given and document.callee.endswith(_ARGUMENTS) else ()


def _command_marks(document: Document) -> tuple[str, ...]:
    """A bare `swift sft` is LoRA; a bare `swift pt` was full training until v3, as `megatron` is."""
    gate, lora = flags(document, *_GATES), flags(document, *_LORA_KEYS)
    named = document.callee in ("swift", "megatron") and any(word in _METHODS for word in document.words)
    program = (document.callee,) if named else runs(document, *_SCRIPTS)
    trains_all = document.callee == "megatron" or "pt" in document.words
    if program and trains_all and not (gate or lora):
        return ()
    own = program or (gate and ("--lora_rank" in lora or "--lora_alpha" in lora))
    return (*program, *gate, *lora) if own else ()


_SCRIPTS = (*(f"swift/cli/{name}" for name in _METHODS), *(f"swift/cli/_megatron/{name}" for name in _METHODS))


def kind(document: Document) -> Kind:
    if document.syntax == "python":
        return "source"
    saved = document.syntax == "json" and any(key in block(document.data, ()) for key in _SAVED)
    return "checkpoint" if saved else "training"


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    if document.callee.endswith((".LoRAConfig", ".LoraConfig")):
        yield Tuner, ()
        return
    megatron = "megatron" in document.callee.lower()
    nested = "train" in block(document.data, ()) and any(key in block(document.data, ("train",)) for key in _GATES)
    data = block(document.data, ())
    own = document.syntax == "yaml" and any(key in data for key in _MEGATRON_KEYS)
    model = Megatron if megatron else Command if document.callee == "swift" else MegatronFile if own else Config
    path: Path = ("train",) if nested else ()
    by_expression = not (megatron or own) and isinstance(block(document.data, path).get("target_regex"), str)
    yield ByExpression if by_expression else model, path


def sites(config: View[Any]) -> Iterator[Site]:
    if isinstance(config.model, Tuner):
        yield from peft.sites(config)
        return
    model: Config = config.model
    gate, rank, alpha = unless_in_file(config, "tuner_type", "lora_rank", "lora_alpha")
    if model.adapters or model.resume_from_checkpoint:
        rank, alpha = (trained_before(fact) for fact in (rank, alpha))
    rank, alpha = (at_gate(fact, gate) for fact in (rank, alpha))
    state, plain = _state(gate), _is_plain(config, gate)
    yield Site(
        (model.target_regex,) if model.target_regex else tuple(model.target_modules),
        rank,
        alpha,
        rslora if model.use_rslora and not plain else classic,
        state,
        str(gate.value) if state == "not-lora" else "dora" if model.use_dora and not plain else "lora",
        folded=model.init_weights == "loftq",
    )


def _is_plain(config: View[Any], gate: Fact[Any]) -> bool:
    """LoRA for the language model alone is given neither rsLoRA nor DoRA (swift/tuner_plugin/lora_llm.py:76-77)."""
    return gate.known and gate.value == "lora_llm" and not isinstance(config.model, Megatron)


def _state(gate: Fact[Any]) -> State:
    if not gate.known:
        return "active"
    return "off" if gate.value == "full" else "not-lora" if gate.value in _OTHER_TUNERS else "active"
