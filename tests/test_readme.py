"""The README says what is true: its tables, its picture and its commands."""

import re
import subprocess

import pytest

from tests.readme import PICTURE, README, ROOT, frameworks_list, picture, rules_table, with_part

TEXT = README.read_text("utf-8")


def test_the_table_of_rules_is_the_catalogue() -> None:
    assert with_part(TEXT, "rules", rules_table()) == TEXT, "run python -m tests.readme"


def test_the_list_of_frameworks_is_what_there_is() -> None:
    assert with_part(TEXT, "frameworks", frameworks_list()) == TEXT, "run python -m tests.readme"


def test_the_picture_shows_what_check_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    ids = re.compile(r"terminal-\d+-")
    assert ids.sub("", picture()) == ids.sub("", PICTURE.read_text("utf-8")), "run python -m tests.readme"


@pytest.mark.parametrize("command", ["run", "test"])
def test_ci_finds_the_commands(command: str) -> None:
    found = subprocess.run(["bash", ".ci/command", command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.startswith("python3.11 -m venv .venv && ")
    assert found.stdout.strip() in TEXT


def test_every_link_into_the_repository_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
