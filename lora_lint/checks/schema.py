"""Does the framework read what was written?"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from lora_lint.document import Problem, Span
from lora_lint.facts import Fact, Setup
from lora_lint.finding import Delete, Finding, RenameKey, Replace, Severity
from lora_lint.keys import BadValue, OldKey


def syntax_error(problem: Problem) -> Iterator[Finding]:
    yield Finding(problem.message, span=Span(problem.offset, problem.offset))


def unknown_key(setup: Setup) -> Iterator[Finding]:
    own = setup.unknown_keys and setup.document.syntax == "python" and setup.has_own("peft", "huggingface")
    for key in () if setup.fragment or own else setup.unknown_keys:
        ignored = "refuses" not in key.reaction
        meant = f"; {key.suggestion} was likely meant" if key.suggestion else ""
        yield Finding(
            f"{setup.title} doesn't know {key.key} and {key.reaction}{meant}",
            at=key.path,
            fix=RenameKey(key.path, key.suggestion) if key.suggestion else None,
            severity=None if ignored and key.suggestion else Severity.WARNING,
            on_key=True,
        )


def duplicate_key(setup: Setup) -> Iterator[Finding]:
    document = setup.document
    for duplicate in document.duplicates:
        # A page shows one way below the other in the same block.
        if document.embedded and document.example and document.syntax == "yaml" and len(duplicate.path) == 1:
            continue
        line = document.source.position(duplicate.first.start).line
        # On a command line a later flag overrides an earlier one on purpose often enough.
        severity = Severity.WARNING if document.syntax == "shell" else None
        yield Finding(
            f"{duplicate.path[-1]} is set twice, the first time in line {line}; "
            + ("both say the same" if duplicate.same else "the last one counts"),
            at=duplicate.path,
            span=duplicate.second,
            severity=Severity.NOTE if duplicate.same else severity,
        )


def number_read_as_text(setup: Setup) -> Iterator[Finding]:
    yield from _bad(setup, "number-as-text")


def wrong_type(setup: Setup) -> Iterator[Finding]:
    if not setup.off:
        yield from _bad(setup, "wrong-type")


def out_of_range(setup: Setup) -> Iterator[Finding]:
    yield from _bad(setup, "out-of-range")
    dropout = setup.adapter.lora_dropout if setup.active else None
    if dropout is None or dropout.origin != "written":
        return
    if not 0 <= dropout.value < 1:
        yield Finding(f"{dropout.path[-1]} is {dropout.value:g}, which isn't a share below 1", at=dropout.path)
    elif dropout.value >= MUCH_DROPOUT:
        yield Finding(
            f"{dropout.path[-1]} is {dropout.value:g}: so much of the adapter's input is dropped; 0 to 0.1 is usual",
            at=dropout.path,
            severity=Severity.WARNING,
        )


MUCH_DROPOUT = 0.5
"""QLoRA takes 0.05 to 0.1, InternVL 0.05."""


def text_read_as_boolean(setup: Setup) -> Iterator[Finding]:
    yield from _bad(setup, "text-as-boolean")


_OCTAL = re.compile(r"0[0-7]+")
_OCTAL_LINE = re.compile(r":[ \t]+0[0-7]+[ \t]*(?:#.*)?$", re.MULTILINE)


def number_read_as_octal(setup: Setup) -> Iterator[Finding]:
    document = setup.document
    if document.syntax != "yaml" or document.base or not _OCTAL_LINE.search(document.source.text):
        return
    for path, entry in document.entries.items():
        written = document.source.text[slice(*entry.value)]
        if _OCTAL.fullmatch(written) and path and isinstance(path[-1], str):
            yield Finding(f"{path[-1]} is {written}, which YAML 1.1 reads as {int(written, 8)}", at=path)


def peft_too_old(setup: Setup) -> Iterator[Finding]:
    pin = setup.peft_pin
    if pin is None:
        return
    # Before 0.14.0 the constructor fails for any key that it doesn't know, whatever the value.
    fails = _parts(pin.version) < _parts(LENIENT) or setup.document.syntax == "python"
    for key in setup.written_keys():
        if _parts(key.since) > _parts(pin.version) and (fails or not key.neutral):
            yield Finding(
                f"{key.key} came with PEFT {key.since}; {pin.file} holds the project to {pin.version}, "
                + ("which fails on it" if fails else "which drops it with a warning"),
                at=key.path,
                fix=Delete(key.path) if key.neutral else None,
                on_key=True,
            )


def removed_key(setup: Setup) -> Iterator[Finding]:
    for old in _told_keys(setup):
        if not old.new and not setup.fragment and not (setup.planned and _holds_older(setup, old)):
            harmless = old.neutral and "refuses" not in old.reaction
            yield Finding(
                f"{old.library} has no {old.key} since {old.release} and {old.reaction}"
                + ("; its value changes nothing" if old.neutral else ""),
                at=old.path,
                fix=Delete(old.path) if old.neutral else None,
                severity=Severity.NOTE if harmless or _may_be_older(setup, old) else None,
                on_key=True,
            )


def renamed_key(setup: Setup) -> Iterator[Finding]:
    for old in () if setup.off else _told_keys(setup):
        if not old.new or old.neutral or _holds_older(setup, old):
            continue
        yield Finding(
            f"{old.library} has no {old.key} since {old.release} and {old.reaction}; it is called {old.new}",
            at=old.path,
            fix=RenameKey(old.path, old.new),
            severity=Severity.NOTE if _may_be_older(setup, old) else None,
            on_key=True,
        )


def _told_keys(setup: Setup) -> Iterator[OldKey]:
    """The old keys of a setup, but for those in the record of a run: what wrote them knew them, and nobody starts a run
    from it. PEFT itself reads what it wrote.
    """
    return (old for old in setup.old_keys if setup.kind != "checkpoint" or old.library == "PEFT")


def _may_be_older(setup: Setup, old: OldKey) -> bool:
    """Whether nothing says which release the run has; those of PEFT that had such keys are of early 2023."""
    return old.library != "PEFT" and setup.pin(old.library.lower()) is None


def _holds_older(setup: Setup, old: OldKey) -> bool:
    """Whether the file is meant for a release that has the key: a pinned one, or a copy that it is a part of.

    So may be what stands inside a guide, which belongs to no project.
    """
    pin = setup.pin(old.library.lower())
    if pin is not None:
        return _parts(pin.version) < _parts(old.release)
    own = setup.folder is not None or setup.path.endswith(".ipynb")
    return not own or setup.lies_in(old.package)


LENIENT = "0.14.0"
"""The first release that drops unknown keys (peft/config.py, `_check_and_remove_unused_kwargs`)."""


@cache
def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


_SUBCONFIGS = {"loftq_config": "loftq", "eva_config": "eva", "corda_config": "corda"}


def contradictory_init(setup: Setup) -> Iterator[Finding]:
    adapter = setup.adapter
    if adapter.init_lora_weights is None or not setup.active:
        return
    init = adapter.init_lora_weights.value
    for key, method in _SUBCONFIGS.items():
        config = setup.ask(key)
        if config is not None and _is_given(config) and init != method:
            yield Finding(
                f"{key} is set, but init_lora_weights is {_named(init)}: it is ignored", at=config.path, on_key=True
            )
    if init == "loftq" and (adapter.loftq_config is None or not adapter.loftq_config.value) and not setup.trained:
        yield Finding(
            "init_lora_weights is loftq without a loftq_config: PEFT fails", at=adapter.init_lora_weights.path
        )
    yield from _bias_against(setup, init)


def _is_given(config: Fact[Any]) -> bool:
    """Whether a mapping is written, or a call of PEFT's class for it; a variable may as well be None."""
    if config.known:
        return bool(config.value)
    return config.expression is None and _SUBCONFIG_CALL.match(config.text) is not None


_SUBCONFIG_CALL = re.compile(r"(?:peft\.)?(?:LoftQ|Eva|Corda)Config\(")


def _bias_against(setup: Setup, init: object) -> Iterator[Finding]:
    bias, dora = setup.adapter.lora_bias, setup.adapter.use_dora
    if bias is None or not bias.value:
        return
    if init not in (True, False):
        yield Finding(f"lora_bias needs init_lora_weights true or false, not {_named(init)}: PEFT fails", at=bias.path)
    if dora is not None and dora.value:
        yield Finding("lora_bias and use_dora exclude each other: PEFT fails", at=bias.path)


def _named(init: object) -> str:
    return str(init).lower() if isinstance(init, bool) else str(init)[:40]


def _bad(setup: Setup, kind: str) -> Iterator[Finding]:
    for bad in setup.bad_values:
        if bad.kind == kind:
            yield Finding(bad.message, at=bad.path, fix=_replaced(bad))


def _replaced(bad: BadValue) -> Replace | None:
    return Replace(bad.path, bad.replacement) if bad.replacement is not None else None
