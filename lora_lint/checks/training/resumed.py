"""Has the adapter that training goes on from the shape that the setup gives it?"""

from collections.abc import Iterator

from lora_lint.document import lookup
from lora_lint.facts import Fact, Setup
from lora_lint.finding import Finding, Severity
from lora_lint.scaling import number


def resume_shape_changed(setup: Setup) -> Iterator[Finding]:
    before = setup.resumed if setup.active and setup.planned else None
    if before is None:
        return
    site = setup.sites[0]
    place = f"{before.fact.value}"[:60]
    for fact, key, what in ((site.rank, "r", "rank"), (site.alpha, "lora_alpha", "alpha")):
        value = _written(setup, fact)
        saved = before.config.get(key)
        if value is None or isinstance(saved, bool) or not isinstance(saved, int | float) or value == saved:
            continue
        if not before.rebuilt:
            message = f"{what} {number(value)} is ignored: the adapter in {place} keeps its {what} {number(saved)}"
        elif what == "rank":
            message = (
                f"rank is {number(value)}, but the weights in {place} have rank {number(saved)}: they can't be loaded"
            )
        else:
            message = f"alpha is {number(value)}, but the weights in {place} were trained with {number(saved)}"
        yield Finding(
            message,
            at=fact.path if fact is not None else (),
            related=((before.fact.path, "what training goes on from"),),
            severity=None if before.rebuilt and what == "rank" else Severity.WARNING,
        )


def _written(setup: Setup, fact: Fact[float] | Fact[float | None] | None) -> float | None:
    """The number that somebody wrote, be it one that the framework ignores."""
    if fact is None or fact.origin in ("default", "derived"):
        return None
    try:
        value = lookup(setup.document.data, fact.path)
    except KeyError:
        return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
