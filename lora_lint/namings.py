"""What trainers call the tensors of a LoRA and of its kin, and the modules that the names make up."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from lora_lint.modules import COLUMNS, ROWS, STACKED, Axes, LoraModule
from lora_lint.modules import modules_of as peft_modules
from lora_lint.tensors import Tensor

ALPHA = ".alpha"
WRAPPER = "base_model.model."
_MAGNITUDES = (".dora_scale", ".magnitude", ".m")
"""DoRA's magnitudes in LyCORIS, torchtune (modules/peft/dora.py:94) and MLX (tuner/dora.py:90)."""

KOHYA = re.compile(r"(?:lora_(?:prior_)?(?:unet|te\d?|transformer)|lycoris)(?=_)")
"""How names begin that have no dots left: `LORA_PREFIX_*` in networks/*.py of sd-scripts at 48d368fa, OneTrainer's
`lora_transformer` and LyCORIS' wrapper."""

_STREAMS = {
    "qkv_lora1": "img_attn.qkv",
    "proj_lora1": "img_attn.proj",
    "qkv_lora2": "txt_attn.qkv",
    "proj_lora2": "txt_attn.proj",
    "qkv_lora": "linear1",
    "proj_lora": "linear2",
}
"""The layer that each processor of XLabs' Flux adds to: src/flux/modules/layers.py:188-201 and 461-480 of x-flux."""

_MEGATRON = {
    "lora_kqv_adapter": "linear_qkv",
    "lora_dense_attention_adapter": "linear_proj",
    "lora_hto4h_adapter": "linear_fc1",
    "lora_4htoh_adapter": "linear_fc2",
}
"""The layer of each adapter: nemo/collections/nlp/modules/common/megatron/adapters/parallel_adapters.py:78-87."""


def _as_it_is(path: str, _: "re.Match[str]") -> str:
    return path


def _of_experts(path: str, match: "re.Match[str]") -> str:
    return f"{path}.{match['layer']}_proj"


def _of_stream(path: str, match: "re.Match[str]") -> str:
    return f"{path}.{_STREAMS[match['layer']]}"


def _of_megatron(path: str, match: "re.Match[str]") -> str:
    layer, part = match["layer"], match["part"] or match["canonical"]
    path = f"{path}.{_MEGATRON.get(layer, layer)}" if layer else path
    return f"{path}.{part}" if part else path


class Naming(NamedTuple):
    """The ends of names that one framework gives to A and B; `hint` is what each name holds at least."""

    framework: str
    hint: str
    pattern: "re.Pattern[str]"
    axes: Axes = ROWS
    module: Callable[[str, "re.Match[str]"], str] = _as_it_is


_HALVES = r"(?:(?P<a>{})|(?P<b>{}))"
NAMINGS = (
    Naming(
        "x_flux",
        ".processor.",
        re.compile(r"\.processor\.(?P<layer>(?:qkv|proj)_lora[12]?)\." + _HALVES.format("down", "up") + r"\.weight\Z"),
        module=_of_stream,
    ),
    Naming(
        # sd-scripts' `.lora_down.weight`, `_lora.down.weight` and `.lora.down.weight` of diffusers, its text encoders'
        # `.lora_linear_layer.`: ComfyUI's comfy/weight_adapter/lora.py:92-98 at a125cd84.
        "kohya",
        "lora",
        re.compile(r"(?:[._]lora\.|\.lora_|\.lora_linear_layer\.)(?:(?P<a>down)|(?P<b>up)|mid)\.weight\Z"),
    ),
    # torchtune/modules/peft/lora.py:99-100 and modules/moe/experts.py:165-172 at bd2a0fc7.
    Naming("torchtune", ".lora_", re.compile(r"\.lora_" + _HALVES.format("a", "b") + r"\.weight\Z")),
    Naming(
        "torchtune",
        ".lora_",
        re.compile(r"\.lora_(?P<layer>gate|down|up)_" + _HALVES.format("a", "b") + r"\Z"),
        COLUMNS,
        _of_experts,
    ),
    # The base model's names with `.lora_a` behind: convert_lora_to_gguf.py:385-391 of ik_llama.cpp at 8337e4cd.
    Naming("llama_cpp", ".weight.lora_", re.compile(r"\.weight\.lora_" + _HALVES.format("a", "b") + r"\Z")),
    # mlx_lm/tuner/lora.py:88-93 at d78bf58e.
    Naming("mlx_lm", ".lora_", re.compile(r"\.lora_" + _HALVES.format("a", "b") + r"\Z"), COLUMNS),
    # The adapters that NeMo 1 adds to a layer, and those that NeMo 2 and its canonical form put around one.
    Naming(
        "nemo",
        ".linear_",
        re.compile(
            r"(?:\.adapter_layer\.(?P<layer>\w+_adapter)(?:\.(?P<part>\w+)_adapter)?"
            r"|\.adapter(?:\.adapter_(?P<canonical>\w+))?)\.linear_" + _HALVES.format("in", "out") + r"\.weight\Z"
        ),
        module=_of_megatron,
    ),
    # `save_safeloras_with_embeds`: lora_diffusion/lora.py:474-476 at d84074b3.
    Naming("lora_diffusion", ":", re.compile(r"(?<=\d):" + _HALVES.format("down", "up") + r"\Z")),
)

_OTHERS = {"hada": "loha", "lokr": "lokr", "oft": "oft"}
_OTHER = re.compile(r"\.(?P<kind>hada|lokr|oft)_(?:[wt][12](?:_[ab])?|blocks|diag)\Z")
"""Products of LyCORIS that aren't two matrices: `weight_list` of its lycoris/modules/*.py at f49d30d6."""
_PLAIN = re.compile(
    r"\.(?:(?P<glora>[ab][12]\.weight|bm\.weight)|(?P<full>diff|diff_b|set_weight)|(?P<norm>[wb]_norm)|(?P<ia3>on_input))\Z"
)
"""Those of LyCORIS and ComfyUI (comfy/lora.py:61-84) whose names any model may have: theirs behind a prefix."""
_INNER = ("hada_w1_b", "lokr_w2_b", "lokr_w1_b", "b2.weight")
"""The factor whose rows are the rank: loha.py:75-89, lokr.py:106-119 and glora.py:94 of lycoris/modules at f49d30d6."""

_PEFT = re.compile(r"\.lora_(?:embedding_)?[AB](?:\.|\Z)")
_HUB = re.compile(r"\.loras\.(?P<adapter>[^.]+)\Z")
"""AdapterHub's `loras` of a layer: src/adapters/methods/lora.py:507-522 at 88f18ebd."""
_BARE = (".A", ".B")
"""mlx-vlm's halves until May 2026: mlx_vlm/trainer/lora.py:28-33 at 9b13f522."""


def holds_lora(names: Iterable[str]) -> bool:
    """Whether a file holds tensors of a LoRA, or of one of its kin, under names that are known here."""
    names = tuple(names)
    return any(_is_loras(name) for name in names) or _is_bare(names)


def _is_loras(name: str) -> bool:
    if ("lora" in name and _PEFT.search(name)) or _OTHER.search(name) or _plain(name):
        return True
    return any(naming.hint in name and naming.pattern.search(name) for naming in NAMINGS)


def _is_bare(names: tuple[str, ...]) -> bool:
    """Whether a file holds nothing but halves that are called A and B."""
    if not names or not all(name.endswith(_BARE) for name in names):
        return False
    halves = [{name[:-1] for name in names if name[-1] == half} for half in "AB"]
    return halves[0] == halves[1]


def _plain(name: str) -> "re.Match[str] | None":
    return _PLAIN.search(name) if KOHYA.match(name) or name.startswith("diffusion_model.") else None


def is_adapters(name: str) -> bool:
    """Whether a tensor belongs to an adapter rather than to the model, going by its name."""
    return "lora" in name or name.endswith((ALPHA, ".dora_scale")) or bool(_OTHER.search(name) or _plain(name))


class _Tensors(NamedTuple):
    """The tensors of one module by role, and the tensors' own path where that isn't the module's name."""

    roles: dict[str, Tensor]
    method: str
    path: str
    axes: Axes = ROWS


def modules_of(tensors: Mapping[str, Tensor]) -> Iterator[LoraModule]:
    """The modules that tensors of these names adapt, in the order in which they first occur."""
    found: dict[str, _Tensors] = {}
    for name, tensor in tensors.items():
        _sort(name, tensor, found)
    if _is_bare(tuple(tensors)):
        for name, tensor in tensors.items():
            found.setdefault(name[:-2], _Tensors({}, "lora", name[:-2], COLUMNS)).roles[name[-1].lower()] = tensor
    for place, (roles, method, path, axes) in found.items():
        magnitudes = (tensors.get(path + end) for end in _MAGNITUDES)
        a = roles.get("a")
        yield LoraModule(
            place,
            a=a,
            b=roles.get("b"),
            magnitude=next((one for one in magnitudes if one is not None), None),
            alpha=tensors.get(path + ALPHA),
            method=method,
            inner=next((roles[role] for role in _INNER if role in roles), None),
            axes=_axes(a, axes),
        )
    for module in peft_modules(tensors):
        alphas = (tensors.get(f"{prefix}{module.module}{ALPHA}") for prefix in ("", WRAPPER))
        alpha = next((one for one in alphas if one is not None), None)
        yield _in_hub(module)._replace(alpha=alpha)


def _axes(a: Tensor | None, axes: Axes) -> Axes:
    """Where the rank is in one module: MLX and llama.cpp stack experts in front of it, torchtune has it at the end.

    llama.cpp has the A of its token embedding the other way round.
    """
    if a is None or not a.name.endswith(".lora_a"):
        return axes
    if len(a.shape) == 3:
        return STACKED
    return (1, 1) if a.name == "token_embd.weight.lora_a" else axes


def _in_hub(module: LoraModule) -> LoraModule:
    hub = _HUB.search(module.module)
    return module._replace(module=module.module[: hub.start()], adapter=hub["adapter"]) if hub else module


def _sort(name: str, tensor: Tensor, found: dict[str, _Tensors]) -> None:
    """Put a tensor to the module and the role that its name tells."""
    for naming in NAMINGS:
        if naming.hint in name and (pair := naming.pattern.search(name)):
            path = name[: pair.start()]
            role = "a" if pair["a"] else "b" if pair["b"] else "mid"
            module = naming.module(path, pair)
            kept = found.get(module)
            if kept is None or kept.method != "lora":  # a bias or a norm of the module may come first
                kept = found[module] = _Tensors(kept.roles if kept else {}, "lora", path, naming.axes)
            kept.roles[role] = tensor
            return
    if other := _OTHER.search(name):
        method = _OTHERS[other["kind"]]
    elif other := _plain(name):
        method = other.lastgroup or ""
    else:
        return
    path, role = name[: other.start()], name[other.start() + 1 :]
    found.setdefault(path, _Tensors({}, method, path)).roles[role] = tensor
