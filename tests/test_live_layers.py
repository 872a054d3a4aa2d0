"""The measured scale of live layers: every kind that PEFT 0.21.2 has, in every state, and left as it was.

Expected values come from peft/tuners at 0.21.2: `alpha / r` and `alpha / sqrt(r)` (lora/layer.py:278-281), `alpha` over
the current rank in AdaLoRA (adalora/layer.py:195), `alpha / r` in LoHa and LoKr (layer.py:130 and 189), and twice the
scale on attention's output projection, to which `merge` adds the update two times (lora/layer.py:2084-2089).
"""

from collections.abc import Callable, Iterator
from typing import Any

import peft
import pytest
import torch
from peft import LoHaConfig, LoKrConfig, LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn import functional
from transformers.models.gemma3.modeling_gemma3 import Gemma3TextScaledWordEmbedding
from transformers.pytorch_utils import Conv1D

from lora_lint.reference import Measurement, assert_scale, measure_scale, measure_scales
from lora_lint.reference.chosen import only
from lora_lint.reference.measure import fit
from lora_lint.reference.replaced import replaced, weights_and_factors
from tests.devices import DEVICES

pytestmark = pytest.mark.filterwarnings("ignore")  # PEFT warns of every odd choice, and these are all odd


class Experts(nn.Module):
    """Three experts in each parameter, square and oblong."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Parameter(0.1 * torch.randn(3, 16, 16))
        self.down = nn.Parameter(0.1 * torch.randn(3, 8, 16))


class Zoo(nn.Module):
    """One of every layer that PEFT adapts."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(50, 24)
        self.scaled = Gemma3TextScaledWordEmbedding(30, 16, 0, embed_scale=4.0)
        self.linear = nn.Linear(24, 40)
        self.fused = Conv1D(36, 24)  # type: ignore[no-untyped-call]
        self.sound = nn.Conv1d(6, 8, 4, padding=1)
        self.image = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.film = nn.Conv3d(4, 8, 3)
        self.point = nn.Conv2d(4, 8, 1)
        self.grouped = nn.Conv2d(8, 8, 3, groups=2)
        self.mirrored = nn.Conv2d(4, 8, 3, padding=1, padding_mode="reflect")
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.experts = Experts()


def adapted(config: Any, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Any:
    torch.manual_seed(0)
    model: Any = get_peft_model(Zoo().to(device, dtype), config)
    return fill(model)


def fill(model: Any) -> Any:
    """Values for all factors in place of the initial zeros."""
    for name, parameter in model.named_parameters():
        if "magnitude" in name:
            nn.init.uniform_(parameter, 0.5, 1.5)
        elif any(stem in name for stem in ("lora_", "hada_", "lokr_")) and "ranknum" not in name:
            nn.init.normal_(parameter, std=0.3)
    return model


def lora(*targets: str, **options: Any) -> LoraConfig:
    return LoraConfig(r=4, lora_alpha=12, target_modules=list(targets), **options)


def adalora(*targets: str) -> Any:
    return peft.AdaLoraConfig(init_r=4, target_r=2, lora_alpha=12, total_step=10, target_modules=list(targets))


EVERY = ("tokens", "scaled", "linear", "fused", "sound", "image", "film", "point", "grouped", "mirrored")
ATTENTION = {"attention": 3.0, "attention.out_proj": 6.0}
CP: dict[str, Any] = {"use_effective_conv2d": True}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("probe", [False, True])
@pytest.mark.parametrize(
    ("config", "scales"),
    [
        (lora(*EVERY), dict.fromkeys(EVERY, 3.0)),
        (lora(*EVERY, use_rslora=True), dict.fromkeys(EVERY, 6.0)),
        (lora(*EVERY[:8], use_dora=True), dict.fromkeys(EVERY[:8], 3.0)),
        (lora("linear", use_dora=True, use_rslora=True), {"linear": 6.0}),
        (lora("linear", "image", lora_bias=True), {"linear": 3.0, "image": 3.0}),
        (lora("linear", "image", lora_dropout=0.5), {"linear": 3.0, "image": 3.0}),
        (lora("linear", "tokens", rank_pattern={"linear": 8}), {"linear": 1.5, "tokens": 3.0}),
        (lora("linear", "tokens", alpha_pattern={"tokens": 1}), {"linear": 3.0, "tokens": 0.25}),
        (lora("attention"), ATTENTION),
        (lora(target_parameters=["experts.up"]), {"experts.up": 3.0}),
        (lora(target_parameters=["experts.up", "experts.down"]), {"experts.up": 3.0, "experts.down": 3.0}),
        (lora(target_parameters=["linear.weight"]), {"linear.weight": 3.0}),
        (lora("linear", modules_to_save=["fused"]), {"linear": 3.0}),
        (lora("linear", kasa_config=peft.KasaConfig()), {"linear": 3.0}),
        (lora("linear", velora_config=peft.VeloraConfig(num_groups=4)), {"linear": 3.0}),
        (lora("linear", monteclora_config=peft.MontecloraConfig()), {"linear": 3.0}),
        (lora("linear", use_bdlora=peft.BdLoraConfig(target_modules_bd_a=["linear"], nblocks=2)), {"linear": 3.0}),
        (lora("linear", use_bdlora=peft.BdLoraConfig(target_modules_bd_b=["linear"], nblocks=2)), {"linear": 3.0}),
        (adalora("linear", "fused", "image"), {"linear": 3.0, "fused": 3.0, "image": 3.0}),
        (LoHaConfig(r=4, alpha=12, target_modules=["linear", "image"]), {"linear": 3.0, "image": 3.0}),
        (LoHaConfig(r=4, alpha=12, target_modules=["sound", "image"], **CP), {"sound": 3.0, "image": 3.0}),
        (LoKrConfig(r=2, alpha=6, target_modules=["linear", "point"]), {"linear": 3.0, "point": 3.0}),
        (LoKrConfig(r=2, alpha=6, target_modules=["image"], decompose_both=True, **CP), {"image": 3.0}),
    ],
)
def test_every_layer_of_peft_has_the_scale_of_its_formula(
    config: Any, scales: dict[str, float], probe: bool, device: str
) -> None:
    found = measure_scales(adapted(config, device=device), probe=probe)
    assert {name: one.scale for name, one in found.items()} == pytest.approx(scales, rel=1e-5)
    assert max(one.residual for one in found.values()) < 1e-3


@pytest.mark.parametrize("start", ["pissa", "olora", "mica", "gaussian", "orthogonal", True, False])
def test_untrained_layers_are_measured_with_factors_of_ours(start: bool | str) -> None:
    torch.manual_seed(0)
    model: Any = get_peft_model(Zoo(), lora("linear", init_lora_weights=start))
    assert measure_scale(model.base_model.model.linear, probe=True).scale == pytest.approx(3.0, rel=1e-5)


HALVES = [torch.float16, torch.bfloat16]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize(
    "config", [lora("tokens", "linear", "fused"), lora("linear", use_dora=True), lora(target_parameters=["experts.up"])]
)
def test_half_precision_is_measured_to_its_tolerance(config: Any, dtype: torch.dtype, device: str) -> None:
    layers: list[Any] = [one for _, one in listed(adapted(config, dtype, device)) if isinstance(one, LoraLayer)]
    for layer in layers:
        assert_scale(layer, 3.0)
        assert_scale(layer, 3.0, probe=True)


@pytest.mark.parametrize("dtype", HALVES)
def test_autocast_of_the_caller_holds(dtype: torch.dtype) -> None:
    layer = adapted(lora("linear")).base_model.model.linear
    with torch.autocast("cpu", dtype=dtype):
        assert_scale(layer, 3.0)
        with pytest.raises(AssertionError, match=r"scale is \d\.\d+, expected 3\.1"):
            assert_scale(layer, 3.1, tolerance=0.01)


def rescaled(change: Callable[[Any], None]) -> Any:
    layer = adapted(lora("linear", use_rslora=True)).base_model.model.linear
    change(layer)
    return layer


@pytest.mark.parametrize(
    ("change", "scale"),
    [
        (lambda layer: layer.set_scale("default", 0.5), 3.0),
        (lambda layer: layer.scale_layer(0.5), 3.0),
        (lambda layer: (layer.scale_layer(3), layer.unscale_layer(6)), 3.0),
        (lambda layer: (layer.scale_layer(3), layer.unscale_layer()), 6.0),
        (lambda layer: (layer.merge(), layer.unmerge()), 6.0),
        (lambda layer: (layer.enable_adapters(False), layer.enable_adapters(True)), 6.0),
    ],
)
def test_what_was_done_to_the_scale_is_measured(change: Callable[[Any], None], scale: float) -> None:
    assert_scale(rescaled(change), scale)


class Int8(nn.Module):
    """A base that is quantised, as the stored weight tells, and computes in the dtype of its input."""

    def __init__(self, stored: torch.dtype) -> None:
        super().__init__()
        self.weight = nn.Parameter((5 * torch.randn(40, 24)).to(stored), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight.to(x.dtype))


def quantised(stored: torch.dtype) -> Any:
    layer = adapted(lora("linear")).base_model.model.linear
    layer.base_layer = Int8(stored)
    return layer


def linear() -> Any:
    return adapted(lora("linear")).base_model.model.linear


def compiled_in_place() -> Any:
    layer = linear()
    layer.compile(backend="eager")
    return layer


@pytest.mark.parametrize(
    "layer",
    [
        lambda: quantised(torch.int8),
        lambda: quantised(torch.float8_e4m3fn),
        lambda: torch.compile(linear(), backend="eager"),
        lambda: torch.compile(linear(), backend="aot_eager"),
        compiled_in_place,
        lambda: checkpoint_wrapper(linear()),
        lambda: torch.compile(checkpoint_wrapper(linear()), backend="eager"),
    ],
)
def test_wrapped_and_quantised_layers_are_measured(layer: Callable[[], nn.Module]) -> None:
    assert_scale(layer(), 3.0)


def test_layers_of_a_wrapped_model_go_by_their_names_in_the_base_model() -> None:
    model = adapted(lora("linear", "tokens"))
    compiled: Any = torch.compile(model, backend="eager")
    assert set(measure_scales(compiled)) == {"linear", "tokens"}
    assert set(measure_scales(nn.ModuleDict({"module": model}))) == {"linear", "tokens"}


def several() -> Any:
    """Two adapters at work, a third one that isn't, and one of DoRA on another layer."""
    model = adapted(lora("linear", "tokens"))
    model.add_adapter("second", LoraConfig(r=2, lora_alpha=1, target_modules=["linear"]))
    model.add_adapter("third", LoraConfig(r=2, lora_alpha=8, target_modules=["linear"]))
    model.add_adapter("dora", LoraConfig(r=2, lora_alpha=8, target_modules=["linear"], use_dora=True))
    fill(model).base_model.set_adapter(["default", "second"])
    return model


def test_each_of_several_active_adapters_has_its_own_scale() -> None:
    model = several()
    assert measure_scales(model, adapter="second") == {"linear": pytest.approx((0.5, 0), abs=1e-5)}
    assert measure_scale(model.base_model.model.linear, adapter="default").scale == pytest.approx(3.0, rel=1e-5)
    model.base_model.set_adapter(["default", "dora"])
    assert measure_scale(model.base_model.model.linear, adapter="dora").scale == pytest.approx(4.0, rel=1e-5)


def with_(change: Callable[[Any], object], *targets: str, **options: Any) -> Callable[[], Any]:
    def make() -> Any:
        model = adapted(lora(*(targets or ("linear",)), **options))
        change(model.base_model.model.linear)
        return model.base_model.model.linear

    return make


def active(*names: str, named: str | None = None) -> Callable[[], Measurement]:
    def measure() -> Measurement:
        model = several()
        model.base_model.set_adapter(list(names))
        return measure_scale(model.base_model.model.linear, adapter=named)

    return measure


class Pooled(nn.Module):
    """QA-LoRA: A takes the sums of groups of inputs (peft/tuners/lora/variants.py:548-584 at 0.21.2)."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = nn.Linear(24, 40)
        self.lora_A = nn.Linear(6, 4, bias=False)
        self.lora_B = nn.Linear(4, 40, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.view(*x.shape[:-1], 6, 4).mean(-1) * 6
        y: Tensor = self.base_layer(x) + 3 * self.lora_B(self.lora_A(pooled))
        return y


class Stretched(nn.Module):
    """DoRA without a base layer that could be asked, as in torchtune."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8))
        self.lora_a = nn.Linear(8, 2, bias=False)
        self.lora_b = nn.Linear(2, 8, bias=False)
        self.magnitude = nn.Parameter(torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = functional.linear(x, self.weight) + self.lora_b(self.lora_a(x))
        return self.magnitude * y


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (with_(lambda layer: layer.merge()), "merged into the base weight"),
        (with_(lambda layer: layer.enable_adapters(False)), "adapters are disabled"),
        (with_(lambda layer: layer.to("meta")), "Linear is on the meta device: its tensors have no values"),
        (
            with_(lambda layer: setattr(layer.lora_B["default"].weight, "data", torch.empty(0))),
            "sharded over processes",
        ),
        (with_(lambda layer: nn.init.zeros_(layer.lora_A["default"].weight)), "B A x is zero"),
        (with_(lambda layer: nn.init.constant_(layer.lora_B["default"].weight, torch.inf)), "aren't finite"),
        (with_(lambda layer: nn.init.normal_(layer.lora_B["default"].weight, std=1e-9)), "too little .* float32"),
        (with_(lambda layer: layer.half().lora_B["default"].weight.data.mul_(1e-5)), "too little .* float16"),
        (lambda: Pooled(), "A takes 6 inputs, the layer 24"),
        (lambda: Stretched(), "no base_layer to ask"),
        (lambda: adapted(lora("linear")), "0 pairs of A and B; 1 layers inside it have some"),
        (lambda: adapted(lora(modules_to_save=["linear"], target_parameters=["experts.up"])), "0 pairs"),
        (
            lambda: adapted(peft.OFTConfig(r=2, oft_block_size=0, target_modules=["linear"])).base_model.model.linear,
            "Linear of peft.tuners.oft.layer has 0 pairs of A and B, so no scale",
        ),
        (
            lambda: adapted(LoKrConfig(r=2, alpha=6, target_modules=["sound"])).base_model.model.sound,
            "isn't defined alike in PEFT and LyCORIS",
        ),
    ],
)
def test_what_has_no_scale_is_refused_with_the_reason(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure_scale(make())


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (active("default", "second"), "2 pairs of A and B: default, dora, second, third; name one"),
        (active("default", "second", named="third"), "third isn't active, .* active is default, second"),
        (active("default", named="fourth"), "no adapter called fourth: it has default, dora, second, third"),
        (active("default", "dora", named="default"), "dora is a DoRA and active too"),
    ],
)
def test_of_several_adapters_the_wrong_one_is_refused(measure: Callable[[], Measurement], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure()


def test_alora_is_measured_where_it_works() -> None:
    layer = adapted(lora("linear", alora_invocation_tokens=[1])).base_model.model.linear
    assert_scale(layer, 3.0)
    assert_scale(layer, 3.0, torch.randn(2, 7, 24), arguments={"alora_offsets": [7, 7]})
    half = measure_scale(layer, torch.randn(2, 8, 24), arguments={"alora_offsets": [4, 4]})
    assert half.scale < 2
    assert half.residual > 0.5


def test_layers_inside_each_other_keep_their_names_apart() -> None:
    model: Any = get_peft_model(Zoo(), lora("linear"), adapter_name="a", mixed=True)
    model.add_adapter("b", LoHaConfig(r=4, alpha=8, target_modules=["linear"]))
    model.set_adapter(["a", "b"])
    found = measure_scales(model, probe=True)
    assert {name: round(one.scale, 4) for name, one in found.items()} == {
        "linear": 2.0,
        "base_model.model.linear.base_layer": 3.0,
    }


class OfLycoris(nn.Module):
    """LoHa as LyCORIS has it: the layer that it adapts is out of sight of parameters (lycoris/modules/base.py)."""

    def __init__(self, *, known: bool = True, stretched: bool = False) -> None:
        super().__init__()
        self.org_module = [nn.Linear(24, 40)] if known else None
        self.hada_w1_a, self.hada_w2_a = (nn.Parameter(torch.randn(40, 4)) for _ in range(2))
        self.hada_w1_b, self.hada_w2_b = (nn.Parameter(torch.randn(4, 24)) for _ in range(2))
        if stretched:
            self.dora_scale = nn.Parameter(torch.ones(40, 1))

    def forward(self, x: Tensor) -> Tensor:
        assert self.org_module is not None
        first, second = self.hada_w1_a @ self.hada_w1_b, self.hada_w2_a @ self.hada_w2_b
        y: Tensor = self.org_module[0](x) + 3 * functional.linear(x, first * second)
        return y


def test_layers_of_lycoris_are_measured_where_they_tell_what_they_adapt() -> None:
    assert_scale(OfLycoris(), 3.0)
    with pytest.raises(ValueError, match="doesn't tell which layer it adapts"):
        measure_scale(OfLycoris(known=False))
    with pytest.raises(ValueError, match="no base_layer to ask"):
        measure_scale(OfLycoris(stretched=True))


def test_x_lora_has_no_single_scale() -> None:
    layer = linear()

    class XLoraLinearLayer:
        def forward(self, x: Tensor) -> Tensor:
            return x

    layer.forward = XLoraLinearLayer().forward
    with pytest.raises(ValueError, match="X-LoRA weighs the adapters anew for every token"):
        measure_scale(layer)


STATES: list[Callable[[Any], object]] = [
    lambda model: model.train(),
    lambda model: model.eval(),
    lambda model: model.base_model.model.linear.train(),
    lambda model: model.requires_grad_(True),
]


@pytest.mark.parametrize("probe", [False, True])
@pytest.mark.parametrize("change", STATES)
@pytest.mark.parametrize(
    "config",
    [
        lora("linear", "tokens", "image", lora_dropout=0.5),
        lora("attention"),
        lora("linear", use_dora=True, lora_dropout=0.5),
        lora(target_parameters=["experts.up", "experts.down"]),
        lora("linear", monteclora_config=peft.MontecloraConfig()),
        lora("linear", velora_config=peft.VeloraConfig(num_groups=4)),
        adalora("linear"),
    ],
)
def test_measuring_leaves_everything_as_it_was(config: Any, change: Callable[[Any], object], probe: bool) -> None:
    model = adapted(config)
    change(model)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    before, parameters, noise = state(model), everything(model), torch.get_rng_state()
    values = [None if one is None else one.detach().clone() for one in parameters]
    measure_scales(model, probe=probe)
    assert torch.equal(noise, torch.get_rng_state())
    after = everything(model)
    assert all(one is other for one, other in zip(parameters, after, strict=True))
    assert all(value is None or torch.equal(one, value) for one, value in zip(after, values, strict=True))
    assert state(model) == before


def everything(model: nn.Module) -> list[Any]:
    """All parameters by identity; PEFT's own listing of attention would put new ones in."""
    return [one for _, module in listed(model) for one in module._parameters.values()]


def listed(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    yield prefix, model
    for name, child in model._modules.items():
        if child is not None:
            yield from listed(child, f"{prefix}.{name}")


def state(model: nn.Module) -> list[object]:
    return [
        (
            name,
            type(module),
            module.training,
            list(module._forward_hooks.values()) + list(module._forward_pre_hooks.values()),
            [
                (key, one.requires_grad, one.grad is not None)
                for key, one in module._parameters.items()
                if one is not None
            ],
            list(module._buffers),
        )
        for name, module in listed(model)
    ]


def test_hooks_are_part_of_what_a_layer_does() -> None:
    layer = linear()
    hook = layer.register_forward_hook(lambda module, inputs, output: 2 * output)
    assert_scale(layer, 6.0)
    hook.remove()
    assert_scale(layer, 3.0)


def test_norms_that_dora_keeps_are_neither_used_nor_replaced() -> None:
    layer = adapted(lora("linear", use_dora=True)).base_model.model.linear.eval()
    cache = layer.lora_magnitude_vector["default"]._dora_cache
    cache["weight-norm-default"] = torch.ones(40)
    with peft.helpers.DoraCaching():
        assert_scale(layer, 3.0)
    assert list(layer.lora_magnitude_vector["default"]._dora_cache) == ["weight-norm-default"]


def test_random_numbers_drawn_inside_are_the_same_on_both_sides() -> None:
    layer = linear()
    layer.lora_dropout["default"] = Noisy()
    found = measure_scale(layer)
    assert found.residual > 0.3
    with pytest.raises(AssertionError):
        assert_scale(layer, 3.0)


class Noisy(nn.Module):
    """Dropout that forgets to ask whether the layer is trained."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x, 0.5, training=True)


@pytest.mark.parametrize(
    "config",
    [
        lora("linear"),
        lora("tokens"),
        lora("image"),
        lora("grouped"),
        lora("linear", use_dora=True),
        lora("tokens", use_dora=True),
        lora("linear", kasa_config=peft.KasaConfig()),
        lora("linear", use_bdlora=peft.BdLoraConfig(target_modules_bd_a=["linear"], nblocks=2)),
        adalora("image"),
        LoHaConfig(r=4, alpha=12, target_modules=["image"], **CP),
        LoKrConfig(r=2, alpha=6, target_modules=["linear"]),
    ],
)
@torch.no_grad()
def test_measuring_never_leaves_the_device(config: Any) -> None:
    model = adapted(config)
    with FakeTensorMode(allow_non_fake_inputs=False):
        layer = faked(model)
        update = only(layer)
        size = {"embedding": 50, "conv": 8 if "grouped" in config.target_modules else 4, "linear": 24}[update.kind]
        shape = (2, size, 9, 9) if update.kind == "conv" else (2, 5) if update.kind == "embedding" else (2, 5, size)
        dtype = torch.long if update.kind == "embedding" else torch.float32
        x = torch.empty(shape, dtype=dtype, device="cuda")
        assert fit(layer, x, update).device.type == "cuda"


@torch.no_grad()
def test_replaced_weights_never_leave_their_device() -> None:
    for config in (lora("attention"), lora(target_parameters=["experts.up"])):
        model = adapted(config)
        with FakeTensorMode(allow_non_fake_inputs=False):
            layer = faked(model)
            where, update = replaced(layer), only(layer)
            assert where is not None
            found = weights_and_factors(where, update, update.factors)
            assert {one.device.type for one in found} == {"cuda"}


def faked(model: nn.Module) -> Any:
    """The layer that holds factors, its tensors without values and on a GPU that needn't be here."""
    layer: Any = next(one for _, one in listed(model) if isinstance(one, BaseTunerLayer))
    layer.eval()
    for _, module in listed(layer):
        for key, one in module._parameters.items():
            if one is not None:
                fake = torch.empty(one.shape, dtype=one.dtype, device="cuda")
                module._parameters[key] = nn.Parameter(fake, requires_grad=one.requires_grad)
        for key, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[key] = torch.empty(buffer.shape, dtype=buffer.dtype, device="cuda")
    return layer
