"""What the calls of a run in Python say, beside the LoRA call, in the words that rules ask for."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lora_lint.document import Document, Unknown
from lora_lint.facts import Fact
from lora_lint.frameworks.calls import (
    Adapted,
    Arguments,
    Checkpointing,
    Inputs,
    LoraPlus,
    LoraSaving,
    Model,
    Optimizer,
    PlainTrainer,
    Tokens,
    Trainer,
    schema_of,
)
from lora_lint.frameworks.trainer import TRL_RATES, sets_run
from lora_lint.keys import OldKey
from lora_lint.view import View

_CLASSIFIER = re.compile(r".*For(?:Sequence|Token)Classification")
_PERCEIVES = re.compile(r".*For(?:Image|Video|Audio)Classification")
_LABELS = ("num_labels", "id2label", "label2id", "ignore_mismatched_sizes")
"""Arguments that give a classifier a head of its own; without them it may be loaded with the one that it has."""
_RENAMING = ("TRL", "transformers")
_FAMILY = ("transformers", "trl", "sentence_transformers", "optimum", "unsloth", "accelerate")
"""Whose classes of arguments and trainers are transformers' and TRL's, or are made from those."""
_HALF = ("float16", "half", "fp16")


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
        """Keys that the library has no more; Unsloth puts classes of its own in place of TRL's, which take them, and
        what is imported from elsewhere is another class of that name."""
        patched = "unsloth" in self.view.document.source.text
        module = self.view.document.callee.rpartition(".")[0]
        others = module != "" and module.partition(".")[0] not in _FAMILY
        for old in self.view.old_keys:
            if not (patched and old.library == "TRL") and not (others and old.library in _RENAMING):
                yield old._replace(path=(self.name, *old.path))

    @property
    def words(self) -> Iterator[str]:
        yield from self.view.words
        yield from (word for word, own in _DERIVED.items() if own(self) is not None)


def parts(document: Document) -> list[Part]:
    """The calls that make up the run of a LoRA call."""
    views = {name: View(schema_of(name), companion, title=name) for name, companion in document.companions.items()}
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


def _default_learning_rate(part: Part) -> Fact[Any] | None:
    """The rate of TRL's class; Unsloth puts classes of its own in their place, whose rate is 5e-5."""
    method, document = part.name.removesuffix("Config"), part.view.document
    rate = TRL_RATES.get(method.lower()) if method != part.name else None
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
