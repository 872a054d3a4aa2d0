"""One pass over a shell script: its blocks and assignments, its commands, and the scripts inside of it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lora_lint.document import Document, Source, Span
from lora_lint.readers.shell.arguments import PREFIXES, Names, document
from lora_lint.readers.shell.conditions import Asked
from lora_lint.readers.shell.events import (
    DECLARES,
    SETS,
    Branch,
    Changes,
    Close,
    Command,
    Event,
    Open,
    assigned_by,
    assignment,
    changed_by,
    plain,
    program_of,
)
from lora_lint.readers.shell.fields import Field
from lora_lint.readers.shell.lists import Lists
from lora_lint.readers.shell.parser import Parser
from lora_lint.readers.shell.scope import Binding, Scope, unknown
from lora_lint.readers.shell.strings import heredoc_script, joined, strings
from lora_lint.readers.shell.text import Text
from lora_lint.readers.shell.tokens import Lexer
from lora_lint.readers.shell.variables import Expander
from lora_lint.readers.shell.words import Words
from lora_lint.readers.shell.written import written_files

MAX_DEPTH = 4
"""Levels of commands in strings, heredocs and substitutions."""

_WORK_OF_TOKEN = 5
"""A token costs about as much as so many characters copied."""

_QUIET = frozenset(
    {
        ".", ":", "[", "alias", "apt", "apt-get", "awk", "basename", "brew", "cat", "cd", "chmod", "chown", "conda",
        "cp", "curl", "cut", "date", "df", "dirname", "du", "echo", "exit", "export", "false", "find", "git", "grep",
        "head", "hostname", "jobs", "kill", "ln", "ls", "mkdir", "module", "mv", "nvidia-smi", "pip", "pip3", "popd",
        "printf", "pushd", "pwd", "return", "rm", "rsync", "scancel", "sed", "sendmail", "seq", "set", "shift",
        "shopt", "sleep", "sort", "source", "squeue", "tail", "tar", "tee", "test", "touch", "tr", "trap", "true",
        "type", "ulimit", "umask", "unalias", "uniq", "unzip", "wait", "wc", "wget", "which",
    }
)  # fmt: skip
"""Programs that read no LoRA settings; what they print isn't run."""

_LINE_END = re.compile(r"\\?\r?\n")
"""A line's end in a variable without quotes, where the shell splits words at it."""

_PREFIX_OPTION = re.compile(r"-|[A-Za-z_][A-Za-z0-9_]*=")


@dataclass
class Script:
    """One pass over a script."""

    source: Source
    scope: Scope = field(default_factory=Scope)
    bodies: dict[str, Text] = field(default_factory=dict)
    """Here-documents that `read` put into variables."""
    seen: set[tuple[Span, ...]] = field(default_factory=set)
    open_names: list[str] = field(default_factory=list)
    """The function of each open block that is one."""
    functions: dict[str, set[str]] = field(default_factory=dict)
    """The variables that each function may set."""

    def __post_init__(self) -> None:
        self.expander = Expander(self.scope)
        self.names = Names(self.source.text)

    def read(self, text: Text, depth: int) -> Iterator[Document]:
        """The documents of a script, or of a string that is run as one."""
        if depth > MAX_DEPTH:
            return
        lexer = Lexer(text.chars)
        events = list(Parser(lexer).events())
        self.scope.spend(_WORK_OF_TOKEN * lexer.tokens + 1)
        block = Lists(self.scope)
        asked = Asked(self.scope, text)
        for index, event in enumerate(events):
            if isinstance(event, Command | Open | Changes):
                block.connect(event.connector)
            asked.goes_on(event)
            if isinstance(event, Command):
                yield from self._command(event, text, depth)
                following = events[index + 1] if index + 1 < len(events) else None
                for script in heredoc_script(event, text, following):
                    yield from self._apart(script, depth)
                yield from written_files(event, text, following, self.expander, self.source)
            elif isinstance(event, Open):
                block.open()
                self._open(event, text, events, index + 1)
            elif isinstance(event, Close):
                block.close()
                self._close()
            elif isinstance(event, Branch):
                block.connect("")
                self.scope.branch()
            else:
                for name in assigned_by(event.text):
                    self.scope.bind(name, unknown(name, f"${name} is changed by arithmetic"))
        block.connect("")

    def _open(self, event: Open, text: Text, events: Sequence[Event], start: int) -> None:
        self.scope.open(event.block, self._shadowed(event, events, start))
        self.open_names.append(event.name if event.block == "function" else "")
        if event.block == "loop" and event.name:
            values = [argument for word in event.words for argument in self.expander.fields(word, text)]
            if len(values) == 1 and values[0].known and plain(event.words[0]):
                self.scope.bind(event.name, Binding(values[0].parts))
            else:
                self.scope.bind(event.name, unknown(event.name, f"${event.name} takes several values in a loop"))

    def _shadowed(self, event: Open, events: Sequence[Event], start: int) -> set[str]:
        """The variables that a loop or function may find changed: by its next turn, or before it is called."""
        names: set[str] = set()
        if event.block not in ("loop", "function"):
            return names
        level = 1
        for index in range(start, len(events)):
            following = events[index]
            self.scope.spend(1)
            level += isinstance(following, Open) - isinstance(following, Close)
            if level == 0 and event.block == "loop":
                break
            names.update(changed_by(following))
            if isinstance(following, Command):
                names |= self.functions.get(program_of(following), set())
        return names

    def _close(self) -> None:
        changed = self.scope.close()
        if function := self.open_names.pop():
            self.functions[function] = changed

    def _command(self, command: Command, text: Text, depth: int) -> Iterator[Document]:
        yield from self._substitutions(command, text, depth)
        program = program_of(command)
        if not command.words:
            for assigned in command.assignments:
                self.expander.bind(assigned, text)
        elif program in DECLARES:
            for word in command.words[1:]:
                if (declared := assignment(word)) is not None:
                    self.expander.bind(declared, text, local=program == "local")
        elif program in SETS:
            self._set(command, text)
        elif program == "eval":
            script = joined(command.words[1:], text, self.expander)
            if any(
                piece.kind == "variable" and not piece.quoted for word in command.words[1:] for piece in word.pieces
            ):
                script = Text(_LINE_END.sub(lambda end: " " * len(end[0]), script.chars), script.at)
            yield from self.read(script, depth + 1)
        else:
            yield from self._run(command, text, depth)
        for name in self.functions.get(program, ()):
            self.scope.bind(name, unknown(name, f"${name} is set in the function {program}"))

    def _substitutions(self, command: Command, text: Text, depth: int) -> Iterator[Document]:
        """The commands in `$(...)`, which run in shells of their own."""
        for word in (*(assigned.word for assigned in command.assignments), *command.words):
            for piece in word.pieces:
                if piece.kind == "command" and piece.text:
                    yield from self._apart(text.part(piece.inner, piece.inner + len(piece.text)), depth)

    def _apart(self, inside: Text, depth: int) -> Iterator[Document]:
        self.scope.open("subshell")
        yield from self.read(inside, depth + 1)
        self.scope.close()

    def _set(self, command: Command, text: Text) -> None:
        """`read NAME` and its like; a here-document given to `read` is what NAME holds."""
        program = program_of(command)
        names = changed_by(command)
        for name in names:
            reason = f"${name} is set when the script runs"
            self.scope.bind(name, None if program == "unset" else unknown(name, reason))
        if program == "read" and command.heredocs and names:
            body = text.part(command.heredocs[-1].start, command.heredocs[-1].end)
            pieces = Words(body.chars).quoted(0, len(body.chars), heredoc=True)
            parts = [part for piece in pieces for part in self.expander.parts(piece, body, verbatim=True)]
            self.scope.bind(names[-1], Binding(tuple(parts), raw=body))
            self.bodies[names[-1]] = body

    def read_unused(self) -> Iterator[Document]:
        """The commands in here-documents that were put into variables and not seen to be run."""
        for name, body in self.bodies.items():
            if name not in self.expander.used:
                yield from self._apart(body, 0)

    def _run(self, command: Command, text: Text, depth: int) -> Iterator[Document]:
        scripts = list(strings(command, text, self.expander))
        for script in scripts:
            yield from self._apart(script, depth)
        program = program_of(command)
        if scripts or (program in _QUIET and program != ":"):
            return
        arguments = [argument for word in command.words for argument in self.expander.fields(word, text)]
        arguments = _without_prefixes(arguments)
        if not arguments or arguments[0].text.rpartition("/")[2] in _QUIET:
            return
        key = tuple(argument.span for argument in arguments)
        if key in self.seen:
            return
        self.seen.add(key)
        found = document(self.source, arguments, text.span(command.start, command.end), self.names)
        if found is not None:
            yield found


def _without_prefixes(arguments: list[Field]) -> list[Field]:
    """The command that `sudo -E`, `env A=b` and their like start."""
    start = 0
    while start < len(arguments) and arguments[start].text in PREFIXES:
        start += 1
        while start < len(arguments) and _PREFIX_OPTION.match(arguments[start].text):
            start += 1
    return arguments[start:]
