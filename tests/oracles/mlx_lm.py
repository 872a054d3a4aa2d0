"""MLX-LM's layers, from its defaults and the file that `mlx_lm.lora --config` names."""

from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import torch
import yaml
from mlx_lm.lora import CONFIG_DEFAULTS, yaml_loader
from mlx_lm.tuner.utils import linear_to_lora_layers

from tests.oracles.live import WIDTH, Layer, ratio


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(WIDTH, WIDTH)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [Block()]


def layers(_: str, text: str) -> Iterator[Layer]:
    # main and train_model of mlx_lm/lora.py at d78bf58e: the defaults where the file has no such key.
    config = {**CONFIG_DEFAULTS, **yaml.load(text, yaml_loader)}
    if config["fine_tune_type"] == "full":
        return
    model = Model()
    linear_to_lora_layers(model, config["num_layers"], config["lora_parameters"])
    layer: Any = model.layers[0].q_proj
    inputs = mx.random.normal((3, WIDTH))
    plain = layer(inputs)
    layer.lora_b = mx.random.normal(layer.lora_b.shape)
    added, product = layer(inputs) - plain, inputs @ layer.lora_a @ layer.lora_b
    yield layer.lora_a.shape[1], ratio(torch.tensor(added.tolist()), torch.tensor(product.tolist()))
