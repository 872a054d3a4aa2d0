"""Merges that PEFT made, or that somebody spoilt, with weights that are quantised, tied, fused or shared."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from lora_lint.reference import ModuleClaim, ModuleVerdict, TensorRef, Weights, likely_cause, verify
from tests.test_verify import Tiny, adapted, claims_of, saved

pytestmark = pytest.mark.usefixtures("on_every_device")

RANK, SCALE = 8, 2.0


class Made:
    """An adapter, a base and a merged model in a folder, made of plain tensors."""

    def __init__(self, root: Path, seed: int = 0) -> None:
        self.root = root
        self.generator = torch.Generator().manual_seed(seed)

    def random(self, *shape: int, spread: float = 1.0) -> Tensor:
        return spread * torch.randn(*shape, generator=self.generator)

    def pair(self, out: int, inner: int, rank: int = RANK, spread: float = 0.1) -> tuple[Tensor, Tensor]:
        return self.random(rank, inner), self.random(out, rank, spread=spread)

    def claims(self, pairs: dict[str, tuple[Tensor, Tensor]], file: str = "adapter", **more: Any) -> list[ModuleClaim]:
        tensors = {f"{name}.{part}": one for name, pair in pairs.items() for part, one in zip("ab", pair, strict=True)}
        path = saved(tensors, self.root / f"{file}.safetensors")
        return [
            ModuleClaim(name, a.shape[0], SCALE, TensorRef(path, f"{name}.a"), TensorRef(path, f"{name}.b"), **more)
            for name, (a, _) in pairs.items()
        ]

    def weights(self, name: str, tensors: dict[str, Tensor], config: dict[str, Any] | None = None) -> Weights:
        folder = self.root / name
        saved(tensors, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(config or {}), "utf-8")
        return Weights.open(folder)


def nf4(weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """The tensors that bitsandbytes keeps for a weight, less its name, and the numbers they stand for."""
    levels = torch.tensor([-1, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0])
    levels = torch.cat((levels, torch.tensor([0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.7230, 1])))
    blocks = weight.float().view(-1, 64)
    absmax = blocks.abs().amax(1)
    codes = ((blocks / absmax[:, None]).unsqueeze(2) - levels).abs().argmin(2)
    both = codes.view(-1, 2)
    text = json.dumps({"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": list(weight.shape)})
    kept = {
        "weight": (both[:, 0] * 16 + both[:, 1]).to(torch.uint8).unsqueeze(1),
        "weight.absmax": absmax,
        "weight.quant_map": levels,
        "weight.quant_state.bitsandbytes__nf4": torch.tensor(list(text.encode()), dtype=torch.uint8),
    }
    return kept, (levels[codes] * absmax[:, None]).view(weight.shape)


def int8(weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    largest = weight.float().abs().amax(1)
    codes = (weight.float() * 127 / largest[:, None]).round().to(torch.int8)
    return {"weight": codes, "SCB": largest}, codes.float() * largest[:, None] / 127


def float8(weight: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    codes = (weight.float() / 0.01).clamp(-448, 448).to(torch.float8_e4m3fn)
    return {"weight": codes, "weight_scale": torch.tensor(0.01)}, codes.float() * 0.01


@pytest.mark.parametrize(
    ("quantise", "merged_on", "applied", "status", "words"),
    [
        (nf4, "codes", SCALE, "ok", ""),
        (nf4, "codes", 4.0, "failed", "applied twice"),
        (nf4, "codes", 0.0, "failed", "not applied"),
        (nf4, "original", SCALE, "ok", ""),
        (nf4, "original", 4.0, "undecided", "before that was quantised"),
        (int8, "codes", SCALE, "ok", ""),
        (int8, "codes", 16.0, "failed", "alpha not divided by r"),
        (int8, "original", SCALE, "ok", ""),
        (float8, "codes", SCALE, "ok", ""),
        (float8, "codes", SCALE / RANK, "failed", "alpha divided by r twice"),
    ],
)
def test_a_quantised_base(
    quantise: Callable[[Tensor], tuple[dict[str, Tensor], Tensor]],
    merged_on: str,
    applied: float,
    status: str,
    words: str,
    tmp_path: Path,
) -> None:
    made = Made(tmp_path)
    weight, (a, b) = made.random(512, 512), made.pair(512, 512, spread=0.02)
    kept, numbers = quantise(weight)
    start = numbers if merged_on == "codes" else weight
    base = made.weights("base", {f"q.{name}": tensor for name, tensor in kept.items()})
    merged = made.weights("merged", {"q.weight": (start + applied * b @ a).bfloat16()})
    (verdict,) = verify(made.claims({"q": (a, b)}), base=base, merged=merged)
    assert (verdict.status, words in verdict.message) == (status, True), verdict
    assert verdict.measured == pytest.approx(applied, rel=0.05, abs=0.02)


def test_an_update_smaller_than_the_grid_it_was_quantised_to_is_undecided(tmp_path: Path) -> None:
    made = Made(tmp_path)
    weight, (a, b) = made.random(256, 256), made.pair(256, 256, spread=0.002)
    base = made.weights("base", {f"q.{name}": tensor for name, tensor in nf4(weight)[0].items()})
    after, _ = nf4(nf4(weight)[1] + SCALE * b @ a)
    merged = made.weights("merged", {f"q.{name}": tensor for name, tensor in after.items()})
    (verdict,) = verify(made.claims({"q": (a, b)}), base=base, merged=merged)
    assert (verdict.status, "times the rounding" in verdict.message) == ("undecided", True), verdict


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(120, 64)
        self.lm_head = nn.Linear(64, 120, bias=False)
        self.lm_head.weight = self.embed_tokens.weight


@pytest.mark.parametrize("targets", [["lm_head"], ["embed_tokens"], ["embed_tokens", "lm_head"]], ids="-".join)
@pytest.mark.parametrize("kept", ["embed_tokens.weight", "lm_head.weight"])
def test_tied_embeddings_are_one_weight(targets: list[str], kept: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Tied()
    base = {kept: model.lm_head.weight.detach().clone()}
    wrapped = adapted(model, LoraConfig(r=4, lora_alpha=8, target_modules=targets), spread=0.2)
    wrapped.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    claims = list(claims_of(wrapped, tmp_path / "adapter" / "adapter_model.safetensors"))
    # PEFT adds each update to the one weight that both modules hold.
    merged = {kept: wrapped.merge_and_unload().lm_head.weight}
    made = Made(tmp_path)
    verdicts = list(verify(claims, base=made.weights("base", base), merged=made.weights("merged", merged)))
    assert [(verdict.status, verdict.message) for verdict in verdicts] == [("ok", "")] * len(targets)
    assert [verdict.measured for verdict in verdicts] == pytest.approx([2.0] * len(targets), rel=1e-4)


def attention(
    made: Made, grouped: int
) -> tuple[dict[str, Tensor], dict[str, tuple[Tensor, Tensor]], dict[str, Tensor]]:
    """Split weights of a query of 64 rows, a key and a value of `grouped`; updates; and what they are merged into."""
    heights = {"q_proj": 64, "k_proj": grouped, "v_proj": grouped, "gate_proj": 96, "up_proj": 96}
    weights = {f"l.{name}": made.random(rows, 64) for name, rows in heights.items()}
    pairs = {f"l.{name}": made.pair(rows, 64) for name, rows in heights.items()}
    after = {name: weight + SCALE * pairs[name][1] @ pairs[name][0] for name, weight in weights.items()}
    return weights, pairs, after


def split(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}.weight": weight for name, weight in weights.items()}


def fused(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        "l.qkv_proj.weight": torch.cat([weights[f"l.{name}_proj"] for name in "qkv"]),
        "l.gate_up_proj.weight": torch.cat([weights["l.gate_proj"], weights["l.up_proj"]]),
    }


@pytest.mark.parametrize("grouped", [64, 16])
@pytest.mark.parametrize(("before", "later"), [(split, fused), (fused, fused), (fused, split)])
@pytest.mark.parametrize("targets", ["qkv", "qv", "v"])
def test_split_targets_in_fused_weights(
    targets: str,
    before: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    later: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    grouped: int,
    tmp_path: Path,
) -> None:
    made = Made(tmp_path)
    weights, pairs, after = attention(made, grouped)
    names = [f"l.{name}_proj" for name in (*targets, "gate", "up")]
    after = {name: after[name] if name in names else weight for name, weight in weights.items()}
    base, merged = made.weights("base", before(weights)), made.weights("merged", later(after))
    verdicts = list(verify(made.claims({name: pairs[name] for name in names}), base=base, merged=merged))
    assert [(verdict.status, verdict.message) for verdict in verdicts] == [("ok", "")] * len(names)


def test_a_fused_target_in_split_weights(tmp_path: Path) -> None:
    made = Made(tmp_path)
    weights, _, _ = attention(made, 16)
    a, b = made.pair(96, 64)
    parts = torch.split(SCALE * b @ a, [64, 16, 16])
    after = weights | {
        f"l.{name}_proj": weights[f"l.{name}_proj"] + part for name, part in zip("qkv", parts, strict=True)
    }
    base, merged = made.weights("base", split(weights)), made.weights("merged", split(after))
    (verdict,) = verify(made.claims({"l.qkv_proj": (a, b)}), base=base, merged=merged)
    assert verdict.status == "ok", verdict
    assert verdict.measured == pytest.approx(2.0, rel=1e-4)


def test_rows_that_are_fused_in_another_order_are_no_fault(tmp_path: Path) -> None:
    made = Made(tmp_path)
    weights, pairs, after = attention(made, 64)
    order = torch.randperm(192, generator=made.generator)
    base, merged = (
        made.weights(name, {"l.qkv_proj.weight": fused(tensors)["l.qkv_proj.weight"][order]})
        for name, tensors in (("base", weights), ("merged", after))
    )
    claims = made.claims({name: pairs[name] for name in ("l.q_proj", "l.k_proj", "l.v_proj")})
    for verdict in verify(claims, base=base, merged=merged):
        assert (verdict.status, "rows in another order" in verdict.message) == ("undecided", True), verdict


def two_adapters(root: Path) -> tuple[list[ModuleClaim], list[ModuleClaim], Weights, Weights]:
    """Two adapters of PEFT, merged into the same base one after the other."""
    torch.manual_seed(0)
    model = Tiny()
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    wrapped = adapted(model, LoraConfig(r=4, lora_alpha=8, target_modules=["up", "square", "tokens", "patch"]))
    wrapped.add_adapter("second", LoraConfig(r=2, lora_alpha=6, target_modules=["up", "square", "tokens"]))
    for name, parameter in wrapped.named_parameters():
        if "second" in name:
            nn.init.normal_(parameter, std=0.1)
    wrapped.save_pretrained(root / "adapters", selected_adapters=["default", "second"])
    files = (
        root / "adapters" / "adapter_model.safetensors",
        root / "adapters" / "second" / "adapter_model.safetensors",
    )
    first = list(claims_of(wrapped, files[0]))
    second = [
        ModuleClaim(claim.module, 2, 3.0, claim.a._replace(file=files[1]), claim.b._replace(file=files[1]), claim.kind)
        for claim in first
        if claim.module != "patch"
    ]
    merged = wrapped.merge_and_unload(adapter_names=["default", "second"]).state_dict()
    made = Made(root)
    return first, second, made.weights("base", base), made.weights("merged", merged)


def test_adapters_that_were_merged_together_are_told_apart(tmp_path: Path) -> None:
    first, second, base, merged = two_adapters(tmp_path)
    alone = [verdict.status for verdict in verify(first, base=base, merged=merged)]
    assert sorted(alone) == ["failed", "failed", "failed", "ok"]
    for claims, also, scale in ((first, second, 2.0), (second, first, 3.0)):
        for verdict in verify(claims, also=also, base=base, merged=merged):
            assert verdict.status == "ok", verdict
            assert verdict.measured == pytest.approx(scale, rel=1e-3)


def merged_by(root: Path, scale_of: Callable[[int], float], ranks: tuple[int, ...]) -> Iterator[ModuleVerdict]:
    """Verdicts on modules of different ranks, alpha 16, into which `scale_of(rank)` was merged."""
    made = Made(root)
    pairs = {f"m{index}": made.pair(96, 64, rank) for index, rank in enumerate(ranks)}
    weights = {name: made.random(96, 64) for name in pairs}
    after = {name: weights[name] + scale_of(a.shape[0]) * b @ a for name, (a, b) in pairs.items()}
    claims = [
        ModuleClaim(claim.module, claim.rank, 16 / (claim.rank or 1), claim.a, claim.b) for claim in made.claims(pairs)
    ]
    return verify(claims, base=made.weights("base", split(weights)), merged=made.weights("merged", split(after)))


@pytest.mark.parametrize(
    ("scale_of", "cause"),
    [
        (lambda rank: 16 / rank, ""),
        (lambda _: 16 / 24, "alpha divided by 24, the rank of other modules in 2 of 5 modules"),
        (lambda rank: 16 / math.sqrt(rank), "alpha divided by the root of r, not by r"),
    ],
)
def test_the_rank_of_another_module_is_named(scale_of: Callable[[int], float], cause: str, tmp_path: Path) -> None:
    verdicts = list(merged_by(tmp_path, scale_of, (24, 24, 24, 5, 5)))
    assert likely_cause((verdict.status, verdict.cause) for verdict in verdicts).startswith(cause)
    assert bool(cause) == any(verdict.status == "failed" for verdict in verdicts)


def test_a_real_gpt2_with_transposed_and_fused_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=128, n_embd=64, n_layer=2, n_head=2, n_positions=16))
    model.save_pretrained(tmp_path / "base")
    targets = ["c_attn", "c_proj", "c_fc", "lm_head"]
    wrapped: Any = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=targets, fan_in_fan_out=True))
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter, std=0.1)
    wrapped.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
    claims = list(claims_of(wrapped, tmp_path / "adapter" / "adapter_model.safetensors"))
    wrapped.merge_and_unload().save_pretrained(tmp_path / "merged")
    base, merged = Weights.open(tmp_path / "base"), Weights.open(tmp_path / "merged")
    for verdict in verify(claims, base=base, merged=merged):
        assert verdict.status == "ok", verdict
        assert verdict.measured == pytest.approx(2.0, rel=1e-3)
