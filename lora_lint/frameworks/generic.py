"""Any other program's config: a rank and an alpha that are named for LoRA, or stand in a block that is."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.gates import GATES, NAMED_RANKS, is_open
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

    Where the program that a command runs is known, its defaults stand for those that the command leaves out.
    """

    rank: Path | None
    alpha: Path | None
    named: Mapping[str, Path]
    block: str


_RANKS = NAMED_RANKS
_BLOCK_RANKS = (*_RANKS, "r", "rank", "dim")
_ALPHAS = ("lora_alpha",)
_BLOCK_ALPHAS = (*_ALPHAS, "alpha")
_BESIDE = ("lora_dropout", "lora_target_modules", "lora_target", "lora_targets", "lora_bias", "use_lora", "lora_enable")
"""Keys that say that a rank without an alpha is LoRA's all the same."""

_BLOCK = re.compile(r"(.*_)?(q?lora|peft|adapter)(_(config|args|arguments|params|parameters|settings|cfg))?")
_GATES = ("enabled", "enable", *GATES)
_NEGATED = ("no_lora", "disable_lora")
_KINDS = ("peft_type", "adapter_type", "type", "method", "name", "algo")
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
    paths = [path for path in (pair.rank, pair.alpha) if path is not None] or [(gate,) for gate in _given(document)]
    return tuple(".".join(str(part) for part in path) for path in paths)


def sites(config: View[Config]) -> Iterator[Site]:
    for pair in _pairs(config.document):
        yield _site(config.document, pair)


def _site(document: Document, pair: Pair) -> Site:
    at = pair.rank or ()
    rank = _number(document, pair.rank) if pair.rank is not None else _of_program(document, _RANKS, at)
    alpha = _number(document, pair.alpha) if pair.alpha is not None else _of_program(document, _ALPHAS, at)
    method = _method(document, pair)
    negated = any(is_open(_value(document, pair.named.get(name))) for name in _NEGATED)
    gates: list[object] = [_value(document, pair.named[gate]) for gate in _GATES if gate in pair.named]
    gates = gates or [document.program[gate] for gate in GATES if gate in document.program]
    off = any(gate in (False, "false", "False") for gate in gates)
    state: State = "off" if off or negated or (rank.known and rank.value == 0) else "active"
    stabilised = _value(document, pair.named.get("use_rslora")) in (True, "true", "True")
    return Site(
        (pair.block or "*",),
        rank,
        alpha,
        rslora if stabilised else classic,
        "not-lora" if method in _OTHERS else state,
        method,
    )


def _of_program(document: Document, names: tuple[str, ...], at: Path) -> Fact[Any]:
    """The default of the program that a command runs, reported `at` another flag."""
    name = next((name for name in names if name in document.program), None)
    if name is None:
        return Fact(Unknown("", "alpha isn't given, and whose default it has isn't known"), at, "unknown")
    value = document.program[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        reason = value.reason if isinstance(value, Unknown) else f"{name} is {value} unless it is given"
        return Fact(Unknown(name, reason), at, "unknown")
    return Fact(value, at, "default", key=name)


def _given(document: Document) -> list[str]:
    """The gates to LoRA that a command opens."""
    data = document.data if document.syntax == "shell" and isinstance(document.data, dict) else {}
    return [gate for gate in GATES if is_open(data.get(gate))]


def _method(document: Document, pair: Pair) -> str:
    kinds = (str(_value(document, pair.named.get(kind))).lower() for kind in _KINDS if kind in pair.named)
    return next((kind for kind in kinds if kind in _OTHERS), "lora")


def _pairs(document: Document) -> Iterator[Pair]:
    for block, named in _mappings(document):
        inside = _BLOCK.fullmatch(block) is not None
        alpha = _first(named, _BLOCK_ALPHAS if inside else _ALPHAS)
        flags = document.syntax == "shell" and alpha is not None
        rank = _first(named, _BLOCK_RANKS if inside else (*_RANKS, "r") if flags else _RANKS)
        if rank is None and block == "" and document.program and _given(document):
            yield Pair(None, alpha, named, block)
        if rank is None or not _is_setting(document, rank):
            continue
        if alpha is not None or document.program or any(key in named for key in _BESIDE):
            yield Pair(rank, alpha, named, block)


def _first(named: Mapping[str, Path], keys: tuple[str, ...]) -> Path | None:
    return next((named[key] for key in keys if key in named), None)


def _is_setting(document: Document, path: Path) -> bool:
    """Whether a value stands there, rather than a description of one as in a schema."""
    return not isinstance(_value(document, path), dict | list | None)


def _mappings(document: Document) -> Iterator[tuple[str, Mapping[str, Path]]]:
    """All mappings with the name of their block; the dotted flags of a command are mappings inside each other."""
    pending: list[tuple[str, Path, object]] = [("", (), document.data)]
    for _ in range(_MOST_LOOKED_AT):
        if not pending:
            return
        block, path, value = pending.pop()
        if isinstance(value, list) and len(path) < _DEEPEST:
            inside = [(block, (*path, at), item) for at, item in enumerate(value) if isinstance(item, dict | list)]
            pending += reversed(inside)
        if not isinstance(value, dict):
            continue
        yield from _named(block, path, value)
        if len(path) < _DEEPEST:
            inner = [(_snake(key), (*path, key), item) for key, item in value.items()]
            pending += [item for item in reversed(inner) if isinstance(item[2], dict | list)]


def _named(block: str, path: Path, mapping: Mapping[Any, object]) -> Iterator[tuple[str, Mapping[str, Path]]]:
    """The keys of a mapping in one spelling, those with dots by what stands before the last one."""
    groups: dict[str, dict[str, Path]] = {}
    for key in mapping:
        owner, _, name = _snake(key).rpartition(".")
        groups.setdefault(owner, {})[name] = (*path, key)
    for owner, named in groups.items():
        yield owner.rpartition(".")[2] or block, named


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
