"""Keras' layers after `build`."""

import os
from collections.abc import Iterator

os.environ["KERAS_BACKEND"] = "torch"

import keras

from tests.oracles.live import Layer, called, ratio

SHAPES = {"Dense": (3, 6), "EinsumDense": (3, 6), "Embedding": (3,), "Conv2D": (1, 5, 5, 3)}


def layers(_: str, text: str) -> Iterator[Layer]:
    layer = called(text, keras=keras)
    layer.build(SHAPES[type(layer).__name__])
    kernel = "embeddings" if isinstance(layer, keras.layers.Embedding) else "kernel"
    a, b = getattr(layer, f"lora_{kernel}_a").value, getattr(layer, f"lora_{kernel}_b").value
    plain = getattr(layer, kernel).detach().clone()
    a.data.normal_()
    b.data.normal_()
    yield layer.lora_rank, ratio((getattr(layer, kernel) - plain).detach(), (a @ b).detach())
