"""Weights of several integers in a word, as GPTQ, AWQ and compressed-tensors store them."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lora_lint.reference.stored import Beside, NotComparableError, Quantised


def packed(beside: Beside, config: Mapping[str, Any]) -> Quantised | None:
    """A module that has no `weight` but GPTQ's, AWQ's or compressed-tensors' packed integers; None where it hasn't.

    Raises:
        NotComparableError: when the format isn't known, or its parts are missing.
    """
    if (codes := beside("weight_packed")) is not None:
        return _compressed_tensors(codes, beside, config)
    codes, zeros, scales = beside("qweight"), beside("qzeros"), beside("scales")
    if codes is None or zeros is None or scales is None:
        return None
    if any(tensor.dim() != 2 or not tensor.numel() for tensor in (codes, zeros, scales)) or codes.dtype != torch.int32:
        raise NotComparableError("has integers, zeros or scales that are no matrices")
    method, bits = config.get("quant_method"), config.get("bits", config.get("w_bit"))
    if method == "awq" and bits == 4 and config.get("version", "gemm") == "gemm":
        return _awq(codes, zeros, scales)
    if method == "gptq" and bits in (2, 4, 8) and codes.shape[0] * 32 % int(bits) == 0:
        return _gptq(codes, zeros, scales, beside("g_idx"), int(bits), config)
    raise NotComparableError(f"is packed by {method or 'a method that no config names'} with {bits} bits")


def _unpacked(words: Tensor, bits: int, dim: int) -> Tensor:
    """The unsigned integers in 32-bit words, the lowest bits first, along `dim` (0 or 1)."""
    shifts = torch.arange(0, 32, bits, dtype=torch.int32, device="cpu")
    spread = words.unsqueeze(1) >> shifts.view(1, -1, 1) if dim == 0 else words.unsqueeze(2) >> shifts
    kept: Tensor = spread & int(2**bits - 1)
    return kept.flatten(0, 1) if dim == 0 else kept.flatten(1)


def _grid_error(bits: int) -> float:
    """Of a uniform grid over groups of 128 normal values, which reach to some 2.6 times their spread."""
    return 2 * 2.6 / float(2**bits - 1) / math.sqrt(12)


def _gptq(
    codes: Tensor, zeros: Tensor, scales: Tensor, groups: Tensor | None, bits: int, config: Mapping[str, Any]
) -> Quantised:
    """(in / per word, out) packed down the columns; zeros are kept less one, except in the format `gptq_v2`.

    auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py, pack and forward, at 9f7d370.
    """
    per_word = 32 // bits
    inner, outer = codes.shape[0] * per_word, codes.shape[1]
    group = config.get("group_size")
    group = group if isinstance(group, int) and group > 0 else inner
    which = groups.long() if groups is not None else torch.arange(inner, device="cpu") // group
    one = 0 if config.get("checkpoint_format") == "gptq_v2" else 1
    if scales.shape[1] != outer or zeros.shape[1] * per_word != outer or which.numel() != inner:
        raise NotComparableError("has scales or zeros of another shape than its integers")
    if not 0 <= int(which.min()) <= int(which.max()) < min(scales.shape[0], zeros.shape[0]):
        raise NotComparableError("has groups that its scales don't have")

    def values(start: int, length: int) -> Tensor:
        found = _unpacked(codes[:, start : start + length], bits, 0)
        low, high = start // per_word, -(-(start + length) // per_word)
        zero = _unpacked(zeros[:, low:high], bits, 1)[:, start - low * per_word :][:, :length]
        zero = (zero + one) & (2**bits - 1)
        scale = scales[:, start : start + length].float()
        numbers: Tensor = scale[which] * (found - zero[which])
        return numbers.T

    return Quantised(torch.Size((outer, inner)), codes.nbytes, values, _grid_error(bits))


AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)
"""Which of the eight codes in a word belongs to the first, second, ... column: awq/utils/packing_utils.py, 88e4c76."""


def _awq(codes: Tensor, zeros: Tensor, scales: Tensor) -> Quantised:
    """(in, out / 8) packed along the rows, in an order of its own; zeros are kept as they are."""
    inner, outer = codes.shape[0], codes.shape[1] * 8
    group = inner // scales.shape[0]
    if scales.shape[1] != outer or zeros.shape != (scales.shape[0], codes.shape[1]) or inner % scales.shape[0]:
        raise NotComparableError("has scales or zeros of another shape than its integers")

    def ordered(words: Tensor) -> Tensor:
        return _unpacked(words, 4, 1).view(words.shape[0], -1, 8)[:, :, AWQ_ORDER].flatten(1)

    def values(start: int, length: int) -> Tensor:
        low, high = start // 8, -(-(start + length) // 8)
        found, zero = (ordered(words[:, low:high])[:, start - low * 8 :][:, :length] for words in (codes, zeros))
        scale = scales[:, start : start + length].float()
        numbers: Tensor = scale.repeat_interleave(group, 0) * (found - zero.repeat_interleave(group, 0))
        return numbers.T

    return Quantised(torch.Size((outer, inner)), codes.nbytes, values, _grid_error(4))


def _compressed_tensors(codes: Tensor, beside: Beside, config: Mapping[str, Any]) -> Quantised:
    """(out, in / per word), offset by half the range: compressed_tensors/compressors/pack_quantized at 0.20.0."""
    scale, shape = beside("weight_scale"), beside("weight_shape")
    if codes.dtype != torch.int32 or scale is None or shape is None or beside("weight_zero_point") is not None:
        raise NotComparableError("is packed in a way of compressed-tensors that isn't read here")
    bits = _bits(config)
    if bits not in (4, 8) or beside("weight_g_idx") is not None:
        raise NotComparableError(f"is packed with {bits or 'an unknown number of'} bits")
    outer, inner = shape.tolist() if shape.numel() == 2 else (0, 0)
    groups = scale.shape[1] if scale.dim() == 2 and scale.shape[0] == outer else 0
    if codes.shape != (outer, inner * bits // 32) or not groups or inner % groups:
        raise NotComparableError("has scales or a shape other than its integers'")
    each = inner // groups

    def values(start: int, length: int) -> Tensor:
        found = _unpacked(codes[start : start + length], bits, 1) - 2 ** (bits - 1)
        numbers: Tensor = scale[start : start + length].float().repeat_interleave(each, 1) * found
        return numbers

    return Quantised(torch.Size((outer, inner)), codes.nbytes, values, _grid_error(bits))


def _bits(config: Mapping[str, Any]) -> int | None:
    """How many bits all groups of a config have, or None where it doesn't say."""
    groups = config.get("config_groups")
    found = {_inner(one, "weights", "num_bits") for one in groups.values()} if isinstance(groups, dict) else set()
    bits = found.pop() if len(found) == 1 else None
    return bits if isinstance(bits, int) else None


def _inner(data: object, *keys: str) -> object:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, int | str) else None
