"""The command line: exit statuses, flags, what is written where, and the formats that scripts rely on."""

import codecs
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

import pytest

from lora_lint import __version__
from lora_lint.catalogue import load_rules
from lora_lint.frameworks import MARKERS
from lora_lint.reporters import FORMATS
from tests.conftest import Cli, Run, environment, interruptible

RIGHT = '{"peft_type": "LORA", "r": 16, "lora_alpha": 32}\n'
WRONG = '{"peft_type": "LORA", "r": 16, "lora_alpha": 16}\n'
FIXED = '{"peft_type": "LORA", "r": 16, "lora_alpha": 32}\n'
WARNED = '{"peft_type": "LORA", "r": 16, "lora_alpha": 32, "nonsense": 1}\n'
NOTED = "torchrun vla-scripts/finetune.py --vla_path openvla/openvla-7b --lora_rank 8\n"
BROKEN = '{"peft_type": "LORA",}\n'


@pytest.fixture
def files(here: Path) -> Path:
    texts = {"right.json": RIGHT, "wrong.json": WRONG, "warned.json": WARNED, "noted.sh": NOTED, "broken.json": BROKEN}
    for name, text in texts.items():
        (here / name).write_text(text)
    (here / "nothing.yaml").write_text("a: 1\n")
    (here / "empty").mkdir()
    return here


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["check", "right.json"], 0),
        (["check", "nothing.yaml"], 0),
        (["check", "empty"], 0),
        (["check", "wrong.json"], 1),
        (["check", "right.json", "wrong.json"], 1),
        (["check", "broken.json"], 1),
        (["check", "."], 1),
        (["check"], 1),
        ([], 1),
        (["check", "warned.json"], 0),
        (["check", "--fail-on", "warning", "warned.json"], 1),
        (["check", "--fail-on", "note", "warned.json"], 1),
        (["check", "noted.sh"], 0),
        (["check", "--fail-on", "warning", "noted.sh"], 0),
        (["check", "--fail-on", "note", "noted.sh"], 1),
        (["check", "--exit-zero", "wrong.json"], 0),
        (["check", "--exit-zero", "none.json"], 2),
        (["check", "none.json"], 2),
        (["check", "right.json", "none.json"], 2),
        (["check", "wrong.json", "none.json"], 2),
        (["check", "--require-setup", "right.json"], 0),
        (["check", "--require-setup", "nothing.yaml"], 3),
        (["check", "--require-setup", "empty"], 3),
        (["check", "--require-setup", "wrong.json"], 1),
        (["check", "--require-setup", "--exit-zero", "nothing.yaml"], 3),
        (["check", "--nonsense"], 2),
        (["check", "--format", "xml"], 2),
        (["check", "--output", "json"], 2),
        (["check", "--output", "json="], 2),
        (["check", "--output", "xml=x", "right.json"], 2),
        (["check", "--output", "json=none/x.json", "right.json"], 2),
        (["check", "--output", "json=empty", "right.json"], 2),
        (["check", "--policy", "3r"], 2),
        (["check", "--framework", "none"], 2),
        (["check", "--select", "none"], 2),
        (["check", "--ignore", "none"], 2),
        (["check", "--fail-on", "never"], 2),
        (["check", "--config", "none.toml"], 2),
        (["check", "--baseline", "none.json", "right.json"], 2),
        (["facts", "right.json"], 0),
        (["facts", "wrong.json"], 0),
        (["facts", "broken.json"], 0),
        (["facts", "none.json"], 2),
        (["facts", "--format", "sarif"], 2),
        (["explain", "alpha-not-2r"], 0),
        (["explain", "scaling"], 0),
        (["explain", "none"], 2),
        (["explain"], 2),
        (["rules"], 0),
        (["schema", "peft"], 0),
        (["schema", "pef"], 2),
        (["--version"], 0),
        (["--help"], 0),
        (["nonsense"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_exit_status_is_the_verdict(arguments: list[str], status: int, files: Path, run: Run) -> None:
    assert run(*arguments).status == status


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("file", "status"), [("right.json", 0), ("wrong.json", 1), ("none.json", 2)])
def test_the_exit_status_is_the_same_in_every_format(name: str, file: str, status: int, files: Path, run: Run) -> None:
    assert run("check", "--format", name, file).status == status


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "--policy", "3r"], "--policy: the policy is '3r'; it can be 2r, r, scale:S or fixed:N"),
        (["check", "--framework", "axolot"], "there is no framework 'axolot'; 'axolotl' was likely meant"),
        (["check", "--select", "none"], "--select: there is no rule or family 'none'"),
        (["check", "--fail-on", "never"], "--fail-on is 'never'; it can be error, warning or note"),
        (["check", "--format", "xml"], "there is no format 'xml'; there are text, json, github, gitlab, sarif, junit"),
        (["check", "--output", "json"], "--output is 'json'; it needs FORMAT=FILE"),
        (["check", "--output", "json=none/x", "right.json"], "none/x: can't be written: no such file or directory"),
        (["explain", "alpha-not-2"], "there is no rule 'alpha-not-2'; alpha-not-2r was likely meant"),
        (["explain", "none"], "there is no rule 'none'; lora-lint rules lists them"),
        (["schema", "axolot"], "there is no framework 'axolot'; axolotl was likely meant"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_misuse_is_explained_in_one_line(arguments: list[str], words: str, files: Path, run: Run) -> None:
    outcome = run(*arguments)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert outcome.err.startswith("lora-lint: ")
    assert words in outcome.err


def test_a_finding_is_one_line_with_its_place_and_the_numbers(files: Path, run: Run) -> None:
    assert run("check", "wrong.json").out.splitlines() == [
        "wrong.json:1:46: error[alpha-not-2r] scale is 1, policy 2r wants alpha 32 [unsafe fix]",
        "1 file, 1 setup, 1 site: 1 error",
        "1 finding fixable with lora-lint check --fix --unsafe-fixes, which changes training",
    ]


def test_quiet_leaves_the_findings(files: Path, run: Run) -> None:
    assert len(run("check", "-q", "wrong.json").out.splitlines()) == 1
    assert run("check", "--quiet", "right.json").out == ""


def test_verbose_says_why_files_were_left_out(files: Path, run: Run) -> None:
    (files / "node_modules").mkdir()
    (files / "run.sh").write_text("torchrun x.py --use_llm_lora $RANK\n")
    err = run("check", "-v", ".").err.splitlines()
    assert "node_modules: not your configs" in err
    assert "nothing.yaml: holds no LoRA setting" in err
    assert any(line.startswith("run.sh:1: undecided: ") for line in err)


def test_statistics_count_the_findings_of_each_rule(files: Path, run: Run) -> None:
    (files / "more.json").write_text(WRONG)
    outcome = run("check", "--statistics", ".")
    assert [line.split() for line in outcome.out.splitlines()] == [
        ["2", "alpha-not-2r"],
        ["1", "scale-fixed-by-framework"],
        ["1", "syntax-error"],
        ["1", "unknown-key"],
    ]
    assert outcome.status == 1


def test_several_reports_are_written_beside_the_one_shown(files: Path, run: Run) -> None:
    outputs = ["--output", "json=out.json", "--output", "sarif=out.sarif", "--output", "text=out=1.txt"]
    outputs += ["--output", "gitlab=out.gitlab", "--output", "junit=out.xml"]
    shown = run("check", *outputs, "wrong.json")
    assert shown.out.startswith("wrong.json:1:46: error")
    assert json.loads((files / "out.json").read_text())["diagnostics"][0]["rule"] == "alpha-not-2r"
    assert json.loads((files / "out.sarif").read_text())["version"] == "2.1.0"
    assert [issue["check_name"] for issue in json.loads((files / "out.gitlab").read_text())] == ["alpha-not-2r"]
    assert ElementTree.parse(files / "out.xml").getroot().attrib["failures"] == "1"
    assert (files / "out=1.txt").read_text() + "\n" == shown.out


def test_a_report_of_tests_fails_where_the_run_fails(files: Path, run: Run) -> None:
    for arguments, verdict in (([], "failure"), (["--exit-zero"], "failure"), (["--policy", "r"], "system-out")):
        run("check", "--output", "junit=out.xml", *arguments, "wrong.json")
        assert ElementTree.parse(files / "out.xml").getroot()[0][0][0].tag == verdict
    (files / "lowered.toml").write_text('[severity]\nalpha-not-2r = "warning"\n')
    for arguments, verdict in (([], "skipped"), (["--fail-on", "warning"], "failure")):
        run("check", "--config", "lowered.toml", "--output", "junit=out.xml", *arguments, "wrong.json")
        assert ElementTree.parse(files / "out.xml").getroot()[0][0][0].tag == verdict


def test_a_report_replaces_the_old_one_and_keeps_its_mode_and_links(files: Path, run: Run) -> None:
    (files / "real.json").write_text("x" * 100_000)
    (files / "real.json").chmod(0o640)
    (files / "link.json").symlink_to("real.json")
    run("check", "--output", "json=link.json", "wrong.json")
    assert (files / "link.json").is_symlink()
    assert json.loads((files / "real.json").read_text())["format"] == 1
    assert stat.S_IMODE((files / "real.json").stat().st_mode) == 0o640
    assert not list(files.glob(".lora-lint-*"))


def test_a_report_may_go_into_a_pipe(files: Path, cli: Cli) -> None:
    os.mkfifo(files / "pipe")
    reader = os.open(files / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert cli("check", "--output", "json=pipe", "right.json").status == 0
    assert json.loads(os.read(reader, 100_000))["format"] == 1
    assert stat.S_ISFIFO((files / "pipe").stat().st_mode)


def test_select_and_ignore_take_rules_and_families(files: Path, run: Run) -> None:
    assert run("check", "--format", "json", "--select", "schema", ".").rules == ["syntax-error", "unknown-key"]
    assert run("check", "--format", "json", "--select", "scaling", "--ignore", "alpha-not-2r", ".").rules == [
        "scale-fixed-by-framework"
    ]
    assert run("check", "--format", "json", "--ignore", "schema", "--ignore", "scaling", ".").rules == []


@pytest.mark.parametrize(
    ("policy", "status"), [("2r", 1), ("r", 0), ("scale:1", 0), ("scale:2", 1), ("fixed:16", 0), ("fixed:32", 1)]
)
def test_the_policy_decides_what_is_right(policy: str, status: int, files: Path, run: Run) -> None:
    assert run("check", "--policy", policy, "wrong.json").status == status


def test_a_framework_may_be_named(files: Path, run: Run) -> None:
    (files / "bare.yaml").write_text("lora_r: 8\nlora_alpha: 8\nbase_model: x\nadapter: lora\n")
    assert run("check", "--framework", "axolotl", "bare.yaml").status == 1
    assert run("check", "--framework", "peft", "bare.yaml").status == 0


@pytest.mark.parametrize(
    ("text", "arguments", "status", "file"),
    [
        (WRONG, [], 1, "<stdin>"),
        (RIGHT, [], 0, None),
        (WRONG, ["--stdin-filename", "a/b.json"], 1, "a/b.json"),
        ("peft_type: LORA\nr: 8\nlora_alpha: 8\n", ["--stdin-filename", "a.yaml"], 1, "a.yaml"),
        ("#!/bin/bash\n" + NOTED, ["--fail-on", "note"], 1, "<stdin>"),
        ("", [], 0, None),
        ("", ["--stdin-filename", "a.json"], 1, "a.json"),
    ],
)
def test_standard_input_is_read_by_its_name_or_its_look(
    text: str, arguments: list[str], status: int, file: str | None, run: Run
) -> None:
    outcome = run("check", "--format", "json", *arguments, "-", input=text.encode())
    found = [one["file"] for one in outcome.data["diagnostics"]]
    assert (outcome.status, found) == (status, [file] if file else [])


def test_facts_are_read_from_standard_input_as_well(run: Run) -> None:
    outcome = run("facts", "--format", "json", "-", input=WRONG.encode())
    assert [setup["file"] for setup in outcome.data["setups"]] == ["<stdin>"]


def test_a_diff_can_be_applied_and_nothing_is_written(files: Path, run: Run) -> None:
    (files / "win.json").write_bytes(b'{"r": 8,\r\n"peft_type": "LORA",\r\n"lora_alpha": 8}')
    outcome = run("check", "--diff", "--unsafe-fixes", "wrong.json", "win.json")
    assert outcome.status == 1
    assert (files / "wrong.json").read_text() == WRONG
    subprocess.run(["git", "apply", "-"], input=outcome.out.encode(), cwd=files, check=True)
    assert (files / "wrong.json").read_text() == FIXED
    assert (files / "win.json").read_bytes() == b'{"r": 8,\r\n"peft_type": "LORA",\r\n"lora_alpha": 16}'


def test_a_diff_of_nothing_is_empty(files: Path, run: Run) -> None:
    assert run("check", "--diff", "--unsafe-fixes", "right.json").out == ""
    assert run("check", "--diff", "wrong.json").out == ""


def test_fixing_keeps_mode_links_mark_and_encoding(files: Path, run: Run) -> None:
    (files / "real.json").write_bytes(codecs.BOM_UTF16_LE + WRONG.replace("\n", "\r\n").encode("utf-16-le"))
    (files / "real.json").chmod(0o754)
    (files / "link.json").symlink_to("real.json")
    outcome = run("check", "--fix", "--unsafe-fixes", "link.json")
    assert (outcome.status, outcome.err) == (0, "link.json: 1 fixed\n")
    assert (files / "link.json").is_symlink()
    assert (files / "real.json").read_bytes().decode("utf-16") == FIXED.replace("\n", "\r\n")
    assert stat.S_IMODE((files / "real.json").stat().st_mode) == 0o754


def test_fixing_touches_no_file_that_has_nothing_to_fix(files: Path, run: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in files.iterdir()}
    run("check", "--fix", ".")
    assert {path: path.stat().st_mtime_ns for path in files.iterdir()} == before


def no_room() -> None:
    """A full disk for every file: what is longer than this can't be written."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))


def test_a_fix_that_cannot_be_written_leaves_the_file_as_it_is(files: Path, cli: Cli) -> None:
    outcome = cli("check", "--fix", "--unsafe-fixes", "wrong.json", before=no_room)
    assert (outcome.status, outcome.err) == (1, "wrong.json: can't be written: file too large\n")
    assert (files / "wrong.json").read_text() == WRONG
    assert not list(files.glob(".lora-lint-*"))


@pytest.mark.parametrize("name", FORMATS)
def test_a_report_that_cannot_be_written_leaves_the_old_one(name: str, files: Path, cli: Cli) -> None:
    (files / "old").write_text("old")
    outcome = cli("check", "--output", f"{name}=old", "wrong.json", before=no_room)
    assert (outcome.status, outcome.err) == (2, "lora-lint: old: can't be written: file too large\n")
    assert (files / "old").read_text() == "old"
    assert not list(files.glob(".lora-lint-*"))


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_of(files: Path, cli: Cli) -> None:
    outcome = cli("check", "--output", "text=/dev/full", "wrong.json")
    assert (outcome.status, outcome.err) == (2, "lora-lint: /dev/full: can't be written: no space left on device\n")
    assert stat.S_ISCHR(FULL.stat().st_mode)
    with FULL.open("wb") as full:
        done = command(files, "check", "wrong.json", stdout=full)
    assert done.wait(60) == 2
    assert done.stderr is not None
    assert done.stderr.read() == b"lora-lint: the output can't be written: no space left on device\n"


def command(folder: Path, *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "lora_lint", *arguments],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(folder),
        preexec_fn=interruptible,
    )


@pytest.mark.parametrize("arguments", [*(["check", "--format", name] for name in FORMATS), ["facts"], ["rules"], []])
def test_a_reader_that_goes_away_is_no_error(arguments: list[str], here: Path) -> None:
    for number in range(50):
        (here / f"{number}.json").write_text(WRONG)
    process = command(here, *arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) in (0, 1)


def test_ctrl_c_ends_with_130_and_without_a_traceback(here: Path) -> None:
    process = command(here, "check", "-")
    while not reads_its_input(process.pid):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in out + err


def reads_its_input(process: int) -> bool:
    """Whether it waits in a pipe read, past all imports."""
    call = Path(f"/proc/{process}/syscall")
    try:
        return call.read_text().split()[:2] == ["0", "0x0"]
    except OSError:
        time.sleep(2)
        return True


CHECK_FLAGS = ["--format", "--output", "--fix", "--unsafe-fixes", "--diff", "--select", "--ignore", "--policy"]
CHECK_FLAGS += ["--framework", "--fail-on", "--exit-zero", "--config", "--baseline", "--write-baseline"]
CHECK_FLAGS += ["--stdin-filename", "--statistics", "--show-settings", "--require-setup", "--quiet", "--verbose"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], ["check", "facts", "verify", "explain", "rules", "schema", "alpha / r", "--version"]),
        (
            ["check", "--help"],
            CHECK_FLAGS,
        ),
        (["facts", "--help"], ["--format", "--framework", "--config", "jq"]),
        (["verify", "--help"], ["--base", "--merged", "--device", "--expect", "--format"]),
        (["explain", "-h"], ["lora-lint explain alpha-not-2r"]),
        (["rules", "-h"], ["family, severity"]),
        (["schema", "-h"], ["lora-lint schema axolotl"]),
    ],
    ids=lambda value: value[0],
)
def test_help_names_every_flag_and_shows_examples(arguments: list[str], words: list[str], run: Run) -> None:
    outcome = run(*arguments)
    assert outcome.status == 0
    assert [word for word in words if word not in outcome.out] == []
    assert all(len(line) <= 80 for line in outcome.out.splitlines())


def test_examples_of_the_main_help_keep_their_lines(run: Run) -> None:
    lines = run("--help").out.splitlines()
    assert sum(line.startswith("    lora-lint") for line in lines) >= 5


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version").out == f"lora-lint {__version__}\n"
    assert run("-V").out == f"lora-lint {__version__}\n"


def test_alone_it_shows_what_the_folder_holds_and_what_is_wrong(files: Path, run: Run) -> None:
    out = run().out
    assert "rank 16, alpha 16, scale 1" in out
    assert "wrong.json:1:46: error[alpha-not-2r]" in out


def test_alone_in_an_empty_folder_it_says_so(here: Path, run: Run) -> None:
    outcome = run()
    assert outcome.status == 0
    assert outcome.out.startswith("0 files, no LoRA setup found")


def test_a_page_is_explained_with_its_sources(run: Run) -> None:
    out = run("explain", "alpha-not-2r").out
    assert out.startswith(f"# alpha-not-2r\n\n{load_rules()['alpha-not-2r'].title}\n")
    assert "## Bad" in out
    assert "## Sources" in out


def test_every_rule_is_listed(run: Run) -> None:
    listed = [line.split()[0] for line in run("rules").out.splitlines()[1:]]
    assert listed == list(load_rules())


@pytest.mark.parametrize("name", MARKERS)
def test_a_framework_has_a_json_schema(name: str, run: Run) -> None:
    assert run("schema", name).data["type"] == "object"


@pytest.mark.parametrize(
    ("env", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_terminals_and_those_who_ask(env: dict[str, str], coloured: bool, files: Path, cli: Cli) -> None:
    assert ("\x1b[" in cli("check", "wrong.json", env=env).out) == coloured


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_on_a_terminal_is_wider_than_it(width: int, files: Path, cli: Cli) -> None:
    out = cli("check", ".", env={"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": str(width)}).out
    assert "-->" in out
    assert max(map(len, out.splitlines())) <= width


SKIPPED = ["node_modules/a.json", "wandb/a.json", ".hidden/a.json", ".a.json", "ignored/a.json", "build/a.json"]


def test_a_walk_passes_over_rubbish_and_what_git_ignores(here: Path, run: Run) -> None:
    for name in [*SKIPPED, "kept/a.json", "kept/deep/a.yml"]:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(WRONG)
    (here / ".gitignore").write_text("ignored/\n!kept\n")
    data = run("check", "--format", "json", ".").data
    assert sorted(one["file"] for one in data["diagnostics"]) == ["kept/a.json", "kept/deep/a.yml"]
    assert data["summary"]["skipped"] >= len(SKIPPED)


@pytest.mark.parametrize("name", SKIPPED)
def test_a_path_that_is_named_is_always_read(name: str, here: Path, run: Run) -> None:
    (here / name).parent.mkdir(parents=True, exist_ok=True)
    (here / name).write_text(WRONG)
    (here / ".gitignore").write_text("ignored/\n")
    assert run("check", name).status == 1


def test_a_file_that_is_named_twice_is_read_once(files: Path, run: Run) -> None:
    outcome = run("check", "--format", "json", "wrong.json", ".", "./wrong.json", files / "wrong.json")
    assert outcome.rules.count("alpha-not-2r") == 1


POSITION = {"line", "column", "end_line", "end_column"}


def test_the_json_of_check_has_every_key_always(files: Path, run: Run) -> None:
    data = run("check", "--format", "json", ".", "none.json").data
    assert list(data) == ["format", "diagnostics", "summary"]
    assert data["format"] == 1
    counts = {"files", "setups", "sites", "undecided", "skipped", "errors", "warnings", "notes"}
    assert data["summary"].keys() >= counts
    assert len(data["diagnostics"]) == 5
    for diagnostic in data["diagnostics"]:
        keys = {"rule", "severity", "message", "file", "tensor", "path", "url", "related", "fix"} | POSITION
        assert diagnostic.keys() >= keys
        assert diagnostic["severity"] in ("error", "warning", "note")
        assert diagnostic["url"].endswith(f"/{diagnostic['rule']}.md")


def test_the_json_of_check_is_the_one_that_was_promised(files: Path, run: Run) -> None:
    (files / "é.json").write_bytes(
        codecs.BOM_UTF8 + '{"é😀": 1, "peft_type": "LORA",\n "r": 8,\n "lora_alpha": 8}'.encode()
    )
    (found,) = (one for one in run("check", "--format", "json", "é.json").data["diagnostics"] if one["fix"])
    place = {"line": 3, "column": 16, "end_line": 3, "end_column": 17}
    assert found == {
        "rule": "alpha-not-2r",
        "severity": "error",
        "message": "scale is 1, policy 2r wants alpha 16",
        "file": "é.json",
        "tensor": None,
        **place,
        "path": ["lora_alpha"],
        "url": load_rules()["alpha-not-2r"].url,
        "related": [{"line": 2, "column": 7, "message": "rank"}],
        "fix": {"safety": "unsafe", "edits": [{**place, "text": "16"}]},
    }


@pytest.mark.parametrize(
    ("file", "text", "line", "column"),
    [
        ("a.json", BROKEN, 1, 22),
        ("a.yaml", "peft_type: LORA\nr: [1\n", 3, 1),
        ("a.py", "from peft import LoraConfig\nx = (\n", 2, 5),
    ],
)
def test_a_syntax_error_is_a_finding_with_its_place(
    file: str, text: str, line: int, column: int, here: Path, run: Run
) -> None:
    (here / file).write_text(text)
    (found,) = run("check", "--format", "json", file).data["diagnostics"]
    assert (found["rule"], found["severity"]) == ("syntax-error", "error")
    assert found["line"] == line
    assert abs(found["column"] - column) <= 1  # the place of a trailing comma moved with Python 3.13


def test_the_json_of_facts_is_the_one_that_was_promised(here: Path, run: Run) -> None:
    (here / "run.sh").write_text("#!/bin/bash\ntorchrun internvl/train/x.py \\\n  --use_llm_lora 16\n")
    (here / "broken.json").write_text('{"peft_type": "LORA",\n"r" 3}')
    assert run("facts", "--format", "json", "run.sh", "broken.json").data == {
        "format": 1,
        "setups": [
            {
                "file": "run.sh",
                "line": 2,
                "framework": "internvl",
                "recognised_by": ["--use_llm_lora"],
                "also": [],
                "kind": "training",
                "sites": [
                    {
                        "modules": ["language_model"],
                        "state": "active",
                        "method": "lora",
                        "rank": 16,
                        "alpha": 32,
                        "scale": 2.0,
                        "formula": "alpha/r",
                        "origins": {"rank": "written", "alpha": "derived"},
                        "expressions": {},
                        "at": {"rank": {"line": 3, "column": 18}, "alpha": None},
                        "unknown": [],
                    }
                ],
                "weights": None,
            }
        ],
        "unreadable": [{"file": "broken.json", "line": 2, "column": 5, "message": "not JSON: expecting ':' delimiter"}],
    }


def test_facts_over_names_have_a_scale_and_expressions(here: Path, run: Run) -> None:
    (here / "a.py").write_text(
        "from peft import LoraConfig\n\ndef f(args):\n    return LoraConfig(r=args.rank, lora_alpha=2 * args.rank)\n"
    )
    ((site,),) = (setup["sites"] for setup in run("facts", "--format", "json", "a.py").data["setups"])
    assert (site["rank"], site["alpha"], site["scale"]) == (None, None, 2.0)
    assert site["expressions"] == {"rank": "args.rank", "alpha": "2 * args.rank"}
    assert len(site["unknown"]) == 2


@pytest.mark.parametrize(
    ("text", "state", "values"),
    [
        ('{"model_type": "internvl_chat", "use_llm_lora": 0}', "off", (0, 0, None)),
        ('{"peft_type": "LOHA", "r": 8, "alpha": 8}', "not-lora", (8, 8, None)),
        ('{"peft_type": "LORA", "r": 8, "lora_alpha": null}', "active", (8, None, None)),
        ('{"peft_type": "LORA", "r": 8, "lora_alpha": 1e999}', "active", (8, None, None)),
        ('{"peft_type": "LORA", "r": 0, "lora_alpha": 8}', "active", (None, 8, None)),
        ('{"peft_type": "LORA", "r": 8, "lora_alpha": 5.5}', "active", (8, 5.5, 0.6875)),
    ],
)
def test_facts_without_a_number_are_null(
    text: str, state: str, values: tuple[float | None, ...], here: Path, run: Run
) -> None:
    (here / "config.json").write_text(text)
    ((site,),) = (setup["sites"] for setup in run("facts", "--format", "json", ".").data["setups"])
    assert (site["state"], (site["rank"], site["alpha"], site["scale"])) == (state, values)


def test_two_processes_give_the_same_bytes(files: Path, cli: Cli) -> None:
    runs = [cli("check", "--format", "json", ".", env={"PYTHONHASHSEED": seed}).out for seed in ("1", "2")]
    assert runs[0] == runs[1]


@pytest.fixture
def imported(files: Path) -> Callable[[str], set[str]]:
    def modules(file: str) -> set[str]:
        code = f"import sys; from lora_lint.cli import app\ntry: app(['check', '{file}'])\nexcept SystemExit: pass\n"
        code += "print('\\n'.join(sys.modules))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, env=environment(files), cwd=files, check=True, text=True
        )
        return set(done.stdout.split())

    return modules


def test_a_check_of_json_imports_no_more_than_it_needs(imported: Callable[[str], set[str]]) -> None:
    loaded = imported("wrong.json")
    assert "lora_lint.frameworks.peft" in loaded
    assert loaded.isdisjoint({"torch", "numpy", "yaml", "tree_sitter", "ray", "lora_lint.frameworks.axolotl"})
    assert loaded.isdisjoint({"lora_lint.update", "lora_lint.checks.tensors", "lora_lint.checks.checkpoint.agreement"})
