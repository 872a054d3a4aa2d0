"""How a run spreads its weights over processes, as far as a DeepSpeed configuration near the file says it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from lora_lint.document import Path

if TYPE_CHECKING:
    from lora_lint.facts import Setup

GATHERS = ("stage3_gather_16bit_weights_on_model_save", "gather_16bit_weights_on_model_save")
"""DeepSpeed's key for writing whole weights at ZeRO-3, and its newer name; off where it's absent."""


class Zero(NamedTuple):
    """DeepSpeed's ZeRO: the stage, whether weights are gathered for saving, and the setup's key that names it.

    `file` is the name of the configuration, empty where the setup holds it itself.
    """

    stage: int
    gathers: bool
    path: Path
    file: str


def zero(setup: "Setup") -> Zero | None:
    """What the DeepSpeed configuration of a run says, None where there is none that can be read."""
    fact = setup.training.deepspeed
    if fact is None or not fact.known:
        return None
    file = ""
    config: object = fact.value
    if isinstance(config, str) and config.endswith(".json"):
        file = config.rpartition("/")[2]
        config = setup.near(config)
    options = config.get("zero_optimization") if isinstance(config, Mapping) else None
    stage = options.get("stage") if isinstance(options, Mapping) else None
    if not isinstance(options, Mapping) or not isinstance(stage, int):
        return None
    return Zero(stage, any(options.get(key) is True for key in GATHERS), fact.path, file)
