"""What one file of a config tree says about LoRA, with the files that it is composed with."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from lora_lint.document import Document
from lora_lint.facts import Fact, Setup, Site
from lora_lint.frameworks import setup as setup_of
from lora_lint.hydra.composition import Composition, composed, composes, inherits
from lora_lint.hydra.members import Membership, may_be_chosen, memberships
from lora_lint.interpolation import resolved
from lora_lint.nearby import ConfigFile, Nearby, read
from lora_lint.readers import yaml

ABOVE = "a config under defaults may set it"


def of_file(document: Document, names: list[str], nearby: Nearby | None) -> list[Setup] | None:
    """What a YAML document says as a part of its tree; None where it stands alone.

    A composition is told once: where a file holds all that its scale comes from, in that file; otherwise in the primary
    config. What a file of a group leaves out, or the primary config overrides, is judged there alone. Without `nearby`,
    and where a file can't be read again, what it leaves out is unknown.
    """
    composing = composes(document.data)
    if not composing and (nearby is None or not may_be_chosen(nearby.path, nearby.top)):
        return None
    file = read(nearby.path, nearby.top) if nearby is not None else None
    if file is None or nearby is None:
        return _alone_with(document, names) if composing else None
    if file.document.source.text != document.source.text:
        file = replace(file, document=next(yaml.composed(document.source)))
    whole = composed(file, nearby.top) if composing else None
    if not names and (whole is None or not whole.names):
        return []
    members = list(memberships(file, nearby.top)) if not inherits(document.data) else []
    if members:
        return list(_as_member(file, document, names, members))
    if whole is None:
        return None
    found = _setup(whole, file, document, names, lambda site: _is_told(site, whole, file))
    return [found] if found is not None else []


def _alone_with(document: Document, names: list[str]) -> list[Setup]:
    found = setup_of(replace(document, open={(): ABOVE}), names, lambda: None)
    return [found] if found is not None else []


def _setup(
    whole: Composition, file: ConfigFile, document: Document, names: list[str], kept: Callable[[Site], bool]
) -> Setup | None:
    seen = resolved(whole.document(file, document))
    found = setup_of(seen, list(dict.fromkeys((*names, *whole.names))), lambda: None)
    if found is None:
        return None
    return found.narrowed(tuple(site for site in found.sites if kept(site)), {path for path in seen.entries if path})


def givers(site: Site, whole: Composition) -> set[str]:
    """The files that rank and alpha of a site are written in."""
    facts = [fact for fact in (site.rank, site.alpha) if fact is not None and fact.path]
    return {path for fact in facts if (path := whole.giver(fact.path))}


def _is_told(site: Site, whole: Composition, primary: ConfigFile) -> bool:
    """Whether the primary config has to tell a site, as no other file tells the same alone."""
    files = givers(site, whole)
    if len(files) != 1 or primary.path in files:
        return True
    return _signature(site) not in _alone(whole.files[files.pop()])


def _alone(file: ConfigFile) -> set[tuple[object, ...]]:
    """The sites of a file that nothing is composed with."""
    found = setup_of(resolved(file.document), list(file.names), lambda: None)
    return {_signature(site) for site in found.sites} if found is not None else set()


def _signature(site: Site) -> tuple[object, ...]:
    return (site.state, site.method, site.formula.name, _told(site.rank), _told(site.alpha) if site.alpha else None)


def _told(fact: Fact[float] | Fact[float | None]) -> object:
    return fact.value if fact.known else fact.reason


def _as_member(file: ConfigFile, document: Document, names: list[str], members: list[Membership]) -> Iterator[Setup]:
    alone = _alone(file)
    seen: set[tuple[object, ...]] = set()
    for whole, chosen in members:

        def is_own(site: Site, whole: Composition = whole, chosen: bool = chosen) -> bool:
            files = givers(site, whole)
            return file.path in files and (not chosen or (len(files) == 1 and _signature(site) in alone))

        found = _setup(whole, file, document, names, is_own)
        if found is not None:
            new = {_place(site, whole): site for site in found.sites}
            found.sites = tuple(site for place, site in new.items() if place not in seen)
            seen |= new.keys()
            if found.sites:
                yield found


def _place(site: Site, whole: Composition) -> tuple[object, ...]:
    """A site as its files say it, whatever packages their values go to."""
    facts = [fact for fact in (site.rank, site.alpha) if fact is not None]
    return (*_signature(site), *(given[1] if (given := whole.merged.given(fact.path)) else None for fact in facts))
