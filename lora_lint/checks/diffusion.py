"""Is alpha what trainers of image and video models make of it?"""

from collections.abc import Iterator

from lora_lint.facts import Setup, Site
from lora_lint.finding import Delete, Finding, Insert
from lora_lint.policy import Policy
from lora_lint.scaling import classic, number

FULL_MATRIX_RANK = 10_000
"""The rank that asks for a LoKr without factors (docs/Algo-List.md of LyCORIS at f49d30d): no layer is as wide."""


def alpha_default_one(site: Site, policy: Policy, setup: Setup) -> Iterator[Finding]:
    alpha, rank = site.alpha, site.rank
    if alpha is None or alpha.origin != "default" or setup.convention == "2r" or setup.fragment or alpha.value != 1:
        return
    if site.fixed or site.formula is not classic or rank.origin != "written" or rank.value == 1 or policy.holds(site):
        return
    wanted = number(policy.alpha(site))
    yield Finding(
        f"alpha is not set and stays 1 whatever the rank is: the scale is 1/{number(rank.value)}, "
        f"policy {policy} wants alpha {wanted}",
        at=rank.path,
        fix=Insert(rank.path, alpha.key, wanted) if alpha.key and not setup.document.through else None,
    )


def conv_alpha_defaulted(setup: Setup) -> Iterator[Finding]:
    sites = {site.modules: site for site in setup.sites if site.state == "active" and not site.undecided}
    linear, conv = sites.get(("*",)), sites.get(("conv",))
    if linear is None or conv is None or conv.alpha is None or linear.alpha is None:
        return
    if conv.alpha.origin != "default" or conv.rank.origin != "written" or linear.alpha.origin == "default":
        return
    if conv.scale == linear.scale:
        return
    yield Finding(
        f"conv_alpha is not set and stays {number(conv.alpha.value or 0)}: the scale of the convolutions is "
        f"{number(conv.scale)}, that of the other layers {number(linear.scale)}; "
        f"conv_alpha {number(conv.rank.value * linear.scale)} keeps them equal",
        at=conv.rank.path,
    )


def lokr_alpha_ignored(setup: Setup) -> Iterator[Finding]:
    for site in setup.sites:
        alpha, rank = site.alpha, site.rank
        if site.method != "lokr" or alpha is None or alpha.origin != "written" or not (alpha.known and rank.known):
            continue
        if rank.value >= FULL_MATRIX_RANK and alpha.value not in (0, 1, None, rank.value):
            yield Finding(
                f"alpha is {number(alpha.value or 0)}, but at rank {number(rank.value)} LoKr has no factors and "
                "takes the rank for it",
                at=alpha.path,
                related=((rank.path, "rank"),),
            )


def alpha_not_accepted(setup: Setup) -> Iterator[Finding]:
    for bad in setup.bad_values:
        if bad.kind == "not-accepted":
            yield Finding(bad.message, at=bad.path, fix=Delete(bad.path), on_key=True)
