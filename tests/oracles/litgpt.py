"""LitGPT's command line, and the model that `finetune_lora` builds."""

from collections.abc import Iterator
from pathlib import Path

from jsonargparse import capture_parser
from litgpt.__main__ import main
from litgpt.lora import GPT, Config, LoRALayer

from tests.oracles.live import WIDTH, Layer, arguments

KEYS = ("r", "alpha", "query", "key", "value", "projection", "mlp", "head")
SIZES = {"n_layer": 1, "n_head": 2, "n_embd": WIDTH, "padded_vocab_size": 11, "block_size": 4}


def layers(name: str, text: str) -> Iterator[Layer]:
    if name.endswith(".yaml"):
        Path(name).write_text(text)
        given = ["finetune_lora", "--config", name]
    else:
        given = arguments(text, "litgpt")
    parsed = capture_parser(main).parse_args(given)[given[0]]
    model = GPT(Config(**SIZES, **{f"lora_{key}": parsed[f"lora_{key}"] for key in KEYS}))
    for module in model.modules():
        if isinstance(module, LoRALayer) and hasattr(module, "lora_A"):
            yield module.r, module.scaling
