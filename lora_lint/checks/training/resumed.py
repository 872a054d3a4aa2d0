"""Has the adapter that training goes on from the shape that the setup gives it?"""

from collections.abc import Iterator

from lora_lint.document import lookup
from lora_lint.facts import Fact, Setup
from lora_lint.finding import Finding, Severity
from lora_lint.refusals import NUMBER
from lora_lint.resumed import Resumed
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
    yield from _other_targets(setup, before)


def _other_targets(setup: Setup, before: Resumed) -> Iterator[Finding]:
    """Names of targets that the saved adapter hasn't, or that it has and the setup hasn't."""
    targets, saved = setup.targets, before.config.get("target_modules")
    if not targets.listed or not isinstance(saved, list) or not all(isinstance(name, str) for name in saved):
        return
    names = {name.value for name in targets.names}
    if names == {*saved} or any("." in name for name in (*names, *saved)):
        return
    only, gone = sorted(names - {*saved}), sorted({*saved} - names)
    place = f"{before.fact.value}"[:60]
    if not before.rebuilt:
        message = f"target_modules are ignored: the adapter in {place} keeps its own, {_listed(saved)}"
    elif only:
        message = f"target_modules has {_listed(only)}, which the adapter in {place} hasn't: they start untrained"
    else:
        message = f"target_modules lacks {_listed(gone)}, which the adapter in {place} has: they are lost"
    at = setup.adapter.target_modules.path if setup.adapter.target_modules is not None else ()
    yield Finding(
        message, at=at, related=((before.fact.path, "what training goes on from"),), severity=Severity.WARNING
    )


def _listed(names: list[str]) -> str:
    text = ", ".join(names)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _written(setup: Setup, fact: Fact[float] | Fact[float | None] | None) -> float | None:
    """The number that somebody wrote, be it one that the framework ignores."""
    if fact is None or fact.origin in ("default", "derived"):
        return None
    try:
        value = lookup(setup.document.data, fact.path)
    except KeyError:
        return None
    if setup.document.syntax == "shell" and isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
