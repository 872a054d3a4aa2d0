"""Adapters of experts against bases in which they are stacked, packed, quantised, or lie one by one.

What PEFT calls the tensors of adapted parameters is PEFT's own word, as is what it merges. The packing of gpt-oss is
that of transformers' `convert_moe_packed_tensors`, that of MLX `mx.dequantize`'s.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from lora_lint.reference.mlx import of_mlx
from lora_lint.reference.stored import NotComparableError
from tests.conftest import Run
from tests.test_packings import agrees, drawn, fp4, packed_rows
from tests.test_verify import saved

EXPERTS, HIDDEN, INNER, RANK = 3, 64, 96, 8
GATE_UP, DOWN = "model.layers.0.mlp.experts.gate_up_proj", "model.layers.0.mlp.experts.down_proj"


def model(gate_up: Tensor, down: Tensor) -> nn.Module:
    """A mixture whose experts are two stacked parameters."""
    top = whole = nn.Module()
    for name in ("model", "layers", "0", "mlp", "experts"):
        whole.add_module(name, nn.Module())
        whole = whole.get_submodule(name)
    whole.gate_up_proj, whole.down_proj = nn.Parameter(gate_up), nn.Parameter(down)
    return top


def adapted(root: Path, base: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights into which PEFT merged an adapter of both parameters, scale 2, that lies in `root/adapter`."""
    torch.manual_seed(0)
    names = ["experts.down_proj", "mlp.experts.gate_up_proj"]
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=[], target_parameters=names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped: Any = get_peft_model(model(base[GATE_UP].clone(), base[DOWN].clone()), config)
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter, std=0.2)
    wrapped.save_pretrained(root / "adapter")
    merged: dict[str, Tensor] = wrapped.merge_and_unload().state_dict()
    return {name: tensor.detach() for name, tensor in merged.items()}


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def plain() -> dict[str, Tensor]:
    return {GATE_UP: random(EXPERTS, HIDDEN, 2 * INNER), DOWN: random(EXPERTS, INNER, HIDDEN, seed=1)}


def measured(root: Path, base: dict[str, Tensor], merged: dict[str, Tensor], run: Run) -> list[dict[str, Any]]:
    for name, tensors in (("base", base), ("merged", merged)):
        saved(tensors, root / name / "model.safetensors")
    pair = ["--base", str(root / "base"), "--merged", str(root / "merged")]
    outcome = run("verify", str(root / "adapter"), *pair, "--device", "cpu", "--format", "json")
    found: list[dict[str, Any]] = json.loads(outcome.out)["modules"]
    return found


def are_sound(found: list[dict[str, Any]]) -> None:
    assert [one["status"] for one in found] == ["ok", "ok"], found
    assert [one["measured"] for one in found] == pytest.approx([2.0, 2.0], rel=1e-2)


def test_both_parameters_of_a_module_are_told_apart_by_their_shapes(tmp_path: Path, run: Run) -> None:
    base = plain()
    are_sound(measured(tmp_path, base, adapted(tmp_path, base), run))


def test_a_scale_that_only_one_of_them_has_is_found(tmp_path: Path, run: Run) -> None:
    base = plain()
    merged = adapted(tmp_path, base)
    merged[DOWN] = base[DOWN] + 2 * (merged[DOWN] - base[DOWN])
    found = measured(tmp_path, base, merged, run)
    assert sorted(one["status"] for one in found) == ["failed", "ok"]
    (failed,) = (one for one in found if one["status"] == "failed")
    assert failed["message"] == "scale is 4, declared 2: applied twice"


def test_parameters_of_one_shape_are_not_measured(tmp_path: Path, run: Run) -> None:
    base = {GATE_UP: random(EXPERTS, 64, 96), DOWN: random(EXPERTS, 96, 64, seed=1)}
    found = measured(tmp_path, base, adapted(tmp_path, base), run)
    assert [one["status"] for one in found] == ["undecided"] * 2
    assert all(one["message"].startswith("not measured: shapes don't tell") for one in found)


def gpt_oss(out: int, inner: int, seed: int) -> tuple[Tensor, Tensor]:
    blocks = drawn(seed, 256, EXPERTS, out, inner // 32, 16).to(torch.uint8)
    return blocks, (drawn(seed + 1, 4, EXPERTS, out, inner // 32) + 122).to(torch.uint8)


def test_experts_of_gpt_oss_are_unpacked_as_transformers_does(tmp_path: Path, run: Run) -> None:
    packed = {GATE_UP: gpt_oss(2 * INNER, HIDDEN, 0), DOWN: gpt_oss(HIDDEN, INNER, 2)}
    base = {name: convert_moe_packed_tensors(*parts, dtype=torch.float32) for name, parts in packed.items()}
    assert base[GATE_UP].shape == (EXPERTS, HIDDEN, 2 * INNER)
    stored = {
        f"{name}_{end}": one
        for name, parts in packed.items()
        for end, one in zip(("blocks", "scales"), parts, strict=True)
    }
    are_sound(measured(tmp_path, stored, adapted(tmp_path, base), run))


@pytest.mark.parametrize("names", [("gate_proj", "up_proj", "down_proj"), ("w1", "w3", "w2")])
def test_experts_that_lie_one_by_one(names: tuple[str, str, str], tmp_path: Path, run: Run) -> None:
    """transformers 5 stacks the experts of Qwen and Mixtral, whose files have each by itself, as (experts, out, in)."""
    base = {GATE_UP: random(EXPERTS, 2 * INNER, HIDDEN), DOWN: random(EXPERTS, HIDDEN, INNER, seed=1)}
    merged = adapted(tmp_path, base)

    def apart(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        parts = [*weights[GATE_UP].chunk(2, dim=1), weights[DOWN]]
        stem = GATE_UP.removesuffix(".gate_up_proj")
        return {
            f"{stem}.{expert}.{name}.weight": part[expert]
            for name, part in zip(names, parts, strict=True)
            for expert in range(EXPERTS)
        }

    are_sound(measured(tmp_path, apart(base), apart(merged), run))
    are_sound(measured(tmp_path, apart(base), merged, run))


def test_experts_that_are_quantised_one_by_one(tmp_path: Path, run: Run) -> None:
    """As compressed-tensors has the experts of Qwen in NVFP4."""
    stem = GATE_UP.removesuffix(".gate_up_proj")
    stored: dict[str, Tensor] = {}
    numbers: dict[tuple[str, int], Tensor] = {}
    for name, out, inner in (("gate_proj", INNER, HIDDEN), ("up_proj", INNER, HIDDEN), ("down_proj", HIDDEN, INNER)):
        for expert in range(EXPERTS):
            codes, values = fp4(out, inner)
            scales = random(out, inner // 16, seed=expert).abs().to(torch.float8_e4m3fn)
            parts = {"packed": codes, "scale": scales, "global_scale": torch.tensor([2.0])}
            stored |= {f"{stem}.{expert}.{name}.weight_{end}": part for end, part in parts.items()}
            numbers[name, expert] = values * scales.float().repeat_interleave(16, 1) / 2
    gates, ups, downs = (
        torch.stack([numbers[name, n] for n in range(EXPERTS)]) for name in ("gate_proj", "up_proj", "down_proj")
    )
    merged = adapted(tmp_path, {GATE_UP: torch.cat([gates, ups], dim=1), DOWN: downs})
    are_sound(measured(tmp_path, stored, merged, run))


# MLX.


def mlx(bits: int, group: int, *shape: int) -> tuple[dict[str, Tensor], Tensor]:
    """Words, scales and offsets, and the numbers that they stand for."""
    codes = drawn(bits, 2**bits, *shape)
    words = packed_rows(codes.flatten(0, -2), bits).view(*shape[:-1], -1).view(torch.uint32)
    scales, offsets = (random(*shape[:-1], shape[-1] // group, seed=seed) for seed in (1, 2))
    each = (one.repeat_interleave(group, -1) for one in (scales, offsets))
    numbers = next(each) * codes + next(each)
    return {"weight": words, "scales": scales, "biases": offsets}, numbers


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_affine_weights_of_mlx(bits: int) -> None:
    kept, numbers = mlx(bits, 32, 48, 96)
    agrees(of_mlx(kept["weight"], kept["scales"], kept["biases"], {"group_size": 32}), numbers)


@pytest.mark.parametrize("mode", ["affine", "mxfp4", "nvfp4", "mxfp8"])
def test_mlx_gives_the_same_numbers(mode: str) -> None:
    mx = pytest.importorskip("mlx.core")
    numpy = pytest.importorskip("numpy")
    weight = mx.array(random(48, 128).numpy())
    kept = mx.quantize(weight, mode=mode)
    words, scales, *offsets = (torch.from_numpy(numpy.array(one).copy()) for one in kept)
    theirs = torch.from_numpy(numpy.array(mx.dequantize(*kept, mode=mode).astype(mx.float32)))
    config = {"group_size": 64, "bits": 4} | ({"mode": mode} if mode != "affine" else {})
    found = of_mlx(words, scales, offsets[0] if offsets else None, config)
    torch.testing.assert_close(found.rows(0, 48), theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "drop", "reason"),
    [
        ({}, "", "its config doesn't tell"),
        ({"group_size": 31}, "", "its config doesn't tell"),
        ({"group_size": 32}, "biases", "its config doesn't tell"),
        ({"group_size": 32}, "scales", "no scales of MLX's mode affine"),
        ({"group_size": 32, "mode": "exl"}, "", "no scales of MLX's mode exl"),
    ],
)
def test_what_mlx_does_not_say_is_not_guessed(config: dict[str, Any], drop: str, reason: str) -> None:
    kept: dict[str, Tensor | None] = {**mlx(4, 32, 48, 96)[0]}
    kept |= {drop: None}
    words = kept["weight"]
    assert words is not None
    with pytest.raises(NotComparableError, match=reason):
        of_mlx(words, kept["scales"], kept["biases"], config)


SWITCH = "model.layers.0.mlp.switch_mlp.up_proj"


@pytest.mark.parametrize("form", ["quantised", "one by one"])
def test_an_adapter_of_mlx_on_experts_against_the_forms_of_its_base(form: str, tmp_path: Path, run: Run) -> None:
    kept, numbers = mlx(4, 32, EXPERTS, INNER, HIDDEN)
    a, b = 0.2 * random(EXPERTS, RANK, HIDDEN, seed=3), 0.2 * random(EXPERTS, INNER, RANK, seed=4)
    saved({f"{SWITCH}.lora_a": a, f"{SWITCH}.lora_b": b}, tmp_path / "adapter" / "adapters.safetensors")
    parameters = {"rank": RANK, "scale": 20.0, "dropout": 0.0}
    config = {"fine_tune_type": "lora", "num_layers": 1, "lora_parameters": parameters}
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    merged = {f"{SWITCH}.weight": numbers + 20 * b @ a}
    if form == "quantised":
        base = {f"{SWITCH}.{end}": tensor for end, tensor in kept.items()}
        (tmp_path / "base").mkdir()
        # the settings of all modules, and those of this one
        quantisation = {"group_size": 64, "bits": 8, SWITCH: {"group_size": 32, "bits": 4}}
        (tmp_path / "base" / "config.json").write_text(json.dumps({"quantization": quantisation}), "utf-8")
    else:
        base = {f"model.layers.0.mlp.experts.{n}.up_proj.weight": numbers[n] for n in range(EXPERTS)}
    (found,) = measured(tmp_path, base, merged, run)
    assert found["status"] == "ok", found
    assert found["measured"] == pytest.approx(20.0, rel=1e-3)
