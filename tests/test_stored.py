"""Quantised weights as numbers, from codes that can be worked out by hand.

The formats are those of bitsandbytes 0.50.2 (functional.py, QuantState), AutoGPTQ at 9f7d370 (qlinear_cuda_old.py),
AutoAWQ at 88e4c76 (modules/linear/gemm.py), compressed-tensors 0.20.0 (compressors/pack_quantized) and DeepSeek-V3
(128 x 128 blocks of float8, multiplied by `weight_scale_inv`).
"""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from lora_lint.reference.packed import packed
from lora_lint.reference.quantised import quantised
from lora_lint.reference.stored import Joined, NotComparableError, Part, Plain

LEVELS = torch.arange(-8.0, 8.0)
"""A quant_map that says code - 8."""


def words(*values: int) -> Tensor:
    """32-bit words as torch has them, with a sign."""
    return torch.tensor([value - 2**32 if value >= 2**31 else value for value in values], dtype=torch.int32)


def state(**more: Any) -> Tensor:
    text = json.dumps({"quant_type": "nf4", "blocksize": 4, "dtype": "bfloat16", "shape": [2, 4]} | more)
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


STATE = "weight.quant_state.bitsandbytes__nf4"
CODES = torch.tensor([[0x9A], [0xBC], [0x01], [0x80]], dtype=torch.uint8)
FOUR_BIT = {
    "weight.absmax": torch.tensor([1.0, 10.0]),
    "weight.quant_map": LEVELS,
    STATE: state(),
}
NESTED = FOUR_BIT | {
    "weight.absmax": torch.tensor([0, 255], dtype=torch.uint8),
    "weight.nested_absmax": torch.tensor([2.0]),
    "weight.nested_quant_map": torch.linspace(-1, 1, 256),
    STATE: state(nested_blocksize=256, nested_offset=3.0),
}
INT8 = torch.tensor([[127, -127], [10, 0]], dtype=torch.int8)
FLOAT8 = torch.tensor([[1.0, 2.0, 4.0], [8.0, -1.0, 0.5]]).to(torch.float8_e4m3fn)


@pytest.mark.parametrize(
    ("codes", "beside", "config", "numbers"),
    [
        (CODES, FOUR_BIT, {}, [[1, 2, 3, 4], [-80, -70, 0, -80]]),
        # absmax is -1 * 2 + 3 = 1 and 1 * 2 + 3 = 5
        (CODES, NESTED, {}, [[1, 2, 3, 4], [-40, -35, 0, -40]]),
        (INT8, {"SCB": torch.tensor([1.0, 12.7])}, {}, [[1, -1], [1, 0]]),
        (INT8, {"weight_scale": torch.tensor([[0.5], [2.0]])}, {}, [[63.5, -63.5], [20, 0]]),
        (FLOAT8, {}, {}, [[1, 2, 4], [8, -1, 0.5]]),
        (FLOAT8, {"weight_scale": torch.tensor(0.5)}, {}, [[0.5, 1, 2], [4, -0.5, 0.25]]),
        (FLOAT8, {"weight_scale": torch.tensor([2.0, 10.0])}, {}, [[2, 4, 8], [80, -10, 5]]),
        (
            FLOAT8,
            {"weight_scale_inv": torch.tensor([[1.0, 10.0], [100.0, 1000.0]])},
            {"weight_block_size": [1, 2]},
            [[1, 2, 40], [800, -100, 500]],
        ),
        # as many blocks as rows, as in an o_proj of DeepSeek-V3: 7168 rows, 16384 columns, blocks of 128
        (
            torch.cat((FLOAT8[:, :2], FLOAT8[:, 1:])),
            {"weight_scale_inv": torch.tensor([[1.0, 10.0], [100.0, 1000.0]])},
            {"weight_block_size": [2, 1]},
            [[1, 20], [8, -10], [200, 4000], [-100, 500]],
        ),
    ],
)
def test_codes_of_a_weight(
    codes: Tensor, beside: dict[str, Tensor], config: dict[str, Any], numbers: list[list[float]]
) -> None:
    weight = quantised(codes, beside.get, config)
    assert weight.shape == (len(numbers), len(numbers[0]))
    torch.testing.assert_close(weight.rows(0, weight.shape[0]), torch.tensor(numbers, dtype=torch.float32))
    torch.testing.assert_close(weight.rows(1, 1), torch.tensor(numbers[1:2], dtype=torch.float32))


# 8 inputs, 8 outputs. Column 0 has codes 0 to 7 from the lowest bits up, column 1 has 15 to 8, the others 8.
GPTQ = {
    "qweight": words(0x76543210, 0x89ABCDEF, *[0x88888888] * 6).view(1, 8),
    "qzeros": words(0x77777777).view(1, 1),  # 8, kept less one
    "scales": torch.tensor([[1.0, 2.0, 1, 1, 1, 1, 1, 1]]).half(),
}
# 1 input, 8 outputs: the codes of columns 0, 2, 4, 6, 1, 3, 5, 7 from the lowest bits up; zeros are 8.
AWQ = {
    "qweight": words(0x75316420).view(1, 1),
    "qzeros": words(0x88888888).view(1, 1),
    "scales": torch.tensor([[1.0, 1, 1, 1, 1, 1, 1, 10.0]]).half(),
}
# 2 outputs, 8 inputs in 2 groups, offset by 8.
PACKED = {
    "weight_packed": words(0x76543210, 0xFEDCBA98).view(2, 1),
    "weight_scale": torch.tensor([[1.0, 10.0], [1.0, 1.0]]),
    "weight_shape": torch.tensor([2, 8]),
}
FOUR_BITS = {"config_groups": {"group_0": {"weights": {"num_bits": 4, "symmetric": True}}}}


@pytest.mark.parametrize(
    ("beside", "config", "first", "last"),
    [
        (
            GPTQ,
            {"quant_method": "gptq", "bits": 4, "group_size": 8},
            [-8, -7, -6, -5, -4, -3, -2, -1],
            [0] * 8,
        ),
        (
            GPTQ | {"qweight": GPTQ["qweight"].flip(1), "scales": GPTQ["scales"].flip(1)},
            {"quant_method": "gptq", "bits": 4, "group_size": -1},
            [0] * 8,
            [-8, -7, -6, -5, -4, -3, -2, -1],
        ),
        (
            GPTQ | {"qzeros": words(0x88888888).view(1, 1)},
            {"quant_method": "gptq", "bits": 4, "group_size": 8, "checkpoint_format": "gptq_v2"},
            [-8, -7, -6, -5, -4, -3, -2, -1],
            [0] * 8,
        ),
        (AWQ, {"quant_method": "awq", "bits": 4, "group_size": 1, "version": "gemm"}, [-8], [-10]),
        (PACKED, FOUR_BITS, [-8, -7, -6, -5, -40, -30, -20, -10], [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
    ids=["gptq", "gptq-flipped", "gptq_v2", "awq", "compressed-tensors"],
)
def test_packed_integers(
    beside: dict[str, Tensor], config: dict[str, Any], first: list[float], last: list[float]
) -> None:
    weight = packed(beside.get, config)
    assert weight is not None
    count = weight.shape[0]
    assert weight.rows(0, 1).tolist() == [first]
    assert weight.rows(count - 1, 1).tolist() == [last]
    whole = weight.rows(0, count)
    assert torch.equal(torch.cat([weight.rows(row, 1) for row in range(count)]), whole)


def test_order_of_groups_that_gptq_keeps() -> None:
    beside = GPTQ | {
        "g_idx": torch.tensor([0, 1] * 4, dtype=torch.int32),
        "scales": torch.ones(2, 8).half() * torch.tensor([[1.0], [10.0]]).half(),
        "qzeros": words(0x77777777, 0x77777777).view(2, 1),
    }
    weight = packed(beside.get, {"quant_method": "gptq", "bits": 4, "group_size": 4})
    assert weight is not None
    assert weight.rows(0, 1).tolist() == [[-8, -70, -6, -50, -4, -30, -2, -10]]


@pytest.mark.parametrize(
    ("codes", "beside", "config", "reason"),
    [
        (CODES, {}, {}, "none of the tensors beside it"),
        (CODES, FOUR_BIT | {"weight.absmax": torch.tensor([1.0])}, {}, "4 bytes and 1 blocks"),
        (
            CODES,
            FOUR_BIT | {STATE: state(blocksize=0)},
            {},
            "without shape or blocksize",
        ),
        (CODES, FOUR_BIT | {STATE: state(shape=[2**30, 9])}, {}, "blocks for a shape"),
        (CODES, FOUR_BIT | {STATE: CODES.flatten()}, {}, "isn't JSON"),
        (INT8, {}, {}, "neither SCB nor weight_scale"),
        (FLOAT8, {"weight_scale_inv": torch.ones(2, 2)}, {}, "in blocks that aren't known"),
        (FLOAT8, {"weight_scale_inv": torch.ones(2, 2)}, {"weight_block_size": "all"}, "in blocks that aren't known"),
        (CODES.flatten(), FOUR_BIT, {}, r"has the shape \(4,\)"),
        (CODES[:0], FOUR_BIT, {}, r"has the shape \(0, 1\)"),
    ],
)
def test_what_is_not_a_weight_says_why(
    codes: Tensor, beside: dict[str, Tensor], config: dict[str, Any], reason: str
) -> None:
    with pytest.raises(NotComparableError, match=reason):
        quantised(codes, beside.get, config)


@pytest.mark.parametrize(
    ("beside", "config", "reason"),
    [
        (GPTQ, {}, "a method that no config names"),
        (GPTQ, {"quant_method": "gptq", "bits": 5}, "packed by gptq with 5 bits"),
        (GPTQ, {"quant_method": "gptq", "bits": 3, "format": "gptq_p"}, "with 3 bits in the form gptq_p"),
        (GPTQ, {"quant_method": "gptq", "bits": 4, "is_marlin_format": True}, "in the form marlin"),
        (
            GPTQ,
            {"quant_method": "auto-round", "bits": 4, "packing_format": "auto_round:exllamav2"},
            "packed by auto-round with 4 bits in the form auto_round:exllamav2",
        ),
        (GPTQ | {"scales": torch.ones(1, 7)}, {"quant_method": "gptq", "bits": 4}, "another shape"),
        (
            AWQ,
            {"quant_method": "awq", "bits": 4, "version": "gemv_fast"},
            "packed by awq with 4 bits in the form gemv_fast",
        ),
        (AWQ, {"quant_method": "awq", "bits": 4, "version": "gemv"}, "groups of an unknown size"),
        (GPTQ | {"qweight": GPTQ["qweight"].flatten()}, {"quant_method": "gptq", "bits": 4}, "no matrices"),
        (
            GPTQ | {"g_idx": words(0, 0, 0, 0, 0, 0, 0, 9)},
            {"quant_method": "gptq", "bits": 4},
            "groups that its scales",
        ),
        (GPTQ | {"g_idx": words(0, 0)}, {"quant_method": "gptq", "bits": 4}, "another shape"),
        (PACKED | {"weight_shape": torch.tensor([2])}, FOUR_BITS, "a shape other than"),
        (PACKED, {"config_groups": [4]}, "an unknown number of bits"),
        (PACKED, {"config_groups": {"a": {"weights": 4}}}, "an unknown number of bits"),
        (PACKED, {}, "an unknown number of bits"),
        (PACKED | {"weight_zero_point": torch.zeros(1)}, FOUR_BITS, "zero points of another shape"),
        (PACKED | {"weight_g_idx": torch.zeros(8)}, FOUR_BITS, "isn't read here"),
    ],
)
def test_what_cannot_be_unpacked_says_why(beside: dict[str, Tensor], config: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotComparableError, match=reason):
        packed(beside.get, config)


def test_parts_and_joined_weights_give_their_rows() -> None:
    whole = torch.arange(24.0).view(6, 4)
    part = Part(Plain(whole), 2, 3)
    assert part.shape == (3, 4)
    assert torch.equal(part.rows(1, 2), whole[3:5])
    joined = Joined([Plain(whole[:2]), Plain(whole[2:3]), Plain(whole[3:])])
    assert joined.shape == (6, 4)
    for start in range(6):
        for length in range(1, 7 - start):
            assert torch.equal(joined.rows(start, length), whole[start : start + length])


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("nested", [True, False])
def test_bitsandbytes_gives_the_same_numbers(kind: str, nested: bool) -> None:
    functional = pytest.importorskip("bitsandbytes.functional")
    weight = torch.randn(96, 192, generator=torch.Generator().manual_seed(0)).bfloat16()
    codes, made = functional.quantize_4bit(weight, quant_type=kind, compress_statistics=nested)
    beside = {f"weight.{name}": tensor for name, tensor in made.as_dict(packed=True).items()}
    found = quantised(codes, beside.get, {}).rows(0, 96)
    assert torch.equal(found.bfloat16(), functional.dequantize_4bit(codes, made))


def test_bitsandbytes_gives_the_same_numbers_of_8_bits() -> None:
    functional = pytest.importorskip("bitsandbytes.functional")
    weight = torch.randn(96, 192, generator=torch.Generator().manual_seed(0)).half()
    codes, largest, _ = functional.int8_vectorwise_quant(weight)
    found = quantised(codes, {"SCB": largest}.get, {}).rows(0, 96)
    torch.testing.assert_close(found, functional.int8_vectorwise_dequant(codes, largest).float(), rtol=1e-6, atol=0)
