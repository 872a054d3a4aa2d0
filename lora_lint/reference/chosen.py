"""Which adapter of a layer is measured, and what no scale can be measured of."""

from collections.abc import Mapping

from torch import nn

from lora_lint.reference.update import Update, pairs_below, unwrapped, updates

_WITHOUT_SCALE = {
    "ArrowLinearVariant": "sends every token to adapters of its own choice",
    "QALoraLinearVariant": "pools its inputs in groups, so `B A x` isn't what is added",
}
"""Variants of PEFT's layers that no single number describes: peft/tuners/lora/variants.py:38 and 491 at 0.21.2."""


def only(layer: nn.Module, adapter: str | None = None) -> Update:
    """The adapter of that name, or the one that is active.

    Raises:
        ValueError: when there is none, or more than one.
    """
    found = updates(layer)
    active = getattr(unwrapped(layer), "active_adapters", None)
    chosen = [adapter] if adapter is not None else list(found)
    if adapter is None and len(found) > 1 and active is not None:
        chosen = [name for name in found if name in active]
    if len(chosen) != 1 or chosen[0] not in found:
        raise ValueError(_uncounted(layer, chosen, list(found)))
    (name,) = chosen
    if name and active is not None and name not in active:
        raise ValueError(f"{name} isn't active, so it adds nothing: active is {', '.join(active) or 'none'}")
    return found[name]


def _uncounted(layer: nn.Module, chosen: list[str], found: list[str]) -> str:
    kind = type(layer)
    if not found:
        library = f" of {kind.__module__}" if kind.__module__.startswith("peft.tuners.") else ""
        below = [name for name, _ in pairs_below(layer)]
        inside = f"; {len(below)} layers inside it have some: {', '.join(below[:3])}" if below else ", so no scale"
        return f"{kind.__name__}{library} has 0 pairs of A and B{inside}"
    if len(chosen) == 1:
        return f"{kind.__name__} has no adapter called {chosen[0]}: it has {', '.join(sorted(found))}"
    return f"{kind.__name__} has {len(chosen)} pairs of A and B: {', '.join(sorted(found))}; name one that is active"


def refuse(layer: nn.Module, update: Update, arguments: Mapping[str, object]) -> None:
    """
    Raises:
        ValueError: where what the layer does now isn't a scale.
    """
    inner, name = unwrapped(layer), update.adapter
    if getattr(inner, "disable_adapters", False) is True:
        raise ValueError("the adapters are disabled: enable them before measuring")
    if any(factor.device.type == "meta" for factor in update.factors.values()):
        raise ValueError(f"{type(inner).__name__} is on the meta device: its tensors have no values")
    variant = type(getattr(inner, "lora_variant", {}).get(name)).__name__
    if variant in _WITHOUT_SCALE:
        raise ValueError(f"{name} {_WITHOUT_SCALE[variant]}: it has no single scale")
    owner = getattr(inner.forward, "__self__", inner)
    if type(owner).__name__.startswith("XLora") and "scalings" not in arguments:
        raise ValueError("X-LoRA weighs the adapters anew for every token: it has no single scale")
    active = getattr(inner, "active_adapters", [name])
    others = [other.adapter for other in updates(layer).values() if other.adapter in active and other.magnitude]
    if beside := [other for other in others if other != name]:
        raise ValueError(f"{', '.join(beside)} is a DoRA and active too: it stretches what {name} adds")
