"""What a layer adds before any scale: its factors, under the names of many libraries, and what they do to an input."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lora_lint.reference.device import widest
from lora_lint.reference.layer import PLAIN, Geometry, Kind, ReferenceLoRA, added

WRAPPERS = ("_orig_mod", "_checkpoint_wrapped_module", "module")
"""What torch calls the layer inside `torch.compile`, activation checkpointing and DDP."""

_FACTOR = re.compile(
    rf"((?:(?:{'|'.join(WRAPPERS)})\.)*)"
    r"(lora_(?:[AaBbE]|down|up|mid|diag|embedding_[AB])|hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t2))"
    r"(?:\.(?!weight$)([^.]+))?(?:\.weight)?"
)
_PAIRS = {"lora_A": "lora_B", "lora_a": "lora_b", "lora_down": "lora_up", "lora_embedding_A": "lora_embedding_B"}
_DIAGONALS = ("lora_E", "lora_diag")
"""Between A and B in AdaLoRA and KaSA: peft/tuners/adalora/layer.py:195 and lora/variants.py:1568 at 0.21.2."""

_MAGNITUDE = re.compile(
    r"(?:.*\.)?(?:(?:lora_)?magnitude(?:_vector)?|dora_scale)(?:\.(?!weight$)([^.]+))?(?:\.weight)?"
)

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

Values = Mapping[str, Tensor]
"""Factors by their stem: `lora_A`, `hada_w1_a`, ..."""


@dataclass(frozen=True)
class Update:
    """One adapter of a layer.

    `names` are its factors' names in the layer, by stem; `last` is the stem of the factor without which nothing is
    added. `product` takes an input and the factors, all of one dtype, and gives `B A x`.
    """

    adapter: str
    names: Mapping[str, str]
    factors: Values
    last: str
    kind: Kind
    product: Callable[[Tensor, Values], Tensor]
    magnitude: bool = False

    def added(self, x: Tensor, values: Values | None = None) -> Tensor:
        """`B A x` without any scale, in the widest dtype of the device whatever autocast says."""
        wide = widest(x.device)
        given = {stem: factor.to(wide) for stem, factor in (values or self.factors).items()}
        with torch.autocast(x.device.type, enabled=False):
            return self.product(x.to(wide) if x.is_floating_point() else x, given)

    def put(self, values: Values) -> dict[str, Tensor]:
        """Factors by their names in the layer."""
        return {self.names[stem]: value for stem, value in values.items()}

    def without(self) -> dict[str, Tensor]:
        return {self.names[self.last]: torch.zeros_like(self.factors[self.last])}

    def random(self) -> dict[str, Tensor]:
        """Other factors of the same shapes, which make an update about as large as its input, the same everywhere."""
        generator = torch.Generator().manual_seed(1)
        found = {}
        for stem, factor in self.factors.items():
            fan = min(factor.shape) if self.kind == "embedding" else max(1, factor[0].numel())
            draw = torch.randn(factor.shape, generator=generator, device="cpu") / fan**0.5
            found[stem] = draw.to(factor.device, factor.dtype)
        return found


def unwrapped(layer: nn.Module) -> nn.Module:
    """The layer inside `torch.compile`, checkpointing or DDP."""
    while inner := next((layer._modules[name] for name in WRAPPERS if layer._modules.get(name) is not None), None):
        layer = inner
    return layer


def base_of(layer: nn.Module) -> nn.Module:
    """The layer that is adapted, or the layer itself where it holds the frozen weight too.

    PEFT calls it `base_layer`; loralib's convolutions have a `conv`, LyCORIS and kohya a list with the `org_module`.
    """
    while isinstance(inner := getattr(layer, "base_layer", None), nn.Module):
        layer = inner
    if isinstance(inner := getattr(layer, "conv", None), _CONVOLUTIONS):
        return inner
    named = getattr(layer, "org_module", None)
    return named[0] if isinstance(named, list) and named and isinstance(named[0], nn.Module) else layer


def updates(layer: nn.Module) -> dict[str, Update]:
    """The adapters of a layer by name, `""` where they have none; what lies deeper inside it isn't its own.

    Raises:
        ValueError: when factors don't fit each other or the layer, or are more than is understood here.
    """
    tensors: dict[str, Tensor] = dict(layer.named_parameters()) | dict(layer.named_buffers())
    names: dict[str, dict[str, str]] = {}
    for name in tensors:
        if found := _FACTOR.fullmatch(name):
            names.setdefault(found[3] or "", {})[found[2]] = name
    stretched = {found[1] or "" for name in tensors if (found := _MAGNITUDE.fullmatch(name))}
    made = (_update(layer, adapter, own, tensors, adapter in stretched) for adapter, own in names.items())
    return {update.adapter: update for update in made}


def _update(
    layer: nn.Module, adapter: str, names: Mapping[str, str], tensors: Mapping[str, Tensor], magnitude: bool
) -> Update:
    factors = {stem: tensors[name].detach() for stem, name in names.items()}
    if any(factor.numel() == 0 or type(factor).__name__ == "DTensor" for factor in factors.values()):
        raise ValueError(f"{type(layer).__name__} is sharded over processes: gather its tensors before measuring")
    kind, geometry = _kind(layer, factors), geometry_of(layer)
    base = base_of(unwrapped(layer))
    if "lora_mid" in names:
        raise ValueError(f"{type(layer).__name__} has a lora_mid between A and B, which isn't understood")
    if any(stem.startswith(("hada_", "lokr_")) for stem in names):
        last = next(stem for stem in ("hada_w2_b", "lokr_w2_b", "lokr_w2") if stem in names)
        if not isinstance(getattr(base, "weight", None), Tensor):
            raise ValueError(f"{type(layer).__name__} doesn't tell which layer it adapts, so the shape isn't known")
        rebuilt = partial(_of_weight, _hadamard if last.startswith("hada_") else _kronecker, base)
        return Update(adapter, names, factors, last, kind, rebuilt, magnitude)
    down = next((stem for stem in _PAIRS if stem in names), "")
    up = _PAIRS.get(down, "")
    if up not in names:
        whole = ", ".join(sorted(names.values()))
        raise ValueError(f"{type(layer).__name__} has {whole} but no {_missing(names, down)}")
    if kind == "conv" and factors[down].dim() == 2:
        return Update(adapter, names, factors, up, kind, partial(_of_weight, _flat, base), magnitude)
    blocks = {stem: _blocks(layer, name) for stem, name in names.items()}
    product = partial(_of_pair, down, up, blocks, kind, geometry, getattr(base, "embed_scale", None))
    update = Update(adapter, names, factors, up, kind, product, magnitude)
    if not hasattr(unwrapped(layer), "num_experts"):
        _fits(layer, factors[down], factors[up], blocks[down], blocks[up], geometry.groups if kind == "conv" else 1)
    return update


def _missing(names: Mapping[str, str], down: str) -> str:
    if down:
        return names[down].replace(down, _PAIRS[down])
    return "lora_A"


def _fits(layer: nn.Module, a: Tensor, b: Tensor, a_blocks: int, b_blocks: int, groups: int) -> None:
    """
    Raises:
        ValueError: when B doesn't take what A gives, or A doesn't take what the layer does, as where inputs are pooled.
    """
    gives, takes = a.shape[0], b.shape[1] * b_blocks * groups
    if gives != takes:
        raise ValueError(f"{type(layer).__name__}: A gives {gives} values, B takes {takes}")
    width = getattr(base_of(unwrapped(layer)), "in_features", None)
    if a.dim() == 2 and isinstance(width, int) and a.shape[1] * a_blocks != width:
        raise ValueError(
            f"{type(layer).__name__}: A takes {a.shape[1]} inputs, the layer {width}, so `B A x` isn't what is added"
        )


def _kind(layer: nn.Module, factors: Values) -> Kind:
    inner = unwrapped(layer)
    if isinstance(inner, ReferenceLoRA):
        return inner.kind
    base = base_of(inner)
    if "lora_embedding_A" in factors or isinstance(base, nn.Embedding):
        return "embedding"
    many = any(factors[stem].dim() > 2 for stem in ("lora_A", "lora_a", "lora_down") if stem in factors)
    return "conv" if many or isinstance(base, _CONVOLUTIONS) else "linear"


def geometry_of(layer: nn.Module) -> Geometry:
    for module in (base_of(unwrapped(layer)), *layer.modules()):
        if isinstance(geometry := getattr(module, "geometry", None), Geometry):
            return geometry
        if isinstance(module, _CONVOLUTIONS):
            return Geometry(module.stride, module.padding, module.dilation, module.groups)
    return PLAIN


def _blocks(layer: nn.Module, name: str) -> int:
    """How many blocks a factor of BD-LoRA has on its diagonal: peft/tuners/lora/variants.py:925-967 at 0.21.2."""
    owner = layer.get_submodule(name.rpartition(".")[0])
    blocks = getattr(owner, "nblocks", 1)
    return blocks if isinstance(blocks, int) else 1


def _of_pair(
    down: str, up: str, blocks: Mapping[str, int], kind: Kind, geometry: Geometry, factor: Any, x: Tensor, given: Values
) -> Tensor:
    """`factor` is what a scaled embedding multiplies its rows by; the update is part of the rows."""
    a, b = (_diagonal(given[stem], blocks[stem]) for stem in (down, up))
    for stem in _DIAGONALS:
        if stem in given:
            a = given[stem].reshape(-1, *[1] * (a.dim() - 1)) * a
    y = added(x, a, b, kind, geometry)
    return y if factor is None else y * torch.as_tensor(factor, device=y.device, dtype=y.dtype)


def _diagonal(factor: Tensor, blocks: int) -> Tensor:
    return factor if blocks == 1 else torch.block_diag(*factor.chunk(blocks))  # type: ignore[no-untyped-call]


def _of_weight(rebuild: Callable[[Values], Tensor], base: nn.Module, x: Tensor, given: Values) -> Tensor:
    """What a base layer without bias does with a whole update in place of its weight."""
    stored: Any = base.weight
    weight = rebuild(given)
    if weight.numel() != stored.numel():
        raise ValueError(f"the update has {weight.numel()} entries, the weight {stored.numel()}")
    weight = weight.reshape(stored.shape)
    if not isinstance(base, _CONVOLUTIONS):
        return functional.linear(x, weight)
    convolve: Any = {3: functional.conv1d, 4: functional.conv2d, 5: functional.conv3d}[weight.dim()]
    y: Tensor = convolve(x, weight, None, base.stride, base.padding, base.dilation, base.groups)
    return y


def _flat(given: Values) -> Tensor:
    """Convolutions of AdaLoRA and loralib: the product of two matrices, read as a kernel."""
    a = given["lora_A"] * given["lora_E"] if "lora_E" in given else given["lora_A"]
    return given["lora_B"] @ a


def _hadamard(given: Values) -> Tensor:
    """peft/tuners/loha/layer.py: two low-rank products, entry by entry."""
    first, second = (_joined(given[f"hada_w{n}_a"], given[f"hada_w{n}_b"], given.get(f"hada_t{n}")) for n in (1, 2))
    return first * second


def _kronecker(given: Values) -> Tensor:
    """peft/tuners/lokr/layer.py: a Kronecker product, each side whole or low-rank."""
    w1 = given["lokr_w1"] if "lokr_w1" in given else given["lokr_w1_a"] @ given["lokr_w1_b"]
    if "lokr_w2" in given:
        w2 = given["lokr_w2"]
    else:
        w2 = _joined(given["lokr_w2_a"], given["lokr_w2_b"], given.get("lokr_t2"))
    if w2.dim() == 3:
        # PEFT pads w1 from the left here and LyCORIS from the right, which gives two different kernels.
        raise ValueError("the Kronecker product of a 1-D convolution isn't defined alike in PEFT and LyCORIS")
    return torch.kron(w1.reshape(*w1.shape, *[1] * (w2.dim() - 2)), w2.contiguous())


def _joined(a: Tensor, b: Tensor, core: Tensor | None) -> Tensor:
    """`a b`, or with a core between them, which has the kernel's sides last: (r, r, ...), (r, out), (r, in)."""
    return a @ b if core is None else torch.einsum("ij...,jr,ip->pr...", core, b, a)


def pairs_below(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules of a model that hold factors of their own, by name."""
    for name, module in model.named_modules():
        own = (factor for factor, _ in (*module.named_parameters(), *module.named_buffers()))
        if any(found and not found[1] for found in map(_FACTOR.fullmatch, own)):
            yield name, module
