"""The calls that make up a run in Python beside the LoRA call: transformers', TRL's, PEFT's, and their keys."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from lora_lint.frameworks.trainer import LatestArguments
from lora_lint.schema import Old, Schema


def _old(library: str, release: str, new: str = "") -> Old:
    return Old(library, release, new, reaction="refuses to start")


class Arguments(LatestArguments):
    """transformers' `TrainingArguments` and TRL's classes that build on it."""

    SPELLED: ClassVar[Mapping[str, str]] = {
        "use_reentrant": "gradient_checkpointing_kwargs.use_reentrant",
        "safe_serialization": "save_safetensors",
    }
    OLD: ClassVar[Mapping[str, Old]] = {
        "overwrite_output_dir": _old("transformers", "5.0.0"),
        "no_cuda": _old("transformers", "5.0.0", "use_cpu"),
        "per_gpu_train_batch_size": _old("transformers", "5.0.0", "per_device_train_batch_size"),
        "per_gpu_eval_batch_size": _old("transformers", "5.0.0", "per_device_eval_batch_size"),
        "push_to_hub_model_id": _old("transformers", "5.0.0", "hub_model_id"),
        "push_to_hub_token": _old("transformers", "5.0.0", "hub_token"),
        "group_by_length": _old("transformers", "5.2.0"),
    }
    """training_args.py of the release before each has the key, that of the release has it no more."""

    loraplus_lr_ratio: Any = None
    save_safetensors: Any = True


class Sft(Arguments):
    OLD: ClassVar[Mapping[str, Old]] = {
        "max_seq_length": _old("TRL", "0.20.0", "max_length"),
        "dataset_batch_size": _old("TRL", "0.18.0"),
        "num_of_sequences": _old("TRL", "0.18.0"),
        "chars_per_token": _old("TRL", "0.18.0"),
        "use_liger": _old("TRL", "0.18.0", "use_liger_kernel"),
    }
    """trl/trainer/sft_config.py, read in the same way."""


class Grpo(Arguments):
    OLD: ClassVar[Mapping[str, Old]] = {"max_prompt_length": _old("TRL", "0.28.0")}


class Dpo(Arguments):
    OLD: ClassVar[Mapping[str, Old]] = {
        "max_prompt_length": _old("TRL", "0.29.0"),
        "max_target_length": _old("TRL", "0.14.0", "max_completion_length"),
        "is_encoder_decoder": _old("TRL", "0.15.0"),
    }


class Quantisation(Schema):
    """src/transformers/utils/quantization_config.py, `BitsAndBytesConfig`, at v5."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("load_in_8bit", "load_in_4bit")

    load_in_8bit: Any = None
    load_in_4bit: Any = None
    bnb_4bit_compute_dtype: Any = None
    bnb_4bit_quant_type: Any = None
    bnb_4bit_use_double_quant: Any = None
    bnb_4bit_quant_storage: Any = None


class Model(Schema):
    """`from_pretrained` of transformers' auto classes and of Unsloth's, which calls the first parameter otherwise."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("base_model",)

    base_model: Any = Field(
        None, validation_alias=AliasChoices("base_model", "pretrained_model_name_or_path", "model_name")
    )
    revision: Any = None
    trust_remote_code: Any = None
    load_in_4bit: Any = None
    load_in_8bit: Any = None
    dtype: Any = Field(None, validation_alias=AliasChoices("dtype", "torch_dtype"))


class Trainer(Schema):
    """A trainer of TRL may be given the name of a model in place of one."""

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": "model"}
    POSITIONAL: ClassVar[tuple[str, ...]] = ("model",)

    model: Any = None


class TrlTrainer(Trainer):
    OLD: ClassVar[Mapping[str, Old]] = {
        "tokenizer": _old("TRL", "0.16.0", "processing_class"),
        "max_seq_length": _old("TRL", "0.13.0"),
        "dataset_text_field": _old("TRL", "0.13.0"),
        "packing": _old("TRL", "0.13.0"),
        "beta": _old("TRL", "0.13.0"),
    }
    """trl/trainer/{sft,dpo}_trainer.py: what the class of the arguments has taken over; the name of the tokenizer."""


class PlainTrainer(Trainer):
    """transformers/trainer.py:409 of 4.57.6 takes the old name with a warning, 5.0.0 doesn't."""

    OLD: ClassVar[Mapping[str, Old]] = {"tokenizer": _old("transformers", "5.0.0", "processing_class")}


class Saving(Schema):
    """`save_pretrained`; src/peft/peft_model.py at 0.21.2 takes other keywords without a word."""

    OLD: ClassVar[Mapping[str, Old]] = {
        "convert_pissa_to_lora": Old(
            "PEFT", "0.12.0", "path_initial_model_for_weight_conversion", reaction="ignores it without a word"
        ),
    }

    safe_serialization: Any = True


class Optimizer(Schema):
    """An optimizer of torch's form: what is trained, then the rate."""

    SPELLED: ClassVar[Mapping[str, str]] = {"learning_rate": "lr"}
    POSITIONAL: ClassVar[tuple[str, ...]] = ("params", "lr")

    lr: Any = None


class LoraPlus(Optimizer):
    """peft/optimizers/loraplus.py, `create_loraplus_optimizer`, at 0.21.2; the rest is given by keyword alone."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("model", "optimizer_cls")

    loraplus_lr_ratio: Any = None


class Wrapping(Schema):
    """peft/mapping_func.py, `get_peft_model`, at 0.21.2."""

    POSITIONAL: ClassVar[tuple[str, ...]] = (
        *("model", "peft_config", "adapter_name", "mixed", "autocast_adapter_dtype", "revision"),
    )

    autocast_adapter_dtype: Any = None


class Tokens(Schema):
    """`add_tokens` and `add_special_tokens` of a tokenizer."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("new_tokens",)

    new_tokens: Any = Field(None, validation_alias=AliasChoices("new_tokens", "special_tokens_dict"))


class Adapted(Schema):
    """`from_pretrained` of the model that gets the adapter, of diffusers' classes too."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("image_model",)

    image_model: Any = Field(None, validation_alias=AliasChoices("image_model", "pretrained_model_name_or_path"))


class Inputs(Schema):
    """What lets gradients through the inputs of a model whose embedding is frozen, or leaves that to PEFT.

    PEFT does it for a model that checkpoints before it is wrapped (peft/peft_model.py:165 at 0.21.2).
    """


class NewTokens(Tokens):
    """Unsloth's `add_new_tokens`, unsloth_zoo/tokenizer_utils.py."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("model", "tokenizer", "new_tokens")


class LoraSaving(Schema):
    """`save_lora_weights` of diffusers' pipelines, which writes what `*_lora_adapter_metadata` holds into the file.

    Without it the file has no alpha, and loaders take the rank (loaders/lora_base.py at 0.34.0, the first with it).
    """


class Checkpointing(Inputs):
    """transformers/modeling_utils.py, `gradient_checkpointing_enable`, at 5.0.0."""

    SPELLED: ClassVar[Mapping[str, str]] = {"use_reentrant": "gradient_checkpointing_kwargs.use_reentrant"}

    gradient_checkpointing_kwargs: Any = None


class Training(Schema):
    """`trainer.train(...)`."""

    SPELLED: ClassVar[Mapping[str, str]] = {"resume_from": "resume_from_checkpoint"}
    POSITIONAL: ClassVar[tuple[str, ...]] = ("resume_from_checkpoint",)

    resume_from_checkpoint: Any = None


class Weights(Schema):
    """peft/utils/save_and_load.py, `load_peft_weights(model_id, device=None)`, at 0.21.2."""

    SPELLED: ClassVar[Mapping[str, str]] = {"resume_from": "model_id"}
    POSITIONAL: ClassVar[tuple[str, ...]] = ("model_id",)

    model_id: Any = None


_NAMED: Mapping[str, type[Schema]] = {
    "BitsAndBytesConfig": Quantisation,
    "from_pretrained": Model,
    "create_loraplus_optimizer": LoraPlus,
    "get_peft_model": Wrapping,
    "add_tokens": Tokens,
    "add_special_tokens": Tokens,
    "add_new_tokens": NewTokens,
    "save_lora_weights": LoraSaving,
    "train": Training,
    "adapted": Adapted,
    "save_pretrained": Saving,
    "save_model": Saving,
    "enable_input_require_grads": Inputs,
    "prepare_model_for_kbit_training": Inputs,
    "prepare_model_for_int8_training": Inputs,
    "gradient_checkpointing_enable": Checkpointing,
    "SFTConfig": Sft,
    "DPOConfig": Dpo,
    "GRPOConfig": Grpo,
    "Trainer": PlainTrainer,
    "Seq2SeqTrainer": PlainTrainer,
    "load_peft_weights": Weights,
}
_OF_TRL = tuple(f"{name}Trainer" for name in ("SFT", "DPO", "Reward", "GRPO", "KTO", "ORPO", "CPO", "RLOO"))


def schema_of(name: str) -> type[Schema]:
    """The schema of a call by the last part of what it calls."""
    if name in _NAMED:
        return _NAMED[name]
    if name.endswith("Trainer"):
        return TrlTrainer if name in _OF_TRL else Trainer
    return Arguments if name.endswith(("Arguments", "Config")) else Optimizer
