"""The calls of a file that make up a run beside its LoRA call: the arguments of the training, the model, its loading.

A call belongs to the run where it is made whenever the LoRA call is, in the same function or in one that the same code
calls, and where no other of its sort could be meant instead.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from lora_lint.document import Document
from lora_lint.readers.python.arguments import Binder, Place
from lora_lint.readers.python.documents import Documents
from lora_lint.readers.python.index import Index
from lora_lint.readers.python.scopes import Function, Scope, Use
from lora_lint.readers.python.values import called

Sort = Literal[
    "arguments",
    "quantisation",
    "model",
    "trainer",
    "optimizer",
    "wrapping",
    "tokens",
    "training",
    "saving",
    "lora saving",
    "inputs",
    "weights",
]

_TRAINERS = "SFT|DPO|KTO|ORPO|CPO|GRPO|RLOO|PPO|PPOv2|Reward|PRM|GKD|XPO|NashMD|OnlineDPO|BCO"
_ARGUMENTS = re.compile(rf"\w*TrainingArguments|(?:{_TRAINERS})Config")
_MODEL = re.compile(
    r"AutoModel\w*|Fast(?:Language|Vision)?Model|\w+For(?:CausalLM\w*|ConditionalGeneration|\w+Classification|Seq2SeqLM)"
)
_NO_BASE = re.compile(r"\w*Peft\w*|\w*ValueHead")
_WRAPPERS = ("get_peft_model", "prepare_model_for_kbit_training", "to", "cuda", "prepare")
"""What returns the model that it is given."""
_NO_MODEL = re.compile(r"token|process|feature|config", re.IGNORECASE)
"""Names of what is saved beside a model."""
_OPTIMIZER = re.compile(r"(?:\w*Adam\w*|Prodigy|Lion\w*|Adafactor|SGD)")
ADAPTED = "adapted"
"""The companion that loads the model which gets the adapter, whatever it is."""
MAX_CALLS = 50
"""Calls of one sort that are compared; a file with more holds no single run."""


@dataclass(eq=False)
class Companions:
    """Finds the other calls of a run in one piece of code."""

    found: Index
    binder: Binder
    made: Documents

    def of(self, place: Place) -> Mapping[str, Document]:
        """The calls of the run that a LoRA call belongs to, each under the last part of what it calls."""
        found: dict[str, Document] = {}
        with_it = self._loaded_with(place)
        makers = self._makers(place)
        for sort, candidates in self._sorts.items():
            if sort == "model" and with_it:
                candidates = [one for one in candidates if any(one.node is load.node for load in with_it)]
            elif sort == "model" and makers:
                candidates = [one for one in candidates if any(maker in one.use.scope.chain() for maker in makers)]
            related = [one for one in candidates if self._belongs(one, place)]
            near = [one for one in related if one.use.scope is place.use.scope] or related
            for document in self._meant(sort, near):
                found[document.callee.rpartition(".")[2]] = document
        loads = self._loads_adapted(place)
        if loads is not None:
            found[ADAPTED] = self.made.of_call(loads, self.binder.evaluate([loads]))
        return found

    def _loads_adapted(self, place: Place) -> Place | None:
        """The call that loads the model which the LoRA call's adapter is put on, where that is clear."""
        model, use = self._adapted(place)
        return self._load_of(model, use) if model is not None else None

    def _adapted(self, place: Place) -> tuple[ast.Name | None, Use]:
        """The name of the model that the LoRA call's adapter is put on, and where that is done."""
        for name in ("add_adapter", "get_peft_model"):
            for call, use in self.found.calls.get(name, ())[:MAX_CALLS]:
                if any(self._is(argument, use, place) for argument in _arguments(call)):
                    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
                    model = owner if name == "add_adapter" else next(iter(call.args), None)
                    return (model if isinstance(model, ast.Name) else None), use
        return None, place.use

    def _makers(self, place: Place) -> list[Scope]:
        """The functions of the file that make the model which the adapter is put on, where nothing else does."""
        model, use = self._adapted(place)
        bindings = use.scope.find(model.id) if model is not None else []
        made = [one for one in bindings if not (isinstance(one.value, ast.Call) and called(one.value) in _WRAPPERS)]
        calls = [Place(one.value, Use(one.scope, one.block, one.after)) for one in made if type(one.value) is ast.Call]
        targets = [self.binder.target(call) for call in calls]
        functions = [target.function for target in targets if target is not None and target.function.name != "__init__"]
        if len(functions) < len(made) or any(self._takes_model(call) for call in calls):
            return []
        return [function.scope for function in functions]

    def _takes_model(self, place: Place) -> bool:
        """Whether a call is given something that was made by a call before, which may be the model."""
        words = [word for word in _arguments_of(place) if isinstance(word, ast.Name)]
        return any(isinstance(one.value, ast.Call) for word in words for one in place.use.scope.find(word.id))

    def _loaded_with(self, place: Place) -> list[Place]:
        """The loads that take the LoRA config themselves, as TRL's models with a value head do."""
        loads = self.found.calls.get("from_pretrained", ())[:MAX_CALLS]
        return [Place(call, use) for call, use in loads if any(self._is(one, use, place) for one in _arguments(call))]

    def _is(self, argument: ast.expr, use: Use, place: Place) -> bool:
        """Whether an argument is the LoRA call, or a name that was given it last."""
        if argument is place.node:
            return True
        bindings = use.scope.find(argument.id) if isinstance(argument, ast.Name) else []
        before = [one for one in bindings if one.scope is not use.scope or one.after <= use.place]
        last = max(before, key=lambda one: one.after, default=None)
        return last is not None and last.value is place.node

    def _load_of(self, model: ast.Name, use: Use) -> Place | None:
        """The one way in which a name is loaded; what it is wrapped in later has its modules too."""
        bindings = use.scope.find(model.id)
        loads = [
            Place(binding.value, Use(binding.scope, binding.block, binding.after))
            for binding in bindings
            if isinstance(binding.value, ast.Call) and called(binding.value) == "from_pretrained"
        ]
        if not loads or any(binding.kind == "parameter" for binding in bindings):
            return None
        return loads[0] if len({self.binder.callee(load) for load in loads}) == 1 else None

    @cached_property
    def _sorts(self) -> Mapping[Sort, list[Place]]:
        found: dict[Sort, list[Place]] = {}
        for name, calls in self.found.calls.items():
            of_sort = _sort_of_name(name)
            if of_sort is None or len(calls) > MAX_CALLS:
                continue
            for node, use in calls:
                place = Place(node, use)
                if self._is_meant(of_sort, place):
                    found.setdefault(of_sort, []).append(place)
        return found

    def _is_meant(self, sort: Sort, place: Place) -> bool:
        """Whether it is the base model that is loaded, and the adapter that is saved."""
        if sort not in ("model", "saving"):
            return True
        owner = self.binder.callee(place).rpartition(".")[0].rpartition(".")[2]
        if sort == "saving":
            return _NO_MODEL.search(owner) is None
        return _MODEL.fullmatch(owner) is not None and _NO_BASE.fullmatch(owner) is None

    def _belongs(self, one: Place, place: Place) -> bool:
        """Whether a call is made whenever the LoRA call at `place` is, as far as the code shows."""
        here, there = place.use, one.use
        if here.scope is there.scope:
            return here.block.within(there.block)
        return there.block is there.scope.block and self._reach(here.scope, there.scope)

    def _reach(self, one: Scope, other: Scope) -> bool:
        """Whether two scopes run in one go: one inside the other, methods of one class, or called by the same code.

        Tests of one class each run alone.
        """
        if other in one.chain() or one in other.chain():
            return True
        owner = one.enclosing_class()
        tested = one.name.startswith("test") or other.name.startswith("test")
        if owner is not None and owner is other.enclosing_class() and not tested:
            return True
        callers, others = set(self._callers(one)), set(self._callers(other))
        return one in others or other in callers or not callers.isdisjoint(others)

    def _callers(self, scope: Scope) -> Iterator[Scope]:
        name = scope.owner.name if isinstance(scope.owner, Function) else ""
        yield from (use.scope for _, use in self.found.calls.get(name, ())[:MAX_CALLS])

    def _meant(self, sort: Sort, places: list[Place]) -> Iterator[Document]:
        """The one call of a sort; none where several differ, but for loads of one and the same model."""
        documents = [self.made.of_call(place, self.binder.evaluate([place])) for place in places]
        if sort in ("saving", "lora saving", "inputs"):
            documents = documents[-1:]
        same = sort in _NAMED and len({repr(_named(document)) for document in documents}) == 1
        if len(documents) == 1 or same:
            yield documents[0]


_NAMED: tuple[Sort, ...] = ("model", "tokens")
"""Calls that come to the same where they name the same: loads of one model for several uses."""


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    yield from call.args
    yield from (keyword.value for keyword in call.keywords)


def _arguments_of(place: Place) -> Iterator[ast.expr]:
    yield from _arguments(place.node) if isinstance(place.node, ast.Call) else ()


def _named(document: Document) -> object:
    data = document.data if isinstance(document.data, dict) else {}
    return next((data[key] for key in (0, "pretrained_model_name_or_path", "model_name") if key in data), None)


_SORTS: Mapping[str, Sort] = {
    "from_pretrained": "model",
    "BitsAndBytesConfig": "quantisation",
    "get_peft_model": "wrapping",
    "add_tokens": "tokens",
    "add_special_tokens": "tokens",
    "add_new_tokens": "tokens",
    "train": "training",
    "save_pretrained": "saving",
    "save_model": "saving",
    "save_lora_weights": "lora saving",
    "enable_input_require_grads": "inputs",
    "prepare_model_for_kbit_training": "inputs",
    "prepare_model_for_int8_training": "inputs",
    "gradient_checkpointing_enable": "inputs",
    "load_peft_weights": "weights",
}


def _sort_of_name(name: str) -> Sort | None:
    if name in _SORTS:
        return _SORTS[name]
    if _ARGUMENTS.fullmatch(name):
        return "arguments"
    if name.endswith("Trainer"):
        return "trainer"
    return "optimizer" if _OPTIMIZER.fullmatch(name) or name == "create_loraplus_optimizer" else None
