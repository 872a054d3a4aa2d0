"""The names that trainers of image and language models give to the tensors of a LoRA, and the modules they make up."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from lora_lint.checkpoint import LoraModule
from lora_lint.checkpoint import tensor_modules as peft_modules
from lora_lint.tensors import Checkpoint, Tensor

_PAIR = re.compile(r"(?:[._]lora\.|\.lora_|\.lora_linear_layer\.)(?:(?P<a>down)|(?P<b>up)|mid)\.weight\Z")
"""sd-scripts' `.lora_down.weight`, `_lora.down.weight` and `.lora.down.weight` of diffusers, `.lora_linear_layer.` of
its text encoders: ComfyUI's comfy/weight_adapter/lora.py:92-98 at a125cd84. `A` and `B` are PEFT's."""

_OTHERS = {"hada": "loha", "lokr": "lokr", "oft": "oft"}
_OTHER = re.compile(r"\.(?P<kind>hada|lokr|oft)_(?:[wt][12](?:_[ab])?|blocks|diag)\Z")
"""Products of LyCORIS that aren't two matrices: `weight_list` of its lycoris/modules/*.py at f49d30d6."""

_PEFT = re.compile(r"\.lora_(?:embedding_)?[AB](?:\.|\Z)")
ALPHA = ".alpha"
_MAGNITUDE = ".dora_scale"
_WRAPPER = "base_model.model."

KOHYA = re.compile(r"(?:lora_(?:prior_)?(?:unet|te\d?|transformer)|lycoris)(?=_)")
"""How names begin that have no dots left: `LORA_PREFIX_*` in networks/*.py of sd-scripts at 48d368fa, OneTrainer's
`lora_transformer` and LyCORIS' wrapper."""

_PARTS = ("unet", "transformer", "transformer_2", "text_encoder", "text_encoder_2", "text_encoder_3", "diffusion_model")
_BLOCKS = ("down_blocks", "up_blocks", "mid_block", "transformer_blocks", "single_transformer_blocks")
_DIFFUSION = re.compile(
    r"transformer_blocks\.|\.to_(?:q|k|v|out)\b|\.processor\.|(?:diffusion_model|unet|text_encoder)\."
)
"""What tells diffusers' `transformer.` from the one that language models have at their top."""


def holds_lora(names: Iterable[str]) -> bool:
    """Whether a file holds tensors of a LoRA, or of one of its kin, under names that are known here."""
    return any(("lora" in name and (_PAIR.search(name) or _PEFT.search(name))) or _OTHER.search(name) for name in names)


def is_adapters(name: str) -> bool:
    """Whether a tensor belongs to an adapter rather than to the model, going by its name."""
    return "lora" in name or name.endswith((ALPHA, _MAGNITUDE)) or _OTHER.search(name) is not None


class _Tensors(NamedTuple):
    """The tensors of one module by role."""

    roles: dict[str, Tensor]
    method: str


def tensor_modules(checkpoint: Checkpoint) -> Iterator[LoraModule]:
    """The modules that the tensors of a file adapt, in the order in which they first occur."""
    tensors = checkpoint.tensors
    found: dict[str, _Tensors] = {}
    for name, tensor in tensors.items():
        if pair := _PAIR.search(name):
            role = "a" if pair["a"] else "b" if pair["b"] else "mid"
            found.setdefault(name[: pair.start()], _Tensors({}, "lora")).roles[role] = tensor
        elif other := _OTHER.search(name):
            found.setdefault(name[: other.start()], _Tensors({}, _OTHERS[other["kind"]])).roles[name] = tensor
    for path, (roles, method) in found.items():
        yield LoraModule(
            path,
            a=roles.get("a"),
            b=roles.get("b"),
            magnitude=tensors.get(path + _MAGNITUDE),
            alpha=tensors.get(path + ALPHA),
            component=component(path),
            method=method,
        )
    for module in peft_modules(checkpoint):
        alphas = (tensors.get(f"{prefix}{module.module}{ALPHA}") for prefix in ("", _WRAPPER))
        alpha = next((one for one in alphas if one is not None), None)
        yield module._replace(alpha=alpha, component=component(module.module))


def component(module: str) -> str:
    """The model of a pipeline that a module is in, as its name says: loaders fill one after the other."""
    if short := KOHYA.match(module):
        return short[0]
    first = module.partition(".")[0]
    return first if first in _PARTS else ""


def is_diffusion(modules: Iterable[str]) -> bool:
    """Whether the modules are those of an image or video model in diffusers' or ComfyUI's names."""
    return any(_DIFFUSION.search(module) or module.partition(".")[0] in _BLOCKS for module in modules)


class Dialect(NamedTuple):
    """Whose names they are, and the marks that tell."""

    framework: str
    marks: tuple[str, ...]


def dialect(modules: list[LoraModule], metadata: Mapping[str, str]) -> Dialect:
    """The framework that writes such files, and reads them with its own formula."""
    module_key = metadata.get("ss_network_module", "")
    said = ("ss_network_module",) if module_key else ()
    names = [module.module for module in modules]
    short = next((found[0] for name in names if (found := KOHYA.match(name))), "")
    kin = next((module.method for module in modules if module.method != "lora"), "")
    if module_key.startswith("lycoris") or short == "lycoris" or kin:
        return Dialect("lycoris", tuple(filter(None, (short, kin, *said))))
    if "lora_adapter_metadata" in metadata:
        return Dialect("diffusers", ("lora_adapter_metadata",))
    down = next((module.a.name for module in modules if module.a is not None and _PAIR.search(module.a.name)), "")
    if short or module_key or ".lora_down." in down:
        return Dialect("kohya", tuple(filter(None, (short, ".lora_down" if down else "", *said))))
    wrapped = any(module.a is not None and module.a.name.startswith(_WRAPPER) for module in modules)
    if (is_diffusion(names) and not wrapped) or down:
        return Dialect("diffusers", tuple(dict.fromkeys(name.partition(".")[0] for name in names))[:3])
    return Dialect("peft", (".lora_A",))
