"""Shell scripts: one document per command, its variables resolved as far as the script itself tells."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lora_lint.document import Document, Source, Span
from lora_lint.readers.shell_arguments import PREFIXES, Names, document
from lora_lint.readers.shell_commands import Branch, Changes, Close, Command, Event, Open, Parser, assignment, plain
from lora_lint.readers.shell_scope import Binding, ExhaustedError, Field, Scope, unknown
from lora_lint.readers.shell_variables import Expander, written
from lora_lint.readers.shell_words import Heredoc, Lexer, Piece, Text, Word

MAX_DEPTH = 4
"""Levels of commands in strings, heredocs and substitutions."""
_WORK_OF_TOKEN = 5
"""A token costs about as much as so many characters copied."""

_SHELLS = frozenset({"bash", "sh", "zsh", "dash", "ksh"})
_STDIN_SHELLS = _SHELLS | {"ssh", "sbatch", "qsub", "bsub", "srun"}
_STRING_RUNNERS = frozenset({"ssh", "tmux", "screen", "parallel", "su", "sbatch", "watch", "xargs"})
_DECLARES = frozenset({"declare", "export", "local", "readonly", "typeset"})
_SETS = frozenset({"getopts", "let", "mapfile", "printf", "read", "readarray", "unset"})
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

_COMMAND_OPTION = re.compile(r"-[a-z]*c")
_PREFIX_OPTION = re.compile(r"-|[A-Za-z_][A-Za-z0-9_]*=")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ARITHMETIC_CHANGE = re.compile(r"([A-Za-z_]\w*)\s*(?:\+\+|--|(?:[-+*/%&|^]|<<|>>)?=(?!=))|(?:\+\+|--)([A-Za-z_]\w*)")
_SCRIPT_NAME = re.compile(r"\.(?:sh|bash|zsh|slurm|sbatch|pbs|lsf)$")
_ESCAPED = re.compile(r"\\([$`\\])|\\\r?\n")


def read(source: Source) -> Iterator[Document]:
    """The commands of a shell script that have arguments, in order, with those in heredocs and strings."""
    reading = _Reading(source)
    try:
        yield from reading.script(Text(source.text, range(len(source.text))), 0)
        yield from reading.bodies_not_used()
    except ExhaustedError:
        return


def embedded(source: Source) -> Iterator[tuple[str, Span]]:
    """The files that here-documents of the script write: the name as written, and where the body stands."""
    if "<<" not in source.text:
        return
    for event in Parser(Lexer(source.text)).events():
        if isinstance(event, Command) and event.heredocs:
            name = _target(event)
            body = event.heredocs[-1]
            if name and not _SCRIPT_NAME.search(name):
                yield name, Span(body.start, body.end)


def _target(command: Command) -> str:
    """The file that `cat > FILE` or `tee FILE` writes."""
    program = plain(command.words[0]) if command.words else ""
    targets = list(command.targets) if program == "cat" else []
    if program == "tee":
        targets = [word for word in command.words[1:] if not plain(word).startswith("-")]
    return "".join(_spelled(piece) for piece in targets[0].pieces) if targets else ""


def _spelled(piece: Piece) -> str:
    return f"${{{piece.text}}}" if piece.kind == "variable" else piece.text


@dataclass
class _Reading:
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
        self.names = Names(self.source.text, self.scope.own_uses)

    def script(self, text: Text, depth: int) -> Iterator[Document]:
        """The documents of a script, or of a string that is run as one."""
        if depth > MAX_DEPTH:
            return
        lexer = Lexer(text.chars)
        events = list(Parser(lexer).events())
        self.scope.spend(_WORK_OF_TOKEN * lexer.tokens + 1)
        block = _Lists(self.scope)
        for index, event in enumerate(events):
            if isinstance(event, Command | Open | Changes):
                block.connect(event.connector)
            if isinstance(event, Command):
                following = events[index + 1] if index + 1 < len(events) else None
                yield from self._command(event, text, depth, following)
            elif isinstance(event, Open):
                block.open()
                self._open(event, text, events, index)
            elif isinstance(event, Close):
                block.close()
                self._close()
            elif isinstance(event, Branch):
                block.connect("")
                self.scope.branch()
            else:
                for name in _assigned(event.text):
                    self.scope.bind(name, unknown(name, f"${name} is changed by arithmetic"))
        block.connect("")

    def _open(self, event: Open, text: Text, events: Sequence[Event], index: int) -> None:
        shadowed: set[str] = set()
        if event.block in ("loop", "function"):
            level = 1
            for later in events[index + 1 :]:
                self.scope.spend(1)
                level += isinstance(later, Open) - isinstance(later, Close)
                if level == 0 and event.block == "loop":
                    break
                shadowed.update(_changed(later))
        self.scope.open(event.block, shadowed)
        self.open_names.append(event.name if event.block == "function" else "")
        if event.block == "loop" and event.name:
            values = [argument for word in event.words for argument in self.expander.fields(word, text)]
            if len(values) == 1 and values[0].known and plain(event.words[0]):
                self.scope.bind(event.name, Binding(values[0].parts))
            else:
                self.scope.bind(event.name, unknown(event.name, f"${event.name} takes several values in a loop"))

    def _close(self) -> None:
        changed = self.scope.close()
        if function := self.open_names.pop():
            self.functions[function] = changed

    def _command(self, command: Command, text: Text, depth: int, following: Event | None) -> Iterator[Document]:
        yield from self._substitutions(command, text, depth)
        program = plain(command.words[0]) if command.words else ""
        if not command.words:
            for assigned in command.assignments:
                self.expander.bind(assigned, text)
        elif program in _DECLARES:
            for word in command.words[1:]:
                if (declared := assignment(word)) is not None:
                    self.expander.bind(declared, text, local=program == "local")
        elif program in _SETS:
            self._set(command, text)
        elif program == "eval":
            yield from self.script(self._string(command.words[1:], text), depth + 1)
        else:
            yield from self._run(command, text, depth)
        for name in self.functions.get(program, ()):
            self.scope.bind(name, unknown(name, f"${name} is set in the function {program}"))
        for heredoc in command.heredocs:
            yield from self._heredoc(command, heredoc, text, depth, following)

    def _substitutions(self, command: Command, text: Text, depth: int) -> Iterator[Document]:
        """The commands in `$(...)`, which run in shells of their own."""
        for word in (*(assigned.word for assigned in command.assignments), *command.words):
            for piece in word.pieces:
                if piece.kind == "command" and piece.text:
                    inside = text.part(piece.inner, piece.inner + len(piece.text))
                    yield from self._apart(inside, depth)

    def _apart(self, inside: Text, depth: int) -> Iterator[Document]:
        self.scope.open("subshell")
        yield from self.script(inside, depth + 1)
        self.scope.close()

    def _set(self, command: Command, text: Text) -> None:
        """`read NAME` and its like; a here-document given to `read` is what NAME holds."""
        names = [name for word in command.words[1:] if _NAME.fullmatch(name := plain(word))]
        program = plain(command.words[0])
        if program == "printf":
            names = names[:1] if plain(command.words[1] if len(command.words) > 1 else command.words[0]) == "-v" else []
        elif program == "let":
            names = [name for word in command.words[1:] for name in _assigned(plain(word))]
        for name in names:
            self.scope.bind(
                name, None if program == "unset" else unknown(name, f"${name} is read when the script runs")
            )
        if program == "read" and command.heredocs and names:
            heredoc = command.heredocs[-1]
            body = text.part(heredoc.start, heredoc.end)
            pieces = Lexer(body.chars).quoted(0, len(body.chars), heredoc=True)
            parts = [part for piece in pieces for part in self.expander.parts(piece, body, verbatim=True)]
            self.scope.bind(names[-1], Binding(tuple(parts), raw=body))
            self.bodies[names[-1]] = body

    def bodies_not_used(self) -> Iterator[Document]:
        for name, body in self.bodies.items():
            if name not in self.expander.used:
                yield from self._apart(body, 0)

    def _heredoc(
        self, command: Command, heredoc: Heredoc, text: Text, depth: int, following: Event | None
    ) -> Iterator[Document]:
        """The body of a here-document that a shell reads, or that becomes a script."""
        program = _program(command)
        if program == "cat" and not command.targets and isinstance(following, Command) and following.connector == "|":
            program = _program(following)
        if program not in _STDIN_SHELLS and not _SCRIPT_NAME.search(_target(command)):
            return
        body = text.part(heredoc.start, heredoc.end)
        yield from self._apart(body if heredoc.quoted else _unescaped(body), depth)

    def _string(self, words: Sequence[Word], text: Text) -> Text:
        """The script that words make when they are handed to a shell."""
        chars: list[str] = []
        at: list[int] = []
        for word in words:
            script = self._raw(word, text)
            self.scope.spend(len(script.chars))
            if len(words) == 1:
                return script
            chars += script.chars, " "
            at += (*script.at, text.at[word.end - 1])
        return Text("".join(chars), at)

    def _raw(self, word: Word, text: Text) -> Text:
        """What a word says before expansion; for a variable alone, what it was assigned from."""
        only = word.pieces[0]
        if len(word.pieces) == 1 and only.kind == "variable" and not only.operator:
            self.expander.used.add(only.text)
            binding = self.scope.bindings.get(only.text)
            if binding is not None and binding.raw is not None:
                return binding.raw
            if binding is not None and binding.parts:
                joined = [place for part in binding.parts for place in part.at]
                content = binding.text
                return Text(content, joined) if len(content) == len(joined) else Text("", ())
        return written(word, text)

    def _run(self, command: Command, text: Text, depth: int) -> Iterator[Document]:
        strings = list(self._strings(command, text))
        for string in strings:
            yield from self._apart(string, depth)
        program = plain(command.words[0]).rpartition("/")[2]
        if strings or (program in _QUIET and program != ":"):
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

    def _strings(self, command: Command, text: Text) -> Iterator[Text]:
        """The arguments that another shell reads as commands."""
        program = _program(command)
        words = command.words
        for index, word in enumerate(words):
            content = plain(word)
            if content.rpartition("/")[2] in _SHELLS and index + 2 < len(words):
                if _COMMAND_OPTION.fullmatch(plain(words[index + 1])):
                    yield self._string(words[index + 2 : index + 3], text)
                    return
            elif index and not content and program in _STRING_RUNNERS:
                script = self._string((word,), text)
                start = len("--wrap=") if script.chars.startswith("--wrap=") else 0
                if " " in script.chars.strip():
                    yield script.part(start, len(script.chars))
        yield from (self._string((word,), text) for word in command.strings if program in _SHELLS)


class _Lists:
    """Keeps what is assigned after `&&` and `||` apart, until the list of commands ends."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.inside = [False]

    def connect(self, connector: str) -> None:
        if connector in ("|", "|&"):
            return
        conditional = connector in ("&&", "||")
        if self.inside[-1] and (not conditional or connector == "||"):
            self._end(conditional)
        elif conditional and not self.inside[-1]:
            self.scope.open("branch")
            self.inside[-1] = True

    def _end(self, again: bool) -> None:
        if again:
            self.scope.branch()
        else:
            self.scope.close()
            self.inside[-1] = False

    def open(self) -> None:
        self.inside.append(False)

    def close(self) -> None:
        self.connect("")
        self.inside.pop()


def _program(command: Command) -> str:
    return plain(command.words[0]).rpartition("/")[2] if command.words else ""


def _without_prefixes(arguments: list[Field]) -> list[Field]:
    """The command that `sudo -E`, `env A=b` and their like start."""
    start = 0
    while start < len(arguments) and arguments[start].text in PREFIXES:
        start += 1
        while start < len(arguments) and _PREFIX_OPTION.match(arguments[start].text):
            start += 1
    return arguments[start:]


def _assigned(arithmetic: str) -> list[str]:
    return [match[1] or match[2] for match in _ARITHMETIC_CHANGE.finditer(arithmetic)]


def _changed(event: Event) -> list[str]:
    """The variables to which an event gives another value than one with something added."""
    if isinstance(event, Changes):
        return _assigned(event.text)
    if isinstance(event, Open):
        return [event.name] if event.block == "loop" and event.name else []
    if not isinstance(event, Command):
        return []
    declared = [assignment(word) for word in event.words[1:]] if _program(event) in _DECLARES else []
    names = [
        found.name
        for found in (*(() if event.words else event.assignments), *declared)
        if found is not None and not found.appends and not _adds(found.word)
    ]
    if _program(event) in _SETS:
        names += [name for word in event.words[1:] if _NAME.fullmatch(name := plain(word))]
    return names


def _adds(word: Word) -> bool:
    """Whether `NAME=...` begins with what NAME held."""
    name = word.pieces[0].text.partition("=")[0]
    more = word.array if word.array is not None else word.pieces[1:]
    if len(more) < 2:
        return False
    first = word.array[0].pieces[0] if word.array is not None else word.pieces[1]
    return first.kind == "variable" and first.text == name and not first.operator


def _unescaped(body: Text) -> Text:
    """A here-document as the shell writes it out, its variables left as they are."""
    if "\\" not in body.chars:
        return body
    chars: list[str] = []
    at: list[int] = []
    end = 0
    for match in _ESCAPED.finditer(body.chars):
        start = match.start() + (1 if match[1] else 0)
        chars.append(body.chars[end : match.start()])
        at += body.at[end : match.start()]
        end = start if match[1] else match.end()
    chars.append(body.chars[end:])
    at += body.at[end:]
    return Text("".join(chars), at)
