"""Any other program's config: a rank and an alpha that are named for LoRA, or stand in a block that is."""

import re
from collections.abc import Iterator
from typing import Any

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Level, Site, State
from lora_lint.frameworks.blocks import at
from lora_lint.frameworks.gates import GATES, NAMED_RANKS, is_open
from lora_lint.frameworks.guessed import Pair, number_at, opened, pairs, value_at
from lora_lint.scaling import classic, rslora
from lora_lint.schema import Schema
from lora_lint.view import View

NAME = "generic"
TITLE = "a framework that lora-lint doesn't know"
DOCS = "https://arxiv.org/abs/2106.09685"


class Config(Schema):
    """No key is declared: names are guessed from, whatever else stands beside them."""


_GATES = ("enabled", "enable", "with_lora", *GATES)
_NEGATED = ("no_lora", "disable_lora")
_OPENS = re.compile(r"(use|enable|train)_\w*(lora|dora|peft|adapter)\w*|\w*(lora|dora|peft|adapter)_enabled?")
"""How a flag is called that may be another gate than those that are known."""
_KINDS = ("peft_type", "adapter_type", "lora_type", "peft", "type", "method", "name", "algo")
_OTHERS = ("loha", "lokr", "oft", "boft", "ia3", "adalora", "vera", "fourierft", "prompt_tuning", "prefix_tuning")


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax not in ("yaml", "json", "toml", "shell"):
        return ()
    pair = next(pairs(document), None)
    if pair is None:
        return ()
    paths = [path for path in (pair.rank, pair.alpha) if path is not None] or [(gate,) for gate in opened(document)]
    return tuple(".".join(str(part) for part in path) for path in paths)


_OF_RECORDS = ("log_history", "eval_loss", "eval_accuracy", "eval_runtime", "train_loss", "train_runtime", "total_flos")
"""What a trainer writes down when a run is over."""


def most(document: Document) -> Level:
    """What the keys mean is guessed from their names, so no finding is an error; nobody mends the record of a run."""
    data = document.data
    return "note" if isinstance(data, dict) and any(key in data for key in _OF_RECORDS) else "warning"


def sites(config: View[Config]) -> Iterator[Site]:
    for pair in pairs(config.document):
        yield _site(config.document, pair)


SAYS = ("base_model",)
_BASES = (
    "base_model",
    "base_model_name",
    "base_model_name_or_path",
    "model_name_or_path",
    "pretrained_model_name_or_path",
)
"""Keys that say by themselves that they name the model; `model` or `path` may be anything."""


def says(config: View[Config], word: str) -> Fact[Any] | None:
    """The model beside the rank or in the mapping around it, else in the root."""
    pair = next(pairs(config.document), None) if word == "base_model" else None
    if pair is None:
        return None
    for named in (pair.named, pair.outer):
        path = next((named[key] for key in _BASES if key in named), None)
        if path is not None:
            value = value_at(config.document, path)
            return Fact(value, path, "unknown" if isinstance(value, Unknown) else "written")
    return at(config.document, *_BASES)


def _site(document: Document, pair: Pair) -> Site:
    at = pair.rank or ()
    rank = number_at(document, pair.rank) if pair.rank is not None else _of_program(document, NAMED_RANKS, at)
    alpha = number_at(document, pair.alpha) if pair.alpha is not None else _of_program(document, ("lora_alpha",), at)
    method = _method(document, pair)
    state: State = "off" if _is_off(document, pair) or (rank.known and rank.value == 0) else "active"
    return Site(
        (pair.block or "*",),
        rank,
        alpha,
        rslora if _is_set(document, pair, "use_rslora") else classic,
        "not-lora" if method in _OTHERS else state,
        method,
    )


def _is_off(document: Document, pair: Pair) -> bool:
    """Whether a gate is closed: here, LoRA's own beside the block, or by the program's own default where nothing else
    that is given may open it."""
    if any(is_open(value_at(document, pair.named.get(name))) for name in _NEGATED):
        return True
    given = [value_at(document, pair.named[gate]) for gate in _GATES if gate in pair.named]
    given = given or [value_at(document, pair.outer[gate]) for gate in GATES if gate in pair.outer]
    if not given and not any(_OPENS.fullmatch(name) for name in pair.named):
        given = [document.program[gate] for gate in GATES if gate in document.program]
    return any(gate in (False, "false", "False") for gate in given)


def _is_set(document: Document, pair: Pair, name: str) -> bool:
    given = value_at(document, pair.named[name]) if name in pair.named else document.program.get(name)
    return given in (True, "true", "True")


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


def _method(document: Document, pair: Pair) -> str:
    kinds = (str(value_at(document, pair.named.get(kind))).lower() for kind in _KINDS if kind in pair.named)
    other = next((kind for kind in (*kinds, pair.block) if kind in _OTHERS), None)
    return other or ("dora" if _is_set(document, pair, "use_dora") else "lora")
