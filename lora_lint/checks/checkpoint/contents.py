"""Is everything in the files that the config promises, and nothing else?"""

import re
from collections.abc import Iterator, Mapping, Sequence

from lora_lint import patterns
from lora_lint.checkpoint import SMALLEST_PICKLE
from lora_lint.facts import Setup, Site, may_be_set
from lora_lint.finding import Finding, Severity
from lora_lint.once import for_each
from lora_lint.scaling import number
from lora_lint.targets import Matcher, target_matcher
from lora_lint.tensors import LoraTensors, Tensor

_PEFT = re.compile(r"\.lora_(?:embedding_)?[AB]\b")


def missing_tensors(setup: Setup) -> Iterator[Finding]:
    checkpoint = setup.checkpoint
    active = [site for site in setup.sites if site.state == "active"]
    if checkpoint is None or not active:
        return
    if checkpoint.missing_shards:
        names = ", ".join(checkpoint.missing_shards[:3])
        yield Finding(f"the index names {len(checkpoint.missing_shards)} files that aren't in the folder: {names}")
        return
    pickled = not any(file.endswith(".safetensors") for file in checkpoint.files)
    if checkpoint.unreadable or (pickled and not checkpoint.tensors):
        return
    unheld = sorted(checkpoint.named - checkpoint.tensors.keys()) if not checkpoint.escaping_shards else []
    if unheld:
        yield Finding(f"the index names {len(unheld)} tensors that its files don't hold: {unheld[0]}")
    yield from _without_tensors(active, setup)
    yield from _holes(setup)
    for module, kept in _alone(setup.tensor_modules):
        lost = _halves(kept.name)[module.a is not None]
        yield Finding(f"{module.module} has no {lost}", file=kept.file, tensor=kept.name)


def _halves(name: str) -> tuple[str, str]:
    """What A and B are called, by the name of one of them."""
    if _PEFT.search(name):
        return "lora_A", "lora_B"
    return (
        ("lora_down", "lora_up")
        if name.endswith((".down.weight", ".up.weight", "_down.weight", "_up.weight"))
        else ("A", "B")
    )


@for_each
def _alone(modules: Sequence[LoraTensors]) -> list[tuple[LoraTensors, Tensor]]:
    """The modules that have one half, with it."""
    halves = [(module, module.a or module.b) for module in modules if module.a is None or module.b is None]
    return [(module, kept) for module, kept in halves if kept is not None]


def _without_tensors(active: list[Site], setup: Setup) -> Iterator[Finding]:
    modules = [module.module for module in setup.tensor_modules]
    assert setup.checkpoint is not None
    where = setup.checkpoint.files[0]
    for site in active:
        if not modules or (site.fixed and not any(name in modules for name in site.modules)):
            yield Finding(
                f"rank is {number(site.rank.value)}, but {where} holds no LoRA tensors"
                + (f" of {site.modules[0]}" if site.fixed else ""),
                at=site.rank.path,
            )
            if not site.fixed:
                return
    if not modules:
        return
    for target in setup.targets.names:
        name = target.value
        if patterns.is_plain(name) and not any(module == name or module.endswith(f".{name}") for module in modules):
            yield Finding(
                f"target {name} has no tensors in {where}",
                at=target.path,
                severity=Severity.WARNING,
            )


_PROJECTOR = "non_lora_trainables.bin"


def missing_projector(setup: Setup) -> Iterator[Finding]:
    folder = setup.folder if setup.checkpoint is not None and setup.active and not setup.lone else None
    if folder is None or "config.json" not in folder.names or _PROJECTOR in folder.names:
        return
    kind = (folder.json("config.json") or {}).get("mm_projector_type")
    if kind is not None and not any("projector" in name or name.startswith("non_lora_") for name in folder.names):
        yield Finding(f"config.json has an mm_projector_type, {str(kind)[:40]}, but there is no {_PROJECTOR} beside it")


def _holes(setup: Setup) -> Iterator[Finding]:
    """Modules of a base at hand that a target names and that have no tensors, where others of that name have."""
    adapter, base = setup.adapter, setup.base_files
    limits = (adapter.exclude_modules, adapter.layers_to_transform, adapter.modules_to_save)
    if base is None or base.checkpoint is None or any(map(may_be_set, limits)):
        return
    names = {module.module for module in setup.tensor_modules}
    layers = [name.removesuffix(".weight") for name in base.checkpoint.tensors if base.is_matrix(name)]
    if not names <= set(layers):
        return  # the model has other names than its file: converted while it is loaded
    for target in setup.targets.names:
        meant = [name for name in layers if name == target.value or name.endswith(f".{target.value}")]
        left = [name for name in meant if name not in names]
        if left and len(left) < len(meant):
            yield Finding(
                f"target {target.value} is {len(meant)} modules of the base model, {len(left)} of which have no "
                f"tensors: {left[0]}",
                at=target.path,
                severity=Severity.WARNING,
            )


def empty_tensors(setup: Setup) -> Iterator[Finding]:
    if setup.checkpoint is None:
        return
    size = setup.checkpoint.pickled_size
    if size is not None and size < SMALLEST_PICKLE:
        yield Finding(
            f"{setup.checkpoint.files[0]} has {size} bytes, too few for any weights: "
            "an empty state dict, or what Git LFS left in its place"
        )
    empty = _empty(setup.checkpoint.tensors)
    if not empty:
        return
    first, count = empty[0], len(setup.checkpoint.tensors)
    shape = "x".join(str(size) for size in first.shape) or "scalar"
    yield Finding(
        f"{len(empty)} of {count} tensors are empty, the first one is {shape}; ZeRO-3 leaves such shards behind",
        file=first.file,
        tensor=first.name,
    )


@for_each
def _empty(tensors: Mapping[str, Tensor]) -> list[Tensor]:
    return [tensor for tensor in tensors.values() if _is_empty(tensor)]


def _is_empty(tensor: Tensor) -> bool:
    """No elements, or a flattened shard where a matrix belongs; magnitudes and biases have one dimension by right."""
    if 0 in tensor.shape or len(tensor.shape) > 1:
        return 0 in tensor.shape
    factor = any(part in tensor.name for part in ("lora_A", "lora_B", "lora_embedding_"))
    return factor and not tensor.name.endswith("bias")


_WEIGHTS = ("adapter_model.safetensors", "model.safetensors")


def index_path_escape(setup: Setup) -> Iterator[Finding]:
    if setup.checkpoint is None or not setup.checkpoint.escaping_shards:
        return
    names = setup.checkpoint.escaping_shards
    cause = "is a link that leads" if names[0] in _WEIGHTS else "is named by the index and lies"
    yield Finding(
        f"{names[0]} {cause} out of the folder"
        + (f", and {len(names) - 1} more" if len(names) > 1 else "")
        + "; it was not opened",
    )


def base_weights_in_adapter(setup: Setup) -> Iterator[Finding]:
    checkpoint = setup.checkpoint
    saved = setup.adapter.modules_to_save
    if setup.lone or checkpoint is None or not setup.active or (saved is not None and not saved.known):
        return
    if not any(file.startswith("adapter_model") for file in checkpoint.files) or not setup.tensor_modules:
        return
    kept = tuple(saved.value) if saved is not None and isinstance(saved.value, list) else ()
    found = _of_base(checkpoint.tensors, kept)
    if found:
        yield Finding(
            f"{len(found)} of {len(checkpoint.tensors)} tensors are weights of the base model, which no loader of "
            f"adapters takes: {found[0].name}",
            file=found[0].file,
            tensor=found[0].name,
        )


@for_each
def _of_base(tensors: Mapping[str, Tensor], kept: tuple[str, ...]) -> list[Tensor]:
    return [tensor for name, tensor in tensors.items() if _is_of_base(name, kept)]


_IN_A_LAYER = re.compile(r"\.\d+\.")
_NOT_OF_BASE = re.compile(r"lora_|\.bias\Z|trainable_tokens|token_adapter|emb|lm_head|\.wte\.|\.wpe\.")
"""What PEFT saves besides: other parameters of LoRA, biases, token rows, and the embeddings and the head where they are
adapted or were resized (`get_peft_model_state_dict` in utils/save_and_load.py at 0.21.2)."""


def _is_of_base(name: str, kept: tuple[str, ...]) -> bool:
    """Whether a tensor is a layer's own weight, and of no module in `modules_to_save`, which match by their ending.

    Heads stand outside of the numbered layers: PEFT saves classifiers that the config doesn't name as well.
    """
    if "lora_" in name or _NOT_OF_BASE.search(name) or not _IN_A_LAYER.search(name):
        return False
    parts = name.split(".")
    return not any(".".join(parts[:end]).endswith(kept) for end in range(1, len(parts)))


def tensors_outside_targets(setup: Setup) -> Iterator[Finding]:
    matcher = target_matcher(setup)
    # With weight tying PEFT adapts the modules that are tied to a target as well, whatever they are called.
    if setup.lone or matcher is None or not setup.active or may_be_set(setup.adapter.ensure_weight_tying):
        return
    modules, outside = _outside(setup.tensor_modules, matcher)
    if not outside:
        return
    a = outside[0].a or outside[0].b
    assert a is not None
    yield Finding(
        f"{len(outside)} of {len(modules)} modules in {a.file} match no target, so that loaders drop their tensors: "
        f"{outside[0].module}",
        file=a.file,
        tensor=a.name,
    )


@for_each
def _outside(modules: Sequence[LoraTensors], matcher: Matcher) -> tuple[list[LoraTensors], list[LoraTensors]]:
    """The modules that can be compared, and those of them that no target names."""
    wrapped = [module for module in modules if _is_wrapped(module)]
    return wrapped, [module for module in wrapped if matcher.covers(_INSIDE.split(module.module)[0]) is False]


_INSIDE = re.compile(r"\.(?:base_layer|modules_to_save|original_module)\b")
"""What PEFT puts below a module: the projection of an adapted MultiheadAttention is inside it, and so are the copies
of a head that is both adapted and saved."""


def _is_wrapped(module: LoraTensors) -> bool:
    """Whether the names begin where PEFT's do: those of a model in which only a part is wrapped begin above it."""
    tensor = module.a or module.b
    return tensor is not None and tensor.name.startswith("base_model.model.")
