"""Weights of experts that don't lie in one tensor as they do in the model: packed by gpt-oss, or one by one."""

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from lora_lint.reference.microscaled import ERRORS, exponents, numbers
from lora_lint.reference.stored import Beside, NotComparableError, Quantised, Stacked

PARTS: tuple[dict[str, tuple[str, ...]], ...] = (
    {"gate_up_proj": ("gate_proj", "up_proj")},
    {"gate_up_proj": ("w1", "w3"), "gate_proj": ("w1",), "up_proj": ("w3",), "down_proj": ("w2",)},
)
"""What the layers of an expert are called in files where each has its own, Qwen's and Mixtral's, in the order of rows:
src/transformers/conversion_mapping.py at 5.24.0."""

_STACKS = {".experts": (".experts",), ".mlp.switch_mlp": (".mlp.experts", ".block_sparse_moe.experts")}
"""Where a stack of experts has its experts one by one; MLX's has a module of its own for each layer."""


def of_gpt_oss(parameter: str, beside: Beside) -> Stacked | None:
    """MXFP4 as gpt-oss has it, (experts, out, in / 32, 16) bytes, turned as the layers are: (experts, in, out).

    `convert_moe_packed_tensors` in src/transformers/integrations/mxfp4.py at 5.24.0.

    Raises:
        NotComparableError: when the scales don't fit.
    """
    blocks, scales = beside(f"{parameter}_blocks"), beside(f"{parameter}_scales")
    if blocks is None or scales is None:
        return None
    sound = blocks.dtype == scales.dtype == torch.uint8 and blocks.dim() == 4 and blocks.shape[-1] == 16
    if not sound or blocks.shape[:-1] != scales.shape:
        raise NotComparableError(f"has {tuple(blocks.shape)} blocks with {tuple(scales.shape)} scales")
    return Stacked([_turned(*expert) for expert in zip(blocks, scales, strict=True)], ERRORS["mxfp4"])


def _turned(blocks: Tensor, scales: Tensor) -> Quantised:
    outer, inner = blocks.shape[0], blocks.shape[1] * 32

    def values(start: int, length: int) -> Tensor:
        low, high = start // 32, -(-(start + length) // 32)
        found = numbers(blocks[:, low:high]) * exponents(scales[:, low:high]).unsqueeze(2)
        return found.flatten(1)[:, start - low * 32 :][:, :length].T

    return Quantised(torch.Size((inner, outer)), blocks.nbytes, values, ERRORS["mxfp4"])


def containers(module: str, parameter: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Where the experts of a stacked weight may lie one by one, and the layers of each that make it up."""
    stack, name = (module, parameter) if parameter != "weight" else module.rpartition(".")[::2]
    for end, places in _STACKS.items():
        if f".{stack}".endswith(end):
            start = f".{stack}".removesuffix(end)
            for place, parts in product(places, PARTS):
                yield f"{start}{place}".removeprefix("."), parts.get(name, (name,))
