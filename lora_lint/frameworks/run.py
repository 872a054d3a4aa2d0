"""The calls that make up a run in Python beside the LoRA call: their keys, in the words that rules ask for."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from lora_lint.document import Document, Unknown
from lora_lint.facts import Fact
from lora_lint.frameworks.trainer import LatestArguments, sets_run
from lora_lint.keys import OldKey
from lora_lint.schema import Old, Schema
from lora_lint.view import View


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
_CLASSIFIER = re.compile(r".*For(?:Sequence|Token)Classification")
_PERCEIVES = re.compile(r".*For(?:Image|Video|Audio)Classification")
_LABELS = ("num_labels", "id2label", "label2id", "ignore_mismatched_sizes")
"""Arguments that give a classifier a head of its own; without them it may be loaded with the one that it has."""
_HALF = ("float16", "half", "fp16")


def _schema(name: str) -> type[Schema]:
    """The schema of a call by the last part of what it calls."""
    if name in _NAMED:
        return _NAMED[name]
    if name.endswith("Trainer"):
        return TrlTrainer if name in _OF_TRL else Trainer
    return Arguments if name.endswith(("Arguments", "Config")) else Optimizer


@dataclass(eq=False)
class Part:
    """One of the calls; its facts stand at paths that begin with its name."""

    name: str
    view: View[Any]
    stage: str = ""
    """What the class of the run's arguments says about the kind of training, in the words of the vocabulary."""
    scaled: bool = False
    """Whether the run's gradients are scaled for float16."""
    plain: bool = False
    """Whether nothing lets gradients through the inputs of what `get_peft_model` made."""

    def said(self, word: str) -> Fact[Any] | None:
        own = _DERIVED.get(word)
        fact = own(self) if own is not None else self.view.said(word)
        return replace(fact, path=(self.name, *fact.path)) if fact is not None else None

    @property
    def old_keys(self) -> Iterator[OldKey]:
        """Keys that the library has no more; Unsloth puts classes of its own in place of TRL's, which take them."""
        patched = "unsloth" in self.view.document.source.text
        for old in self.view.old_keys:
            if not (patched and old.library == "TRL"):
                yield old._replace(path=(self.name, *old.path))

    @property
    def words(self) -> Iterator[str]:
        yield from self.view.words
        yield from (word for word, own in _DERIVED.items() if own(self) is not None)


def parts(document: Document) -> list[Part]:
    """The calls that make up the run of a LoRA call."""
    views = {name: View(_schema(name), companion, title=name) for name, companion in document.companions.items()}
    arguments = next((name for name, view in views.items() if isinstance(view.model, Arguments)), None)
    stage = _stage_of(arguments) if arguments else ""
    fp16 = views[arguments].said("fp16") if arguments else None
    scaled = fp16 is not None and fp16.known and fp16.value is True
    plain = "get_peft_model" in views and _is_plain(views)
    return [Part(name, view, stage, scaled, plain) for name, view in views.items()]


def _is_plain(views: Mapping[str, View[Any]]) -> bool:
    """Whether the model that `get_peft_model` made is trained by transformers' Trainer, or by a loop that turns
    checkpointing on after it, with nothing said about the inputs."""
    called = [view for view in views.values() if isinstance(view.model, Inputs)]
    if [view for view in called if not isinstance(view.model, Checkpointing)]:
        return False
    if called:
        wrapped = views["get_peft_model"].document.span.start
        looped = not any(isinstance(view.model, Trainer) for view in views.values())
        return looped and all(view.document.span.start > wrapped for view in called)
    return any(isinstance(view.model, PlainTrainer) for view in views.values())


def _stage_of(arguments: str) -> str:
    return "sft" if arguments.endswith("Arguments") else arguments.removesuffix("Config").lower()


TRL_RATES: Mapping[str, float] = {
    "SFTConfig": 2e-5,
    **dict.fromkeys(("DPOConfig", "KTOConfig", "GRPOConfig", "RLOOConfig", "CPOConfig", "ORPOConfig"), 1e-6),
    **dict.fromkeys(("OnlineDPOConfig", "XPOConfig", "NashMDConfig", "BCOConfig"), 5e-7),
}
"""`learning_rate` of TRL's classes where it isn't given: trl/trainer/sft_config.py:144, dpo_config.py:151 and their
neighbours at 1.8; transformers' own is 5e-5."""


def _default_learning_rate(part: Part) -> Fact[Any] | None:
    """The rate of TRL's class; Unsloth puts classes of its own in their place, whose rate is 5e-5."""
    rate, document = TRL_RATES.get(part.name), part.view.document
    if rate is None or document.words == ("**",) or "unsloth" in document.source.text or not sets_run(document.data):
        return None
    return Fact(rate, (), "default", key="learning_rate")


def _optim(part: Part) -> Fact[Any] | None:
    """The optimizer that is made, which goes before one that the arguments name."""
    if isinstance(part.view.model, LoraPlus) or not isinstance(part.view.model, Optimizer):
        return part.view.said("optim")
    return Fact(part.name, (), "derived")


def _stage(part: Part) -> Fact[Any] | None:
    return Fact(part.stage, (), "derived") if isinstance(part.view.model, Arguments) else None


def _reward_model(part: Part) -> Fact[Any] | None:
    """Whether the head is one for a class or a reward, not the language model's."""
    owner = part.view.document.callee.rpartition(".")[0]
    data = part.view.document.data
    labelled = isinstance(data, dict) and any(word in data for word in _LABELS)
    classifies = _CLASSIFIER.fullmatch(owner) or (labelled and _PERCEIVES.fullmatch(owner))
    loads = isinstance(part.view.model, Model) and classifies
    if part.stage not in ("", "sft", "reward"):
        return None
    return Fact(True, (), "derived") if loads or part.name in ("RewardTrainer", "RewardConfig") else None


def _fp16_weights(part: Part) -> Fact[Any] | None:
    """Whether the model is loaded in float16 for a run whose gradients are scaled."""
    if not isinstance(part.view.model, Model) or not part.scaled:
        return None
    fact = part.view.fact("dtype")
    return replace(fact, _value=True) if fact.known and fact.value in _HALF else None


def _inputs_without_grads(part: Part) -> Fact[Any] | None:
    model = part.view.model
    asked = isinstance(model, Checkpointing) or (isinstance(model, Arguments) and model.gradient_checkpointing is True)
    return part.view.said("use_reentrant") if part.plain and asked else None


def _drops_alpha(part: Part) -> Fact[Any] | None:
    document = part.view.document
    if not isinstance(part.view.model, LoraSaving) or document.words or not isinstance(document.data, dict):
        return None
    told = any(str(key).endswith("_lora_adapter_metadata") for key in document.data)
    return None if told or "to_kohya" in document.source.text else Fact(True, (), "derived")


def _new_tokens(part: Part) -> Fact[Any] | None:
    """The tokens that are added; one that only pads is never predicted."""
    if not isinstance(part.view.model, Tokens) or _THAWS.search(part.view.document.source.text):
        return None
    fact = part.view.fact("new_tokens")
    data = part.view.document.data
    written = data.get(fact.path[-1]) if isinstance(data, dict) and fact.path else None
    if part.name == "add_tokens" or not isinstance(written, dict):
        # A dict that isn't known may hold what only pads.
        return fact if part.name == "add_tokens" or fact.known else None
    more = written.get("additional_special_tokens")
    if isinstance(more, Unknown):
        return replace(fact, _value=more, origin="unknown")
    added = [token for key, value in written.items() if key not in _STANDS_IN for token in _listed(value)]
    return replace(fact, _value=[token for token in added if token not in _IN_USE])


_STANDS_IN = ("pad_token", "unk_token")
"""What stands for nothing, or for what isn't known: no model writes it."""
_THAWS = re.compile(r"requires_grad(?:\s*=\s*|_\(\s*)True")
"""Code that trains something besides by itself, which may be the rows."""
_IN_USE = ("<s>", "</s>", "<bos>", "<eos>", "<|endoftext|>", "<|end_of_text|>", "<|begin_of_text|>", "[CLS]", "[SEP]")
"""Tokens that most models have already, so that naming them adds no row."""


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if isinstance(value, Unknown) else [value]


def _base_model(part: Part) -> Fact[Any] | None:
    """A trainer that is given the model itself doesn't say what it is called."""
    fact = part.view.said("base_model")
    given = isinstance(part.view.model, Trainer) and not (fact is not None and fact.known)
    return None if given else fact


def _model_class(part: Part) -> Fact[Any] | None:
    """The class of the model that gets the adapter."""
    owner = part.view.document.callee.rpartition(".")[0].rpartition(".")[2]
    return Fact(owner, (), "derived") if isinstance(part.view.model, Adapted) else None


_DERIVED: Mapping[str, Callable[[Part], Fact[Any] | None]] = {
    "base_model": _base_model,
    "model_class": _model_class,
    "stage": _stage,
    "optim": _optim,
    "default_learning_rate": _default_learning_rate,
    "reward_model": _reward_model,
    "fp16_weights": _fp16_weights,
    "inputs_without_grads": _inputs_without_grads,
    "new_tokens": _new_tokens,
    "drops_alpha": _drops_alpha,
}
