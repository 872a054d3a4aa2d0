"""TRL's own parser and `get_peft_config`, for a command or the file that `--config` names."""

from collections.abc import Iterator
from pathlib import Path

from trl import ModelConfig, ScriptArguments, TrlParser, get_peft_config

from tests.oracles.live import Layer, arguments, peft_layers


def layers(name: str, text: str) -> Iterator[Layer]:
    if name.endswith(".yaml"):
        Path(name).write_text(text)
        given = ["--config", name]
    else:
        given = arguments(text, "trl", "sft")
    _, model = TrlParser((ScriptArguments, ModelConfig)).parse_args_and_config(given)
    config = get_peft_config(model)
    if config is not None:
        yield from peft_layers(r=config.r, lora_alpha=config.lora_alpha, use_rslora=config.use_rslora)
