"""bmaltais' kohya_ss: the JSON that its GUI saves, with `LoRA_type`, and what it hands to sd-scripts for it."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.networks import Network
from lora_lint.schema import NonNegativeInt, Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "kohya_ss"
TITLE = "kohya_ss"
DOCS = "https://github.com/bmaltais/kohya_ss"
CONVENTION = "r"
STAGE = "diffusion"


_Text = str | int | float | None
"""What stands in a text box of the GUI."""


class Config(Schema):
    """kohya_gui/lora_gui.py:2932-2965 at 45088f04: what the sliders stand at.

    A key that isn't in the file keeps the slider's value (line 803).
    """

    SPELLED: ClassVar[Mapping[str, str]] = {
        "optim": "optimizer",
        "fp16_adapter": "full_fp16",
        "base_model": "pretrained_model_name_or_path",
        "image_model": "pretrained_model_name_or_path",
    }

    pretrained_model_name_or_path: Any = None
    learning_rate: Any = None
    unet_lr: Any = None
    optimizer: Any = None
    loraplus_lr_ratio: Any = None
    mixed_precision: Any = None
    full_fp16: Any = None
    LoRA_type: str = "Standard"
    network_dim: PositiveInt = 8
    network_alpha: Number = 1
    conv_dim: NonNegativeInt = 1
    conv_alpha: Number = 1
    block_dims: str | None = ""
    block_alphas: str | None = ""
    conv_block_dims: str | None = ""
    conv_block_alphas: str | None = ""
    down_lr_weight: str | None = ""
    mid_lr_weight: str | None = ""
    up_lr_weight: str | None = ""
    img_attn_dim: _Text = ""
    img_mlp_dim: _Text = ""
    img_mod_dim: _Text = ""
    txt_attn_dim: _Text = ""
    txt_mlp_dim: _Text = ""
    txt_mod_dim: _Text = ""
    single_dim: _Text = ""
    single_mod_dim: _Text = ""
    dim_from_weights: bool = False
    LyCORIS_preset: str = "full"
    dora_wd: bool = False


_MODULES = {
    "Flux1": "networks.lora_flux",
    "Flux1 OFT": "networks.oft_flux",
    "HunyuanImage-2.1": "networks.lora_hunyuan_image",
    "Anima": "networks.lora_anima",
    "Lumina": "networks.lora_lumina",
    "Kohya LoHa": "networks.loha",
    "Kohya LoKr": "networks.lokr",
    "Kohya LoCon": "networks.lora",
    "Kohya DyLoRA": "networks.dylora",
    "LoRA-FA": "networks.lora_fa",
    "Standard": "networks.lora",
}
"""Type -> network module, lora_gui.py:1821-2048 at 45088f04; those of LyCORIS are `lycoris.kohya`."""

_ALGORITHMS = {
    "LoCon": "locon",
    "LyCORIS/LoCon": "locon",
    "LyCORIS/LoHa": "loha",
    "LyCORIS/LoKr": "lokr",
    "LyCORIS/BOFT": "boft",
    "LyCORIS/Diag-OFT": "diag-oft",
    "LyCORIS/DyLoRA": "dylora",
    "LyCORIS/GLoRA": "glora",
    "LyCORIS/iA3": "ia3",
    "LyCORIS/Native Fine-Tuning": "full",
}
_WITH_CONV = ("Kohya LoCon", "Kohya LoHa", "Kohya LoKr", "Kohya DyLoRA")
_WITH_BLOCKS = ("Standard", "Kohya LoCon", "LoRA-FA")
_BLOCKS = (
    *("block_dims", "block_alphas", "conv_block_dims", "conv_block_alphas"),
    *("down_lr_weight", "mid_lr_weight", "up_lr_weight"),
)
_FLUX_PARTS = (
    *("img_attn_dim", "img_mlp_dim", "img_mod_dim", "txt_attn_dim", "txt_mlp_dim", "txt_mod_dim"),
    *("single_dim", "single_mod_dim"),
)


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax != "json" or not isinstance(data, dict) or "LoRA_type" not in data:
        return ()
    return ("LoRA_type", *(key for key in ("network_dim", "network_alpha", "conv_dim") if key in data))


def sites(config: View[Config]) -> Iterator[Site]:
    kind = config.model.LoRA_type
    rank: Fact[Any] = config.fact("network_dim")
    alpha: Fact[Any] = config.fact("network_alpha")
    if config.model.dim_from_weights:
        rank, alpha = (Fact(Unknown("", "network weights give it"), fact.path, "unknown") for fact in (rank, alpha))
    elif alpha.known and not alpha.value:
        # Values that equal False aren't written to the TOML file (line 2562), so sd-scripts takes its default.
        alpha = Fact(1.0, alpha.path, "derived")
    algorithm = _ALGORITHMS.get(kind)
    module = "lycoris.kohya" if algorithm else _MODULES.get(kind, kind)
    yield from Network(module, rank, alpha, dict(_arguments(config, algorithm))).sites()


def _arguments(config: View[Config], algorithm: str | None) -> Iterator[tuple[str, Fact[Any]]]:
    kind = config.model.LoRA_type
    if algorithm:
        yield "algo", Fact(algorithm, ("LoRA_type",))
        yield "preset", config.fact("LyCORIS_preset")
    if algorithm not in (None, "full") or kind in _WITH_CONV:
        yield from ((key, config.fact(key)) for key in ("conv_dim", "conv_alpha"))
    keys = _BLOCKS if kind in _WITH_BLOCKS else _FLUX_PARTS if kind == "Flux1" else ()
    facts = ((key, config.fact(key)) for key in keys)
    yield from ((key, fact) for key, fact in facts if fact.known and fact.value)
    if config.model.dora_wd and algorithm == "locon":
        yield "dora_wd", Fact("true", ("dora_wd",))
