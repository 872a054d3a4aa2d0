"""Do config, metadata and tensors say the same rank, alpha and method?"""

import json
import math
import re
from collections.abc import Iterator, Sequence

from lora_lint.facts import Setup, may_be_set
from lora_lint.finding import Finding, Severity
from lora_lint.forms import of_form
from lora_lint.once import for_each
from lora_lint.scaling import number
from lora_lint.tensors import LoraTensors


def rank_differs_from_tensors(setup: Setup) -> Iterator[Finding]:
    for site in setup.sites:
        if site.state != "active" or not site.rank.known:
            continue
        declared = site.rank.value
        wrong = _of_other_rank(setup.tensor_modules, site.modules, declared)
        if not wrong:
            continue
        ranks = sorted({module.rank for module in wrong if module.rank is not None})
        found = " and ".join(str(rank) for rank in ranks)
        count = "one module" if len(wrong) == 1 else f"{len(wrong)} modules"
        yield Finding(
            f"rank is {number(declared)}, the tensors of {count} have {found}: {wrong[0].module}",
            at=site.rank.path,
        )


@for_each
def _of_other_rank(modules: Sequence[LoraTensors], names: tuple[str, ...], rank: float) -> list[LoraTensors]:
    wrong = {module.module: module for module in of_form(modules, lambda module: not module.has_rank(rank))}
    return [wrong[name] for name in names if name in wrong]


_ALPHA_KEYS = ("lora_alpha", "network_alpha", "ss_network_alpha", "alpha")


def alpha_differs_from_metadata(setup: Setup) -> Iterator[Finding]:
    site = next((site for site in setup.sites if not site.pattern and site.state == "active"), None)
    if setup.lone or setup.checkpoint is None or site is None or site.alpha is None or not site.alpha.known:
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


def dora_differs_from_tensors(setup: Setup) -> Iterator[Finding]:
    """Magnitudes that are missing are computed anew from the base weights; those too many are dropped."""
    active = [site for site in setup.sites if site.state == "active"]
    if setup.lone or not active:
        return
    decomposed = any(site.method == "dora" for site in active)
    whole, odd = _by_magnitude(setup.tensor_modules, decomposed)
    if not odd:
        return
    said = setup.adapter.use_dora
    count = f"{len(odd)} of {len(whole)} modules"
    yield Finding(
        f"use_dora is true, but {count} have no lora_magnitude_vector: {odd[0].module}"
        if decomposed
        else f"{count} have a lora_magnitude_vector, but use_dora isn't set and loaders drop it: {odd[0].module}",
        at=said.path if said is not None and said.origin == "written" else (),
    )


@for_each
def _by_magnitude(modules: Sequence[LoraTensors], decomposed: bool) -> tuple[list[LoraTensors], list[LoraTensors]]:
    """The modules with both halves, and those of them that lack a magnitude, or have one."""
    whole = [module for module in modules if module.a is not None and module.b is not None]
    return whole, [one for one in whole if (one.magnitude is None) == decomposed and not one.of_parameter]


def a_differs_from_b(setup: Setup) -> Iterator[Finding]:
    """The ranks of both halves; a grouped convolution divides the columns of B, BD-LoRA cuts either into blocks."""
    if not setup.active or may_be_set(setup.ask("use_bdlora")):
        return
    odd = _uneven(setup.tensor_modules)
    if not odd:
        return
    b = odd[0].b
    assert b is not None
    more = f", and so in {len(odd) - 1} more modules" if len(odd) > 1 else ""
    yield Finding(
        f"A has rank {odd[0].rank} and B has rank {odd[0].rank_of_b} in {odd[0].module}{more}",
        file=b.file,
        tensor=b.name,
    )


@for_each
def _uneven(modules: Sequence[LoraTensors]) -> list[LoraTensors]:
    return of_form(modules, lambda module: not _fits(module))


def _fits(module: LoraTensors) -> bool:
    a, b = module.a, module.b
    if a is None or b is None or len(a.shape) < 2 or len(b.shape) < 2 or 0 in a.shape or 0 in b.shape:
        return True
    rows, columns = module.rank, module.rank_of_b
    return rows is None or columns is None or rows == columns or (len(b.shape) > 2 and rows % columns == 0)


def mixed_dtypes(setup: Setup) -> Iterator[Finding]:
    if not setup.active:
        return
    unlike, whole = _by_dtype(setup.tensor_modules)
    for found, says in ((whole, "holds whole numbers, of {}, where fractions belong"), (unlike, "are of {} and {}")):
        if found:
            a, b = found[0].a, found[0].b
            assert a is not None
            assert b is not None
            halves = "A and B" if found is unlike else "a half"
            more = f", and so in {len(found) - 1} more modules" if len(found) > 1 else ""
            dtypes = (a.dtype, b.dtype) if found is unlike else (a.dtype if a.dtype in _WHOLE else b.dtype,)
            yield Finding(
                f"{halves} of {found[0].module} {says.format(*dtypes)}{more}",
                file=b.file,
                tensor=b.name,
                severity=None if found is whole else Severity.WARNING,
            )
            return


_WHOLE = ("U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "BOOL")
_QUANTISED = re.compile(r"I?T?Q\d")
"""llama.cpp's own types, of which a file may have several."""


@for_each
def _by_dtype(modules: Sequence[LoraTensors]) -> tuple[list[LoraTensors], list[LoraTensors]]:
    """The modules whose halves have different dtypes, and those of whole numbers."""
    unlike = of_form(modules, lambda module: len(set(_dtypes(module))) > 1)
    return unlike, of_form(modules, lambda module: any(dtype in _WHOLE for dtype in _dtypes(module)))


def _dtypes(module: LoraTensors) -> tuple[str, ...]:
    """Of both halves, where both are there and neither is quantised."""
    both = [half.dtype for half in (module.a, module.b) if half is not None]
    return tuple(both) if len(both) > 1 and not any(map(_QUANTISED.match, both)) else ()
