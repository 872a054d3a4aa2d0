"""The commands and blocks of a shell script, found without recursion."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from lora_lint.readers.shell.events import Block, Branch, Changes, Close, Command, Event, Open, assignment, plain
from lora_lint.readers.shell.text import Word
from lora_lint.readers.shell.tokens import Lexer, Token

_CLOSING = {"fi": "if", "done": "loop", "esac": "case", "}": "{"}
_PASSED_OVER = frozenset({"then", "do", "!", "time", "coproc"})
_CONNECTORS = frozenset({"&&", "||", "|", "|&"})
_MAX_ARITHMETIC = 2000
_MAX_TEST = 200
"""Tokens between `[[` and `]]`."""


@dataclass
class Parser:
    """Turns tokens into events, without recursion; what doesn't fit the grammar is read as commands."""

    lexer: Lexer
    stack: list[str] = field(default_factory=list)
    opened: Counter[str] = field(default_factory=Counter)
    command: Command | None = None
    connector: str = ""
    function: str | None = None
    """The function whose body is expected."""
    no_test: bool = False

    def events(self) -> Iterator[Event]:
        while True:
            token = self.lexer.token()
            if token.word is not None:
                yield from self._word(token, token.word)
            elif token.operator == "":
                break
            elif "<" in token.operator or ">" in token.operator:
                self._redirect(token)
            else:
                yield from self._operator(token)
        yield from self._finish()
        for _ in self.stack:
            yield Close()

    def _finish(self, connector: str = "") -> Iterator[Command]:
        command, self.command, self.connector = self.command, None, connector
        if command is not None:
            yield command

    def _started(self, token: Token) -> Command:
        if self.command is None:
            self.command = Command(token.start, self.connector)
        return self.command

    def _redirect(self, token: Token) -> None:
        target = self.lexer.token()
        command = self._started(token)
        command.end = target.end
        if target.word is None:
            self.lexer.at = target.start
        elif token.operator.endswith("<<<"):
            command.strings.append(target.word)
        elif token.operator.endswith(("<<", "<<-")):
            command.heredocs.append(self.lexer.open_heredoc(target.word, tabs=token.operator.endswith("-")))
        elif ">" in token.operator and not token.operator.startswith("2"):
            command.targets.append(target.word)

    def _operator(self, token: Token) -> Iterator[Event]:
        operator = token.operator
        if operator == "(":
            yield from self._parenthesis(token)
        elif operator == ")":
            yield from self._finish()
            yield from self._close("(")
        elif operator != "\n" or self.command is not None:
            yield from self._finish(operator if operator in _CONNECTORS else "")
            if operator.startswith(";") and len(operator) > 1 and self.stack and self.stack[-1] == "case":
                yield from self._arm()

    def _parenthesis(self, token: Token) -> Iterator[Event]:
        command = self.command
        if command is not None:
            following = self.lexer.token()
            if following.operator == ")" and len(command.words) == 1 and not command.assignments:
                self.command, self.function = None, plain(command.words[0])
            else:
                self.lexer.at = following.start
            return
        if self.lexer.text.startswith("(", token.end):
            inside = self._arithmetic(token.end + 1)
            if inside is not None:
                connector, self.connector = self.connector, ""
                yield Changes(inside, connector)
                return
        yield from self._open("(", "subshell")

    def _arithmetic(self, start: int) -> str | None:
        """The inside of `((...))` whose second parenthesis ends at `start`, and go on after it."""
        end = self.lexer.text.find("))", start, start + _MAX_ARITHMETIC)
        if end < 0:
            return None
        inside = self.lexer.text[start:end]
        if inside.count("(") != inside.count(")"):
            end = self.lexer.text.find("))", end + 1, start + _MAX_ARITHMETIC)
        if end < 0:
            return None
        self.lexer.at = end + 2
        return self.lexer.text[start:end]

    def _open(self, word: str, block: Block, name: str = "", words: tuple[Word, ...] = ()) -> Iterator[Event]:
        if self.function is not None:
            block, name, self.function = "function", self.function, None
        self.stack.append(word)
        self.opened[word] += 1
        connector, self.connector = self.connector, ""
        yield Open(block, connector, name, words)

    def _close(self, word: str) -> Iterator[Event]:
        """End the innermost block of this kind, and what was left open in it."""
        if self.opened[word]:
            self.connector = ""
            while True:
                closed = self.stack.pop()
                self.opened[closed] -= 1
                yield Close()
                if closed == word:
                    return

    def _word(self, token: Token, word: Word) -> Iterator[Event]:
        command = self.command
        if command is None:
            reserved = plain(word)
            if reserved in _PASSED_OVER:
                return
            events = self._reserved(reserved, token)
            if events is not None:
                yield from events
                return
            command = self._started(token)
        command.end = word.end
        if not command.words and (assigned := assignment(word)) is not None:
            command.assignments.append(assigned)
        else:
            command.words.append(word)

    def _reserved(self, word: str, token: Token) -> Iterator[Event] | None:
        """The events of a reserved word, or None for the first word of a command."""
        if word == "{":
            return self._open("{", "group")
        if word == "if":
            return self._open("if", "branch", "if")
        if word in ("while", "until"):
            return self._open("loop", "loop")
        if word in ("for", "select"):
            return self._for()
        if word == "case":
            return self._case()
        if word in ("elif", "else"):
            self.connector = ""
            return iter((Branch(),))
        if word in _CLOSING and self.opened[_CLOSING[word]]:
            return self._close(_CLOSING[word])
        if word == "function":
            return self._function()
        if word == "[[" and self._skip_test():
            self._started(token).end = self.lexer.at
            return iter(())
        return None

    def _peek(self) -> Token:
        token = self.lexer.token()
        self.lexer.at = token.start
        return token

    def _for(self) -> Iterator[Event]:
        token = self.lexer.token()
        if token.operator == "(":
            changed = self._arithmetic(token.end + 1) or ""
            yield from self._open("loop", "loop")
            yield Changes(changed)
            return
        words: list[Word] = []
        following = self._peek()
        if following.word is not None and plain(following.word) == "in":
            self.lexer.token()
            while (item := self._peek()).word is not None:
                words.append(item.word)
                self.lexer.token()
        yield from self._open("loop", "loop", plain(token.word) if token.word else "", tuple(words))

    def _case(self) -> Iterator[Event]:
        self.lexer.token()
        while (token := self.lexer.token()).operator == "\n":
            pass
        yield from self._open("case", "branch")
        if token.word is not None:
            yield from self._arm()

    def _arm(self) -> Iterator[Event]:
        """Pass over the patterns of the next arm, or the end of the `case`."""
        while (token := self.lexer.token()).operator not in ("", ")"):
            if token.word is not None and plain(token.word) == "esac":
                yield from self._close("case")
                return
        yield Branch()

    def _function(self) -> Iterator[Event]:
        name = self.lexer.token().word
        if self._peek().operator == "(":
            self.lexer.token()
            self.lexer.token()
        self.function = plain(name) if name is not None else ""
        yield from ()

    def _skip_test(self) -> bool:
        start = self.lexer.at
        for _ in range(0 if self.no_test else _MAX_TEST):
            token = self.lexer.token()
            if token.word is not None and plain(token.word) == "]]":
                return True
        self.lexer.at = start
        self.no_test = True
        return False
