"""What compressed-tensors calls `weight_packed`: integers in words, or 4-bit floating point in small blocks."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lora_lint.reference.microscaled import microscaled
from lora_lint.reference.stored import Beside, NotComparableError, Quantised
from lora_lint.reference.words import grid_error, span, unpacked

UNREAD = "is packed in a way of compressed-tensors that isn't read here"


def compressed(codes: Tensor, beside: Beside, config: Mapping[str, Any]) -> Quantised:
    """The weight of a module.

    Raises:
        NotComparableError: when the format isn't known, or its parts are missing.
    """
    scale = beside("weight_scale")
    if scale is None or beside("weight_g_idx") is not None:
        raise NotComparableError(UNREAD)
    if codes.dtype == torch.uint8:
        if beside("weight_zero_point") is not None:
            raise NotComparableError(UNREAD)
        divisor = beside("weight_global_scale")
        return microscaled(codes, scale, None if divisor is None else 1 / divisor.float())
    return _integers(codes, scale, beside, config)


def _integers(codes: Tensor, scale: Tensor, beside: Beside, config: Mapping[str, Any]) -> Quantised:
    """(out, in * bits / 32), offset by half the range, and so are zeros, (out * bits / 32, groups).

    compressed_tensors/compressors/pack_quantized at 0.20.0.
    """
    shape, zeros = beside("weight_shape"), beside("weight_zero_point")
    bits = _bits(config)
    if codes.dtype != torch.int32 or codes.dim() != 2 or shape is None:
        raise NotComparableError(UNREAD)
    if bits is None or not 1 < bits <= 8:
        raise NotComparableError(f"is packed with {bits or 'an unknown number of'} bits")
    outer, inner = shape.tolist() if shape.numel() == 2 else (0, 0)
    groups = scale.shape[1] if scale.dim() == 2 and scale.shape[0] == outer else 0
    if codes.shape != (outer, -(-inner * bits // 32)) or not groups or inner % groups:
        raise NotComparableError("has scales or a shape other than its integers'")
    if zeros is not None and (zeros.dtype != torch.int32 or zeros.shape != (-(-outer * bits // 32), groups)):
        raise NotComparableError("has zero points of another shape than its scales")

    def values(start: int, length: int) -> Tensor:
        found = unpacked(codes[start : start + length], bits, 1)[:, :inner]
        zero = torch.full((length, groups), 2 ** (bits - 1), device="cpu")
        if zeros is not None:
            words, before = span(start, length, bits)
            zero = unpacked(zeros[words], bits, 0)[before : before + length]
        each = inner // groups
        scales = scale[start : start + length].float().repeat_interleave(each, 1)
        numbers: Tensor = scales * (found - zero.repeat_interleave(each, 1))
        return numbers

    return Quantised(torch.Size((outer, inner)), codes.nbytes, values, grid_error(bits))


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
