"""axolotl's schema, and PEFT with the settings that come out of it."""

from collections.abc import Iterator

from axolotl.utils.schemas.config import AxolotlInputConfig

from tests.oracles.live import Layer, mapping, peft_layers


def layers(_: str, text: str) -> Iterator[Layer]:
    config = AxolotlInputConfig(**mapping(text))
    if config.adapter is None:
        return
    # src/axolotl/loaders/adapter.py:186-208 at 067b021c, whose imports need a GPU library.
    patterns = {"rank_pattern": config.lora_rank_pattern or {}, "alpha_pattern": config.lora_alpha_pattern or {}}
    rslora = bool(config.peft_use_rslora)
    yield from peft_layers(r=config.lora_r, lora_alpha=config.lora_alpha, use_rslora=rslora, **patterns)
