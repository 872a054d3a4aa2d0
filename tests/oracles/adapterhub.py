"""AdapterHub's adapters on a small BERT: a config in Python, or the file of an adapter that is loaded."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import adapters
from adapters.methods.lora import LoRA
from transformers import BertConfig, BertModel

from tests.oracles.live import WIDTH, Layer, called

SIZES: dict[str, Any] = {"vocab_size": 11, "hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2}


def layers(name: str, text: str) -> Iterator[Layer]:
    model: Any = BertModel(BertConfig(intermediate_size=WIDTH, **SIZES))
    adapters.init(model)
    if name.endswith(".json"):
        config = json.loads(text)
        # The weights of an adapter of this rank, beside the config that is asked about.
        model.add_adapter("saved", config=adapters.LoRAConfig(r=config["config"]["r"]))
        model.save_adapter("saved", "saved")
        model.delete_adapter("saved")
        saved = json.loads(Path("saved", name).read_text())
        Path("saved", name).write_text(
            json.dumps({**saved, **config, "config": {**saved["config"], **config["config"]}})
        )
        model.load_adapter("saved", load_as="asked")
    else:
        model.add_adapter("asked", config=called(text, adapters=adapters))
    for module in model.modules():
        if isinstance(module, LoRA):
            yield module.lora_A.shape[0], module.scaling
