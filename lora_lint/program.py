"""The program that a command runs, where it stands near the script: its options with the defaults they have there.

People run copies of a trainer under its old name, with defaults of their own; what a command leaves out has those.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from lora_lint.document import Document
from lora_lint.facts import Setup, Site
from lora_lint.frameworks import LAST, framework
from lora_lint.frameworks import setup as setup_of
from lora_lint.frameworks.gates import GATES, NAMED_RANKS, RANKS, is_open
from lora_lint.nearby import MAX_LOOKUPS, Nearby, is_below
from lora_lint.spellings import keys_of
from lora_lint.upwards import upwards
from lora_lint.used import used

_CHANGES = ("use_rslora", "use_dora")
"""Options that change what the adapter is: a copy that has one isn't read as upstream's program, which hasn't."""


def completed(
    command: Document, found: Setup | None, names: list[str], nearby: Nearby
) -> tuple[Document, Setup | None]:
    """A command with the options of its program, and what it says about LoRA in their light."""
    if not (_says_less_than_all(found) if found is not None else LAST in names and _may_say(command)):
        return command, found
    program = _options(command, nearby)
    if not program:
        return command, found
    whole = replace(command, program=program)
    return whole, setup_of(whole, [found.framework] if found and _is_its_program(found, program) else [LAST], _nothing)


def _nothing() -> None:
    return None


def _says_less_than_all(found: Setup) -> bool:
    """Whether the program may have a say in it, for trainers that people run copies of."""
    if found.framework == LAST:
        return True
    forked = getattr(framework(found.framework), "FORKED", False)
    return forked and (bool(found.unknown_keys) or any(_is_left_out(site) for site in found.sites))


def _is_left_out(site: Site) -> bool:
    return site.state == "off" or bool(site.default_keys) or not site.rank.known


def _may_say(command: Document) -> bool:
    """Whether a command gives a rank, or opens a gate, that alone says too little."""
    data = command.data if isinstance(command.data, dict) else {}
    return any(name in data for name in NAMED_RANKS) or any(is_open(data.get(gate)) for gate in GATES)


def _is_its_program(found: Setup, program: Mapping[str, object]) -> bool:
    """Whether a program has the framework's own name for the rank, and nothing else that decides and that is given."""

    module, data = framework(found.framework), found.document.data
    models = [model for model, _ in module.configs(found.document)] if hasattr(module, "configs") else [module.Config]
    known = frozenset[str]().union(*map(keys_of, models))
    given = data if isinstance(data, dict) else {}
    foreign = any(name in given and name in program and name not in known for name in (*GATES, *_CHANGES))
    return not foreign and not RANKS.isdisjoint(known & program.keys())


def _options(command: Document, nearby: Nearby) -> Mapping[str, object]:
    """Option -> default of the program that a command runs; nothing where it isn't found or has no rank."""
    from lora_lint.imported import options

    path = _path(command.callee, nearby)
    if path is None:
        return {}
    used(path)
    return options(path, nearby.top, os.stat(path).st_mtime_ns)


def _path(callee: str, nearby: Nearby) -> str | None:
    """The file of a program: from the folder of the script or one above it, or by the end of a path from elsewhere."""
    if "\0" in callee:
        return None
    name = callee if callee.endswith(".py") else f"{callee.replace('.', '/')}.py"
    folders = [*upwards(nearby.folder), os.getcwd()]
    for end in _ends(name):
        for folder in dict.fromkeys(folders):
            nearby.lookups += 1
            if nearby.lookups > MAX_LOOKUPS:
                return None
            full = os.path.realpath(os.path.join(folder, end))
            if is_below(nearby.top, full) and os.path.isfile(full):
                return full
    return None


def _ends(name: str) -> Iterator[str]:
    """The path itself, or all ends of one that begins somewhere else: at the root, or in a variable."""
    parts = PurePosixPath(name).parts
    if parts and (name.startswith(("/", "~")) or "$" in name):
        yield from ("/".join(parts[at:]) for at in range(1, len(parts)) if "$" not in "".join(parts[at:]))
    else:
        yield name
