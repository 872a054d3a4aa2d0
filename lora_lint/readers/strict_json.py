"""JSON as the reader inside safetensors (serde_json) takes it: stricter than Python's, and repeated keys are kept."""

import re
from collections.abc import Iterable, Iterator
from json import JSONDecodeError, JSONDecoder
from math import isinf
from typing import Any, NoReturn

from lora_lint.document import UnreadableError

DEEPEST = 127
U64 = 2**64 - 1


class Repeats(dict[str, Any]):
    """A mapping that had a key twice, and all that it had."""

    pairs: list[tuple[str, Any]]


def items(mapping: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """All keys and values, the overwritten ones included."""
    return mapping.pairs if isinstance(mapping, Repeats) else mapping.items()


def repeated(mapping: dict[str, Any]) -> Iterator[str]:
    """The keys that occur more than once."""
    if isinstance(mapping, Repeats):
        times = dict.fromkeys(mapping, 0)
        for name, _ in mapping.pairs:
            times[name] += 1
        yield from (name for name, count in times.items() if count > 1)


def decode(text: str) -> object:
    """The value of a JSON text; what doesn't fit 64 bits, and minus zero, are floats.

    Raises:
        UnreadableError: when serde_json would refuse the text; the message goes on after its name.
    """
    try:
        value = _DECODER.decode(text)
    except JSONDecodeError as error:
        raise UnreadableError(
            f"is not JSON: {error.msg[:1].lower()}{error.msg[1:]} at {error.pos}", error.pos
        ) from None
    except RecursionError:
        raise UnreadableError(f"is nested deeper than {DEEPEST} levels") from None
    _check_strings_and_depth(text)
    return value


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        mapping = Repeats(mapping)
        mapping.pairs = pairs
    return mapping


def _constant(text: str) -> NoReturn:
    raise UnreadableError(f"is not JSON: {text}")


def _float(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise UnreadableError(f"is not JSON: a number of {len(text)} characters is out of range")
    return number


def _integer(text: str) -> int | float:
    if len(text) > 20 or text == "-0":
        return _float(text)
    number = int(text)
    return number if number <= U64 else float(number)


_DECODER = JSONDecoder(object_pairs_hook=_mapping, parse_constant=_constant, parse_int=_integer, parse_float=_float)
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]')
_ESCAPE = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\[^u]|(\\u[dD][89a-fA-F])")


def _check_strings_and_depth(text: str) -> None:
    """Refuse half surrogate pairs and deep nesting in a text that is JSON otherwise."""
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        token = found[0]
        if token[0] == '"':
            if "\\u" in token and any(_ESCAPE.findall(token)):
                raise UnreadableError(f"is not JSON: half of a surrogate pair at {found.start()}", found.start())
        elif token in "[{":
            depth += 1
            if depth > DEEPEST:
                raise UnreadableError(f"is nested deeper than {DEEPEST} levels", found.start())
        else:
            depth -= 1
