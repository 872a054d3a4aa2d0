"""torchtune's builder of Llama 3, through the config system that its recipes have."""

from collections.abc import Iterator

from omegaconf import OmegaConf
from torchtune.config import instantiate
from torchtune.modules.peft import LoRALinear

from tests.oracles.live import Layer, measured

SIZES = {"vocab_size": 11, "num_layers": 1, "num_heads": 2, "num_kv_heads": 2, "embed_dim": 8, "max_seq_len": 8}


def layers(_: str, text: str) -> Iterator[Layer]:
    config = OmegaConf.create(text)
    # What the recipes read beside it: recipes/lora_finetune_single_device.py:413-414 at bd2a0fc7.
    for key in ("lora_rank", "lora_alpha"):
        getattr(config.model, key)
    model = instantiate(config.model, **SIZES)
    for module in model.modules():
        if isinstance(module, LoRALinear):
            yield measured(module, module.lora_a.weight, module.lora_b.weight)
