"""Reports for GitLab and Jenkins, read back by readers that are not ours: jsonschema, xmlschema and junitparser.

`gitlab-code-quality.schema.json` and `junit.xsd` are written from what GitLab documents and Jenkins takes. What GitLab
does with a report is read in gitlabhq: app/validators/json_schemas/codeclimate.json at 33827e3a,
lib/gitlab/ci/reports/codequality_reports.rb at 4315ed03 and lib/gitlab/ci/parsers/test/junit.rb at 028d8ac9; what
Jenkins does, in jenkinsci/junit-plugin: src/main/java/hudson/tasks/junit/CaseResult.java at 002534a5.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped

from lora_lint.finding import Diagnostic, Report, Severity
from lora_lint.reporters import gitlab, junit
from tests.test_reporters import FIXABLE, ON_WEIGHTS, PAGE, YAML, finding, hostile, report

HERE = Path(__file__).parent
CODE_QUALITY = jsonschema.Draft7Validator(json.loads((HERE / "gitlab-code-quality.schema.json").read_text("utf-8")))
JUNIT = xmlschema.XMLSchema(HERE / "junit.xsd")


def as_gitlab(*diagnostics: Diagnostic) -> list[dict[str, Any]]:
    """The issues of a report that is valid."""
    issues: list[dict[str, Any]] = json.loads(gitlab.render(report(*diagnostics)))
    assert [error.message for error in CODE_QUALITY.iter_errors(issues)] == []
    return issues


def as_junit(*diagnostics: Diagnostic, made: Report | None = None) -> list[Any]:
    """The suites of a report that is valid."""
    written = junit.render(made or report(*diagnostics))
    JUNIT.validate(written)
    read = JUnitXml.fromstring(written.encode())
    verdicts = [type(verdict) for suite in read for case in suite for verdict in case.result]
    told = (read.tests, read.failures, read.errors)
    assert told == (sum(map(len, read)), verdicts.count(Failure), verdicts.count(Error))
    return list(read)


def cases(*diagnostics: Diagnostic, made: Report | None = None) -> list[Any]:
    """The tests of all suites, the last one about the run itself."""
    return [case for suite in as_junit(*diagnostics, made=made) for case in suite]


def test_gitlab_gets_an_object_for_each_finding() -> None:
    assert as_gitlab(FIXABLE) == [
        {
            "description": "alpha-not-2r: scale is 1, policy 2r wants alpha 32",
            "check_name": "alpha-not-2r",
            # printf 'alpha-not-2r\0q.yaml\0lora_alpha' | sha256sum
            "fingerprint": "d2f779196c864d0240dc885c15e996ab:1",
            "severity": "major",
            "location": {"path": "q.yaml", "lines": {"begin": 3}},
        }
    ]


@pytest.mark.parametrize(
    ("severity", "word"), [(Severity.ERROR, "major"), (Severity.WARNING, "minor"), (Severity.NOTE, "info")]
)
def test_gitlab_has_its_own_words_for_severities(severity: Severity, word: str) -> None:
    assert as_gitlab(finding(severity=severity))[0]["severity"] == word


def test_gitlab_gets_a_line_and_the_tensor_of_weights_that_have_no_lines() -> None:
    (issue,) = as_gitlab(ON_WEIGHTS)
    assert issue["location"] == {"path": "w.safetensors", "lines": {"begin": 1}}
    assert issue["description"] == "alpha-not-2r: scale is 1, policy 2r wants alpha 32 (tensor q_proj.lora_A)"


def test_gitlab_knows_a_finding_again_wherever_its_line_is() -> None:
    moved = finding("# a comment\n" + YAML, message="scale is 0.5, policy 2r wants alpha 32")
    other = finding(key="alpha-not-2r\0q.yaml\0other")
    first, second, third, last = (issue["fingerprint"] for issue in as_gitlab(finding(), moved, FIXABLE, other))
    assert as_gitlab(moved)[0]["fingerprint"] == first
    assert [second, third] == [first.replace(":1", ":2"), first.replace(":1", ":3")]
    assert last.endswith(":1")
    assert last != first


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("./a//b.json", "a/b.json"),
        ("a b#c?.yaml", "a b#c?.yaml"),
        ("配置.yaml", "配置.yaml"),
        ("<stdin>", "<stdin>"),
        ("bad\udcff.yaml", "bad\\udcff.yaml"),
        ("/elsewhere/a.json", "/elsewhere/a.json"),
    ],
)
def test_paths_are_relative_to_the_working_directory(file: str, path: str) -> None:
    assert as_gitlab(finding(file=file))[0]["location"]["path"] == path
    assert as_junit(finding(file=file))[0].name == path


def test_an_empty_run_is_an_empty_list_for_gitlab() -> None:
    assert gitlab.render(report()) == "[]"
    assert as_gitlab() == []


def test_junit_has_a_suite_for_each_file_and_a_test_for_each_finding() -> None:
    first, second, run = as_junit(FIXABLE, ON_WEIGHTS, finding(rule="other-rule"))
    assert [(suite.name, suite.tests, suite.failures) for suite in (first, second, run)] == [
        ("q.yaml", 2, 2),
        ("w.safetensors", 1, 1),
        ("lora-lint", 1, 0),
    ]
    assert [(case.classname, case.name) for suite in (first, second, run) for case in suite] == [
        ("lora-lint.alpha-not-2r", "q.yaml lora_alpha"),
        ("lora-lint.other-rule", "q.yaml lora_alpha"),
        ("lora-lint.alpha-not-2r", "w.safetensors q_proj.lora_A"),
        ("lora-lint.run", "every rule ran"),
    ]


def test_junit_says_what_is_wrong_where_and_why() -> None:
    (verdict,) = cases(FIXABLE)[0].result
    assert isinstance(verdict, Failure)
    assert (verdict.type, verdict.message) == ("error", "scale is 1, policy 2r wants alpha 32")
    assert verdict.text == (
        f"""\
q.yaml:3:13: error[alpha-not-2r] scale is 1, policy 2r wants alpha 32 [unsafe fix]
q.yaml:2:9: rank
At alpha = 2r the scale is 2.
{PAGE}"""
    )


@pytest.mark.parametrize(
    ("fail_on", "verdicts"),
    [
        (Severity.ERROR, [Failure, Skipped, Skipped]),
        (Severity.WARNING, [Failure, Failure, Skipped]),
        (Severity.NOTE, [Failure, Failure, Failure]),
    ],
)
def test_junit_fails_where_the_run_fails(fail_on: Severity, verdicts: list[type]) -> None:
    made = report(*(finding(severity=severity) for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE)))
    made.fail_on = fail_on
    assert [type(case.result[0]) for case in cases(made=made)[:-1]] == verdicts


def test_junit_knows_a_finding_again_wherever_its_line_is() -> None:
    moved = finding("# a comment\n" + YAML, message="scale is 0.5, policy 2r wants alpha 32")
    assert cases(moved)[0].name == cases(finding())[0].name
    assert [case.name for case in cases(finding(), moved, replace(moved, path=()))[:3]] == [
        "q.yaml lora_alpha",
        "q.yaml lora_alpha (2)",
        "q.yaml",
    ]


def test_a_run_without_findings_is_one_passed_test_with_the_summary() -> None:
    (case,) = cases()
    assert case.result == []
    assert case.system_out == "12 files, 3 setups, 4 sites: no findings"


def test_junit_has_an_error_when_a_rule_failed() -> None:
    made = report()
    made.failures.append("a.yaml: alpha-not-2r\nTraceback ...")
    (verdict,) = cases(made=made)[0].result
    assert isinstance(verdict, Error)
    assert (verdict.message, verdict.text) == ("1 check failed: a fault of lora-lint", "a.yaml: alpha-not-2r")


def test_junit_reads_back_whatever_the_encoding_of_the_output_is() -> None:
    written = junit.render(report(finding(file="配置.yaml", message="é")))
    assert written.isascii()
    (suite, _) = JUnitXml.fromstring(written.encode("ascii"))
    assert [(case.name, case.result[0].message) for case in suite] == [("配置.yaml lora_alpha", "é")]


# XML 1.0 has no place for most control characters, lone surrogates, U+FFFE and U+FFFF, even as references.
unspeakable = st.lists(st.sampled_from(["\0", "\x1b", "\x0c", "\ufffe", "\uffff", "\ud800", "]]>", "<!--", "&", '"']))


@given(
    st.one_of(hostile, unspeakable.map("".join)),
    st.one_of(hostile, unspeakable.map("".join)),
    st.lists(st.one_of(hostile, st.integers(0, 9))).map(tuple),
)
@settings(max_examples=60, deadline=None)
def test_both_are_valid_whatever_the_file_holds(file: str, words: str, path: tuple[str | int, ...]) -> None:
    name = f"a{file}"
    shown = finding(file=name, message=words, path=path, explanation=words, key="")
    on_weights = replace(shown, tensor=words, file="w.safetensors", rule="other")
    assert len(as_gitlab(shown, on_weights)) == 2
    assert len(cases(shown, on_weights)) == 3
    for text in (gitlab.render(report(shown)), junit.render(report(shown))):
        assert text.replace("\n", "").isprintable()
