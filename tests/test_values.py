"""The numbers of an adapter's tensors against float64, and what the rules say where a page can't show it."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from lora_lint.reference import ModuleClaim, ModuleVerdict, TensorRef, verify
from lora_lint.reference.values import largest, norm, rows_with_numbers, spectrum
from lora_lint.update import Rows

pytestmark = pytest.mark.usefixtures("on_every_device")

FLOATS = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2]


@pytest.mark.parametrize("dtype", FLOATS)
def test_norm_is_that_of_float64(dtype: torch.dtype) -> None:
    values = torch.randn(300, 700, generator=torch.Generator().manual_seed(0)).to(dtype)
    exact = torch.linalg.vector_norm(values.double()).item()
    if dtype.itemsize == 2:
        assert exact <= norm(values) <= (1 + 2 * torch.finfo(dtype).eps) * exact
    else:
        assert norm(values) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (torch.zeros(4, 8), 0.0),
        (torch.full((4, 4), 1e-30), 4e-30),
        (torch.full((4, 4), 3e38), 1.2e39),
        (torch.full((4, 4), 6e-8, dtype=torch.float16), 4 * 5.960464477539063e-08),
        (torch.full((4, 4), 65504.0, dtype=torch.float16), 262016.0),
        (torch.tensor([1.0, math.nan]), math.nan),
        (torch.tensor([-math.inf, math.inf]), math.nan),
        (torch.tensor([1.0, math.inf], dtype=torch.bfloat16), math.nan),
        (torch.tensor([1.0, math.nan]).to(torch.float8_e4m3fn), math.nan),
    ],
)
def test_norm_is_finite_where_all_values_are_and_zero_where_all_are(values: Tensor, expected: float) -> None:
    precision = 2 * torch.finfo(values.dtype).eps if values.itemsize == 2 else 1e-6
    assert norm(values) == pytest.approx(expected, rel=precision, nan_ok=True)


def with_rows(total: int, start: int, end: int) -> Tensor:
    tensor = torch.zeros(total, 4)
    tensor[start:end, 1] = 1.0
    return tensor


@pytest.mark.parametrize(
    ("tensor", "rows", "shards"),
    [
        (with_rows(64, 0, 16), Rows(0, 16, 64), 4),
        (with_rows(64, 16, 32), Rows(16, 32, 64), 4),
        (with_rows(4096, 3584, 4096), Rows(3584, 4096, 4096), 8),
        (with_rows(10, 0, 4), Rows(0, 4, 10), 3),  # torch.chunk(10, 3) gives 4, 4 and 2
        (with_rows(64, 3, 20), Rows(3, 20, 64), 0),
        (with_rows(64, 0, 33), None, 0),
        (with_rows(64, 0, 64), None, 0),
        (with_rows(64, 0, 0), None, 0),
        (torch.cat((with_rows(32, 0, 4), with_rows(32, 0, 4))), None, 0),
    ],
)
def test_rows_that_a_shard_leaves(tensor: Tensor, rows: Rows | None, shards: int) -> None:
    found = rows_with_numbers(tensor)
    assert (found, found.shards if found else 0) == (rows, shards)


@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e15])
@pytest.mark.parametrize("rank", [1, 3, 16])
def test_spectrum_is_that_of_the_product(rank: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(rank)
    a, b = torch.randn(rank, 80, generator=generator), torch.randn(48, rank, generator=generator)
    b *= torch.logspace(0, -2, rank)
    values = torch.linalg.svdvals(b.double() @ a.double())
    shares = values.square() / values.square().sum()
    found, effective = spectrum(scale * a, b).tolist()
    assert found == pytest.approx(scale * values.norm().item(), rel=1e-5)
    assert effective == pytest.approx(math.exp(-(shares[:rank] * shares[:rank].log()).sum().item()), rel=1e-4)
    assert largest(a, b, entries=100).item() == pytest.approx((b @ a).abs().max().item(), rel=1e-5)


def test_effective_rank_is_r_for_equal_directions_and_1_for_one() -> None:
    eye = torch.eye(4, 8)
    assert spectrum(eye, eye.T)[1].item() == pytest.approx(4.0)
    assert spectrum(torch.ones(4, 8), torch.ones(6, 4))[1].item() == pytest.approx(1.0, abs=1e-5)


def test_kernels_stay_on_their_device() -> None:
    with FakeTensorMode(allow_non_fake_inputs=False):
        a, b = torch.empty(4, 8, device="cuda"), torch.empty(6, 4, device="cuda")
        assert largest(a, b).device.type == "cuda"
        assert spectrum(a, b).device.type == "cpu"  # r x r is taken apart there


def verdicts(folder: Path, tensors: dict[str, Tensor], modules: tuple[str, ...]) -> list[ModuleVerdict]:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "adapter_model.safetensors"
    save_file(tensors, file)

    def claim(name: str) -> ModuleClaim:
        magnitude = TensorRef(file, f"{name}.lora_magnitude_vector")
        return ModuleClaim(
            name,
            4,
            2.0,
            TensorRef(file, f"{name}.lora_A.weight"),
            TensorRef(file, f"{name}.lora_B.weight"),
            magnitude=magnitude if magnitude.name in tensors else None,
        )

    return list(verify(map(claim, modules)))


def pair(name: str, b: Tensor | None = None) -> dict[str, Tensor]:
    return {f"{name}.lora_A.weight": torch.randn(4, 8), f"{name}.lora_B.weight": torch.randn(6, 4) if b is None else b}


ZERO = torch.zeros(6, 4)


@pytest.mark.parametrize(
    ("folder", "modules", "statuses", "message"),
    [
        ("checkpoint-0", {"q": ZERO, "v": ZERO.clone()}, ["ok", "ok"], "adds nothing: lora_B is all zeros"),
        ("checkpoint-10", {"q": ZERO, "v": ZERO.clone()}, ["failed", "failed"], "adds nothing: lora_B is all zeros"),
        ("out", {"q": ZERO, "v": None}, ["warning", "ok"], "adds nothing: lora_B is all zeros, as in 1 of 2 modules"),
        ("out", {"mlp.experts.3.up": ZERO, "v": None}, ["ok", "ok"], "as in 1 of 2 modules"),
    ],
)
def test_what_adds_nothing_and_why_it_may(
    folder: str, modules: dict[str, Tensor | None], statuses: list[str], message: str, tmp_path: Path
) -> None:
    tensors = {key: value for name, b in modules.items() for key, value in pair(name, b).items()}
    found = verdicts(tmp_path / folder, tensors, tuple(modules))
    assert [verdict.status for verdict in found] == statuses
    assert found[0].message.endswith(message)


def test_a_magnitude_that_is_not_finite_fails_its_module(tmp_path: Path) -> None:
    tensors = pair("q") | {"q.lora_magnitude_vector": torch.tensor([1.0, 1, 1, 1, 1, math.nan])}
    (verdict,) = verdicts(tmp_path, tensors, ("q",))
    assert (verdict.status, verdict.rule) == ("failed", "values-not-finite")
    assert verdict.message == "lora_magnitude_vector holds values that are not finite"


def test_a_frozen_a_that_all_modules_share_is_no_fault(tmp_path: Path) -> None:
    tensors = pair("q") | pair("v")
    tensors["v.lora_A.weight"] = tensors["q.lora_A.weight"].clone()
    assert [verdict.message for verdict in verdicts(tmp_path, tensors, ("q", "v"))] == ["", ""]


def test_equal_norms_alone_do_not_make_modules_identical(tmp_path: Path) -> None:
    tensors = pair("q")
    tensors |= {name.replace("q", "v", 1): tensor.flip(0) for name, tensor in tensors.items()}
    assert [verdict.rule for verdict in verdicts(tmp_path, tensors, ("q", "v"))] == ["", ""]
