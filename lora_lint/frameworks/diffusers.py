"""The training scripts of diffusers: `--rank` or `--lora_rank`, in some `--lora_alpha`, with defaults of their own."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from lora_lint.document import Document, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.derivation import from_rank
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "diffusers"
TITLE = "diffusers"
DOCS = "https://huggingface.co/docs/diffusers/training/lora"
CONVENTION = "r"
STAGE = "diffusion"


class Config(Schema):
    """examples/ at 58eb52c0; the defaults are in `SCRIPTS`.

    Three scripts have `--lora_alpha` since f0dba33d82, 1bc6f3dc0f and 6760300202, all first in 0.34.0.
    """

    SPELLED: ClassVar[Mapping[str, str]] = {
        "optim": "optimizer",
        "base_model": "pretrained_model_name_or_path",
        "image_model": "pretrained_model_name_or_path",
    }

    pretrained_model_name_or_path: Any = None
    learning_rate: Any = None
    optimizer: Any = None
    rank: PositiveInt | None = None
    lora_rank: PositiveInt | None = None
    lora_r: PositiveInt | None = None
    lora_alpha: Number | None = None
    text_encoder_lora_r: PositiveInt | None = None
    text_encoder_lora_alpha: Number | None = None
    lora_text_encoder_r: PositiveInt | None = None
    lora_text_encoder_alpha: Number | None = None
    use_lora: bool = False
    text_encoder_use_lora: bool = False
    use_peft: bool = False
    train_text_encoder: bool = False
    use_dora: bool = False


class Part(NamedTuple):
    """What one LoRA of a script is made from: flags with their defaults, and the flags that it is made with.

    Without a flag for alpha the script hands the rank to PEFT for it; `tied_before` is the release that brought the
    flag, where older ones have the script without it.
    """

    modules: str = "*"
    rank: str = "rank"
    default_rank: int = 4
    alpha: str = ""
    default_alpha: int = 4
    gates: tuple[str, ...] = ()
    tied_before: str = ""


TIED = (Part(),)
_SEPARATE = (Part(alpha="lora_alpha"),)
_UNTIED = (Part(alpha="lora_alpha", tied_before="0.34"),)
_DISTILLED = (Part("*", "lora_rank", 64, "lora_alpha", 64),)
_COGVIDEOX = (Part("*", "rank", 128, "lora_alpha", 128),)
SCRIPTS = {
    "train_amused": (
        Part("transformer", "lora_r", 16, "lora_alpha", 32, ("use_lora",)),
        Part("text_encoder", "text_encoder_lora_r", 16, "text_encoder_lora_alpha", 32, ("text_encoder_use_lora",)),
    ),
    "train_cogvideox_image_to_video_lora": _COGVIDEOX,
    "train_cogvideox_lora": _COGVIDEOX,
    "train_control_lora_flux": TIED,
    "train_cosmos_predict25_lora": (Part("*", "lora_rank", 32, "lora_alpha", 32),),
    "train_diffusion_dpo": TIED,
    "train_diffusion_dpo_sdxl": TIED,
    "train_diffusion_orpo_sdxl_lora": TIED,
    "train_diffusion_orpo_sdxl_lora_wds": TIED,
    "train_dreambooth_lora": TIED,
    "train_dreambooth_lora_flux": _UNTIED,
    "train_dreambooth_lora_flux2": _SEPARATE,
    "train_dreambooth_lora_flux2_img2img": _SEPARATE,
    "train_dreambooth_lora_flux2_klein": _SEPARATE,
    "train_dreambooth_lora_flux2_klein_img2img": _SEPARATE,
    "train_dreambooth_lora_flux_advanced": _UNTIED,
    "train_dreambooth_lora_flux_kontext": _SEPARATE,
    "train_dreambooth_lora_flux_miniature": TIED,
    "train_dreambooth_lora_hidream": TIED,
    "train_dreambooth_lora_ideogram4": _SEPARATE,
    "train_dreambooth_lora_krea2": (Part("*", "rank", 32, "lora_alpha", 32),),
    "train_dreambooth_lora_lumina2": TIED,
    "train_dreambooth_lora_qwen_image": _SEPARATE,
    "train_dreambooth_lora_sana": _UNTIED,
    "train_dreambooth_lora_sd15_advanced": TIED,
    "train_dreambooth_lora_sd3": TIED,
    "train_dreambooth_lora_sd3_miniature": TIED,
    "train_dreambooth_lora_sdxl": TIED,
    "train_dreambooth_lora_sdxl_advanced": TIED,
    "train_dreambooth_lora_z_image": _SEPARATE,
    "train_instruct_pix2pix_lora": TIED,
    "train_lcm_distill_lora_sd_wds": _DISTILLED,
    "train_lcm_distill_lora_sdxl": _DISTILLED,
    "train_lcm_distill_lora_sdxl_wds": _DISTILLED,
    "train_realfill": (Part("*", "lora_rank", 16, "lora_alpha", 27),),
    "train_text_to_image_lora": TIED,
    "train_text_to_image_lora_decoder": TIED,
    "train_text_to_image_lora_prior": TIED,
    "train_text_to_image_lora_sdxl": TIED,
}
"""Script -> its LoRAs. Those of Kandinsky 2.2 have diffusers' own LoRA layers, which scale by 1 as well."""

RESEARCH = (
    Part("unet", "lora_r", 4, "lora_alpha", 32, ("use_peft",)),
    Part("text_encoder", "lora_text_encoder_r", 4, "lora_text_encoder_alpha", 32, ("use_peft", "train_text_encoder")),
)
"""examples/research_projects/lora/train_text_to_image_lora.py, which has its flags to itself."""


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax != "shell" or not isinstance(document.data, dict):
        return ()
    parts = _parts(document)
    known = dict.fromkeys(key for part in parts for key in (part.rank, part.alpha, *part.gates) if key in document.data)
    return (document.callee, *(f"--{key}" for key in known)) if parts else ()


def _parts(document: Document) -> tuple[Part, ...]:
    """The LoRAs of the script; none where a flag shows that it is somebody's own script of that name."""
    script = document.callee.rpartition("/")[2].removesuffix(".py")
    data = document.data if isinstance(document.data, dict) else {}
    if script == "train_text_to_image_lora" and ("lora_r" in data or "use_peft" in data):
        return RESEARCH
    parts = SCRIPTS.get(script, ())
    if "lora_alpha" in data and parts == TIED:
        parts = _SEPARATE
    known = {name for part in parts for name in (part.rank, part.alpha)}
    return parts if known >= {"rank", "lora_rank", "lora_r", "lora_alpha"} & {*data} else ()


def sites(config: View[Config]) -> Iterator[Site]:
    method = "dora" if config.model.use_dora else "lora"
    for part in _parts(config.document):
        closed = any(not getattr(config.model, gate) for gate in part.gates)
        if closed and not (config.has(part.rank) or (part.alpha and config.has(part.alpha))):
            continue
        rank = _or_default(config.fact(part.rank), part.default_rank)
        alpha = _alpha(config, part, rank)
        yield Site((part.modules,), rank, alpha, classic, "off" if closed else "active", method, fixed=not part.alpha)


def _alpha(config: View[Config], part: Part, rank: Fact[Any]) -> Fact[Any]:
    if not part.alpha:
        return from_rank(rank)
    alpha = _or_default(config.fact(part.alpha), part.default_alpha)
    same = rank.known and rank.value == part.default_alpha
    if not part.tied_before or alpha.origin != "default" or same:
        return alpha
    reason = f"alpha is {part.default_alpha} since diffusers {part.tied_before}, and the rank before"
    return Fact(Unknown("", reason), alpha.path, "unknown")


def _or_default(fact: Fact[Any], default: int) -> Fact[Any]:
    return Fact(default, fact.path, "default", key=fact.key) if fact.origin == "default" else fact
