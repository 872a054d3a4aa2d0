"""Weights in blocks of 16 or 32 numbers of 4 or 8 bits that share a scale of 8 bits: NVFP4, MXFP4 and MXFP8."""

import torch
from torch import Tensor

from lora_lint.reference.stored import NotComparableError, Quantised

E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""What the low three of four bits stand for; the fourth is the sign. Table 1 of OCP Microscaling Formats 1.0."""

BLOCK = {"nvfp4": 16, "mxfp4": 32, "mxfp8": 32}
ERRORS = {"nvfp4": 0.095, "mxfp4": 0.1156, "mxfp8": 0.0265}
"""The norm of the rounding error over that of a weight of normal values, measured with nvidia-modelopt 0.47.0 and
compressed-tensors 0.20.0."""


def microscaled(codes: Tensor, scales: Tensor, factor: Tensor | None = None) -> Quantised:
    """(out, in / 2) bytes of two numbers, the first in the low half, or (out, in) of one; (out, in / block) scales.

    Scales in whole numbers are exponents of 2, less 127. `factor` is one more scale, of the whole weight; only NVFP4
    has it. compressed_tensors/compressors/nvfp4, mxfp4 and mxfp8 at 0.20.0, modelopt/torch/quantization/qtensor/
    nvfp4_tensor.py and mxfp4_tensor.py at 0.47.0.

    Raises:
        NotComparableError: when the shapes or dtypes are none of these.
    """
    halves = codes.dtype == torch.uint8
    kind = "nvfp4" if factor is not None else "mxfp4" if halves else "mxfp8"
    wanted = torch.float8_e4m3fn if kind == "nvfp4" else torch.uint8
    inner = codes.shape[-1] * (2 if halves else 1)
    blocks = (*codes.shape[:-1], inner // BLOCK[kind])
    if not halves and codes.dtype != torch.float8_e4m3fn:
        raise NotComparableError(f"is of {str(codes.dtype).removeprefix('torch.')} with {kind} scales")
    if codes.dim() != 2 or inner % BLOCK[kind] or scales.shape != blocks or _bytes(scales).dtype != wanted:
        shapes = f"{tuple(codes.shape)} with {tuple(scales.shape)} scales"
        raise NotComparableError(f"is {shapes} of {str(scales.dtype).removeprefix('torch.')}, which isn't read here")
    whole = 1.0 if factor is None else float(factor.float().flatten()[0])

    def values(start: int, length: int) -> Tensor:
        found = numbers(codes[start : start + length]) if halves else codes[start : start + length].float()
        scale = exponents(scales[start : start + length]) if wanted == torch.uint8 else scales[start : start + length]
        return found * (scale.float() * whole).repeat_interleave(BLOCK[kind], 1)

    return Quantised(torch.Size((codes.shape[0], inner)), codes.nbytes, values, ERRORS[kind])


def numbers(codes: Tensor) -> Tensor:
    """The two numbers of each byte, along the last axis, as float32."""
    table = torch.tensor([*E2M1, *(-number for number in E2M1)], device="cpu")
    return table[torch.stack((codes & 15, codes >> 4), dim=-1).flatten(-2).int()]


def exponents(scales: Tensor) -> Tensor:
    """The powers of 2 whose exponents these bytes are, less 127."""
    return torch.exp2(_bytes(scales).float() - 127)


def _bytes(scales: Tensor) -> Tensor:
    """Scales in the exponent-only dtype that newer releases of torch have, as plain bytes."""
    exponent = getattr(torch, "float8_e8m0fnu", None)
    return scales.view(torch.uint8) if exponent is not None and scales.dtype == exponent else scales
