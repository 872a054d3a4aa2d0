"""An audit in the formats that CI reads: the same findings as its rows, valid for readers that are not ours."""

import json
from pathlib import Path

import jsonschema
import pytest
from junitparser import JUnitXml

from tests.audits import adapter
from tests.checkout import write
from tests.conftest import Run
from tests.test_ci_reports import CODE_QUALITY, JUNIT
from tests.test_reporters import SCHEMA


@pytest.fixture
def tree(repository_top: Path) -> str:
    adapter("tree/good")
    write({"tree/wrong/adapter_config.json": '{"peft_type": "LORA",\n "r": 8,\n "lora_alpha": 8}'})
    write({"tree/broken/adapter_config.json": "{"})
    return "tree"


PLACES = [
    ("syntax-error", "tree/broken/adapter_config.json", 1),
    ("alpha-not-2r", "tree/wrong/adapter_config.json", 3),
]


def test_gitlab_takes_the_findings_of_an_audit(run: Run, tree: str) -> None:
    found = run("audit", tree, "--format", "gitlab")
    assert found.status == 1
    issues = json.loads(found.out)
    CODE_QUALITY.validate(issues)
    places = [(one["check_name"], one["location"]["path"], one["location"]["lines"]["begin"]) for one in issues]
    assert places == PLACES
    assert len({one["fingerprint"] for one in issues}) == len(issues)


def test_junit_takes_the_findings_of_an_audit(run: Run, tree: str) -> None:
    found = run("audit", tree, "--format", "junit")
    assert found.status == 1
    JUNIT.validate(found.out)
    suites = JUnitXml.fromstring(found.out.encode())
    assert [suite.name for suite in suites] == [*(file for _, file, _ in PLACES), "lora-lint"]
    assert (suites.failures, suites.tests) == (2, 3)


def test_code_scanning_takes_the_findings_of_an_audit(run: Run, tree: str) -> None:
    log = json.loads(run("audit", tree, "--format", "sarif").out)
    jsonschema.validate(log, SCHEMA)
    results = log["runs"][0]["results"]
    where = [result["locations"][0]["physicalLocation"] for result in results]
    assert [
        (result["ruleId"], place["artifactLocation"]["uri"], place["region"]["startLine"])
        for result, place in zip(results, where, strict=True)
    ] == PLACES


def test_github_takes_the_findings_of_an_audit(run: Run, tree: str) -> None:
    lines = run("audit", tree, "--format", "github").out.splitlines()
    assert lines[1].startswith("::error file=tree/wrong/adapter_config.json,line=3")
