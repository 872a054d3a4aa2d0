"""The scales of a whole live model: every layer measured, and held against a policy."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import nn

from lora_lint.facts import Fact, Site, derived
from lora_lint.policy import Policy
from lora_lint.reference.chosen import only
from lora_lint.reference.kept import kept
from lora_lint.reference.measure import Measurement, difference, measured, weight_scale
from lora_lint.reference.replaced import Replaced, output_projection
from lora_lint.reference.update import WRAPPERS, pairs_below, unwrapped, updates
from lora_lint.scaling import classic, number, rslora

MOST_NAMED = 3
"""Layers of one scale that a message names."""


class Layer(NamedTuple):
    """One adapted weight of a model, as it is called there, with the module that runs it."""

    name: str
    module: nn.Module
    runs: Replaced | None = None
    """Set where another module, such as attention, takes the weight and never calls this one."""


def measure_scales(model: nn.Module, *, adapter: str | None = None, probe: bool = False) -> dict[str, Measurement]:
    """The scale of every LoRA layer in a model, by the layer's name in the base model.

    `adapter` and `probe` are those of `measure_scale`. The second weight of PEFT's attention is measured as attention
    uses it, which never calls that layer.

    Raises:
        ValueError: when there is no such layer, or one can't be measured; the message names it.
    """
    with kept(model):
        return {layer.name: found for layer, found, _ in _measurements(model, adapter, probe)}


def assert_policy(
    model: nn.Module, policy: str = "2r", *, adapter: str | None = None, tolerance: float | None = None
) -> None:
    """For test suites: that every LoRA layer of `model` applies the scale that `policy` wants, trained or not.

    The policy is written as in the settings: `2r`, `r`, `scale:S` or `fixed:N`. Layers are measured with random
    factors, which are taken out again.

    Raises:
        AssertionError: when layers apply another scale; the message has the numbers and some of the layers.
        ValueError: when there is no LoRA layer, one can't be measured, or there is no such policy.
    """
    wanted = Policy.parse(policy)
    count, faults = 0, []
    with kept(model):
        for count, (layer, measurement, dtype) in enumerate(_measurements(model, adapter, probe=True), 1):  # noqa: B007
            expected = wanted.scale(_site(layer, adapter))
            if fault := difference(measurement, expected, dtype, tolerance):
                faults.append((fault.partition(", expected")[0], number(expected), layer.name))
    if faults:
        raise AssertionError(f"{len(faults)} of {count} layers: " + "; ".join(_summary(sorted(faults), str(wanted))))


def _summary(faults: list[tuple[str, str, str]], policy: str) -> Iterator[str]:
    """One clause for each kind of fault, whose layers are named as far as there is room."""
    for (fault, expected), group in groupby(faults, key=lambda one: one[:2]):
        names = [name for _, _, name in group]
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        yield f"{fault} in {', '.join(names[:MOST_NAMED])}{more}, policy {policy} wants {expected}"


def _measurements(
    model: nn.Module, adapter: str | None, probe: bool
) -> Iterator[tuple[Layer, Measurement, torch.dtype]]:
    layers = [layer for layer in _layers(model) if _takes_part(layer.module, adapter)]
    if not layers:
        named = f"of {adapter}" if adapter is not None else "whose adapter is active"
        raise ValueError(f"{type(model).__name__} has no LoRA layer {named}")
    for layer in layers:
        try:
            yield (layer, *_measured(layer, adapter, probe))
        except ValueError as error:
            raise ValueError(f"{layer.name}: {error}") from error


def _takes_part(module: nn.Module, adapter: str | None) -> bool:
    """Whether a layer has the adapter, or one that is active: adapters of one model may be on different layers."""
    found = updates(module)
    if adapter is not None:
        return adapter in found
    active = getattr(unwrapped(module), "active_adapters", None)
    return active is None or any(not name or name in active for name in found)


def _measured(layer: Layer, adapter: str | None, probe: bool) -> tuple[Measurement, torch.dtype]:
    if layer.runs is None:
        return measured(layer.module, adapter=adapter, probe=probe)
    with kept(layer.runs.layer), torch.no_grad():
        update = only(layer.module, adapter)
        values = update.random() if probe else update.factors
        prefix = "base_layer.out_proj."
        return weight_scale(layer.runs, update, values, prefix), layer.runs.read().dtype


def _layers(model: nn.Module) -> Iterator[Layer]:
    taken: dict[nn.Module, Replaced] = {}
    seen: set[str] = set()
    for name, module in list(pairs_below(model)):
        inner: Any = unwrapped(module)
        base = getattr(inner, "base_layer", None)
        if isinstance(base, nn.MultiheadAttention):
            taken[base.out_proj] = output_projection(module)
        parameter = getattr(inner, "parameter_name", None)
        plain = _plain(name, parameter)
        yield Layer(name if plain in seen else plain, module, taken.get(module))
        seen.add(plain)


def _plain(name: str, parameter: str | None) -> str:
    """The name in the base model, with the parameter where it is one that is adapted."""
    wrapped = name.split(".")
    while wrapped[0] in WRAPPERS:
        del wrapped[0]
    parts = [part for part in ".".join(wrapped).removeprefix("base_model.model.").split(".") if part != "base_layer"]
    return ".".join([*parts, parameter] if parameter else parts)


def _site(layer: Layer, adapter: str | None) -> Site:
    """What a policy needs to know: the rank, and whether alpha is divided by its root."""
    inner: Any = unwrapped(layer.module)
    update = only(layer.module, adapter)
    ranks, roots = getattr(inner, "r", {}), getattr(inner, "use_rslora", {})
    rank = ranks.get(update.adapter) if isinstance(ranks, dict) else None
    root = isinstance(roots, dict) and roots.get(update.adapter) is True
    alpha: Fact[float | None] | None = None
    rows = next(iter(update.factors.values())).shape[0]
    return Site((layer.name,), derived(float(rank or rows)), alpha, rslora if root else classic)
