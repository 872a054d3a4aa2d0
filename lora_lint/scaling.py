"""The formulas that turn rank and alpha into the multiplier of `B @ A`: plain floats, no torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Formula:
    """How a framework computes the scale; `name` is what reports call it.

    `alpha_for` is the inverse: the alpha that gives a wanted scale at a rank.
    """

    name: str
    scale: Callable[[float, float], float]
    alpha_for: Callable[[float, float], float]

    def __call__(self, alpha: float, rank: float) -> float:
        """The scale.

        Raises:
            ZeroDivisionError: for rank 0.
            ValueError: for a negative rank under a root.
        """
        return self.scale(alpha, rank)


classic = Formula("alpha/r", lambda alpha, rank: alpha / rank, lambda scale, rank: scale * rank)
"""LoRA, section 4.1 of arXiv:2106.09685."""

rslora = Formula(
    "alpha/sqrt(r)", lambda alpha, rank: alpha / math.sqrt(rank), lambda scale, rank: scale * math.sqrt(rank)
)
"""Rank-stabilised LoRA, arXiv:2312.03732."""

direct = Formula("scale", lambda alpha, rank: alpha, lambda scale, rank: scale)
"""The config holds the multiplier itself, as MLX-LM's `scale` does; the rank has no part in it."""

inverse = Formula("1/r", lambda alpha, rank: 1 / rank, lambda scale, rank: 1.0)
"""DeepSpeed-Chat's layer: the numerator is 1 and can't be set."""

unscaled = Formula("1", lambda alpha, rank: 1.0, lambda scale, rank: math.nan)
"""The gemma library adds `B @ A` as it is."""


def number(value: float) -> str:
    """A number as people write it: 32 rather than 32.0 or 3.2e+01; six significant digits."""
    if isinstance(value, float) and not value.is_integer():
        short = f"{value:.6g}"
        if "e" not in short:
            return short
        return f"{value:.12f}".rstrip("0") if 1e-9 < abs(value) < 1 else short
    try:
        return str(int(value))
    except (OverflowError, ValueError):
        return str(value)
