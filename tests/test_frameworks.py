"""What each framework makes of a file: rank, alpha, scale, state and origins, as its own code computes them."""

from pathlib import Path
from typing import NamedTuple

import pytest

from lora_lint.facts import Fact, Setup, Site, UnknownFact
from lora_lint.frameworks import MARKERS, framework
from lora_lint.linter import read_setups

FIXTURES = Path(__file__).parent / "fixtures"


class Row(NamedTuple):
    """A site as the tables write it; `?` is unknown, and w, d, c, u are written, default, derived and unknown."""

    modules: str
    rank: float | str
    alpha: float | str | None
    scale: float | str
    origins: str
    state: str = "active"
    method: str = "lora"


def setups(name: str) -> list[Setup]:
    return list(read_setups([str(FIXTURES / name)]))


def row(site: Site) -> Row:
    try:
        scale: float | str = site.scale
    except UnknownFact:
        scale = "?"
    assert site.alpha is not None
    initials = {"written": "w", "default": "d", "derived": "c", "unknown": "u"}
    return Row(
        " ".join(site.modules),
        _value(site.rank),
        site.alpha.value if site.alpha.known else "?",
        scale,
        initials[site.rank.origin] + initials[site.alpha.origin],
        site.state,
        site.method,
    )


def _value(fact: Fact[float]) -> float | str:
    return fact.value if fact.known else "?"


PEFT = {
    "peft/written": [Row("q_proj v_proj", 16, 32, 2, "ww")],
    "peft/alpha-default.json": [Row("all-linear", 64, 8, 0.125, "wd")],
    "peft/both-default.json": [Row("q_proj", 8, 8, 1, "dd")],
    "peft/rslora.json": [Row("q_proj", 64, 16, 2, "ww")],
    "peft/dora.json": [Row("q_proj", 8, 12, 1.5, "ww", method="dora")],
    "peft/alpha-null.json": [Row("q_proj", 8, None, "?", "ww")],
    "peft/loha.json": [Row("*", 8, 8, 1, "ww", "not-lora", "loha")],
    "peft/adalora.json": [Row("*", 12, 16, 16 / 12, "ww", "not-lora", "adalora")],
    "peft/prefix-tuning.json": [Row("*", "?", "?", "?", "uu", "not-lora", "prefix_tuning")],
    "peft/without-type.json": [Row("query", 8, 16, 2, "ww")],
    "peft/patterns.json": [
        Row("q_proj", 4, 16, 4, "ww"),
        Row("k_proj", 8, 32, 4, "ww"),
        Row("v_proj", 8, 16, 2, "ww"),
        Row("layers.0.v_proj", 2, 16, 8, "ww"),
    ],
    "peft/pattern-order.json": [
        Row("layers.0.q_proj", 4, 64, 16, "ww"),
        Row("layers.1.q_proj", 2, 16, 8, "ww"),
        Row("layers.10.q_proj", 4, 16, 4, "ww"),
        Row("q_proj", 4, 16, 4, "ww"),
        Row("0.q_proj", 4, 64, 16, "ww"),
    ],
    "peft/pattern-regex.json": [
        Row("q_proj", 8, 16, 2, "ww"),
        Row(r"layers\.[0-3]\..*_proj", 32, 64, 2, "ww"),
    ],
    "peft/training.yaml": [Row("*", 16, 64, 4, "ww")],
    "peft/train.py": [
        Row("q_proj", 16, 32, 2, "ww"),
        Row("all-linear", 8, 8, 1, "dd"),
        Row("*", 16, 32, 2, "ww"),
        Row("*", "?", "?", 2, "uu"),
        Row("*", 12, 32, 32 / 12, "ww", "not-lora", "adalora"),
    ],
}

INTERNVL = {
    "internvl/finetune.sh": [
        Row("vision_model", 0, 0, "?", "wc", "off"),
        Row("language_model", 16, 32, 2, "wc"),
    ],
    "internvl/backbone.sh": [
        Row("vision_model", 8, 16, 2, "wc"),
        Row("language_model", "?", "?", "?", "uu"),
    ],
    "internvl/stage2.sh": [
        Row("vision_model", 16, 32, 2, "wc"),
        Row("qllama", 16, 32, 2, "wc"),
        Row("vision_model", 8, 16, 2, "wc"),
        Row("qllama", 16, 16, 1, "wc"),  # the trainer doubles the backbone's rank for both
        Row("qllama", 16, 0, 0, "wc"),
    ],
    "internvl/config.json": [
        Row("vision_model", 0, 0, "?", "wc", "off"),
        Row("language_model", 128, 256, 2, "wc"),
    ],
    "internvl/stage2.json": [Row("vision_model", 8, 16, 2, "wc"), Row("qllama", 16, 32, 2, "wc")],
    "internvl/negative.json": [Row("language_model", "?", "?", "?", "uu")],
    "internvl/wrap.py": [
        Row("language_model", 32, 64, 2, "ww"),
        Row("vision_model", 128, 256, 2, "dd"),
        Row("qllama", 64, 64, 1, "ww"),
    ],
}

AXOLOTL = {
    "axolotl/lora.yml": [Row("all-linear", 32, 16, 0.5, "ww")],
    "axolotl/qlora.yml": [Row("q_proj v_proj", 16, 32, 2, "ww")],
    "axolotl/off.yml": [Row("*", 16, 16, 1, "ww", "off")],
    "axolotl/no-alpha.yml": [Row("*", 16, None, "?", "wd")],
    "axolotl/no-rank.yml": [Row("*", "?", 16, "?", "uw")],
    "axolotl/rslora.yml": [Row("*", 256, 32, 2, "ww")],
    "axolotl/dora-patterns.yml": [
        Row("q_proj k_proj", 8, 16, 2, "ww", method="dora"),
        Row("q_proj", 64, 16, 0.25, "ww", method="dora"),
        Row("k_proj", 8, 8, 1, "ww", method="dora"),
    ],
    "axolotl/other-adapter.yml": [Row("*", 16, 32, 2, "ww", "not-lora")],
    "axolotl/train.sh": [Row("*", 32, "?", "?", "wu")],
}

LLAMA_FACTORY = {
    "llama_factory/sft.yaml": [Row("q_proj v_proj", 16, 32, 2, "wc")],
    "llama_factory/written.yaml": [Row("all", 8, 64, 8, "ww")],
    "llama_factory/defaults.yaml": [Row("all", 8, 16, 2, "dc")],
    "llama_factory/alpha-zero.yaml": [Row("all", 32, 64, 2, "wc"), Row("all", 32, 64, 2, "wc")],
    "llama_factory/off.yaml": [
        Row("all", 8, 16, 2, "wc", "off"),
        Row("all", 8, 16, 2, "wc", "off"),
        Row("all", 8, 16, 2, "wc", "not-lora"),
    ],
    "llama_factory/rslora.yaml": [Row("all", 16, 32, 8, "wc", method="dora")],
    "llama_factory/board.yaml": [Row("all", 16, 16, 1, "ww")],
    "llama_factory/v1.yaml": [Row("all", 32, 16, 0.5, "wd")],
    "llama_factory/train.sh": [Row("all", 16, 16, 1, "ww"), Row("all", 16, "?", "?", "wu")],
}

LLAVA = {
    "llava/finetune_lora.sh": [Row("all-linear", 128, 256, 2, "ww")],
    "llava/defaults.sh": [Row("all-linear", 64, 16, 0.25, "dd")],
    "llava/off.sh": [Row("all-linear", 128, 256, 2, "ww", "off")],
    "llava/variable.sh": [Row("all-linear", 64, 128, 2, "ww"), Row("all-linear", "?", 16, "?", "uw")],
}

TABLES = {"peft": PEFT, "internvl": INTERNVL, "axolotl": AXOLOTL, "llama_factory": LLAMA_FACTORY, "llava": LLAVA}
ROWS = [(name, file, rows) for name, table in TABLES.items() for file, rows in table.items()]


@pytest.mark.parametrize(("name", "file", "rows"), ROWS, ids=[file for _, file, _ in ROWS])
def test_a_framework_gives_rank_alpha_and_scale(name: str, file: str, rows: list[Row]) -> None:
    found = setups(file)
    assert {setup.framework for setup in found} == {name}
    assert [row(site) for setup in found for site in setup.sites] == rows


@pytest.mark.parametrize(
    "file",
    [
        "axolotl/full.yml",
        "llama_factory/infer.yaml",
        "others/vllm.sh",
        "others/config.json",
        "others/package.json",
        "others/lasso.yaml",
        "others/albumentations.py",
        "others/notes.yaml",
    ],
)
def test_what_only_looks_like_a_setup_is_none(file: str) -> None:
    assert setups(file) == []


@pytest.mark.parametrize(
    "file", ["others/mlx", "others/adapterhub", "others/mlx-vlm.json", "others/two-keys.json", "others/lasso.yaml"]
)
def test_the_other_schemas_of_adapters_are_not_taken_for_pefts(file: str) -> None:
    assert "peft" not in {setup.framework for setup in setups(file)}


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("peft/written", "checkpoint"),
        ("peft/training.yaml", "training"),
        ("peft/train.py", "source"),
        ("internvl/config.json", "checkpoint"),
        ("internvl/finetune.sh", "training"),
        ("internvl/wrap.py", "source"),
        ("axolotl/lora.yml", "training"),
        ("llava/defaults.sh", "training"),
    ],
)
def test_a_setup_has_the_kind_of_its_file(file: str, kind: str) -> None:
    assert {setup.kind for setup in setups(file)} == {kind}


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("peft/written", 1),
        ("peft/training.yaml", 4),
        ("internvl/finetune.sh", 5),
        ("internvl/stage2.sh", 1),
        ("llama_factory/sft.yaml", 1),
    ],
)
def test_a_setup_begins_where_its_document_does(file: str, line: int) -> None:
    document = setups(file)[0].document
    assert document.source.position(document.span.start).line == line


@pytest.mark.parametrize("name", MARKERS)
def test_a_framework_declares_what_it_reads(name: str) -> None:
    module = framework(name)
    assert (module.NAME, module.DOCS.startswith("https://"), bool(module.TITLE)) == (name, True, True)
