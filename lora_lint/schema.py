"""Schema: a framework's keys as a pydantic model, with their types, bounds, defaults and spellings."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from lora_lint.facts import TargetSyntax


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
    is said of them where it's empty. `LAYERS_OF` is the architecture whose layers the framework makes of every model,
    where it has names of its own. `EXPONENTS` says that the framework's YAML loader
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
    LAYERS_OF: ClassVar[str] = ""
    EXPONENTS: ClassVar[bool] = False
    FLAT: ClassVar[bool] = False
    ARGPARSE: ClassVar[tuple[str, ...]] = ()
    OLD: ClassVar[Mapping[str, Old]] = {}


def since(version: str, default: Any, **options: Any) -> Any:
    """A field with its default and the first release of the framework that has it."""
    options.setdefault("json_schema_extra", {"since": version})
    if isinstance(default, dict | list):
        return Field(default_factory=lambda: type(default)(default), **options)
    return Field(default, **options)
