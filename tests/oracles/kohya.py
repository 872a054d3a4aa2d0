"""LyCORIS as the network module of sd-scripts, whose own modules are on no package index."""

import tomllib
from argparse import ArgumentParser
from collections.abc import Iterator

from lycoris.kohya import create_network

from tests.oracles.live import Layer, arguments
from tests.oracles.lycoris import of_network, unet


def layers(name: str, text: str) -> Iterator[Layer]:
    # The flags and what becomes of them: train_network.py:1779-1830 and :546-580 at 48d368fa.
    parser = ArgumentParser()
    parser.add_argument("--network_module")
    parser.add_argument("--network_dim", type=int)
    parser.add_argument("--network_alpha", type=float, default=1)
    parser.add_argument("--network_args", nargs="*", default=[])
    given = [] if name.endswith(".toml") else arguments(text, "python", "train_network.py")
    parsed = parser.parse_args(given)
    if name.endswith(".toml"):
        for key, value in tomllib.loads(text).items():
            setattr(parsed, key, value)
    options = dict(argument.split("=", 1) for argument in parsed.network_args)
    network = create_network(1.0, parsed.network_dim, parsed.network_alpha, None, None, unet(), **options)
    yield from of_network(network.unet_loras)
