"""Configs composed of several files: what they make together, and the file in which it is told.

Merging and packages follow Hydra 1.3 (hydra/_internal/defaults_list.py, hydra/core/default_element.py) and NeMo-RL
(nemo_rl/utils/config.py:53-96 at 7ea279ab).
"""

import os
from pathlib import Path

import pytest

from lora_lint.finding import Report
from lora_lint.hydra.composition import composed
from lora_lint.linter import lint, read_setups
from lora_lint.nearby import read
from tests.checkout import write
from tests.conftest import Run

TRL = "model_name_or_path: m\ndataset_name: d\nuse_peft: true\nlora_r: 8\nlora_alpha: 16\n"
EXPERIMENT = "# @package _global_\ndefaults:\n- override /g: b\n"
LORA = "lora_rank: 16\nlora_alpha: 16\n"


pytestmark = pytest.mark.usefixtures("repository_top")


def said(report: Report) -> list[tuple[str, int, str]]:
    """File, line and scale of every finding about a scale."""
    return [(one.file, one.range.start.line, one.message.partition(",")[0]) for one in report.diagnostics]


@pytest.mark.parametrize(
    ("files", "data"),
    [
        ({"c": "defaults: [a]\nx: 1\n", "a": "x: 2\ny: 3\n"}, {"x": 1, "y": 3}),
        ({"c": "defaults: [_self_, a]\nx: 1\n", "a": "x: 2\ny: 3\n"}, {"x": 2, "y": 3}),
        ({"c": "defaults: [a]\nx: ???\n", "a": "x: 2\n"}, {"x": 2}),
        ({"c": "defaults: [a]\nx: {b: 1}\n", "a": "x: {a: 2, b: 3}\n"}, {"x": {"a": 2, "b": 1}}),
        ({"c": "defaults: [a]\nx: [1]\n", "a": "x: [2, 3]\n"}, {"x": [1]}),
        ({"c": "defaults: [a]\nx: null\n", "a": "x: {y: 1}\n"}, {"x": None}),
        ({"c": "defaults:\n- g: a\n", "g/a": "x: 1\n"}, {"g": {"x": 1}}),
        ({"c": "defaults:\n- g: null\n", "g/a": "x: 1\n"}, {}),
        ({"c": "defaults:\n- g: [a, b]\n", "g/a": "x: 1\ny: 1\n", "g/b": "x: 2\n"}, {"g": {"x": 2, "y": 1}}),
        ({"c": "defaults:\n- g@p.q: a\n", "g/a": "x: 1\n"}, {"p": {"q": {"x": 1}}}),
        ({"c": "defaults:\n- g@_global_: a\n", "g/a": "x: 1\n"}, {"x": 1}),
        ({"c": "defaults:\n- g: a\n", "g/a": "# @package _global_\nx: 1\n"}, {"x": 1}),
        ({"c": "defaults:\n- g: a\n", "g/a": "\n# @package p.q\nx: 1\n"}, {"p": {"q": {"x": 1}}}),
        ({"c": "defaults:\n- g@p: a\n", "g/a": "# @package _global_\nx: 1\n"}, {"p": {"x": 1}}),
        ({"c": "defaults:\n- g: a\n", "g/a": "defaults: [b]\nx: 1\n", "g/b": "x: 2\ny: 2\n"}, {"g": {"x": 1, "y": 2}}),
        ({"c": "defaults:\n- g: a\n", "g/a": "defaults:\n- h: b\n", "g/h/b": "x: 2\n"}, {"g": {"h": {"x": 2}}}),
        ({"c": "defaults:\n- g: a\n", "g/a": "defaults:\n- /h: b\n", "h/b": "x: 2\n"}, {"g": {"h": {"x": 2}}}),
        (
            {"c": "defaults:\n- g: a\n", "g/a": "defaults:\n- /h@_global_.h: b\n", "h/b": "x: 2\n"},
            {"g": {}, "h": {"x": 2}},
        ),
        ({"c": "defaults:\n- g: a\n", "g/a": "defaults:\n- /h@_here_: b\n", "h/b": "x: 2\n"}, {"g": {"x": 2}}),
        (
            {"c": "defaults:\n- g: a\n- e: x\n", "g/a": "x: 1\n", "g/b": "x: 2\n", "e/x": EXPERIMENT},
            {"g": {"x": 2}},
        ),
        ({"c": "defaults:\n- optional g: none\n- _self_\nx: 1\n"}, {"x": 1}),
        ({"c": "defaults:\n- g: a\n- h: ${g}\n", "g/a": "x: 1\n", "h/a": "y: 1\n"}, {"g": {"x": 1}, "h": {"y": 1}}),
    ],
)
def test_configs_are_merged_as_hydra_does(files: dict[str, str], data: dict[str, object]) -> None:
    write({f"{name}.yaml": text for name, text in files.items()})
    primary = read(os.path.abspath("c.yaml"), os.getcwd())
    assert primary is not None
    whole = composed(primary, os.getcwd(), os.getcwd())
    assert (whole.merged.data, whole.merged.open, whole.reason) == (data, {}, "")


TREE = {
    "conf/config.yaml": "defaults:\n- model: small\n- peft: lora\n- _self_\nseed: 1\n",
    "conf/model/small.yaml": "name: m\nlora_rank: 16\n",
    "conf/peft/lora.yaml": "# @package model\nlora_alpha: 16\n",
}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, [("conf/config.yaml", 1, "scale is 1")]),
        ({"conf/config.yaml": TREE["conf/config.yaml"] + "model:\n  lora_alpha: 8\n"},
         [("conf/config.yaml", 7, "scale is 0.5")]),
        ({"conf/config.yaml": TREE["conf/config.yaml"] + "model:\n  lora_rank: 8\n"}, []),
        ({"conf/config.yaml": TREE["conf/config.yaml"] + "model: {lora_rank: 2}\n"},
         [("conf/config.yaml", 6, "scale is 8")]),
        ({"conf/model/small.yaml": LORA, "conf/peft/lora.yaml": "# @package model\ndropout: 0.1\n"},
         [("conf/model/small.yaml", 2, "scale is 1")]),
        ({"conf/model/small.yaml": LORA}, [("conf/config.yaml", 1, "scale is 1")]),
        ({"conf/model/small.yaml": "lora_rank: 8\nlora_alpha: 8\n"}, []),
    ],
)  # fmt: skip
def test_one_scale_is_told_once_where_it_is_made(changes: dict[str, str], found: list[tuple[str, int, str]]) -> None:
    write({**TREE, **changes})
    report = lint(["conf"])
    assert said(report) == found
    assert (report.summary.sites, report.summary.undecided) == (1, 0)


def test_the_finding_names_the_files_and_lines_that_it_comes_from() -> None:
    write(TREE)
    (diagnostic,) = lint(["conf/config.yaml"]).diagnostics
    assert [one.message for one in diagnostic.related] == [
        "lora_alpha comes from peft/lora.yaml:2",
        "lora_rank comes from model/small.yaml:2",
    ]
    assert diagnostic.suggestion is None


MEGATRON = "policy:\n  megatron_cfg:\n    peft:\n      enabled: {}\n      dim: 8\n      alpha: 32\n"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"base.yaml": MEGATRON.format("false"), "x/r.yaml": "defaults: ../base.yaml\npolicy:\n  megatron_cfg:\n"
          "    peft: {enabled: true}\n"}, [("x/r.yaml", 1, "scale is 4")]),
        ({"base.yaml": MEGATRON.format("true"), "r.yaml": "defaults: base.yaml\nlr: 1\n"},
         [("base.yaml", 6, "scale is 4")]),
        ({"base.yaml": MEGATRON.format("true"), "r.yaml": "defaults: base.yaml\npolicy:\n  megatron_cfg:\n"
          "    peft:\n      dim: 64\n"}, [("base.yaml", 6, "scale is 4"), ("r.yaml", 5, "scale is 0.5")]),
        ({"base.yaml": MEGATRON.format("true"), "mid.yaml": "defaults: base.yaml\n", "r.yaml": "defaults: [mid.yaml]\n"
          "policy:\n  megatron_cfg:\n    peft:\n      _override_: true\n      enabled: true\n      dim: 4\n"
          "      alpha: 4\n"}, [("base.yaml", 6, "scale is 4"), ("r.yaml", 8, "scale is 1")]),
    ],
)  # fmt: skip
def test_a_config_of_nemo_rl_goes_over_those_it_inherits(
    files: dict[str, str], found: list[tuple[str, int, str]]
) -> None:
    write(files)
    report = lint(["."])
    assert said(report) == found
    assert report.summary.undecided == 0


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"c.yaml": "defaults: [_self_, base]\n" + LORA}, "base, which isn't here, may set it"),
        ({"c.yaml": "defaults:\n- peft: ???\n- _self_\npeft:\n  lora_rank: 8\n  lora_dropout: 0.1\n"},
         "alpha isn't given, and whose default it has isn't known"),
        ({"c.yaml": "defaults:\n- override /peft: x\n- _self_\nmodel:\n  lora_rank: 8\n  fsdp_config: {}\n"
          "  partial_pretrain: x\n"}, "/peft is overridden, but no defaults list here has it"),
        ({"c.yaml": "defaults: [sft_trainer, _self_]\nmodel:\n  lora_rank: 8\n  fsdp_config: {}\n"
          "  partial_pretrain: x\n"}, "sft_trainer, which isn't here, may set it"),
        ({"c.yaml": "defaults: [c]\nmodel:\n  lora_rank: 8\n  fsdp_config: {}\n  partial_pretrain: x\n"},
         "its defaults lead to more than 200 configs, or deeper than 20"),
    ],
)  # fmt: skip
def test_what_is_not_here_leaves_the_scale_undecided(files: dict[str, str], reason: str) -> None:
    write(files)
    report = lint(["."])
    assert said(report) == []
    assert [one for _, _, one in report.undecided] == [reason.removeprefix("/")]


def test_what_is_missing_beneath_what_is_written_changes_nothing() -> None:
    write({"c.yaml": "defaults: [schema, _self_]\n" + LORA + "lora_dropout: 0.1\n"})
    assert said(lint(["."])) == [("c.yaml", 3, "scale is 1")]


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ("defaults:\n- peft: null\n", [("conf/peft/lora.yaml", 2, "scale is 1")]),
        ("defaults:\n- peft: null\n- _self_\npeft: {lora_alpha: 32}\n", []),
        ("defaults:\n- peft: other\n- _self_\npeft: {lora_alpha: 64}\n", [("conf/peft/lora.yaml", 1, "scale is 4")]),
        ("defaults:\n- model: null\n", [("conf/peft/lora.yaml", 2, "scale is 1")]),
    ],
)
def test_a_config_that_a_command_may_choose_is_told_as_if_it_were_chosen(
    config: str, found: list[tuple[str, int, str]]
) -> None:
    write({"conf/config.yaml": config, "conf/peft/lora.yaml": LORA, "conf/peft/other.yaml": "a: 1\n"})
    assert said(lint(["conf"])) == found


def test_an_experiment_is_told_over_the_config_that_it_changes() -> None:
    write({
        **TREE,
        "conf/experiment/big.yaml": EXPERIMENT.replace("/g: b", "/model: big") + "model:\n  lora_alpha: 64\n",
        "conf/model/big.yaml": "lora_rank: 64\n",
    })  # fmt: skip
    assert said(lint(["conf/experiment"])) == [("conf/experiment/big.yaml", 5, "scale is 1")]


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("python train.py --config-name config --config-path conf model.lora_rank=64", "scale is 0.25"),
        ("python train.py --config-name=config --config-path=conf model.lora_alpha=64", "scale is 4"),
        ("python train.py --config-name config --config-path conf model=big", "scale is 0.25"),
        ("python train.py --config-name config --config-path conf model=big model.lora_alpha=64", "scale is 1"),
        ("python train.py --config-name config --config-path conf +experiment=e", "scale is 0.5"),
        ("python train.py --config-name config --config-path conf seed=3", ""),
    ],
)
def test_a_command_goes_over_the_composition(command: str, found: str) -> None:
    write({
        **TREE,
        "conf/model/big.yaml": "name: b\nlora_rank: 64\n",
        "conf/experiment/e.yaml": "# @package _global_\nmodel: {lora_rank: 32}\n",
        "run.sh": command + "\n",
    })  # fmt: skip
    assert [message for _, _, message in said(lint(["run.sh"]))] == ([found] if found else [])


@pytest.mark.parametrize("written", ["../../outside", "link", "/folder/outside"])
def test_no_config_outside_of_the_repository_is_opened(written: str) -> None:
    outside = Path.cwd().parent / "outside.yaml"
    outside.write_text(LORA, "utf-8")
    write({"conf/config.yaml": f"defaults: [_self_, {written}@_global_]\nlora_rank: 8\nlora_alpha: 16\n"})
    Path("conf/link.yaml").symlink_to(outside)
    Path("conf/folder").symlink_to(Path.cwd().parent)
    report = lint(["conf/config.yaml"])
    outside.unlink()
    assert said(report) == []
    assert report.summary.undecided == 1


def test_standard_input_is_undecided_where_its_defaults_may_set_it() -> None:
    from lora_lint.reading import read_bytes

    text = b"defaults: [a]\nmodel:\n  lora_rank: 8\n  fsdp_config: {}\n  partial_pretrain: x\n"
    (setup,) = read_bytes("c.yaml", text).setups
    assert setup.sites[0].undecided == "a config under defaults may set it"


def test_many_fragments_and_primaries_are_read_in_bounded_work() -> None:
    write({f"conf/config{i}.yaml": "defaults:\n- peft: p1\n- _self_\n" for i in range(60)})
    write({f"conf/peft/p{i}.yaml": LORA for i in range(100)})
    assert len(list(read_setups(["conf"]))) == 100


@pytest.mark.parametrize(
    ("main", "command", "found"),
    [
        ('config_path="../conf", config_name="config"', "python src/train.py model.lora_rank=64", "scale is 0.25"),
        ('"../conf", "config", version_base=None', "python src/train.py model.lora_rank=64", "scale is 0.25"),
        ('version_base=None, config_path="../conf", config_name="config.yaml"',
         "torchrun --nproc 8 -m src.train model.lora_rank=64", "scale is 0.25"),
        ('config_path="../conf", config_name="other"', "python src/train.py model.lora_rank=64", ""),
        ('config_path="pkg://conf", config_name="config"', "python src/train.py model.lora_rank=64", ""),
        ('config_path=PATH, config_name="config"', "python src/train.py model.lora_rank=64", ""),
    ],
)  # fmt: skip
def test_a_command_goes_over_the_config_that_its_script_names(main: str, command: str, found: str) -> None:
    write({**TREE, "src/train.py": f"import hydra\n\n@hydra.main({main})\ndef main(cfg): ...\n", "run.sh": command})
    assert [message for _, _, message in said(lint(["run.sh"]))] == ([found] if found else [])


def test_what_the_primary_config_overrides_can_be_mended_there(run: Run) -> None:
    config = TREE["conf/config.yaml"] + "model:\n  lora_alpha: 8\n"
    write({**TREE, "conf/config.yaml": config})
    run("check", "--fix", "--unsafe-fixes", "conf")
    assert Path("conf/config.yaml").read_text("utf-8") == config.replace("lora_alpha: 8", "lora_alpha: 32")
    assert said(lint(["conf"])) == []


@pytest.mark.parametrize(("line", "count"), [(6, 0), (2, 1)])
def test_an_ignore_comment_covers_its_line_alone(line: int, count: int) -> None:
    lines = (TREE["conf/config.yaml"] + "model:\n  lora_alpha: 8\n").splitlines()
    lines.insert(line, "  # lora-lint: ignore[alpha-not-2r] because")
    write({**TREE, "conf/config.yaml": "\n".join(lines)})
    assert len([one for one in lint(["conf"]).diagnostics if one.rule == "alpha-not-2r"]) == count


def test_a_word_that_another_file_gives_is_found_there() -> None:
    write({"c.yaml": f"defaults: [t]\n{TRL}", "t.yaml": "gradient_checkpointing_kwargs:\n  use_reentrant: false\n"})
    (found,) = read_setups(["c.yaml"])
    fact = found.training.use_reentrant
    assert fact is not None
    assert found.document.comes_from is not None
    assert (fact.value, found.document.comes_from(fact.path)) == (False, "t.yaml:2")


@pytest.mark.parametrize("word", ["use_reentrant", "learning_rate"])
def test_a_word_that_a_missing_file_may_give_is_unknown(word: str) -> None:
    write({"c.yaml": f"defaults: [t]\n{TRL}"})
    (found,) = read_setups(["c.yaml"])
    fact = getattr(found.training, word)
    assert (fact.known, fact.reason) == (False, "t, which isn't here, may set it")


def test_a_key_is_told_by_the_file_that_writes_it() -> None:
    write({"c.yaml": "defaults: [t]\npeft_type: LORA\nr: 8\nlora_alpha: 16\n", "t.yaml": "use_dora: true\n"})
    (found,) = read_setups(["c.yaml"])
    assert [one.path for one in found.written_keys()] == [("peft_type",), ("r",), ("lora_alpha",)]
