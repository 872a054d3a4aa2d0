"""Commands that Python code puts together or runs: its lists of words and its texts, as one shell script."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lora_lint.document import Document
from lora_lint.expression import dotted
from lora_lint.readers.python.command_parts import Parts
from lora_lint.readers.python.command_script import CommandScript
from lora_lint.readers.python.command_words import (
    added,
    assigned,
    bodies,
    called,
    has_flag,
    headers,
    is_option,
    is_text,
    is_words,
    split_text,
)
from lora_lint.readers.python.index import Index
from lora_lint.readers.python.scopes import Scope, Use

MORE = "more words are added to the command"
_SHELLS = frozenset(("run", "call", "check_call", "check_output", "Popen", "getoutput", "system", "popen"))
_PARSES = frozenset(("parse_args", "parse_known_args", "parse_args_into_dataclasses"))
_SHOWS = frozenset(("print", "debug", "info", "warning", "error", "exception", "log"))
_ADDS = frozenset(("append", "extend", "insert"))


@dataclass(eq=False)
class Commands:
    """Statement by statement: a list is an array of the same name, a call that is handed one runs it.

    A list or an f-string that has a flag of LoRA's and is handed to nobody is run where its block ends.
    """

    found: Index
    script: CommandScript
    parts: Parts = field(init=False)

    def __post_init__(self) -> None:
        self.parts = Parts(self.script)

    def documents(self, tree: ast.Module) -> Iterator[Document]:
        """The commands, in the order of the script; `open` where words come in that aren't written in the file."""
        self._block(tree.body, self.found.module)
        places: set[int] = set()
        for part in self.parts.made:
            for start, end in part.ranges if part.open else ():
                places.update(self.script.text.places(start, end))
        for document in self.script.text.documents(self.script.source):
            if document.span.start in places:
                document.open = {(): MORE}
            yield document

    def _block(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        first = len(self.parts.made)
        self._statements(body, scope)
        for part in self.parts.made[first:]:
            self.parts.tell(part)

    def _statements(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        for statement in body:
            self._statement(statement, scope)

    def _statement(self, statement: Any, scope: Scope) -> None:
        use = Use(scope, scope.block, (statement.end_lineno, statement.end_col_offset))
        if not hasattr(statement, "body"):
            self._simple(statement, use)
            return
        for header in headers(statement):
            self._expression(header, use)
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            function = self.found.functions.get(statement)
            self._block(statement.body, function.scope if function is not None else scope)
        elif isinstance(statement, ast.ClassDef):
            self._block(statement.body, scope)
        else:
            for body, sure in bodies(statement):
                (self._statements if sure else self._branch)(body, scope)

    def _branch(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        first = len(self.parts.made)
        self.parts.level += 1
        self.script.begin()
        self._block(body, scope)
        self.script.end()
        self.parts.level -= 1
        self.parts.branched(first)

    def _simple(self, statement: ast.stmt, use: Use) -> None:
        target, value, grows = assigned(statement)
        if target is None or value is None:
            self._expression(statement, use)
        elif grows:
            self._added(target, value, use)
        elif is_text(value) or self.parts.is_list(value, use):
            self.parts.make(target, value, use)
            if dotted(target) == "sys.argv":
                self.parts.run_list(target, use)
        else:
            self._expression(statement, use)

    def _added(self, target: ast.expr, value: ast.expr, use: Use) -> None:
        part = self.parts.known(target, use)
        if part is not None:
            self.parts.grow(part, value, use)
            return
        for one in self.parts.branches.get(dotted(target) or "", ()):
            one.open = one.open or one.scope is use.scope
        if not is_words(value):
            self._expression(value, use)

    def _expression(self, node: ast.AST, use: Use) -> None:
        flagged = False
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call):
                self._call(inner, use)
            elif isinstance(inner, ast.Return) and inner.value is not None:
                self._given(inner.value, "", use)
            elif not flagged and isinstance(inner, ast.List | ast.Tuple | ast.JoinedStr):
                flagged = has_flag([inner] if isinstance(inner, ast.JoinedStr) else inner.elts)
        if flagged:
            self._left(node, use)

    def _call(self, call: ast.Call, use: Use) -> None:
        name = called(call)
        for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
            self._given(argument, name, use)
        if call.args and name in _SHELLS:
            self._shell(call.args[0], use)
        if name == "insert" and isinstance(call.func, ast.Attribute):
            changed = self.parts.known(call.func.value, use)
            if changed is not None:
                changed.open = True

    def _given(self, argument: ast.expr, name: str, use: Use) -> None:
        """What a call is handed: a list, or the name of one; a parser is handed the arguments of this very program."""
        if not self.parts.is_list(argument, use):
            return
        part, first = self.parts.known(argument, use), next(added(argument))
        if name in _PARSES:
            own = self.script.source.name.rpartition("/")[2].replace("'", "")
            self.parts.run_list(argument, use, f"python '{own}' ")
        elif part is not None and name == "join":
            part.runs = True
        elif part is not None:
            self.parts.run(part, argument)
        elif name != "extend" and not is_option(first) and self.parts.is_list(first, use):
            self.parts.run_list(argument, use)

    def _shell(self, node: ast.expr, use: Use) -> None:
        """A string for a shell, or the one string that a name stands for."""
        text = split_text(node)
        part = self.parts.known(text if text is not None else node, use)
        if part is not None and part.text is not None:
            self.parts.run(part, node, split=text is not None)
            return
        if isinstance(node, ast.Name):
            bindings = use.scope.find(node.id)
            if len(bindings) != 1 or bindings[0].value is None:
                return
            node, use = bindings[0].value, use._replace(scope=bindings[0].scope)
        if is_text(node):
            self.parts.run_text(node, use)

    def _left(self, node: ast.AST, use: Use) -> None:
        """Lists and f-strings with flags of LoRA's that are handed to nobody: they are put into something else."""
        pending: list[ast.AST] = [node]
        while pending:
            one = pending.pop()
            if one in self.parts.done or isinstance(one, ast.BinOp | ast.Raise | ast.Assert):
                continue
            if isinstance(one, ast.List | ast.Tuple) and has_flag(one.elts):
                if isinstance(one.ctx, ast.Load) and not is_option(one):
                    self.parts.run_list(one, use)
            elif isinstance(one, ast.JoinedStr):
                if has_flag([one]) and not is_option(one):
                    self.parts.run_text(one, use)
            elif isinstance(one, ast.Call) and called(one) in _SHOWS:
                pending += (argument for argument in one.args if isinstance(argument, ast.Call))
            elif not (isinstance(one, ast.Call) and called(one) in _ADDS):
                pending += reversed(list(ast.iter_child_nodes(one)))
