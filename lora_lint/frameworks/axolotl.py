"""axolotl: `base_model`, `adapter: lora|qlora`, `lora_r` and `lora_alpha` in YAML, as flags or in a Python dict."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Unknown
from lora_lint.facts import Fact, Site, State, TargetSyntax
from lora_lint.frameworks.commands import config_file
from lora_lint.frameworks.derivation import trained_before
from lora_lint.frameworks.required import required
from lora_lint.scaling import classic, rslora
from lora_lint.schema import Int, Old, PositiveInt, Schema
from lora_lint.view import View

NAME = "axolotl"
TITLE = "axolotl"
DOCS = "https://docs.axolotl.ai/docs/config-reference.html"


_OFF, _REFUSES = (None, False), "refuses to start"


class Config(Schema, strict=False):
    """src/axolotl/utils/schemas/peft.py at 067b021c; pydantic there is lax, so `"16"` and `16.0` are 16.

    There is no default for rank or alpha: both reach PEFT as None, which fails (loaders/adapter.py:186). Unknown keys
    are ignored without a word (config.py:212 has no `extra`). An adapter of `lora_model_dir` keeps its own rank and
    alpha (loaders/adapter.py:372-383).
    """

    UNKNOWN_KEYS: ClassVar[str] = "ignores it without a word"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {
        "r": "lora_r",
        "lora_rank": "lora_r",
        "lora_dim": "lora_r",
        "target_modules": "lora_target_modules",
        "lora_target": "lora_target_modules",
        "modules_to_save": "lora_modules_to_save",
        "rank_pattern": "lora_rank_pattern",
        "alpha_pattern": "lora_alpha_pattern",
        "use_rslora": "peft_use_rslora",
        "use_dora": "peft_use_dora",
    }

    OLD: ClassVar[Mapping[str, Old]] = {
        # utils/schemas/deprecated.py:69 and validation.py:61 at 067b021c; commits c16ec398 and 9de5b763.
        "evaluation_strategy": Old("axolotl", "0.5.1", "eval_strategy", reaction="ignores it with a line in the log"),
        "unsloth_lora_mlp": Old("axolotl", "0.17.0", "lora_mlp_kernel", _OFF, _REFUSES),
        "unsloth_lora_qkv": Old("axolotl", "0.17.0", "lora_qkv_kernel", _OFF, _REFUSES),
        "unsloth_lora_o": Old("axolotl", "0.17.0", "lora_o_kernel", _OFF, _REFUSES),
    }
    TARGETS: ClassVar[TargetSyntax] = "peft"
    SPELLED: ClassVar[Mapping[str, str]] = {
        "target_modules": "lora_target_modules",
        "target_linear": "lora_target_linear",
        "exclude_modules": "lora_exclude_modules",
        "target_parameters": "lora_target_parameters",
        "modules_to_save": "lora_modules_to_save",
        "rank_pattern": "lora_rank_pattern",
        "alpha_pattern": "lora_alpha_pattern",
        "layers_to_transform": "peft_layers_to_transform",
        "layers_pattern": "peft_layers_pattern",
        "trainable_token_indices": "peft_trainable_token_indices",
        "ensure_weight_tying": "peft_ensure_weight_tying",
        "use_rslora": "peft_use_rslora",
        "use_dora": "peft_use_dora",
        "init_lora_weights": "peft_init_lora_weights",
        "fan_in_fan_out": "lora_fan_in_fan_out",
        "loftq_config": "peft.loftq_config",
        "revision": "revision_of_model",
        "optim": "optimizer",
        "lr_scheduler_type": "lr_scheduler",
        "num_train_epochs": "num_epochs",
        "per_device_train_batch_size": "micro_batch_size",
        "use_reentrant": "gradient_checkpointing_kwargs.use_reentrant",
        "new_tokens": "tokens",
        "resume_from": "resume_from_checkpoint",
        "adapter_path": "lora_model_dir",
        "adapter_kind": "adapter",
        "fp16_weights": "fp16",
        "autocast_adapter_dtype": "peft_autocast_adapter_dtype",
        "stage": "rl",
    }

    base_model: str | None = None
    revision_of_model: str | None = Field(None, validation_alias=AliasChoices("revision_of_model", "model_revision"))
    rl: Any = None
    reward_model: Any = None
    tokens: list[str] | None = None
    learning_rate: Any = None
    optimizer: Any = None
    lr_scheduler: Any = None
    num_epochs: Any = None
    max_steps: Any = None
    micro_batch_size: Any = None
    gradient_accumulation_steps: Any = None
    warmup_ratio: Any = None
    weight_decay: Any = None
    max_grad_norm: Any = None
    eval_strategy: str | None = None
    save_strategy: str | None = None
    fp16: Any = None
    bf16: Any = None
    gradient_checkpointing: Any = None
    deepspeed: Any = None
    fsdp: Any = None
    fsdp_config: Any = None
    torch_compile: Any = None
    trust_remote_code: Any = None
    adapter: str | None = None
    lora_model_dir: str | None = None
    lora_r: Int | None = None
    lora_alpha: Int | None = None
    lora_fan_in_fan_out: bool | None = None
    lora_target_modules: str | list[str] | None = None
    lora_exclude_modules: str | list[str] | None = None
    lora_target_parameters: str | list[str] | None = None
    lora_target_linear: bool | None = None
    lora_modules_to_save: list[str] | None = None
    lora_rank_pattern: dict[str, PositiveInt] | None = None
    lora_alpha_pattern: dict[str, PositiveInt] | None = None
    lora_dropout: float | None = 0.0
    lora_on_cpu: bool | None = None
    lora_mlp_kernel: bool | None = None
    lora_qkv_kernel: bool | None = None
    lora_o_kernel: bool | None = None
    lora_embedding_kernel: bool | None = None
    peft: dict[str, Any] | None = None
    peft_layers_to_transform: list[Int] | None = None
    peft_layers_pattern: str | list[str] | None = None
    peft_use_dora: bool | None = None
    peft_use_rslora: bool | None = None
    peft_layer_replication: list[Any] | None = None
    peft_init_lora_weights: bool | str | None = None
    peft_trainable_token_indices: list[Int] | dict[str, list[Int]] | None = None
    peft_ensure_weight_tying: bool | None = None
    peft_autocast_adapter_dtype: bool | None = None
    qlora_sharded_model_loading: bool | None = None
    loraplus_lr_ratio: float | None = None
    loraplus_lr_embedding: float | None = None
    load_in_4bit: bool | None = None
    load_in_8bit: bool | None = None
    gptq: bool | None = None
    lr_groups: Any = None
    resume_from_checkpoint: Any = None
    relora: bool | None = None


_LORA_KEYS = ("lora_r", "lora_alpha", "lora_target_modules", "lora_target_linear", "lora_model_dir", "lora_dropout")
_OTHER_KEYS = ("datasets", "sequence_len", "micro_batch_size", "load_in_8bit", "load_in_4bit", "val_set_size", "rl")
_ADAPTERS = ("lora", "qlora")
_WITHOUT_TRAINING = ("merge-lora", "inference", "vllm-serve", "quantize")
"""Commands that read the config of a run to use what came of it (cli/main.py)."""


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict) or any(word in document.words for word in _WITHOUT_TRAINING):
        return ()
    lora = tuple(key for key in _LORA_KEYS if key in data)
    if document.syntax == "shell":
        named = "axolotl" in document.words or document.callee.startswith(("axolotl", "scripts/finetune.py"))
        return ("axolotl", *lora) if named and lora else ()
    if document.syntax not in ("yaml", "json") and not _is_dict(document):
        return ()
    if "base_model" not in data:
        return ()
    known = tuple(key for key in _OTHER_KEYS if key in data)
    adapter = ("adapter",) if data.get("adapter") in _ADAPTERS else ()
    return ("base_model", *adapter, *lora, *known) if (lora or adapter) and (known or adapter) else ()


def _is_dict(document: Document) -> bool:
    """A plain dict, which scripts write to a YAML, or axolotl's own."""
    return document.syntax == "python" and document.callee in ("dict", "axolotl.utils.dict.DictDefault")


def sites(config: View[Config]) -> Iterator[Site]:
    model = config.model
    rank: Fact[Any] = config.fact("lora_r")
    alpha: Fact[Any] = config.fact("lora_alpha")
    if config.document.syntax == "shell":
        reason = f"{config_file(config.document) or 'the config file'} may set it"
        rank, alpha = (
            fact if fact.origin != "default" else Fact(Unknown("", reason), fact.path, "unknown")
            for fact in (rank, alpha)
        )
    if model.lora_model_dir:
        rank, alpha = (trained_before(fact) for fact in (rank, alpha))
    rank = required(rank, "lora_r")
    formula = rslora if model.peft_use_rslora else classic
    method = "dora" if model.peft_use_dora else "lora"
    targets = model.lora_target_modules
    named = (targets,) if isinstance(targets, str) else tuple(targets or ())
    modules = (*named, *(("all-linear",) if model.lora_target_linear else ())) or ("*",)
    state = _state(config)
    folded = model.peft_init_lora_weights == "loftq" or "loftq_config" in (model.peft or {})
    yield Site(modules, rank, alpha, formula, state, method, folded=folded)
    rank_pattern, alpha_pattern = model.lora_rank_pattern or {}, model.lora_alpha_pattern or {}
    for key in dict.fromkeys((*rank_pattern, *alpha_pattern)):
        yield Site(
            (key,),
            Fact(rank_pattern[key], ("lora_rank_pattern", key)) if key in rank_pattern else rank,
            Fact(alpha_pattern[key], ("lora_alpha_pattern", key)) if key in alpha_pattern else alpha,
            formula,
            state,
            method,
            pattern=True,
        )


def _state(config: View[Config]) -> State:
    """`adapter` decides; a command's config file has set it, and the rest of the file that a text shows a piece of."""
    adapter, document = config.model.adapter, config.document
    if (document.syntax == "shell" or document.example) and not config.has("adapter"):
        return "active"
    if not adapter:
        return "off"
    return "active" if adapter in _ADAPTERS else "not-lora"
