"""What a setup says besides rank and alpha, in PEFT's and transformers' own words, whatever the framework calls it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar, overload

from lora_lint.document import Unknown
from lora_lint.facts import Fact
from lora_lint.refusals import NUMBER

T = TypeVar("T")
Ask = Callable[[str], Fact[Any] | None]
"""The fact that a framework has for a word, or None where it has no such key."""


class Said(Generic[T]):
    """A word of a vocabulary, looked up when it is asked for, and once.

    None where nothing is said, be it a written null or a default of None; unknown where it can't be read.
    """

    def __init__(self, read: Callable[[Any], T]) -> None:
        self.read = read

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, words: None, owner: type) -> "Said[T]": ...
    @overload
    def __get__(self, words: "Vocabulary", owner: type) -> Fact[T] | None: ...
    def __get__(self, words: "Vocabulary | None", owner: type) -> "Said[T] | Fact[T] | None":
        if words is None:
            return self
        # What stands in the instance's own dictionary is found before a descriptor that can't be set.
        fact = words.__dict__[self.name] = self._read(words.ask(self.name))
        return fact

    def _read(self, fact: Fact[Any] | None) -> Fact[T] | None:
        if fact is None or not fact.known:
            return fact
        if fact.value is None:
            return None
        try:
            value = self.read(fact.value)
            return fact if value is fact.value else Fact(value, fact.path, fact.origin, fact.expression, fact.key)
        except ValueError as error:
            return replace(fact, _value=Unknown(str(fact.value), str(error)), origin="unknown")


def number(value: object) -> float:
    """
    Raises:
        ValueError: for what isn't a number, or a text of one as flags have them.
    """
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError("is no number")


def flag(value: object) -> bool:
    """
    Raises:
        ValueError: for what isn't a boolean, or a text of one as flags have them.
    """
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0", "yes", "no"):
        return value.lower() in ("true", "1", "yes")
    if isinstance(value, bool) or value in (0, 1):
        return bool(value)
    raise ValueError("is neither true nor false")


def text(value: object) -> str:
    """
    Raises:
        ValueError: for what isn't a single text.
    """
    if isinstance(value, str):
        return value
    raise ValueError("is no text")


def words(value: object) -> list[Any] | str:
    """A list, or the one text that stands for it: what that means is the framework's.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(value, str | list):
        return value
    raise ValueError("is no list")


def mapping(value: object) -> dict[Any, Any]:
    """
    Raises:
        ValueError: for what isn't a mapping.
    """
    if isinstance(value, dict):
        return value
    raise ValueError("is no mapping")


def anything(value: object) -> Any:
    return value


class Vocabulary:
    """Words, each a fact or None. A framework's `Schema.SPELLED` says what it calls them."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask


class Adapter(Vocabulary):
    """How the adapter is built, in the words of PEFT's `LoraConfig`."""

    base_model = Said(text)
    """`base_model_name_or_path` of PEFT: a hub id or a path."""
    model_class = Said(text)
    """The class of the model, where code loads it by one."""
    image_model = Said(text)
    """The diffusion model that is adapted: a hub id, or a file or folder of any machine."""
    revision = Said(text)
    auto_mapping = Said(mapping)
    """The class of the base model and the library that it is from, where no task type says it."""
    task_type = Said(text)
    inference_mode = Said(flag)
    target_modules = Said(words)
    target_linear = Said(flag)
    """All linear layers but the head, besides `target_modules`."""
    exclude_modules = Said(words)
    target_parameters = Said(words)
    modules_to_save = Said(words)
    layers_to_transform = Said(anything)
    layers_pattern = Said(words)
    rank_pattern = Said(mapping)
    alpha_pattern = Said(mapping)
    trainable_token_indices = Said(anything)
    ensure_weight_tying = Said(flag)
    alora_invocation_tokens = Said(anything)
    use_rslora = Said(flag)
    use_dora = Said(flag)
    init_lora_weights = Said(anything)
    lora_dropout = Said(number)
    bias = Said(text)
    lora_bias = Said(flag)
    fan_in_fan_out = Said(flag)
    loftq_config = Said(mapping)
    autocast_adapter_dtype = Said(flag)
    """Whether the adapter is kept in float32 whatever the base model is in, as PEFT does unless told otherwise."""
    adapts_experts = Said(flag)
    """Whether the experts of a mixture get LoRA by the framework's own means, whatever the targets are."""


class Training(Vocabulary):
    """How the run goes, in the words of transformers' `TrainingArguments` and `BitsAndBytesConfig`."""

    learning_rate = Said(number)
    default_learning_rate = Said(number)
    """The rate where none is given, in frameworks whose default is one for training the whole model."""
    unet_lr = Said(number)
    """The rate of the network that denoises, where it has one beside `learning_rate`."""
    optim = Said(text)
    lr_scheduler_type = Said(text)
    num_train_epochs = Said(number)
    max_steps = Said(number)
    per_device_train_batch_size = Said(number)
    gradient_accumulation_steps = Said(number)
    warmup_ratio = Said(number)
    weight_decay = Said(number)
    max_grad_norm = Said(number)
    fp16 = Said(flag)
    bf16 = Said(flag)
    fp16_weights = Said(flag)
    """Whether the base model itself is loaded in float16, where that goes with `fp16`."""
    fp16_adapter = Said(flag)
    """Whether the adapter itself is kept in float16 while it is trained."""
    mixed_precision = Said(text)
    """As accelerate and the image trainers have it: `no`, `fp16` or `bf16`."""
    gradient_checkpointing = Said(flag)
    use_reentrant = Said(flag)
    inputs_without_grads = Said(flag)
    """Whether reentrant checkpointing begins at inputs that need no gradient, as far as the code shows."""
    load_in_4bit = Said(flag)
    load_in_8bit = Said(flag)
    quantization_bit = Said(number)
    bnb_4bit_compute_dtype = Said(text)
    bnb_4bit_quant_type = Said(text)
    bnb_4bit_use_double_quant = Said(flag)
    pissa_init = Said(flag)
    """LLaMA-Factory's own way to PiSSA."""
    resize_vocab = Said(flag)
    bnb_4bit_quant_storage = Said(text)
    deepspeed = Said(anything)
    """The path of a DeepSpeed configuration, or its mapping."""
    fsdp = Said(anything)
    fsdp_config = Said(anything)
    torch_compile = Said(flag)
    loraplus_lr_ratio = Said(number)
    fsdp_state_dict_type = Said(text)
    """Where transformers' own Trainer saves by it; not where a framework saves adapters by itself."""
    lr_groups = Said(anything)
    """Learning rates for modules by name, where LoRA+ can't be used beside them."""
    adapter_kind = Said(text)
    """`lora` or `qlora`, where the framework quantises the base model by that name."""
    gptq = Said(flag)
    resume_from = Said(text)
    """The checkpoint whose weights are loaded into the adapter that the setup describes."""
    adapter_path = Said(anything)
    """The saved adapter that is trained on with the rank and alpha of its own, or a list of them."""
    stage = Said(text)
    """What the run does, in lower case as the framework names it: `sft`, `dpo`, `grpo`, ...; null means `sft`."""
    freeze_llm = Said(flag)
    """Whether the language model is frozen before LoRA wraps it, which freezes it anyway."""
    freeze_vision = Said(flag)
    unfreeze_vision_layers = Said(number)
    """From which layer on the vision tower is trained whole, beside LoRA."""
    must_freeze_llm = Said(flag)
    """The same where the trainer refuses LoRA on a part that isn't frozen."""
    must_freeze_vision = Said(flag)
    trust_remote_code = Said(flag)
    reward_model = Said(flag)
    """Whether a reward model is trained, which has a head of its own in place of the language model's."""
    drops_alpha = Said(flag)
    """Whether the adapter is saved in a form that has no place for alpha, which loaders then take to be the rank."""
    safe_serialization = Said(flag)
    """Whether weights are saved as safetensors, which is so unless told otherwise."""
    new_tokens = Said(anything)
    """Tokens that are added to the tokenizer."""
