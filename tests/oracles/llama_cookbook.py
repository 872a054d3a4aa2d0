"""llama-cookbook's flags, as Fire reads them, and the PEFT config that it generates."""

from collections.abc import Iterator
from typing import Any

import fire
from llama_cookbook.configs import train_config
from llama_cookbook.utils.config_utils import generate_peft_config, update_config

from tests.oracles.live import Layer, arguments, peft_layers


def _keywords(**given: Any) -> list[dict[str, Any]]:
    return [given]


def layers(_: str, text: str) -> Iterator[Layer]:
    (given,) = fire.Fire(_keywords, command=arguments(text, "python", "finetuning.py"))
    training = train_config()
    update_config(training, **given)
    # finetuning.py:210-218 at 0e003351.
    if training.use_peft:
        config = generate_peft_config(training, given)
        yield from peft_layers(r=config.r, lora_alpha=config.lora_alpha, use_rslora=config.use_rslora)
