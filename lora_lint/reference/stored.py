"""Weights as they lie in files, plain or quantised: blocks of their rows become numbers when they are asked for."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import torch
from torch import Tensor

ERRORS = {"nf4": 0.092, "fp4": 0.122, "int8": 0.0087}
"""The norm of the rounding error over that of a weight of normal values, measured with bitsandbytes 0.50.2, blocks of
64 and rows of 4096. Of other integer grids it is computed from the number of bits."""


class Rows(Protocol):
    """A weight that gives its rows as floating point numbers."""

    @property
    def shape(self) -> torch.Size:
        """As the layer has it, (out, in) or (out, in, *kernel)."""

    @property
    def nbytes(self) -> int: ...

    def rows(self, start: int, length: int) -> Tensor:
        """(length, all else), on the CPU or where a plain weight lies."""


@dataclass(frozen=True, eq=False)
class Plain:
    """A weight in floating point."""

    tensor: Tensor

    @property
    def shape(self) -> torch.Size:
        return self.tensor.shape

    @property
    def nbytes(self) -> int:
        return self.tensor.nbytes

    def rows(self, start: int, length: int) -> Tensor:
        return self.tensor.flatten(1).narrow(0, start, length)


@dataclass(frozen=True, eq=False)
class Quantised:
    """A weight that is kept as codes; `values` turns rows of them into float32."""

    shape: torch.Size
    nbytes: int
    values: Callable[[int, int], Tensor]
    error: float
    """Of quantising once more, over the norm of the weight."""

    def rows(self, start: int, length: int) -> Tensor:
        return self.values(start, length)


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of a larger weight: the query in a fused query, key and value."""

    whole: Rows
    start: int
    length: int

    @property
    def shape(self) -> torch.Size:
        return torch.Size((self.length, *self.whole.shape[1:]))

    @property
    def nbytes(self) -> int:
        return self.whole.nbytes * self.length // self.whole.shape[0]

    def rows(self, start: int, length: int) -> Tensor:
        return self.whole.rows(self.start + start, length)


@dataclass(frozen=True, eq=False)
class Joined:
    """Weights on top of each other: query, key and value where the adapter has them fused."""

    parts: Sequence[Rows]

    @property
    def shape(self) -> torch.Size:
        return torch.Size((sum(part.shape[0] for part in self.parts), *self.parts[0].shape[1:]))

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts)

    def rows(self, start: int, length: int) -> Tensor:
        found, first = [], 0
        for part in self.parts:
            low, high = max(start - first, 0), min(start + length - first, part.shape[0])
            if low < high:
                found.append(part.rows(low, high - low))
            first += part.shape[0]
        return torch.cat(found)


class NotComparableError(Exception):
    """Why a stored weight can't be turned into numbers here."""


Beside = Callable[[str], Tensor | None]
"""Another tensor of the same module by the end of its name, such as `scales`."""


def quantised(weight: Tensor, beside: Beside, config: Mapping[str, Any]) -> Quantised:
    """A module's `weight` that isn't floating point, or is 8-bit floating point, as numbers.

    `config` is the `quantization_config` of the model, empty where there is none.

    Raises:
        NotComparableError: when the format isn't known, or its parts are missing.
    """
    if weight.dtype == torch.uint8 and (state := _state_of_4_bit(beside)) is not None:
        return _bitsandbytes_4_bit(weight, beside, *state)
    if weight.dtype == torch.int8 and (scale := beside("SCB")) is not None and scale.numel() == weight.shape[0]:
        return _by_row(weight, scale.float() / 127, ERRORS["int8"])
    if weight.is_floating_point() or weight.dtype == torch.int8:
        return _scaled(weight, beside, config)
    raise NotComparableError("has none of the tensors beside it that are known here")


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
    method, bits = config.get("quant_method"), config.get("bits", config.get("w_bit"))
    if method == "awq" and bits == 4 and config.get("version", "gemm") == "gemm":
        return _awq(codes, zeros, scales)
    if method == "gptq" and bits in (2, 4, 8) and codes.shape[0] * 32 % int(bits) == 0:
        return _gptq(codes, zeros, scales, beside("g_idx"), int(bits), config)
    raise NotComparableError(f"is packed by {method or 'a method that no config names'} with {bits} bits")


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
    return isinstance(value, int) and 0 < value < 2**40


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
    if scale.numel() == 1:
        return _by_row(codes, scale.float().reshape(1).expand(codes.shape[0]), error)
    if scale.numel() == codes.shape[0]:
        return _by_row(codes, scale, error)
    rows, columns = _block(codes, scale, config)
    by_block = scale.float().repeat_interleave(columns, 1)[:, : codes.shape[1]]

    def values(start: int, length: int) -> Tensor:
        which = torch.arange(start, start + length, device="cpu") // rows
        return codes.narrow(0, start, length).float() * by_block[which]

    return Quantised(codes.shape, codes.nbytes, values, error)


def _block(codes: Tensor, scale: Tensor, config: Mapping[str, Any]) -> tuple[int, int]:
    """How many rows and columns share a scale: what the config says, or 128 each as DeepSeek has it."""
    rows, columns = config.get("weight_block_size") or (128, 128)
    if codes.dim() == 2 and scale.shape == (math.ceil(codes.shape[0] / rows), math.ceil(codes.shape[1] / columns)):
        return int(rows), int(columns)
    raise NotComparableError(f"is {tuple(codes.shape)} with {tuple(scale.shape)} scales, in blocks that aren't known")


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
    group = int(config.get("group_size", -1))
    group = group if group > 0 else inner
    which = groups.long() if groups is not None else torch.arange(inner, device="cpu") // group
    one = 0 if config.get("checkpoint_format") == "gptq_v2" else 1
    if scales.shape[1] != outer or zeros.shape[1] * per_word != outer or int(which.max()) >= scales.shape[0]:
        raise NotComparableError("has scales or zeros of another shape than its integers")

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
    if scales.shape[1] != outer or zeros.shape != (scales.shape[0], codes.shape[1]):
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
    outer, inner = map(int, shape.tolist())
    groups = {group.get("weights", {}).get("num_bits") for group in config.get("config_groups", {}).values()}
    bits = groups.pop() if len(groups) == 1 else None
    if bits not in (4, 8) or codes.shape != (outer, inner * bits // 32) or beside("weight_g_idx") is not None:
        raise NotComparableError(f"is packed with {bits or 'an unknown number of'} bits")
    each = inner // scale.shape[1]

    def values(start: int, length: int) -> Tensor:
        found = _unpacked(codes[start : start + length], bits, 1) - 2 ** (bits - 1)
        numbers: Tensor = scale[start : start + length].float().repeat_interleave(each, 1) * found
        return numbers

    return Quantised(torch.Size((outer, inner)), codes.nbytes, values, _grid_error(bits))
