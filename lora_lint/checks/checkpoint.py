"""Do the weights beside a config say the same as the config?"""

import json
import math
from collections.abc import Iterator

from lora_lint import patterns
from lora_lint.facts import Setup, Site, Tensor
from lora_lint.finding import Finding, Severity
from lora_lint.scaling import number


def rank_differs_from_tensors(setup: Setup) -> Iterator[Finding]:
    modules = {module.module: module for module in setup.tensor_modules}
    for site in setup.sites:
        if site.state != "active" or not site.rank.known:
            continue
        declared = site.rank.value
        wrong = [modules[name] for name in site.modules if name in modules and not modules[name].has_rank(declared)]
        if not wrong:
            continue
        ranks = sorted({module.rank for module in wrong if module.rank is not None})
        found = " and ".join(str(rank) for rank in ranks)
        count = "one module" if len(wrong) == 1 else f"{len(wrong)} modules"
        yield Finding(
            f"rank is {number(declared)}, the tensors of {count} have {found}: {wrong[0].module}",
            at=site.rank.path,
        )


_ALPHA_KEYS = ("lora_alpha", "network_alpha", "ss_network_alpha", "alpha")


def alpha_differs_from_metadata(setup: Setup) -> Iterator[Finding]:
    site = next((site for site in setup.sites if not site.pattern and site.state == "active"), None)
    if setup.checkpoint is None or site is None or site.alpha is None or not site.alpha.known:
        return
    alpha = site.alpha.value
    for key, text in _stated(dict(setup.checkpoint.metadata)):
        try:
            stated = float(text)
        except ValueError:
            continue
        if alpha is not None and math.isfinite(stated) and not math.isclose(stated, alpha, rel_tol=1e-6):
            yield Finding(
                f"alpha is {number(alpha)}, the metadata of {setup.checkpoint.files[0]} says {key} {number(stated)}; "
                "loaders differ in which one they read",
                at=site.alpha.path,
            )
            return


def _stated(metadata: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key in _ALPHA_KEYS:
        if key in metadata:
            yield key, metadata[key]
    try:
        nested = json.loads(metadata.get("lora_adapter_metadata", "{}"))
    except (ValueError, RecursionError):
        return
    if isinstance(nested, dict):
        for key, value in nested.items():
            if key.rpartition(".")[2] == "lora_alpha" and isinstance(value, int | float):
                yield key, str(value)


_PROJECTOR = "non_lora_trainables.bin"


def missing_projector(setup: Setup) -> Iterator[Finding]:
    folder = setup.folder if setup.checkpoint is not None and setup.active else None
    if folder is None or "config.json" not in folder.names or _PROJECTOR in folder.names:
        return
    kind = (folder.json("config.json") or {}).get("mm_projector_type")
    if kind is not None and not any("projector" in name or name.startswith("non_lora_") for name in folder.names):
        yield Finding(f"config.json has an mm_projector_type, {str(kind)[:40]}, but there is no {_PROJECTOR} beside it")


def missing_tensors(setup: Setup) -> Iterator[Finding]:
    checkpoint = setup.checkpoint
    active = [site for site in setup.sites if site.state == "active"]
    if checkpoint is None or not active:
        return
    if checkpoint.missing_shards:
        names = ", ".join(checkpoint.missing_shards[:3])
        yield Finding(f"the index names {len(checkpoint.missing_shards)} files that aren't in the folder: {names}")
        return
    if checkpoint.unreadable or not any(file.endswith(".safetensors") for file in checkpoint.files):
        return
    yield from _without_tensors(active, setup)
    for module in setup.tensor_modules:
        if module.a is None or module.b is None:
            lost, kept = ("lora_A", module.b) if module.a is None else ("lora_B", module.a)
            if kept is not None:
                yield Finding(f"{module.module} has no {lost}", file=kept.file, tensor=kept.name)


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


def empty_tensors(setup: Setup) -> Iterator[Finding]:
    if setup.checkpoint is None:
        return
    tensors = list(setup.checkpoint.tensors.values())
    empty = [tensor for tensor in tensors if _is_empty(tensor)]
    if not empty:
        return
    first = empty[0]
    shape = "x".join(str(size) for size in first.shape) or "scalar"
    yield Finding(
        f"{len(empty)} of {len(tensors)} tensors are empty, the first one is {shape}; ZeRO-3 leaves such shards behind",
        file=first.file,
        tensor=first.name,
    )


def _is_empty(tensor: Tensor) -> bool:
    """No elements, or a flattened shard where a matrix belongs; magnitudes and biases have one dimension by right."""
    if 0 in tensor.shape:
        return True
    factor = any(part in tensor.name for part in ("lora_A", "lora_B", "lora_embedding_"))
    return factor and len(tensor.shape) < 2 and not tensor.name.endswith("bias")


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
