"""Layers as faulty programs had them, and whole models held against a policy: each fault is told by its number.

The faults are those of mlx-vlm (issues 841 and 986: alpha isn't divided), SGLang (40835) and vLLM (55545: the root of
rsLoRA is missing, for experts too), LoRAX (adapters/lora.py:202-205: the rank is padded), llama.cpp and ComfyUI (alpha
is left out), PEFT up to 0.15.2 (2733: `set_scale` forgets the root) and up to 0.20.0 (`svd` combinations take the scale
twice), and Olive (cli/convert_adapters.py:89-111: embeddings aren't scaled).
"""

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from peft import LoHaConfig, LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn import functional

import lora_lint
from lora_lint import assert_policy, assert_scale, measure_scale
from tests.test_live_layers import adapted, lora

pytestmark = pytest.mark.filterwarnings("ignore")  # PEFT warns of every odd choice, and these are all odd

RANK, ALPHA = 16, 32
Scale = Callable[[float, float], float]


class Runtime(nn.Module):
    """A server's layer: a frozen base, two factors, and a scale of its own."""

    def __init__(self, scale: Scale, kind: str = "linear", twice: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.base_layer = nn.Embedding(40, 24) if kind == "embedding" else nn.Linear(40, 24)
        self.lora_A = nn.Parameter(torch.randn(RANK, 40))
        self.lora_B = nn.Parameter(torch.randn(24, RANK))
        self.scale, self.kind, self.twice = scale(ALPHA, RANK), kind, twice

    def forward(self, x: Tensor) -> Tensor:
        a = functional.embedding(x, self.lora_A.T) if self.kind == "embedding" else functional.linear(x, self.lora_A)
        y: Tensor = self.base_layer(x) + self.scale * functional.linear(a, self.lora_B)
        return y + self.scale * functional.linear(a, self.lora_B) if self.twice else y


def classic(alpha: float, rank: float) -> float:
    return alpha / rank


def root(alpha: float, rank: float) -> float:
    return alpha / math.sqrt(rank)


@pytest.mark.parametrize(
    ("fault", "layer", "right", "measured"),
    [
        ("alpha isn't divided", Runtime(lambda alpha, rank: alpha), 2.0, "32"),
        ("the root of rsLoRA is missing", Runtime(classic), 8.0, "2"),
        ("rsLoRA where the config has none", Runtime(root), 2.0, "8"),
        ("alpha is left out", Runtime(lambda alpha, rank: 1.0), 2.0, "1"),
        ("divided by rank alone", Runtime(lambda alpha, rank: 1 / rank), 2.0, "0.0625"),
        ("applied twice", Runtime(classic, twice=True), 2.0, "4"),
        ("in both factors", Runtime(lambda alpha, rank: (alpha / rank) ** 2), 2.0, "4"),
        ("the rank is padded", Runtime(lambda alpha, rank: alpha / 24), 2.0, "1.33333"),
        ("the update isn't added", Runtime(lambda alpha, rank: 0.0), 2.0, "0"),
        ("the sign is wrong", Runtime(lambda alpha, rank: -alpha / rank), 2.0, "-2"),
        ("embeddings aren't scaled", Runtime(lambda alpha, rank: 1.0, "embedding"), 2.0, "1"),
    ],
)
def test_a_faulty_layer_is_told_by_its_number(fault: str, layer: nn.Module, right: float, measured: str) -> None:
    with pytest.raises(AssertionError, match=rf"^scale is {measured}\d*, expected {right:g}$"):
        assert_scale(layer, right)


def experts(scale: float) -> Any:
    layer = adapted(lora(target_parameters=["experts.up"], use_rslora=True)).base_model.model.experts
    layer.scaling["default"] = scale
    return layer


@pytest.mark.parametrize(
    ("fault", "layer", "measured"),
    [
        ("rank times the experts", experts(12 / math.sqrt(4 * 3)), "3.4641"),
        ("rsLoRA ignored", experts(12 / 4), "3"),
        ("both", experts(12 / (4 * 3)), "1"),
    ],
)
def test_faults_of_experts_are_told_by_their_number(fault: str, layer: nn.Module, measured: str) -> None:
    with pytest.raises(AssertionError, match=rf"^scale is {measured}\d*, expected 6$"):
        assert_scale(layer, 6.0)


def test_set_scale_that_forgets_the_root_is_caught() -> None:
    layer = adapted(lora("linear", use_rslora=True)).base_model.model.linear
    layer.scaling["default"] = 1.0 * layer.lora_alpha["default"] / layer.r["default"]
    with pytest.raises(AssertionError, match=r"^scale is 3, expected 6$"):
        assert_scale(layer, 6.0)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.ModuleDict({"q": nn.Linear(8, 8), "v": nn.Linear(8, 8)}) for _ in range(4)])
        self.attention = nn.MultiheadAttention(8, 2)


def model(**options: Any) -> Any:
    given: dict[str, Any] = {"r": 4, "lora_alpha": 8, "target_modules": ["q", "v"]} | options
    return get_peft_model(Net(), LoraConfig(**given))


def two() -> Any:
    both = model()
    both.add_adapter("weak", LoraConfig(r=4, lora_alpha=1, target_modules=["q"]))
    both.base_model.set_adapter(["default", "weak"])
    return both


@pytest.mark.parametrize(
    ("make", "policy", "adapter"),
    [
        (model, "2r", None),
        (lambda: model(lora_alpha=4), "r", None),
        (lambda: model(use_dora=True, lora_dropout=0.1), "2r", None),
        (lambda: model(rank_pattern={"q": 8}, alpha_pattern={"q": 16}), "2r", None),
        (lambda: model(use_rslora=True, lora_alpha=4), "2r", None),
        (lambda: model(use_rslora=True), "fixed:8", None),
        (lambda: model(rank_pattern={"q": 2}), "fixed:8", None),
        (lambda: get_peft_model(Net(), LoHaConfig(r=4, alpha=2, target_modules=["q"])), "scale:0.5", None),
        (two, "2r", "default"),
        (two, "scale:0.25", "weak"),
        (lambda: model().to(torch.bfloat16), "2r", None),
    ],
)
def test_models_that_hold_the_policy_pass(make: Callable[[], nn.Module], policy: str, adapter: str | None) -> None:
    assert_policy(make(), policy, adapter=adapter)


@pytest.mark.parametrize(
    ("make", "policy", "message"),
    [
        (
            lambda: model(lora_alpha=4),
            "2r",
            "8 of 8 layers: scale is 1 in blocks.0.q, blocks.0.v, blocks.1.q and 5 more, policy 2r wants 2",
        ),
        (
            lambda: model(rank_pattern={"0.q": 8, "1.q": 2}),
            "2r",
            "2 of 8 layers: scale is 1 in blocks.0.q, policy 2r wants 2; scale is 4 in blocks.1.q, policy 2r wants 2",
        ),
        (
            lambda: model(target_modules=["attention"]),
            "2r",
            "1 of 2 layers: scale is 4 in attention.out_proj, policy 2r wants 2",
        ),
        (
            lambda: model(target_modules=["0.q"], lora_alpha=4),
            "fixed:8",
            "1 of 1 layers: scale is 1 in blocks.0.q, policy fixed:8 wants 2",
        ),
    ],
)
def test_models_that_break_the_policy_are_told_by_layer(
    make: Callable[[], nn.Module], policy: str, message: str
) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_policy(make(), policy)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("make", "policy", "adapter", "message"),
    [
        (Net, "2r", None, "Net has no LoRA layer whose adapter is active"),
        (model, "2r", "other", "PeftModel has no LoRA layer of other"),
        (model, "2", None, "the policy is '2'; it can be 2r"),
        (two, "2r", None, r"blocks\.0\.q: Linear has 2 pairs of A and B: default, weak; name one"),
        (lambda: merged(model()), "2r", None, r"blocks\.0\.q: the adapter is merged"),
    ],
)
def test_models_that_cannot_be_judged_are_refused(
    make: Callable[[], nn.Module], policy: str, adapter: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        assert_policy(make(), policy, adapter=adapter)


def merged(live: Any) -> Any:
    live.merge_adapter()
    return live


def test_weights_and_scales_of_diffusers_reach_its_layers() -> None:
    """`set_adapters` multiplies by its weight: diffusers/loaders/peft.py at 0.42.1."""
    diffusers: Any = import_module("diffusers")
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        norm_num_groups=4,
        attention_head_dim=4,
    )
    unet.add_adapter(LoraConfig(r=4, lora_alpha=8, target_modules=["to_q", "to_k", "conv1"]), "style")
    assert_policy(unet)
    unet.add_adapter(LoraConfig(r=8, lora_alpha=8, target_modules=["to_q"]), "light")
    unet.set_adapters(["style", "light"], weights=[0.5, 0.25])
    assert_policy(unet, "r", adapter="style")
    assert_policy(unet, "scale:0.25", adapter="light")
    unet.fuse_lora()
    with pytest.raises(ValueError, match="merged"):
        assert_policy(unet)
    unet.unfuse_lora()
    assert_policy(unet, "r", adapter="style")


def test_the_public_names_are_those_of_the_reference() -> None:
    assert lora_lint.measure_scale is measure_scale
    assert {"measure_scale", "measure_scales", "assert_scale", "assert_policy"} <= set(lora_lint.__all__)
