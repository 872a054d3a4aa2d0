"""`lora-lint verify` as people and programs see it: the table, JSON, the picture, the bar, and the exit status."""

import io
import json
import math
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from lora_lint.cli.progress import progress
from lora_lint.reference import ModuleVerdict, pick_devices
from lora_lint.reporters import verify as report
from tests.conftest import Run
from tests.test_verify import saved

CONFIG = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q", "v"]}


def adapter(folder: Path, tensors: dict[str, Tensor] | None = None, **more: Any) -> tuple[Path, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    given = {
        f"base_model.model.layers.{layer}.{name}.lora_{side}.weight": torch.randn(shape, generator=generator)
        for layer in range(3)
        for name in "qv"
        for side, shape in (("A", (8, 16)), ("B", (24, 8)))
    }
    given |= tensors or {}
    saved(given, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | more), "utf-8")
    return folder, given


def merge(root: Path, tensors: dict[str, Tensor], scales: dict[str, float]) -> list[str]:
    """A base and what it becomes; 2 where `scales` says nothing else. The options that name them."""
    base: dict[str, Tensor] = {}
    merged: dict[str, Tensor] = {}
    for name, a in tensors.items():
        if ".lora_A." in name:
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            weight = torch.randn(24, 16, generator=torch.Generator().manual_seed(len(base)))
            base[f"{module}.weight"] = weight
            merged[f"{module}.weight"] = weight + scales.get(module, 2.0) * tensors[name.replace("_A.", "_B.")] @ a
    saved(base, root / "base" / "model.safetensors")
    saved(merged, root / "merged" / "model.safetensors")
    return ["--base", str(root / "base"), "--merged", str(root / "merged")]


def test_the_worst_module_comes_first(tmp_path: Path, run: Run) -> None:
    folder, tensors = adapter(tmp_path / "adapter")
    options = merge(tmp_path, tensors, {"layers.1.v": 4.0, "layers.2.q": 1.0, "layers.0.q": 2.001})
    outcome = run("verify", str(folder), "--device", "cpu", *options)
    lines = outcome.out.splitlines()
    assert outcome.status == 1
    assert [line.split()[0] for line in lines[1:4]] == ["layers.1.v", "layers.2.q", "layers.0.q"]
    assert lines[1].split()[1:4] == ["8", "2", "4"]
    assert lines[1].endswith("failed: scale is 4, declared 2: applied twice")
    assert lines[-2] == "6 modules on cpu: 2 failed, 4 ok (measured between base and merged weights)"
    assert lines[-1].startswith("likely cause: applied twice in 1 of 6 modules, half of it applied")


def test_an_adapter_alone_wakes_no_gpu_unasked(tmp_path: Path, run: Run) -> None:
    folder, tensors = adapter(tmp_path / "adapter")
    assert "6 modules on cpu: 6 ok" in run("verify", str(folder)).out
    compared = run("verify", str(folder), *merge(tmp_path, tensors, {})).out
    assert f"6 modules on {', '.join(map(str, pick_devices('auto')))}: 6 ok" in compared


def test_json_has_all_keys_and_names_the_rule(tmp_path: Path, run: Run) -> None:
    folder, tensors = adapter(tmp_path / "adapter")
    options = merge(tmp_path, tensors, {"layers.1.v": 4.0})
    outcome = run("verify", str(folder), "--device", "cpu", "--spectrum", "--format", "json", *options)
    found = json.loads(outcome.out)
    assert (found["format"], found["device"], found["passed"]) == (1, "cpu", False)
    assert found["likely_cause"] == "applied twice in 1 of 6 modules"
    modules = {module["module"]: module for module in found["modules"]}
    assert set(modules["layers.0.q"]) == {
        *("module", "rank", "declared", "measured", "residual", "status", "message", "rule", "effective_rank")
    }
    assert modules["layers.0.q"] | {"measured": 2, "residual": 0, "effective_rank": 3} == {
        "module": "layers.0.q",
        "rank": 8,
        "declared": 2.0,
        "measured": 2,
        "residual": 0,
        "status": "ok",
        "message": "",
        "rule": None,
        "effective_rank": 3,
    }
    assert 5 < modules["layers.0.q"]["effective_rank"] <= 8
    assert (modules["layers.1.v"]["status"], modules["layers.1.v"]["rule"]) == ("failed", "measured-scale-mismatch")


def alone(a: Tensor | None = None, b: Tensor | None = None, magnitude: Tensor | None = None) -> dict[str, Tensor]:
    """One module; None is left out, and rank 8, 16 inputs and 24 outputs are right."""
    parts = {"lora_A.weight": a, "lora_B.weight": b, "lora_magnitude_vector": magnitude}
    return {f"base_model.model.layers.0.q.{end}": part for end, part in parts.items() if part is not None}


A, B = torch.linspace(1, 2, 128).view(8, 16), torch.linspace(1, 2, 192).view(24, 8)
MERGED = {"--base": torch.zeros(24, 16), "--merged": 2 * B @ A}

FAULTS: dict[str, tuple[str, dict[str, Tensor], dict[str, Any], dict[str, Tensor], list[str]]] = {
    "no B": ("missing-tensors", alone(a=A), {}, {}, []),
    "no A": ("missing-tensors", alone(b=B), {}, {}, []),
    "a magnitude alone": ("missing-tensors", alone(magnitude=torch.ones(24)), {"use_dora": True}, {}, []),
    "ranks": ("a-differs-from-b", alone(A, B[:, :7]), {}, {}, []),
    "dimensions": ("a-differs-from-b", alone(A, B.view(24, 8, 1)), {}, {}, []),
    "channels": ("a-differs-from-b", alone(A, B, torch.ones(23)), {"use_dora": True}, {}, []),
    "whole numbers": ("mixed-dtypes", alone(A.char(), B), {}, {}, []),
    "nothing saved": ("empty-tensors", alone(A[:, :0], B), {}, {}, []),
    "rank": ("rank-differs-from-tensors", alone(A, B), {"r": 4, "lora_alpha": 8}, {}, []),
    "alpha 0": ("alpha-missing-or-invalid", alone(A, B), {"lora_alpha": 0}, {}, []),
    "NaN": ("values-not-finite", alone(A, B * math.nan), {}, {}, []),
    "overflow": ("values-not-finite", alone(A, B * 1.5e38), {}, {}, []),
    "expectation": ("scale-not-expected", alone(A, B), {}, {}, ["--expect", "4"]),
    "another measured scale": ("measured-scale-mismatch", alone(A, B), {}, MERGED | {"--merged": 4 * B @ A}, []),
    "not merged": ("measured-scale-mismatch", alone(A, B), {}, MERGED | {"--merged": 0 * B @ A}, []),
    "a merged NaN": ("measured-scale-mismatch", alone(A, B), {}, MERGED | {"--merged": math.nan * B @ A}, []),
    "another base": ("base-shape-mismatch", alone(A, B), {}, dict.fromkeys(MERGED, torch.zeros(20, 16)), []),
    "another merged model": ("merged-shape-differs", alone(A, B), {}, MERGED | {"--merged": torch.zeros(32, 16)}, []),
    "expectation of a merge": ("scale-not-expected", alone(A, B), {}, MERGED, ["--expect", "1"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_finding_has_a_rule_that_can_be_explained_and_silenced(fault: str, tmp_path: Path, run: Run) -> None:
    rule, tensors, more, weights, options = FAULTS[fault]
    config = CONFIG | {"target_modules": ["q"]} | more
    saved(tensors, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    for option, weight in weights.items():
        path = saved({"layers.0.q.weight": weight}, tmp_path / f"model{option}.safetensors")
        options = [*options, option, str(path)]
    command = ["verify", str(tmp_path), "--device", "cpu", "--format", "json", *options]
    outcome = run(*command)
    (found,) = json.loads(outcome.out)["modules"]
    assert (outcome.status, found["status"], found["rule"]) == (1, "failed", rule), found
    assert found["message"]
    assert run("explain", rule).status == 0
    (tmp_path / "lora-lint.toml").write_text(f'ignore = ["{rule}"]\n', "utf-8")
    (silenced,) = json.loads(run(*command).out)["modules"]
    assert (silenced["status"], silenced["rule"]) in {("undecided", None), ("ok", None)}, silenced
    (tmp_path / "lora-lint.toml").write_text(f'[severity]\n{rule} = "warning"\n', "utf-8")
    outcome = run(*command)
    assert (outcome.status, json.loads(outcome.out)["modules"][0]["status"]) == (0, "warning")


NAN = "base_model.model.layers.1.q.lora_B.weight"


@pytest.mark.parametrize(
    ("settings", "status", "words"),
    [
        ("", 1, "failed: lora_B holds values that are not finite"),
        ('[severity]\nvalues-not-finite = "warning"\n', 0, "warning: lora_B holds values that are not finite"),
        ('ignore = ["values-not-finite"]\n', 0, "6 ok"),
    ],
)
def test_rules_about_values_have_their_settings(
    settings: str, status: int, words: str, tmp_path: Path, run: Run
) -> None:
    folder, _ = adapter(tmp_path / "adapter", {NAN: torch.full((24, 8), math.nan)})
    (folder / "lora-lint.toml").write_text(settings, "utf-8")
    outcome = run("verify", str(folder), "--device", "cpu")
    assert (outcome.status, words in outcome.out) == (status, True), outcome.out


def test_another_adapter_is_named_by_also(tmp_path: Path, run: Run) -> None:
    folder, tensors = adapter(tmp_path / "adapter")
    generator = torch.Generator().manual_seed(9)
    other, second = adapter(
        tmp_path / "other", {name: torch.randn(tensor.shape, generator=generator) for name, tensor in tensors.items()}
    )
    options = merge(tmp_path, tensors, {})
    weights = load_file(tmp_path / "merged" / "model.safetensors")
    for name, a in second.items():
        if ".lora_A." in name:
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            weights[f"{module}.weight"] += 2 * second[name.replace("_A.", "_B.")] @ a
    saved(weights, tmp_path / "merged" / "model.safetensors")
    assert run("verify", str(folder), *options).status == 1
    assert run("verify", str(folder), *options, "--also", str(other)).status == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--also", "x"], "--also names what was merged too"),
        (["--plot", "scale.pdf"], "can end in .png or .svg"),
        (["--device", "gpu"], "gpu is no device"),
        (["--format", "xml"], "there is no format 'xml'"),
        (["--base", "x"], "give both"),
    ],
)
def test_misuse_ends_with_2_and_says_why(options: list[str], words: str, tmp_path: Path, run: Run) -> None:
    if "--plot" in options:
        pytest.importorskip("matplotlib")
    folder, _ = adapter(tmp_path / "adapter")
    outcome = run("verify", str(folder), *options)
    assert (outcome.status, words in outcome.err) == (2, True), outcome.err


def test_without_matplotlib_plot_says_how_to_get_it(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "lora_lint.reporters.plot", raising=False)
    outcome = run("verify", str(tmp_path), "--plot", "scale.png")
    assert outcome.status == 2
    assert outcome.err == "lora-lint: --plot needs matplotlib: pip install 'lora-lint[plot]'\n"


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_picture_shows_every_module(ending: str, tmp_path: Path, run: Run) -> None:
    pytest.importorskip("matplotlib")
    folder, tensors = adapter(tmp_path / "adapter")
    picture = tmp_path / f"scale.{ending}"
    run("verify", str(folder), "--plot", str(picture), *merge(tmp_path, tensors, {"layers.1.v": 4.0}))
    data = picture.read_bytes()
    assert data.startswith({"png": b"\x89PNG", "svg": b"<?xml"}[ending])
    if ending == "svg":
        groups = [one for one in ElementTree.fromstring(data.decode()).iter() if one.get("id", "").startswith("PathC")]
        # Three of q, three of v, a ring around the one that failed, and the legend's three.
        assert len(groups) == 6
        assert [sum(one.tag.endswith("}use") for one in group.iter()) for group in groups[:2]] == [3, 3]


def verdict(module: str, measured: float | None, status: Any = "ok") -> ModuleVerdict:
    return ModuleVerdict(module, 8, 2.0, measured, 0.0, status)


@pytest.mark.parametrize(
    ("modules", "places"),
    [
        (["layers.0.q", "layers.0.v", "layers.7.q"], [-0.175, 0.175, 6.825]),
        (["layers.0.q", "head"], [0.0, 1.0]),
        (["down.0.blocks.1.q", "down.0.blocks.2.q"], [0.0, 1.0]),
    ],
)
def test_modules_stand_at_their_layer_or_in_their_order(modules: list[str], places: list[float]) -> None:
    pytest.importorskip("matplotlib")
    from lora_lint.reporters.plot import _places

    assert _places([verdict(name, 2.0) for name in modules]) == pytest.approx(places)


def test_modules_are_sorted_by_gravity_then_deviation() -> None:
    given = [
        *(verdict("a", 2.0), verdict("b", 2.1), verdict("c", None, "undecided"), verdict("d", 3.0, "failed")),
        *(verdict("e", 9.0, "failed"), verdict("f", 2.0, "warning"), verdict("g", math.inf, "failed")),
    ]
    assert [one.module for one in report.worst_first(given)] == ["g", "e", "d", "f", "c", "b", "a"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "seconds", "shown"), [(Terminal(), 0.0, True), (Terminal(), 60.0, False), (io.StringIO(), 0.0, False)]
)
def test_the_bar_is_for_long_runs_on_a_terminal(
    stream: io.StringIO, seconds: float, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("lora_lint.cli.progress.SOON", seconds)
    with progress("verifying") as tell:
        tell(5_000_000, 20_000_000)
        tell(10_000_000, 20_000_000)
    assert ("verifying" in stream.getvalue()) == shown
    assert ("10.0/20.0 MB" in stream.getvalue()) == shown


def kohya(alpha: float, up: Tensor) -> dict[str, Tensor]:
    name = "lora_unet_down_blocks_0_attentions_0_to_q"
    tensors = {f"{name}.lora_down.weight": torch.randn(8, 16), f"{name}.lora_up.weight": up}
    return tensors | {f"{name}.alpha": torch.tensor(alpha)}


@pytest.mark.parametrize(
    ("tensors", "status", "words"),
    [
        (kohya(4.0, torch.randn(24, 8)), 0, "    8       0.5         -         -  ok"),
        (kohya(4.0, torch.zeros(24, 8)), 1, "failed: adds nothing: lora_up is all zeros"),
        (kohya(math.inf, torch.randn(24, 8)), 0, "undecided: the config doesn't settle the scale"),
    ],
)
def test_a_file_without_a_config_says_its_scale_itself(
    tensors: dict[str, Tensor], status: int, words: str, tmp_path: Path, run: Run
) -> None:
    outcome = run("verify", str(saved(tensors, tmp_path / "style.safetensors")), "--device", "cpu")
    assert (outcome.status, words in outcome.out) == (status, True), outcome.out + outcome.err
