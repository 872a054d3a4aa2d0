"""The reference module: what `s * B @ A` adds to a linear layer, a convolution or an embedding, plain or under DoRA."""

from collections.abc import Callable
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from lora_lint.scaling import classic, rslora

Kind = Literal["linear", "conv", "embedding", "experts", "fused"]
"""What is adapted; `fused` are several linear layers in one weight, whose A has the rows of each."""


class Geometry(NamedTuple):
    """How a convolution slides; A takes all of it except the groups, which are B's."""

    stride: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] | str = 0
    dilation: int | tuple[int, ...] = 1
    groups: int = 1


PLAIN = Geometry()


def added(x: Tensor, a: Tensor, b: Tensor, kind: Kind = "linear", geometry: Geometry = PLAIN) -> Tensor:
    """`B A x`, without any scale.

    `a` is (r, in), (r, in, *kernel) or, for an embedding, (r, vocabulary); `b` is (out, r), (out, r / groups, 1, ...).
    """
    if kind == "embedding":
        return functional.linear(functional.embedding(x, a.T), b)
    if kind == "conv":
        return _convolve(_convolve(x, a, geometry._replace(groups=1)), b, Geometry(groups=geometry.groups))
    return functional.linear(functional.linear(x, a), b)


def _convolve(x: Tensor, weight: Tensor, geometry: Geometry) -> Tensor:
    convolutions: dict[int, Callable[..., Tensor]] = {3: functional.conv1d, 4: functional.conv2d, 5: functional.conv3d}
    return convolutions[weight.dim()](x, weight, None, *geometry)


def channels(weight: Tensor, kind: Kind) -> Tensor:
    """`weight` with one row per output channel, which is what DoRA takes norms over."""
    return weight.T if kind == "embedding" else weight.flatten(1)


class ReferenceLoRA(nn.Module):
    """`y = x W^T + s (x A^T) B^T`, with the bias of the base and, given a `magnitude`, with DoRA around the two terms.

    `weight` is laid out as in torch's own layers: (out, in), (out, in / groups, *kernel), or (vocabulary, dim) for an
    embedding. Everything stays on the device and in the dtype it comes in. Section 4.1 of arXiv:2106.09685; DoRA,
    whose norm counts as a constant in the gradient, is section 4.3 of arXiv:2402.09353.
    """

    def __init__(
        self,
        weight: Tensor,
        a: Tensor,
        b: Tensor,
        scale: float = 2.0,
        *,
        kind: Kind | None = None,
        bias: Tensor | None = None,
        magnitude: Tensor | None = None,
        geometry: Geometry = PLAIN,
    ) -> None:
        super().__init__()
        self.kind: Kind = kind or ("conv" if a.dim() > 2 else "linear")
        self.scale = scale
        self.geometry = geometry
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.lora_A = nn.Parameter(a)
        self.lora_B = nn.Parameter(b)
        self.magnitude = None if magnitude is None else nn.Parameter(magnitude)

    @classmethod
    def from_alpha(
        cls,
        weight: Tensor,
        a: Tensor,
        b: Tensor,
        alpha: float,
        *,
        use_rslora: bool = False,
        kind: Kind | None = None,
        geometry: Geometry = PLAIN,
    ) -> Self:
        """The module with `s = alpha / r`, or `alpha / sqrt(r)` with `use_rslora`; r is the number of rows of A."""
        scale = (rslora if use_rslora else classic)(alpha, a.shape[0])
        return cls(weight, a, b, scale, kind=kind, geometry=geometry)

    @property
    def rank(self) -> int:
        return self.lora_A.shape[0]

    def base_layer(self, x: Tensor) -> Tensor:
        """What the frozen layer gives, bias included."""
        y = self._frozen(x)
        return y if self.bias is None else y + self._per_channel(self.bias, y)

    def forward(self, x: Tensor) -> Tensor:
        y = self._frozen(x) + self.scale * added(x, self.lora_A, self.lora_B, self.kind, self.geometry)
        if self.magnitude is not None:
            y = y * self._per_channel(self._stretch(self.magnitude), y)
        return y if self.bias is None else y + self._per_channel(self.bias, y)

    def delta(self) -> Tensor:
        """`s * B @ A` in the layout of the weight.

        Raises:
            ValueError: for a grouped convolution, whose update has more entries than its weight.
        """
        if self.geometry.groups > 1:
            raise ValueError("the update of a grouped convolution doesn't fit its weight")
        product = self.lora_B.flatten(1) @ self.lora_A.flatten(1)
        return self.scale * (product.T if self.kind == "embedding" else product.view(self.weight.shape))

    def merged(self) -> Tensor:
        """The weight that does the same without an adapter."""
        total = self.weight + self.delta()
        if self.magnitude is None:
            return total
        rows = channels(total, self.kind) * self._stretch(self.magnitude).unsqueeze(1)
        return rows.T if self.kind == "embedding" else rows.view(total.shape)

    def _frozen(self, x: Tensor) -> Tensor:
        if self.kind == "embedding":
            return functional.embedding(x, self.weight)
        if self.kind == "conv":
            return _convolve(x, self.weight, self.geometry)
        return functional.linear(x, self.weight)

    def _stretch(self, magnitude: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(channels(self.weight + self.delta(), self.kind), dim=1)
        stretch: Tensor = magnitude.flatten() / norm.detach()
        return stretch

    def _per_channel(self, values: Tensor, y: Tensor) -> Tensor:
        return values.view(-1, *[1] * (y.dim() - 2)) if self.kind == "conv" else values
