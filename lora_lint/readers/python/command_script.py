"""The words and texts of commands in Python code, written as a shell script that says the same."""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from lora_lint.document import Source
from lora_lint.expression import dotted
from lora_lint.readers.composition import Composition
from lora_lint.readers.python.command_words import parts, variable, written
from lora_lint.readers.python.lines import Lines
from lora_lint.readers.python.names import Resolver
from lora_lint.readers.python.scopes import Use

MAX_WORDS = 5_000
_SPECIAL = re.compile(r'(["\\$`])')
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_ARITHMETIC = ast.Name | ast.Attribute | ast.Constant | ast.BinOp | ast.operator | ast.expr_context
_TEXTS = frozenset(("str", "int", "float", "repr"))


@dataclass(eq=False)
class CommandScript:
    """The script so far; a value that the code settles is written out, any other is a variable that nobody sets."""

    source: Source
    lines: Lines
    resolver: Resolver
    text: Composition = field(default_factory=Composition)
    words: int = 0
    _unwritten: int = 0
    """Blocks that were begun and hold nothing so far."""

    def __len__(self) -> int:
        return len(self.text)

    def begin(self) -> None:
        """What follows may not run."""
        self._unwritten += 1

    def end(self) -> None:
        if self._unwritten:
            self._unwritten -= 1
        else:
            self.text.say("fi\n")

    def say(self, text: str, node: ast.AST | None = None) -> None:
        """Text that the file doesn't hold, standing where a node does."""
        at = self.lines.span(node).start if node is not None else None  # type: ignore[arg-type]
        self.text.say("if true; then\n:\n" * self._unwritten + text, at)
        self._unwritten = 0

    def word(self, node: ast.expr, use: Use) -> None:
        """One word of a list."""
        self.words += 1
        if self.words > MAX_WORDS:
            return
        self.say("", node)
        if isinstance(node, ast.Constant):
            self.text.word(str(node.value), self._places(node, str(node.value)))
            return
        self.say('"', node)
        for part in parts(node):
            literal = isinstance(part, ast.Constant)
            self.say(_escaped(str(part.value)) if literal else self._value(part, use), node)  # type: ignore[attr-defined]
        self.say('" ', node)

    def run(self, terms: Iterable[tuple[ast.expr, Use]], *, split: bool = False) -> None:
        """A text as a line of the script; one that is split at white space ends with the text, not with its lines."""
        for term, use in terms:
            self.say("", term)
            for part in parts(term):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    text = re.sub(r"\s", " ", part.value) if split else part.value
                    self.text.copy(text, self._places(part, part.value))
                else:
                    self.say(self._value(part, use), term)

    def _value(self, node: ast.expr, use: Use) -> str:
        """The value of an expression for use in double quotes, or a variable of the shell in its place."""
        if isinstance(node, ast.FormattedValue):
            return f"${{{variable(written(node.value))}}}"
        while isinstance(node, ast.Call) and dotted(node.func) in _TEXTS and len(node.args) == 1:
            node = node.args[0]
        value = self.resolver.resolve(node, use, {})
        if not value.free and not value.default and isinstance(value.data, str | int | float):
            return _escaped(str(value.data))
        name = written(node)
        if isinstance(node, ast.BinOp) and all(isinstance(part, _ARITHMETIC) for part in ast.walk(node)):
            return f"$(({_NAME.sub(lambda part: variable(part[0]), name)}))"
        return f"${{{variable(name)}}}"

    def _places(self, node: ast.Constant, text: str) -> list[int]:
        """Where each character stands; all at the start of a literal with escapes."""
        start, end = self.lines.span(node)
        at = self.source.text.find(text, start, end)
        return [at + index if at >= 0 else start for index in range(len(text))]


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
