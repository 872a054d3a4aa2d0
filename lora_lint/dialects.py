"""Whose names the tensors of a file have: the framework that writes them so, and the model of a pipeline."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from lora_lint import namings
from lora_lint.modules import LoraModule
from lora_lint.namings import ALPHA as ALPHA
from lora_lint.namings import KOHYA, NAMINGS, WRAPPER
from lora_lint.namings import holds_lora as holds_lora
from lora_lint.namings import is_adapters as is_adapters
from lora_lint.once import for_each
from lora_lint.tensors import Checkpoint, Tensor

_PARTS = ("unet", "transformer", "transformer_2", "text_encoder", "text_encoder_2", "text_encoder_3", "diffusion_model")
_BLOCKS = (
    *("down_blocks", "up_blocks", "mid_block", "transformer_blocks", "single_transformer_blocks"),
    *("double_blocks", "single_blocks"),
)
_DIFFUSION = re.compile(
    r"transformer_blocks\.|\.to_(?:q|k|v|out)\b|\.processor\.|(?:diffusion_model|unet|text_encoder)\."
)
"""What tells diffusers' `transformer.` from the one that language models have at their top."""
_LITGPT = re.compile(r"(?:transformer\.h\.\d+\.(?:attn|mlp)\.\w+|lm_head)\.lora_[AB]\Z")
"""LitGPT's layers, whose halves are parameters: litgpt/lora.py:125-126 and 508-577 at 26857050."""
_KIN = ("loha", "lokr", "oft", "glora", "ia3")


def tensor_modules(checkpoint: Checkpoint) -> Iterator[LoraModule]:
    """The modules that the tensors of a file adapt, each in its model of a pipeline."""
    yield from modules_of(checkpoint.tensors)


@for_each
def modules_of(tensors: Mapping[str, Tensor]) -> list[LoraModule]:
    """The same of tensors by name."""
    return [module._replace(component=component(module.module)) for module in namings.modules_of(tensors)]


def component(module: str) -> str:
    """The model of a pipeline that a module is in, as its name says: loaders fill one after the other."""
    if short := KOHYA.match(module):
        return short[0]
    first, colon, _ = module.partition(":")
    if colon:
        return first
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
    kin = next((module.method for module in modules if module.method in _KIN), "")
    if module_key.startswith("lycoris") or short == "lycoris" or kin:
        return Dialect("lycoris", tuple(filter(None, (short, kin, *said))))
    if "lora_adapter_metadata" in metadata:
        return Dialect("diffusers", ("lora_adapter_metadata",))
    own = _naming(modules)
    if own.framework not in ("kohya", "peft"):
        return own
    down = own.marks[0] if own.framework == "kohya" else ""
    if short or module_key or ".lora_down." in down:
        return Dialect("kohya", tuple(filter(None, (short, ".lora_down" if down else "", *said))))
    wrapped = any(module.a is not None and module.a.name.startswith(WRAPPER) for module in modules)
    if (is_diffusion(names) and not wrapped) or down:
        return Dialect("diffusers", tuple(dict.fromkeys(name.partition(".")[0] for name in names))[:3])
    return own if wrapped or not _is_raw(modules) else Dialect("loralib", (".lora_A",))


def _is_raw(modules: list[LoraModule]) -> bool:
    """Whether the halves are parameters, as loralib has them and PEFT only in an embedding: loralib/layers.py."""
    names = [tensor.name for module in modules for tensor in (module.a, module.b) if tensor is not None]
    return bool(names) and all(name.endswith((".lora_A", ".lora_B")) for name in names)


def _naming(modules: list[LoraModule]) -> Dialect:
    """The framework that the ends of the tensors' names are of, with the first such name for a mark."""
    for module in modules:
        tensor = module.a or module.b
        if tensor is None:
            continue
        found = next((one for one in NAMINGS if one.hint in tensor.name and one.pattern.search(tensor.name)), None)
        if found is not None:
            mark = found.pattern.search(tensor.name)
            assert mark is not None
            return Dialect(found.framework, (tensor.name if found.framework == "kohya" else mark[0],))
        if tensor.name.endswith((".A", ".B")):
            return Dialect("mlx_vlm", (".A", ".B"))
        if ".loras." in tensor.name:
            return Dialect("adapterhub", (".loras.",))
        if _LITGPT.match(tensor.name):
            return Dialect("litgpt", (".lora_A",))
    return Dialect("peft", (".lora_A",))
