"""Settings files, their errors, what may be silenced in a file, and the baseline."""

import json
from pathlib import Path

import pytest

from lora_lint.linter import lint
from lora_lint.settings import Settings, SettingsError, find
from tests.conftest import Run

WRONG = '{"peft_type": "LORA", "r": 16, "lora_alpha": 16}\n'
"""Scale 1: an error under the policy 2r, right under r."""

COMMAND = "deepspeed llava/train/train_mem.py --lora_enable True \\\n  --lora_r 128 \\\n  --lora_alpha 128\n"
CALL = "from peft import LoraConfig\n\n{above}c = LoraConfig(\n    r=16,\n    lora_alpha=16,{beside}\n)\n"


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("files", "nearest"),
    [
        (["lora-lint.toml"], "lora-lint.toml"),
        (["pyproject.toml"], "pyproject.toml"),
        (["pyproject.toml", "lora-lint.toml"], "lora-lint.toml"),
        (["lora-lint.toml", "a/pyproject.toml"], "a/pyproject.toml"),
        (["lora-lint.toml", "a/b/c/lora-lint.toml"], "lora-lint.toml"),
        (["../lora-lint.toml"], None),
        ([], None),
    ],
)
def test_the_nearest_file_upwards_counts_within_the_repository(
    files: list[str], nearest: str | None, here: Path
) -> None:
    for name in files:
        put(here / name, "[tool.lora-lint]\n" if name.endswith("pyproject.toml") else "")
    (here / "a" / "b").mkdir(parents=True, exist_ok=True)
    assert find(str(here / "a" / "b")) == (str(here / nearest) if nearest else None)


def test_a_pyproject_without_our_table_is_passed_over(here: Path) -> None:
    put(here / "lora-lint.toml", "")
    put(here / "a" / "pyproject.toml", "[tool.ruff]\n")
    assert find(str(here / "a")) == str(here / "lora-lint.toml")


def test_the_settings_of_the_first_path_hold_for_the_run(here: Path, run: Run) -> None:
    put(here / "one" / "lora-lint.toml", 'policy = "r"')
    put(here / "one" / "a.json", WRONG)
    put(here / "two" / "a.json", WRONG)
    assert run("check", "one", "two").status == 0
    assert run("check", "two", "one").status == 1


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('polcy = "r"', 1, "polcy: there is no such setting; policy was likely meant"),
        ("\n\nsomething = 1", 3, "something: there is no such setting"),
        ('\npolicy = "3r"', 2, "policy: the policy is '3r'; it can be 2r, r, scale:S or fixed:N"),
        ('policy = "scale:-1"', 1, "policy: the policy is 'scale:-1'; it can be 2r, r, scale:S or fixed:N"),
        ("policy = 3", 1, "policy: input should be a valid string"),
        ('framework = "pft"', 1, "framework: there is no framework 'pft'"),
        ('framework = "axolot"', 1, "framework: there is no framework 'axolot'; 'axolotl' was likely meant"),
        ('fail-on = "never"', 1, "fail-on: input should be 'note', 'warning' or 'error'"),
        (
            'select = [\n  "scalng",\n]',
            2,
            "select.0: there is no rule or family 'scalng'; 'scaling' was likely meant",
        ),
        (
            'ignore = ["schema", "alpha-not-2"]',
            1,
            "ignore.1: there is no rule or family 'alpha-not-2'; 'alpha-not-2r' was likely meant",
        ),
        (
            '[severity]\nalpha-not-2r = "bad"',
            2,
            "severity.alpha-not-2r: input should be 'error', 'warning', 'note' or 'off'",
        ),
        (
            '[severity]\nscaling = "off"\nunknown-kye = "off"',
            3,
            "severity.unknown-kye: there is no rule or family 'unknown-kye'; 'unknown-key' was likely meant",
        ),
        (
            "[rules.extreme-scale]\nfloor = 1\nceling = 3",
            3,
            "rules.extreme-scale.celing: extreme-scale has no option 'celing'; it has floor, ceiling",
        ),
        ('[rules.extreme-scale]\nceiling = "x"', 2, "rules.extreme-scale.ceiling: it is 'x'; it needs a float"),
        ("[rules.extreme-scale]\nceiling = true", 2, "rules.extreme-scale.ceiling: it is True; it needs a float"),
        (
            "[rules.extreme-scales]\nceiling = 3",
            1,
            "rules.extreme-scales: there is no rule or family 'extreme-scales'; 'extreme-scale' was likely meant",
        ),
        (
            '[[overrides]]\npaths = ["x"]\nframwork = "peft"',
            3,
            "overrides.0.framwork: there is no such setting; framework was likely meant",
        ),
        ('[[overrides]]\npaths = ["x"]\n[[overrides]]\npolicy = "r"', 3, "overrides.1.paths: field required"),
        ('[[overrides]]\npaths = ["!"]', 2, "overrides.0.paths.0: '!' is no pattern: "),
        ('exclude = ["a", "!"]', 1, "exclude.1: '!' is no pattern: "),
        ("max-file-size = 0", 1, "max-file-size: input should be greater than 0"),
        ("policy = \n", 1, "Invalid value"),
        ("a = 1\n\nb = 1 1", 3, "Expected newline"),
    ],
)
def test_an_error_has_its_line_and_a_suggestion(text: str, line: int, words: str, here: Path, run: Run) -> None:
    put(here / "lora-lint.toml", text)
    outcome = run("check", ".")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(f"lora-lint: {here}/lora-lint.toml:{line}: {words}")


def test_a_line_in_pyproject_is_the_line_of_that_file(here: Path, run: Run) -> None:
    put(here / "pyproject.toml", '[project]\nname = "x"\n\n[tool.lora-lint]\npolicy = "r"\nselct = []\n')
    words = "pyproject.toml:6: selct: there is no such setting; select was likely meant"
    assert words in run("check", ".").err


def test_every_fault_is_told_at_once(here: Path, run: Run) -> None:
    put(here / "lora-lint.toml", 'polcy = "r"\nfail-on = 3\n')
    assert run("check", ".").err.count("lora-lint.toml:") == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"\xff", "can't decode byte 0xff"), (b"a = " + b"[" * 5000, "nested too deep"), (b"a = " + b"9" * 5000, "limit")],
)
def test_a_settings_file_that_cannot_be_read_is_an_error(data: bytes, words: str, here: Path) -> None:
    path = here / "lora-lint.toml"
    path.write_bytes(data)
    with pytest.raises(SettingsError, match=words):
        Settings.load(str(path))


def test_a_byte_order_mark_does_no_harm(here: Path) -> None:
    (here / "lora-lint.toml").write_bytes(b'\xef\xbb\xbfpolicy = "r"')
    assert Settings.load(str(here / "lora-lint.toml")).policy == "r"


@pytest.mark.parametrize(
    ("settings", "arguments", "found"),
    [
        ("", [], ["error alpha-not-2r"]),
        ('policy = "r"', [], []),
        ('policy = "r"', ["--policy", "2r"], ["error alpha-not-2r"]),
        ('policy = "scale:1"', [], []),
        ('policy = "fixed:16"', [], []),
        ('policy = "fixed:32"', [], ["error alpha-not-2r"]),
        ('select = ["schema"]', [], []),
        ('select = ["scaling"]', [], ["error alpha-not-2r"]),
        ('select = ["schema"]', ["--select", "alpha-not-2r"], ["error alpha-not-2r"]),
        ('ignore = ["alpha-not-2r"]', [], []),
        ('ignore = ["scaling"]', [], []),
        ("", ["--ignore", "scaling"], []),
        ("", ["--ignore", "schema,alpha-not-2r"], []),
        ('severity.alpha-not-2r = "warning"', [], ["warning alpha-not-2r"]),
        ('severity.scaling = "note"', [], ["note alpha-not-2r"]),
        ('severity.scaling = "off"', [], []),
        ('severity.scaling = "off"\nseverity.alpha-not-2r = "note"', [], ["note alpha-not-2r"]),
        ('framework = "axolotl"', [], []),
        ('exclude = ["*.json"]', [], []),
        ('exclude = ["*", "!deep"]', [], []),
        ("max-file-size = 10", [], []),
    ],
)
def test_a_setting_changes_what_is_found(
    settings: str, arguments: list[str], found: list[str], here: Path, run: Run
) -> None:
    put(here / "lora-lint.toml", settings)
    put(here / "deep" / "a.json", WRONG)
    diagnostics = run("check", "--format", "json", *arguments, ".").data["diagnostics"]
    assert [f"{one['severity']} {one['rule']}" for one in diagnostics] == found


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        ([], ["a/x.json", "b/c/x.json", "b/x.json"]),
        (['paths = ["b/**"]\npolicy = "r"'], ["a/x.json"]),
        (['paths = ["b"]\npolicy = "r"'], ["a/x.json"]),
        (['paths = ["b/*.json"]\nignore = ["alpha-not-2r"]'], ["a/x.json", "b/c/x.json"]),
        (['paths = ["x.json"]\nignore = ["scaling"]'], []),
        (['paths = ["b/**"]\npolicy = "r"', 'paths = ["b/c/**"]\npolicy = "2r"'], ["a/x.json", "b/c/x.json"]),
        (['paths = ["a/**", "b/c/**"]\nseverity.alpha-not-2r = "off"'], ["b/x.json"]),
        (['paths = ["a/**"]\nframework = "axolotl"'], ["b/c/x.json", "b/x.json"]),
    ],
)
def test_an_override_holds_for_its_paths_and_the_last_one_wins(
    overrides: list[str], found: list[str], here: Path, run: Run
) -> None:
    put(here / "lora-lint.toml", "".join(f"[[overrides]]\n{text}\n" for text in overrides))
    for name in ("a/x.json", "b/x.json", "b/c/x.json"):
        put(here / name, WRONG)
    diagnostics = run("check", "--format", "json", ".").data["diagnostics"]
    assert sorted(one["file"] for one in diagnostics) == found


def test_the_command_line_wins_over_overrides(here: Path, run: Run) -> None:
    put(here / "lora-lint.toml", '[[overrides]]\npaths = ["*"]\npolicy = "r"\n')
    put(here / "a.json", WRONG)
    assert run("check", "a.json").status == 0
    assert run("check", "--policy", "2r", "a.json").status == 1


def test_paths_are_matched_from_the_folder_of_the_settings(
    here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(here / "lora-lint.toml", 'exclude = ["/a/skip.json"]\n[[overrides]]\npaths = ["a/x.json"]\npolicy = "r"\n')
    put(here / "a" / "x.json", WRONG)
    put(here / "a" / "skip.json", WRONG)
    monkeypatch.chdir(here / "a")
    assert run("check", ".").status == 0
    assert run("check", str(here)).status == 0


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", ["extreme-scale"]),
        ("ceiling = 64", []),
        ("ceiling = 64.5\nfloor = 0", []),
        ("ceiling = 31", ["extreme-scale"]),
    ],
)
def test_a_rule_has_options(options: str, found: list[str], here: Path, run: Run) -> None:
    put(here / "lora-lint.toml", f'policy = "scale:32"\n[rules.extreme-scale]\n{options}\n')
    put(here / "a.json", '{"peft_type": "LORA", "r": 8, "lora_alpha": 256}')
    assert run("check", "--format", "json", ".").rules == found


def test_show_settings_says_where_each_comes_from(here: Path, run: Run) -> None:
    path = put(here / "lora-lint.toml", 'policy = "r"\nfail-on = "warning"\n')
    lines = run("check", "--show-settings", "--policy", "scale:4", "--select", "scaling").out.splitlines()
    assert "policy = scale:4  (--policy)" in lines
    assert f"fail-on = warning  ({path})" in lines
    assert "select = ['scaling']  (--select)" in lines
    assert "exclude = []  (default)" in lines


def test_a_settings_file_may_be_named(here: Path, run: Run) -> None:
    put(here / "lora-lint.toml", 'policy = "2r"')
    put(here / "other.toml", 'policy = "r"')
    put(here / "a.json", WRONG)
    assert run("check", "--config", "other.toml", "a.json").status == 0
    assert run("check", "--config", "none.toml", "a.json").status == 2


SHELL_ABOVE = f"# lora-lint: ignore[alpha-not-2r] because the recipe says so\n{COMMAND}"
YAML = "base_model: m\nadapter: lora\nlora_r: 16\n{above}lora_alpha: 16{beside}\n"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.yaml", YAML.format(above="", beside="  # lora-lint: ignore[alpha-not-2r] because of X")),
        ("a.yaml", YAML.format(above="# lora-lint: ignore[alpha-not-2r]\n", beside="")),
        ("a.yaml", YAML.format(above="#lora-lint:ignore[ alpha-not-2r , extreme-scale ]\n", beside="")),
        ("a.yaml", "# lora-lint: ignore-file[alpha-not-2r]\n" + YAML.format(above="", beside="")),
        ("a.yaml", YAML.format(above="", beside="") + "# lora-lint: ignore-file[alpha-not-2r]\n"),
        ("a.sh", SHELL_ABOVE),
        ("a.sh", COMMAND.replace("128\n", "128 # lora-lint: ignore[alpha-not-2r]\n")),
        ("a.py", CALL.format(above="", beside="  # lora-lint: ignore[alpha-not-2r]")),
        ("a.py", CALL.format(above="# lora-lint: ignore[alpha-not-2r]\n", beside="")),
    ],
)
def test_a_comment_silences_a_finding(file: str, text: str, here: Path, run: Run) -> None:
    put(here / file, text)
    outcome = run("check", file)
    assert "alpha-not-2r" not in outcome.out
    assert "1 suppressed" in outcome.out
    assert outcome.status == 0


@pytest.mark.parametrize(
    "text",
    [
        YAML.format(above="# lora-lint: ignore[unknown-key]\n", beside=""),
        YAML.format(above="# lora-lint: ignore\n", beside=""),
        YAML.format(above="# lora-lint: ignore[]\n", beside=""),
        YAML.format(above="# lora-lint: ignore[alpha-not-2r]\n\n", beside=""),
        "# lora-lint: ignore[alpha-not-2r]\n" + YAML.format(above="", beside=""),
        YAML.format(above="", beside="\n# lora-lint: ignore[alpha-not-2r]"),
    ],
)
def test_a_comment_elsewhere_or_of_another_rule_does_not(text: str, here: Path, run: Run) -> None:
    put(here / "a.yaml", text)
    assert "alpha-not-2r" in run("check", "--format", "json", "a.yaml").rules


@pytest.mark.parametrize(
    ("comment", "found"),
    [
        ("# lora-lint: ignore[alpha-not-2r]", []),
        ("# lora-lint: ignore[extreme-scale]", ["unused-ignore"]),
        ("# lora-lint: ignore[alpha-not-2q]", ["unknown-ignore"]),
        ("# lora-lint: ignore[alpha-not-2r, extreme-scale]", ["unused-ignore"]),
        ("# lora-lint: ignore-file[extreme-scale]", ["unused-ignore"]),
        ("# lora-lint: ignore-file[nothing]", ["unknown-ignore"]),
    ],
)
def test_a_comment_that_does_nothing_is_reported_at_its_place(
    comment: str, found: list[str], here: Path, run: Run
) -> None:
    put(here / "a.yaml", YAML.format(above=f"{comment}\n", beside=""))
    diagnostics = run("check", "--format", "json", "a.yaml").data["diagnostics"]
    late = [one for one in diagnostics if one["rule"].endswith("-ignore")]
    assert [one["rule"] for one in late] == found
    assert all((one["line"], one["column"], one["end_line"]) == (4, 1, 4) for one in late)


def test_a_comment_is_not_called_unused_when_its_rule_was_not_run(here: Path, run: Run) -> None:
    put(here / "a.yaml", YAML.format(above="# lora-lint: ignore[unknown-key]\n", beside=""))
    assert run("check", "--format", "json", "--ignore", "unknown-key", "a.yaml").rules == ["alpha-not-2r"]
    assert run("check", "--format", "json", "--select", "scaling,suppression", "a.yaml").rules == ["alpha-not-2r"]


def test_json_has_no_comments(here: Path, run: Run) -> None:
    put(here / "a.json", WRONG.replace("{", '{"_note": "# lora-lint: ignore-file[alpha-not-2r]", '))
    assert run("check", "--format", "json", "a.json").rules == ["alpha-not-2r"]


BASELINED = "base_model: m\nadapter: lora\nlora_r: 16\nlora_alpha: 16\n"


@pytest.mark.parametrize(
    ("text", "remaining"),
    [
        (BASELINED, []),
        ("# moved\n\n\n" + BASELINED, []),
        (BASELINED.replace("16\n", "32\n"), []),
        (BASELINED.replace("lora_alpha: 16", "lora_alpha: 8  # another value"), []),
        (BASELINED.replace("lora_alpha: 16", "lora_alpha: 32"), []),
        (BASELINED + "lora_rr: 3\n", ["unknown-key"]),
        (BASELINED + "---\n" + BASELINED, ["alpha-not-2r"]),
    ],
)
def test_a_baseline_holds_findings_by_rule_file_and_key(text: str, remaining: list[str], here: Path, run: Run) -> None:
    put(here / "a.yaml", BASELINED)
    written = run("check", "--write-baseline", "known.json", ".")
    assert (written.status, written.out, written.err) == (0, "", "lora-lint: 1 findings written to known.json\n")
    put(here / "a.yaml", text)
    outcome = run("check", "--baseline", "known.json", "--format", "json", ".")
    assert outcome.rules == remaining
    assert outcome.data["summary"]["errors"] + outcome.data["summary"]["warnings"] == len(remaining)


def test_a_baseline_holds_no_line_and_no_value(here: Path, run: Run) -> None:
    put(here / "conf" / "a.yaml", BASELINED)
    run("check", "--write-baseline", "known.json", ".")
    assert json.loads((here / "known.json").read_text()) == {
        "format": 1,
        "findings": [{"rule": "alpha-not-2r", "file": "conf/a.yaml", "path": ["lora_alpha"]}],
    }


def test_a_baseline_is_found_from_anywhere(here: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    put(here / "lora-lint.toml", 'baseline = "ci/known.json"')
    put(here / "conf" / "a.yaml", BASELINED)
    (here / "ci").mkdir()
    assert run("check", "--write-baseline", "ci/known.json", ".").status == 0
    assert run("check", ".").status == 0
    monkeypatch.chdir(here / "conf")
    assert run("check", "a.yaml").status == 0


def test_a_finding_in_another_file_is_not_in_the_baseline(here: Path, run: Run) -> None:
    put(here / "a.yaml", BASELINED)
    run("check", "--write-baseline", "known.json", ".")
    put(here / "b.yaml", BASELINED)
    diagnostics = run("check", "--baseline", "known.json", "--format", "json", ".").data["diagnostics"]
    assert [one["file"] for one in diagnostics] == ["b.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "[" * 100_000,
        '{"format": 2, "findings": []}',
        '{"format": 1, "findings": 3}',
        '{"format": 1, "findings": [{}]}',
        '{"format": 1, "findings": [{"rule": "x", "file": "y", "path": [[]]}]}',
    ],
)
def test_what_is_no_baseline_is_misuse(text: str, here: Path, run: Run) -> None:
    put(here / "a.yaml", BASELINED)
    put(here / "known.txt", text)
    outcome = run("check", "--baseline", "known.txt", "a.yaml")
    assert outcome.status == 2
    assert outcome.err.startswith("lora-lint: known.txt: ")


def test_settings_of_the_api_are_those_of_the_file(here: Path) -> None:
    put(here / "a.json", WRONG)
    assert [one.rule for one in lint([str(here / "a.json")]).diagnostics] == ["alpha-not-2r"]
    assert lint([str(here / "a.json")], Settings(policy="r")).diagnostics == []
