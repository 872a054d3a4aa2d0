"""Git mode: what is read, what is reported, and what git is asked."""

import os
import subprocess
from pathlib import Path

import pytest

from lora_lint.git import GitError
from lora_lint.linter import lint
from tests.conftest import Run
from tests.pages import commit

LORA = "base_model: org/model\nadapter: lora\nlora_r: {}\nlora_alpha: {}\nseed: {}\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose two configs break the policy, one of them below a folder."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "one.yaml").write_text(LORA.format(16, 16, 1), "utf-8")
    (tmp_path / "configs" / "two.yaml").write_text(LORA.format(16, 32, 1), "utf-8")
    commit(tmp_path)
    return tmp_path


def findings(folder: Path, since: str = "HEAD") -> list[tuple[str, str, int]]:
    report = lint([str(folder)], since=since)
    assert not report.failures
    return [(one.rule, os.path.relpath(one.file, folder), one.range.start.line) for one in report.diagnostics]


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("one.yaml", LORA.format(16, 16, 1), []),
        ("one.yaml", LORA.format(16, 16, 2), []),
        ("one.yaml", LORA.format(16, 8, 1), [("rank-changed-alone", "one.yaml", 4)]),
        ("one.yaml", LORA.format(32, 32, 1), [("alpha-not-2r", "one.yaml", 4)]),
        ("configs/two.yaml", LORA.format(32, 32, 1), [("rank-changed-alone", "configs/two.yaml", 3)]),
        ("configs/two.yaml", LORA.format(32, 64, 1), []),
        ("configs/two.yaml", "# a comment\n" + LORA.format(32, 32, 1), [("rank-changed-alone", "configs/two.yaml", 4)]),
        ("new.yaml", LORA.format(16, 16, 1), [("alpha-not-2r", "new.yaml", 4)]),
        ("new.yaml", LORA.format(16, 32, 1), []),
        ("one.yaml", LORA.format(16, 16, "["), [("syntax-error", "one.yaml", 6)]),
    ],
)
def test_only_what_the_change_touched_is_reported(
    repository: Path, file: str, text: str, expected: list[tuple[str, str, int]]
) -> None:
    (repository / file).write_text(text, "utf-8")
    assert findings(repository) == expected


def test_a_finding_that_a_change_elsewhere_in_the_file_brings_is_reported(repository: Path) -> None:
    (repository / "configs" / "two.yaml").write_text(LORA.format(16, 32, 1) + "peft_use_rslora: true\n", "utf-8")
    assert findings(repository) == [("rslora-scale", "configs/two.yaml", 4)]


def test_an_alpha_that_was_taken_out_is_compared_by_its_default(repository: Path) -> None:
    path = repository / "train.sh"
    command = "swift sft --model a --tuner_type lora --lora_rank 16 \\\n  --lora_alpha 32 \\\n  --seed 1\n"
    path.write_text(command, "utf-8")
    commit(repository)
    path.write_text(command.replace("  --lora_alpha 32 \\\n", ""), "utf-8")
    assert findings(repository) == []
    path.write_text(command.replace("  --lora_alpha 32 \\\n", "").replace("16", "8"), "utf-8")
    assert findings(repository) == [("rank-changed-alone", "train.sh", 1)]


def test_before_the_first_commit_everything_is_new(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "one.yaml").write_text(LORA.format(16, 16, 1), "utf-8")
    assert findings(tmp_path) == [("alpha-not-2r", "one.yaml", 4)]
    subprocess.run(["git", "-C", str(tmp_path), "add", "-A"], check=True)
    assert findings(tmp_path) == [("alpha-not-2r", "one.yaml", 4)]


def test_a_renamed_file_is_compared_with_what_it_was(repository: Path) -> None:
    (repository / "one.yaml").rename(repository / "renamed.yaml")
    commit(repository)
    assert findings(repository, "HEAD~1") == []
    (repository / "renamed.yaml").write_text(LORA.format(8, 16, 1), "utf-8")
    assert findings(repository, "HEAD~1") == []


def test_a_folder_of_the_repository_can_be_named(repository: Path) -> None:
    (repository / "one.yaml").write_text(LORA.format(16, 8, 1), "utf-8")
    assert findings(repository / "configs") == []


@pytest.mark.parametrize("revision", ["nowhere", "--output=x", "HEAD:one.yaml"])
def test_what_is_no_revision_is_said(repository: Path, revision: str) -> None:
    with pytest.raises(GitError):
        lint([str(repository)], since=revision)
    assert not (repository / "x").exists()


def test_the_command_fails_with_gits_own_words(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "a.yaml").write_text(LORA.format(16, 16, 1), "utf-8")
    outcome = run("check", ".", "--since", "HEAD")
    assert outcome.status == 2
    assert "not a git repository" in outcome.err


def test_nothing_that_the_repository_configures_is_run(repository: Path) -> None:
    trap = repository / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {repository}/sprung\n", "utf-8")
    trap.chmod(0o755)
    config = repository / ".git" / "config"
    config.write_text(
        config.read_text("utf-8")
        + f"[core]\n\tfsmonitor = {trap}\n\thooksPath = {repository}\n[diff]\n\texternal = {trap}\n"
        + f'[diff "trap"]\n\ttextconv = {trap}\n\tcommand = {trap}\n',
        "utf-8",
    )
    (repository / ".gitattributes").write_text("*.yaml diff=trap\n", "utf-8")
    (repository / "one.yaml").write_text(LORA.format(16, 8, 1), "utf-8")
    assert [rule for rule, _, _ in findings(repository)] == ["rank-changed-alone"]
    assert not (repository / "sprung").exists()
