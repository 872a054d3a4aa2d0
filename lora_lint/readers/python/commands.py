"""Commands that Python code runs: its lists of words and the strings it hands to a shell, as one shell script."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from lora_lint.document import Document, Source
from lora_lint.expression import dotted
from lora_lint.readers.composition import Composition
from lora_lint.readers.python.index import Index
from lora_lint.readers.python.lines import Lines
from lora_lint.readers.python.names import Resolver
from lora_lint.readers.python.scopes import Scope, Use

MAX_WORDS = 5_000
_LARGEST = 50
"""Nodes of an expression that is written as one variable."""
_SHELLS = frozenset(("run", "call", "check_call", "check_output", "Popen", "getoutput", "system", "popen"))
_PARSES = frozenset(("parse_args", "parse_known_args", "parse_args_into_dataclasses"))
_GROWS = frozenset(("append", "extend"))
_NOT_IN_NAME = re.compile(r"\W+", re.ASCII)
_SPECIAL = re.compile(r'(["\\$`])')
_ARITHMETIC = ast.Name | ast.Attribute | ast.Constant | ast.BinOp | ast.operator | ast.expr_context


@dataclass(eq=False)
class Commands:
    """Statement by statement: a list is an array of the same name, a call that is handed one runs it."""

    source: Source
    found: Index
    lines: Lines
    resolver: Resolver
    script: Composition = field(default_factory=Composition)
    lists: set[str] = field(default_factory=set)
    words: int = 0

    def documents(self, tree: ast.Module) -> Iterator[Document]:
        self._block(tree.body, self.found.module)
        yield from self.script.documents(self.source)

    def _block(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        for statement in body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                function = self.found.functions.get(statement)
                self._block(statement.body, function.scope if function is not None else scope)
            elif isinstance(statement, ast.ClassDef):
                self._block(statement.body, scope)
            else:
                self._statement(statement, scope)

    def _statement(self, statement: Any, scope: Scope) -> None:
        place = (statement.end_lineno, statement.end_col_offset)
        if not hasattr(statement, "body"):
            self._simple(statement, Use(scope, scope.block, place))
            return
        for body, sure in _bodies(statement):
            self.script.say("" if sure else "if true; then\n:\n", self.lines.span(statement).start)
            self._block(body, scope)
            self.script.say("" if sure else "fi\n")

    def _simple(self, statement: ast.stmt, use: Use) -> None:
        target, value, grows = _assigned(statement)
        if value is not None and (target in self.lists if grows else _is_list(value, self.lists)):
            self.lists.add(target)
            self.script.say(f"{_variable(target)}{'+' * grows}=( ", self.lines.span(statement).start)
            self._list(value, use)
            self.script.say(")\n")
            if target == "sys.argv":
                self.script.say('"${sys_argv[@]}"\n')
            return
        for call in (node for node in ast.walk(statement) if isinstance(node, ast.Call | ast.Return)):
            given = [*call.args, *(k.value for k in call.keywords)] if isinstance(call, ast.Call) else [call.value]
            for argument in given:
                self._given(argument, call, use)
            if isinstance(call, ast.Call) and given and _called(call) in _SHELLS:
                self._shell(given[0], use)

    def _given(self, argument: ast.expr | None, call: ast.expr | ast.stmt, use: Use) -> None:
        """What a call is handed: a list, or the name of one; a parser is handed the arguments of this very program."""
        name = dotted(argument) if argument is not None else None
        parses = isinstance(call, ast.Call) and _called(call) in _PARSES
        if argument is None or not (name in self.lists or _is_list(argument, self.lists)):
            return
        if parses or not _is_option(argument):
            self.script.say(f"python '{_own_name(self.source)}' " if parses else "", self.lines.span(call).start)
            self._list(argument, use)
            self.script.say("\n")

    def _list(self, node: ast.expr, use: Use) -> None:
        """The words of a list, or of several that are added."""
        for part in _added(node):
            if isinstance(part, ast.List | ast.Tuple):
                for word in part.elts:
                    self._word(word, use)
            else:
                self.script.say(f'"${{{_variable(_written(part))}[@]}}" ', self.lines.span(part).start)

    def _word(self, node: ast.expr, use: Use) -> None:
        self.words += 1
        start = self.lines.span(node).start
        if self.words > MAX_WORDS:
            return
        if isinstance(node, ast.Starred):
            self._list(node.value, use)
        elif isinstance(node, ast.Constant):
            self.script.word(str(node.value), self._places(node, str(node.value)))
        else:
            self.script.say('"', start)
            for part in _parts(node):
                text = str(part.value) if isinstance(part, ast.Constant) else None
                self.script.say(self._text(part, use) if text is None else _SPECIAL.sub(r"\\\1", text), start)
            self.script.say('" ')

    def _shell(self, node: ast.expr | None, use: Use) -> None:
        """A string for a shell, or the one string that a name stands for."""
        if isinstance(node, ast.Name):
            bindings = use.scope.find(node.id)
            if len(bindings) != 1 or bindings[0].value is None:
                return
            node, use = bindings[0].value, use._replace(scope=bindings[0].scope)
        if node is None:
            return
        parts = list(_parts(node))
        if not any(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in parts):
            return
        for part in parts:
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                self.script.copy(part.value, self._places(part, part.value))
            else:
                self.script.say(self._text(part, use), self.lines.span(node).start)
        self.script.say("\n")

    def _text(self, node: ast.expr, use: Use) -> str:
        """The value of an expression for use in double quotes, or a variable of the shell in its place."""
        if isinstance(node, ast.Call) and dotted(node.func) == "str" and len(node.args) == 1:
            node = node.args[0]
        value = self.resolver.resolve(node, use, {})
        if not value.free and isinstance(value.data, str | int | float):
            return _SPECIAL.sub(r"\\\1", str(value.data))
        written = _written(node)
        if isinstance(node, ast.BinOp) and all(isinstance(part, _ARITHMETIC) for part in ast.walk(node)):
            return f"$(({re.sub(r'[A-Za-z_][A-Za-z0-9_.]*', lambda name: _variable(name[0]), written)}))"
        return f"${{{_variable(written)}}}"

    def _places(self, node: ast.Constant, text: str) -> list[int]:
        """Where each character stands; all at the start of a literal with escapes."""
        start, end = self.lines.span(node)
        at = self.source.text.find(text, start, end)
        return [at + index if at >= 0 else start for index in range(len(text))]


def _assigned(statement: ast.stmt) -> tuple[str, ast.expr | None, bool]:
    """The name and the list of an assignment, and whether it is added to what is there."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        return dotted(statement.targets[0]) or "", statement.value, False
    if isinstance(statement, ast.AnnAssign):
        return dotted(statement.target) or "", statement.value, False
    if isinstance(statement, ast.AugAssign):
        return dotted(statement.target) or "", statement.value, True
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _GROWS and call.args:
        one = call.args[0]
        value = ast.copy_location(ast.List([one], ast.Load()), one) if call.func.attr == "append" else one
        return dotted(call.func.value) or "", value, True
    return "", None, False


def _bodies(statement: Any) -> Iterator[tuple[Sequence[ast.stmt], bool]]:
    """The blocks of a statement, and whether each is run for sure; a chain of `elif` is one level."""
    while isinstance(statement, ast.If) and len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If):
        yield statement.body, False
        statement = statement.orelse[0]
    sure = isinstance(statement, ast.With | ast.AsyncWith | ast.Try)
    yield statement.body, sure
    yield from ((handler.body, False) for handler in getattr(statement, "handlers", ()))
    yield from ((block, sure) for name in ("orelse", "finalbody") if (block := getattr(statement, name, None)))


def _is_list(node: ast.expr, lists: set[str]) -> bool:
    """Whether it is a list of words, or several added of which one is."""
    parts = list(_added(node))
    if len(parts) > 1:
        return any(dotted(part) in lists or _is_list(part, lists) for part in parts)
    words = node.elts if isinstance(node, ast.List | ast.Tuple) else ()
    return any(isinstance(word, ast.Constant) and isinstance(word.value, str) for word in words)


def _added(node: ast.expr) -> Iterator[ast.expr]:
    """The terms of a sum, in order."""
    terms = [node]
    while isinstance(node := terms[-1], ast.BinOp) and isinstance(node.op, ast.Add):
        terms[-1:] = [node.right, node.left]
    yield from reversed(terms)


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """The parts of a string, of an f-string, or of several that are added."""
    for term in _added(node):
        if isinstance(term, ast.JoinedStr):
            yield from (part.value if isinstance(part, ast.FormattedValue) else part for part in term.values)
        else:
            yield term


def _is_option(node: ast.expr) -> bool:
    """Whether a list begins with an option, where a command has its program."""
    first = node.elts[0] if isinstance(node, ast.List | ast.Tuple) and node.elts else None
    return isinstance(first, ast.Constant) and str(first.value).startswith("-")


def _own_name(source: Source) -> str:
    return source.name.rpartition("/")[2].replace("'", "")


def _called(call: ast.Call) -> str:
    return (dotted(call.func) or "").rpartition(".")[2]


def _variable(name: str) -> str:
    return _NOT_IN_NAME.sub("_", name[:60]).strip("_") or "value"


def _written(node: ast.expr) -> str:
    """An expression as text; one that is very long gets no name of its own."""
    small = sum(1 for _ in islice(ast.walk(node), _LARGEST + 1)) <= _LARGEST
    return ast.unparse(node)[:200] if small else "value"
