"""Saved adapters that Python code loads frozen and hands to a trainer."""

import ast
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple, TypeGuard

from lora_lint.expression import dotted

MARKS = ("PeftModel", "from_pretrained")
"""What a file holds that may do so."""
_TRAINS = ("Trainer(", ".backward(")
_CLASS = re.compile(r"(?:Auto)?PeftModel(?:For\w+)?")
_OPTIMIZER = re.compile(r"\w*(?:Adam|AdamW|Adam\w*bit|SGD|Lion|Adafactor|Prodigy)\w*")
_THAWS = (
    *("merge_and_unload", "unload", "requires_grad_", "set_requires_grad"),
    *("load_adapter", "add_adapter", "set_adapter", "enable_adapter_layers", "enable_adapters"),
)
"""What, once done to the model, means that it isn't trained as it was loaded; a chosen adapter is made trainable."""


class Frozen(NamedTuple):
    """The call that loads the adapter, and what is given the model to train it."""

    load: ast.Call
    trainer: str


def frozen(tree: ast.Module, text: str) -> Iterator[Frozen]:
    """The loads without `is_trainable` whose model is trained as it is, in the same function or the module."""
    if not all(mark in text for mark in MARKS) or not any(mark in text for mark in _TRAINS):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef):
            flow = _Flow(text, sorted(_thaws(node)))
            try:
                flow.run(node.body, {})
            except RecursionError:
                return
            yield from (Frozen(load, trainer) for load, trainer in flow.trained.items())


def _thaws(body: ast.AST) -> Iterator[int]:
    """The lines of a function that thaw a model; a hook that it defines, which thaws inputs, is another function."""
    pending = list(ast.iter_child_nodes(body))
    while pending:
        node = pending.pop()
        if _is_thaw(node):
            yield node.lineno
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            pending += ast.iter_child_nodes(node)


def _is_thaw(node: ast.AST) -> TypeGuard[ast.expr]:
    """A call that makes parameters trainable, or `parameter.requires_grad = True`; asking for it changes nothing."""
    if isinstance(node, ast.Attribute):
        return node.attr == "requires_grad" and isinstance(node.ctx, ast.Store)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    another = node.func.attr == "load_adapter" and not any(one.arg in ("is_trainable", None) for one in node.keywords)
    return node.func.attr in _THAWS and not another


Loads = dict[str, ast.Call]
"""Names with the call that loaded their adapter frozen."""


class _Flow:
    """A function's statements in their order; branches are followed one by one and joined."""

    def __init__(self, text: str, thaws: list[int]) -> None:
        self.text = text
        self.thaws = thaws
        """The lines that thaw a model, sorted."""
        self.trained: dict[ast.Call, str] = {}

    def run(self, body: list[ast.stmt], loads: Loads) -> Loads:
        """The loads that are still frozen after some statements; none where they leave the function."""
        for statement in body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if isinstance(statement, ast.Return | ast.Raise):
                return {}
            loads = self.after(statement, loads)
            if bisect_left(self.thaws, statement.lineno) < bisect_right(self.thaws, statement.end_lineno or 0):
                loads = {}
        return loads

    def after(self, statement: ast.stmt, loads: Loads) -> Loads:
        """What one statement makes of the loads, thawing apart."""
        if isinstance(statement, ast.If):
            return self.run(statement.body, dict(loads)) | self.run(statement.orelse, dict(loads))
        if isinstance(statement, ast.For | ast.While | ast.With | ast.Try):
            for part in ("body", "handlers", "orelse", "finalbody"):
                for inner in getattr(statement, part, ()):
                    loads = self.run([inner] if isinstance(inner, ast.stmt) else inner.body, loads)
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.Call):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            return self.assigned([dotted(target) or "" for target in targets], _loaded(statement.value), loads)
        if isinstance(statement, ast.Assign) and (owner := _owner_of_parameters(statement.value)) in loads:
            return loads | {dotted(target) or "": loads[owner] for target in statement.targets}
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            self.trains_at_once(statement.value, loads)
        return loads

    def assigned(self, names: list[str], call: ast.Call, loads: Loads) -> Loads:
        """A call's result has new names: an adapter that is loaded, a trainer that is given one, or something else."""
        trainer = (dotted(call.func) or "").rpartition(".")[2]
        given = loads.get(_model(call) or "")
        trains = any(f"{name}.train(" in self.text for name in names)
        if given is not None and trainer.endswith("Trainer") and trains and not _wraps(call):
            self.trained[given] = trainer
        optimized = loads.get(_optimized(call) or "") if _OPTIMIZER.fullmatch(trainer) else None
        if optimized is not None and ".backward(" in self.text:
            self.trained[optimized] = trainer
        kept = {name: load for name, load in loads.items() if name not in names}
        return kept | dict.fromkeys(names, call) if _is_load(call) else kept

    def trains_at_once(self, call: ast.Call, loads: Loads) -> None:
        """`Trainer(model=...).train()`."""
        made = call.func.value if isinstance(call.func, ast.Attribute) and call.func.attr == "train" else None
        if isinstance(made, ast.Call) and not _wraps(made):
            trainer = (dotted(made.func) or "").rpartition(".")[2]
            given = loads.get(_model(made) or "")
            if given is not None and trainer.endswith("Trainer"):
                self.trained[given] = trainer


_KEEPS = ("to", "cuda", "half", "bfloat16", "float", "train", "eval")
"""Methods that return the model itself."""


def _loaded(call: ast.Call) -> ast.Call:
    """The call below those that only move or convert what it made."""
    while isinstance(call.func, ast.Attribute) and call.func.attr in _KEEPS and isinstance(call.func.value, ast.Call):
        call = call.func.value
    return call


def _owner_of_parameters(node: ast.expr) -> str:
    """The model whose parameters a list of some of them is taken from."""
    calls = (one.func for one in ast.walk(node) if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute))
    return next((dotted(func.value) or "" for func in calls if func.attr == "parameters"), "")


def _is_load(call: ast.Call) -> bool:
    owner, _, method = (dotted(call.func) or "").rpartition(".")
    told = any(keyword.arg in ("is_trainable", None) for keyword in call.keywords) or len(call.args) > 3
    return method == "from_pretrained" and _CLASS.fullmatch(owner.rpartition(".")[2]) is not None and not told


def _wraps(call: ast.Call) -> bool:
    """Whether a trainer is given a config for an adapter of its own."""
    return any(keyword.arg in ("peft_config", None) for keyword in call.keywords)


def _model(call: ast.Call) -> str | None:
    """The name of the model that a trainer is given."""
    named = next((keyword.value for keyword in call.keywords if keyword.arg == "model"), None)
    node = named if named is not None else call.args[0] if call.args else None
    return dotted(node) if node is not None else None


def _optimized(call: ast.Call) -> str | None:
    """The name of the model all of whose parameters an optimizer is given."""
    node = call.args[0] if call.args else next((one.value for one in call.keywords if one.arg == "params"), None)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "parameters":
        return dotted(node.func.value)
    return dotted(node) if node is not None else None
