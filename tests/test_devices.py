"""Blocks of weights on whatever devices there are: equal to the CPU's, in order, and never mixed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from lora_lint.reference import Kind, ModuleClaim, ModuleVerdict, Weights, pick_device, pick_devices, verify
from lora_lint.reference import blocks as blocks_of
from lora_lint.reference.blocks import filled, sweep
from lora_lint.reference.device import shares
from lora_lint.reference.heads import mixed, rows_of
from lora_lint.reference.merged import Pair, best_moments, joint_moments, layouts, moments, stretched_moments
from lora_lint.reference.stored import Joined, Part, Plain, Quantised, Rows, picked
from lora_lint.reference.threads import usual_threads
from tests.devices import DEVICES
from tests.test_merges import Made, split

TOLERANCES = {torch.float32: 1e-6, torch.bfloat16: 1e-6, torch.float16: 1e-6, torch.float8_e4m3fn: 1e-6}
"""Of scales, by the dtype of the weights, relative to the CPU: all are widened to float32 first, so that only the order
of the sums differs."""


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rows", [1, 7, 64, 65, 200])
@pytest.mark.parametrize("dtype", [*TOLERANCES, torch.float64])
def test_blocks_come_whole_and_in_order(dtype: torch.dtype, rows: int, device: str) -> None:
    if device == "mps" and dtype not in (torch.float32, torch.bfloat16, torch.float16):
        pytest.skip("mps has no such numbers")
    working = torch.float64 if dtype == torch.float64 else torch.float32
    base, merged = (torch.randn(rows, 48).to(dtype) for _ in range(2))
    room = torch.empty(8, 48, dtype=working, device=device)
    found = [
        (block.start, block.change.cpu().clone(), block.weight.cpu().clone())
        for block in filled(Plain(base), Plain(merged), room, range(0, rows, 8), stride=2)
    ]
    assert [start for start, _, _ in found] == list(range(0, rows, 8))
    # Blocks of 8 rows begin at even ones. 16 bits are subtracted in 16 bits.
    assert torch.equal(torch.cat([weight for _, _, weight in found]), base[::2].to(working))
    change = torch.cat([change for _, change, _ in found])
    torch.testing.assert_close(change, merged.to(working) - base.to(working), rtol=torch.finfo(dtype).eps / 2, atol=0)


@pytest.mark.parametrize("device", DEVICES)
def test_what_is_launched_for_a_block_sees_that_block(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The results stay on the device till the end, while the memory they came from is written again and again."""
    monkeypatch.setattr(blocks_of, "BLOCK", dict.fromkeys(("cpu", "cuda", "mps"), 48 * 4))
    base, merged = torch.randn(403, 48), torch.randn(403, 48)
    like = torch.empty(0, device=device)
    sums = sweep(Plain(base), Plain(merged), like, lambda _: None, lambda block: torch.stack(block[1:]).sum(2))
    expected = torch.stack((merged - base, base)).sum(2)
    torch.testing.assert_close(torch.cat(sums, dim=1).cpu(), expected)


def merge(root: Path, dtype: torch.dtype) -> tuple[list[ModuleClaim], Weights, Weights]:
    made = Made(root)
    pairs = {f"layers.{layer}.q": made.pair(96 + 16 * layer, 64) for layer in range(7)}
    weights = {name: made.random(b.shape[0], 64, spread=0.05) for name, (_, b) in pairs.items()}
    after = {name: weights[name] + 2.0 * b @ a for name, (a, b) in pairs.items()}
    base, merged = ({name: tensor.to(dtype) for name, tensor in split(tensors).items()} for tensors in (weights, after))
    return made.claims(pairs), made.weights("base", base), made.weights("merged", merged)


def measured(verdicts: Iterator[ModuleVerdict]) -> tuple[list[str], list[float | None]]:
    found = list(verdicts)
    return [verdict.module for verdict in found], [verdict.measured for verdict in found]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("device", DEVICES)
def test_scales_are_those_of_the_cpu(device: str, dtype: torch.dtype, tmp_path: Path) -> None:
    if device == "mps" and dtype == torch.float8_e4m3fn:
        pytest.skip("mps has no such numbers")
    claims, base, merged = merge(tmp_path, dtype)
    names, expected = measured(verify(claims, base=base, merged=merged))
    there, found = measured(verify(claims, device=torch.device(device), base=base, merged=merged))
    assert there == names
    assert found == pytest.approx(expected, rel=TOLERANCES[dtype])


@pytest.mark.parametrize("devices", [["cpu", "cpu"], ["cpu", "cpu", "cpu"], DEVICES], ids=",".join)
def test_several_devices_give_the_same_verdicts_in_the_same_order(devices: list[str], tmp_path: Path) -> None:
    claims, base, merged = merge(tmp_path, torch.bfloat16)
    names, expected = measured(verify(claims, base=base, merged=merged))
    together = [torch.device(name) for name in devices]
    there, found = measured(verify(claims, device=together, base=base, merged=merged))
    assert there == names
    assert found == pytest.approx(expected, rel=1e-6)
    assert torch.get_num_threads() == usual_threads()


@pytest.mark.parametrize(
    ("sizes", "count", "places"),
    [
        ([1, 1, 1, 1], 2, [0, 0, 1, 1]),
        ([4, 1, 1, 1, 1], 2, [0, 1, 1, 1, 1]),
        ([1, 1, 1, 1, 4], 2, [0, 0, 0, 0, 1]),
        ([1, 1, 1], 1, [0, 0, 0]),
        ([5], 3, [1]),
        ([0, 0], 2, [0, 0]),
        ([], 2, []),
    ],
)
def test_modules_are_shared_out_in_ranges_of_about_one_size(sizes: list[int], count: int, places: list[int]) -> None:
    assert shares(sizes, count) == places


def test_auto_takes_every_gpu_and_a_name_takes_one() -> None:
    gpus = torch.cuda.device_count()
    assert len(pick_devices("auto")) == max(1, gpus)
    assert pick_devices("cpu") == [torch.device("cpu")]
    assert pick_devices("auto")[0].type == pick_device("auto").type


@pytest.fixture
def fake() -> Iterator[FakeTensorMode]:
    with FakeTensorMode(allow_non_fake_inputs=False) as mode:
        yield mode


def empty(*shape: int, device: str = "cuda", dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=device)


@pytest.mark.parametrize("kind", ["plain", "quantised", "part", "joined", "picked", "mixed"])
def test_every_kind_of_weight_goes_to_the_device_of_the_adapter(kind: str, fake: FakeTensorMode) -> None:
    plain = Plain(empty(64, 32, device="cpu", dtype=torch.bfloat16))
    coded = Quantised(plain.shape, 2048, lambda _, length: empty(length, 32, device="cpu"), 0.1)
    weights: dict[str, Rows] = {"plain": plain, "quantised": coded}
    weights |= {"part": Part(coded, 0, 64), "joined": Joined([plain])}
    heads = rows_of({"model_type": "bloom", "n_head": 2}, "query_key_value", 192)
    assert heads is not None
    three = Joined([plain, coded, plain])
    weights |= {"picked": picked(three, heads["k"]), "mixed": Part(picked(three, mixed(heads)), 0, 64)}
    weight = weights[kind]
    pair = Pair(empty(4, 32), empty(64, 4))
    (factors,) = layouts(pair, weight.shape)
    assert moments(weight, plain, (factors, factors)).device.type == "cuda"
    assert stretched_moments(weight, plain, factors).dd.device.type == "cuda"


@pytest.mark.parametrize("kind", ["linear", "embedding", "conv"])
def test_an_adapter_on_two_devices_is_an_error_under_the_fake_mode(kind: Kind, fake: FakeTensorMode) -> None:
    shape = (32, 64) if kind == "embedding" else (64, 32)
    weight = Plain(empty(*shape, device="cpu"))
    pair = Pair(empty(4, 32), empty(64, 4, device="cpu"), kind)
    (factors,) = layouts(pair, weight.shape)
    with pytest.raises(RuntimeError):
        joint_moments(weight, weight, factors)


@pytest.mark.parametrize("device", DEVICES)
def test_experts_are_measured_on_every_device(device: str) -> None:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(3, 48, 32, generator=generator)
    a, b = torch.randn(12, 32, generator=generator), torch.randn(48, 12, generator=generator)
    update = torch.stack([b[:, expert::3] @ a[4 * expert : 4 * expert + 4] for expert in range(3)])
    pair = Pair(a.to(device), b.to(device), "experts")
    sums = best_moments(Plain(base), Plain(base + 2 * update), pair)
    assert sums.measurement().scale == pytest.approx(2.0, rel=1e-5)
