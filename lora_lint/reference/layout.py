"""A and B as PEFT lays them out, whoever wrote the file."""

from torch import Tensor

from lora_lint.modules import ROWS, Axes


def laid_out(a: Tensor, b: Tensor, axes: Axes) -> tuple[Tensor, Tensor]:
    """A as (r, in) and B as (out, r), from halves whose rank lies on `axes`; convolutions stay as they are.

    Of stacked experts A becomes (experts * r, in) and B (out, r * experts), in which every experts-th column from e is
    that of expert e: experts_of in lora_lint/reference/merged.py. Halves of other shapes come back untouched.
    """
    if axes == ROWS or a.dim() != b.dim():
        return a, b
    if a.dim() == 2:
        return a if axes[0] % 2 == 0 else a.T, b if axes[1] % 2 else b.T
    if a.dim() == 3 and a.shape[0] == b.shape[0]:
        a, b = a.movedim(axes[0], 1), b.movedim(axes[1], 2)
        return a.flatten(0, 1), b.permute(1, 2, 0).flatten(1)
    return a, b
