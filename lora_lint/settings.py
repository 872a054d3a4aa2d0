"""The user's settings: `[tool.lora-lint]` in the nearest pyproject.toml upwards, or lora-lint.toml."""

import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from lora_lint.catalogue import family_names, load_rules, resolve
from lora_lint.document import Source
from lora_lint.finding import Severity
from lora_lint.policy import Policy
from lora_lint.spelling import nearest
from lora_lint.upwards import to_the_top

FILES = ("lora-lint.toml", "pyproject.toml")


class SettingsError(Exception):
    """Settings that can't be used: file, line and what is wrong."""


Level = Literal["error", "warning", "note", "off"]


class _FaultError(ValueError):
    """What is wrong inside a setting, and with which of its keys."""

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message)
        self.path = path


def _known_rule(name: str) -> str:
    if resolve(name) is None:
        raise ValueError(_unknown_rule(name))
    return name


def _unknown_rule(name: str) -> str:
    meant = nearest(name, [*load_rules(), *family_names()])
    return f"there is no rule or family {name!r}" + (f"; {meant!r} was likely meant" if meant else "")


def _pattern(line: str) -> str:
    import pathspec

    try:
        pathspec.GitIgnoreSpec.from_lines([line])
    except ValueError as error:
        raise ValueError(f"{line!r} is no pattern: {error}") from None
    return line


RuleName = Annotated[str, AfterValidator(_known_rule)]
Pattern = Annotated[str, AfterValidator(_pattern)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", alias_generator=lambda name: name.replace("_", "-"), populate_by_name=True, defer_build=True
    )


class _Common(_Strict):
    policy: str | None = None
    framework: str | None = None
    ignore: list[RuleName] = []
    severity: dict[RuleName, Level] = {}

    @field_validator("policy")
    @classmethod
    def _policy(cls, value: str | None) -> str | None:
        if value is not None:
            Policy.parse(value)
        return value

    @field_validator("framework")
    @classmethod
    def _framework(cls, value: str | None) -> str | None:
        from lora_lint.frameworks import MARKERS

        if value is not None and value not in MARKERS:
            meant = nearest(value, MARKERS)
            raise ValueError(f"there is no framework {value!r}" + (f"; {meant!r} was likely meant" if meant else ""))
        return value


class Override(_Common):
    """Settings for the files that match one of `paths`; the last override that sets a value wins."""

    paths: list[Pattern]

    @cached_property
    def spec(self) -> Any:
        import pathspec

        return pathspec.GitIgnoreSpec.from_lines(self.paths)


class Settings(_Common):
    """Everything that can be set in a file; the command line overrides it."""

    policy: str = "2r"
    fail_on: Severity = Severity.ERROR
    runtimes: list[str] = []
    select: list[RuleName] = []
    exclude: list[Pattern] = []
    baseline: str | None = None
    max_file_size: int = Field(default=10 * 1024 * 1024, gt=0)
    overrides: list[Override] = []
    rules: dict[str, dict[str, Any]] = {}

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _folder: str = PrivateAttr(default="")

    @field_validator("rules")
    @classmethod
    def _rules(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, options in value.items():
            rule = load_rules().get(name)
            if rule is None:
                raise _FaultError(_unknown_rule(name), name)
            for option, given in options.items():
                spelled = option.replace("-", "_")
                if spelled not in rule.options:
                    known = ", ".join(rule.options) or "none"
                    raise _FaultError(f"{name} has no option {option!r}; it has {known}", name, option)
                wanted = rule.options[spelled][0]
                if not isinstance(given, int | float if wanted is float else wanted) or isinstance(given, bool):
                    raise _FaultError(f"it is {given!r}; it needs a {wanted.__name__}", name, option)
        return value

    @property
    def origins(self) -> Mapping[str, str]:
        """Key -> where its value comes from; keys that aren't here have their default."""
        return self._origins

    @property
    def folder(self) -> str:
        """The folder of the settings file, against which paths and excludes are matched; empty without a file."""
        return self._folder

    def hold_at(self, folder: str) -> None:
        """Match paths and excludes against another folder from now on."""
        self._folder = folder

    def remember(self, name: str, origin: str) -> None:
        """Note where a value that was set after loading came from."""
        self._origins = {**self._origins, name: origin}

    @classmethod
    def load(cls, path: str) -> "Settings":
        """
        Raises:
            SettingsError: when the file can't be read, isn't TOML, or holds something unknown.
        """
        import tomllib

        try:
            with open(path, "rb") as file:
                text = file.read().decode("utf-8-sig")
            data = tomllib.loads(text)
        except (OSError, ValueError) as error:
            line = re.search(r"at line (\d+)", str(error))
            raise SettingsError(f"{path}:{line[1]}: {error}" if line else f"{path}: {error}") from None
        except RecursionError:
            raise SettingsError(f"{path}: nested too deep") from None
        prefix: tuple[str, ...] = ()
        if os.path.basename(path) == "pyproject.toml":
            prefix = ("tool", "lora-lint")
            tool = data.get("tool")
            data = tool.get("lora-lint", {}) if isinstance(tool, dict) else {}
        try:
            settings = cls.model_validate(data)
        except ValidationError as error:
            raise SettingsError(_explained(path, text, prefix, error)) from None
        settings._origins = dict.fromkeys(data, path)
        settings._folder = os.path.dirname(os.path.abspath(path))
        return settings


def _explained(path: str, text: str, prefix: tuple[str, ...], error: ValidationError) -> str:
    """Every fault with its line, and the key that was likely meant."""
    from lora_lint.readers.toml import entries

    places = entries(text)
    source = Source(path, text)
    lines = []
    for fault in error.errors(include_url=False):
        loc = (*fault["loc"], *getattr(fault.get("ctx", {}).get("error"), "path", ()))
        at: tuple[str | int, ...] = (*prefix, *loc)
        while at and at not in places:
            at = at[:-1]
        line = source.position((places[at].key or places[at].value).start).line if at in places else 1
        message = fault["msg"].removeprefix("Value error, ")
        name = ".".join(str(part) for part in loc if part != "[key]")
        if fault["type"] == "extra_forbidden":
            model = Override if loc[:1] == ("overrides",) else Settings
            meant = nearest(str(loc[-1]), [key.replace("_", "-") for key in model.model_fields])
            message = "there is no such setting" + (f"; {meant} was likely meant" if meant else "")
        lines.append(f"{path}:{line}: {name}: {message[:1].lower()}{message[1:]}")
    return "\n".join(lines)


def find(folder: str) -> str | None:
    """The nearest settings file from `folder` upwards, no further than the top of the repository."""
    for each in to_the_top(folder):
        for name in FILES:
            path = os.path.join(each, name)
            if os.path.isfile(path) and (name != "pyproject.toml" or _mentions(path)):
                return path
    return None


def _mentions(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"tool.lora-lint" in file.read(10 * 1024 * 1024)
    except OSError:
        return False
