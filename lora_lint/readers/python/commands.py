"""Shell commands that Python code puts together: lists of words, and text with values filled in."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from lora_lint.document import Document, Path, Source
from lora_lint.readers.composition import Composition
from lora_lint.readers.python.index import Index
from lora_lint.readers.python.lines import Lines
from lora_lint.readers.python.names import Resolver
from lora_lint.readers.python.scopes import Use
from lora_lint.readers.python.values import Value

MAX_COMMANDS = 200
MAX_WORDS = 500
_TEXTS = ("str", "int", "float", "repr")


def commands(source: Source, found: Index, lines: Lines, resolver: Resolver, *, example: bool) -> Iterator[Document]:
    """The commands, each word where it stands; what isn't known is a variable that no script sets."""
    listed = {word for node, _ in found.commands if not isinstance(node, ast.JoinedStr) for word in node.elts}
    for node, use in found.commands[:MAX_COMMANDS]:
        if node in listed or node in found.partial:
            continue
        script = Composition()
        resolver.home = use.scope
        if isinstance(node, ast.JoinedStr):
            text = "".join(_pieces(node, use, lines, resolver))
            script.say(" ".join(text.split()) if node in found.split else text, lines.span(node).start)
        else:
            for word in node.elts[:MAX_WORDS]:
                _word(script, word, use, lines, resolver)
        more: dict[Path, str] = {(): "more words are added to the command"} if _grows(node, use, found) else {}
        yield from (replace(document, example=example, open=more) for document in script.documents(source))


def _grows(node: ast.List | ast.Tuple | ast.JoinedStr, use: Use, found: Index) -> bool:
    """Whether words come in that aren't written here."""
    if not isinstance(node, ast.JoinedStr) and any(isinstance(word, ast.Starred) for word in node.elts):
        return True
    names = (name for name, bindings in use.scope.bindings.items() if any(one.value is node for one in bindings))
    return any(name in found.extended or found.added(name) for name in names)


def _word(script: Composition, node: ast.expr, use: Use, lines: Lines, resolver: Resolver) -> None:
    span = lines.span(node)
    if isinstance(node, ast.JoinedStr):
        # Places inside an f-string aren't to be trusted before Python 3.12: all of it stands where it begins.
        script.say('"' + "".join(_pieces(node, use, lines, resolver)) + '" ', span.start)
        return
    text = _shown(resolver.resolve(_inside(node), use, {}))
    if text is None:
        script.say("$REST " if isinstance(node, ast.Starred) else f'"${_variable(_inside(node), lines)}" ', span.start)
        return
    at = lines.text.find(text, *span) if text else -1
    script.word(text, range(at, at + len(text)) if at >= 0 else [span.start] * len(text))


def _pieces(node: ast.JoinedStr, use: Use, lines: Lines, resolver: Resolver) -> Iterator[str]:
    """The text of an f-string; a value that isn't known is a variable."""
    for part in node.values:
        if isinstance(part, ast.Constant):
            yield str(part.value)
        elif isinstance(part, ast.FormattedValue):
            text = _shown(resolver.resolve(_inside(part.value), use, {})) if part.format_spec is None else None
            yield text if text is not None else f"${_variable(_inside(part.value), lines)}"


def _inside(node: ast.expr) -> ast.expr:
    """`R` of `str(R)`."""
    plain = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _TEXTS
    return node.args[0] if isinstance(node, ast.Call) and plain and len(node.args) == 1 else node


def _shown(value: Value) -> str | None:
    """What a value says as a word of a command; None where it isn't known, or only a default."""
    known = isinstance(value.data, str | int | float) and value.symbol is None and not value.default
    return str(value.data) if known else None


def _variable(node: ast.expr, lines: Lines) -> str:
    """A variable's name for what isn't known."""
    name = re.sub(r"\W+", "_", lines.code(node, 40)).strip("_")
    return f"{{{name}}}" if name.isascii() and name and not name[0].isdigit() else "{VALUE}"
