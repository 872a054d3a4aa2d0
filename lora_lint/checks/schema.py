"""Does the framework read what was written?"""

from collections.abc import Iterator

from lora_lint.document import Problem, Span
from lora_lint.facts import BadValue, Setup
from lora_lint.finding import Finding, RenameKey, Replace, Severity


def syntax_error(problem: Problem) -> Iterator[Finding]:
    yield Finding(problem.message, span=Span(problem.offset, problem.offset))


def unknown_key(setup: Setup) -> Iterator[Finding]:
    for key in () if setup.fragment else setup.unknown_keys:
        ignored = "refuses" not in key.reaction
        meant = f"; {key.suggestion} was likely meant" if key.suggestion else ""
        yield Finding(
            f"{setup.title} doesn't know {key.key} and {key.reaction}{meant}",
            at=key.path,
            fix=RenameKey(key.path, key.suggestion) if key.suggestion else None,
            severity=None if ignored and key.suggestion else Severity.WARNING,
            on_key=True,
        )


def duplicate_key(setup: Setup) -> Iterator[Finding]:
    document = setup.document
    for duplicate in document.duplicates:
        line = document.source.position(duplicate.first.start).line
        yield Finding(
            f"{duplicate.path[-1]} is set twice, the first time in line {line}; the last one counts",
            at=duplicate.path,
            span=duplicate.second,
            # On a command line a later flag overrides an earlier one on purpose often enough.
            severity=Severity.WARNING if document.syntax == "shell" else None,
        )


def number_read_as_text(setup: Setup) -> Iterator[Finding]:
    yield from _bad(setup, "number-as-text")


def wrong_type(setup: Setup) -> Iterator[Finding]:
    yield from _bad(setup, "wrong-type")


def out_of_range(setup: Setup) -> Iterator[Finding]:
    yield from _bad(setup, "out-of-range")


def _bad(setup: Setup, kind: str) -> Iterator[Finding]:
    for bad in setup.bad_values:
        if bad.kind == kind:
            yield Finding(bad.message, at=bad.path, fix=_replaced(bad))


def _replaced(bad: BadValue) -> Replace | None:
    return Replace(bad.path, bad.replacement) if bad.replacement is not None else None
