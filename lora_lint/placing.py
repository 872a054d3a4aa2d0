"""Findings to diagnostics: one for each cause, at its line, with its severity and the edits of its fix."""

import os
import posixpath
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lora_lint import fix as fixes
from lora_lint.document import Document, Path, Position, Span
from lora_lint.facts import Setup, Site
from lora_lint.finding import Diagnostic, Elsewhere, Finding, Range, Related, RenameKey, Safety, Severity
from lora_lint.rule import Rule


class Placed(NamedTuple):
    """A finding with the rule that spoke and what it spoke of."""

    rule: Rule
    finding: Finding
    document: Document
    setup: Setup | None
    sites: frozenset[int]


def one_per_cause(placed: list[Placed]) -> Iterator[Placed]:
    """Findings without those that another rule speaks of better, and without repeats at one place."""
    silenced: set[tuple[str, int]] = set()
    for one in placed:
        silenced.update((name, site) for name in one.rule.instead_of for site in one.sites)
    seen: set[tuple[str, int, Path, str]] = set()
    for one in placed:
        if any((one.rule.name, site) in silenced for site in one.sites):
            continue
        repeat = "" if one.sites else f"{one.finding.message}{one.finding.tensor}{one.finding.span}"
        key = (one.rule.name, id(one.document), one.finding.at, repeat)
        if key not in seen:
            seen.add(key)
            yield one


def sites_of(subject: object, setup: Setup | None, finding: Finding) -> frozenset[int]:
    """The sites that a finding speaks of, by `id`: its subject, those whose rank or alpha stands where it points, or
    those whose rank or alpha is a default only because its key is misspelled."""
    if isinstance(subject, Site):
        return frozenset([id(subject)])
    if setup is None:
        return frozenset()
    if isinstance(finding.fix, RenameKey):
        return frozenset(id(site) for site in setup.sites if finding.fix.key in site.default_keys)
    return setup.sites_at.get(finding.at, frozenset())


def diagnostic(placed: Placed, chosen: Mapping[str, str]) -> Diagnostic:
    """The finding at its line; `chosen` are the severities that the user set for rules."""
    rule, finding, document, setup, sites = placed
    other = finding.elsewhere
    name = document.source.name
    if other is not None:
        name, document = _named_from(document, setup, other), other.document
    source = document.source
    span = finding.span or (Span(0, 0) if finding.file else _place(document, finding))
    lines = Range(start := Position(finding.line, 1), start) if finding.line else _range(document, span)
    file = beside(document, finding.file) if finding.file else name
    suggestion = None
    if finding.fix is not None and rule.fix is not None and setup is not None:
        safety = finding.safety or rule.fix
        if not (setup.trained and safety is Safety.UNSAFE):
            suggestion = fixes.suggestion(document, finding.fix, safety)
    return Diagnostic(
        rule=rule.name,
        severity=_severity(placed, chosen),
        message=finding.message,
        file=file,
        range=lines,
        path=finding.at,
        url=rule.url,
        explanation=rule.explanation,
        source_lines=() if finding.file or not source.text else _source_lines(document, lines),
        tensor=finding.tensor or _tensor(document, finding.at),
        related=tuple(_related(document, finding)),
        suggestion=suggestion,
        edit_ranges=tuple((_range(document, edit.span), edit.text) for edit in suggestion.edits) if suggestion else (),
        document=document,
        sites=sites,
        key="\0".join((rule.name, file, *(str(part) for part in finding.at or (finding.tensor or "",)))),
    )


def _named_from(document: Document, setup: Setup | None, other: Elsewhere) -> str:
    """The name of another file as those are named that were asked for: `document` has the name, `setup` the path."""
    here = os.path.dirname(os.path.realpath(setup.path)) if setup is not None else ""
    way = os.path.relpath(other.path, here).replace(os.sep, "/")
    return posixpath.normpath(posixpath.join(posixpath.dirname(document.source.name), way))


def _severity(placed: Placed, chosen: Mapping[str, str]) -> Severity:
    """The user's word, else the page's, lower where the framework is guessed or its community has its own policy."""
    rule, finding, document, setup, _ = placed
    if rule.name in chosen:
        return Severity(chosen[rule.name])
    level = rule.severity_for(setup.kind if setup else None)
    if finding.severity is not None and finding.severity.rank < level.rank:
        level = finding.severity
    if document.example:
        return Severity.NOTE
    if setup is not None and setup.most != "error" and Severity(setup.most).rank < level.rank:
        return Severity(setup.most)
    if rule.family == "scaling" and level is Severity.ERROR and setup is not None and setup.convention != "2r":
        return Severity.WARNING
    return level


def beside(document: Document, file: str) -> str:
    """The name of a file in the folder of a document's own."""
    return posixpath.join(posixpath.dirname(document.source.name), file)


def _tensor(document: Document, path: Path) -> str | None:
    """The tensor that a path into the header of a file of weights names."""
    header = document.syntax == "weights" and len(path) == 1 and path[0] != "__metadata__"
    return str(path[0]) if header and path[0] else None


def _place(document: Document, finding: Finding) -> Span:
    entry = document.entry(finding.at) if finding.on_key else None
    if entry is not None and entry.key is not None:
        return entry.key
    if document.base and document.entry(finding.at) is None:
        return next((one.value for path, _ in finding.related if (one := document.entry(path))), document.span_of(()))
    return document.span_of(finding.at)


def _related(document: Document, finding: Finding) -> Iterator[Related]:
    """The places that a rule names, and where a value comes from that is written elsewhere in the file; none in a
    config that is alive, which has no places."""
    if document.alive:
        return
    for path, message in finding.related:
        if path != finding.at and not (document.base and document.entry(path) is None):
            yield Related(message, _range(document, document.span_of(path)))
    named = [path for path in dict.fromkeys((finding.at, *(path for path, _ in finding.related))) if path]
    if document.base:
        for path in named:
            there = document.comes_from(path) if document.comes_from is not None else document.base
            if there and document.entry(path) is None:
                yield Related(f"{path[-1]} comes from {there}", _range(document, document.span_of(())))
    if finding.file is None:
        for path in named:
            entry = document.entry(path)
            if entry is not None and entry.origin is not None:
                yield Related(f"{path[-1]} comes from here", _range(document, entry.origin))


def _range(document: Document, span: Span) -> Range:
    source = document.source
    return Range(source.position(span.start), source.position(span.end))


def _source_lines(document: Document, lines: Range, limit: int = 3) -> tuple[str, ...]:
    last = min(lines.end.line, lines.start.line + limit - 1)
    return tuple(document.source.line(number) for number in range(lines.start.line, last + 1))
