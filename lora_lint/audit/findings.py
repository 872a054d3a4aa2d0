"""The findings of an audit as a report of `check`'s kind, for the formats that CI reads."""

import posixpath
from collections.abc import Sequence

from lora_lint.audit.remote import absolute, is_remote
from lora_lint.audit.rows import Found, Row
from lora_lint.catalogue import load_rules
from lora_lint.document import Position
from lora_lint.finding import Diagnostic, Range, Report, Severity


class Findings:
    """Takes the rows of an audit; files are named as seen from here where there is one root."""

    def __init__(self, roots: Sequence[str], policy: str, fail_on: Severity) -> None:
        root = roots[0] if len(roots) == 1 else ""
        self._root = absolute(root) if is_remote(root) else root
        self._rules = load_rules()
        self.report = Report(policy=policy, fail_on=fail_on)

    def add(self, rows: Sequence[Row]) -> None:
        """Add the findings of the rows of one file."""
        summary = self.report.summary
        summary.files += bool(rows)
        for row in rows:
            summary.setups += row.framework is not None
            summary.sites += row.framework is not None
            summary.undecided += row.undecided is not None
            for found in row.findings:
                self.report.add(self._diagnostic(row, found))

    def _diagnostic(self, row: Row, found: Found) -> Diagnostic:
        rule = self._rules.get(found.rule)
        file = posixpath.join(posixpath.dirname(row.file), found.file) if found.file else row.file
        name = file if not self._root or "://" in file else f"{self._root}/{file}"
        name = name if "://" in name else posixpath.normpath(name)
        at = Position(found.line or 1, 1)
        return Diagnostic(
            rule=found.rule,
            severity=Severity(found.severity),
            message=found.message,
            file=name,
            range=Range(at, at),
            path=(),
            url=rule.url if rule is not None else "",
            explanation=rule.explanation if rule is not None else "",
            source_lines=tuple(line.partition("\t")[2] for line in (found.source or "").splitlines()),
            # A row has no key path; what tells two findings of one rule in one file apart is the site's own modules.
            key="\0".join((found.rule, name, str(row.line), str(row.modules))),
        )
