"""Schema and View: a framework's keys as a pydantic model, whose fields are looked up in a document as facts."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache, cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from lora_lint.document import Document, Path, Unknown, lookup
from lora_lint.facts import BadValue, Checkpoint, Fact, UnknownKey
from lora_lint.scaling import number

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


class Schema(BaseModel):
    """The keys that a framework reads, with types, bounds and defaults; other keys are kept and may be reported.

    Data formats are checked strictly; `class Config(Schema, strict=False)` is for a framework whose own loader turns
    `"16"` into 16. `POSITIONAL` names the parameters of a Python call in order. `MEANT` maps keys that people bring
    from other frameworks to this one's. `EXPONENTS` says that the framework's YAML loader reads a plain `1e-4` as a
    number, as OmegaConf does and PyYAML doesn't.
    """

    model_config = ConfigDict(
        extra="allow", strict=True, arbitrary_types_allowed=True, protected_namespaces=(), defer_build=True
    )

    POSITIONAL: ClassVar[tuple[str, ...]] = ()
    MEANT: ClassVar[Mapping[str, str]] = {}
    EXPONENTS: ClassVar[bool] = False
    NEUTRAL: ClassVar[Mapping[str, tuple[object, ...]]] = {}


M = TypeVar("M", bound=Schema, covariant=True)
_MAX_ROUNDS = 8


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
        self.model: M = self._validate(model)

    def _named(self, model: type[M], raw: object) -> dict[str, Any]:
        """The mapping with positional arguments under their names and without unknown values."""
        self._keys: dict[str, str | int] = {}
        if not isinstance(raw, Mapping):
            return {}
        if self.document.syntax == "json":
            return dict(raw)
        data: dict[str, Any] = {}
        for key, value in raw.items():
            positional = self.document.syntax == "python" and isinstance(key, int) and key < len(model.POSITIONAL)
            name = model.POSITIONAL[key] if positional else str(key)
            self._keys[name] = key
            data[name] = self._unless_off(value, (*self.path, key))
        if model.EXPONENTS and self.document.syntax == "yaml":
            data = {name: self._as_number(value, name) for name, value in data.items()}
        return {
            name: self._without_unknown(value, (name,))
            for name, value in data.items()
            if not self._is_unknown(value, (name,))
        }

    def _as_number(self, value: object, name: str) -> object:
        if isinstance(value, str) and _NUMBER.fullmatch(value) and self._written((name,)) == value:
            return float(value)
        return value

    def _unless_off(self, value: object, path: Path) -> object:
        """A same-file default of 0 or None is a switch that the caller turns on, not a rank or an alpha."""
        expression = self.document.expressions.get(path)
        if expression is None or path not in self.document.defaults or value is False:
            return value
        return Unknown(expression.text, f"{expression.text} is off by default") if value in (0, None) else value

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
        data = self.data
        for _ in range(_MAX_ROUNDS):
            try:
                return model.model_validate(data, strict=strict)
            except ValidationError as error:
                data = _copied(data)
                for path, details in _by_path(error.errors(include_url=False), data):
                    self.bad_values.append(self._bad_value(path, details))
                    _remove(data, path)
        return model.model_construct()

    def _bad_value(self, path: Path, details: "list[ErrorDetails]") -> BadValue:
        value = lookup(self.data, path)
        name = ".".join(str(part) for part in path)
        kind, needs = _needs(details)
        shown = f"{name} is {_shown(value)}"
        if self.document.syntax == "shell" and kind == "out-of-range":
            shown = shown.replace('"', "")
        replacement = None
        if isinstance(value, str) and kind == "wrong-type" and _wants_number(details) and _NUMBER.fullmatch(value):
            replacement = _as_number(value, self.document.syntax, whole="an integer" in needs)
            written = self._written(path)
            if self.document.syntax == "yaml" and written == value:
                message = f"{name} is read as the text {_shown(value)}; {self.title} needs {needs}"
                return BadValue(self._full(path), "number-as-text", message, replacement)
            shown += ", a string"
        elif kind == "wrong-type" and value is not None:
            shown += f", {_type_name(value)}"
            if isinstance(value, float) and value.is_integer() and "an integer" in needs:
                replacement = number(value)
        return BadValue(self._full(path), kind, f"{shown}; {self.title} needs {needs}", replacement)

    def _written(self, path: Path) -> str | None:
        entry = self.document.entry(self._full(path))
        return self.document.source.text[slice(*entry.value)] if entry else None

    def _full(self, path: Path) -> Path:
        return (*self.path, self._keys.get(str(path[0]), path[0]), *path[1:]) if path else self.path

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
            return Fact(getattr(self.model, name), self.path, "default", key=spellings[0])
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

    @property
    def settled(self) -> bool:
        """Whether every field is known, so that nobody has to ask one by one."""
        return not (self.unknown or self.bad_values or self.document.words == ("**",))

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
        for path, key in self.unknown_keys:
            if key.startswith(("_", "x-")) or self.data.get(key) in self.model.NEUTRAL.get(key, ()):
                continue
            meant = self._meant(key)
            if meant or not only_near:
                yield UnknownKey(path, key, reaction, meant if meant not in self.data else None)

    def _meant(self, key: str) -> str | None:
        if key in self.model.MEANT:
            return self.model.MEANT[key]
        from lora_lint.spelling import nearest

        return nearest(key, [spelling for spellings in _spellings(type(self.model)).values() for spelling in spellings])


@cache
def _spellings(model: type[Schema]) -> Mapping[str, tuple[str, ...]]:
    """Field -> the keys that it can be written under."""
    return {name: _choices(name, field.validation_alias) for name, field in model.model_fields.items()}


def _choices(name: str, alias: Any) -> tuple[str, ...]:
    if alias is None:
        return (name,)
    return (alias,) if isinstance(alias, str) else tuple(alias.choices)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _by_path(errors: "list[ErrorDetails]", data: object) -> "list[tuple[Path, list[ErrorDetails]]]":
    """Errors by the path of the value in the data; union tags in pydantic's `loc` are passed over."""
    grouped: dict[Path, list[ErrorDetails]] = {}
    for error in errors:
        path: list[str | int] = []
        at = data
        for part in error["loc"]:
            try:
                at = lookup(at, (part,))
            except KeyError:
                continue
            path.append(part)
        grouped.setdefault(tuple(path), []).append(error)
    owners = {path[:end] for path in grouped for end in range(len(path))}
    return [item for item in grouped.items() if item[0] not in owners]


def _remove(data: Any, path: Path) -> None:
    """Take the value at `path` out; an item of a list takes the whole list, whose other items would move."""
    last_key = max(at for at, part in enumerate(path) if isinstance(part, str) or at == 0)
    try:
        owner = lookup(data, path[:last_key])
    except KeyError:
        return
    if isinstance(owner, dict):
        owner.pop(path[last_key], None)


_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[-+]?\d{1,300}", re.ASCII)
_EXPECTS = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "string": "a string",
    "list": "a list",
    "dict": "a mapping",
    "none": "null",
    "model": "a mapping",
    "tuple": "a list",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def _needs(errors: "list[ErrorDetails]") -> tuple[Any, str]:
    """The kind of fault, and what the framework needs, in words."""
    for error in errors:
        if error["type"] in _BOUNDS:
            limit, words = _BOUNDS[error["type"]]
            return "out-of-range", f"{words} {number(error.get('ctx', {})[limit])}"
    choices = [error["ctx"]["expected"] for error in errors if error["type"] == "literal_error"]
    expected = [word for error in errors if (word := _EXPECTS.get(error["type"].partition("_")[0]))]
    if choices and any(isinstance(error["input"], str) for error in errors):
        return "out-of-range", " or ".join(dict.fromkeys(choices))
    return "wrong-type", " or ".join(dict.fromkeys([*expected, *choices])) or "another value"


def _wants_number(errors: "list[ErrorDetails]") -> bool:
    return any(error["type"].startswith(("int", "float")) for error in errors)


def _type_name(value: object) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a float", str: "a string", list: "a list", dict: "a mapping"}
    return names.get(type(value), "a date" if isinstance(value, date) else f"a {type(value).__name__}")


def _shown(value: object, limit: int = 40) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:
        text = str(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _as_number(text: str, syntax: str, *, whole: bool) -> str | None:
    """The number that a text holds, as the syntax writes it; None where a whole one is needed and it isn't."""
    if whole:
        return number(float(text)) if float(text).is_integer() else None
    if _WHOLE.fullmatch(text):
        return str(int(text))
    if syntax == "yaml":
        return _dotted_exponent(text)
    return text if text[0].isdigit() and "." not in (text[-1], text.lower().partition("e")[0][-1]) else str(float(text))


def _dotted_exponent(text: str) -> str:
    """The same number so that YAML 1.1 reads a number: `1e-4` as `1.0e-4`, `1.5e4` as `1.5e+4`."""
    mantissa, mark, exponent = re.split("([eE])", text) if re.search("[eE]", text) else (text, "", "")
    if mark:
        mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
        exponent = exponent if exponent[0] in "+-" else f"+{exponent}"
    return f"{mantissa}{mark}{exponent}"
