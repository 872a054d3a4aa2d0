"""The arguments of a command as flags, keys and words, the way argparse, Hydra and launchers read them."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lora_lint.document import Document, Duplicate, Entry, Path, Source, Span, Unknown
from lora_lint.expression import Expression
from lora_lint.readers.shell.fields import Field, Use

_FLAG = re.compile(r"--?(?P<name>[A-Za-z_][^=\s]*)(?:(?P<equals>=)|\Z)")
_KEY = re.compile(r"(?P<plus>\+{0,2})(?P<name>[A-Za-z_][\w./@\-\[\]]*)=")
_IDENTIFIER = re.compile(r"(?<![\w.])(?<!--)([A-Za-z_]\w*)(\[[^\]\n]*\])?(\+?=(?!=))?", re.ASCII)
_LAUNCHERS = re.compile(
    r"(?:i?python[\d.]*|torchrun|torchpack|deepspeed|accelerate|srun|mpirun|mpiexec|horovodrun|colossalai|ray|uv|poetry"
    r"|pipenv|conda|mamba|pixi|hatch|coverage|nsys|tune|env|sudo|nohup|exec|time|timeout|numactl|command|stdbuf|ionice|nice)"
)
PREFIXES = frozenset({"sudo", "nohup", "exec", "time", "command", "builtin", "env"})
_LAUNCHER_MODULES = re.compile(r"torch\.distributed\.\w+|accelerate\.commands\.launch|deepspeed\.launcher\.\w+|debugpy")
_HYDRA_SWITCHES = frozenset({"multirun", "m"})


@dataclass(slots=True)
class _Flag:
    """A flag or key as given once, with the words that are its value."""

    name: str
    key: Span
    values: list[Field]
    switch: bool = True
    conditional: bool = False

    def takes(self, *, key_value: bool) -> bool:
        """Whether the next word may be a value; words like `a=b` go with a flag that has only such words."""
        if not self.switch:
            return False
        if key_value:
            return self.name not in _HYDRA_SWITCHES and all(_KEY.match(value.text) for value in self.values)
        return True

    def value(self) -> object:
        if self.conditional or any(value.conditional for value in self.values):
            return Unknown(" ".join(value.text for value in self.values), f"{self.name} is given only in a branch")
        if not self.values:
            return True
        values = [_value(value) for value in self.values]
        return values[0] if len(values) == 1 else values


def _value(argument: Field) -> str | Unknown:
    problem = next((part.unknown for part in argument.parts if part.unknown is not None), None)
    return argument.text if problem is None else Unknown(argument.text, problem.reason)


@dataclass(eq=False)
class Names:
    """How often each name occurs in a script, comments included, found when a rewrite is considered."""

    text: str

    @cached_property
    def _occurrences(self) -> tuple[Counter[str], Counter[str]]:
        assigned: Counter[str] = Counter()
        used: Counter[str] = Counter()
        for match in _IDENTIFIER.finditer(self.text):
            (assigned if match[3] else used)[match[1]] += 1
        return assigned, used

    def only(self, use: Use) -> bool:
        """Whether a variable is used in one place, and a scalar is assigned in one."""
        assigned, used = self._occurrences
        return used[use.name] == 1 and (assigned[use.name] == 1 or not use.scalar)


@dataclass
class Arguments:
    """Sorts the arguments of one command."""

    words: list[str] = field(default_factory=list)
    flags: list[_Flag] = field(default_factory=list)
    callee: str = ""
    _launcher: bool = False
    launcher_flags: int = 0
    """How many of the flags stand before the script: they are the launcher's own, whatever their names."""
    _script: bool = False
    """Whether the script or module was seen, so that flags are its own and may have many values."""
    _module: bool = False
    """Whether the next word is a module."""
    _flag: _Flag | None = None

    def read(self, arguments: Sequence[Field]) -> None:
        program = arguments[0]
        name = program.text.rpartition("/")[2]
        self._launcher = not program.known or _LAUNCHERS.fullmatch(name) is not None
        self.words.append(program.text)
        if program.text.endswith(".py"):
            self.callee, self._script = program.text, True
        for argument in arguments[1:]:
            self._argument(argument)
        self.callee = self.callee or self.words[0]

    def _argument(self, argument: Field) -> None:
        head = argument.parts[0].text if argument.parts[0].unknown is None else ""
        if (match := _FLAG.match(head)) is not None:
            self._start(argument, match)
        elif head in ("--", "-"):
            self._flag = None
        elif (match := _KEY.match(head)) is not None and not self._holds(match):
            self.flags.append(_given(argument, match, switch=False))
            self._flag = None
        else:
            self._word(argument)

    def _holds(self, match: re.Match[str]) -> bool:
        """Whether a word like `a=b` is a value of the flag before it; one with a dot or a plus is Hydra's."""
        hydra = match["plus"] or "." in match["name"]
        return self._flag is not None and not hydra and self._flag.takes(key_value=True)

    def _start(self, argument: Field, match: re.Match[str]) -> None:
        self._flag = None
        whole = len(argument.parts) == 1 and match.end() == len(match.string)
        if not match["equals"] and not whole:
            return
        flag = _given(argument, match, switch=not match["equals"])
        if flag.name in ("m", "module") and self._launcher and not self._script:
            self._module = True
            if flag.values:
                self._word(flag.values[0])
            return
        self.flags.append(flag)
        self._flag = flag if flag.switch else None

    def _word(self, argument: Field) -> None:
        text, flag = argument.text, self._flag
        if self._module:
            self._module, self._flag, self.launcher_flags = False, None, len(self.flags)
            self._script = _LAUNCHER_MODULES.fullmatch(text) is None
            self.callee = text
            self.words.append(text)
        elif self._is_script(argument):
            self._script, self.callee, self._flag = True, text, None
            self.launcher_flags = len(self.flags)
            self.words.append(text)
        elif (
            flag is not None
            and not (flag.values and (_bare(argument) or not self._many))
            and not (self._launcher and not self._script and _LAUNCHERS.fullmatch(text))
        ):
            flag.values.append(argument)
        elif _bare(argument):
            self._script = self._script or (len(self.words) == 1 and self.words[0].startswith("python"))
        else:
            self._flag = None
            self.words.append(text)

    @property
    def _many(self) -> bool:
        return self._script or not self._launcher

    def _is_script(self, argument: Field) -> bool:
        """Before its script a launcher's flags have one value at most, and never a Python file."""
        if self._script or not argument.text.endswith(".py") or argument.parts[-1].unknown is not None:
            return False
        return self._launcher or self._flag is None


def _bare(argument: Field) -> bool:
    """An unquoted variable of which nothing is known: no word, one or many."""
    return (
        len(argument.parts) == 1 and argument.parts[0].unknown is not None and argument.parts[0].span == argument.span
    )


def _given(argument: Field, match: re.Match[str], *, switch: bool) -> _Flag:
    first = argument.parts[0]
    end = match.end("name")
    key = Span(first.at[0], first.at[end - 1] + 1)
    name = match["name"]
    name = name.replace("-", "_") if match.re is _FLAG else name
    values = [] if switch else [_cut(argument, end + 1)]
    return _Flag(name, key, values, switch, first.conditional)


def _cut(argument: Field, start: int) -> Field:
    """The value in `--flag=value`, which begins at a character of the first part."""
    first, *rest = argument.parts
    last = argument.parts[-1]
    place = first.at[start - 1] + 1
    end = argument.span.end if argument.span.start == first.at[0] else last.span.end
    if start < len(first.text) or not rest:
        span = Span(place, max(first.at[-1] + 1, place))
        literal = span if first.literal is not None else None
        rest.insert(0, first._replace(text=first.text[start:], at=first.at[start:], span=span, literal=literal))
    return Field(tuple(rest), Span(place, max(end, place)))


def document(source: Source, arguments: Sequence[Field], span: Span, names: Names) -> Document | None:
    """The document of one command, or None where it has no arguments to read."""
    read = Arguments()
    read.read(arguments)
    if not read.flags and len(read.words) < 2:
        return None
    last = {flag.name: flag for flag in read.flags}
    expressions: dict[Path, Expression] = {}
    for name, flag in last.items():
        node = flag.values[0].parts[0].node if len(flag.values) == 1 and len(flag.values[0].parts) == 1 else None
        if node is not None and not flag.conditional:
            expressions[name,] = Expression(source.text[slice(*flag.values[0].parts[0].span)], node)
    return Document(
        source,
        "shell",
        {name: flag.value() for name, flag in last.items()},
        span,
        locate=lambda: {(name,): _entry(flag, names) for name, flag in last.items()},
        callee=read.callee,
        words=tuple(read.words),
        defaults=frozenset((name,) for name, flag in last.items() if _is_default(flag)),
        expressions=expressions,
        duplicates=(
            *_duplicates(read.flags[: read.launcher_flags]),
            *_duplicates(read.flags[read.launcher_flags :]),
        ),
    )


def _is_default(flag: _Flag) -> bool:
    return any(part.default for value in flag.values for part in value.parts)


def _duplicates(flags: list[_Flag]) -> Iterator[Duplicate]:
    first: dict[str, _Flag] = {}
    for flag in flags:
        before = first.setdefault(flag.name, flag)
        if before is not flag and not flag.conditional:
            same = [value.text for value in before.values] == [value.text for value in flag.values]
            yield Duplicate((flag.name,), before.key, flag.key, same)


def _entry(flag: _Flag, names: Names) -> Entry:
    if not flag.values:
        return Entry(flag.key, flag.key)
    start, end = flag.values[0].span.start, flag.values[-1].span.end
    value = Span(start, max(start, end))
    if len(flag.values) > 1 or len(flag.values[0].parts) != 1:
        return Entry(value, flag.key)
    part = flag.values[0].parts[0]
    rewritable = not flag.conditional and all(names.only(use) for use in part.uses)
    return Entry(value, flag.key, literal=part.literal if rewritable else None, origin=part.origin)
