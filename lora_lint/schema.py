"""Schema and View: a framework's keys as a pydantic model, whose fields are looked up in a document as facts."""

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from lora_lint.document import Document, Path, Unknown, lookup
from lora_lint.facts import BadValue, Checkpoint, Fact, OldKey, TargetSyntax, UnknownKey, WrittenKey
from lora_lint.refusals import NUMBER, Refusal, by_path, copied, is_text, remove

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def _no_bool(type_error: Literal["int_type", "float_type"]) -> BeforeValidator:
    def check(value: object) -> object:
        if isinstance(value, bool):
            raise PydanticCustomError(type_error, "a boolean is no number")
        return value

    return BeforeValidator(check)


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


_LARGEST = 2**63
"""No dimension of a tensor reaches it."""

Int = Annotated[int, _no_bool("int_type"), Field(lt=_LARGEST)]
PositiveInt = Annotated[int, _no_bool("int_type"), Field(gt=0, lt=_LARGEST)]
NonNegativeInt = Annotated[int, _no_bool("int_type"), Field(ge=0, lt=_LARGEST)]
Number = Annotated[float, _no_bool("float_type")]
Probability = Annotated[float, _no_bool("float_type"), Field(ge=0, le=1)]
Words = Annotated[list[str], BeforeValidator(_one_or_many)]
"""One word or several, as flags and lenient YAML have them."""


class Old(NamedTuple):
    """A key of earlier releases: the first release of a library without it, and the values that change nothing.

    `reaction` is what that release does about it, the schema's `UNKNOWN_KEYS` when not given; `package` is what the
    library is imported as, its name in small letters when not given.
    """

    library: str
    release: str
    new: str = ""
    neutral: tuple[object, ...] = ()
    reaction: str = ""
    package: str = ""


class Schema(BaseModel):
    """The keys that a framework reads, with types, bounds and defaults; other keys are kept and may be reported.

    Data formats are checked strictly; `class Config(Schema, strict=False)` is for a framework whose own loader turns
    `"16"` into 16. `POSITIONAL` names the parameters of a Python call in order. `MEANT` maps keys that people bring
    from other frameworks to this one's. `SPELLED` maps words of `lora_lint.vocabulary` to the field, or to the dotted
    path from the document's root (`.key` for one in the root), that stands for them here; fields of the same name need
    no entry. `TARGETS` says how target modules are written, in the words of `lora_lint.facts.TargetSyntax`; nothing
    is said of them where it's empty. `EXPONENTS` says that the framework's YAML loader
    reads a plain `1e-4` as a number, as OmegaConf does and PyYAML doesn't. `FLAT` says that the loader takes the keys
    of all sections as one mapping, the last of a name counting. `ARGPARSE` names the syntaxes whose keys end as flags
    of argparse, which takes the beginning of a flag for the whole: `--lora_r` for `--lora_rank`. `OLD` are keys that
    earlier releases had.
    """

    model_config = ConfigDict(
        extra="allow", strict=True, arbitrary_types_allowed=True, protected_namespaces=(), defer_build=True
    )

    POSITIONAL: ClassVar[tuple[str, ...]] = ()
    MEANT: ClassVar[Mapping[str, str]] = {}
    SPELLED: ClassVar[Mapping[str, str]] = {}
    TARGETS: ClassVar[TargetSyntax] = ""
    EXPONENTS: ClassVar[bool] = False
    FLAT: ClassVar[bool] = False
    ARGPARSE: ClassVar[tuple[str, ...]] = ()
    OLD: ClassVar[Mapping[str, Old]] = {}


M = TypeVar("M", bound=Schema, covariant=True)
_MAX_ROUNDS = 8
_MOST_BAD_VALUES = 200
_MOST_GUESSES = 200
"""Unknown keys that are compared with the known ones: a file with more isn't a config with a typing error."""


def since(version: str, default: Any, **options: Any) -> Any:
    """A field with its default and the first release of the framework that has it."""
    options.setdefault("json_schema_extra", {"since": version})
    if isinstance(default, dict | list):
        return Field(default_factory=lambda: type(default)(default), **options)
    return Field(default, **options)


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
                name = _whole_flag(model, name)
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
        program, spellings = self.document.program, _spellings(model)
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
        spellings = _spellings(type(self.model))[name]
        key = next((key for key in spellings if key in self.data or (key,) in self.unknown), None)
        document = self.document
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
        unknown = self.unknown.get((key,))
        if unknown is not None:
            return Fact(unknown, path, "unknown", expression)
        for bad in self.bad_values:
            if bad.path == path:
                return Fact(Unknown(str(self.data[key]), bad.message), path, "unknown", expression)
        origin = "default" if path in document.defaults else "written"
        return Fact(getattr(self.model, name), path, origin, expression, name)  # type: ignore[arg-type]

    def said(self, word: str) -> Fact[Any] | None:
        """The fact for a word of `lora_lint.vocabulary`, or None where the framework has no key for it."""
        spelled = spelling(type(self.model)).get(word, word)
        if spelled in _spellings(type(self.model)):
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
        releases, defaults = _releases(type(self.model)), _defaults(type(self.model))
        for name in self.data:
            if name in releases:
                value = self.data[name]
                yield WrittenKey(self._full((name,)), name, releases[name], not value or value == defaults[name])

    @property
    def words(self) -> Iterator[str]:
        """The words of `lora_lint.vocabulary` that are set to something else than nothing or the default."""
        model = type(self.model)
        named, defaults, dotted = _words(model), _defaults(model), _dotted(model)
        for key, value in self.data.items():
            if value and value != defaults.get(key):
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

    def has(self, name: str) -> bool:
        """Whether the key, in any spelling, is written in the document."""
        spellings = _spellings(type(self.model))[name]
        return any(key in self.data or (key,) in self.unknown for key in spellings)

    @cached_property
    def unknown_keys(self) -> list[tuple[Path, str]]:
        """Keys that the schema doesn't have, in order, with their full path."""
        found = [(self._full((key,)), key) for key in self.model.model_extra or ()]
        if self.unknown:
            known = {spelling for spellings in _spellings(type(self.model)).values() for spelling in spellings}
            top = [str(key[0]) for key in self.unknown if len(key) == 1 and key[0] not in known]
            found += [(self._full((key,)), key) for key in top]
        return found

    def report_unknown(self, reaction: str, *, only_near: bool = False) -> Iterator[UnknownKey]:
        """Unknown keys as facts; `only_near` keeps those that look like a known one, for schemas not known whole.

        A key is suggested only where it isn't written already.
        """
        for at, (path, key) in enumerate(self.unknown_keys):
            if key.startswith(("_", "x-")) or key in self.document.program or key in old_keys(type(self.model)):
                continue
            meant = self._meant(key) if at < _MOST_GUESSES else None
            if meant or not only_near:
                yield UnknownKey(path, key, reaction, meant if meant not in self.data else None)

    @property
    def old_keys(self) -> Iterator[OldKey]:
        """Written keys that the framework no longer has, told of here rather than as unknown ones."""
        for key, old in old_keys(type(self.model)).items():
            if self._is_written(key):
                neutral = (key,) not in self.unknown and any(self.data[key] is value for value in old.neutral)
                reaction = old.reaction or getattr(self.model, "UNKNOWN_KEYS", "")
                new = "" if self._is_written(old.new) else old.new
                package = old.package or old.library.lower()
                yield OldKey(self._full((key,)), key, old.library, old.release, reaction, new, neutral, package)

    def _is_written(self, key: str) -> bool:
        return key in self.data or (key,) in self.unknown

    def _meant(self, key: str) -> str | None:
        if key in self.model.MEANT:
            return self.model.MEANT[key]
        from lora_lint.spelling import nearest

        return nearest(key, [spelling for spellings in _spellings(type(self.model)).values() for spelling in spellings])


def _is_valid(model: type[Schema], key: str, value: object) -> bool:
    try:
        model.model_validate({key: value}, strict=False)
    except ValidationError:
        return False
    return True


def _whole_flag(model: type[Schema], name: str) -> str:
    """The flag that the beginning of one stands for, among those of LoRA: of others the schema may not know all."""
    known = {spelling for spellings in _spellings(model).values() for spelling in spellings}
    if name in known or not name.startswith("lora_"):
        return name
    begun = [spelling for spelling in known if spelling.startswith(name)]
    return begun[0] if len(begun) == 1 else name


def _items(raw: Mapping[Any, Any], *, flat: bool) -> Iterator[tuple[Path, Any]]:
    """Keys as paths with their values; those of sections too where the framework takes all sections as one."""
    for key, value in raw.items():
        if flat and isinstance(value, Mapping):
            yield from (((key, inner), kept) for inner, kept in value.items())
        else:
            yield (key,), value


@cache
def spelling(model: type[Schema]) -> Mapping[str, str]:
    """Words of `lora_lint.vocabulary` -> what they are called here, those of the schemas it builds on included."""
    found: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        found |= vars(parent).get("SPELLED", {})
    return found


@cache
def keys(model: type[Schema]) -> frozenset[str]:
    """All keys of a schema, in all spellings."""
    return frozenset(key for spellings in _spellings(model).values() for key in spellings)


@cache
def _words(model: type[Schema]) -> Mapping[str, tuple[str, ...]]:
    """Key -> the words that it stands for."""
    found: dict[str, tuple[str, ...]] = {}
    spelled = {own: word for word, own in spelling(model).items()}
    for name, keys_ in _spellings(model).items():
        for key in keys_:
            found[key] = (spelled[name], name) if name in spelled else (name,)
    return found


@cache
def old_keys(model: type[Schema]) -> Mapping[str, Old]:
    """Keys of earlier releases, those of the schemas it builds on included; an empty `OLD` leaves those out."""
    found: dict[str, Old] = {}
    for parent in reversed(model.__mro__):
        old = vars(parent).get("OLD")
        found = {} if old is not None and not old else found | (old or {})
    return found


@cache
def _dotted(model: type[Schema]) -> tuple[tuple[str, str], ...]:
    """Words that stand at a dotted path."""
    return tuple((word, own) for word, own in spelling(model).items() if "." in own and own not in model.model_fields)


@cache
def _defaults(model: type[Schema]) -> Mapping[str, object]:
    """Key -> the default of its field."""
    defaults = {name: field.get_default(call_default_factory=True) for name, field in model.model_fields.items()}
    return {key: defaults[name] for name, keys_ in _spellings(model).items() for key in keys_}


@cache
def _releases(model: type[Schema]) -> Mapping[str, str]:
    """Field -> the release that brought it."""
    extras = {name: field.json_schema_extra for name, field in model.model_fields.items()}
    return {name: str(extra["since"]) for name, extra in extras.items() if isinstance(extra, dict) and "since" in extra}


@cache
def _spellings(model: type[Schema]) -> Mapping[str, tuple[str, ...]]:
    """Field -> the keys that it can be written under."""
    return {name: _choices(name, field.validation_alias) for name, field in model.model_fields.items()}


def _choices(name: str, alias: Any) -> tuple[str, ...]:
    if alias is None:
        return (name,)
    return (alias,) if isinstance(alias, str) else tuple(alias.choices)
