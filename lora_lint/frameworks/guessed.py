"""Which keys of any mapping are a rank and an alpha of LoRA, by their names and by the block they stand in."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact
from lora_lint.frameworks.gates import GATES, NAMED_RANKS, is_open


class Pair(NamedTuple):
    """The keys of a rank and an alpha that belong together, with all keys of their mapping in one spelling.

    Where the program that a command runs is known, its defaults stand for those that the command leaves out. `outer`
    are the keys of the mapping around it.
    """

    rank: Path | None
    alpha: Path | None
    named: Mapping[str, Path]
    block: str
    outer: Mapping[str, Path]


class Keys(NamedTuple):
    """A mapping's keys in one spelling, its name, whether it is right below a block of LoRA's, and the keys around."""

    block: str
    named: Mapping[str, Path]
    below: bool
    outer: Mapping[str, Path]


_BLOCK_RANKS = (*NAMED_RANKS, "r", "rank", "dim")
_NETWORK_RANKS = ("network_dim", "network_rank")
"""What sd-scripts calls the rank, in the configs of programs around it."""
_ALPHAS = ("lora_alpha",)
_BLOCK_ALPHAS = (*_ALPHAS, "alpha")
_BESIDE = ("lora_dropout", "lora_target_modules", "lora_target", "lora_targets", "lora_bias", "use_lora", "lora_enable")
"""Keys that say that a rank without an alpha is LoRA's all the same."""

_BLOCK = re.compile(r"(.*_)?(q?lora|peft|adapter)(_(config|args|arguments|params|parameters|settings|cfg))?")
_SPEAKING = ("peft_type", "adapter_type", "type", "method", "module", "network_module", "network_type", "algo")
"""Keys whose value may say that the mapping is LoRA's."""

_SPOKEN = re.compile(r"([\w.]+\.)?(q?lora|dora)(_\w+)?", re.IGNORECASE)
_MOST_LOOKED_AT = 5_000
"""Mappings and lists; aliases may make one value stand at very many places."""
_DEEPEST = 8
_PART = re.compile(r"(?P<before>\w+)_lora_(?:rank|r|dim)|lora_(?:rank|r|dim)_(?P<after>\w+)")
_WORDS = re.compile(r"[^\W\d_]{2,} +[^\W\d_]{2,}")
_DIGITS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)


def opened(document: Document) -> list[str]:
    """The gates to LoRA that a command opens."""
    data = document.data if document.syntax == "shell" and isinstance(document.data, dict) else {}
    return [gate for gate in GATES if is_open(data.get(gate))]


def pairs(document: Document) -> Iterator[Pair]:
    """The pairs of a document; a gate alone is one where the program's own defaults are known."""
    for mapping in _mappings(document):
        named = mapping.named
        yield from _of_parts(document, mapping)
        rank, alpha = _rank_and_alpha(document, mapping)
        if rank is None and not mapping.block and document.program and opened(document):
            yield Pair(None, alpha, named, mapping.block, mapping.outer)
        if rank is None or not _is_setting(document, rank):
            continue
        if alpha is not None or document.program or any(key in named for key in _BESIDE):
            yield Pair(rank, alpha, named, mapping.block, mapping.outer)


def _of_parts(document: Document, mapping: Keys) -> Iterator[Pair]:
    """The pairs of parts of a model: `text_lora_rank` and `text_lora_alpha`, `lora_r_text` and `lora_alpha_text`."""
    for key, path in mapping.named.items():
        match = _PART.fullmatch(key)
        if match is None:
            continue
        part = match["before"] or match["after"]
        alpha = mapping.named.get(f"{part}_lora_alpha" if match["before"] else f"lora_alpha_{part}")
        if alpha is not None and _is_setting(document, path) and _is_setting(document, alpha):
            yield Pair(path, alpha, mapping.named, part, mapping.outer)


def _rank_and_alpha(document: Document, mapping: Keys) -> tuple[Path | None, Path | None]:
    """The keys that are LoRA's by their names, or by the block that they stand in or below."""
    named = mapping.named
    inside = _BLOCK.fullmatch(mapping.block) is not None
    alpha = _first(named, _BLOCK_ALPHAS if inside else _ALPHAS)
    # Beside a `lora_alpha` an `r` needs no name; a program's `--rank` may be that of a process.
    short = ("r",) if document.syntax == "shell" else ("r", "rank")
    rank = _first(named, _BLOCK_RANKS if inside else (*NAMED_RANKS, *short) if alpha is not None else NAMED_RANKS)
    if rank is None and alpha is None and document.syntax != "shell":
        both = _first(named, _NETWORK_RANKS), _first(named, ("network_alpha",))
        rank, alpha = both if None not in both else (None, None)
    if (rank is None or alpha is None) and (mapping.below or _speaks(document, named)):
        both = _first(named, _BLOCK_RANKS), _first(named, _BLOCK_ALPHAS)
        return both if None not in both else (rank, alpha)
    return rank, alpha


def _speaks(document: Document, named: Mapping[str, Path]) -> bool:
    """Whether a mapping says of itself that it is LoRA's."""
    kinds = (value_at(document, named[key]) for key in _SPEAKING if key in named)
    return any(isinstance(kind, str) and _SPOKEN.fullmatch(kind[:80]) for kind in kinds)


def _first(named: Mapping[str, Path], keys: tuple[str, ...]) -> Path | None:
    return next((named[key] for key in keys if key in named), None)


def _is_setting(document: Document, path: Path) -> bool:
    """Whether a value stands there, rather than a description of one as in a schema, or words as in a translation."""
    value = value_at(document, path)
    return not isinstance(value, dict | list | None) and not (isinstance(value, str) and _WORDS.search(value))


def _mappings(document: Document) -> Iterator[Keys]:
    """All mappings with the name of their block; the dotted flags of a command are mappings inside each other."""
    pending: list[tuple[str, Path, object, str, Mapping[str, Path]]] = [(_file(document), (), document.data, "", {})]
    for _ in range(_MOST_LOOKED_AT):
        if not pending:
            return
        block, path, value, around, outer = pending.pop()
        if isinstance(value, list) and len(path) < _DEEPEST:
            items = [item for item in enumerate(value) if isinstance(item[1], dict | list)]
            pending += [(block, (*path, at), item, around, outer) for at, item in reversed(items)]
        if not isinstance(value, dict):
            continue
        groups = _named(path, value)
        below = _BLOCK.fullmatch(around) is not None
        for owner, named in groups.items():
            yield Keys(owner.rpartition(".")[2] or block, named, below, groups.get("", {}) if owner else outer)
        if len(path) < _DEEPEST:
            entries = [item for item in value.items() if isinstance(item[1], dict | list)]
            own = groups.get("", {})
            pending += [(_snake(key), (*path, key), item, block, own) for key, item in reversed(entries)]


def _file(document: Document) -> str:
    """What a config file is called, where that says that all of it is LoRA's: `lora_config.yaml`."""
    if document.syntax == "shell" or document.embedded:
        return ""
    stem = document.source.name.rpartition("/")[2].rpartition(".")[0]
    last = _snake(re.split(r"[^A-Za-z0-9_]", stem)[-1])
    data = document.data if isinstance(document.data, dict) else {}
    numbers = all(isinstance(data.get(key, 0), int | float | Unknown) for key in ("r", "rank", "dim", "alpha"))
    return last if numbers and _BLOCK.fullmatch(last) else ""


def _named(path: Path, mapping: Mapping[Any, object]) -> dict[str, dict[str, Path]]:
    """The keys of a mapping in one spelling, those with dots by what stands before the last one."""
    groups: dict[str, dict[str, Path]] = {}
    for key in mapping:
        owner, _, name = _snake(key).rpartition(".")
        groups.setdefault(owner, {})[name] = (*path, key)
    return groups


def _snake(key: object) -> str:
    """`loraAlpha` and `lora-alpha` as `lora_alpha`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(key)[:80]).replace("-", "_").lower()


def value_at(document: Document, path: Path | None) -> object:
    """The value at a path, or None for none."""
    value = document.data
    for part in path or ():
        value = value[part]  # type: ignore[index]
    return value if path else None


def number_at(document: Document, path: Path) -> Fact[Any]:
    """The number at a path; what is no number is unknown, as nobody says what the program makes of it."""
    value = value_at(document, path)
    expression = document.expressions.get(path)
    if isinstance(value, Unknown):
        return Fact(value, path, "unknown", expression)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value) if value.isdecimal() else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Fact(Unknown(str(value)[:60], f"{path[-1]} isn't one number"), path, "unknown", expression)
    return Fact(value, path, "default" if path in document.defaults else "written", expression)
