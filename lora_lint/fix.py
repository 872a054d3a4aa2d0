"""Fixes: findings' changes as edits of the text, proved by reading the result again before anything is written."""

from collections.abc import Callable, Sequence

from lora_lint.catalogue import load_rules
from lora_lint.document import Document, Source
from lora_lint.edits import edits_of
from lora_lint.finding import Delete, Diagnostic, Edit, Fix, Insert, RenameKey, Replace, Safety, Suggestion

READING = "schema"
"""The family of rules that speak of values which the framework doesn't read as they are meant."""


def suggestion(document: Document, fix: Fix, safety: Safety) -> Suggestion | None:
    """The edits that make a fix, or None where the place can't be edited without touching something else."""
    if document.example or document.embedded or document.syntax == "weights":
        return None
    edits = edits_of(document, fix)
    return Suggestion(safety, edits, fix) if edits else None


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
    if isinstance(fix, Delete):
        return _same(_without(old, key), new)
    return _same(_without(old, key), _without(new, fix.key))


def _without(data: object, key: str | int) -> object:
    if isinstance(data, dict):
        return {name: value for name, value in data.items() if name != key}
    if isinstance(data, list):
        return [value for index, value in enumerate(data) if index != key]
    return data
