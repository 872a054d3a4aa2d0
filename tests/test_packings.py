"""Packed weights against packers and unpackers that are written here number by number, as slow as they are plain.

3 bits: AutoGPTQ's `pack`, auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py:110-200 at 9f7d370, and `dequantize_weight`
of GPTQModel, gptqmodel/nn_modules/qlinear/__init__.py:976-996 at f4c327a. GEMV: awq/modules/linear/gemv.py:12-25 and
78-154 of AutoAWQ at 88e4c76. Integers of compressed-tensors 0.20.0: compressors/pack_quantized/helpers.py:21-102,
element i at the bit i * bits. 4-bit floating point: sign, two bits of exponent, one of mantissa, as OCP Microscaling
Formats 1.0 says; NVFP4's two scales are multiplied in modelopt 0.47.0 (qtensor/nvfp4_tensor.py:345-410), and the second
one divides in compressed-tensors (quantization/lifecycle/forward.py). AutoRound packs as AutoGPTQ does: zeros less one
in auto_round_extension/torch/qlinear_torch_zp.py, as they are in qlinear_torch.py, at b9f3d00.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lora_lint.reference.microscaled import ERRORS
from lora_lint.reference.packed import packed
from lora_lint.reference.quantised import quantised
from lora_lint.reference.stored import NotComparableError, Rows
from lora_lint.reference.weights import Weights
from tests.test_verify import saved


def drawn(seed: int, high: int, *shape: int) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def packed_row(codes: Sequence[int], bits: int) -> list[int]:
    """One row of integers as one long number, cut into 32-bit words with a sign."""
    whole = sum(int(code) << bits * at for at, code in enumerate(codes))
    words = [(whole >> 32 * at) & 0xFFFFFFFF for at in range(math.ceil(len(codes) * bits / 32))]
    return [word - 2**32 if word >= 2**31 else word for word in words]


def packed_rows(codes: Tensor, bits: int) -> Tensor:
    return torch.tensor([packed_row(row, bits) for row in codes.tolist()], dtype=torch.int32)


def agrees(weight: Rows | None, numbers: Tensor) -> None:
    """All rows at once are these numbers, and so is every part of them."""
    assert weight is not None
    assert weight.shape == numbers.shape
    rows = numbers.shape[0]
    torch.testing.assert_close(weight.rows(0, rows), numbers.float(), rtol=1e-6, atol=0)
    for start, length in ((0, 1), (1, 7), (rows - 1, 1), (5, rows - 5), (31, 2)):
        assert torch.equal(weight.rows(start, length), weight.rows(0, rows)[start : start + length])


def by_autogptq(codes: Tensor) -> Tensor:
    """(n, columns) of 3 bits packed down the columns, word by word as the loop for `bits == 3` does."""
    n, columns = codes.shape
    out = [[0] * columns for _ in range(n // 32 * 3)]
    for column in range(columns):
        values = codes[:, column].tolist()
        i = row = 0
        while row < len(out):
            for j in range(i, i + 10):
                out[row][column] |= values[j] << (3 * (j - i))
            i += 10
            out[row][column] |= values[i] << 30
            row += 1
            out[row][column] |= (values[i] >> 2) & 1
            i += 1
            for j in range(i, i + 10):
                out[row][column] |= values[j] << (3 * (j - i) + 1)
            i += 10
            out[row][column] |= values[i] << 31
            row += 1
            out[row][column] |= (values[i] >> 1) & 0x3
            i += 1
            for j in range(i, i + 10):
                out[row][column] |= values[j] << (3 * (j - i) + 2)
            i += 10
            row += 1
    kept = [[word & 0xFFFFFFFF for word in row] for row in out]
    return torch.tensor([[word - 2**32 if word >= 2**31 else word for word in row] for row in kept], dtype=torch.int32)


AUTO_ROUND = {"quant_method": "auto-round"}


@pytest.mark.parametrize(
    ("layout", "less"),
    [
        ({}, 1),
        ({"checkpoint_format": "gptq"}, 1),
        ({"format": "gptq_v2"}, 0),
        (AUTO_ROUND | {"packing_format": "auto_round:auto_gptq"}, 1),
        (AUTO_ROUND | {"packing_format": "auto_round"}, 0),
        (AUTO_ROUND | {"packing_format": "auto_round:gptqmodel"}, 0),
    ],
)
@pytest.mark.parametrize("grouped", [True, False])
def test_3_bits_of_gptq(layout: dict[str, str], less: int, grouped: bool) -> None:
    inner, outer, groups = 96, 64, 3
    codes, zeros = drawn(0, 8, inner, outer), drawn(1, 7, groups, outer) + 1
    scales = (torch.rand(groups, outer, generator=torch.Generator().manual_seed(2)) + 0.1).half()
    which = drawn(3, groups, inner) if grouped else torch.arange(inner) // 32
    packed_zeros = by_autogptq((zeros - less).T).T.contiguous()
    beside = {"qweight": by_autogptq(codes), "qzeros": packed_zeros, "scales": scales}
    if grouped:
        beside["g_idx"] = which.int()
    numbers = scales.float()[which] * (codes - zeros[which])
    agrees(packed(beside.get, {"quant_method": "gptq", "bits": 3, "group_size": 32} | layout), numbers.T)


@pytest.mark.parametrize(("group", "version"), [(128, "gemv"), (64, "GEMV"), (32, "gemv"), (-1, "gemv")])
def test_the_gemv_form_of_awq(group: int, version: str) -> None:
    outer, inner = 40, 256
    size = inner if group == -1 else group
    groups = inner // size
    multiple = {128: 1, 64: 2, 32: 4}.get(size, 1)
    width = math.ceil(math.ceil(groups / 8) / multiple) * multiple
    codes, zeros = drawn(0, 16, outer, inner), drawn(1, 16, outer, groups)
    scales = torch.rand(outer, groups, generator=torch.Generator().manual_seed(2)).half() + 0.1
    filled = torch.zeros(outer, width * 8, dtype=torch.half)
    filled[:, :groups] = scales
    qzeros = torch.zeros(outer, width, dtype=torch.int32)
    words = packed_rows(zeros, 4)
    qzeros[:, : words.shape[1]] = words
    beside = {"qweight": packed_rows(codes, 4), "qzeros": qzeros, "scales": filled}
    numbers = scales.float().repeat_interleave(size, 1) * (codes - zeros.repeat_interleave(size, 1))
    agrees(packed(beside.get, {"quant_method": "awq", "bits": 4, "group_size": group, "version": version}), numbers)


@pytest.mark.parametrize(
    ("name", "config", "method"),
    [
        ("quantize_config.json", {"bits": 4, "group_size": 128, "desc_act": False}, "gptq"),
        ("quantize_config.json", {"bits": 4, "quant_method": "awq", "checkpoint_format": "gemm"}, "awq"),
        ("quant_config.json", {"zero_point": True, "q_group_size": 128, "w_bit": 4, "version": "GEMM"}, "awq"),
        ("config.json", {"quantization_config": {"quant_method": "gptq", "bits": 3}}, "gptq"),
        ("config.json", {"model_type": "llama"}, None),
    ],
)
def test_who_quantised_is_told_by_the_file_where_it_does_not_say(
    name: str, config: dict[str, Any], method: str | None, tmp_path: Path
) -> None:
    saved({"q.weight": torch.ones(2, 2)}, tmp_path / "model.safetensors")
    (tmp_path / name).write_text(json.dumps(config), "utf-8")
    assert Weights.open(tmp_path).quantisation.get("quant_method") == method


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_integers_of_compressed_tensors(bits: int, symmetric: bool) -> None:
    outer, inner, group = 50, 96, 32
    codes, zeros = drawn(0, 2**bits, outer, inner), drawn(1, 2**bits, outer, inner // group)
    scales = torch.rand(outer, inner // group, generator=torch.Generator().manual_seed(2)) + 0.1
    beside = {"weight_packed": packed_rows(codes, bits), "weight_scale": scales}
    beside["weight_shape"] = torch.tensor([outer, inner])
    if symmetric:
        zeros = torch.full_like(zeros, 2 ** (bits - 1))
    else:
        beside["weight_zero_point"] = packed_rows(zeros.T, bits).T.contiguous()
    numbers = scales.repeat_interleave(group, 1) * (codes - zeros.repeat_interleave(group, 1))
    agrees(packed(beside.get, {"config_groups": {"group_0": {"weights": {"num_bits": bits}}}}), numbers)


def e2m1(code: int) -> float:
    exponent, mantissa = code >> 1 & 3, code & 1
    size = 2.0 ** (exponent - 1) * (1 + mantissa / 2) if exponent else mantissa / 2
    return -size if code & 8 else size


def fp4(outer: int, inner: int) -> tuple[Tensor, Tensor]:
    """Bytes of two numbers each, and the numbers."""
    codes = drawn(0, 16, outer, inner)
    pairs = codes.view(outer, -1, 2)
    numbers = torch.tensor([[e2m1(code) for code in row] for row in codes.tolist()])
    return (pairs[:, :, 0] + 16 * pairs[:, :, 1]).to(torch.uint8), numbers


MODELOPT = {"quant_method": "modelopt"}


@pytest.mark.parametrize("config", [MODELOPT, {}])
def test_nvfp4_of_modelopt_has_two_scales_to_multiply(config: dict[str, Any]) -> None:
    codes, numbers = fp4(48, 64)
    scales = (torch.rand(48, 4, generator=torch.Generator().manual_seed(1)) * 400).to(torch.float8_e4m3fn)
    beside = {"weight_scale": scales, "weight_scale_2": torch.tensor(0.003)}
    agrees(quantised(codes, beside.get, config), numbers * scales.float().repeat_interleave(16, 1) * 0.003)


def test_nvfp4_of_compressed_tensors_divides_by_its_second_scale() -> None:
    codes, numbers = fp4(48, 64)
    scales = (torch.rand(48, 4, generator=torch.Generator().manual_seed(1)) * 400).to(torch.float8_e4m3fn)
    beside = {"weight_packed": codes, "weight_scale": scales, "weight_global_scale": torch.tensor([800.0])}
    agrees(packed(beside.get, {}), numbers * scales.float().repeat_interleave(16, 1) / 800)


@pytest.mark.parametrize("whose", ["modelopt", "compressed-tensors"])
def test_mxfp4_has_exponents_for_scales(whose: str) -> None:
    codes, numbers = fp4(48, 96)
    scales = (drawn(1, 20, 48, 3) + 115).to(torch.uint8)
    if whose == "modelopt":
        weight = quantised(codes, {"weight_scale": scales}.get, MODELOPT)
    else:
        found = packed({"weight_packed": codes, "weight_scale": scales}.get, {})
        assert found is not None
        weight = found
    agrees(weight, numbers * 2.0 ** (scales.double() - 127).repeat_interleave(32, 1))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float8_e8m0fnu])
def test_mxfp8_has_exponents_for_scales(dtype: torch.dtype) -> None:
    codes = torch.randn(48, 96, generator=torch.Generator().manual_seed(0)).to(torch.float8_e4m3fn)
    scales = (drawn(1, 20, 48, 3) + 115).to(torch.uint8)
    weight = quantised(codes, {"weight_scale": scales.view(dtype)}.get, {})
    agrees(weight, codes.double() * 2.0 ** (scales.double() - 127).repeat_interleave(32, 1))


CODES, EXPONENTS = fp4(8, 32)[0], torch.full((8, 1), 127, dtype=torch.uint8)
SCALES = torch.ones(8, 2).to(torch.float8_e4m3fn)


@pytest.mark.parametrize(
    ("codes", "beside", "config", "reason"),
    [
        (CODES, {"weight_scale": EXPONENTS}, {}, "a method that no config names"),
        (CODES, {"weight_scale": EXPONENTS}, {"quant_method": "quark"}, "packed by quark"),
        (CODES, {"weight_scale": torch.ones(8, 1)}, MODELOPT, "scales of float32, which isn't read here"),
        (CODES, {"weight_scale": torch.ones(8, 2), "weight_scale_2": torch.ones(1)}, MODELOPT, "of float32, which"),
        (CODES, {"weight_scale": EXPONENTS[:4]}, MODELOPT, "which isn't read here"),
        (CODES, {"weight_scale": SCALES, "weight_scale_2": torch.ones(1), "pre_quant_scale": SCALES}, {}, "its inputs"),
        # one scale for every row, and as many rows as exponents: they aren't factors of the rows
        (CODES.view(torch.int8), {"weight_scale": EXPONENTS}, {}, "is of int8 with mxfp8 scales"),
        (torch.zeros(8, 64).to(torch.float8_e4m3fn), {"weight_scale": EXPONENTS}, {}, "which isn't read here"),
    ],
)
def test_what_is_not_read_says_so(
    codes: Tensor, beside: dict[str, Tensor], config: dict[str, Any], reason: str
) -> None:
    with pytest.raises(NotComparableError, match=reason):
        quantised(codes, beside.get, config)


@pytest.mark.parametrize(("form", "bits", "block"), [("nvfp4", 4, 16), ("mxfp4", 4, 32), ("mxfp8", 8, 32)])
def test_compressed_tensors_gives_the_same_numbers(form: str, bits: int, block: int) -> None:
    """It computes in bfloat16, whose rounding is the tolerance; the error of rounding is the declared one."""
    compressors = pytest.importorskip("compressed_tensors.compressors")
    quantization = pytest.importorskip("compressed_tensors.quantization")
    strategy = "tensor_group" if form == "nvfp4" else "group"
    weights = quantization.QuantizationArgs(
        num_bits=bits, type="float", strategy=strategy, group_size=block, symmetric=True
    )
    scheme = quantization.QuantizationScheme(targets=["Linear"], weights=weights)
    weight = torch.randn(256, 1024, generator=torch.Generator().manual_seed(0))
    largest = weight.view(256, -1, block).abs().amax(-1) / (448 if bits == 8 else 6)
    whole = torch.tensor([448 / largest.max()])
    given = {"weight": weight.clone(), "weight_scale": torch.exp2(torch.ceil(torch.log2(largest)))}
    if form == "nvfp4":
        given |= {"weight_scale": (largest * whole).to(torch.float8_e4m3fn).float(), "weight_global_scale": whole}
    name = {"nvfp4": "NVFP4Packed", "mxfp4": "MXFP4Packed", "mxfp8": "MXFP8Quantization"}[form]
    compressor = getattr(compressors, f"{name}Compressor")
    kept = compressor.compress(given, scheme)
    theirs = compressor.decompress(dict(kept), scheme)["weight"].float()
    found = quantised(kept["weight"], kept.get, {}) if "weight" in kept else packed(kept.get, {})
    assert found is not None
    torch.testing.assert_close(found.rows(0, 256), theirs, rtol=2**-7, atol=0)
    assert ((theirs - weight).norm() / weight.norm()).item() == pytest.approx(ERRORS[form], rel=0.02)
