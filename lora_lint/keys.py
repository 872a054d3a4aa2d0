"""What a schema has to say about the keys of a document: values it refuses, keys it doesn't know or no longer."""

from typing import Literal, NamedTuple

from lora_lint.document import Path


class BadValue(NamedTuple):
    """A value that the framework would refuse or misread."""

    path: Path
    kind: Literal["wrong-type", "out-of-range", "number-as-text", "text-as-boolean", "not-accepted"]
    message: str
    replacement: str | None = None


class WrittenKey(NamedTuple):
    """A key that is written, the first release of the framework that has it, and whether its value changes nothing."""

    path: Path
    key: str
    since: str
    neutral: bool


class UnknownKey(NamedTuple):
    """A key that the framework doesn't know, what it does about it, and the key that was likely meant."""

    path: Path
    key: str
    reaction: str
    suggestion: str | None


class OldKey(NamedTuple):
    """A key that the framework, or a library that it passes the key on to, no longer has.

    `release` is the first one of `library` without it, `reaction` what that one does about the key, `new` what the key
    is called since, and `neutral` whether its value changes nothing.
    """

    path: Path
    key: str
    library: str
    release: str
    reaction: str
    new: str = ""
    neutral: bool = False
    package: str = ""
    """What the library is imported as."""
