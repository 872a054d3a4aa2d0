"""The base model of an adapter: what it is called, how large it is, and which modules it has."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

from lora_lint.architectures import ARCHITECTURES, CLASSES, Architecture, paths
from lora_lint.checkpoint import leads_out
from lora_lint.facts import Setup
from lora_lint.folder import Folder
from lora_lint.upwards import to_the_top
from lora_lint.used import used

Kind = Literal["layer", "other", "head", "router", "expert", "tower", "former", "block", "wrapper"]
"""What a name stands for: `block` holds several layers and is none, `former` is a name of another release, `wrapper`
is what some class has around all of it."""

HEADS = (
    "score",
    "classifier",
    "classification_head",
    "qa_outputs",
    "v_head",
    "summary",
    "reward_head",
    "regression_head",
)
"""Modules that a task, not the architecture, brings: transformers' and TRL's classes for it."""

EMBEDDINGS = ("embed_tokens", "wte", "word_embeddings", "embed_in", "tok_embeddings", "shared")
"""What architectures call their token embedding."""
OUTPUTS = ("lm_head", "embed_out", "output_layer")
"""What architectures call their output head; some call it `output`, as they do other layers."""

_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_PARTS = ("text_config", "llm_config", "language_config")


@dataclass(frozen=True)
class BaseModel:
    """A model of a known architecture; `source` says where that is known from.

    `vocabulary` are the rows of the embedding, `depth` the layers, None where only the name is known. `assumed` says
    that it is the default of an option, which a run may give another value.
    """

    name: str
    source: str
    tied: bool | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    assumed: bool = False

    @property
    def architecture(self) -> Architecture:
        return ARCHITECTURES[self.name]

    @property
    def depth(self) -> int | None:
        return next((size for key in _LAYERS if (size := self._size(key)) is not None), None)

    @property
    def vocabulary(self) -> int | None:
        return self._size("vocab_size")

    @cached_property
    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """Output and input features of the linear layers of a block, by name; empty where they aren't known."""
        from lora_lint.layer_sizes import layer_sizes

        return layer_sizes(self.name, self.config)

    def narrowest(self, target: str) -> int | None:
        """The smaller side of the smallest layer that a target names, which is the largest rank it can use."""
        last = [name for name in self.sizes if name == target or name.endswith(f".{target}")]
        last = last or [name for name in self.sizes if target.endswith(f".{name}")]
        return min((min(self.sizes[name]) for name in last), default=None)

    @property
    def partial(self) -> bool:
        """Whether only the ends of the paths are known, so that no expression for whole ones can be judged."""
        return self.name in CLASSES or self.name in ("megatron", "torchtune")

    @property
    def blocks(self) -> frozenset[str]:
        """What the lists of blocks are called, each of whose items is a layer."""
        return frozenset(path[at - 1] for path in paths(self.architecture.layers) for at in _numbered(path))

    @property
    def quantised(self) -> str:
        """How the weights are stored, in the words of `quantization_config.quant_method`; empty where none is named."""
        config = self.config.get("quantization_config")
        method = config.get("quant_method") if isinstance(config, Mapping) else None
        named = re.search(r"-(gptq|awq|aqlm|eetq)(?:-int\d)?\Z", self.source.lower())
        return method if isinstance(method, str) else named[1] if named else ""

    def _size(self, key: str) -> int | None:
        parts = [self.config, *(self.config.get(part) for part in _PARTS)]
        found = [part[key] for part in parts if isinstance(part, Mapping) and isinstance(part.get(key), int)]
        return found[0] if len(set(found)) == 1 else None

    def kinds(self, name: str) -> frozenset[Kind]:
        """What a name in a list of target modules stands for, by its end; empty when nothing is called so."""
        return kinds(self.name, name)

    def lacks(self, name: str) -> bool:
        """Whether no module ends so; of Megatron's models only the names of transformers' layers are known to."""
        if self.name == "megatron" and name.rpartition(".")[2] not in layer_names("llama"):
            return False
        return not self.kinds(name) - {"expert"}

    def matches(self, expression: str) -> bool | None:
        """Whether a regular expression matches the whole path of some module, None where that isn't sure."""
        return any_module_matches(self.name, expression)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The last parts of the names of all linear layers of the language model."""
        return layer_names(self.name)


def _numbered(path: tuple[str, ...]) -> Iterator[int]:
    """Where a path has the number of its block."""
    yield from (at for at in range(1, len(path)) if path[at] == "*")


@lru_cache(maxsize=16384)
def kinds(architecture: str, name: str) -> frozenset[Kind]:
    """The kinds of module whose path ends with a name, or that are named by a longer path which ends with theirs."""
    parts = tuple(reversed(name.split(".")))
    found: set[Kind] = set()
    for path, kind in _index(architecture).get(_leaf(parts[0]), ()):
        if all(own in (part, "*") and (own != "*" or part.isdecimal()) for own, part in zip(path, parts, strict=False)):
            found.add(kind)
    return frozenset(found or ({"wrapper"} if parts[0] in _WRAPPERS else ()))


def _leaf(part: str) -> str:
    return "*" if part.isdecimal() else part


@lru_cache
def layer_names(architecture: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_last(path) for path in paths(ARCHITECTURES[architecture].layers)))


def _last(path: tuple[str, ...]) -> str:
    """The name of a layer, with that of the list that it is in where it has a number alone."""
    return f"{path[-2]}.0" if path[-1] == "*" else path[-1]


@lru_cache
def every_layer_name() -> frozenset[str]:
    """The last parts of the names of all linear layers of all architectures."""
    return frozenset(name for architecture in ARCHITECTURES for name in layer_names(architecture))


@lru_cache
def _index(architecture: str) -> Mapping[str, list[tuple[tuple[str, ...], Kind]]]:
    """Last part of a path -> the paths that end so, from their end, with their kinds."""
    found: dict[str, list[tuple[tuple[str, ...], Kind]]] = {}
    for path, kind in modules(architecture):
        found.setdefault(path[-1], []).append((path[::-1], kind))
        for end in range(1, len(path)):
            block: tuple[tuple[str, ...], Kind] = (path[:end][::-1], "block")
            if block not in found.setdefault(path[end - 1], []):
                found[path[end - 1]].append(block)
    return found


def modules(architecture: str) -> Iterator[tuple[tuple[str, ...], Kind]]:
    """The paths of an architecture, below what wraps the model."""
    own = ARCHITECTURES[architecture]
    texts: tuple[tuple[str, Kind], ...] = (
        (own.layers, "layer"),
        (own.others, "other"),
        (f"{own.head} {' '.join(HEADS)}", "head"),
        (own.routers, "router"),
        (own.experts, "expert"),
        (own.tower, "tower"),
        (own.formerly, "former"),
    )
    for text, kind in texts:
        for path in paths(text):
            yield path, kind


def base_model(setup: Setup) -> BaseModel | None:
    """The base of a setup, or None where it isn't known.

    A saved adapter may stand beside the config of its base; a training config may name a folder of the repository.
    """
    folder = setup.folder
    if setup.kind == "checkpoint" and folder is not None and folder.holds("config.json"):
        return _of_config(folder.json("config.json"), "config.json")
    fact = setup.adapter.base_model
    if setup.layers_of:
        named = fact.value if fact is not None and fact.known else ""
        from lora_lint.hub_models import hub_config

        return BaseModel(setup.layers_of, named or setup.title, config=hub_config(named))
    made = setup.adapter.model_class
    if made is not None and made.known and made.value in CLASSES:
        return BaseModel(made.value, made.value)
    if fact is None or not fact.known or not fact.value:
        return None
    if fact.origin == "default" and fact.value == _PLACEHOLDER:
        return None
    from lora_lint.hub_models import hub_config, hub_model

    known = hub_model(fact.value)
    if known is not None:
        return BaseModel(known.architecture, fact.value, known.tied, hub_config(fact.value), fact.origin == "default")
    inside = _folder_inside(folder, fact.value) if folder is not None else None
    return _of_config(inside.json("config.json"), f"{fact.value}/config.json") if inside is not None else None


_PLACEHOLDER = "facebook/opt-125m"
"""The default that Alpaca's and FastChat's scripts handed on to many others, none of which means it."""


def _of_config(config: Mapping[str, Any] | None, source: str) -> BaseModel | None:
    name = config.get("model_type") if config is not None else None
    if config is None or not isinstance(name, str) or name not in ARCHITECTURES:
        return None
    tied = config.get("tie_word_embeddings")
    return BaseModel(name, source, tied if isinstance(tied, bool) else ARCHITECTURES[name].tied, config)


def _folder_inside(own: Folder, name: str) -> Folder | None:
    """The folder of a relative path, looked for from a config's own upwards to the top of its repository."""
    if os.path.isabs(name) or "\\" in name or not name.isprintable() or len(name) > 500:
        return None
    parts = os.path.normpath(name)
    if parts.startswith(".."):
        return None
    first = parts.partition(os.sep)[0]
    above = os.path.dirname(own.path)
    others = _up_from(above) if ".git" not in own.names and above != own.path else ()
    likely = [own.path] if first in own.names or first == os.curdir else []
    likely += [folder for folder in others if _holds(folder, first)]
    for folder in likely:
        inside = os.path.join(folder, parts)
        if folder == own.path:
            used(inside)
        if os.path.isdir(inside):
            return None if leads_out(folder, parts) else Folder(os.path.join(inside, "config.json"))
    return None


@lru_cache(maxsize=256)
def _up_from(folder: str) -> tuple[str, ...]:
    """A folder and those above it, up to the top of its repository; adapters that lie side by side share them."""
    return tuple(to_the_top(folder))


@lru_cache(maxsize=16384)
def _holds(folder: str, name: str) -> bool:
    return os.path.lexists(os.path.join(folder, name))


_ROOTS = (
    *("", "model.", "transformer.", "decoder.", "encoder.", "model.decoder.", "model.encoder.", "model.model."),
    *("model.language_model.", "language_model.model.", "language_model.", "model.language_model.model."),
    *("text_model.", "model.text_model.", "model.vision_tower.", "vision_tower.", "model.vision_tower.vision_model."),
    *("vision_tower.vision_model.", "vision_model.", "model.vision_model.", "gpt_neox.", "bert.", "roberta."),
    *("distilbert.", "distilbert.transformer.", "deberta.", "vit.", "dinov2.", "transformer.encoder."),
)
"""What classes of transformers, of 4.x and of 5, put before the paths of the table."""

_WRAPPERS = frozenset(part for root in _ROOTS for part in root.split(".") if part) | {"multi_modal_projector"}

_MOST_LAYERS = 128


@lru_cache(maxsize=1024)
def any_module_matches(architecture: str, expression: str) -> bool | None:
    """Whether a regular expression matches the whole path of some module, None where that can't be told in time.

    Layers are tried up to the 128th where the expression names numbers; numbers within numbers aren't tried out.
    """
    from lora_lint.patterns import whole_match

    numbers = range(_MOST_LAYERS) if any(char.isdecimal() for char in expression) else (0,)
    whole = [path for path, kind in modules(architecture) if kind != "expert"]
    for number in numbers:
        for path in whole:
            end = ".".join(path).replace("*", str(number))
            for root in _ROOTS:
                found = whole_match(expression, root + end)
                if found is not False:
                    return found
    nested = any(path.count("*") > 1 for path in whole)
    return None if nested and len(numbers) > 1 else False
