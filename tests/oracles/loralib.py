"""loralib's layers."""

from collections.abc import Iterator

import loralib

from tests.oracles.live import Layer, called, measured


def layers(_: str, text: str) -> Iterator[Layer]:
    layer = called(text, lora=loralib, ll=loralib, loralib=loralib, Linear=loralib.Linear)
    if layer.r > 0:
        yield measured(layer, layer.lora_A.data, layer.lora_B.data)
