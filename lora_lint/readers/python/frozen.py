"""Saved adapters that Python code loads frozen and hands to a trainer."""

import ast
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from lora_lint.document import Source, Span
from lora_lint.expression import dotted
from lora_lint.readers.python.lines import Lines

MARKS = ("PeftModel", "from_pretrained", "Trainer(")
"""What a file holds that may do so."""
_CLASSES = ("PeftModel", "PeftModelForCausalLM", "AutoPeftModelForCausalLM")
_THAWS = ("merge_and_unload", "requires_grad", "requires_grad_", "set_requires_grad", "unload", "load_adapter")
"""What, once done to the model, means that it isn't trained as it was loaded."""


class Frozen(NamedTuple):
    """The call that loads the adapter, and the class of the trainer that is given the model."""

    span: Span
    trainer: str


@lru_cache(maxsize=1)
def frozen(source: Source) -> tuple[Frozen, ...]:
    """The loads without `is_trainable` whose model a trainer in the same function, or module, trains as it is."""
    if not all(mark in source.text for mark in MARKS) or "is_trainable" in source.text:
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    lines = Lines.of(source)
    found: list[Frozen] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef):
            flow = _Flow(source.text, sorted(_thaws(node)))
            try:
                flow.run(node.body, {})
            except RecursionError:
                return ()
            found += [Frozen(lines.span(load), trainer) for load, trainer in flow.trained.items()]
    return tuple(found)


def _thaws(body: ast.AST) -> Iterator[int]:
    """The lines of a function that thaw a model; a hook that it defines, which thaws inputs, is another function."""
    pending = list(ast.iter_child_nodes(body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Attribute) and node.attr in _THAWS:
            yield node.lineno
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            pending += ast.iter_child_nodes(node)


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
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            return self.assigned([dotted(target) or "" for target in statement.targets], statement.value, loads)
        return loads

    def assigned(self, names: list[str], call: ast.Call, loads: Loads) -> Loads:
        """A call's result has new names: an adapter that is loaded, a trainer that is given one, or something else."""
        trainer = (dotted(call.func) or "").rpartition(".")[2]
        given = loads.get(_model(call) or "")
        if given is not None and trainer.endswith("Trainer") and any(f"{name}.train(" in self.text for name in names):
            self.trained[given] = trainer
        kept = {name: load for name, load in loads.items() if name not in names}
        return kept | dict.fromkeys(names, call) if _is_load(call) else kept


def _is_load(call: ast.Call) -> bool:
    owner, _, method = (dotted(call.func) or "").rpartition(".")
    return method == "from_pretrained" and owner.rpartition(".")[2] in _CLASSES


def _model(call: ast.Call) -> str | None:
    """The name of the model that a trainer is given."""
    named = next((keyword.value for keyword in call.keywords if keyword.arg == "model"), None)
    node = named if named is not None else call.args[0] if call.args else None
    return dotted(node) if node is not None else None
