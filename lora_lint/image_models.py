"""Diffusion models by the names that their weights go by, and the narrowest layers that LoRA is put on."""

import re
from functools import lru_cache
from typing import NamedTuple


class ImageModel(NamedTuple):
    """The model as people call it, and the smaller side of the narrowest linear layer of its UNet's attention."""

    title: str
    narrowest: int


_ENDS = r"(?:\.(?:safetensors|ckpt|fp16)|[-_](?:fp16|base|pruned|ema(?:only)?|inpainting))*"
_TABLE = (
    (
        rf"stable-diffusion-(?:v1|v?1)[-.][1-5]{_ENDS}|(?:sd[-_]?)?v1[-_.]5{_ENDS}",
        ImageModel("Stable Diffusion 1", 320),
    ),
    (rf"stable-diffusion-2(?:-1)?{_ENDS}|v2-1_(?:512|768){_ENDS}", ImageModel("Stable Diffusion 2", 320)),
    (rf"stable-diffusion-xl-base-(?:0\.9|1\.0){_ENDS}|sd_?xl_base_1\.0{_ENDS}", ImageModel("SDXL", 640)),
)
"""Widths of the first blocks with attention: configs/stable-diffusion/v1-inference.yaml (`model_channels: 320`) of
CompVis/stable-diffusion, v2-inference.yaml of Stability-AI/stablediffusion, and sd_xl_base.yaml of
Stability-AI/generative-models, whose attention begins in the second block."""


@lru_cache(maxsize=1024)
def image_model(name: str) -> ImageModel | None:
    """What an id, a file or a folder names by its last part; None where that leaves a doubt."""
    if len(name) > 1000:
        return None
    last = re.split(r"[/\\]", name.strip().rstrip("/\\").lower())[-1]
    return next((model for pattern, model in _TABLE if re.fullmatch(pattern, last)), None)
