"""A command over the config file that it names: what the two make together, and where it is said."""

import os
from pathlib import Path

import pytest

from lora_lint.finding import Report
from lora_lint.linter import lint, read_setups
from tests.checkout import write

AXOLOTL = "base_model: m\nadapter: lora\nlora_r: 16\nlora_alpha: 32\nlora_target_linear: true\ndatasets: []\n"
TUNE = """\
model:
  _component_: torchtune.models.llama3_1.lora_llama3_1_8b
  lora_attn_modules: [q_proj]
  lora_rank: 8
  lora_alpha: {alpha}
"""
FACTORY = "stage: sft\nfinetuning_type: lora\nlora_rank: 8\ntemplate: x\nlora_target: all\n"
SWIFT = "model: m\ntuner_type: lora\nlora_rank: 16\n"
TRL = "model_name_or_path: m\nuse_peft: true\nlora_r: 16\nlora_alpha: 32\n"


pytestmark = pytest.mark.usefixtures("repository_top")


def said(report: Report) -> list[tuple[str, str, str]]:
    """File, rule and message of every finding."""
    return [(one.file, one.rule, one.message) for one in report.diagnostics]


@pytest.mark.parametrize(
    ("config", "command", "scale"),
    [
        (AXOLOTL, "axolotl train x.yaml --lora-r 64", "0.5"),
        (AXOLOTL, "axolotl train x.yaml --lora_alpha=16", "1"),
        (AXOLOTL, "accelerate launch -m axolotl.cli.train x.yaml --lora_r 64", "0.5"),
        (AXOLOTL, "axolotl train ./x.yaml --lora-r 64 --lora-alpha 64", "1"),
        (AXOLOTL, "R=64; axolotl train x.yaml --lora-r $R", "0.5"),
        (TUNE.format(alpha=16), "tune run lora --config x.yaml model.lora_rank=64", "0.25"),
        (TUNE.format(alpha="${mul:4,${model.lora_rank}}"), "tune run lora --config x.yaml model.lora_rank=64", "4"),
        (TUNE.format(alpha=16), "tune run lora --config x.yaml model.lora_alpha='${model.lora_rank}'", "1"),
        (FACTORY, "llamafactory-cli train x.yaml lora_alpha=8", "1"),
        (TRL, "trl sft --config x.yaml --lora_r 64", "0.5"),
        (SWIFT, "swift sft --config x.yaml --lora_alpha 16", "1"),
        (TRL, "accelerate launch --config_file zero3.yaml sft.py --config x.yaml --lora_r 64", "0.5"),
    ],
)
def test_the_command_goes_over_the_file(config: str, command: str, scale: str) -> None:
    write({"x.yaml": config, "run.sh": f"{command}\n", "zero3.yaml": "a: 1\n"})
    ((file, rule, message),) = said(lint(["run.sh"]))
    assert (file, rule) == ("run.sh", "alpha-not-2r")
    assert f"scale is {scale}," in message


@pytest.mark.parametrize(
    "command",
    [
        "axolotl train x.yaml --lora-r 64 --lora-alpha 128",
        "axolotl train x.yaml --lora-r 16",
        "axolotl train x.yaml --learning-rate 1e-4",
        "axolotl train x.yaml",
        "axolotl train x.yaml --adapter full --lora-r 3",
    ],
)
def test_a_command_that_fits_its_file_is_silent(command: str) -> None:
    write({"x.yaml": AXOLOTL, "run.sh": f"{command}\n"})
    report = lint(["."])
    assert said(report) == []
    assert report.summary.undecided == 0


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("axolotl train x.yaml", {"x.yaml"}),
        ("axolotl train x.yaml --learning_rate 1", {"x.yaml"}),
        ("axolotl train x.yaml --lora-r 8", {"x.yaml", "run.sh"}),
    ],
)
def test_what_only_the_file_says_is_reported_there_alone(command: str, files: set[str]) -> None:
    write({"x.yaml": AXOLOTL.replace("32", "64"), "run.sh": f"{command}\n"})
    report = lint(["."])
    assert {one.file for one in report.diagnostics} == files
    assert len(report.diagnostics) == report.summary.setups == len(files)


def test_the_finding_stands_at_the_override_and_names_the_file() -> None:
    write({"cfg/x.yaml": AXOLOTL, "run.sh": "axolotl train cfg/x.yaml \\\n  --lora-r 64\n"})
    (diagnostic,) = lint(["run.sh"]).diagnostics
    assert (diagnostic.range.start, diagnostic.range.end) == ((2, 12), (2, 14))
    assert [one.message for one in diagnostic.related] == ["rank", "lora_alpha comes from cfg/x.yaml"]
    assert diagnostic.suggestion is None


def test_an_override_that_was_written_can_be_mended() -> None:
    write({"x.yaml": AXOLOTL, "run.sh": "axolotl train x.yaml --lora-r 64 --lora-alpha 64\n"})
    (diagnostic,) = lint(["run.sh"]).diagnostics
    assert diagnostic.suggestion is not None
    assert [edit.text for edit in diagnostic.suggestion.edits] == ["128"]


@pytest.mark.parametrize(
    ("script", "config", "command"),
    [
        ("scripts/run.sh", "scripts/x.yaml", "axolotl train x.yaml"),
        ("scripts/run.sh", "cfg/x.yaml", "axolotl train cfg/x.yaml"),
        ("scripts/run.sh", "x.yaml", "axolotl train ../x.yaml"),
        ("scripts/deep/run.sh", "x.yaml", "axolotl train x.yaml"),
        ("run.sh", "app/conf/x.yaml", "python app/train.py --config-name x --config-path conf base_model=m"),
        ("run.sh", "app/conf/x.yaml", "python app/train.py --config-name=x"),
        ("run.sh", "app/x.yaml", "python -m app.train --config-name=x"),
        ("Makefile", "x.yaml", "axolotl train x.yaml"),
        ("README.md", "x.yaml", "axolotl train x.yaml"),
    ],
)
def test_the_file_is_looked_for_where_people_keep_it(script: str, config: str, command: str) -> None:
    shapes = {"Makefile": "t:\n\t{}\n", "README.md": "```bash\n{}\n```\n"}
    text = shapes.get(script, "{}\n").format(f"{command} --lora_r 64")
    write({config: AXOLOTL, script: text})
    ((file, _, message),) = said(lint([script]))
    assert file == script
    assert "scale is 0.5" in message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nothing.yaml", None),
        ("x.yaml", "a: [1\n"),
        ("x.yaml", "- 1\n"),
        ("x.yaml", AXOLOTL + "#" * 1024 * 1024),
        ("x.yaml", AXOLOTL.replace("lora_r: 16", "lora_r: {a: 1}")),
    ],
)
def test_without_a_file_that_can_be_used_the_scale_is_undecided_and_the_reason_names_it(
    name: str, text: str | None
) -> None:
    write({"run.sh": f"axolotl train {name} --lora-r 64\n", **({name: text} if text is not None else {})})
    report = lint(["run.sh"])
    assert said(report) == []
    assert [reason for _, _, reason in report.undecided] == [f"{name} may set it"]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("defaults: [base]\n", "base, which isn't here, may set it"),
        ("defaults: ../base.yaml\n", "../base.yaml, which isn't here, may set it"),
    ],
)
def test_what_is_composed_of_missing_files_is_undecided_and_the_reason_names_them(config: str, reason: str) -> None:
    write({"run.sh": "axolotl train x.yaml --lora-r 64\n", "x.yaml": config + AXOLOTL.replace("lora_alpha: 32\n", "")})
    report = lint(["run.sh"])
    assert said(report) == []
    assert [one for _, _, one in report.undecided] == [reason]


@pytest.mark.parametrize("written", ["../outside.yaml", "{outside}", "link.yaml", "folder/outside.yaml"])
def test_nothing_outside_of_the_repository_is_opened(written: str) -> None:
    outside = Path.cwd().parent / "outside.yaml"
    outside.write_text(AXOLOTL, "utf-8")
    Path("link.yaml").symlink_to(outside)
    Path("folder").symlink_to(Path.cwd().parent)
    write({"run.sh": f"axolotl train {written.format(outside=outside)} --lora-r 64\n"})
    report = lint(["run.sh"])
    outside.unlink()
    assert said(report) == []
    assert len(report.undecided) == 1


@pytest.mark.parametrize("kind", ["folder", "pipe", "unreadable"])
def test_what_is_no_file_is_passed_over(kind: str) -> None:
    write({"run.sh": "axolotl train x.yaml --lora-r 64\n"})
    if kind == "folder":
        Path("x.yaml").mkdir()
    elif kind == "pipe":
        os.mkfifo("x.yaml")
    else:
        Path("x.yaml").write_bytes(b"lora_r: \xff\n")
    assert len(lint(["run.sh"]).undecided) == 1


def test_a_template_in_the_file_that_the_command_fills_is_settled() -> None:
    write({"x.yaml": AXOLOTL.replace("16", "???"), "run.sh": "axolotl train x.yaml --lora_r 64\n"})
    ((_, _, message),) = said(lint(["run.sh"]))
    assert "scale is 0.5" in message


def test_a_file_that_only_its_command_explains_is_read_with_it() -> None:
    write({"x.yaml": "model: m\ntuner_type: lora\n", "run.sh": "swift sft x.yaml\n"})
    (setup,) = read_setups(["."])
    assert (setup.framework, setup.sites[0].scale, setup.document.base) == ("ms_swift", 4.0, "x.yaml")


def test_an_override_whose_value_is_unknown_is_undecided() -> None:
    write({"x.yaml": AXOLOTL, "run.sh": "axolotl train x.yaml --lora-r $1\n"})
    report = lint(["run.sh"])
    assert said(report) == []
    assert [reason for _, _, reason in report.undecided] == ["$1 is known only when the script runs"]


def test_an_ignore_comment_covers_the_whole_command() -> None:
    comment = "# lora-lint: ignore[alpha-not-2r] because\n"
    write({"x.yaml": AXOLOTL, "run.sh": f"{comment}axolotl train x.yaml \\\n --lora-r 64\n"})
    assert said(lint(["run.sh"])) == []


def test_many_commands_look_for_their_files_in_bounded_time() -> None:
    write({"run.sh": "".join(f"axolotl train x{i}.yaml --lora-r 64\n" for i in range(3_000))})
    assert len(lint(["run.sh"]).undecided) == 3_000
