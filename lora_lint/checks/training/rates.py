"""Does the run train the adapter, at a rate that suits it, and save it?"""

import math
from collections.abc import Iterator

from lora_lint.document import lookup
from lora_lint.facts import Fact, Setup
from lora_lint.finding import Finding, Severity
from lora_lint.scaling import number

ADAPTIVE = 0.05
"""A rate this high is a factor for Prodigy and its like, which find the rate themselves."""
FULL_RATE = 5e-5
"""Full fine-tuning is seldom done at a higher rate."""


def lora_lr_like_full_ft(setup: Setup, *, floor: float = 1e-5, rl_floor: float = 1e-6) -> Iterator[Finding]:
    rate = _rate(setup)
    if rate is None or rate.value > FULL_RATE:
        return
    from lora_lint.nearby import full_sibling

    sibling = full_sibling(setup)
    if sibling is not None and _same_rate(setup, rate, sibling.data):
        yield Finding(
            f"the rate {rate.value:g} is that of {sibling.source.name}, which trains the whole model; "
            "LoRA takes about ten times as much",
            at=rate.path,
        )
        return
    stage = setup.ask("stage")
    if stage is None:
        return
    supervised = stage.value in (None, "sft", "pt")
    effective = rate.value * (_scale(setup) or 2) / 2
    if effective < (floor if supervised else rl_floor) and not math.isclose(
        effective, floor if supervised else rl_floor
    ):
        yield Finding(
            f"the rate {rate.value:g}{_at_scale(setup, effective)} is one for training the whole model; "
            "LoRA takes about ten times as much",
            at=rate.path,
            severity=Severity.NOTE,
        )


def effective_lr_too_high(setup: Setup, *, ceiling: float = 1e-3) -> Iterator[Finding]:
    rate = _rate(setup)
    scale = _scale(setup) if rate is not None else None
    if rate is None or scale is None or setup.training.loraplus_lr_ratio is not None:
        return
    effective = rate.value * scale / 2
    if effective <= ceiling or math.isclose(effective, ceiling) or rate.value > ADAPTIVE:
        return
    yield Finding(
        f"the rate {rate.value:g}{_at_scale(setup, effective)} is over {ceiling:g}",
        at=rate.path,
        severity=Severity.NOTE if effective <= HIGHEST_PUBLISHED * 1.001 else None,
    )


HIGHEST_PUBLISHED = 2e-3
"""torchtune's recipes for models of 0.5 and 1.5 billion parameters, at scale 2."""


def _rate(setup: Setup) -> Fact[float] | None:
    """The learning rate that somebody wrote for an optimizer of Adam's kind."""
    if not setup.planned or not setup.active or setup.fragment:
        return None
    rate, optim = setup.training.learning_rate, setup.training.optim
    if rate is None or rate.origin != "written" or rate.value <= 0:
        return None
    name = optim.value.lower() if optim is not None else "adam"
    plain = "adam" in name and not any(other in name for other in ("dadapt", "schedule", "muon"))
    return rate if plain else None


def _scale(setup: Setup) -> float | None:
    """The largest scale in use, None where it isn't known."""
    active = [site for site in setup.sites if site.state == "active"]
    return None if any(site.undecided for site in active) else max(abs(site.scale) for site in active)


def _at_scale(setup: Setup, effective: float) -> str:
    scale = _scale(setup)
    return (
        ""
        if scale in (None, 2)
        else f" at scale {number(scale or 0)}, which moves the weights as {effective:g} does at 2,"
    )


def _same_rate(setup: Setup, rate: Fact[float], other: object) -> bool:
    try:
        value = lookup(other, rate.path)
        return not isinstance(value, bool) and float(str(value)) == rate.value
    except (KeyError, ValueError):
        return False


def loraplus_ratio_suspicious(setup: Setup, *, least: float = 1.0, most: float = 64.0) -> Iterator[Finding]:
    ratio = setup.training.loraplus_lr_ratio if setup.planned else None
    if ratio is None or not setup.active or ratio.origin != "written" or not ratio.value:
        return
    groups = setup.training.lr_groups
    if groups is not None and groups.value:
        yield Finding("lr_groups and a LoRA+ ratio exclude each other: the framework refuses to start", at=ratio.path)
    elif not least <= ratio.value <= most:
        yield Finding(
            f"B learns at {number(ratio.value)} times the rate of A; LoRA+ takes 16, and {number(least)} to "
            f"{number(most)} is usual",
            at=ratio.path,
            severity=Severity.WARNING,
        )
