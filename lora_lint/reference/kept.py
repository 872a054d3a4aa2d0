"""What measuring must not change in a layer: its parameters, its mode, and the random numbers of those who run it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def kept(layer: nn.Module) -> Iterator[None]:
    """Every module evaluates meanwhile; afterwards mode and parameters are the ones from before, by identity.

    Modes are set one by one: a layer of loralib merges its weights when `eval()` is called, and PEFT's attention
    registers new parameters when it is run or only listed. Caches of DoRA's norms are put aside.
    """
    modules = list(dict.fromkeys(_below(layer)))
    before = [(module, module.training, dict(module._parameters)) for module in modules]
    caches = [(module, module.__dict__["_dora_cache"]) for module in modules if "_dora_cache" in module.__dict__]
    for module, _, _ in before:
        module.training = False
    for module, _ in caches:
        module.__dict__["_dora_cache"] = {}
    try:
        yield
    finally:
        for module, training, parameters in before:
            module.training = training
            if _identities(module._parameters) != _identities(parameters):
                _put_back(module, parameters)
        for module, cache in caches:
            module.__dict__["_dora_cache"] = cache


def _below(module: nn.Module) -> Iterator[nn.Module]:
    """The module and all inside it; its own `modules()` may do more than tell them."""
    yield module
    for child in module._modules.values():
        if child is not None:
            yield from _below(child)


def _identities(parameters: dict[str, nn.Parameter | None]) -> list[tuple[str, int]]:
    return [(name, id(one)) for name, one in parameters.items()]


def _put_back(module: nn.Module, parameters: dict[str, nn.Parameter | None]) -> None:
    for name in parameters:
        module.__dict__.pop(name, None)
    module._parameters.clear()
    module._parameters.update(parameters)


@contextmanager
def same_noise(device: torch.device) -> Iterator[None]:
    """The same random numbers every time, and the state of the generators as it was afterwards."""
    devices: list[Any] = [device] if device.type == "cuda" and torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(0)
        if devices:
            torch.cuda.default_generators[device.index or 0].manual_seed(0)
        yield
