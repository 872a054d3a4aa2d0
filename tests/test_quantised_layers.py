"""LoRA over quantised weights, as QLoRA trains it: PEFT's own layers over those of bitsandbytes."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from lora_lint import assert_policy, assert_scale, lint, measure_scales
from tests.devices import DEVICES
from tests.test_live_layers import fill

bnb = pytest.importorskip("bitsandbytes", reason="needs bitsandbytes")


KIND = "nf4"


class Model(nn.Module):
    """A layer of each kind; PEFT asks the model for how its weights were loaded."""

    def __init__(self, kind: str, compute: torch.dtype) -> None:
        super().__init__()
        if kind == "int8":
            self.is_loaded_in_8bit = True
            self.linear = bnb.nn.Linear8bitLt(256, 128, has_fp16_weights=False, threshold=6.0)
        else:
            self.is_loaded_in_4bit = True
            self.linear = bnb.nn.Linear4bit(256, 128, quant_type=kind, compute_dtype=compute, compress_statistics=True)
        generator = torch.Generator().manual_seed(0)
        weight = torch.randn(128, 256, generator=generator) / 16
        self.linear.load_state_dict({"weight": weight, "bias": torch.zeros(128)})

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x)
        return out


def adapted(kind: str, device: str, compute: torch.dtype = torch.bfloat16, **options: Any) -> Any:
    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=12, target_modules=["linear"], **options)
    return fill(get_peft_model(Model(kind, compute).to(device), config))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["nf4", "fp4", "int8"])
@pytest.mark.parametrize(
    ("options", "scale"),
    [({}, 3.0), ({"use_rslora": True}, 6.0), ({"use_dora": True}, 3.0), ({"lora_dropout": 0.5}, 3.0)],
)
def test_the_scale_is_that_of_the_formula(options: dict[str, Any], scale: float, kind: str, device: str) -> None:
    if kind == "int8" and device == "cpu" and "use_dora" in options:
        pytest.skip("bitsandbytes has no scales of 8 bits until a GPU quantises them")
    model = adapted(kind, device, **options)
    layer = model.base_model.model.linear
    assert type(layer).__module__ == "peft.tuners.lora.bnb"
    for probe in (False, True):
        assert_scale(layer, scale, probe=probe)
        (measured,) = measure_scales(model, probe=probe).values()
        assert measured.scale == pytest.approx(scale, rel=1e-3)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("compute", [torch.float32, torch.float16, torch.bfloat16])
def test_whatever_it_computes_in(compute: torch.dtype, device: str) -> None:
    assert_scale(adapted(KIND, device, compute).base_model.model.linear, 3.0)


@pytest.mark.parametrize("device", DEVICES)
def test_a_model_is_linted_and_held_to_a_policy(device: str) -> None:
    model = adapted(KIND, device)
    assert [one.rule for one in lint(model).diagnostics] == ["alpha-not-2r"]
    with pytest.raises(AssertionError, match="scale is 3"):
        assert_policy(model, "2r")


@pytest.mark.parametrize("device", DEVICES)
def test_measuring_leaves_codes_and_scales_as_they_were(device: str) -> None:
    model = adapted(KIND, device)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    measure_scales(model, probe=True)
    after = model.state_dict()
    assert after.keys() == before.keys()
    # For some CPUs bitsandbytes packs a layer anew when it first evaluates, and rounds its scales again.
    packed = ("absmax", "nested_absmax", f"bitsandbytes__{KIND}") if device == "cpu" else ()
    kept = [name for name in before if not name.endswith(packed)]
    assert all(torch.equal(after[name], before[name]) for name in kept)
