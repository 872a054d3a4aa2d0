"""The keys of transformers' `TrainingArguments`, which most trainers of language models take beside their own."""

from collections.abc import Mapping
from typing import Any, ClassVar

from lora_lint.schema import Old, Schema


class TrainingArguments(Schema):
    """src/transformers/training_args.py at v5; only what rules ask for, the rest is kept unread.

    Types are left to the frameworks: what their loaders turn into numbers differs. No default is stated, as many
    trainers have their own; a framework that has one declares the field again.
    """

    SPELLED: ClassVar[Mapping[str, str]] = {
        "resume_from": "resume_from_checkpoint",
        "base_model": "model_name_or_path",
        "fsdp_state_dict_type": "fsdp_config.state_dict_type",
    }

    model_name_or_path: Any = None
    eval_strategy: str | None = None
    save_strategy: str | None = None
    logging_strategy: str | None = None
    learning_rate: Any = None
    optim: Any = None
    lr_scheduler_type: Any = None
    num_train_epochs: Any = None
    max_steps: Any = None
    per_device_train_batch_size: Any = None
    gradient_accumulation_steps: Any = None
    warmup_ratio: Any = None
    weight_decay: Any = None
    max_grad_norm: Any = None
    fp16: Any = None
    bf16: Any = None
    gradient_checkpointing: Any = None
    gradient_checkpointing_kwargs: Any = None
    deepspeed: Any = None
    fsdp: Any = None
    fsdp_config: Any = None
    torch_compile: Any = None
    resume_from_checkpoint: Any = None
    trust_remote_code: Any = None


class LatestArguments(TrainingArguments):
    """The same in trainers that run on today's transformers; research scripts pin the release that they came with."""

    OLD: ClassVar[Mapping[str, Old]] = {
        # training_args.py of 4.50.3 has the key, that of 4.51.0 hasn't.
        "evaluation_strategy": Old("transformers", "4.51.0", "eval_strategy", reaction="refuses to start"),
    }


class Rates(Schema):
    """The few of them that are asked for where a script saves its adapter by itself, whatever DeepSpeed's file says."""

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model_name_or_path"}

    learning_rate: Any = None
    optim: Any = None
    fp16: Any = None
    bf16: Any = None
    gradient_checkpointing: Any = None


def sets_run(data: object) -> bool:
    """Whether arguments say how long or in which steps a run goes: others are a piece of a text, or made elsewhere."""
    told = ("num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps")
    return isinstance(data, dict) and any(key in data for key in told)


TRL_RATES: Mapping[str, float] = {
    "sft": 2e-5,
    **dict.fromkeys(("dpo", "kto", "grpo", "rloo", "cpo", "orpo"), 1e-6),
    **dict.fromkeys(("onlinedpo", "xpo", "nashmd", "bco"), 5e-7),
}
"""`learning_rate` of TRL's classes, by their method, where it isn't given: trl/trainer/sft_config.py:144,
dpo_config.py:151 and their neighbours at 1.8; transformers' own is 5e-5."""
