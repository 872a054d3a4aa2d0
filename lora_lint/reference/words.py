"""Integers of a few bits that lie one after the other in 32-bit words, the lowest bits first."""

import math

import torch
from torch import Tensor


def unpacked(words: Tensor, bits: int, dim: int) -> Tensor:
    """The unsigned integers in words along `dim` (0 or 1): 32 of them in every `bits` words, and none cut off.

    Where 32 is no multiple of the bits, some begin in one word and end in the next, as in GPTQ's and MLX's 3 bits.
    """
    words = words.T if dim == 0 else words
    if 32 % bits:
        found = _across(words, bits)
    else:
        shifts = torch.arange(0, 32, bits, dtype=torch.int32, device="cpu")
        found = ((words.unsqueeze(2) >> shifts) & int(2**bits - 1)).flatten(1)
    return found.T if dim == 0 else found


def _across(words: Tensor, bits: int) -> Tensor:
    starts = torch.arange(words.shape[1] * 32 // bits, device="cpu") * bits
    first, offsets = starts // 32, starts % 32
    wide = torch.nn.functional.pad(words.long() & (2**32 - 1), (0, 1))
    both = wide[:, first] | wide[:, first + 1] << 32
    return both.bitwise_right_shift(offsets).bitwise_and(2**bits - 1).int()


def span(start: int, length: int, bits: int) -> tuple[slice, int]:
    """The words that hold some integers, from a whole 32 of them on, and how many of theirs come first."""
    before = start // 32
    return slice(before * bits, -(-(start + length) // 32) * bits), start - before * 32


def grid_error(bits: int) -> float:
    """Of a uniform grid over groups of 128 normal values, which reach to some 2.6 times their spread."""
    return 2 * 2.6 / float(2**bits - 1) / math.sqrt(12)
