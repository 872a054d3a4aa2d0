"""Python: calls that speak of LoRA, with constants folded and names followed; nothing is imported or run."""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import PurePath

from lora_lint.document import Document, Source, UnreadableError
from lora_lint.readers.python.calls import Calls
from lora_lint.readers.python.definitions import index
from lora_lint.readers.python.examples import examples, parsed, placed
from lora_lint.readers.python.lines import Lines
from lora_lint.readers.python.usage import usages

MAX_MARKS = 75_000
"""Line ends, brackets, operators and the like. The parser may need most of a second and 200 MB for so many; the largest
files of CPython, torch and PEFT that are not tables of data have 60,000."""

MAX_EXAMPLES = 200
_MARKS = "\n({,=+-*/<>;[.:|&%@^~"
FLAG = re.compile(r"""["'\s]--?[\w.-]*(?:lora|peft)""", re.IGNORECASE)
"""What a file holds in which a command says something about LoRA."""
_MENTION = re.compile("lora|peft|lycoris", re.IGNORECASE)
_TEST = re.compile(r"test_.*\.py|.*_test\.py|conftest\.py")


def read(source: Source) -> Iterator[Document]:
    """The LoRA calls of a Python file, in order; those of docstrings come last.

    Raises:
        UnreadableError: when the file speaks of LoRA and isn't Python that this version of Python can parse.
    """
    if _MENTION.search(source.text) is None:
        return
    lines = Lines.of(source)
    tree = syntax_tree(source, lines)
    found = index(tree)
    test = is_test(source.inside)
    calls = Calls(source, found, lines, test)
    yield from calls.documents()
    if not test:
        yield from _deeds(source, tree, lines)
    if FLAG.search(source.text):
        yield from _commands(tree, calls)
    for node in sorted(found.texts, key=lines.span)[:MAX_EXAMPLES]:
        for code in islice(examples(source.text, lines.span(node)), MAX_EXAMPLES):
            inner = parsed(code) if any(_MENTION.search(line) for _, line in code) else None
            if inner is not None:
                yield from Calls(source, index(inner), placed(source.text, code), example=True).documents()
        yield from usages(source, lines.span(node))


def _deeds(source: Source, tree: ast.Module, lines: Lines) -> Iterator[Document]:
    """Only of files that wrap or load a model: most that are read do neither."""
    if any(word in source.text for word in ("PeftModel", "get_peft_model", "add_adapter")):
        from lora_lint.readers.python.deeds import deeds

        yield from deeds(source, tree, lines)


def _commands(tree: ast.Module, calls: Calls) -> Iterator[Document]:
    from lora_lint.readers.python.command_script import CommandScript
    from lora_lint.readers.python.commands import Commands

    script = CommandScript(calls.source, calls.lines, calls.binder.resolver)
    for document in Commands(calls.found, script).documents(tree):
        yield replace(document, example=calls.example)


def syntax_tree(source: Source, lines: Lines) -> ast.Module:
    """
    Raises:
        UnreadableError: when the text isn't Python, or too much of it.
    """
    if len(source.text) > MAX_MARKS and sum(map(source.text.count, _MARKS)) > MAX_MARKS:
        raise UnreadableError(f"not read: more than {MAX_MARKS} operators and line ends")
    if "\0" in source.text:
        raise UnreadableError("not Python: it holds a null character", source.text.find("\0"))
    try:
        return _parsed(source.text)
    except SyntaxError as error:
        offset = lines.offset(max(error.lineno or 1, 1), 0) + max((error.offset or 1) - 1, 0)
        raise UnreadableError(f"not Python: {error.msg}", min(offset, len(source.text))) from None
    except ValueError as error:
        raise UnreadableError(f"not Python: {error}") from None
    except (RecursionError, MemoryError):
        raise UnreadableError("not read: nested too deeply") from None


def _parsed(text: str) -> ast.Module:
    """
    Raises:
        SyntaxError: when the text isn't Python; `except A, B:`, which is since 3.14, is read as `except A:` before.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except SyntaxError as error:
            if "must be parenthesized" not in (error.msg or ""):
                raise
            return ast.parse(_HANDLED.sub(lambda match: match[1] + " " * len(match[2]), text))


_HANDLED = re.compile(r"^([ \t]*except\*?[ \t]+[\w.]+)((?:[ \t]*,[ \t]*[\w.]+)+)(?=[ \t]*:)", re.MULTILINE)


def is_test(name: str) -> bool:
    """Whether a file's path is one that test runners look for."""
    path = PurePath(name.replace("\\", "/"))
    return _TEST.fullmatch(path.name) is not None or not {"tests", "test", "testing"}.isdisjoint(path.parts[:-1])
