"""Weights of 4 and 8 bits that keep their shape or their name, as bitsandbytes, fbgemm and DeepSeek store them."""

import json
import math
from collections.abc import Mapping
from typing import Any, TypeGuard

import torch
from torch import Tensor

from lora_lint.reference.microscaled import microscaled
from lora_lint.reference.mlx import experts_of_mlx, of_mlx
from lora_lint.reference.stored import Beside, NotComparableError, Quantised, Stacked

ERRORS = {"nf4": 0.092, "fp4": 0.122, "int8": 0.0087}
"""The norm of the rounding error over that of a weight of normal values, measured with bitsandbytes 0.50.2, blocks of
64 and rows of 4096. Of other integer grids it is computed from the number of bits."""


def quantised(weight: Tensor, beside: Beside, config: Mapping[str, Any]) -> Quantised | Stacked:
    """A module's `weight` that isn't floating point, or is 8-bit floating point, as numbers.

    `config` is the `quantization_config` of the model, empty where there is none.

    Raises:
        NotComparableError: when the format isn't known, or its parts are missing.
    """
    if weight.dim() == 3 and weight.dtype == torch.uint32:
        experts = [of_mlx(*parts, config) for parts in experts_of_mlx(weight, beside)]
        return Stacked(experts, max(one.error for one in experts))
    if weight.dtype == torch.uint32:
        return of_mlx(weight, beside("scales"), beside("biases"), config)
    if weight.dim() < 2 or not weight.numel():
        raise NotComparableError(f"has the shape {tuple(weight.shape)}")
    if beside("pre_quant_scale") is not None:
        raise NotComparableError("has a scale for its inputs, pre_quant_scale, which isn't read here")
    if weight.dtype == torch.uint8 and (state := _state_of_4_bit(beside)) is not None:
        return _bitsandbytes_4_bit(weight, beside, *state)
    if weight.dtype == torch.int8 and (scale := beside("SCB")) is not None and scale.numel() == weight.shape[0]:
        return _by_row(weight, scale.float() / 127, ERRORS["int8"])
    if weight.dtype == torch.uint8 and (scales := beside("weight_scale")) is not None:
        return _modelopt(weight, scales, beside("weight_scale_2"), config)
    if weight.is_floating_point() or weight.dtype == torch.int8:
        return _scaled(weight, beside, config)
    raise NotComparableError("has none of the tensors beside it that are known here")


def _state_of_4_bit(beside: Beside) -> tuple[str, dict[str, Any]] | None:
    for kind in ("nf4", "fp4"):
        state = beside(f"weight.quant_state.bitsandbytes__{kind}")
        if state is not None:
            try:
                found = json.loads(bytes(state.tolist()))
            except (ValueError, TypeError, RecursionError) as error:
                raise NotComparableError("has a quant_state that isn't JSON") from error
            return kind, found if isinstance(found, dict) else {}
    return None


def _bitsandbytes_4_bit(codes: Tensor, beside: Beside, kind: str, state: dict[str, Any]) -> Quantised:
    """bitsandbytes/functional.py at 0.50.2: two codes a byte, the first in the high half; blocks of the flat weight."""
    table, absmax = beside("weight.quant_map"), beside("weight.absmax")
    if table is None or absmax is None:
        raise NotComparableError("lacks its quant_map or absmax")
    shape, block = state.get("shape"), state.get("blocksize")
    if not _whole(block) or not isinstance(shape, list) or len(shape) < 2 or not all(map(_whole, shape)):
        raise NotComparableError("has a quant_state without shape or blocksize")
    if absmax.dtype == torch.uint8:
        absmax = _nested(absmax, beside, state)
    columns = math.prod(shape[1:])
    if table.numel() != 16 or codes.numel() * 2 < shape[0] * columns or absmax.numel() * block < shape[0] * columns:
        raise NotComparableError(f"has {codes.numel()} bytes and {absmax.numel()} blocks for a shape of {shape}")
    flat, sizes_of = codes.flatten(), absmax.float()

    def values(start: int, length: int) -> Tensor:
        first, last = start * columns, (start + length) * columns
        both = flat[first // 2 : (last + 1) // 2].int()
        found = table[torch.stack((both >> 4, both & 15), dim=1).flatten()][first % 2 :][: last - first]
        blocks = torch.arange(first, last, device="cpu") // block
        return (found * sizes_of[blocks]).view(length, columns)

    return Quantised(torch.Size(shape), codes.nbytes, values, ERRORS[kind])


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**40


def _nested(absmax: Tensor, beside: Beside, state: Mapping[str, Any]) -> Tensor:
    """The largest values of blocks, which are quantised in blocks themselves, around an offset."""
    table, sizes, block = (
        beside("weight.nested_quant_map"),
        beside("weight.nested_absmax"),
        state.get("nested_blocksize"),
    )
    offset = state.get("nested_offset")
    if table is None or sizes is None or not _whole(block) or not isinstance(offset, float) or table.numel() != 256:
        raise NotComparableError("lacks its nested_quant_map or nested_absmax")
    which = torch.arange(absmax.numel(), device="cpu") // block
    if absmax.numel() > sizes.numel() * block:
        raise NotComparableError("has more blocks than nested_absmax is for")
    return table[absmax.int()] * sizes[which] + offset


def _modelopt(codes: Tensor, scales: Tensor, factor: Tensor | None, config: Mapping[str, Any]) -> Quantised:
    """4-bit floating point under the name `weight`: modelopt/torch/export/unified_export_hf.py at 0.47.0."""
    method = str(config.get("quant_method") or "a method that no config names")
    if factor is None and not method.startswith("modelopt"):
        raise NotComparableError(f"is packed by {method}")
    return microscaled(codes, scales, factor)


def _by_row(codes: Tensor, scale: Tensor, error: float) -> Quantised:
    column = scale.float().reshape(-1, 1)

    def values(start: int, length: int) -> Tensor:
        return codes.narrow(0, start, length).flatten(1).float() * column.narrow(0, start, length)

    return Quantised(codes.shape, codes.nbytes, values, error)


def _scaled(codes: Tensor, beside: Beside, config: Mapping[str, Any]) -> Quantised:
    """8-bit numbers with a scale for all, for each row or for square blocks: fbgemm, compressed-tensors, DeepSeek."""
    error = 0.2124 * torch.finfo(codes.dtype).eps if codes.is_floating_point() else ERRORS["int8"]
    scale = next((found for end in ("weight_scale_inv", "weight_scale") if (found := beside(end)) is not None), None)
    if scale is None:
        if codes.is_floating_point():
            return _by_row(codes, torch.ones(codes.shape[0], device="cpu"), error)
        raise NotComparableError("has neither SCB nor weight_scale beside it")
    if beside("weight_zero_point") is not None:
        raise NotComparableError("has zero points, which aren't read here")
    if scale.dtype not in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        return microscaled(codes, scale)
    if scale.numel() == 1:
        return _by_row(codes, scale.float().reshape(1).expand(codes.shape[0]), error)
    if scale.numel() == codes.shape[0] == scale.shape[0]:  # there may be as many blocks as rows
        return _by_row(codes, scale, error)
    rows, columns = _block(codes, scale, config)
    by_block = scale.float().repeat_interleave(columns, 1)[:, : codes.shape[1]]

    def values(start: int, length: int) -> Tensor:
        which = torch.arange(start, start + length, device="cpu") // rows
        return codes.narrow(0, start, length).float() * by_block[which]

    return Quantised(codes.shape, codes.nbytes, values, error)


def _block(codes: Tensor, scale: Tensor, config: Mapping[str, Any]) -> tuple[int, int]:
    """How many rows and columns share a scale: what the config says, or 128 each as DeepSeek has it."""
    given = config.get("weight_block_size")
    rows, columns = given if isinstance(given, list) and len(given) == 2 and all(map(_whole, given)) else (128, 128)
    if codes.dim() == 2 and scale.shape == (math.ceil(codes.shape[0] / rows), math.ceil(codes.shape[1] / columns)):
        return rows, columns
    raise NotComparableError(f"is {tuple(codes.shape)} with {tuple(scale.shape)} scales, in blocks that aren't known")
