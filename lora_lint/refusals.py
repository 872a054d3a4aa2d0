"""Values that a schema refuses: pydantic's errors by the place of the value, and in our words."""

import json
import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from lora_lint.document import Path, Syntax, lookup
from lora_lint.keys import BadValue
from lora_lint.scaling import number

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


@dataclass(frozen=True)
class Refusal:
    """One value, the name of its key, and what pydantic has against it."""

    name: str
    value: object
    errors: "list[ErrorDetails]"

    def told(self, path: Path, title: str, syntax: Syntax, written: str | None) -> BadValue:
        """The refusal as `rank is "16", a string; PEFT needs an integer`, with the text to write where one is clear.

        `title` names the framework; `written` is the value as the file spells it.
        """
        kind, needs = _needs(self.errors)
        shown = f"{self.name} is {_shown(self.value)}"
        if syntax == "shell" and kind == "out-of-range":
            shown = shown.replace('"', "")
        replacement = None
        if isinstance(self.value, bool) and syntax == "yaml" and (written or "").lower() in _WORDS and _of_text(needs):
            message = f"{self.name} is {written}, which YAML reads as {_shown(self.value)}; {title} needs {needs}"
            return BadValue(path, "text-as-boolean", message, f'"{written}"')
        if self._is_text_of_number(kind):
            replacement = _as_number(str(self.value), syntax, whole="an integer" in needs)
            if syntax == "yaml" and written == self.value:
                message = f"{self.name} is read as the text {_shown(self.value)}; {title} needs {needs}"
                return BadValue(path, "number-as-text", message, replacement)
            shown += ", a string"
        elif kind == "wrong-type" and self.value is not None:
            shown += f", {_type_name(self.value)}"
            if isinstance(self.value, float) and self.value.is_integer() and "an integer" in needs:
                replacement = number(self.value)
            elif self.value == "None" and "null" in needs and syntax in ("yaml", "json"):
                replacement = "null"
        elif kind == "out-of-range" and (choice := self._choice()) is not None:
            replacement = choice if syntax == "yaml" else f'"{choice}"'
        return BadValue(path, kind, f"{shown}; {title} needs {needs}", replacement)

    def _choice(self) -> str | None:
        """The one allowed word that the value is in other letters."""
        allowed = {word for error in self.errors for word in re.findall(r"'([^']*)'", str(error.get("ctx", {})))}
        alike = [word for word in allowed if word.lower() == str(self.value).lower()]
        return alike[0] if len(alike) == 1 else None

    def _is_text_of_number(self, kind: str) -> bool:
        numeric = any(error["type"].startswith(("int", "float")) for error in self.errors)
        text = isinstance(self.value, str) and NUMBER.fullmatch(self.value) is not None
        return kind == "wrong-type" and numeric and text


def copied(value: Any) -> Any:
    """A copy of nested mappings and lists, to take refused values out of."""
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value


def is_text(key: str) -> bool:
    """Whether a key holds no half of a surrogate pair, which pydantic takes for no string."""
    return key.isascii() or not any("\ud800" <= char <= "\udfff" for char in key)


def by_path(errors: "list[ErrorDetails]", data: object) -> "list[tuple[Path, list[ErrorDetails]]]":
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
    return [item for item in grouped.items() if item[0] and item[0] not in owners]


def remove(data: Any, path: Path) -> None:
    """Take the value at `path` out; an item of a list takes the whole list, whose other items would move."""
    last_key = max(at for at, part in enumerate(path) if isinstance(part, str) or at == 0)
    try:
        owner = lookup(data, path[:last_key])
    except KeyError:
        return
    if isinstance(owner, dict):
        owner.pop(path[last_key], None)


NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_WORDS = ("yes", "no", "on", "off")
"""Words that YAML 1.1 takes for booleans and people for words."""
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


def _needs(errors: "list[ErrorDetails]") -> tuple[Literal["wrong-type", "out-of-range"], str]:
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


def _of_text(needs: str) -> bool:
    return "a string" in needs or "'" in needs


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
