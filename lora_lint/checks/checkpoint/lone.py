"""Does a file of weights without a config say how it is to be scaled?"""

import json
import math
from collections.abc import Iterator

from lora_lint.facts import Setup, UnknownFact
from lora_lint.finding import Finding, Severity
from lora_lint.scaling import number
from lora_lint.tensors import READABLE, LoraTensors


def mixed_rank_without_alpha(setup: Setup) -> Iterator[Finding]:
    for component, modules in _by_component(_of_rank_alone(setup)).items():
        first = modules[0]
        other = next((module for module in modules if module.rank != first.rank), None)
        if other is None or other.a is None or not first.rank or not other.rank:
            continue
        where = f" of {component}" if component else ""
        yield Finding(
            f"modules{where} have ranks {first.rank} and {other.rank} and no alpha: loaders take the rank of each, or "
            f"the first one for all, which makes the scale {number(first.rank / other.rank)} here",
            file=other.a.file,
            tensor=other.a.name,
        )


def _of_rank_alone(setup: Setup) -> list[LoraTensors]:
    """The modules whose alpha loaders take to be the rank, since none is written anywhere."""
    if not setup.lone:
        return []
    names = {name for site in setup.sites if site.folded and site.state == "active" for name in site.modules}
    return [module for module in setup.tensor_modules if module.module in names]


def _by_component(modules: list[LoraTensors]) -> dict[str, list[LoraTensors]]:
    found: dict[str, list[LoraTensors]] = {}
    for module in modules:
        found.setdefault(module.component, []).append(module)
    return found


def alpha_tensor_bad(setup: Setup) -> Iterator[Finding]:
    if not setup.lone or setup.checkpoint is None:
        return
    modules = [module for module in setup.tensor_modules if module.method == "lora"]
    for module in modules:
        alpha = module.alpha
        if alpha is None:
            continue
        if math.prod(alpha.shape) != 1:
            shape = "x".join(map(str, alpha.shape))
            yield Finding(f"alpha is no single number, its shape is {shape}", file=alpha.file, tensor=alpha.name)
            return
        value = setup.checkpoint.scalars.get(alpha.name)
        if value is None and alpha.dtype in READABLE:
            return  # it lies in a part of the file that isn't here
        if value is None or not math.isfinite(value):
            says = f"alpha is {value}" if value is not None else f"alpha is of {alpha.dtype}, in which it can't be read"
            yield Finding(f"{says}, so that no scale follows from it", file=alpha.file, tensor=alpha.name)
            return
        if value == 0:
            says = "alpha is 0: sd-scripts and LyCORIS take the rank for it, other loaders multiply by 0"
            yield Finding(says, file=alpha.file, tensor=alpha.name)
            return
    yield from _in_part(setup, modules)


def _in_part(setup: Setup, modules: list[LoraTensors]) -> Iterator[Finding]:
    """Modules of one model with and without alpha: harmless where the others' alpha is their rank as well."""
    assert setup.checkpoint is not None
    for members in _by_component(modules).values():
        without = [module for module in members if module.alpha is None]
        scaled = [module for module in members if module.alpha is not None and module.rank]
        scales = {(setup.checkpoint.scalars.get(module.alpha.name), module.rank) for module in scaled if module.alpha}
        odd = next((alpha / rank for alpha, rank in sorted(scales) if alpha and rank and alpha != rank), None)
        first = without[0].a if without else None
        if odd is not None and first is not None:
            yield Finding(
                f"{len(without)} of {len(members)} modules have no alpha, which makes their scale 1 where the others' "
                f"is {number(odd)}; diffusers gives all the same alpha",
                file=first.file,
                tensor=first.name,
                severity=Severity.WARNING,
            )


def ss_metadata_mismatch(setup: Setup) -> Iterator[Finding]:
    if not setup.lone or setup.checkpoint is None:
        return
    metadata, scalars = setup.checkpoint.metadata, setup.checkpoint.scalars
    modules = [module for module in setup.tensor_modules if module.method == "lora" and module.rank]
    dim, alpha = (_positive(metadata.get(f"ss_network_{word}")) for word in ("dim", "alpha"))
    ranks = sorted({module.rank for module in modules if module.rank})
    first = modules[0].a if modules else None
    if first is not None and dim is not None and dim not in ranks:
        yield Finding(
            f"ss_network_dim is {number(dim)}, the tensors have rank {_listed(ranks)}",
            file=first.file,
            tensor=first.name,
        )
    alphas = {one.alpha: value for one in modules if one.alpha and (value := scalars.get(one.alpha.name)) is not None}
    # LyCORIS writes alpha as it is without rsLoRA, so that readers get the scale right (lycoris/modules/locon.py:148).
    rescaled = "rs_lora" in metadata.get("ss_network_args", "")
    found = any(math.isclose(alpha or 0, value, rel_tol=0.01) for value in alphas.values())
    if alphas and alpha is not None and not rescaled and not found:
        tensor = next(iter(alphas))
        yield Finding(
            f"ss_network_alpha is {number(alpha)}, the alpha of the modules is {_listed(sorted(set(alphas.values())))}",
            file=tensor.file,
            tensor=tensor.name,
        )


def _listed(values: list[int] | list[float]) -> str:
    shown = " and ".join(number(value) for value in values[:3])
    return f"{shown} and {len(values) - 3} others" if len(values) > 3 else shown


def _positive(text: str | None) -> float | None:
    """A number that was asked for; `None` and 0 are the rank, and `Dynamic` is none."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def split_qkv_alpha(setup: Setup) -> Iterator[Finding]:
    """networks/lora_flux.py:1090-1131 of sd-scripts at 48d368fa."""
    if not setup.lone or setup.checkpoint is None or not _splits(setup.checkpoint.metadata.get("ss_network_args", "")):
        return
    dim = _positive(setup.checkpoint.metadata.get("ss_network_dim"))
    joined = [module for module in setup.tensor_modules if dim is not None and module.rank in (3 * dim, 4 * dim)]
    for module in joined:
        alpha = setup.checkpoint.scalars.get(module.alpha.name) if module.alpha is not None else None
        given = _positive(setup.checkpoint.metadata.get("ss_network_alpha"))
        if alpha is None or given is None or dim is None or module.rank is None or module.alpha is None:
            continue
        if math.isclose(alpha, given, rel_tol=0.01):
            yield Finding(
                f"{len(joined)} modules were trained as parts of rank {number(dim)} with scale {number(alpha / dim)} "
                f"and joined to rank {module.rank} with the same alpha: readers take {number(alpha / module.rank)}",
                file=module.alpha.file,
                tensor=module.alpha.name,
            )
            return


def _splits(text: str) -> bool:
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(arguments, dict) and str(arguments.get("split_qkv", "")).lower() == "true"


def _dropped_when_saved(setup: Setup) -> Iterator[Finding]:
    """Code that trains at another scale than 1 and saves no alpha."""
    dropped = setup.training.drops_alpha if setup.planned and setup.active else None
    if dropped is None or not dropped.value:
        return
    for site in setup.sites:
        if site.state == "active" and site.alpha is not None and not math.isclose(site.scale, 1):
            yield Finding(
                f"the scale is {number(site.scale)}, but save_lora_weights is given no adapter metadata: loaders take "
                "the rank for alpha, which makes it 1",
                at=dropped.path,
                related=((site.alpha.path, "alpha"),),
                severity=Severity.WARNING,
            )
            return


def diffusers_alpha_not_serialised(setup: Setup) -> Iterator[Finding]:
    yield from _dropped_when_saved(setup)
    modules = _of_rank_alone(setup)
    if not modules or any(module.alpha is not None for module in setup.tensor_modules):
        return
    ranks = {module.rank for module in modules}
    for run in setup.runs:
        try:
            plain = [site for site in run.sites if site.state == "active" and not site.pattern]
            told = [site for site in plain if site.rank.value in ranks and not math.isclose(site.scale, 1)]
        except UnknownFact:
            continue
        first = modules[0].a
        if plain and len(told) == len(plain) and first is not None:
            site = told[0]
            where = run.document.source.name.rpartition("/")[2]
            yield Finding(
                f"{where} says scale {number(site.scale)} at rank {number(site.rank.value)}, but no alpha was written "
                "into this file: loaders take the rank, which makes the scale 1",
                file=first.file,
                tensor=first.name,
            )
            return
