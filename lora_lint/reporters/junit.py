"""JUnit XML for Jenkins and others: a suite for each file, a test for each finding, and one for the run itself."""

from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from lora_lint.finding import Diagnostic, Report
from lora_lint.printable import printable
from lora_lint.reporters import related_file, relative
from lora_lint.reporters.text import counted, line_of, message, summary_lines

TOOL = "lora-lint"
"""The package that Jenkins groups by; the classes in it are the rules."""


def render(report: Report) -> str:
    """Findings that make the run fail are failures, those below `Report.fail_on` are skipped tests.

    Nothing depends on the time or the machine. A run without findings still has a test that passes, for Jenkins takes
    a report without tests for a mistake.
    """
    root = Element("testsuites", name=TOOL)
    by_file: dict[str, list[Diagnostic]] = {}
    for diagnostic in report.diagnostics:
        by_file.setdefault(printable(relative(diagnostic.file) or diagnostic.file), []).append(diagnostic)
    for file, found in by_file.items():
        suite = SubElement(root, "testsuite", name=file, file=file)
        for name, diagnostic in zip(_names(file, found), found, strict=True):
            _finding(suite, name, diagnostic, fails=diagnostic.severity.rank >= report.fail_on.rank)
    _run(SubElement(root, "testsuite", name=TOOL), report)
    for suite in root:
        _count(suite, skipped="skipped")
    _count(root)
    ElementTree.indent(root)
    # References in place of all that isn't ASCII are right whatever the output's encoding is.
    written: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True)
    return written.decode("ascii")


def _names(file: str, found: list[Diagnostic]) -> Iterator[str]:
    """Names without lines and values, by which a server knows a finding again, each one once for a rule."""
    seen: Counter[tuple[str, str]] = Counter()
    for diagnostic in found:
        key = diagnostic.tensor or ".".join(str(part) for part in diagnostic.path)
        name = f"{file} {printable(key)}".rstrip()
        seen[diagnostic.rule, name] += 1
        number = seen[diagnostic.rule, name]
        yield name if number == 1 else f"{name} ({number})"


def _finding(suite: Element, name: str, diagnostic: Diagnostic, *, fails: bool) -> None:
    case = SubElement(suite, "testcase", classname=f"{TOOL}.{diagnostic.rule}", name=name)
    verdict = SubElement(case, "failure" if fails else "skipped", type=diagnostic.severity.value)
    verdict.set("message", printable(message(diagnostic)))
    # GitLab shows this text and not the message.
    verdict.text = "\n".join(_lines(diagnostic))


def _lines(diagnostic: Diagnostic) -> Iterator[str]:
    yield line_of(diagnostic)
    for related in diagnostic.related:
        line, column = related.range.start
        yield printable(f"{related_file(diagnostic)}:{line}:{column}: {related.message}")
    yield printable(diagnostic.explanation)
    yield printable(diagnostic.url)


def _run(suite: Element, report: Report) -> None:
    case = SubElement(suite, "testcase", classname=f"{TOOL}.run", name="every rule ran")
    if report.failures:
        failed = counted(len(report.failures), "check")
        error = SubElement(case, "error", type="internal-error", message=f"{failed} failed: a fault of {TOOL}")
        error.text = "\n".join(printable(failure.partition("\n")[0]) for failure in report.failures)
    SubElement(case, "system-out").text = printable("\n".join(summary_lines(report)), newlines=True)


def _count(element: Element, **more: str) -> None:
    """Say how many tests there are, and how many of each kind."""
    kinds = {"tests": "testcase", "failures": "failure", "errors": "error", **more}
    for name, tag in kinds.items():
        element.set(name, str(sum(1 for _ in element.iter(tag))))
