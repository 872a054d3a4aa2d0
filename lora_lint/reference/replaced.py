"""The scale of layers that run with another weight rather than add to the output: PEFT's attention and parameters."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lora_lint.reference.layer import Kind
from lora_lint.reference.update import Update, Values, unwrapped


class _Seen(Exception):  # noqa: N818 - a signal that the weights were read, not a failure
    """Ends a forward pass before the base layer runs."""


class Replaced:
    """Where the weight stands that a layer replaces while it runs."""

    def __init__(self, layer: nn.Module, base: nn.Module, read: Callable[[], Tensor], kind: Kind) -> None:
        self.layer = layer
        self.base = base
        self.read = read
        self.kind = kind

    def weight(self, factors: Mapping[str, Tensor]) -> Tensor:
        """The weight that the base layer runs with, given some of the layer's factors by their names."""
        seen: list[Tensor] = []

        def stop(module: nn.Module, inputs: object) -> None:
            seen.append(self.read().detach().clone())
            raise _Seen

        hook = self.base.register_forward_pre_hook(stop, prepend=True)
        try:
            functional_call(self.layer, dict(factors), self._inputs())
        except _Seen:
            pass
        finally:
            hook.remove()
        if not seen:
            raise ValueError(f"{type(self.layer).__name__} doesn't run the layer that it adapts")
        return seen[0]

    def _inputs(self) -> tuple[Tensor, ...]:
        """Inputs of the least size: no layer gets to see them."""
        like = self.read()
        x = torch.zeros(1, 1, like.shape[-1], device=like.device, dtype=like.dtype)
        return (x, x, x) if isinstance(self.base, nn.MultiheadAttention) else (x,)


def replaced(layer: nn.Module) -> Replaced | None:
    """How a layer replaces a weight, or None where it adds to an output.

    PEFT's MultiheadAttention merges before every forward pass and unmerges after it; its ParamWrapper parametrises
    (lora/layer.py:2223 and 2572 at 0.21.2).
    """
    inner = unwrapped(layer)
    base: Any = getattr(inner, "base_layer", None)
    if isinstance(base, nn.MultiheadAttention):
        return Replaced(layer, base, lambda: base.in_proj_weight, "linear")
    name = getattr(inner, "parameter_name", None)
    if isinstance(name, str) and hasattr(inner, "get_base_layer"):
        get_base_layer: Any = inner.get_base_layer
        base = get_base_layer()
        kind: Kind = "experts" if getattr(base, name).dim() == 3 else "linear"
        return Replaced(layer, base, lambda: getattr(base, name), kind)
    return None


def output_projection(layer: nn.Module) -> Replaced:
    """The second weight that an attention layer of PEFT replaces."""
    base: Any = unwrapped(layer).base_layer
    return Replaced(layer, base, lambda: base.out_proj.weight, "linear")


def weights_and_factors(where: Replaced, update: Update, values: Values, prefix: str = "") -> tuple[Tensor, ...]:
    """The weight without the update, with it, and A and B."""
    given = {prefix + name: value for name, value in update.put(values).items()}
    zero = {prefix + name: value for name, value in update.without().items()}
    return where.weight(given | zero), where.weight(given), values["lora_A"], values["lora_B"]
