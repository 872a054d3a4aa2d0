"""Float32 is multiplied as float32 while something is measured, whatever the settings say before and after."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from lora_lint.reference import ReferenceLoRA, assert_scale, measure_scale, merged_scale
from lora_lint.reference.precision import full_precision
from tests.devices import DEVICES

BACKENDS: Any = torch.backends


def told() -> list[object]:
    """Every setting, old and new; torch refuses to tell the old ones where they contradict the new ones."""
    old: tuple[Callable[[], object], ...] = (
        torch.get_float32_matmul_precision,
        lambda: BACKENDS.cudnn.allow_tf32,
        lambda: BACKENDS.cuda.matmul.allow_tf32,
    )
    found: list[object] = []
    for setting in old:
        found.append("contradicts")
        with suppress(RuntimeError):
            found[-1] = setting()
    if hasattr(BACKENDS.cudnn, "conv"):
        places: tuple[Any, ...] = (BACKENDS, BACKENDS.cudnn, BACKENDS.mkldnn, BACKENDS.cuda.matmul)
        places += (BACKENDS.cudnn.conv, BACKENDS.cudnn.rnn, BACKENDS.mkldnn.conv, BACKENDS.mkldnn.matmul)
        found += [place.fp32_precision for place in places]
    return found


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    yield
    if hasattr(BACKENDS.cudnn, "conv"):
        BACKENDS.fp32_precision = BACKENDS.cudnn.fp32_precision = BACKENDS.mkldnn.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    BACKENDS.cudnn.allow_tf32 = True


def new(setting: str, precision: str) -> None:
    place: Any = BACKENDS
    for part in setting.split(".") if setting else ():
        place = getattr(place, part)
    place.fp32_precision = precision


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [lambda: torch.set_float32_matmul_precision("high")],
        [lambda: torch.set_float32_matmul_precision("medium")],
        [lambda: setattr(BACKENDS.cudnn, "allow_tf32", False)],
        [lambda: setattr(BACKENDS.cuda.matmul, "allow_tf32", True)],
        [lambda: new("", "tf32")],
        [lambda: new("cudnn", "tf32"), lambda: new("", "ieee")],
        [lambda: new("cuda.matmul", "tf32")],
        [lambda: new("cudnn.conv", "ieee")],
        [lambda: new("mkldnn.matmul", "bf16"), lambda: torch.set_float32_matmul_precision("high")],
    ],
)
def test_settings_are_as_before(changes: list[Callable[[], None]]) -> None:
    if not hasattr(BACKENDS.cudnn, "conv"):
        pytest.skip("torch has had these settings since 2.9")
    for change in changes:
        change()
    before = told()
    with full_precision():
        assert BACKENDS.cuda.matmul.fp32_precision == BACKENDS.cudnn.conv.fp32_precision == "ieee"
        assert BACKENDS.mkldnn.matmul.fp32_precision == BACKENDS.mkldnn.conv.fp32_precision == "ieee"
        # Nothing is refused that wasn't refused before.
        assert told().count("contradicts") <= before.count("contradicts")
    assert told() == before


def test_settings_come_back_after_an_error() -> None:
    torch.set_float32_matmul_precision("high")
    before = told()
    with suppress(ZeroDivisionError), full_precision():
        raise ZeroDivisionError
    assert told() == before


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(256, 256)
        self.image = nn.Conv2d(32, 32, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_a_sound_layer_passes_whatever_the_script_has_set(precision: str, device: str) -> None:
    torch.manual_seed(0)
    model: Any = get_peft_model(Layers(), LoraConfig(r=8, lora_alpha=24, target_modules=["linear", "image"]))
    model.to(device)
    torch.set_float32_matmul_precision(precision)
    for name in ("linear", "image"):
        layer = getattr(model.base_model.model, name)
        nn.init.normal_(layer.lora_B["default"].weight, std=1e-3)
        assert_scale(layer, 3.0, tolerance=2e-5)
    assert torch.get_float32_matmul_precision() == precision


class Telling(nn.Linear):
    """Notes the setting that its forward pass runs under."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.told = torch.get_float32_matmul_precision()
        return super().forward(x)


def test_a_layer_runs_in_full_precision() -> None:
    layer = ReferenceLoRA(torch.randn(8, 8), torch.randn(2, 8), torch.randn(8, 2))
    inner = Telling(8, 8)
    layer.register_forward_pre_hook(lambda _, inputs: (inner(inputs[0]), None)[1])
    torch.set_float32_matmul_precision("medium")
    measure_scale(layer)
    assert inner.told == "highest"


@pytest.mark.parametrize("device", DEVICES)
def test_a_merge_is_measured_as_precisely(device: str) -> None:
    torch.manual_seed(0)
    weight, a, b = torch.randn(256, 256), 0.05 * torch.randn(8, 256), 0.05 * torch.randn(256, 8)
    merged = (weight.double() + 2 * b.double() @ a.double()).float()
    torch.set_float32_matmul_precision("medium")
    assert merged_scale(weight, merged, a.to(device), b.to(device)).scale == pytest.approx(2.0, rel=2e-6)
