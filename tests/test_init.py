"""`lora-lint init` and `lora-lint rules`: what is proposed, what is written, and what is found."""

import json
from pathlib import Path

import pytest
import yaml

from lora_lint.proposal import Proposal, Used, propose
from lora_lint.settings import Settings
from tests.conftest import Run

LORA = "base_model: org/model\nadapter: lora\nlora_r: {}\nlora_alpha: {}\n"


def site(rank: float, alpha: float, *folder: str) -> Used:
    return Used(folder, f"{alpha / rank:g}", rank, alpha)


TWO, ONE, HALF = site(16, 32), site(16, 16), site(32, 16)


@pytest.mark.parametrize(
    ("sites", "policy", "kept"),
    [
        ([], "2r", 0),
        ([TWO], "2r", 1),
        ([TWO, ONE, ONE], "r", 2),
        ([HALF, HALF, TWO], "scale:0.5", 2),
        ([site(8, 16), site(16, 16), site(32, 16), site(64, 16)], "fixed:16", 4),
        ([site(8, 16), site(8, 16), site(8, 16)], "2r", 3),
    ],
)
def test_the_policy_is_what_most_sites_keep(sites: list[Used], policy: str, kept: int) -> None:
    proposal = propose(sites)
    assert (proposal.policy, proposal.kept, proposal.total) == (policy, kept, len(sites))


def test_a_folder_with_a_habit_of_its_own_gets_an_override_and_a_mixed_one_does_not() -> None:
    habit = [site(16, 16, "configs", "image") for _ in range(3)]
    mixed = [site(16, 16, "mixed"), site(16, 16, "mixed"), site(16, 32, "mixed")]
    proposal = propose([*[site(16, 32, "configs", "text") for _ in range(6)], *habit, *mixed])
    assert proposal == Proposal("2r", 7, 12, (("2", 7), ("1", 5)), (("configs/image", "r", 3),))


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", ".").replace("_in_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def test_settings_are_shown_and_written_only_when_that_is_wanted(run: Run, here: Path) -> None:
    write(here, a__yaml=LORA.format(16, 16), b__yaml=LORA.format(8, 8), c__yaml=LORA.format(8, 16))
    shown = run("init")
    assert shown.status == 0
    assert "3 sites with a chosen alpha: scale 1 in 2, scale 2 in 1\npolicy r holds in 2 of them\n" in shown.out
    assert "nothing was written" in shown.out
    assert sorted(path.name for path in here.iterdir()) == [".git", "a.yaml", "b.yaml", "c.yaml"]
    assert run("init", "--yes").status == 0
    assert Settings.load(str(here / "lora-lint.toml")).policy == "r"
    assert yaml.safe_load((here / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"] == [
        {"id": "lora-lint"}
    ]
    again = run("init", "--yes")
    assert (again.status, "holds settings of lora-lint already" in again.err) == (2, True)


def test_what_is_there_already_stays_and_gets_one_part_more(run: Run, here: Path) -> None:
    hooks = (
        "repos:\n  # ours\n  - repo: https://x\n    rev: v1\n    hooks:\n      - id: a  # b\n\nci: {autofix: false}\n"
    )
    write(here, pyproject__toml='[project]\nname = "x"  # y\n', **{"__pre-commit-config__yaml": hooks})
    write(here, _in_deep_in_a__yaml="", __github_in_dependabot__yml="version: 2\n")
    for number in range(4):
        write(here / "image", **{f"{number}__yaml": LORA.format(8, 8)})
        write(here / "text", **{f"{number}__yaml": LORA.format(8, 16), f"{number}0__yaml": LORA.format(4, 8)})
    assert run("init", "--yes", "--baseline").status == 0
    settings = (here / "pyproject.toml").read_text("utf-8")
    assert settings.startswith('[project]\nname = "x"  # y\n\n[tool.lora-lint]\npolicy = "2r"\n')
    loaded = Settings.load(str(here / "pyproject.toml"))
    assert [(one.paths, one.policy) for one in loaded.overrides] == [(["image/**"], "r")]
    config = (here / ".pre-commit-config.yaml").read_text("utf-8")
    assert config.startswith(hooks.partition("\n\nci")[0])
    assert config.endswith("\nci: {autofix: false}\n")
    assert [one["repo"] for one in yaml.safe_load(config)["repos"]] == [
        "https://x",
        "https://github.com/lora-lint/lora-lint",
    ]
    assert "lora-lint/lora-lint@v" in (here / ".github" / "workflows" / "lora-lint.yml").read_text("utf-8")
    assert run("check").status == 0


def test_a_baseline_of_today_lets_only_new_findings_through(run: Run, here: Path) -> None:
    write(here, **{f"{number}__yaml": LORA.format(8, 16) for number in range(5)}, old__yaml=LORA.format(8, 8))
    assert run("check").status == 1
    assert run("init", "--yes", "--baseline").status == 0
    assert run("check").status == 0
    write(here, new__yaml=LORA.format(8, 8))
    assert run("check").status == 1


@pytest.mark.parametrize(
    "config", ["repos: []\n", "repos:\n- repo: x\n  rev: v\n  hooks: []\n", "repos: [{repo: x}]\n", "- 1\n", "{"]
)
def test_a_hook_file_that_is_written_otherwise_is_left_alone(config: str, run: Run, here: Path) -> None:
    write(here, **{"__pre-commit-config__yaml": config})
    assert run("init", "--yes").status == 0
    assert (here / ".pre-commit-config.yaml").read_text("utf-8") == config


def test_rules_count_what_they_find_here(run: Run, here: Path) -> None:
    write(here, a__yaml=LORA.format(8, 8), b__yaml=LORA.format(8, 4))
    row = next(line for line in run("rules").out.splitlines() if line.startswith("alpha-not-2r "))
    assert row.split()[:5] == ["alpha-not-2r", "scaling", "error", "unsafe", "2"]
    listed = json.loads(run("rules", "--format", "json").out)
    assert {one["rule"]: one["findings"] for one in listed["rules"] if one["findings"]} == {"alpha-not-2r": 2}
    assert run("rules", "--format", "xml").status == 2
