"""Weights that MLX has quantised: 32-bit words, and a scale and an offset for each group of inputs."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from lora_lint.reference.microscaled import microscaled
from lora_lint.reference.stored import Beside, NotComparableError, Quantised
from lora_lint.reference.words import grid_error, unpacked

_MODES = ("affine", "mxfp4", "mxfp8", "nvfp4")


def of_mlx(weight: Tensor, scales: Tensor | None, offsets: Tensor | None, config: Mapping[str, Any]) -> Quantised:
    """(out, in * bits / 32) words with (out, in / group) scales, and as many offsets where the mode is affine.

    `mx.dequantize` of MLX 0.32.4, with which the tests compare. The config says the group; bits follow from it.

    Raises:
        NotComparableError: when the mode isn't known, or shapes don't fit.
    """
    mode, words = config.get("mode", "affine"), weight.view(torch.int32)
    if mode not in _MODES or weight.dim() != 2 or scales is None or scales.shape[:-1] != weight.shape[:-1]:
        raise NotComparableError(f"has no scales of MLX's mode {mode} beside it")
    if mode != "affine":
        return _in_blocks(words, scales, mode)
    group = config.get("group_size")
    inner = scales.shape[1] * group if isinstance(group, int) and group > 0 else 0
    bits = weight.shape[1] * 32 // inner if inner else 0
    if offsets is None or offsets.shape != scales.shape or not 1 < bits <= 8 or inner * bits != weight.shape[1] * 32:
        raise NotComparableError("has scales and offsets of groups that its config doesn't tell")

    each, beside = inner // scales.shape[1], (scales, offsets)

    def values(start: int, length: int) -> Tensor:
        found = unpacked(words[start : start + length], bits, 1)
        scale, offset = (one[start : start + length].float().repeat_interleave(each, 1) for one in beside)
        numbers: Tensor = scale * found + offset
        return numbers

    return Quantised(torch.Size((weight.shape[0], inner)), weight.nbytes, values, grid_error(bits))


def _in_blocks(words: Tensor, scales: Tensor, mode: str) -> Quantised:
    """The same bytes as others have; scales of NVFP4 are numbers of 8 bits under the name of whole ones."""
    codes = words.contiguous().view(torch.uint8)
    if mode == "nvfp4":
        return microscaled(codes, scales.view(torch.float8_e4m3fn), torch.ones(1, device="cpu"))
    return microscaled(codes if mode == "mxfp4" else codes.view(torch.float8_e4m3fn), scales)


def experts_of_mlx(weight: Tensor, beside: Beside) -> Iterator[tuple[Tensor, Tensor | None, Tensor | None]]:
    """Words, scales and offsets of each expert."""
    scales, offsets = beside("scales"), beside("biases")
    for expert, words in enumerate(weight):
        yield (
            words,
            scales[expert] if scales is not None and len(scales) == len(weight) else None,
            offsets[expert] if offsets is not None and len(offsets) == len(weight) else None,
        )
