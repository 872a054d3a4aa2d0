"""Adapters of MLX, whose halves lie the other way round: their files alone, and what `fuse` makes of a weight.

The layers are those of ml-explore/mlx-lm at d78bf58e, mlx_lm/tuner/lora.py and dora.py, and of Blaizzy/mlx-vlm at
9b13f522, mlx_vlm/trainer/lora.py (until May 2026) and lora_layers.py (since, the same as MLX-LM's).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from tests.conftest import Run
from tests.test_verify import saved

RANK, SCALE = 8, 20.0
OUT, INNER, VOCABULARY, EXPERTS = 96, 64, 120, 4


class Layer(NamedTuple):
    """The weight of a layer, its tensors in the adapter by the ends of their names, and the weight after `fuse`."""

    weight: Tensor
    tensors: dict[str, Tensor]
    fused: Tensor


def linear(random: Callable[..., Tensor], ends: tuple[str, str] = (".lora_a", ".lora_b")) -> Layer:
    """LoRALinear: lora.py:52-53 and 88-93; LoRaLayer of mlx-vlm: lora.py:28-33."""
    weight, a, b = random(OUT, INNER), random(INNER, RANK), random(RANK, OUT)
    return Layer(weight, dict(zip(ends, (a, b), strict=True)), weight + (SCALE * b.T) @ a.T)


def switch(random: Callable[..., Tensor]) -> Layer:
    """LoRASwitchLinear: lora.py:138-140 and 173-178."""
    weight, a, b = random(EXPERTS, OUT, INNER), random(EXPERTS, RANK, INNER), random(EXPERTS, OUT, RANK)
    return Layer(weight, {".lora_a": a, ".lora_b": b}, weight + (SCALE * b) @ a.reshape(EXPERTS, -1, INNER))


def embedding(random: Callable[..., Tensor]) -> Layer:
    """LoRAEmbedding: lora.py:236-238 and 269-274."""
    weight, a, b = random(VOCABULARY, INNER), random(VOCABULARY, RANK), random(RANK, INNER)
    return Layer(weight, {".lora_a": a, ".lora_b": b}, weight + (SCALE * a) @ b)


def dora(random: Callable[..., Tensor]) -> Layer:
    """DoRALinear: dora.py:40-44 and 90."""
    weight, (a, b) = random(OUT, INNER), (random(INNER, RANK), random(RANK, OUT))
    m = 1.1 * torch.linalg.norm(weight, dim=1)
    after = weight + (SCALE * b.T) @ a.T
    norm_scale = m / torch.linalg.norm(after, dim=1)
    return Layer(weight, {".lora_a": a, ".lora_b": b, ".m": m}, norm_scale[:, None] * after)


def dora_embedding(random: Callable[..., Tensor]) -> Layer:
    """DoRAEmbedding: dora.py:160-164 and 196."""
    weight, (a, b) = random(VOCABULARY, INNER), (random(VOCABULARY, RANK), random(RANK, INNER))
    m = 1.1 * torch.linalg.norm(weight, dim=1)
    after = weight + (SCALE * a) @ b
    norm_scale = m / torch.linalg.norm(after, dim=1)
    return Layer(weight, {".lora_a": a, ".lora_b": b, ".m": m}, norm_scale[:, None] * after)


def of_mlx_vlm(random: Callable[..., Tensor]) -> Layer:
    return linear(random, (".A", ".B"))


LAYERS = {
    "model.layers.0.self_attn.q_proj": linear,
    "model.layers.0.mlp.switch_mlp.up_proj": switch,
    "model.embed_tokens": embedding,
    "model.layers.0.self_attn.k_proj": dora,
    "model.wte": dora_embedding,
    "language_model.model.layers.0.self_attn.v_proj": of_mlx_vlm,
}
CONFIG = {"num_layers": 1, "lora_parameters": {"rank": RANK, "scale": SCALE, "dropout": 0.0}}

each_layer = pytest.mark.parametrize("module", LAYERS)


def made(module: str, folder: Path, name: str = "adapters.safetensors", config: bool = True) -> tuple[Path, Layer]:
    """The file of an adapter on one module, with its config beside it or not."""
    generator = torch.Generator().manual_seed(0)
    layer = LAYERS[module](lambda *shape: 0.3 * torch.randn(*shape, generator=generator))
    path = saved({f"{module}{end}": tensor for end, tensor in layer.tensors.items()}, folder / name)
    method = "dora" if ".m" in layer.tensors else "lora"
    data = CONFIG | {"fine_tune_type": method} if ".A" not in layer.tensors else {"rank": RANK, "alpha": SCALE * RANK}
    if config:
        (folder / "adapter_config.json").write_text(json.dumps(data), "utf-8")
    return path, layer


@each_layer
@pytest.mark.parametrize("name", ["adapters.safetensors", "0000100_adapters.safetensors", "mine.safetensors"])
@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_file_alone_is_sound_and_lacks_only_its_scale(
    named: str, name: str, module: str, tmp_path: Path, run: Run
) -> None:
    path, _ = made(module, tmp_path, name, config=False)
    given = str(path if named == "file" else tmp_path)
    outcome = run("verify", given, "--device", "cpu", "--spectrum", "--format", "json")
    (found,) = json.loads(outcome.out)["modules"]
    assert (found["module"], found["rank"], found["status"]) == (module, RANK, "undecided")
    assert found["message"] == "the config doesn't settle the scale"
    assert run("verify", given, "--expect", "20").status == 0
    assert run("check", given).status == 0


@each_layer
def test_what_fuse_makes_of_a_weight_has_the_scale_of_the_config(module: str, tmp_path: Path, run: Run) -> None:
    path, layer = made(module, tmp_path / "adapter")
    saved({f"{module}.weight": layer.weight}, tmp_path / "base" / "model.safetensors")
    saved({f"{module}.weight": layer.fused}, tmp_path / "merged" / "model.safetensors")
    pair = ["--base", str(tmp_path / "base"), "--merged", str(tmp_path / "merged"), "--device", "cpu"]
    for given in (path, path.parent):
        outcome = run("verify", str(given), *pair, "--format", "json")
        (found,) = json.loads(outcome.out)["modules"]
        assert (found["status"], found["declared"]) == ("ok", SCALE), found
        assert found["measured"] == pytest.approx(SCALE, rel=1e-4)


@each_layer
def test_another_scale_is_measured(module: str, tmp_path: Path, run: Run) -> None:
    path, layer = made(module, tmp_path / "adapter")
    saved({f"{module}.weight": layer.weight}, tmp_path / "base" / "model.safetensors")
    spoilt = layer.weight + 2 * (layer.fused - layer.weight)
    saved({f"{module}.weight": spoilt}, tmp_path / "merged" / "model.safetensors")
    outcome = run("verify", str(path), "--base", str(tmp_path / "base"), "--merged", str(tmp_path / "merged"))
    assert outcome.status == 1, outcome.out
    if ".m" not in layer.tensors:
        assert "scale is 40, declared 20: applied twice" in outcome.out


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"a.lora_a": (64, 8), "a.lora_b": (4, 96)}, "lora_a is 64x8, lora_b is 4x96: they don't pair up"),
        ({"a.lora_a": (4, 8, 64), "a.lora_b": (4, 96, 2)}, "lora_a is 4x8x64, lora_b is 4x96x2: they don't pair up"),
        ({"a.lora_a": (4, 8, 64), "a.lora_b": (3, 96, 8)}, "lora_a is 4x8x64, lora_b is 3x96x8: not the shapes of"),
        ({"a.lora_a": (4, 8, 64), "a.lora_b": (8, 96)}, "lora_a is 4x8x64, lora_b is 8x96: not the shapes of"),
        ({"a.lora_a": (64, 8), "a.lora_b": (8, 96), "a.m": (95,)}, "the magnitude has 95 entries for 96 channels"),
        ({"a.lora_a": (64, 8)}, "lora_B is missing"),
    ],
)
def test_halves_that_dont_fit_are_named_with_their_own_shapes(
    tensors: dict[str, tuple[int, ...]], message: str, tmp_path: Path, run: Run
) -> None:
    path = saved({name: torch.ones(shape) for name, shape in tensors.items()}, tmp_path / "adapters.safetensors")
    outcome = run("verify", str(path), "--device", "cpu", "--format", "json")
    (found,) = json.loads(outcome.out)["modules"]
    assert (found["status"], found["message"].startswith(message)) == ("failed", True), found


def test_another_rank_than_that_of_the_config_is_said(tmp_path: Path, run: Run) -> None:
    path, _ = made("model.layers.0.self_attn.q_proj", tmp_path)
    config = CONFIG | {"lora_parameters": {"rank": 4, "scale": 20.0, "dropout": 0.0}}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    outcome = run("verify", str(path), "--device", "cpu", "--format", "json")
    (found,) = json.loads(outcome.out)["modules"]
    assert found["message"] == "lora_a is 64x8, lora_b is 8x96: the rank is 8, the declared rank is 4"


OF_MLX_LM = {
    "linear": ("lora", "LoRALinear", "model.layers.0.self_attn.q_proj"),
    "experts": ("lora", "LoRASwitchLinear", "model.layers.0.mlp.switch_mlp.up_proj"),
    "embedding": ("lora", "LoRAEmbedding", "model.embed_tokens"),
    "DoRA": ("dora", "DoRALinear", "model.layers.0.self_attn.q_proj"),
    "DoRA on an embedding": ("dora", "DoRAEmbedding", "model.embed_tokens"),
}


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("kind", OF_MLX_LM)
def test_layers_of_mlx_lm_itself(kind: str, quantised: bool, tmp_path: Path, run: Run) -> None:
    """What MLX-LM's own layers save and fuse, with a base of 4 bits too, where it has such a layer."""
    mx, nn = (pytest.importorskip(f"mlx.{name}") for name in ("core", "nn"))
    method, name, module = OF_MLX_LM[kind]
    if quantised and "embedding" in kind:
        pytest.skip("MLX-LM fuses embeddings into what they were quantised to")
    layers = pytest.importorskip(f"mlx_lm.tuner.{method}")
    switch = pytest.importorskip("mlx_lm.models.switch_layers").SwitchLinear
    mx.random.seed(0)
    kinds = {"linear": nn.Linear, "DoRA": nn.Linear, "experts": lambda *shape, bias: switch(*shape, 4, bias=bias)}
    base = kinds[kind](128, 192, bias=False) if kind in kinds else nn.Embedding(256, 128)
    base = base.to_quantized(64, 4) if quantised else base
    layer = getattr(layers, name).from_base(base, r=RANK, scale=SCALE)
    layer.lora_b = 0.1 * mx.random.normal(layer.lora_b.shape)
    tensors = {f"{module}.lora_a": layer.lora_a, f"{module}.lora_b": layer.lora_b}
    if method == "dora":
        layer.m = layer.m * 1.1
        tensors[f"{module}.m"] = layer.m
    fused = layer.fuse(dequantize=True) if quantised else layer.fuse()
    settings = {"quantization": {"group_size": 64, "bits": 4}} if quantised else {}
    configs = {"adapter_config": CONFIG | {"fine_tune_type": method}, "config": settings}
    for folder, weights in (("adapter", tensors), ("base", base.parameters()), ("merged", fused.parameters())):
        (tmp_path / folder).mkdir()
        stem, config = ("adapters", "adapter_config") if folder == "adapter" else ("model", "config")
        named = weights if folder == "adapter" else {f"{module}.{end}": one for end, one in weights.items()}
        mx.save_safetensors(str(tmp_path / folder / f"{stem}.safetensors"), named)
        data = {} if folder == "merged" else configs[config]
        (tmp_path / folder / f"{config}.json").write_text(json.dumps(data), "utf-8")
    pair = ["--base", str(tmp_path / "base"), "--merged", str(tmp_path / "merged"), "--device", "cpu"]
    (found,) = json.loads(run("verify", str(tmp_path / "adapter"), *pair, "--format", "json").out)["modules"]
    assert found["status"] == "ok", found
    assert found["measured"] == pytest.approx(SCALE, rel=1e-3)
