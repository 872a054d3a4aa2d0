"""Words of a shell script: quotes, expansions, operators and heredocs, cut in one pass and never run."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lora_lint.document import Span

MAX_TOKENS = 40_000
"""Operators and pieces of words in one text; a script has some hundreds. What follows is not read."""
MAX_PIECES = 2_000
"""Pieces of one word; what follows is another word."""

_MAX_NESTING = 200
_MAX_ARITHMETIC = 400
_PLAIN = re.compile(r"[^ \t\r\n;&|<>()'\"\\$`]+")
_BLANK = re.compile(r"(?:[ \t\r]|\\\r?\n)+")
_TOKEN = re.compile(
    r"(?:[ \t\r]|\\\r?\n)*+(?:#[^\n]*+)?+(?P<token>"
    r"(?P<operator>&>>?|[0-9]*+(?:<<<|<<-|<<(?!\()|<&|>&|<>|>>|>\||[<>](?!\())|&&|\|\||;;&|;&|;;|\|&|[;&|()\n])"
    r"|(?P<plain>[^ \t\r\n;&|<>()'\"\\$`]++(?![('\"\\$`])|))"
)
_QUOTED_RUN = re.compile(r"[^\"\\$`]+")
_ANSI = re.compile(r"(?:[^'\\]|\\.)*'", re.DOTALL)
_ANSI_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!$-]")
_ARRAY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_PARAMETER = re.compile(
    r"(?P<prefix>[!#](?=[\w@*]))?(?P<name>[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?!$-])(?P<index>\[[^\]]*\])?"
    r"(?P<operator>:?[-=+?]|)(?P<argument>.*)",
    re.DOTALL,
)
_DELIMITERS = re.compile(r"\\.|['\"`#()}]|\$[({]", re.DOTALL)


class Text(NamedTuple):
    """Characters to read as shell, and where in the file each of them stands."""

    chars: str
    at: Sequence[int]

    def span(self, start: int, end: int) -> Span:
        """The range of the file that begins with one character and ends with another."""
        if start >= end or not self.chars:
            place = self.at[min(start, len(self.at) - 1)] if self.at else 0
            return Span(place, place)
        return Span(self.at[start], self.at[end - 1] + 1)

    def part(self, start: int, end: int) -> "Text":
        return Text(self.chars[start:end], self.at[start:end])


class Piece(NamedTuple):
    """A part of a word: text without its quotes, or an expansion; offsets count characters of the Text."""

    kind: Literal["text", "variable", "arithmetic", "command"]
    start: int
    end: int
    text: str
    """The text, the name of the variable, or the inside of `$((...))` and `$(...)`."""
    quoted: bool = False
    operator: str = ""
    argument: tuple[int, int] = (0, 0)
    subscript: str = ""
    inner: int = 0
    """Where the inside of an arithmetic or command piece begins."""


class Word(NamedTuple):
    """One word as written; `array` holds the elements of `NAME=( ... )`."""

    start: int
    end: int
    pieces: tuple[Piece, ...]
    array: "tuple[Word, ...] | None" = None


@dataclass(slots=True)
class Heredoc:
    """A here-document: its body is known once the line that opens it has ended."""

    delimiter: str
    quoted: bool
    tabs: bool
    """Whether tabs before the delimiter are skipped."""
    start: int = 0
    end: int = 0


class Token(NamedTuple):
    """A word, or the operator at `start`; an empty operator is the end."""

    operator: str
    start: int
    end: int
    word: Word | None = None


@dataclass
class Lexer:
    """Cuts `text` into tokens; what is never closed is ordinary text."""

    text: str
    at: int = 0
    heredocs: list[Heredoc] = field(default_factory=list)
    tokens: int = 0
    unclosed: set[str] = field(default_factory=set)
    _in_array: bool = False

    def token(self) -> Token:
        """The next word or operator."""
        match = _TOKEN.match(self.text, self.at)
        assert match is not None
        start, self.at = match.span("token")
        if start >= len(self.text) or self.tokens >= MAX_TOKENS:
            self.at = start
            return Token("", start, start)
        self.tokens += 1
        text = match["operator"]
        if text:
            if text == "\n":
                self._read_heredocs()
            return Token(text, start, match.end())
        text = match["plain"]
        word = Word(start, self.at, (Piece("text", start, self.at, text),)) if text else self.word()
        return Token("word", start, self.at, word)

    def word(self) -> Word:
        """The word that begins here; never empty."""
        start = self.at
        pieces: list[Piece] = []
        while self.at < len(self.text) and len(pieces) < MAX_PIECES:
            plain = _PLAIN.match(self.text, self.at)
            if plain is not None:
                pieces.append(Piece("text", self.at, plain.end(), plain[0]))
                self.at = plain.end()
            elif self.text[self.at] == "(" and len(pieces) == 1 and self._opens_array(pieces[0]):
                return Word(start, self.at, tuple(pieces), self._array())
            elif not self._special(pieces):
                break
        if self.at == start:
            pieces.append(Piece("text", start, start + 1, self.text[start]))
            self.at += 1
        self.tokens += len(pieces)
        return Word(start, self.at, tuple(pieces))

    def _opens_array(self, piece: Piece) -> bool:
        return not self._in_array and _ARRAY.fullmatch(piece.text) is not None

    def _array(self) -> tuple[Word, ...]:
        self._in_array = True
        self.at += 1
        words: list[Word] = []
        while True:
            token = self.token()
            if token.word is not None:
                words.append(token.word)
            elif token.operator in ("", ")"):
                self._in_array = False
                return tuple(words)

    def _special(self, pieces: list[Piece]) -> bool:
        """Read one quote, escape or expansion; False where the word ends."""
        start, sign = self.at, self.text[self.at]
        if sign == "\\":
            continuation = _BLANK.match(self.text, start)
            if continuation is not None:
                if continuation.end() - start <= 3 and self.text[continuation.end() - 1] == "\n":
                    self.at = continuation.end()
                    return True
                return False
            self.at = min(start + 2, len(self.text))
            pieces.append(Piece("text", min(start + 1, self.at), self.at, self.text[start + 1 : self.at], quoted=True))
        elif sign == "'":
            pieces.append(self._single())
        elif sign == '"':
            self._double(pieces)
        elif sign in "$`":
            self._dollar(pieces, quoted=False)
        elif sign in "<>" and self.text.startswith("(", start + 1):
            pieces.append(self._command(start, start + 2))
        elif sign == "(" and pieces and pieces[-1].text[-1:] in ("@", "!", "?", "*", "+") and not pieces[-1].quoted:
            return self._pattern(pieces)
        else:
            return False
        return True

    def _pattern(self, pieces: list[Piece]) -> bool:
        """The rest of an extended glob, `@(a|b)`."""
        start = self.at
        end = -1 if "@(" in self.unclosed else self.closing(start + 1, ")")
        if end < 0:
            self.unclosed.add("@(")
            return False
        self.at = end + 1
        pieces.append(Piece("text", start, self.at, self.text[start : self.at]))
        return True

    def _single(self) -> Piece:
        start = self.at + 1
        end = -1 if "'" in self.unclosed else self.text.find("'", start)
        if end < 0:
            return self._literal("'")
        self.at = end + 1
        return Piece("text", start, end, self.text[start:end], quoted=True)

    def _literal(self, opener: str, *, quoted: bool = False) -> Piece:
        """An opener that nothing closes."""
        self.unclosed.add(opener)
        self.at += len(opener)
        return Piece("text", self.at - len(opener), self.at, opener, quoted=quoted)

    def _double(self, pieces: list[Piece]) -> None:
        start = self.at
        end = -1 if '"' in self.unclosed else self.closing(start + 1, '"')
        if end < 0:
            pieces.append(self._literal('"'))
            return
        inside = list(self.quoted(start + 1, end))
        pieces.extend(inside or [Piece("text", end, end, "", quoted=True)])
        self.at = end + 1

    def quoted(self, start: int, end: int, *, heredoc: bool = False) -> Iterator[Piece]:
        """The pieces between double quotes, without quotes inside them; in a heredoc those are text."""
        self.at = start
        for _ in range(MAX_PIECES):
            if self.at >= end:
                return
            run = _QUOTED_RUN.match(self.text, self.at, end)
            if run is not None:
                yield Piece("text", self.at, run.end(), run[0], quoted=True)
                self.at = run.end()
                continue
            found: list[Piece] = []
            if self.text[self.at] == "\\":
                found.extend(self._escape(end))
            elif self.text[self.at] in "$`":
                self._dollar(found, quoted=True)
            else:
                self.at += 1
                if heredoc:
                    found.append(Piece("text", self.at - 1, self.at, '"', quoted=True))
            yield from found

    def _escape(self, end: int) -> Iterator[Piece]:
        start = self.at
        following = self.text[start + 1 : min(start + 3, end)]
        self.at = start + (3 if following == "\r\n" else 2)
        if following[:1] in ("$", "`", '"', "\\"):
            yield Piece("text", start + 1, start + 2, following[0], quoted=True)
        elif following[:1] != "\n" and following != "\r\n":
            self.at = min(self.at, end)
            yield Piece("text", start, self.at, self.text[start : self.at], quoted=True)

    def _dollar(self, pieces: list[Piece], *, quoted: bool) -> None:
        text, start = self.text, self.at
        if text[start] == "`":
            pieces.append(self._backticks(quoted=quoted))
            return
        following = text[start + 1 : start + 2]
        if following == "'" and not quoted:
            self._ansi(pieces)
        elif following == '"' and not quoted:
            self.at += 1
            self._double(pieces)
        elif following == "(" or following == "[":
            pieces.append(self._arithmetic(quoted=quoted) or self._command(start, start + 2, quoted=quoted))
        elif following == "{":
            pieces.append(self._parameter(quoted=quoted))
        elif (name := _NAME.match(text, start + 1)) is not None:
            self.at = name.end()
            pieces.append(Piece("variable", start, name.end(), name[0], quoted))
        else:
            self.at += 1
            pieces.append(Piece("text", start, start + 1, "$", quoted))

    def _ansi(self, pieces: list[Piece]) -> None:
        start = self.at + 2
        match = None if "$'" in self.unclosed else _ANSI.match(self.text, start)
        if match is None:
            pieces.append(self._literal("$'"))
            return
        end = self.at = match.end()
        at = start
        while at < end - 1:
            escape = self.text[at + 1] if self.text[at] == "\\" else ""
            stop = at + 2 if escape else self.text.find("\\", at, end - 1)
            stop = end - 1 if stop < 0 else stop
            run = _ANSI_ESCAPES.get(escape, self.text[at:stop]) if escape else self.text[at:stop]
            pieces.append(Piece("text", at, stop, run, quoted=True))
            at = stop
        if start == end - 1:
            pieces.append(Piece("text", start, start, "", quoted=True))

    def _backticks(self, *, quoted: bool) -> Piece:
        end = -1 if "`" in self.unclosed else self.text.find("`", self.at + 1)
        if end < 0:
            return self._literal("`", quoted=quoted)
        start, self.at = self.at, end + 1
        return Piece("command", start, end + 1, self.text[start + 1 : end], quoted, inner=start + 1)

    def _arithmetic(self, *, quoted: bool) -> Piece | None:
        start = self.at
        bracket = self.text[start + 1] == "["
        opener = "$[" if bracket else "$(("
        if not self.text.startswith(opener, start) or opener in self.unclosed:
            return self._literal(opener, quoted=quoted) if bracket else None
        inner = start + len(opener)
        limit = min(len(self.text), inner + _MAX_ARITHMETIC)
        level = 0
        for at in range(inner, limit):
            sign = self.text[at]
            if sign in "([":
                level += 1
            elif sign in ")]":
                if level == 0:
                    end = at + (1 if bracket else 2)
                    if not bracket and self.text[at:end] != "))":
                        return None
                    self.at = end
                    return Piece("arithmetic", start, end, self.text[inner:at], quoted, inner=inner)
                level -= 1
        self.unclosed.add(opener)
        return self._literal(opener, quoted=quoted) if bracket else None

    def _command(self, start: int, inner: int, *, quoted: bool = False) -> Piece:
        opener = self.text[start:inner]
        end = -1 if "$(" in self.unclosed else self.closing(inner, ")")
        if end < 0:
            self.unclosed.add("$(")
            return self._literal(opener, quoted=quoted)
        self.at = end + 1
        return Piece("command", start, end + 1, self.text[inner:end], quoted, inner=inner)

    def _parameter(self, *, quoted: bool) -> Piece:
        start = self.at
        end = -1 if "${" in self.unclosed else self.closing(start + 2, "}", quoted=quoted)
        if end < 0:
            return self._literal("${", quoted=quoted)
        self.at = end + 1
        match = _PARAMETER.fullmatch(self.text, start + 2, end)
        if match is None:
            return Piece("variable", start, end + 1, "", quoted, "transform")
        operator = match["operator"]
        if match["prefix"] or (match["argument"] and not operator):
            operator = "transform"
        return Piece(
            "variable", start, end + 1, match["name"], quoted, operator, match.span("argument"), match["index"] or ""
        )

    def closing(self, at: int, closer: str, *, quoted: bool = False) -> int:
        """Where `closer` ends what began before `at`, quotes and nesting considered, or -1."""
        text = self.text
        stack = ['"', closer] if quoted else [closer]
        outside = len(stack) - 1
        while True:
            match = _DELIMITERS.search(text, at)
            if match is None or len(stack) > _MAX_NESTING:
                return -1
            sign, at = match[0], match.end()
            top = stack[-1]
            if sign == top:
                stack.pop()
                if len(stack) == outside:
                    return match.start()
            elif sign == "$(" or (sign == "(" and top == ")"):
                stack.append(")")
            elif sign == "${":
                stack.append("}")
            elif sign == '"':
                stack.append('"')
            elif sign == "'" and (top == ")" or (top == "}" and '"' not in stack[-2:])):
                at = text.find("'", at) + 1
                if at == 0:
                    return -1
            elif sign == "`":
                at = text.find("`", at) + 1
                if at == 0:
                    return -1
            elif sign == "#" and top == ")" and text[match.start() - 1] in " \t\n":
                at = text.find("\n", at)
                if at < 0:
                    return -1

    def open_heredoc(self, word: Word, *, tabs: bool) -> Heredoc:
        """Expect a body after the end of this line."""
        quoted = any(piece.quoted for piece in word.pieces)
        heredoc = Heredoc("".join(piece.text for piece in word.pieces), quoted, tabs)
        self.heredocs.append(heredoc)
        return heredoc

    def _read_heredocs(self) -> None:
        for heredoc in self.heredocs:
            heredoc.start = self.at
            heredoc.end, self.at = self._body(heredoc)
        self.heredocs.clear()

    def _body(self, heredoc: Heredoc) -> tuple[int, int]:
        """Where the body that begins here ends, and where the script goes on."""
        start = at = self.at
        while at < len(self.text):
            at = self.text.find(heredoc.delimiter, at)
            if at < 0:
                break
            end = self.text.find("\n", at)
            end = len(self.text) if end < 0 else end
            line = self.text.rfind("\n", start, at) + 1 or start
            found = self.text[line:end].removesuffix("\r")
            if (found.lstrip("\t") if heredoc.tabs else found) == heredoc.delimiter:
                return line, end
            at = end + 1
        return len(self.text), len(self.text)
