"""Fixes: findings' changes as edits of the text, proved by reading the result again before anything is written."""

import re
from collections.abc import Callable, Sequence

from lora_lint.catalogue import load_rules
from lora_lint.document import Document, Entry, Path, Source, Span
from lora_lint.finding import Diagnostic, Edit, Fix, Insert, RenameKey, Replace, Safety, Suggestion

READING = "schema"
"""The family of rules that speak of values which the framework doesn't read as they are meant."""


def suggestion(document: Document, fix: Fix, safety: Safety) -> Suggestion | None:
    """The edits that make a fix, or None where the place can't be edited without touching something else."""
    if document.example or document.embedded or document.syntax == "safetensors":
        return None
    edits = _edits(document, fix)
    return Suggestion(safety, edits, fix) if edits else None


def _edits(document: Document, fix: Fix) -> tuple[Edit, ...]:
    entry = document.entry(fix.after if isinstance(fix, Insert) else fix.path)
    if entry is None:
        return ()
    if isinstance(fix, Replace):
        return (Edit(entry.literal, fix.text),) if entry.literal is not None else ()
    if entry.key is None or (document.syntax == "yaml" and entry.literal is None):
        return ()
    if isinstance(fix, RenameKey):
        return (Edit(entry.key, _spelled(document.source.text[slice(*entry.key)], fix.key)),)
    if (*fix.after[:-1], fix.key) in document.entries:
        return ()
    insert = _in_flow if _is_flow(document, fix.after[:-1]) else _INSERTERS.get(document.syntax)
    edit = insert(document.source.text, entry, entry.key, fix) if insert else None
    return (edit,) if edit is not None else ()


_FLOW_MAPPING = re.compile(r"([&!]\S*\s+)*\{")


def _is_flow(document: Document, path: Path) -> bool:
    owner = document.entry(path) if document.syntax == "yaml" else None
    return owner is not None and _FLOW_MAPPING.match(document.source.text, owner.value.start) is not None


def _spelled(old: str, key: str) -> str:
    """A key in the way the old one is written: quotes, leading dashes, dashes within."""
    quote = old[0] if old[:1] in "\"'" else ""
    dashes = re.match("-*", old)
    lead = dashes[0] if dashes else ""
    if lead and "-" in old[len(lead) :]:
        key = key.replace("_", "-")
    return f"{quote}{lead}{key}{quote}"


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _in_flow(text: str, entry: Entry, key: Span, fix: Insert) -> Edit:
    return Edit(Span(entry.value.end, entry.value.end), f", {fix.key}: {fix.text}")


def _in_yaml(text: str, entry: Entry, key: Span, fix: Insert) -> Edit | None:
    start = _line_start(text, key.start)
    before = text[start : key.start]
    if before.strip(" -"):
        return None
    end = text.find("\n", entry.value.end)
    end = len(text) if end < 0 else end
    if end and text[end - 1] == "\r":
        end -= 1
    indent = " " * len(before)
    return Edit(Span(end, end), f"{_newline(text)}{indent}{fix.key}: {fix.text}")


def _in_json(text: str, entry: Entry, key: Span, fix: Insert) -> Edit:
    before = text[_line_start(text, key.start) : key.start]
    gap = f"{_newline(text)}{before}" if not before.strip() and _line_start(text, key.start) else " "
    return Edit(Span(entry.value.end, entry.value.end), f',{gap}"{fix.key}": {fix.text}')


def _in_shell(text: str, entry: Entry, key: Span, fix: Insert) -> Edit:
    old = text[slice(*key)]
    joint = "=" if text[key.end : key.end + 1] == "=" else " "
    return Edit(Span(entry.value.end, entry.value.end), f" {_spelled(old, fix.key)}{joint}{fix.text}")


def _in_python(text: str, entry: Entry, key: Span, fix: Insert) -> Edit:
    if text[key.start : key.start + 1] in "\"'":
        return Edit(Span(entry.value.end, entry.value.end), f", {_spelled(text[slice(*key)], fix.key)}: {fix.text}")
    return Edit(Span(entry.value.end, entry.value.end), f", {fix.key}={fix.text}")


_INSERTERS: dict[str, Callable[[str, Entry, Span, Insert], Edit | None]] = {
    "yaml": _in_yaml,
    "json": _in_json,
    "shell": _in_shell,
    "python": _in_python,
}


def edited(text: str, edits: Sequence[Edit]) -> str:
    """The text with edits applied, which must not overlap."""
    for edit in sorted(edits, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


Check = Callable[[Source], tuple[list[Document], list[Diagnostic]] | None]
"""Reads and checks a changed text: its documents and findings, or None when it can't be read."""


def apply(
    source: Source, diagnostics: list[Diagnostic], documents: list[Document], check: Check, *, unsafe: bool
) -> tuple[str, int]:
    """The text after every fix that proves itself, and how many did.

    A fix is kept when the result can be read, only the value that it speaks of changed, its finding is gone, no new one
    came save on a value that couldn't be read before, and nothing is left to fix a second time. Each is proved on the
    result of those before it.
    """
    applied = 0
    refused: set[tuple[str, str]] = set()
    while True:
        open_ = (one for one in diagnostics if _wanted(one, unsafe) and (one.key, one.message) not in refused)
        chosen = min(open_, key=_turn, default=None)
        if chosen is None:
            return source.text, applied
        assert chosen.suggestion is not None
        changed = Source(source.name, edited(source.text, chosen.suggestion.edits))
        after = check(changed)
        if after is not None and _proved(chosen, documents, diagnostics, *after):
            source, (documents, diagnostics) = changed, after
            applied += 1
        else:
            refused.add((chosen.key, chosen.message))


def _turn(diagnostic: Diagnostic) -> bool:
    """Misspelled keys come first: with the right name, what was found missing is there."""
    return diagnostic.suggestion is None or not isinstance(diagnostic.suggestion.fix, RenameKey)


def _wanted(diagnostic: Diagnostic, unsafe: bool) -> bool:
    return diagnostic.suggestion is not None and (unsafe or diagnostic.suggestion.safety is Safety.SAFE)


def _proved(
    fixed: Diagnostic,
    documents: list[Document],
    diagnostics: list[Diagnostic],
    new_documents: list[Document],
    new_diagnostics: list[Diagnostic],
) -> bool:
    if len(documents) != len(new_documents) or fixed.suggestion is None:
        return False
    at = next((index for index, one in enumerate(documents) if one is fixed.document), None)
    if at is None:
        return False
    for index, (old, new) in enumerate(zip(documents, new_documents, strict=True)):
        if index == at and not _only_changed(old.data, new.data, fixed.suggestion.fix):
            return False
        if index != at and not _same(old.data, new.data):
            return False
    before = sorted((one.rule, one.path) for one in diagnostics)
    after = sorted((one.rule, one.path) for one in new_diagnostics)
    before.remove((fixed.rule, fixed.path))
    # A fix may end other findings of the same cause, but must bring none. Only a value that is read for the first time,
    # because its type or its name was mended, may be judged for the first time too.
    return all(
        before.count(one) >= after.count(one) or (_makes_readable(fixed) and one[0] != fixed.rule) for one in after
    )


def _makes_readable(fixed: Diagnostic) -> bool:
    return load_rules()[fixed.rule].family == READING and load_rules()[fixed.rule].fix is not None


def _same(old: object, new: object) -> bool:
    return repr(old) == repr(new)


def _only_changed(old: object, new: object, fix: Fix) -> bool:
    """Whether two documents differ at the fix's place alone."""
    parent = (fix.after if isinstance(fix, Insert) else fix.path)[:-1]
    key = fix.after[-1] if isinstance(fix, Insert) else fix.path[-1]
    for part in parent:
        try:
            if not _same(_without(old, part), _without(new, part)):
                return False
            old, new = old[part], new[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return False
    if isinstance(fix, Replace):
        return _same(_without(old, key), _without(new, key))
    if isinstance(fix, Insert):
        return _same(old, _without(new, fix.key))
    return _same(_without(old, key), _without(new, fix.key))


def _without(data: object, key: str | int) -> object:
    if isinstance(data, dict):
        return {name: value for name, value in data.items() if name != key}
    if isinstance(data, list):
        return [value for index, value in enumerate(data) if index != key]
    return data
