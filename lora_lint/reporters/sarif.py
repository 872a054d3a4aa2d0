"""SARIF 2.1.0 for code scanning, within GitHub's limits."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from lora_lint import __version__
from lora_lint.catalogue import load_rules
from lora_lint.finding import Diagnostic, Range, Report, Safety
from lora_lint.printable import printable, printable_json
from lora_lint.reporters import is_url, placed, related_file, relative
from lora_lint.reporters.fingerprint import fingerprints
from lora_lint.rule import PAGES_URL, Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LIMIT = 25_000
"""Results per run that GitHub takes."""

_ROOT = "%SRCROOT%"
_FINGERPRINT = "loraLint/v1"
_SAFETIES = {Safety.SAFE: "safe fix: the run means the same", Safety.UNSAFE: "unsafe fix: training changes"}

Json = dict[str, Any]


def render(report: Report, rules: Mapping[str, Rule] | None = None) -> str:
    """The worst findings first. `rules` are the pages to describe them with, all by default."""
    shown = sorted(report.diagnostics, key=lambda diagnostic: -diagnostic.severity.rank)[:LIMIT]
    used = {diagnostic.rule: diagnostic for diagnostic in reversed(shown)}
    names = sorted(used)
    pages = load_rules() if rules is None else rules
    run = {
        "tool": {
            "driver": {
                "name": "lora-lint",
                "version": __version__,
                "semanticVersion": __version__,
                "informationUri": PAGES_URL.partition("/blob/")[0],
                "rules": [_rule(pages.get(name), used[name]) for name in names],
            }
        },
        "invocations": [_invocation(report, len(report.diagnostics) - len(shown))],
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": _text("The working directory of the run.")}},
        "results": _results(shown, names),
    }
    return printable_json({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(page: Rule | None, example: Diagnostic) -> Json:
    """The descriptor of a rule; one without a page is described by a finding of it."""
    explanation = page.explanation if page else example.explanation
    described = {"markdown": page.body.strip()} if page else {}
    return {
        "id": example.rule,
        "name": "".join(part.capitalize() for part in example.rule.split("-")),
        "shortDescription": _text(page.title if page else example.rule),
        "fullDescription": _text(explanation),
        "helpUri": page.url if page else example.url,
        "help": {"text": explanation, **described},
        "defaultConfiguration": {"level": (page or example).severity.value},
        **({"properties": {"tags": [page.family]}} if page else {}),
    }


def _invocation(report: Report, left_out: int) -> Json:
    notes = [("error", failure.split("\n", 1)[0]) for failure in report.failures]
    if left_out > 0:
        notes.append(("warning", f"{left_out} results left out: at most {LIMIT} are written"))
    return {
        "executionSuccessful": not report.failures,
        "toolExecutionNotifications": [{"level": level, "message": _text(text)} for level, text in notes],
    }


def _results(shown: Sequence[Diagnostic], names: Sequence[str]) -> list[Json]:
    index = {name: at for at, name in enumerate(names)}
    marked = zip(shown, fingerprints(shown), strict=True)
    return [_result(diagnostic, index[diagnostic.rule], fingerprint) for diagnostic, fingerprint in marked]


def _result(diagnostic: Diagnostic, index: int, fingerprint: str) -> Json:
    location: Json = {"physicalLocation": _place(diagnostic.file, diagnostic.range if placed(diagnostic) else None)}
    if diagnostic.tensor:
        location["logicalLocations"] = [{"fullyQualifiedName": printable(diagnostic.tensor), "kind": "resource"}]
    beside = related_file(diagnostic)
    related = [
        {"id": number, "message": _text(one.message), "physicalLocation": _place(beside, one.range)}
        for number, one in enumerate(diagnostic.related, 1)
    ]
    return {
        "ruleId": diagnostic.rule,
        "ruleIndex": index,
        "level": diagnostic.severity.value,
        "message": _text(diagnostic.message),
        "locations": [location],
        **({"relatedLocations": related} if related else {}),
        "partialFingerprints": {_FINGERPRINT: fingerprint},
        **_fixes(diagnostic),
    }


def _fixes(diagnostic: Diagnostic) -> Json:
    if diagnostic.suggestion is None or not diagnostic.edit_ranges:
        return {}
    replacements = [
        {"deletedRegion": _region(place), "insertedContent": {"text": text}} for place, text in diagnostic.edit_ranges
    ]
    change = {"artifactLocation": _artifact(related_file(diagnostic)), "replacements": replacements}
    return {"fixes": [{"description": _text(_SAFETIES[diagnostic.suggestion.safety]), "artifactChanges": [change]}]}


def _text(text: str) -> Json:
    """A message in which nothing from a file is taken for a link."""
    return {"text": re.sub(r"\](?=\()", r"\\]", printable(text)) or " "}


def _place(file: str, lines: Range | None) -> Json:
    return {"artifactLocation": _artifact(file), "region": _region(lines) if lines else {"startLine": 1}}


def _region(lines: Range) -> Json:
    (line, column), (end_line, end_column) = lines
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _artifact(file: str) -> Json:
    inside = relative(file)
    if inside is not None:
        return {"uri": quote(_bytes(inside)), "uriBaseId": _ROOT}
    if is_url(file):
        return {"uri": quote(_bytes(file), safe="/:@")}
    full = os.path.abspath(file).replace(os.sep, "/").lstrip("/")
    return {"uri": f"file:///{quote(_bytes(full), safe='/:')}"}


def _bytes(name: str) -> bytes:
    """The name as the file system has it; names that no file system gave are encoded somehow."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")
