"""Words, operators and here-documents of a shell script."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from lora_lint.readers.shell.text import Piece, Word
from lora_lint.readers.shell.words import Words

MAX_TOKENS = 25_000
"""Operators and pieces of words in one text; a script has some hundreds. What follows is not read."""
_TOKEN = re.compile(
    r"(?:[ \t\r]|\\(?:\r?\n|\Z))*+(?:#[^\n]*+)?+(?P<token>"
    r"(?P<operator>&>>?|[0-9]*+(?:<<<|<<-|<<(?!\()|<&|>&|<>|>>|>\||[<>](?!\())|&&|\|\||;;&|;&|;;|\|&|[;&|()\n])"
    r"|(?P<plain>[^ \t\r\n;&|<>()'\"\\$`]++(?![('\"\\$`])|))"
)
_ARRAY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")


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
class Lexer(Words):
    """Cuts `text` into tokens."""

    tokens: int = 0
    heredocs: list[Heredoc] = field(default_factory=list)
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
        word = Word(start, self.at, (Piece("text", start, self.at, text),)) if text else self._word()
        return Token("word", start, self.at, word)

    def _word(self) -> Word:
        word = self.word()
        self.tokens += len(word.pieces)
        if (
            self._in_array
            or not self.text.startswith("(", self.at)
            or not _ARRAY.fullmatch(self.text, word.start, self.at)
        ):
            return word
        array = self._array()
        return word._replace(end=self.at, array=array)

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
