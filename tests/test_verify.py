"""Checkpoints that PEFT wrote and merged, faulty merges, and broken files, each against the verdict it deserves."""

import json
import math
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from lora_lint.document import UnreadableError
from lora_lint.reference import Kind, ModuleClaim, ModuleVerdict, TensorRef, Weights, likely_cause, verify
from lora_lint.reference.stream import TensorFiles
from lora_lint.reference.weights import core
from tests.tensors import write_safetensors

pytestmark = pytest.mark.usefixtures("on_every_device")

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


class Tiny(nn.Module):
    """Layers of every kind, wide enough for rounding to average out."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(120, 64)
        self.query = nn.Linear(64, 64, bias=False)
        self.up = nn.Linear(64, 96)
        self.fused = Conv1D(192, 64)  # type: ignore[no-untyped-call]
        self.square = Conv1D(64, 64)  # type: ignore[no-untyped-call]
        self.patch = nn.Conv2d(3, 32, 3)
        self.sound = nn.Conv1d(16, 24, 5)
        self.point = nn.Conv2d(16, 24, 1)


class Experts(nn.Module):
    """A mixture whose weights are single three-dimensional parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.up_proj = nn.Parameter(torch.randn(3, 64, 96))


class Mixture(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts = Experts()


def adapted(model: nn.Module, config: LoraConfig, spread: float = 0.1) -> Any:
    """The model in PEFT's hands, A and B with values in them, and magnitudes near the norms they start from."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT warns of Conv1D's layout, which is one of the things in question
        wrapped: Any = get_peft_model(model, config)
    for name, parameter in wrapped.named_parameters():
        if "magnitude" in name:
            parameter.data.mul_(torch.empty_like(parameter).uniform_(0.9, 1.1))
        elif "lora_" in name:
            nn.init.normal_(parameter, std=spread)
    return wrapped


def claims_of(wrapped: Any, file: Path) -> Iterator[ModuleClaim]:
    """What a config reader would say of a saved adapter, with PEFT's own word on the scales."""
    names = set(TensorFiles().open(file).names)
    for name, layer in wrapped.base_model.model.named_modules():
        if not isinstance(layer, LoraLayer):
            continue
        stem = f"base_model.model.{name}"
        kind: Kind = "linear"
        a, b = f"{stem}.lora_A.weight", f"{stem}.lora_B.weight"
        if f"{stem}.lora_embedding_A" in names:
            kind, a, b = "embedding", f"{stem}.lora_embedding_A", f"{stem}.lora_embedding_B"
        elif isinstance(layer.get_base_layer(), nn.Conv1d | nn.Conv2d):
            kind = "conv"
        magnitude = f"{stem}.lora_magnitude_vector"
        yield ModuleClaim(
            name,
            layer.r["default"],
            layer.scaling["default"],
            TensorRef(file, a),
            TensorRef(file, b),
            kind,
            TensorRef(file, magnitude) if magnitude in names else None,
            rslora=layer.use_rslora["default"],
        )


def saved(tensors: dict[str, Tensor], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}, path)
    return path


def random_config(seed: int) -> LoraConfig:
    draw = random.Random(seed)
    names = draw.sample(["tokens", "query", "up", "fused", "square", "patch", "sound", "point"], 6)
    return LoraConfig(
        r=draw.choice([2, 4, 8]),
        lora_alpha=draw.choice([2, 5, 16]),
        target_modules=names,
        use_rslora=draw.random() < 0.5,
        use_dora=seed % 3 == 0,
        rank_pattern={draw.choice(names): 6},
        alpha_pattern={draw.choice(names): 24},
    )


def folders(wrapped: Any, root: Path, base: dict[str, Tensor]) -> tuple[list[ModuleClaim], Weights, Weights]:
    wrapped.save_pretrained(root / "adapter")
    claims = list(claims_of(wrapped, root / "adapter" / "adapter_model.safetensors"))
    saved(base, root / "base" / "model.safetensors")
    saved(wrapped.merge_and_unload().state_dict(), root / "merged" / "model.safetensors")
    return claims, Weights.open(root / "base"), Weights.open(root / "merged")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(6))
def test_what_peft_saves_and_merges_passes(seed: int, dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(seed)
    model = Tiny().to(dtype)
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    wrapped = adapted(model, random_config(seed), spread=0.2)
    claims, before, after = folders(wrapped, tmp_path, base)
    assert [verdict.status for verdict in verify(claims)] == ["ok"] * len(claims)
    for verdict in verify(claims, base=before, merged=after):
        assert verdict.status == "ok", verdict
        assert verdict.measured == pytest.approx(verdict.declared, rel=1e-2 if dtype != torch.float32 else 1e-4), (
            verdict
        )


def test_merged_experts_pass(tmp_path: Path) -> None:
    model = Mixture()
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    wrapped = adapted(model, LoraConfig(r=4, lora_alpha=12, target_modules=[], target_parameters=["experts.up_proj"]))
    (claim,), before, after = folders(wrapped, tmp_path, base)
    claim = ModuleClaim(claim.module, 4, 3.0, claim.a, claim.b, "experts", parameter="up_proj")
    (verdict,) = verify([claim], base=before, merged=after)
    assert verdict.status == "ok", verdict
    assert verdict.measured == pytest.approx(3.0, rel=1e-4)


RANK, ALPHA = 16, 32
CLASSIC, ROOT = ALPHA / RANK, ALPHA / math.sqrt(RANK)


def hand_merged(
    root: Path,
    multiplier: Callable[[int], float],
    *,
    declared: float = CLASSIC,
    dtype: torch.dtype = torch.float32,
    spread: float = 0.1,
    other: bool = False,
) -> list[ModuleVerdict]:
    """Verdicts on five layers into which somebody merged `multiplier(layer) * B @ A`, or another adapter."""
    g = torch.Generator().manual_seed(0)
    base: dict[str, Tensor] = {}
    merged: dict[str, Tensor] = {}
    adapter: dict[str, Tensor] = {}
    for layer in range(5):
        weight = torch.randn(96, 64, generator=g).to(dtype)
        a, b = torch.randn(RANK, 64, generator=g), spread * torch.randn(96, RANK, generator=g)
        adapter |= {f"{layer}.lora_A.weight": a, f"{layer}.lora_B.weight": b}
        delta = torch.randn(96, RANK, generator=g) @ a if other else b @ a
        base[f"layers.{layer}.weight"] = weight
        merged[f"layers.{layer}.weight"] = (weight.double() + multiplier(layer) * delta).to(dtype)
    file = saved(adapter, root / "adapter.safetensors")
    claims = [
        ModuleClaim(
            f"layers.{layer}",
            RANK,
            declared,
            TensorRef(file, f"{layer}.lora_A.weight"),
            TensorRef(file, f"{layer}.lora_B.weight"),
            rslora=declared == ROOT,
        )
        for layer in range(5)
    ]
    before, after = saved(base, root / "base.safetensors"), saved(merged, root / "merged.safetensors")
    return list(verify(claims, base=Weights.open(before), merged=Weights.open(after)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("multiplier", "declared", "cause"),
    [
        (lambda _: 32.0, CLASSIC, "alpha not divided by r"),
        (lambda _: 8.0, CLASSIC, "alpha divided by the root of r, not by r"),
        (lambda _: 32.0, ROOT, "alpha not divided by the root of r"),
        (lambda _: 2.0, ROOT, "root of r missing: alpha divided by r"),
        (lambda _: 4.0, CLASSIC, "applied twice"),
        (lambda _: 1.0, CLASSIC, "half of it applied: alpha divided by 2r, or r for 2r or added without a scale"),
        (lambda _: 1 / 8, CLASSIC, "alpha divided by r twice"),
        (lambda _: -2.0, CLASSIC, "subtracted"),
        (lambda _: 3.1, CLASSIC, "another scale"),
        (lambda layer: 0.0 if layer == 3 else 2.0, CLASSIC, "applied to 4 of 5 modules only"),
        (lambda layer: 4.0 if layer == 3 else 2.0, CLASSIC, "applied twice in 1 of 5 modules"),
        (lambda _: 0.0, CLASSIC, "not applied to any module"),
    ],
)
def test_faulty_merge_is_caught_and_named(
    multiplier: Callable[[int], float], declared: float, cause: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    verdicts = hand_merged(tmp_path, multiplier, declared=declared, dtype=dtype)
    assert likely_cause((verdict.status, verdict.cause) for verdict in verdicts) == cause
    for layer, verdict in enumerate(verdicts):
        assert verdict.measured == pytest.approx(multiplier(layer), rel=1e-2, abs=1e-6)
        assert verdict.status == ("ok" if multiplier(layer) == declared else "failed")


@pytest.mark.parametrize("dtype", DTYPES)
def test_another_adapter_is_named(dtype: torch.dtype, tmp_path: Path) -> None:
    verdicts = hand_merged(tmp_path, lambda _: 0.2, dtype=dtype, other=True)
    assert likely_cause((verdict.status, verdict.cause) for verdict in verdicts) == "another adapter or another base"
    assert all(verdict.residual is not None and verdict.residual > 0.9 for verdict in verdicts)


def test_dora_merged_without_its_norm_fails(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Tiny()
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    wrapped = adapted(model, LoraConfig(r=4, lora_alpha=8, target_modules=["up"], use_dora=True))
    delta = wrapped.base_model.model.up.get_delta_weight("default")
    claims, before, _ = folders(wrapped, tmp_path, base)
    for multiplier, cause in ((1.0, "merged as plain LoRA, without DoRA's magnitude"), (0.0, "not applied")):
        spoilt = saved({"up.weight": base["up.weight"] + multiplier * delta}, tmp_path / f"{multiplier}.safetensors")
        (verdict,) = verify(claims, base=before, merged=Weights.open(spoilt))
        assert (verdict.status, verdict.cause) == ("failed", cause), verdict


@pytest.mark.parametrize(
    ("spread", "status", "words"),
    [(1e-1, "ok", ""), (3e-3, "ok", ""), (2e-4, "undecided", "times the rounding of the weights")],
)
def test_update_that_drowns_in_bfloat16_is_undecided(spread: float, status: str, words: str, tmp_path: Path) -> None:
    for verdict in hand_merged(tmp_path, lambda _: CLASSIC, dtype=torch.bfloat16, spread=spread):
        assert verdict.status == status, verdict
        assert words in verdict.message


def internvl(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def test_unmerged_internvl_checkpoint_matches_its_merged_form(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = LoraConfig(r=8, lora_alpha=16, target_modules=["query", "up"])
    parts = {"language_model": adapted(Tiny().bfloat16(), config), "vision_model": adapted(Tiny().bfloat16(), config)}
    unmerged: dict[str, Tensor] = {}
    merged: dict[str, Tensor] = {}
    for prefix, wrapped in parts.items():
        unmerged |= internvl(prefix, {name: tensor.clone() for name, tensor in wrapped.state_dict().items()})
        merged |= internvl(prefix, wrapped.merge_and_unload().state_dict())
    before = Weights.open(saved(unmerged, tmp_path / "unmerged" / "model.safetensors"))
    after = Weights.open(saved(merged, tmp_path / "merged" / "model.safetensors"))
    claims = [
        ModuleClaim(
            f"{prefix}.{name}",
            8,
            2.0,
            before.tensors[stem + "lora_A.default.weight"],
            before.tensors[stem + "lora_B.default.weight"],
        )
        for prefix in parts
        for name in ("query", "up")
        for stem in [f"{prefix}.base_model.model.{name}."]
    ]
    verdicts = list(verify(claims, base=before, merged=after))
    assert [(verdict.module, verdict.status) for verdict in verdicts] == [
        ("language_model.query", "ok"),
        ("language_model.up", "ok"),
        ("vision_model.query", "ok"),
        ("vision_model.up", "ok"),
    ]


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("model.layers.0.q_proj.weight", "layers.0.q_proj.weight"),
        ("language_model.model.layers.0.q_proj.weight", "layers.0.q_proj.weight"),
        ("model.language_model.layers.0.q_proj.weight", "layers.0.q_proj.weight"),
        ("language_model.base_model.model.model.layers.0.q_proj.base_layer.weight", "layers.0.q_proj.weight"),
        ("vision_model.base_model.model.encoder.0.qkv.base_layer.weight", "vision_model.encoder.0.qkv.weight"),
        ("transformer.h.0.attn.c_attn.weight", "h.0.attn.c_attn.weight"),
        ("model.weight", "model.weight"),
    ],
)
def test_names_of_one_module_have_one_core(name: str, same: str) -> None:
    assert core(name) == same


def pair(a: Tensor | None = None, b: Tensor | None = None) -> dict[str, Tensor]:
    a = torch.randn(4, 8) if a is None else a
    return {"q.lora_A.weight": a, "q.lora_B.weight": torch.randn(6, 4) if b is None else b}


def spoiled(tensor: Tensor, value: float) -> Tensor:
    tensor[-1, -1] = value
    return tensor


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (pair(), ""),
        (pair(torch.randn(2, 8), torch.randn(6, 2)), "lora_A has 2 rows, the declared rank is 4"),
        (pair(b=torch.zeros(6, 4)), "adds nothing: lora_B is all zeros"),
        (pair(a=torch.zeros(4, 8)), "adds nothing: lora_A is all zeros"),
        (pair(a=spoiled(torch.randn(4, 8), math.nan)), "lora_A holds values that are not finite"),
        (pair(b=spoiled(torch.randn(6, 4), -math.inf)), "lora_B holds values that are not finite"),
        (pair(1e-37 * torch.randn(4, 8), torch.full((6, 4), 3e38)), ""),
        (pair(b=torch.full((6, 4), 3e38)), "the output is not finite, though A and B are"),
        (pair(b=torch.randn(6, 3)), "lora_A is 4x8, lora_B is 6x3: they don't pair up"),
        (
            pair(a=torch.randn(4, 8, 1, 1)),
            "lora_A is 4x8x1x1, lora_B is 6x4: not the shapes of a linear module",
        ),
        (
            pair(a=torch.empty(4, 0)),
            "lora_A is 4x0, lora_B is 6x4: saved from a shard that holds nothing",
        ),
        (
            pair(a=torch.ones(4, 8, dtype=torch.int8)),
            "lora_A holds I8, not floating point numbers",
        ),
        ({"q.lora_A.weight": torch.randn(4, 8)}, "adapter.safetensors has no tensor q.lora_B.weight"),
    ],
)
def test_adapter_alone(tensors: dict[str, Tensor], message: str, tmp_path: Path) -> None:
    file = saved(tensors, tmp_path / "adapter.safetensors")
    (verdict,) = verify([claim(file)])
    assert (verdict.status, verdict.message) == ("failed" if message else "ok", message)


def claim(file: Path, **changes: Any) -> ModuleClaim:
    values: dict[str, Any] = {"module": "q", "rank": 4, "declared": 2.0, "a": TensorRef(file, "q.lora_A.weight")}
    return ModuleClaim(**(values | {"b": TensorRef(file, "q.lora_B.weight")} | changes))


@pytest.mark.parametrize(
    ("declared", "status", "message"),
    [
        (None, "undecided", "the config doesn't settle the scale"),
        (0.0, "failed", "the scale is 0"),
        (math.inf, "failed", "the scale is inf"),
        (-2.0, "ok", ""),
    ],
)
def test_declared_scale_alone(declared: float | None, status: str, message: str, tmp_path: Path) -> None:
    (verdict,) = verify([claim(saved(pair(), tmp_path / "a.safetensors"), declared=declared)])
    assert (verdict.status, verdict.message) == (status, message)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_adapters_of_every_dtype_are_read(dtype: torch.dtype, tmp_path: Path) -> None:
    file = saved({name: tensor.to(dtype) for name, tensor in pair().items()}, tmp_path / "a.safetensors")
    (verdict,) = verify([claim(file)])
    assert verdict.status == "ok", verdict


@pytest.mark.parametrize(
    ("base", "merged", "status", "words"),
    [
        ({}, {}, "undecided", "the base weights hold no q.weight"),
        ({"q.weight": torch.randn(6, 8)}, {}, "undecided", "the merged weights hold no q.weight"),
        (
            {"q.weight": torch.randint(9, (24, 1)).to(torch.uint8)},
            {"q.weight": torch.randn(6, 8)},
            "undecided",
            "stored as U8, which is quantised",
        ),
        (
            {"q.weight": torch.randn(6, 8)},
            {"q.weight": torch.randn(8, 8)},
            "failed",
            "base weight is 6x8, merged weight is 8x8",
        ),
        ({"q.weight": torch.randn(7, 8)}, {"q.weight": torch.randn(7, 8)}, "failed", "the weight is 7x8, B @ A is 6x8"),
        ({"q.weight": torch.randn(6, 8)}, {"q.weight": torch.full((6, 8), math.nan)}, "failed", "not finite"),
        ({"a.q.weight": torch.randn(6, 8)}, {"q.weight": torch.randn(6, 8)}, "undecided", "hold no q.weight"),
        (
            {"model.q.weight": torch.randn(6, 8), "language_model.q.weight": torch.randn(6, 8)},
            {},
            "undecided",
            "hold no q.weight",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(
    base: dict[str, Tensor], merged: dict[str, Tensor], status: str, words: str, tmp_path: Path
) -> None:
    file = saved(pair(), tmp_path / "adapter.safetensors")
    before, after = (
        Weights.open(saved(tensors, tmp_path / name / "model.safetensors"))
        for name, tensors in (("b", base), ("m", merged))
    )
    (verdict,) = verify([claim(file)], base=before, merged=after)
    assert (verdict.status, words in verdict.message) == (status, True), verdict


def test_a_base_in_a_dtype_that_is_not_read_is_no_fault(tmp_path: Path) -> None:
    file = saved(pair(), tmp_path / "adapter.safetensors")
    base = write_safetensors(tmp_path / "base.safetensors", {"q.weight": ("F4", (6, 8))})
    merged = saved({"q.weight": torch.randn(6, 8)}, tmp_path / "merged.safetensors")
    (verdict,) = verify([claim(file)], base=Weights.open(base), merged=Weights.open(merged))
    assert (verdict.status, verdict.measured) == ("undecided", None)
    assert verdict.message == "the base weight is stored as F4, which is quantised: it can't be read here"


@pytest.mark.parametrize(
    ("shape", "fault"), [((6, 1), ""), ((1, 8), ""), ((1, 7), "the magnitude has 7 entries for 6")]
)
def test_a_magnitude_of_lycoris_is_that_of_outputs_or_inputs(
    shape: tuple[int, ...], fault: str, tmp_path: Path
) -> None:
    file = saved(pair() | {"q.dora_scale": torch.rand(shape) + 1}, tmp_path / "adapter.safetensors")
    mine = claim(file, magnitude=TensorRef(file, "q.dora_scale"))
    (verdict,) = verify([mine])
    assert (verdict.status, verdict.message.startswith(fault)) == ("failed" if fault else "ok", True), verdict
    if shape == (1, 8):
        weights = Weights.open(saved({"q.weight": torch.randn(6, 8)}, tmp_path / "model.safetensors"))
        (verdict,) = verify([mine], base=weights, merged=weights)
        assert (verdict.status, verdict.message) == ("undecided", "not measured: the magnitude is that of the inputs")


def test_one_of_base_and_merged_is_misuse(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="both are needed"):
        verify([], base=Weights({}))


def sharded(root: Path, weight_map: object) -> Path:
    root.mkdir(exist_ok=True)
    (root / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return root


def test_shards_and_pickles_hold_the_same(tmp_path: Path) -> None:
    weights = {"a.weight": torch.randn(4, 4), "b.weight": torch.randn(4, 4)}
    root = sharded(tmp_path / "shards", {"a.weight": "one.safetensors", "b.weight": "two.safetensors"})
    saved({"a.weight": weights["a.weight"]}, root / "one.safetensors")
    saved({"b.weight": weights["b.weight"]}, root / "two.safetensors")
    (tmp_path / "pickled").mkdir()
    torch.save(weights, tmp_path / "pickled" / "pytorch_model.bin")
    for folder in (root, tmp_path / "pickled"):
        opened = Weights.open(folder)
        for name, tensor in weights.items():
            ref = opened.find(name.removesuffix(".weight"))
            assert ref is not None
            assert torch.equal(opened.files.tensor(ref), tensor)


def test_shards_of_a_hugging_face_cache_may_be_links_to_its_blobs(tmp_path: Path) -> None:
    cache = tmp_path / "models--acme--model"
    blob = saved({"q.weight": torch.randn(2, 2)}, cache / "blobs" / "0a1b")
    folder = cache / "snapshots" / "main"
    folder.mkdir(parents=True)
    (folder / "one.safetensors").symlink_to(blob)
    sharded(folder, {"q.weight": "one.safetensors"})
    assert Weights.open(folder).find("q") is not None


def outside(root: Path) -> Path:
    saved({"q.weight": torch.randn(2, 2)}, root / "elsewhere.safetensors")
    return sharded(root / "model", {"q.weight": "../elsewhere.safetensors"})


def linked_outside(root: Path) -> Path:
    target = saved({"q.weight": torch.randn(2, 2)}, root / "elsewhere.safetensors")
    folder = sharded(root / "model", {"q.weight": "one.safetensors"})
    (folder / "one.safetensors").symlink_to(target)
    return folder


def written(name: str, data: bytes) -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        (root / name).write_bytes(data)
        return root / name

    return write


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch attacked",)


def attack(root: Path) -> Path:
    torch.save({"q.weight": Attack()}, root / "pytorch_model.bin")
    return root


def object_in_place_of_tensors(root: Path) -> Path:
    torch.save([1, 2], root / "pytorch_model.bin")
    return root


def looping_link(root: Path) -> Path:
    (root / "model.safetensors").symlink_to("model.safetensors")
    return root / "model.safetensors"


def folder_as_file(root: Path) -> Path:
    (root / "model.safetensors").mkdir()
    return sharded(root, {"q.weight": "model.safetensors"})


HEADER = json.dumps({"q.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: root / "nowhere.safetensors", "No such file"),
        (lambda root: root, "holds no weights"),
        (looping_link, "nowhere to go|symbolic links"),
        (folder_as_file, "missing"),
        (written("model.safetensors", b""), "empty"),
        (written("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "Git LFS"),
        (written("model.safetensors", b"\xff" * 64), "bytes"),
        (written("model.safetensors", len(HEADER).to_bytes(8, "little") + HEADER + b"\0" * 7), "bytes of data"),
        (written("pytorch_model.bin", b""), "not a file of plain tensors"),
        (written("pytorch_model.bin", b"\x80\x02" + b"(" * 1000), "not a file of plain tensors"),
        (written("pytorch_model.bin", b"PK\x05\x06" + b"\0" * 18), "not a file of plain tensors"),
        (attack, "not a file of plain tensors"),
        (object_in_place_of_tensors, "holds a list"),
        (outside, "outside the folder"),
        (linked_outside, "outside the folder"),
        (lambda root: sharded(root, {"q.weight": "/etc/passwd"}), "outside the folder"),
        (lambda root: sharded(root, {"q.weight": "a\0b"}), "no index|outside"),
        (lambda root: sharded(root, {"q.weight": "gone.safetensors"}), "missing"),
        (lambda root: sharded(root, {"q.weight": ["a", "b"]}), "no index of shards"),
        (lambda root: sharded(root, [1, 2]), "no index of shards"),
        (written("model.safetensors.index.json", b"[" * 100_000), "no index of shards"),
        (written("model.safetensors.index.json", b"\xff\xfe{"), "no index of shards"),
    ],
)
def test_broken_weights_end_in_a_message(
    make: Callable[[Path], Path], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = make(tmp_path)
    with pytest.raises(UnreadableError, match=words):
        Weights.open(path)
    assert not (tmp_path / "attacked").exists()


def test_broken_adapter_is_a_failed_verdict(tmp_path: Path) -> None:
    file = written("adapter_model.safetensors", b"\xff" * 64)(tmp_path)
    (verdict,) = verify([claim(file)])
    assert (verdict.status, verdict.cause) == ("failed", "unreadable")
    assert verdict.message.startswith("adapter_model.safetensors: ")


def test_misaligned_data_is_read(tmp_path: Path) -> None:
    header = HEADER + b" " * (3 - len(HEADER) % 8 % 3)
    values = torch.arange(4.0)
    file = tmp_path / "model.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + values.numpy().tobytes())
    assert torch.equal(TensorFiles().tensor(TensorRef(file, "q.weight")).flatten(), values)


def test_verdicts_keep_the_order_of_the_claims(tmp_path: Path) -> None:
    names = [f"layers.{index}" for index in range(12)]
    tensors = {
        f"{name}.{part}": tensor
        for name in names
        for part, tensor in (("a", torch.randn(4, 8)), ("b", torch.randn(6, 4)))
    }
    file = saved(tensors, tmp_path / "adapter.safetensors")
    claims = [
        ModuleClaim(name, 4, 2.0, TensorRef(file, f"{name}.a"), TensorRef(file, f"{name}.b"))
        for name in reversed(names)
    ]
    assert [verdict.module for verdict in verify(claims)] == names[::-1]


def test_without_torch_the_import_says_how_to_get_it() -> None:
    script = "import sys; sys.modules['torch'] = None\nimport lora_lint.reference"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "ImportError: verify needs torch: pip install 'lora-lint[torch]'"
