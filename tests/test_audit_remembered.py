"""Folders that are as a store holds them: they aren't listed, and what is told of them is the same."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from lora_lint.audit.records import Held
from lora_lint.audit.remembered import AT_ONCE
from lora_lint.audit.run import Audit, Tally
from lora_lint.audit.store import Store
from lora_lint.audit.summary import Summary
from lora_lint.reporters.audit import json_summary
from lora_lint.settings import Settings
from tests.audits import adapter, config, in_place, remembered, settle


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that are listed."""
    found: list[str] = []
    scandir = os.scandir

    def told(folder: str) -> object:
        if str(folder).startswith("root"):
            found.append(folder)
        return scandir(folder)

    monkeypatch.setattr("lora_lint.files.os.scandir", told)
    return found


def test_a_folder_that_is_as_it_was_is_not_even_listed(here: Path, listed: list[str]) -> None:
    def again() -> list[str]:
        listed.clear()
        remembered()
        return sorted(listed)

    for name in ("a", "b/x", "b/y"):
        adapter(f"root/{name}")
    settle("root")
    assert again() == ["root", "root/a", "root/b", "root/b/x", "root/b/y"]
    assert again() == []
    adapter("root/b/z")
    assert again() == ["root/b", "root/b/z"]
    # What changed within the last seconds may change again at the same time.
    in_place(Path("root/a/adapter_config.json"), config(8, 8))
    assert again() == ["root/a", "root/b", "root/b/z"]
    settle("root/b")
    assert again() == ["root/b", "root/b/x", "root/b/y", "root/b/z"]
    assert again() == []
    assert remembered()[1] == 4


def test_a_folder_that_could_not_be_listed_is_asked_for_again(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter("root/a")
    adapter("root/b")
    settle("root")
    scandir = os.scandir

    def denied(folder: str) -> object:
        if folder == os.path.join("root", "b"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    with monkeypatch.context() as patch:
        patch.setattr("lora_lint.files.os.scandir", denied)
        assert len(remembered()[0]) == 1
    assert len(remembered()[0]) == 2


def test_links_are_followed_anew(here: Path) -> None:
    adapter("elsewhere")
    adapter("other", 8, 8)
    Path("root/a").mkdir(parents=True)
    os.symlink("../../elsewhere/adapter_config.json", "root/a/adapter_config.json")
    settle("root")
    assert [row.holds for row in remembered()[0]] == [True]
    os.rename("other/adapter_config.json", "elsewhere/adapter_config.json")
    assert [row.holds for row in remembered()[0]] == [False]


def test_a_folder_of_many_files_is_gone_through_in_parts(here: Path) -> None:
    for number in range(AT_ONCE + 40):
        adapter(f"root/{number:03}")
        os.rename(f"root/{number:03}/adapter_config.json", f"root/{number:03}.json")
        os.rmdir(f"root/{number:03}")
    settle("root")
    first, kept = remembered()
    assert (len(first), kept) == (AT_ONCE + 40, 0)
    assert remembered() == (first, AT_ONCE + 40)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("store", [None, "F.db"])
def test_numbers_are_the_same_where_files_are_told_together(workers: int, store: str | None, here: Path) -> None:
    for number in range(60):
        adapter(f"root/{number}", 8, 16 >> number % 4, base_model_name_or_path=f"org/{number % 3}")
    adapter("root/docs/example/tests")
    Path("root/broken").mkdir()
    Path("root/broken/adapter_config.json").write_text("{", "utf-8")
    settle("root")
    each = Summary()
    for rows in Audit(["root"], Settings(), 0):
        each.add(rows)
    for _ in range(2):
        whole = Audit(["root"], Settings(), workers, store)
        together, found = Summary(), []
        for rows, times in whole.counted(together=True):
            together.add(rows, times)
            found.append(times)
        assert json_summary(together, Tally()) == json_summary(each, Tally())
        assert together.worst == each.worst
        assert (whole.tally.files, sum(found)) == (62, 62)
        assert max(found) > 1


def test_each_folder_is_asked_for_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        adapter(f"root/{number}/x/y")
        adapter(f"root/{number}/z")
    settle("root")
    remembered()
    asked: list[str] = []
    listed = Store.listed

    def told(self: Store, scope: int, folders: Sequence[str]) -> dict[str, list[Held]]:
        asked.extend(folders)
        return listed(self, scope, folders)

    monkeypatch.setattr(Store, "listed", told)
    assert remembered()[1] == 40
    assert len(asked) == len(set(asked)) == 1 + 4 * 20
