"""Do the files hold what they should, and nothing else?"""

import re
from collections.abc import Iterator, Mapping, Sequence

from lora_lint.checkpoint import SMALLEST_PICKLE
from lora_lint.facts import Setup, may_be_set
from lora_lint.finding import Finding
from lora_lint.once import alike, for_each
from lora_lint.targets import Matcher, target_matcher
from lora_lint.tensors import LoraTensors, Tensor

_PROJECTOR = "non_lora_trainables.bin"


def missing_projector(setup: Setup) -> Iterator[Finding]:
    folder = setup.folder if setup.checkpoint is not None and setup.active and not setup.lone else None
    if folder is None or "config.json" not in folder.names or _PROJECTOR in folder.names:
        return
    kind = (folder.json("config.json") or {}).get("mm_projector_type")
    if kind is not None and not any("projector" in name or name.startswith("non_lora_") for name in folder.names):
        yield Finding(f"config.json has an mm_projector_type, {str(kind)[:40]}, but there is no {_PROJECTOR} beside it")


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
    return [one for one in tensors.values() if len(one.shape) < 2 or 0 in one.shape if _is_empty(one)]


def _is_empty(tensor: Tensor) -> bool:
    """No elements, or a flattened shard where a matrix belongs; magnitudes and biases have one dimension by right."""
    if 0 in tensor.shape:
        return True
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
    found = _of_base(checkpoint.names, kept)
    if found:
        yield Finding(
            f"{len(found)} of {len(checkpoint.tensors)} tensors are weights of the base model, which no loader of "
            f"adapters takes: {found[0]}",
            file=checkpoint.tensors[found[0]].file,
            tensor=found[0],
        )


@for_each
def _of_base(names: tuple[str, ...], kept: tuple[str, ...]) -> list[str]:
    return [name for name in names if _is_of_base(name, kept)]


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
    a, targets = outside[0].a or outside[0].b, setup.adapter.target_modules
    assert a is not None
    yield Finding(
        f"{len(outside)} of {len(modules)} modules in {a.file} match no target, so that loaders drop their tensors: "
        f"{outside[0].module}",
        at=targets.path if targets is not None else (),
    )


@for_each
def _outside(modules: Sequence[LoraTensors], matcher: Matcher) -> tuple[list[LoraTensors], list[LoraTensors]]:
    """The modules that can be compared, and those of them that no target names."""
    wrapped = [module for module in modules if _is_wrapped(module)]
    outside = _uncovered(alike(module.module for module in wrapped), matcher)
    return wrapped, [module for module in wrapped if module.module in outside] if outside else []


@for_each
def _uncovered(names: tuple[str, ...], matcher: Matcher) -> frozenset[str]:
    return frozenset(name for name in names if matcher.covers(_INSIDE.split(name)[0]) is False)


_INSIDE = re.compile(r"\.(?:base_layer|modules_to_save|original_module)\b")
"""What PEFT puts below a module: the projection of an adapted MultiheadAttention is inside it, and so are the copies
of a head that is both adapted and saved."""


def _is_wrapped(module: LoraTensors) -> bool:
    """Whether the names begin where PEFT's do: those of a model in which only a part is wrapped begin above it."""
    tensor = module.a or module.b
    return tensor is not None and tensor.name.startswith("base_model.model.")
