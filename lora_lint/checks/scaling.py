"""Is the number that reaches `B @ A` the one that was meant?"""

import math
from collections.abc import Iterator

from lora_lint.document import Path, lookup
from lora_lint.facts import Setup, Site
from lora_lint.finding import Finding, Insert, Replace, Severity
from lora_lint.policy import Policy
from lora_lint.scaling import classic, direct, number, rslora


def alpha_not_2r(site: Site, policy: Policy, setup: Setup) -> Iterator[Finding]:
    if site.alpha is None or site.fixed or site.formula is not classic:
        return
    follows = _follows_rank(site, setup)
    if site.alpha.origin == "default" and not follows:
        return
    if site.folded and site.scale == 1:
        return
    if policy.holds(site):
        return
    if not site.rank.known or not site.alpha.known:
        wanted = f"scale {number(policy.scale(site))}"
        yield Finding(f"scale is {number(site.scale)}, policy {policy} wants {wanted}", at=site.alpha.path)
        return
    wanted, when = number(policy.alpha(site)), " at the default rank" if follows else ""
    yield Finding(
        f"scale is {number(site.scale)}{when}, policy {policy} wants alpha {wanted}",
        at=site.alpha.path,
        related=((site.rank.path, "rank"),),
        fix=Replace(site.alpha.path, wanted) if site.alpha.origin == "written" else None,
        severity=Severity.WARNING if follows else None,
    )


def _follows_rank(site: Site, setup: Setup) -> bool:
    """Whether alpha is computed in Python from what the rank is, an option with a default: `lora_alpha=args.rank`."""
    document, alpha, rank = setup.document, site.alpha, site.rank
    if alpha is None or alpha.path == rank.path or not {alpha.path, rank.path} <= document.defaults:
        return False
    ways = (document.entry(alpha.path), document.entry(rank.path))
    theirs, own = (document.source.text[slice(*entry.value)] if entry is not None else "" for entry in ways)
    return document.syntax == "python" and "." in own and own in theirs


def alpha_left_at_default(site: Site, policy: Policy, setup: Setup) -> Iterator[Finding]:
    alpha = site.alpha
    if alpha is None or site.fixed or site.formula is not classic or alpha.origin != "default" or alpha.value is None:
        return
    if setup.fragment or _follows_rank(site, setup):
        return
    over_names = site.rank.expression is not None and alpha.expression is None
    if not site.rank.known and over_names and policy.wanted_scale is not None:
        yield from _default_over_names(site, alpha.value, policy.wanted_scale)
        return
    if policy.holds(site):
        return
    scale, rank, default = number(site.scale), site.rank, number(alpha.value)
    wanted = number(policy.alpha(site))
    left = f"alpha is not set; the default {default} makes the scale {scale}"
    if alpha.path in setup.document.defaults:
        left = f"alpha comes from the default {default}, which makes the scale {scale}"
    if rank.origin == "default":
        left = f"rank and alpha are left at {number(rank.value)} and {default}, which makes the scale {scale}"
    insertable = rank.origin == "written" and alpha.key and not setup.document.through
    yield Finding(
        f"{left}, policy {policy} wants alpha {wanted}",
        at=rank.path if rank.origin == "written" else alpha.path,
        related=((rank.path, "rank"),) if rank.origin != "written" and rank.path != alpha.path else (),
        fix=Insert(rank.path, alpha.key, wanted) if insertable else None,
        # Both are options of a program, which whoever starts it may set.
        severity=Severity.WARNING if {rank.path, alpha.path} <= setup.document.defaults else None,
    )


def _default_over_names(site: Site, alpha: float, wanted: float) -> Iterator[Finding]:
    """The rank is a variable and alpha stays behind: right at one rank only."""
    assert site.rank.expression is not None
    yield Finding(
        f"alpha is not set and stays {number(alpha)} whatever {site.rank.expression.text} is: "
        f"the scale is {number(wanted)} at rank {number(alpha / wanted)} only",
        at=site.rank.path,
    )


_ALPHA_WORDS = ("alpha", "scal")


def alpha_follows_other_rank(site: Site, policy: Policy) -> Iterator[Finding]:
    alpha, rank = site.alpha, site.rank
    if alpha is not None and alpha.origin == "derived" and alpha.key and not policy.holds(site):
        yield Finding(
            f"the framework makes alpha {number(alpha.value or 0)} from {alpha.key}, not from this rank: "
            f"the scale is {number(site.scale)}",
            at=rank.path,
            related=((alpha.path, alpha.key),) if alpha.path != rank.path else (),
        )
        return
    if alpha is None or alpha.expression is None or rank.expression is None:
        return
    names, others = alpha.expression.names, rank.expression.names
    if not names or not others or names & others:
        return
    if any(word in name.lower() for name in names for word in _ALPHA_WORDS):
        return
    if not all(_names_a_rank(name) for name in names):
        return
    yield Finding(
        f"alpha is {alpha.expression.text}, but the rank is {rank.expression.text}: "
        "the scale follows another module's rank",
        at=alpha.path,
        related=((rank.path, "rank"),),
    )


def _names_a_rank(name: str) -> bool:
    """Whether a name is spelled like a rank: `args.vision_rank`, `use_llm_lora`, `lora_r`, `dim`."""
    last = name.rpartition(".")[2].lower().strip("[]'\"")
    return last in ("r", "rank", "dim") or any(word in last for word in ("rank", "lora", "dim")) or last.endswith("_r")


def pattern_ratio_drift(setup: Setup, policy: Policy) -> Iterator[Finding]:
    plain = next((site for site in setup.sites if not site.pattern and not site.undecided), None)
    base = plain.scale if plain is not None else setup.base_scale
    for site in setup.sites:
        if not site.pattern or site.state != "active" or site.undecided or site.alpha is None or policy.holds(site):
            continue
        if math.isnan(base) or math.isclose(site.scale, base, rel_tol=1e-6):
            continue
        by_rank = len(site.rank.path) > 1
        by_alpha = len(site.alpha.path) > 1
        cause = "the pattern" if by_rank and by_alpha else "rank_pattern alone" if by_rank else "alpha_pattern alone"
        yield Finding(
            f"{cause} makes the scale {number(site.scale)}, the other modules have {number(base)}; "
            f"policy {policy} wants alpha {number(policy.alpha(site))}",
            at=site.alpha.path if by_alpha else site.rank.path,
            related=((site.rank.path, "rank"),) if by_alpha else ((site.alpha.path, "alpha"),),
            fix=Replace(site.alpha.path, number(policy.alpha(site))) if by_alpha else None,
        )


def rank_changed_alone(setup: Setup, policy: Policy) -> Iterator[Finding]:
    if setup.before is None:
        return
    before = {_place(site): site for site in setup.before.sites if site.state == "active" and not site.undecided}
    for site in setup.sites:
        old = before.get(_place(site))
        if old is None or site.state != "active" or site.undecided or policy.holds(site):
            continue
        ranks, alphas = (old.rank, site.rank), (old.alpha, site.alpha)
        if all(fact is not None and fact.known and fact.value for fact in (*ranks, *alphas)):
            yield from _changed_alone(site, old, policy)


def _place(site: Site) -> tuple[Path, tuple[str, ...]]:
    return site.rank.path, site.modules if site.pattern else ()


def _changed_alone(site: Site, old: Site, policy: Policy) -> Iterator[Finding]:
    assert site.alpha is not None
    assert old.alpha is not None
    alpha, before = site.alpha.value or 0.0, old.alpha.value or 0.0
    rank_changed, alpha_changed = site.rank.value != old.rank.value, alpha != before
    if rank_changed == alpha_changed or site.scale == old.scale:
        return
    keeping = number(alpha * old.scale / site.scale)
    rank = number(site.rank.value)
    if rank_changed:
        what = f"rank changed from {number(old.rank.value)} to {rank} and alpha is still {number(alpha)}"
    else:
        what = f"alpha changed from {number(before)} to {number(alpha)} and rank is still {rank}"
    yield Finding(
        f"{what}: the scale went from {number(old.scale)} to {number(site.scale)}"
        + (f", alpha {keeping} keeps it" if rank_changed else ""),
        at=site.rank.path if rank_changed else site.alpha.path,
        fix=Replace(site.alpha.path, keeping) if rank_changed and site.alpha.origin == "written" else None,
        severity=None if policy.holds(old) else Severity.WARNING,
    )


def rslora_scale(site: Site, policy: Policy) -> Iterator[Finding]:
    if site.formula is not rslora or site.alpha is None or site.fixed or policy.holds(site):
        return
    wanted = number(policy.alpha(site))
    written = site.alpha.origin == "written"
    yield Finding(
        f"rsLoRA divides by the root of the rank: scale is {number(site.scale)}, "
        f"policy {policy} wants {number(policy.scale(site))}, which is alpha {wanted}",
        at=site.alpha.path if written else site.rank.path,
        related=((site.rank.path, "rank"),),
        fix=Replace(site.alpha.path, wanted) if written else None,
    )


def alpha_missing_or_invalid(site: Site, setup: Setup) -> Iterator[Finding]:
    alpha = site.alpha
    if alpha is None or site.fixed or alpha.origin == "derived" or (setup.fragment and alpha.origin == "default"):
        return
    value = alpha.value
    if any(bad.path == site.rank.path for bad in setup.bad_values):
        return
    if alpha.origin == "default":
        if site.pattern and any(not other.pattern for other in setup.sites):
            return
        if value is None:
            yield Finding(f"alpha is not set and {setup.title} has no default for it", at=site.rank.path)
        elif setup.kind == "checkpoint":
            yield Finding(
                f"alpha is missing: {setup.title} takes {number(value)}, which makes the scale {number(site.scale)}; "
                "other runtimes refuse the adapter or take 1",
                at=site.rank.path,
            )
    elif value is None:
        yield Finding("alpha is null: the layer can't be built", at=alpha.path)
    elif value == 0:
        yield Finding("alpha is 0: the scale is 0 and the adapter does nothing", at=alpha.path)
    elif not math.isfinite(value):
        yield Finding(f"alpha is {value}: every weight becomes NaN", at=alpha.path)
    elif value < 0:
        yield Finding(f"alpha is {number(value)}: the scale is negative, the update is subtracted", at=alpha.path)


SMALL_RANK = 4
"""At rank 1 to 4 a fixed alpha of 32 is a published recipe (TRL's LoRA without regret)."""


def extreme_scale(site: Site, *, floor: float = 1 / 16, ceiling: float = 16.0) -> Iterator[Finding]:
    scale = abs(site.scale)
    if scale == 0 or floor <= scale <= ceiling or (site.rank.known and site.rank.value <= SMALL_RANK):
        return
    limit = f"over {number(ceiling)}" if scale > ceiling else f"under {number(floor)}"
    written_itself = site.formula is direct and site.rank.known
    implied = f", as alpha {number(site.scale * site.rank.value)} would give" if written_itself else ""
    left = "left at the default " if site.alpha is not None and site.alpha.origin == "default" else ""
    yield Finding(
        f"scale is {left}{number(site.scale)}, {limit}{implied}",
        at=site.alpha.path if site.alpha is not None else site.rank.path,
        related=((site.rank.path, "rank"),),
        # MLX-LM's own default is 20: whoever writes the multiplier itself sees it.
        severity=Severity.NOTE if site.formula is direct else None,
    )


AS_ALPHA = (1, 2, 4)
"""What people make alpha, in ranks."""
SOME_SCALE = 8
"""A multiplier up to this is in published recipes."""


def scale_convention_mismatch(site: Site) -> Iterator[Finding]:
    if site.formula is not direct or site.alpha is None or site.alpha.origin != "written" or not site.rank.known:
        return
    scale = site.scale
    if scale <= SOME_SCALE or scale in DOCUMENTED or scale / site.rank.value not in AS_ALPHA:
        return
    meant = number(scale / site.rank.value)
    yield Finding(
        f"scale {number(scale)} is the multiplier itself; written as an alpha, at rank {number(site.rank.value)} "
        f"it would be {meant}",
        at=site.alpha.path,
        related=((site.rank.path, "rank"),),
        fix=Replace(site.alpha.path, f"{scale / site.rank.value}"),
    )


DOCUMENTED = (10, 20)
"""MLX-LM's own multiplier until June 2025 and since: who writes it knows what it is."""


def loftq_alpha_mismatch(site: Site, setup: Setup) -> Iterator[Finding]:
    if not site.folded or site.alpha is None or setup.trained:
        return
    init, config = setup.adapter.init_lora_weights, setup.adapter.loftq_config
    loftq = (init is not None and init.value == "loftq") or (config is not None and bool(config.value))
    if not loftq or site.scale == 1 or not site.rank.known:
        return
    alpha = site.alpha
    yield Finding(
        f"LoftQ's A and B already hold what quantising lost, and the scale {number(site.scale)} multiplies it: "
        f"alpha {number(site.formula.alpha_for(1, site.rank.value))} adds it once",
        at=alpha.path if alpha.origin == "written" else site.rank.path,
        related=((site.rank.path, "rank"),),
        fix=Replace(alpha.path, number(site.rank.value)) if alpha.origin == "written" else None,
    )


def alpha_zero_replaced(site: Site, setup: Setup) -> Iterator[Finding]:
    alpha = site.alpha
    if alpha is None or alpha.origin != "derived" or not alpha.path or alpha.path == site.rank.path:
        return
    written = _written(setup, alpha.path)
    if written in (0, "0", "0.0") and not isinstance(written, bool) and alpha.value:
        value = number(alpha.value)
        yield Finding(
            f"alpha is 0, which {setup.title} takes as not set: it becomes {value}",
            at=alpha.path,
            related=((site.rank.path, "rank"),),
            fix=Replace(alpha.path, value),
        )


def scale_fixed_by_framework(site: Site, policy: Policy, setup: Setup) -> Iterator[Finding]:
    if site.alpha is not None and not site.fixed:
        return
    alpha = site.alpha.path if site.alpha is not None and site.alpha.path != site.rank.path else ()
    ignored = f" and doesn't read {alpha[-1]}" if alpha and setup.document.entry(alpha) is not None else ""
    fixed = f"{setup.title} fixes the scale at {number(site.scale)}{ignored}"
    if not math.isclose(site.scale, policy.scale(site), rel_tol=1e-6):
        wanted = number(policy.scale(site))
        yield Finding(f"{fixed}; policy {policy} wants {wanted}, which can't be written here", at=site.rank.path)
        return
    written = _number(_written(setup, alpha)) if ignored else 0
    if site.alpha is not None and written > 0 and written != site.alpha.value:
        would = number(site.formula(written, site.rank.value))
        yield Finding(f"{fixed}: {number(written)} would be {would}, and changes nothing", at=alpha)


def _written(setup: Setup, path: Path) -> object:
    """What stands at a path, whatever the framework makes of it; None where nothing does."""
    try:
        return lookup(setup.document.data, path)
    except KeyError:
        return None


def _number(value: object) -> float:
    """A number as it is; 0 for anything else, as for the marks by which people say that none is meant."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0
