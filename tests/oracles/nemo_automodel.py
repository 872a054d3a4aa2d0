"""NeMo Automodel's config loader and the layers that it puts in."""

from collections.abc import Iterator

from nemo_automodel.components._peft.lora import LinearLoRA, apply_lora_to_linear_modules
from nemo_automodel.components.config.loader import ConfigNode

from tests.oracles.live import Attention, Layer, mapping, measured


def layers(_: str, text: str) -> Iterator[Layer]:
    model = Attention()
    apply_lora_to_linear_modules(model, ConfigNode(mapping(text)).peft.instantiate())
    for module in model.modules():
        if hasattr(module, "lora_A"):
            yield measured(module, module.lora_A.weight, module.lora_B.weight)
