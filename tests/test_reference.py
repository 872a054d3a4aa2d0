"""The reference module and the measured scale, held against PEFT's own layers and against float64."""

import math
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers.pytorch_utils import Conv1D

from lora_lint.reference import (
    Geometry,
    Kind,
    ReferenceLoRA,
    assert_scale,
    measure_scale,
    merged_scale,
    pick_device,
)
from lora_lint.reference.adapter import sample_forward
from lora_lint.reference.chosen import only
from lora_lint.reference.layer import added
from lora_lint.reference.measure import fit
from lora_lint.reference.merged import Pair, layouts, moments, stretched_moments, update_products
from lora_lint.reference.stored import Plain
from lora_lint.scaling import classic, rslora
from tests.devices import DEVICES


class Zoo(nn.Module):
    """One of every layer that LoRA adapts; square and oblong, with and without bias."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(50, 24)
        self.query = nn.Linear(24, 24, bias=False)
        self.up = nn.Linear(24, 40)
        self.fused = Conv1D(36, 24)  # type: ignore[no-untyped-call]
        self.patch = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.point = nn.Conv2d(8, 6, 1)
        self.sound = nn.Conv1d(5, 7, 4)
        self.grouped = nn.Conv2d(8, 8, 3, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


NAMES = ("tokens", "query", "up", "fused", "patch", "point", "sound", "grouped")


def fill(layer: Any, spread: float = 0.3) -> None:
    """Values for A and B in place of PEFT's initial zeros, and magnitudes other than the initial norms."""
    for name, parameter in layer.named_parameters():
        if "magnitude" in name:
            nn.init.uniform_(parameter, 0.5, 1.5)
        elif "lora_" in name:
            nn.init.normal_(parameter, std=spread)


def lora_layers(config: LoraConfig, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PEFT warns of every odd choice, and these are all odd
        model = get_peft_model(Zoo().to(dtype), config)
    found = {
        name.removeprefix("base_model.model."): module
        for name, module in model.named_modules()
        if isinstance(module, LoraLayer)
    }
    for layer in found.values():
        fill(layer)
    return found


def random_config(seed: int) -> LoraConfig:
    draw = random.Random(seed)
    dora = seed % 3 == 0
    names = draw.sample([name for name in NAMES if not (dora and name == "grouped")], 5)
    return LoraConfig(
        r=draw.choice([2, 4, 8]),
        lora_alpha=draw.choice([1, 3, 8, 16]),
        target_modules=names,
        use_rslora=draw.random() < 0.5,
        use_dora=dora,
        lora_dropout=draw.choice([0.0, 0.5]),
        rank_pattern={draw.choice(names): draw.choice([2, 6])},
        alpha_pattern={draw.choice(names): draw.choice([5, 24])},
        fan_in_fan_out=False,
    )


@pytest.mark.parametrize("seed", range(12))
def test_measured_scale_of_a_peft_layer_is_its_own_scaling(seed: int) -> None:
    torch.manual_seed(seed)
    for name, layer in lora_layers(random_config(seed)).items():
        measured = measure_scale(layer)
        assert measured.scale == pytest.approx(layer.scaling["default"], rel=1e-4), name
        assert measured.residual < 1e-4, name
        assert_scale(layer, layer.scaling["default"])


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("name", ["query", "up", "patch", "point", "sound", "tokens"])
def test_reference_gives_what_peft_gives(name: str, dora: bool) -> None:
    torch.manual_seed(0)
    layer = lora_layers(LoraConfig(r=4, lora_alpha=7, target_modules=[name], use_dora=dora), torch.float64)[name].eval()
    reference = reference_of(layer)
    x = torch.randint(50, (2, 9)) if name == "tokens" else torch.randn(INPUTS[name], dtype=torch.float64)
    torch.testing.assert_close(reference(x), layer(x))
    merged = reference.merged()
    layer.merge()
    torch.testing.assert_close(merged, layer.get_base_layer().weight)


INPUTS = {"query": (3, 24), "up": (2, 3, 24), "patch": (2, 3, 11, 9), "point": (2, 8, 5, 5), "sound": (2, 5, 20)}


def reference_of(layer: Any) -> ReferenceLoRA:
    base, embedding = layer.get_base_layer(), isinstance(layer.get_base_layer(), nn.Embedding)
    a = layer.lora_embedding_A["default"] if embedding else layer.lora_A["default"].weight
    b = layer.lora_embedding_B["default"] if embedding else layer.lora_B["default"].weight
    geometry = (
        Geometry(base.stride, base.padding, base.dilation, base.groups) if hasattr(base, "stride") else Geometry()
    )
    return ReferenceLoRA(
        base.weight,
        a,
        b,
        layer.scaling["default"],
        kind="embedding" if embedding else None,
        bias=getattr(base, "bias", None),
        magnitude=layer.lora_magnitude_vector["default"].weight if layer.lora_magnitude_vector else None,
        geometry=geometry,
    )


@pytest.mark.parametrize(
    ("alpha", "rank", "use_rslora", "scale"), [(16, 8, False, 2.0), (16, 64, True, 2.0), (8, 16, False, 0.5)]
)
def test_scale_comes_from_alpha_and_the_rows_of_a(alpha: float, rank: int, use_rslora: bool, scale: float) -> None:
    a, b = torch.randn(rank, 80), torch.randn(80, rank)
    reference = ReferenceLoRA.from_alpha(torch.randn(80, 80), a, b, alpha, use_rslora=use_rslora)
    assert (reference.rank, reference.scale) == (rank, scale)
    assert_scale(reference, scale)


class Handmade(nn.Module):
    """LoRA as people write it by hand, with a chance to get the scale wrong."""

    def __init__(self, rank: int, multiplier: float, spoil: Callable[[Tensor], Tensor] = lambda y: y) -> None:
        super().__init__()
        self.base = nn.Linear(32, 48)
        self.lora_a = nn.Linear(32, rank, bias=False)
        self.lora_b = nn.Linear(rank, 48, bias=False)
        self.multiplier, self.spoil = multiplier, spoil

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.base(x) + self.spoil(self.multiplier * self.lora_b(self.lora_a(x)))
        return y


@pytest.mark.parametrize(
    ("fault", "multiplier"),
    [
        ("alpha not divided by r", 32.0),
        ("alpha divided by r, where the root was declared", classic(32, 16)),
        ("doubled", 2 * rslora(32, 16)),
        ("halved at r", 32 / (2 * 16)),
        ("left out", 0.0),
    ],
)
def test_assert_scale_refuses_another_scale(fault: str, multiplier: float) -> None:
    layer = Handmade(16, multiplier)
    assert measure_scale(layer).scale == pytest.approx(multiplier, rel=1e-4, abs=1e-6)
    with pytest.raises(AssertionError, match="expected 8"):
        assert_scale(layer, rslora(32, 16))


def test_residual_tells_that_no_single_number_explains_the_change() -> None:
    layer = Handmade(4, 2.0, spoil=lambda y: torch.cat((y[..., :24], 3 * y[..., 24:]), dim=-1))
    assert measure_scale(layer).residual > 0.3
    with pytest.raises(AssertionError, match="unexplained"):
        assert_scale(layer, measure_scale(layer).scale)


def two_adapters() -> Any:
    model: Any = get_peft_model(Zoo(), LoraConfig(r=2, target_modules=["up"]))
    model.add_adapter("second", LoraConfig(r=2, lora_alpha=6, target_modules=["up"]))
    model.base_model.set_adapter(["default", "second"])
    layer = model.base_model.model.up
    fill(layer)
    return layer


def untrained_layer() -> Any:
    model: Any = get_peft_model(Zoo(), LoraConfig(target_modules=["up"]))
    return model.base_model.model.up


def merged_layer() -> Any:
    layer = lora_layers(LoraConfig(r=2, target_modules=["up"]))["up"]
    layer.merge()
    return layer


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: nn.Linear(3, 3), "0 pairs"),
        (two_adapters, "2 pairs of A and B: default, second"),
        (merged_layer, "merged"),
        (untrained_layer, "B A x is zero"),
    ],
)
def test_what_cannot_be_measured_is_said(layer: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure_scale(layer())


def test_one_of_two_active_adapters_can_be_named() -> None:
    assert measure_scale(two_adapters(), adapter="second").scale == pytest.approx(3.0, rel=1e-4)


def test_measuring_leaves_the_layer_as_it_was() -> None:
    layer = lora_layers(LoraConfig(r=2, target_modules=["up"], lora_dropout=0.5))["up"].train()
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    measure_scale(layer)
    assert all(module.training for module in layer.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in layer.state_dict().items())


TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}
"""Of outputs, relative to the largest, against float64 on the CPU."""


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["linear", "conv", "embedding"])
def test_devices_and_dtypes_agree_with_float64_on_the_cpu(kind: Kind, device: str, dtype: torch.dtype) -> None:
    if device == "mps" and dtype == torch.float64:
        pytest.skip("mps has no float64")
    weight, a, b, x = CASES[kind](torch.Generator().manual_seed(0))
    x = x.to(dtype).double() if x.is_floating_point() else x
    tensors = [tensor.to(dtype) for tensor in (weight, a, b)]
    weight, a, b = (tensor.double() for tensor in tensors)
    truth = ReferenceLoRA(weight, a, b, kind=kind)(x)
    weight, a, b = (tensor.to(device) for tensor in tensors)
    layer = ReferenceLoRA(weight, a, b, kind=kind)
    output = layer(x.to(device, dtype if x.is_floating_point() else None)).cpu().double()
    assert (output - truth).abs().max() <= TOLERANCES[dtype] * truth.abs().max()
    assert_scale(layer, 2.0)


def linear_case(g: torch.Generator) -> tuple[Tensor, ...]:
    return (
        torch.randn(48, 32, generator=g),
        torch.randn(4, 32, generator=g),
        torch.randn(48, 4, generator=g),
        torch.randn(5, 32, generator=g),
    )


def conv_case(g: torch.Generator) -> tuple[Tensor, ...]:
    a, b = torch.randn(4, 3, 3, 3, generator=g), torch.randn(8, 4, 1, 1, generator=g)
    return torch.randn(8, 3, 3, 3, generator=g), a, b, torch.randn(2, 3, 7, 7, generator=g)


def embedding_case(g: torch.Generator) -> tuple[Tensor, ...]:
    a, b = torch.randn(4, 30, generator=g), torch.randn(16, 4, generator=g)
    return torch.randn(30, 16, generator=g), a, b, torch.randint(30, (6,), generator=g)


CASES: dict[str, Callable[[torch.Generator], tuple[Tensor, ...]]] = {
    "linear": linear_case,
    "conv": conv_case,
    "embedding": embedding_case,
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-9), (torch.float32, 1e-5), (torch.float16, 1e-3), (torch.bfloat16, 2e-3)],
)
@pytest.mark.parametrize("kind", ["linear", "conv", "embedding"])
def test_merged_scale_is_recovered(kind: Kind, dtype: torch.dtype, tolerance: float, device: str) -> None:
    if device == "mps" and dtype == torch.float64:
        pytest.skip("mps has no float64")
    weight, a, b, _ = (tensor.double() for tensor in CASES[kind](torch.Generator().manual_seed(1)))
    merged = ReferenceLoRA(weight.to(dtype).double(), a, b, 1.5, kind=kind).merged().to(dtype)
    measured = merged_scale(
        weight.to(dtype), merged, a.to(device, torch.float32), b.to(device, torch.float32), kind=kind
    )
    assert measured.scale == pytest.approx(1.5, rel=max(tolerance, 1e-7 if dtype == torch.float64 else 0))
    assert measured.residual < 0.01


def test_merged_scale_is_exact_for_large_half_precision_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = (0.02 * torch.randn(1024, 1024, generator=generator)).bfloat16()
    a, b = 0.02 * torch.randn(16, 1024, generator=generator), 0.02 * torch.randn(1024, 16, generator=generator)
    merged = (weight.double() + 2 * b.double() @ a.double()).bfloat16()
    assert merged_scale(weight, merged, a, b).scale == pytest.approx(2.0, rel=5e-5)


def test_transposed_square_weight_is_recognised() -> None:
    weight, a, b = torch.randn(32, 32), torch.randn(4, 32), torch.randn(32, 4)
    measured = merged_scale(weight, weight + 3 * (b @ a).T, a, b)
    assert measured.scale == pytest.approx(3.0, rel=1e-5)


def test_weights_of_other_shapes_are_refused() -> None:
    a, b = torch.randn(4, 32), torch.randn(16, 4)
    with pytest.raises(ValueError, match=r"the weight is 16x31, B @ A is 16x32"):
        merged_scale(torch.randn(16, 31), torch.randn(16, 31), a, b)


@pytest.fixture
def fake() -> Iterator[FakeTensorMode]:
    """Tensors that know their device and have no values: mixing devices raises, and cuda needs no GPU."""
    with FakeTensorMode(allow_non_fake_inputs=False) as mode:
        yield mode


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("kind", ["linear", "conv", "embedding"])
@torch.no_grad()
def test_reference_never_leaves_its_device(fake: FakeTensorMode, kind: Kind, dora: bool) -> None:
    weight, a, b, x = (torch.empty_like(tensor, device="cuda") for tensor in CASES[kind](torch.Generator()))
    out = b.shape[0]
    magnitude = torch.empty(out, device="cuda") if dora else None
    bias = None if kind == "embedding" else torch.empty(out, device="cuda")
    layer = ReferenceLoRA(weight, a, b, kind=kind, magnitude=magnitude, bias=bias)
    assert layer(x).device.type == layer.merged().device.type == "cuda"
    assert fit(layer, x, only(layer)).device.type == "cuda"


@pytest.mark.parametrize(("kind", "on_cpu"), [("linear", True), ("linear", False), ("embedding", True), ("conv", True)])
def test_weights_go_to_the_device_of_the_adapter(fake: FakeTensorMode, kind: Kind, on_cpu: bool) -> None:
    weight, a, b, _ = (torch.empty_like(tensor, device="cuda") for tensor in CASES[kind](torch.Generator()))
    weight = weight.flatten(1).bfloat16()
    weight = weight.cpu() if on_cpu else weight
    for factors in layouts(Pair(a, b, kind), weight.shape):
        assert moments(Plain(weight), Plain(weight), (factors, factors)).device.type == "cuda"
        assert update_products((factors, factors)).device.type == "cuda"
        stretched = stretched_moments(Plain(weight), Plain(weight), factors)
        assert stretched.fit(torch.empty(b.shape[0], device="cuda")).device.type == "cuda"
    assert sample_forward(a.cpu(), b.cpu(), kind, torch.device("cuda")).device.type == "cuda"


def test_mixed_devices_are_an_error_under_the_fake_mode(fake: FakeTensorMode) -> None:
    with pytest.raises(RuntimeError):
        added(torch.empty(2, 32), torch.empty(4, 32, device="cuda"), torch.empty(8, 4, device="cuda"))


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:99", "cpu:1", "mps:0", ""])
def test_unknown_and_absent_devices_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"no device|no cuda:99 here"):
        pick_device(name)


def test_auto_takes_what_is_there() -> None:
    assert pick_device("auto").type == DEVICES[-1].partition(":")[0]
    assert pick_device("cpu") == torch.device("cpu")


def test_alpha_of_zero_rank_has_no_scale() -> None:
    with pytest.raises(ZeroDivisionError):
        ReferenceLoRA.from_alpha(torch.randn(8, 8), torch.empty(0, 8), torch.empty(8, 0), 16)
    assert math.isclose(rslora(16, 64), 2.0)
