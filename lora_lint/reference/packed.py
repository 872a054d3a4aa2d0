"""Weights of several integers in a word, as GPTQ and AWQ store them; who packs a module's weight, if anybody does."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lora_lint.reference.compressed import compressed
from lora_lint.reference.stored import Beside, NotComparableError, Quantised
from lora_lint.reference.words import grid_error, span, unpacked


def packed(beside: Beside, config: Mapping[str, Any]) -> Quantised | None:
    """A module that has no `weight` but GPTQ's, AWQ's or compressed-tensors' packed numbers; None where it hasn't.

    Raises:
        NotComparableError: when the format isn't known, or its parts are missing.
    """
    if (codes := beside("weight_packed")) is not None:
        return compressed(codes, beside, config)
    codes, zeros, scales = beside("qweight"), beside("qzeros"), beside("scales")
    if codes is None or zeros is None or scales is None:
        return None
    bits = config.get("bits", config.get("w_bit"))
    method, layout = _form(config)
    if any(tensor.dim() != 2 or not tensor.numel() for tensor in (codes, zeros, scales)) or codes.dtype != torch.int32:
        raise NotComparableError("has integers, zeros or scales that are no matrices of whole words")
    if method == "awq" and bits == 4 and layout in ("", "gemm"):
        return _awq(codes, zeros, scales)
    if method == "awq" and bits == 4 and layout == "gemv":
        return _gemv(codes, zeros, scales, config)
    continuous = layout in ("", "gptq", "gptq_v2") or (layout == "gptq_p" and bits != 3)
    if method == "gptq" and bits in (2, 3, 4, 8) and continuous and codes.shape[0] * 32 % int(bits) == 0:
        return _gptq(codes, zeros, scales, beside("g_idx"), int(bits), config)
    form = f" in the form {layout}" if layout else ""
    raise NotComparableError(f"is packed by {method or 'a method that no config names'} with {bits} bits{form}")


AUTO_ROUND = {
    "auto_round:auto_gptq": ("gptq", "gptq"),
    "auto_round:gptqmodel": ("gptq", "gptq_v2"),
    "auto_round": ("gptq", "gptq_v2"),
    "auto_round:auto_awq": ("awq", "gemm"),
}
"""Whose form each `packing_format` of AutoRound is: auto_round/inference/backend.py:210-212 and
export/export_to_autoround/export.py:73-93 at b9f3d00."""


def _form(config: Mapping[str, Any]) -> tuple[str, str]:
    """Who packs, and in what order of the integers: AutoAWQ's version, AutoGPTQ's and GPTQModel's format.

    awq/models/_config.py:14 at 88e4c76, gptqmodel/quantization/config.py:63-66 and 106-127 at f4c327a.
    """
    method = str(config.get("quant_method") or "")
    if method.endswith("auto-round"):
        given = str(config.get("packing_format") or "")
        return AUTO_ROUND.get(given, (method, given))
    if config.get("is_marlin_format"):
        return method, "marlin"
    given = next((config[key] for key in ("version", "checkpoint_format", "format") if config.get(key)), "")
    return method, str(given).lower()


def _gptq(
    codes: Tensor, zeros: Tensor, scales: Tensor, groups: Tensor | None, bits: int, config: Mapping[str, Any]
) -> Quantised:
    """(in * bits / 32, out) packed down the columns; zeros are kept less one, except in `gptq_v2` and `gptq_p`.

    auto_gptq/nn_modules/qlinear/qlinear_cuda_old.py, pack and forward, at 9f7d370; of GPTQModel the class FORMAT of
    quantization/config.py at f4c327a, whose `gptq_p` is the same but for 3 bits.
    """
    inner, outer = codes.shape[0] * 32 // bits, codes.shape[1]
    group = config.get("group_size")
    group = group if isinstance(group, int) and group > 0 else inner
    which = groups.long() if groups is not None else torch.arange(inner, device="cpu") // group
    one = 0 if _form(config)[1] in ("gptq_v2", "gptq_p") else 1
    if scales.shape[1] != outer or zeros.shape[1] * 32 // bits != outer or which.numel() != inner:
        raise NotComparableError("has scales or zeros of another shape than its integers")
    if not 0 <= int(which.min()) <= int(which.max()) < min(scales.shape[0], zeros.shape[0]):
        raise NotComparableError("has groups that its scales don't have")

    def values(start: int, length: int) -> Tensor:
        found = unpacked(codes[:, start : start + length], bits, 0)
        words, before = span(start, length, bits)
        zero = unpacked(zeros[:, words], bits, 1)[:, before : before + length]
        zero = (zero + one) & (2**bits - 1)
        scale = scales[:, start : start + length].float()
        numbers: Tensor = scale[which] * (found - zero[which])
        return numbers.T

    return Quantised(torch.Size((outer, inner)), codes.nbytes, values, grid_error(bits))


AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)
"""Which of the eight codes in a word belongs to the first, second, ... column: awq/utils/packing_utils.py, 88e4c76."""


def _awq(codes: Tensor, zeros: Tensor, scales: Tensor) -> Quantised:
    """(in, out / 8) packed along the rows, in an order of its own; zeros are kept as they are."""
    inner, outer = codes.shape[0], codes.shape[1] * 8
    group = inner // scales.shape[0]
    if scales.shape[1] != outer or zeros.shape != (scales.shape[0], codes.shape[1]) or inner % scales.shape[0]:
        raise NotComparableError("has scales or zeros of another shape than its integers")

    def ordered(words: Tensor) -> Tensor:
        return unpacked(words, 4, 1).view(words.shape[0], -1, 8)[:, :, AWQ_ORDER].flatten(1)

    def values(start: int, length: int) -> Tensor:
        low, high = start // 8, -(-(start + length) // 8)
        found, zero = (ordered(words[:, low:high])[:, start - low * 8 :][:, :length] for words in (codes, zeros))
        scale = scales[:, start : start + length].float()
        numbers: Tensor = scale.repeat_interleave(group, 0) * (found - zero.repeat_interleave(group, 0))
        return numbers.T

    return Quantised(torch.Size((outer, inner)), codes.nbytes, values, grid_error(4))


def _gemv(codes: Tensor, zeros: Tensor, scales: Tensor, config: Mapping[str, Any]) -> Quantised:
    """(out, in / 8) packed along the rows; zeros and scales of a row are filled up with nothing to whole words.

    awq/modules/linear/gemv.py, `from_linear` and `calculate_zeros_width`, at 88e4c76.
    """
    outer, inner = codes.shape[0], codes.shape[1] * 8
    group = config.get("group_size", config.get("q_group_size"))
    group = inner if group == -1 else group if isinstance(group, int) and group > 0 else 0
    groups = inner // group if group and inner % group == 0 else 0
    if not groups or zeros.shape[0] != outer or zeros.shape[1] * 8 < groups:
        raise NotComparableError("has zeros of another shape than its integers, or groups of an unknown size")
    if scales.shape[0] != outer or scales.shape[1] < groups:
        raise NotComparableError("has scales of another shape than its integers")

    def values(start: int, length: int) -> Tensor:
        found, zero = (unpacked(words[start : start + length], 4, 1) for words in (codes, zeros))
        scale = scales[start : start + length, :groups].float()
        each = (one.repeat_interleave(group, 1) for one in (scale, zero[:, :groups]))
        numbers: Tensor = next(each) * (found - next(each))
        return numbers

    return Quantised(torch.Size((outer, inner)), codes.nbytes, values, grid_error(4))
