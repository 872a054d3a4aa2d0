"""View: a mapping of a document seen through a Schema, whose fields are looked up as facts."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import ValidationError

from lora_lint.document import Document, Path, Unknown, lookup
from lora_lint.facts import Fact
from lora_lint.keys import BadValue, OldKey, UnknownKey, WrittenKey
from lora_lint.once import once
from lora_lint.refusals import NUMBER, Refusal, by_path, copied, is_text, remove
from lora_lint.schema import Schema
from lora_lint.spellings import (
    defaults_of,
    dotted_words_of,
    old_keys_of,
    releases_of,
    spelling_of,
    spellings_of,
    whole_flag,
    words_of,
)
from lora_lint.tensors import Checkpoint

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=Schema, covariant=True)
_MAX_ROUNDS = 8
_MOST_BAD_VALUES = 200
_LAUNCHERS = "local_rank"
"""A flag that launchers of distributed runs hand to every program (torch/distributed/launch.py)."""
_MOST_GUESSES = 200
"""Unknown keys that are compared with the known ones: a file with more isn't a config with a typing error."""


class View(Generic[M]):
    """A mapping of a document seen through a Schema: facts are made when asked for.

    Values that the schema refuses become unknown and are kept in `bad_values`, one each; the rest is read as if they
    weren't there.
    """

    def __init__(
        self,
        model: type[M],
        document: Document,
        path: Path = (),
        *,
        title: str,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.document = document
        self.path = path
        self.title = title
        self.checkpoint = checkpoint
        self.unknown: dict[Path, Unknown] = {}
        self.bad_values: list[BadValue] = []
        self.data = self._named(model, lookup(document.data, path))
        self.own, self.not_own = self._defaults_of_program(model) if document.program else ({}, {})
        self.model: M = self._validate(model)
        self._spelled, self._spellings = spelling_of(model), spellings_of(model)
        self._all_written = self._is_all_written()

    def _is_all_written(self) -> bool:
        """Whether each value stands under its own key, as in most JSON: nothing is known of it that the text doesn't
        say, and so there is nothing to look up."""
        document = self.document
        special = self.unknown or self._keys or document.expressions or document.defaults or document.open
        return not special and document.words != ("**",)

    def _named(self, model: type[M], raw: object) -> dict[str, Any]:
        """The mapping with positional arguments under their names and without unknown values."""
        self._keys: dict[str, Path] = {}
        if not isinstance(raw, Mapping):
            return {}
        if self.document.syntax == "json":
            return dict(raw)
        data: dict[str, Any] = {}
        for path, value in _items(raw, flat=model.FLAT):
            key = path[-1]
            name = str(key)
            if self.document.syntax == "python" and isinstance(key, int) and key < len(model.POSITIONAL):
                name = model.POSITIONAL[key]
            elif self.document.syntax in model.ARGPARSE:
                name = whole_flag(model, name)
            self._keys[name] = path
            data[name] = self._unless_off(value, (*self.path, *path))
        if model.EXPONENTS and self.document.syntax == "yaml":
            data = {name: self._as_number(value, name) for name, value in data.items()}
        return {
            name: self._without_unknown(value, (name,))
            for name, value in data.items()
            if not self._is_unknown(value, (name,))
        }

    def _as_number(self, value: object, name: str) -> object:
        if isinstance(value, str) and NUMBER.fullmatch(value) and self._written((name,)) == value:
            return float(value)
        return value

    def _unless_off(self, value: object, path: Path) -> object:
        """A same-file default of 0 or None is a switch that the caller turns on, not a rank or an alpha."""
        expression = self.document.expressions.get(path)
        if path not in self.document.defaults or value is False or value not in (0, None):
            return value
        if expression is None and not self.document.through:
            return value
        name = expression.text if expression is not None else str(path[-1])
        return Unknown(name, f"{name} is off by default")

    def _is_unknown(self, value: object, path: Path) -> bool:
        if isinstance(value, Unknown):
            self.unknown[path] = value
            return True
        return False

    def _without_unknown(self, value: object, path: Path) -> object:
        if isinstance(value, dict):
            return {
                key: self._without_unknown(inner, (*path, key))
                for key, inner in value.items()
                if not self._is_unknown(inner, (*path, key))
            }
        if isinstance(value, list):
            return [
                self._without_unknown(inner, (*path, at))
                for at, inner in enumerate(value)
                if not self._is_unknown(inner, (*path, at))
            ]
        return value

    def _validate(self, model: type[M]) -> M:
        strict = False if self.document.syntax == "shell" else None
        data = {**self.own, **self.data} if self.own else self.data
        for _ in range(_MAX_ROUNDS):
            try:
                return model.model_validate(data, strict=strict)
            except ValidationError as error:
                data = {key: value for key, value in copied(data).items() if is_text(key)}
                for path, details in by_path(error.errors(include_url=False), data):
                    if len(self.bad_values) < _MOST_BAD_VALUES:
                        self.bad_values.append(self._bad_value(path, details))
                    remove(data, path)
        return model.model_construct()

    def _defaults_of_program(self, model: type[M]) -> tuple[dict[str, object], dict[str, Unknown]]:
        """What the program itself takes for fields that aren't given, by key, and the fields that it doesn't settle.

        A program with options for LoRA that has none of a field's spellings has something else in its place.
        """
        own: dict[str, object] = {}
        unsettled: dict[str, Unknown] = {}
        program, spellings = self.document.program, spellings_of(model)
        ours = any("lora" in key and key in program for keys in spellings.values() for key in keys)
        for name, keys in spellings.items():
            key = next((key for key in keys if key in program), None)
            if key is None:
                if ours:
                    unsettled[name] = Unknown(name, f"the program has no option {name}")
            elif isinstance(value := program[key], Unknown):
                unsettled[name] = value
            elif _is_valid(model, key, value):
                own[key] = value
            else:
                unsettled[name] = Unknown(name, f"{name} is {value} unless it is given")
        return own, unsettled

    def _bad_value(self, path: Path, details: "list[ErrorDetails]") -> BadValue:
        refusal = Refusal(".".join(str(part) for part in path), lookup(self.data, path), details)
        return refusal.told(self._full(path), self.title, self.document.syntax, self._written(path))

    def _written(self, path: Path) -> str | None:
        entry = self.document.entry(self._full(path))
        return self.document.source.text[slice(*entry.value)] if entry else None

    def _full(self, path: Path) -> Path:
        return (*self.path, *self._keys.get(str(path[0]), path[:1]), *path[1:]) if path else self.path

    def fact(self, name: str) -> Fact[Any]:
        """The value of a field as a fact: written, default, or unknown with its reason.

        Raises:
            KeyError: when the schema has no such field.
        """
        spellings = self._spellings[name]
        document, data = self.document, self.data
        if self._all_written and not self.bad_values:
            for written in spellings:
                if written in data:
                    return Fact(getattr(self.model, name), (*self.path, written), "written", None, name)
        if self.unknown:
            key = next((key for key in spellings if key in data or (key,) in self.unknown), None)
        else:
            key = name if name in data and name == spellings[0] else next(filter(data.__contains__, spellings), None)
        if key is None:
            if document.words == ("**",):
                return Fact(Unknown(name, "more keywords come in through **"), self.path, "unknown")
            if reason := document.opened((*self.path, spellings[0])):
                return Fact(Unknown(name, reason), self.path, "unknown")
            if name in self.not_own:
                return Fact(self.not_own[name], self.path, "unknown")
            key = next((key for key in spellings if key in self.own), spellings[0])
            return Fact(getattr(self.model, name), self.path, "default", key=key)
        path = self._full((key,))
        expression = document.expressions.get(path) if document.expressions else None
        if self.unknown and (unknown := self.unknown.get((key,))) is not None:
            return Fact(unknown, path, "unknown", expression)
        for bad in self.bad_values:
            if bad.path == path:
                return Fact(Unknown(str(self.data[key]), bad.message), path, "unknown", expression)
        origin = "default" if path in document.defaults else "written"
        return Fact(getattr(self.model, name), path, origin, expression, name)  # type: ignore[arg-type]

    def said(self, word: str) -> Fact[Any] | None:
        """The fact for a word of `lora_lint.vocabulary`, or None where the framework has no key for it."""
        spelled = self._spelled.get(word, word)
        if spelled in self._spellings:
            return self.fact(spelled)
        return self._at(spelled) if "." in spelled else None

    def _at(self, dotted: str) -> Fact[Any] | None:
        """What stands at a dotted path of the document; commands write it as one key."""
        data = self.document.data
        path: Path = (dotted,) if isinstance(data, Mapping) and dotted in data else tuple(dotted.strip(".").split("."))
        try:
            value = lookup(data, path)
        except KeyError:
            reason = self.document.opened(path)
            return Fact(Unknown(dotted, reason), path[:-1], "unknown") if reason else None
        if isinstance(value, Unknown):
            return Fact(value, path, "unknown")
        return Fact(value, path, "default" if path in self.document.defaults else "written")

    @property
    def written_keys(self) -> Iterator[WrittenKey]:
        """The fields that are written, with the release that brought each."""
        releases, defaults = releases_of(type(self.model)), defaults_of(type(self.model))
        for name in self.data:
            if name in releases:
                value = self.data[name]
                yield WrittenKey(self._full((name,)), name, releases[name], not value or value == defaults[name])

    @property
    def words(self) -> Iterator[str]:
        """The words of `lora_lint.vocabulary` that are set to something else than nothing or the default."""
        model = type(self.model)
        named, defaults, dotted = words_of(model), defaults_of(model), dotted_words_of(model)
        for key, value in self.data.items():
            default = defaults.get(key)
            if (value or (value is False and default is True)) and value != default:
                yield from named.get(key, (key,))
        for path in self.unknown:
            yield from named.get(str(path[0]), (str(path[0]),))
        for word, spelled in dotted:
            if self._at(spelled) is not None:
                yield word

    @property
    def settled(self) -> bool:
        """Whether every field is known, so that nobody has to ask one by one."""
        return not (self.unknown or self.bad_values or self.document.open or self.document.words == ("**",))

    def refuse(self, key: str, why: str) -> None:
        """Note that a key is written which the framework takes none of, with what it does about it."""
        if key in self.data or (key,) in self.unknown:
            self.bad_values.append(BadValue(self._full((key,)), "not-accepted", f"{key} is given; {self.title} {why}"))

    def has(self, name: str) -> bool:
        """Whether the key, in any spelling, is written in the document."""
        spellings = spellings_of(type(self.model))[name]
        return any(key in self.data or (key,) in self.unknown for key in spellings)

    @once
    def unknown_keys(self) -> list[tuple[Path, str]]:
        """Keys that the schema doesn't have, in order, with their full path."""
        found = [(self._full((key,)), key) for key in self.model.model_extra or ()]
        if self.unknown:
            known = {spelling for spellings in spellings_of(type(self.model)).values() for spelling in spellings}
            top = [str(key[0]) for key in self.unknown if len(key) == 1 and key[0] not in known]
            found += [(self._full((key,)), key) for key in top]
        return found

    def report_unknown(self, reaction: str, *, only_near: bool = False) -> Iterator[UnknownKey]:
        """Unknown keys as facts; `only_near` keeps those that look like a known one, for schemas not known whole.

        A key is suggested only where it isn't written already.
        """
        for at, (path, key) in enumerate(self.unknown_keys):
            known = key == _LAUNCHERS or key in self.document.program or key in old_keys_of(type(self.model))
            if known or key.startswith(("_", "x-")):
                continue
            meant = self._meant(key) if at < _MOST_GUESSES else None
            if meant or not only_near:
                yield UnknownKey(path, key, reaction, meant if meant not in self.data else None)

    @property
    def old_keys(self) -> Iterator[OldKey]:
        """Written keys that the framework no longer has, told of here rather than as unknown ones."""
        for key, old in old_keys_of(type(self.model)).items():
            if self._is_written(key):
                neutral = (key,) not in self.unknown and any(self.data[key] is value for value in old.neutral)
                reaction = old.reaction or getattr(self.model, "UNKNOWN_KEYS", "")
                new = "" if self._is_written(old.new) else old.new
                package = old.package or old.library.lower()
                yield OldKey(self._full((key,)), key, old.library, old.release, reaction, new, neutral, package)

    def _is_written(self, key: str) -> bool:
        return key in self.data or (key,) in self.unknown

    def _meant(self, key: str) -> str | None:
        owner, dot, last = key.rpartition(".")
        if last in self.model.MEANT:
            return f"{owner}{dot}{self.model.MEANT[last]}"
        from lora_lint.spelling import nearest

        return nearest(
            key, [spelling for spellings in spellings_of(type(self.model)).values() for spelling in spellings]
        )


def _is_valid(model: type[Schema], key: str, value: object) -> bool:
    try:
        model.model_validate({key: value}, strict=False)
    except ValidationError:
        return False
    return True


def _items(raw: Mapping[Any, Any], *, flat: bool) -> Iterator[tuple[Path, Any]]:
    """Keys as paths with their values; those of sections too where the framework takes all sections as one."""
    for key, value in raw.items():
        if flat and isinstance(value, Mapping):
            yield from (((key, inner), kept) for inner, kept in value.items())
        else:
            yield (key,), value
