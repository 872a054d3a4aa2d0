"""Does the learning rate suit LoRA, and the scale that multiplies it?"""

import math
from collections.abc import Iterator

from lora_lint.document import Span, lookup
from lora_lint.facts import Fact, Setup
from lora_lint.finding import Finding, Severity
from lora_lint.scaling import number

ADAPTIVE = 0.05
"""A rate this high is a factor for Prodigy and its like, which find the rate themselves."""
FULL_RATE = 5e-5
"""Full fine-tuning is seldom done at a higher rate."""
HOPELESS = 5e-6
"""Less than one in fifty published LoRA configs for supervised training has a rate below it."""
HIGHEST_PUBLISHED = 2e-3
"""torchtune's recipes for models of 0.5 and 1.5 billion parameters, at scale 2."""
SUPERVISED = (None, "sft", "pt")
"""Stages that learn from texts as they are; null is what frameworks start from."""


def lora_lr_like_full_ft(
    setup: Setup, *, floor: float = 3e-5, diffusion_floor: float = 1e-5, rl_floor: float = 1e-6
) -> Iterator[Finding]:
    if not _judged(setup):
        return
    rate = _rate(setup)
    if rate is not None and rate.value <= FULL_RATE:
        from lora_lint.nearby import full_sibling

        sibling = full_sibling(setup)
        if sibling is not None and _same_rate(setup, rate, sibling.data):
            yield Finding(
                f"the rate {rate.value:g} is that of {sibling.source.name}, which trains the whole model; "
                "LoRA takes about ten times as much",
                at=rate.path,
            )
            return
    usual = setup.training.default_learning_rate if setup.training.learning_rate is None else None
    low = rate or usual
    if low is None:
        return
    stage = setup.training.stage
    told = setup.ask("stage") is not None
    supervised = told and (stage.value if stage is not None else None) in SUPERVISED
    diffusion = told and stage is not None and stage.value == "diffusion"
    limit = floor if supervised else diffusion_floor if diffusion else rl_floor
    effective = low.value * (_scale(setup) or 2) / 2
    if not (_at_most(low.value, limit) and _at_most(effective, limit)):
        return
    said = f"the rate {low.value:g}" if rate is not None else f"no learning_rate: the default {low.value:g}"
    hopeless = rate is not None and supervised and max(low.value, effective) < HOPELESS
    yield Finding(
        f"{said}{_at_scale(setup, effective)} is one for training the whole model; LoRA takes about ten times as much",
        at=low.path,
        span=_origin(setup, low),
        severity=None if hopeless and not math.isclose(max(low.value, effective), HOPELESS) else Severity.NOTE,
    )


def effective_lr_too_high(setup: Setup, *, ceiling: float = 1e-3) -> Iterator[Finding]:
    rate = _rate(setup) if _judged(setup) else None
    scale = _scale(setup) if rate is not None else None
    if rate is None or scale is None or setup.training.loraplus_lr_ratio is not None:
        return
    effective = rate.value * scale / 2
    if _at_most(effective, ceiling) or rate.value > ADAPTIVE:
        return
    yield Finding(
        f"the rate {rate.value:g}{_at_scale(setup, effective)} is over {ceiling:g}",
        at=rate.path,
        span=_origin(setup, rate),
        severity=Severity.NOTE if effective <= HIGHEST_PUBLISHED * 1.001 else None,
    )


def _judged(setup: Setup) -> bool:
    """Whether it says how a run is to go, with an optimizer of Adam's kind."""
    if not setup.planned or not setup.active or setup.fragment:
        return False
    optim = setup.training.optim
    name = optim.value.lower() if optim is not None else "adam"
    return "adam" in name and not any(other in name for other in ("dadapt", "schedule", "muon"))


def _rate(setup: Setup) -> Fact[float] | None:
    """The learning rate that somebody wrote, if only as the default of a script's own."""
    own = setup.training.unet_lr
    rate = own if own is not None and own.known and own.value > 0 else setup.training.learning_rate
    if rate is None or not (rate.origin == "written" or setup.document.gives_default(rate.path)):
        return None
    return rate if rate.value > 0 else None


def _origin(setup: Setup, rate: Fact[float]) -> Span | None:
    """Where the file's own default stands that the rate comes from; None for what is written in its place."""
    entry = setup.document.entry(rate.path) if setup.document.gives_default(rate.path) else None
    return entry.origin or entry.literal if entry is not None else None


def _scale(setup: Setup) -> float | None:
    """The largest scale in use, None where it isn't known."""
    active = [site for site in setup.sites if site.state == "active"]
    return None if any(site.undecided for site in active) else max(abs(site.scale) for site in active)


def _at_most(value: float, limit: float) -> bool:
    return value <= limit or math.isclose(value, limit)


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
    if ratio is None or not setup.active or not ratio.value:
        return
    if ratio.origin != "written" and not setup.document.gives_default(ratio.path):
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
