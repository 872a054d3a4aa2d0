"""Any other program's config: a rank and an alpha that are named for LoRA, or stand in a block that is."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.scaling import classic, rslora
from lora_lint.schema import Schema, View

NAME = "generic"
TITLE = "a framework that lora-lint doesn't know"
DOCS = "https://arxiv.org/abs/2106.09685"
MOST = "warning"
"""What the keys mean is guessed from their names, so no finding is an error."""


class Config(Schema):
    """No key is declared: names are guessed from, whatever else stands beside them."""


class Pair(NamedTuple):
    """The keys of a rank and an alpha that belong together, with all keys of their mapping in one spelling.

    `outer` are the keys of the mapping around it.
    """

    rank: Path
    alpha: Path | None
    named: Mapping[str, Path]
    block: str
    outer: Mapping[str, Path]


_RANKS = ("lora_r", "lora_rank", "lora_dim")
_BLOCK_RANKS = (*_RANKS, "r", "rank", "dim")
_ALPHAS = ("lora_alpha",)
_BLOCK_ALPHAS = (*_ALPHAS, "alpha")
_BESIDE = ("lora_dropout", "lora_target_modules", "lora_target", "lora_targets", "lora_bias", "use_lora", "lora_enable")
"""Keys that say that a rank without an alpha is LoRA's all the same."""

_BLOCK = re.compile(r"(.*_)?(q?lora|peft|adapter)(_(config|args|arguments|params|parameters|settings|cfg))?")
_OUTER_GATES = ("use_lora", "lora_enable", "lora_enabled", "enable_lora", "enable_lora_training", "use_peft")
_GATES = ("enabled", "enable", *_OUTER_GATES)
_KINDS = ("peft_type", "adapter_type", "type", "method", "name", "algo")
_SPEAKING = ("peft_type", "adapter_type", "type", "method", "module", "network_module", "network_type", "algo")
"""Keys whose value may say that the mapping is LoRA's."""

_SPOKEN = re.compile(r"([\w.]+\.)?(q?lora|dora)(_\w+)?", re.IGNORECASE)
_OTHERS = ("loha", "lokr", "oft", "boft", "ia3", "adalora", "vera", "fourierft", "prompt_tuning", "prefix_tuning")
_MOST_LOOKED_AT = 5_000
"""Mappings and lists; aliases may make one value stand at very many places."""
_DEEPEST = 8


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax not in ("yaml", "json", "toml", "shell"):
        return ()
    pair = next(_pairs(document), None)
    if pair is None:
        return ()
    paths = (pair.rank,) if pair.alpha is None else (pair.rank, pair.alpha)
    return tuple(".".join(str(part) for part in path) for path in paths)


def sites(config: View[Config]) -> Iterator[Site]:
    for pair in _pairs(config.document):
        yield _site(config.document, pair)


def _site(document: Document, pair: Pair) -> Site:
    rank, alpha = _number(document, pair.rank), pair.alpha
    method = _method(document, pair)
    off = _is_off(document, pair)
    state: State = "off" if off or (rank.known and rank.value == 0) else "active"
    stabilised = _value(document, pair.named.get("use_rslora")) in (True, "true", "True")
    missing = Unknown("", "alpha isn't given, and whose default it has isn't known")
    return Site(
        (pair.block or "*",),
        rank,
        _number(document, alpha) if alpha is not None else Fact(missing, pair.rank, "unknown"),
        rslora if stabilised else classic,
        "not-lora" if method in _OTHERS else state,
        method,
    )


def _is_off(document: Document, pair: Pair) -> bool:
    """Whether a gate is closed: one in the mapping itself, or LoRA's own beside the block."""
    gates = [pair.named[gate] for gate in _GATES if gate in pair.named]
    gates = gates or [pair.outer[gate] for gate in _OUTER_GATES if gate in pair.outer]
    return any(_value(document, gate) in (False, "false", "False") for gate in gates)


def _method(document: Document, pair: Pair) -> str:
    kinds = (str(_value(document, pair.named.get(kind))).lower() for kind in _KINDS if kind in pair.named)
    return next((kind for kind in kinds if kind in _OTHERS), "lora")


def _pairs(document: Document) -> Iterator[Pair]:
    for mapping in _mappings(document):
        named = mapping.named
        inside = _BLOCK.fullmatch(mapping.block) is not None
        rank = _first(named, _BLOCK_RANKS if inside else _RANKS)
        alpha = _first(named, _BLOCK_ALPHAS if inside else _ALPHAS)
        if (rank is None or alpha is None) and (mapping.below or _speaks(document, named)):
            both = _first(named, _BLOCK_RANKS), _first(named, _BLOCK_ALPHAS)
            rank, alpha = both if None not in both else (rank, alpha)
        if rank is None or not _is_setting(document, rank):
            continue
        if alpha is not None or any(key in named for key in _BESIDE):
            yield Pair(rank, alpha, named, mapping.block, mapping.outer)


def _speaks(document: Document, named: Mapping[str, Path]) -> bool:
    """Whether a mapping says of itself that it is LoRA's."""
    kinds = (_value(document, named[key]) for key in _SPEAKING if key in named)
    return any(isinstance(kind, str) and _SPOKEN.fullmatch(kind[:80]) for kind in kinds)


def _first(named: Mapping[str, Path], keys: tuple[str, ...]) -> Path | None:
    return next((named[key] for key in keys if key in named), None)


def _is_setting(document: Document, path: Path) -> bool:
    """Whether a value stands there, rather than a description of one as in a schema."""
    return not isinstance(_value(document, path), dict | list | None)


class Keys(NamedTuple):
    """A mapping's keys in one spelling, its name, whether it is right below a block of LoRA's, and the keys around."""

    block: str
    named: Mapping[str, Path]
    below: bool
    outer: Mapping[str, Path]


def _mappings(document: Document) -> Iterator[Keys]:
    """All mappings with the name of their block; the dotted flags of a command are mappings inside each other."""
    pending: list[tuple[str, Path, object, str, Mapping[str, Path]]] = [("", (), document.data, "", {})]
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


def _value(document: Document, path: Path | None) -> object:
    value = document.data
    for part in path or ():
        value = value[part]  # type: ignore[index]
    return value if path else None


def _number(document: Document, path: Path) -> Fact[Any]:
    """The number at a path; what is no number is unknown, as nobody says what the program makes of it."""
    value = _value(document, path)
    expression = document.expressions.get(path)
    if isinstance(value, Unknown):
        return Fact(value, path, "unknown", expression)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value) if value.isdecimal() else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Fact(Unknown(str(value)[:60], f"{path[-1]} isn't one number"), path, "unknown", expression)
    return Fact(value, path, "default" if path in document.defaults else "written", expression)


_DIGITS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
