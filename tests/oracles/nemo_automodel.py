"""NeMo Automodel's config loader and the layers that it puts in."""

from collections.abc import Iterator

from nemo_automodel.components._peft.lora import apply_lora_to_linear_modules
from nemo_automodel.components.config.loader import ConfigNode

from tests.oracles.live import Attention, Layer, mapping, measured


def layers(_: str, text: str) -> Iterator[Layer]:
    model = Attention()
    apply_lora_to_linear_modules(model, ConfigNode(mapping(text)).peft.instantiate())
    for layer in (model.q_proj, model.v_proj):
        yield measured(layer, layer.get_parameter("lora_A.weight"), layer.get_parameter("lora_B.weight"))
