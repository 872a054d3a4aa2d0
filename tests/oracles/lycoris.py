"""LyCORIS' networks on a small U-Net."""

import json
from collections.abc import Iterator
from typing import Any

import torch
from lycoris import create_lycoris
from lycoris.modules.locon import LoConModule
from torch import nn

from tests.oracles.live import Layer, called, ratio


class Transformer2DModel(nn.Module):
    """A block of the name that LyCORIS looks for."""

    def __init__(self) -> None:
        super().__init__()
        self.to_q = nn.Linear(8, 8)
        self.conv = nn.Conv2d(4, 4, 3)


def unet() -> nn.Module:
    return nn.ModuleDict({"block": Transformer2DModel()})


def of_network(modules: list[Any]) -> Iterator[Layer]:
    """The layers that are low-rank matrices, by the weight that each would add."""
    for module in modules:
        if isinstance(module, LoConModule):
            with torch.no_grad():
                module.lora_up.weight.normal_()
                product = module.lora_up.weight.flatten(1) @ module.lora_down.weight.flatten(1)
                added, _ = module.get_diff_weight()
            yield module.lora_dim, ratio(added.flatten(1), product)


def layers(name: str, text: str) -> Iterator[Layer]:
    if name.endswith(".json"):
        network = create_lycoris(unet(), 1.0, **json.loads(text))
    else:
        network = called(text, create_lycoris=create_lycoris, unet=unet())
    yield from of_network(network.loras)
