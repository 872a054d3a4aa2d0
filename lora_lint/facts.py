"""Facts: the one vocabulary that rules know, whatever framework and syntax they came from."""

import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from lora_lint.document import Document, Path, Unknown, lookup
from lora_lint.keys import BadValue, OldKey, UnknownKey, WrittenKey
from lora_lint.once import once
from lora_lint.scaling import Formula, number
from lora_lint.tensors import Checkpoint, LoraTensors

if TYPE_CHECKING:
    from lora_lint.base_files import BaseFiles
    from lora_lint.base_model import BaseModel
    from lora_lint.base_name import BaseName
    from lora_lint.expression import Expression
    from lora_lint.folder import Folder
    from lora_lint.image_models import ImageModel
    from lora_lint.nearby import ConfigFile
    from lora_lint.project import Pin
    from lora_lint.resumed import Resumed
    from lora_lint.targets import Targets
    from lora_lint.vocabulary import Adapter, Training

T = TypeVar("T")
Origin = Literal["written", "default", "derived", "unknown"]
State = Literal["active", "off", "not-lora"]
Level = Literal["error", "warning", "note"]
Kind = Literal["training", "checkpoint", "source", "serving"]
TargetSyntax = Literal["", "peft", "unwrapped", "words", "comma", "glob"]
"""How target modules are written: a list of names or one regular expression (`peft`), the same where a list of one is
its text (`unwrapped`), a list in which `all-linear` counts too (`words`), one text with commas between names (`comma`),
shell patterns (`glob`), or in a way that isn't known."""


class UnknownFact(Exception):  # noqa: N818 - a signal that every rule may meet, not a failure
    """A rule asked for a value that the file doesn't settle; the site counts as undecided, with the reason."""


@dataclass(slots=True, unsafe_hash=True)
class Fact(Generic[T]):
    """A value, where it stands, and who gave it. Never changed: made by the dozen, it isn't frozen only because that
    takes three times as long."""

    _value: T | Unknown
    path: Path = ()
    origin: Origin = "written"
    expression: "Expression | None" = None
    key: str = ""
    """The key to write where the value is a default."""

    @property
    def value(self) -> T:
        """The value.

        Raises:
            UnknownFact: when the file doesn't settle it.
        """
        if isinstance(self._value, Unknown):
            raise UnknownFact(self._value.reason)
        return self._value

    @property
    def known(self) -> bool:
        return not isinstance(self._value, Unknown)

    @property
    def text(self) -> str:
        """What is written in place of a value that isn't known, or an empty string."""
        return self._value.text if isinstance(self._value, Unknown) else ""

    @property
    def reason(self) -> str:
        """Why the value is unknown, or an empty string."""
        return self._value.reason if isinstance(self._value, Unknown) else ""


def derived(value: T, path: Path = ()) -> Fact[T]:
    """A value that the framework computes from another one, which stands at `path`."""
    return Fact(value, path, "derived")


def may_be_set(fact: Fact[Any] | None) -> bool:
    """Whether a word has a value that isn't null, false or empty, or may have one."""
    return fact is not None and (not fact.known or bool(fact.value))


@dataclass(frozen=True)
class Site:
    """A group of modules that share rank, alpha and formula.

    `alpha` is None where the framework has none; then `formula` gives the scale from the rank alone. `fixed` says that
    nobody can write alpha, so no advice to change it makes sense. `folded` says that the adapter was made by a tool
    that puts the scale into the weights (extraction, conversion), where alpha equal to rank is right by construction.
    """

    modules: tuple[str, ...]
    rank: Fact[float]
    alpha: Fact[float | None] | None
    formula: Formula
    state: State = "active"
    method: str = "lora"
    fixed: bool = False
    folded: bool = False
    pattern: bool = False
    """Whether rank or alpha come from a per-module pattern rather than the global setting."""

    @once
    def scale(self) -> float:
        """The multiplier that reaches `B @ A`.

        Raises:
            UnknownFact: when rank or alpha are unknown, or no single number exists.
        """
        symbolic = self.symbolic_scale
        if symbolic is not None:
            return symbolic
        rank = self.rank.value
        alpha = self.alpha.value if self.alpha is not None else 1.0
        if alpha is None:
            raise UnknownFact("alpha is null")
        try:
            scale = self.formula(alpha, rank)
        except (ArithmeticError, ValueError) as error:
            raise UnknownFact(f"no scale at rank {number(rank)[:20]}") from error
        if not math.isfinite(scale):
            raise UnknownFact("the scale is not finite")
        return scale

    @property
    def told_scale(self) -> float | None:
        """The scale as a report gives it: None where it is unknown, or the site isn't classic LoRA."""
        if self.state == "not-lora":
            return None
        try:
            return float(self.scale)
        except UnknownFact:
            return None

    @property
    def symbolic_scale(self) -> float | None:
        """The scale where rank and alpha are written over the same names and the names cancel out."""
        if self.alpha is None or (self.rank.expression is None and self.alpha.expression is None):
            return None
        rank: Expression | float | None = self.rank.expression or (self.rank.value if self.rank.known else None)
        alpha: Expression | float | None = self.alpha.expression or (self.alpha.value if self.alpha.known else None)
        if rank is None or alpha is None:
            return None
        from lora_lint.expression import constant_over_names

        return constant_over_names(self.formula, alpha, rank)

    @property
    def default_keys(self) -> tuple[str, ...]:
        """The keys of rank and alpha that nobody wrote."""
        return tuple(fact.key for fact in (self.rank, self.alpha) if fact is not None and fact.origin == "default")

    @property
    def undecided(self) -> str:
        """Why the scale of an active site is unknown, or an empty string."""
        if self.state != "active":
            return ""
        try:
            self.scale  # noqa: B018 - asking is the question
        except UnknownFact as unknown:
            return str(unknown)
        return ""


def _says_nothing(word: str) -> None:
    """What a setup says for a word that its framework doesn't have."""


def _no_keys() -> Iterator[Any]:
    yield from ()


@dataclass(eq=False)
class Setup:
    """What one document, together with the tensors beside it, says about LoRA."""

    document: Document
    framework: str
    kind: Kind
    recognised_by: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    convention: str = "2r"
    most: Level = "error"
    """The highest severity of findings about it, lower where the reading is a guess."""
    sites: tuple[Site, ...] = ()
    bad_values: tuple[BadValue, ...] = ()
    unknown_keys: tuple[UnknownKey, ...] = ()
    old_keys: tuple[OldKey, ...] = ()
    checkpoint: Checkpoint | None = None
    title: str = ""
    """The framework's name as its users write it."""
    trained: bool = False
    """Whether alpha is a fact about weights that exist: rewriting it alone would change the model."""
    ask: "Callable[[str], Fact[Any] | None]" = _says_nothing
    """The fact for a word of `lora_lint.vocabulary`, as the framework spells it."""
    target_syntax: TargetSyntax = ""
    layers_of: str = ""
    """The architecture of `lora_lint.architectures` that stands for every model, where layers have the framework's own
    names."""
    words: "Callable[[], Iterator[str]]" = _no_keys
    """The words of `lora_lint.vocabulary` that are set to something else than nothing or the default."""
    written_keys: "Callable[[], Iterator[WrittenKey]]" = _no_keys
    """The keys that are written, as far as the releases that brought them are known."""
    path: str = ""
    """The file on disk, empty where there is none."""
    names_beside: frozenset[str] | None = None
    """The names in its folder, where that was listed."""
    before: "Setup | None" = None
    """The same setup before the change that is looked at, where one is."""
    base_scale: float = math.nan
    """The scale of modules that no pattern names, where every module at hand has a pattern."""

    def narrowed(self, sites: tuple[Site, ...], given: Collection[Path]) -> "Setup | None":
        """The setup with some of its sites and what stands at the given paths alone; None where nothing is left."""
        keys = self.written_keys
        self.sites, self.written_keys = sites, lambda: (key for key in keys() if key.path in given)
        self.bad_values = tuple(bad for bad in self.bad_values if bad.path in given)
        self.unknown_keys = tuple(unknown for unknown in self.unknown_keys if unknown.path in given)
        self.old_keys = tuple(old for old in self.old_keys if old.path in given)
        return self if self.sites or self.bad_values or self.unknown_keys or self.old_keys else None

    @once
    def sites_at(self) -> Mapping[Path, frozenset[int]]:
        """The sites, by `id`, whose rank or alpha stands at a path."""
        found: dict[Path, set[int]] = {}
        for site in self.sites:
            for fact in (site.rank, site.alpha):
                if fact is not None:
                    found.setdefault(fact.path, set()).add(id(site))
        return {path: frozenset(sites) for path, sites in found.items()}

    @once
    def set_words(self) -> frozenset[str] | None:
        """The words that are set to something else than nothing or the default, `weights` where some lie beside the
        config; None where more may be set than can be read."""
        if self.document.words == ("**",):
            return None
        return frozenset((*self.words(), *(("weights",) if self.checkpoint is not None else ())))

    @once
    def adapter(self) -> "Adapter":
        """How the adapter is built, besides rank and alpha."""
        from lora_lint.vocabulary import Adapter

        return Adapter(self.ask)

    @once
    def training(self) -> "Training":
        """How the run goes."""
        from lora_lint.vocabulary import Training

        return Training(self.ask)

    @once
    def targets(self) -> "Targets":
        """The modules that are to be adapted, entry by entry."""
        from lora_lint.targets import targets

        return targets(self.adapter.target_modules, self.target_syntax, self.adapter.target_linear)

    @once
    def parameters(self) -> "tuple[Fact[str], ...]":
        """The parameters that are adapted themselves, as stacked experts are, entry by entry; empty where unknown."""
        from lora_lint.targets import targets

        return targets(self.adapter.target_parameters, "words").names

    @once
    def token_rows(self) -> "tuple[Fact[str], ...]":
        """The embeddings of which some rows are trained, by name, whichever rows those are."""
        tokens = self.adapter.trainable_token_indices
        if tokens is None:
            return ()
        try:
            written = lookup(self.document.data, tokens.path) if tokens.origin == "written" else tokens.value
        except KeyError:
            written = tokens.value
        if isinstance(written, Mapping):
            return tuple(Fact(str(name), (*tokens.path, name)) for name in written)
        return (Fact("embed_tokens", tokens.path),) if tokens.known and isinstance(written, list) else ()

    @once
    def image_model(self) -> "ImageModel | None":
        """The diffusion model that is adapted, where it is one that is known."""
        fact = self.adapter.image_model
        if fact is None or not fact.known:
            return None
        from lora_lint.image_models import image_model

        return image_model(fact.value)

    @once
    def saved(self) -> "tuple[Fact[str], ...]":
        """The modules that are trained whole and saved beside the adapter, entry by entry.

        Raises:
            UnknownFact: when the file doesn't settle them.
        """
        from lora_lint.targets import targets

        named = targets(self.adapter.modules_to_save, self.target_syntax)
        if named.unknown:
            raise UnknownFact("modules_to_save isn't settled")
        return named.names

    @once
    def base(self) -> "BaseModel | None":
        """The model that is adapted, where its architecture is known."""
        from lora_lint.base_model import base_model

        return base_model(self)

    @once
    def base_name(self) -> "BaseName | None":
        """The base model as it is written; None where it isn't, or isn't known."""
        from lora_lint.base_name import base_name

        return base_name(self.adapter)

    @once
    def folder(self) -> "Folder | None":
        """The files beside the document, where it stands in a file of its own."""
        from lora_lint.folder import Folder

        return Folder(self.path, self.names_beside) if self.path and not self.document.embedded else None

    @once
    def base_files(self) -> "BaseFiles | None":
        """The config and the weights of the base model, where they are at hand."""
        from lora_lint.base_files import base_files

        return base_files(self)

    @once
    def runs(self) -> "tuple[Setup, ...]":
        """What the configs beside a file of weights say, one of which may be that of the run that wrote it."""
        from lora_lint.lone import runs_beside

        return runs_beside(self.path) if self.lone else ()

    @once
    def active(self) -> bool:
        """Whether anything is adapted at all; what is written about an adapter that is off changes nothing."""
        return any(site.state == "active" for site in self.sites)

    @property
    def planned(self) -> bool:
        """Whether it says how a run is to go, rather than what a run left or what is served."""
        return self.kind in ("training", "source")

    @once
    def off(self) -> bool:
        """Whether it is known that nothing is adapted: a run of another kind, whose other keys are its own affair."""
        return bool(self.sites) and all(site.state == "off" for site in self.sites)

    @once
    def peft_pin(self) -> "Pin | None":
        """The release of PEFT that the project around the file is held to."""
        return self.pin("peft")

    def pin(self, library: str) -> "Pin | None":
        """The release of a library that the file itself installs, or that the project around it is held to."""
        from lora_lint.project import installed, pinned

        own = installed(self.document.source, library)
        if own is not None or self.folder is None:
            return own
        return pinned(self.folder.path, library, self.names_beside)

    def lies_in(self, package: str) -> bool:
        """Whether the file belongs to a copy of a package, whose release is its own."""
        from lora_lint.project import holds

        return self.folder is not None and holds(self.folder.path, package)

    def has_own(self, package: str, home: str) -> bool:
        """Whether the project brings a copy of a package or takes a fork of it, which may know more than the package
        of `home` does."""
        from lora_lint.project import forked, holds

        folder = os.path.dirname(self.path)
        return bool(self.path) and (holds(folder, package) or forked(folder, package, home))

    @property
    def lone(self) -> bool:
        """Whether it is a file of weights that no config lies beside."""
        return self.document.syntax == "weights"

    def near(self, name: str) -> Mapping[Any, Any] | None:
        """The mapping in a small config file that the document names, seen from its folder or from one above it."""
        found = self.named(name)
        data = found.document.data if found is not None else None
        return data if isinstance(data, dict) else None

    def named(self, name: str) -> "ConfigFile | None":
        """The small config file that the document names."""
        if not self.path or (self.document.embedded and self.document.syntax != "python"):
            return None
        from lora_lint.nearby import Nearby

        return Nearby(self.path, self.document.source.inside).file_above(name)

    @once
    def resumed(self) -> "Resumed | None":
        """The saved adapter that the run goes on from, where it lies near the file."""
        from lora_lint.resumed import resumed

        return resumed(self)

    @property
    def fragment(self) -> bool:
        """Whether the document is a piece of something, as settings in a README are: what isn't there says nothing."""
        return self.document.example and self.document.syntax != "python"

    @once
    def tensor_modules(self) -> "Sequence[LoraTensors]":
        """The modules that the tensors beside the config belong to."""
        if self.checkpoint is None or not self.checkpoint.tensors:
            return []
        if not self.lone and any("base_model.model." in name for name in islice(self.checkpoint.tensors, 2)):
            from lora_lint.modules import modules_of

            return modules_of(self.checkpoint.tensors)
        from lora_lint.dialects import modules_of as of_any_dialect

        return of_any_dialect(self.checkpoint.tensors)
