"""An audit in the formats that CI reads: the same findings as its rows, valid for readers that are not ours."""

import json
from pathlib import Path

import jsonschema
import pytest
from junitparser import JUnitXml

from lora_lint.audit.findings import Findings
from lora_lint.audit.rows import Found, Row
from lora_lint.finding import Severity
from lora_lint.reporters import render
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


@pytest.mark.parametrize("on_screen", ["text", "json", "gitlab"])
def test_outputs_are_what_the_formats_are(on_screen: str, run: Run, tree: str) -> None:
    formats = ("text", "json", "github", "gitlab", "sarif", "junit")
    each = {name: run("audit", tree, "--format", name).out for name in formats}
    outputs = [word for name in formats for word in ("--output", f"{name}=out.{name}")]
    done = run("audit", tree, "--format", on_screen, *outputs)
    assert (done.status, done.out) == (1, each[on_screen])
    written = {name: Path(f"out.{name}").read_text("utf-8") for name in formats}
    assert {name: text.rstrip("\n") for name, text in written.items()} == {
        name: text.rstrip("\n") for name, text in each.items()
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "json"], "--output is 'json'; it needs FORMAT=FILE"),
        (["--output", "xml=x"], "there is no format 'xml'; there are text, json, github, gitlab, sarif, junit"),
        (["--output", "json=none/x"], "none/x: can't be written: no such file or directory"),
        (["--output", "sarif=none/x"], "none/x: can't be written: no such file or directory"),
        (["--table", "none/x.csv"], "none/x.csv: can't be written: no such file or directory"),
        (["--output", "json=/dev/full"], "/dev/full: can't be written: no space left on device"),
        (["--select", "none"], "--select: there is no rule or family 'none'; lora-lint rules lists them"),
        (["--ignore", "none"], "--ignore: there is no rule or family 'none'; lora-lint rules lists them"),
    ],
)
def test_what_can_t_be_done_is_misuse(arguments: list[str], message: str, run: Run, tree: str) -> None:
    done = run("audit", tree, "--workers", "0", *arguments)
    assert (done.status, done.err.splitlines()[-1]) == (2, f"lora-lint: {message}")


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    ("arguments", "settings", "rules"),
    [
        ([], "", ["syntax-error", "alpha-not-2r"]),
        (["--select", "scaling"], "", ["alpha-not-2r"]),
        (["--select", "schema,scaling", "--ignore", "alpha-not-2r"], "", ["syntax-error"]),
        (["--ignore", "alpha-not-2r", "--ignore", "schema"], "", []),
        ([], 'select = ["schema"]', ["syntax-error"]),
        (["--select", "scaling"], 'select = ["schema"]', ["alpha-not-2r"]),
        (["--ignore", "scaling"], 'ignore = ["schema"]', []),
    ],
)
def test_rules_are_chosen_as_check_does(
    arguments: list[str], settings: str, rules: list[str], workers: str, run: Run, tree: str
) -> None:
    write({"lora-lint.toml": settings})
    done = run("audit", tree, "--format", "json", "--workers", workers, "--store", "s.db", *arguments)
    assert [found["rule"] for row in done.data["rows"] for found in row["findings"]] == rules
    assert sorted(run("check", tree, "--format", "json", *arguments).rules) == sorted(rules)
    assert done.status == (1 if rules else 0)


@pytest.mark.parametrize(
    ("root", "url"),
    [
        ("s3://bucket/x/", "s3://bucket/x/a/adapter_config.json"),
        ("hf://org", "hf://org/a/adapter_config.json"),
        ("hf://org/name@v1", "hf://org/name@v1/a/adapter_config.json"),
    ],
)
def test_what_is_behind_a_url_keeps_it(root: str, url: str, repository_top: Path) -> None:
    found = Findings([root], "2r", Severity.ERROR)
    found.add([Row("a", "a/adapter_config.json", 3, findings=(Found("alpha-not-2r", "error", "off"),))])
    report = found.report
    (issue,) = json.loads(render(report, "gitlab"))
    log = json.loads(render(report, "sarif"))
    jsonschema.validate(log, SCHEMA)
    (result,) = log["runs"][0]["results"]
    suite, _ = JUnitXml.fromstring(render(report, "junit").encode())
    assert issue["location"]["path"] == url
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": url}
    assert suite.name == url
