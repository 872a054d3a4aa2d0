"""What Python code does to a model before and after LoRA is put into it: thawing, and casting to float16."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

from lora_lint.expression import dotted

Deed = Literal["thaws", "thaws-in-vain", "half"]
_SCALED = re.compile(r"""mixed_precision\s*=\s*["']fp16|GradScaler\(|\bfp16\s*=\s*True""")
"""What a file holds that scales the loss for float16."""
_HALF = ("torch.float16", "torch.half")
_WRAPS = ("get_peft_model", "add_adapter")
_INNER = (".base_model.model", ".base_model")
Block = tuple[int, ...]
"""The branches that a statement stands in, by the lines of their conditions."""


class Done(NamedTuple):
    """What is done, the node that does it, and the name of the model."""

    deed: Deed
    node: ast.expr | ast.stmt
    model: str


def done(tree: ast.Module, text: str) -> Iterator[Done]:
    """The deeds of each function, and of the module, that are certain and not undone later."""
    if not any(word in text for word in _WRAPS):
        return
    thaws = "requires_grad" in text
    halves = ("float16" in text or "half" in text) and _SCALED.search(text) and "cast_training_params" not in text
    if not (thaws or halves):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef):
            flow = _Flow(_half_names(node), halves=bool(halves))
            try:
                flow.run(node.body, ())
            except RecursionError:
                return
            yield from flow.found.values()


def _half_names(function: ast.AST) -> frozenset[str]:
    """Names that are given float16 once, and nothing else."""
    assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
    names = Counter(dotted(target) for node in assigned for target in node.targets)
    halves = {dotted(target) for node in assigned if dotted(node.value) in _HALF for target in node.targets}
    return frozenset(name for name in halves if name is not None and names[name] == 1)


class _Flow:
    """A function's statements in their order."""

    def __init__(self, half_names: frozenset[str], *, halves: bool) -> None:
        self.half_names = half_names
        self.halves = halves
        self.found: dict[tuple[str, Deed], Done] = {}
        self.wrapped: dict[str, Block] = {}
        self.adds: dict[str, ast.expr] = {}
        """The models into which an adapter is put as they are."""
        self.thawed: dict[str, tuple[ast.expr | ast.stmt, Block]] = {}
        self.half: dict[str, Block] = {}

    def run(self, body: list[ast.stmt], block: Block) -> None:
        for statement in body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if isinstance(statement, ast.If):
                self.run(statement.body, (*block, statement.lineno))
                self.run(statement.orelse, (*block, -statement.lineno))
            elif isinstance(statement, ast.For) and self.loop(statement, block):
                continue
            elif isinstance(statement, ast.For | ast.While | ast.With | ast.Try):
                for part in ("body", "handlers", "orelse", "finalbody"):
                    for inner in getattr(statement, part, ()):
                        self.run([inner] if isinstance(inner, ast.stmt) else inner.body, block)
            else:
                self.statement(statement, block)

    def statement(self, statement: ast.stmt, block: Block) -> None:
        value = getattr(statement, "value", None)
        if not isinstance(value, ast.Call):
            return
        if isinstance(statement, ast.Assign):
            self.assigned([dotted(target) or "" for target in statement.targets], value, block)
        owner, _, method = (dotted(value.func) or "").rpartition(".")
        if method == "requires_grad_" and owner:
            given = value.args[0] if value.args else ast.Constant(True)
            self.grad(owner, given, value, block)
        elif method == "add_adapter" and owner and isinstance(statement, ast.Expr):
            self.adds_adapter(owner, value, block)
        elif (method == "half" or (method == "to" and self.is_half(value))) and owner:
            self.casts(owner, value, block)
        elif method == "to" and owner and any("float32" in (dotted(one) or "") for one in _given(value)):
            self.half.pop(owner, None)
            self.found.pop((owner, "half"), None)

    def assigned(self, names: list[str], call: ast.Call, block: Block) -> None:
        """A name that stands for another model from here on, perhaps one that is wrapped."""
        called = (dotted(call.func) or "").rpartition(".")[2]
        of_itself = (dotted(call.func) or "").rpartition(".")[0] in names or called in ("prepare", "get_peft_model")
        for name in names:
            if not of_itself:
                for state in (self.wrapped, self.adds, self.thawed, self.half):
                    state.pop(name, None)
            if called == "get_peft_model":
                self.wrapped[name] = block
                self.half.pop(name, None)

    def adds_adapter(self, owner: str, call: ast.Call, block: Block) -> None:
        if owner in self.thawed:
            node, place = self.thawed.pop(owner)
            if _within(block, place):
                self.found[owner, "thaws-in-vain"] = Done("thaws-in-vain", node, owner)
        if self.halves and owner in self.half and _within(block, self.half[owner]):
            self.found[owner, "half"] = Done("half", call, owner)
        self.wrapped[owner] = block

    def casts(self, owner: str, call: ast.Call, block: Block) -> None:
        self.half[owner] = block
        if self.halves and owner in self.wrapped and _within(self.wrapped[owner], block):
            self.found[owner, "half"] = Done("half", call, owner)

    def is_half(self, call: ast.Call) -> bool:
        texts = [dotted(one) for one in _given(call)]
        return any(text in _HALF or text in self.half_names for text in texts)

    def grad(self, owner: str, given: ast.expr | None, node: ast.expr | ast.stmt, block: Block) -> None:
        """All parameters of a model are thawed, frozen, or something that isn't known."""
        name = next((owner.removesuffix(end) for end in _INNER if owner.endswith(end)), owner)
        if not (isinstance(given, ast.Constant) and given.value is True):
            self.thawed.pop(name, None)
            self.found.pop((name, "thaws"), None)
        elif name in self.wrapped:
            if _within(self.wrapped[name], block):
                self.found[name, "thaws"] = Done("thaws", node, name)
        else:
            self.thawed[name] = (node, block)

    def loop(self, statement: ast.For, block: Block) -> bool:
        """Whether a loop goes over the parameters of a model, or over some models that it casts."""
        call, target = statement.iter, statement.target
        variable = target.elts[-1] if isinstance(target, ast.Tuple) and target.elts else target
        method = call.func.attr if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else ""
        if isinstance(call, ast.Call) and method in ("parameters", "named_parameters"):
            owner = dotted(call.func.value) if isinstance(call.func, ast.Attribute) else None
            if owner and _mentions(statement, ("requires_grad", "requires_grad_")):
                given, node = _set_for_all(statement.body, dotted(variable))
                self.grad(owner, given, node or statement, block)
            return True
        if isinstance(call, ast.Tuple | ast.List) and isinstance(variable, ast.Name):
            models = [name for item in call.elts if (name := dotted(item))]
            for inner in statement.body:
                for model in models:
                    self.statement(_renamed(inner, variable.id, model), block)
            return True
        return False


def _given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _within(inner: Block, outer: Block) -> bool:
    """Whether what stands in the one block is only reached where the other is run too."""
    return inner[: len(outer)] == outer


def _mentions(node: ast.AST, names: tuple[str, ...]) -> bool:
    return any(isinstance(one, ast.Attribute) and one.attr in names for one in ast.walk(node))


def _set_for_all(body: list[ast.stmt], variable: str | None) -> tuple[ast.expr | None, ast.stmt | None]:
    """What a loop sets `requires_grad` of every parameter to, and where; None where it depends."""
    for statement in body:
        if isinstance(statement, ast.If | ast.For | ast.Continue | ast.Try):
            break
        if isinstance(statement, ast.Assign) and dotted(statement.targets[0]) == f"{variable}.requires_grad":
            return statement.value, statement
        value = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(value, ast.Call) and dotted(value.func) == f"{variable}.requires_grad_":
            return (value.args[0] if value.args else ast.Constant(True)), statement
    return None, None


def _renamed(statement: ast.stmt, name: str, model: str) -> ast.stmt:
    """A statement about a loop's variable as one about the thing that it stands for."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    function = value.func if isinstance(value, ast.Call) else None
    if not isinstance(value, ast.Call) or not isinstance(function, ast.Attribute) or dotted(function.value) != name:
        return statement
    owner = ast.copy_location(ast.parse(model, mode="eval").body, function.value)
    made = ast.Call(ast.Attribute(owner, function.attr), value.args, value.keywords)
    ast.copy_location(made, value)
    return ast.copy_location(ast.Expr(made), statement)
