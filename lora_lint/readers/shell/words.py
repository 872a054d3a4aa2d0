"""One word of a shell script: quotes and expansions, cut in one pass and never run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lora_lint.readers.shell.text import Piece, Word

MAX_PIECES = 2_000
"""Pieces of one word; what follows is another word."""
_MAX_NESTING = 200
_MAX_ARITHMETIC = 400
_PLAIN = re.compile(r"[^ \t\r\n;&|<>()'\"\\$`]+")
_BLANK = re.compile(r"(?:[ \t\r]|\\(?:\r?\n|\Z))+")
"""A backslash with nothing behind it, at the end of the script, is dropped by bash."""

_QUOTED_RUN = re.compile(r"[^\"\\$`]+")
_ANSI = re.compile(r"(?:[^'\\]|\\.)*'", re.DOTALL)
_ANSI_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!$-]")
_PARAMETER = re.compile(
    r"(?P<prefix>[!#](?=[\w@*]))?(?P<name>[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?!$-])(?P<index>\[[^\]]*\])?"
    r"(?P<operator>:?[-=+?]|)(?P<argument>.*)",
    re.DOTALL,
)
_CLOSERS = {"$(": ")", "${": "}", '"': '"', "(": ")"}
_DELIMITERS = re.compile(r"\\.|['\"`#()}]|\$[({]", re.DOTALL)


@dataclass
class Words:
    """Reads the words of `text` from `at` on; what is never closed is ordinary text."""

    text: str
    at: int = 0
    unclosed: set[str] = field(default_factory=set)

    def word(self) -> Word:
        """The word that begins here; never empty."""
        start = self.at
        pieces: list[Piece] = []
        while self.at < len(self.text) and len(pieces) < MAX_PIECES:
            plain = _PLAIN.match(self.text, self.at)
            if plain is not None:
                pieces.append(Piece("text", self.at, plain.end(), plain[0]))
                self.at = plain.end()
            elif not self._special(pieces):
                break
        if self.at == start:
            pieces.append(Piece("text", start, start + 1, self.text[start]))
            self.at += 1
        return Word(start, self.at, tuple(pieces))

    def _special(self, pieces: list[Piece]) -> bool:
        """Read one quote, escape or expansion; False where the word ends."""
        start, sign = self.at, self.text[self.at]
        if sign == "\\":
            return self._backslash(pieces)
        if sign == "'":
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

    def _backslash(self, pieces: list[Piece]) -> bool:
        """An escaped character; a continued line goes on with the word unless blanks follow."""
        start = self.at
        continuation = _BLANK.match(self.text, start)
        if continuation is not None:
            joined = continuation.end() - start <= 3 and self.text[continuation.end() - 1] == "\n"
            self.at = continuation.end() if joined else start
            return joined
        self.at = min(start + 2, len(self.text))
        pieces.append(Piece("text", min(start + 1, self.at), self.at, self.text[start + 1 : self.at], quoted=True))
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
        last = self._unmatched(inner)
        if last < 0:
            self.unclosed.add(opener)
            return self._literal(opener, quoted=quoted) if bracket else None
        end = last + (1 if bracket else 2)
        if not bracket and self.text[last:end] != "))":
            return None
        self.at = end
        return Piece("arithmetic", start, end, self.text[inner:last], quoted, inner=inner)

    def _unmatched(self, start: int) -> int:
        """Where the first bracket closes that wasn't opened from `start` on, or -1."""
        level = 0
        for at in range(start, min(len(self.text), start + _MAX_ARITHMETIC)):
            sign = self.text[at]
            if sign in "([":
                level += 1
            elif sign in ")]":
                if level == 0:
                    return at
                level -= 1
        return -1

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
        stack = ['"', closer] if quoted else [closer]
        outside = len(stack) - 1
        while len(stack) <= _MAX_NESTING:
            match = _DELIMITERS.search(self.text, at)
            if match is None:
                break
            sign, at = match[0], match.end()
            if sign == stack[-1]:
                stack.pop()
                if len(stack) == outside:
                    return match.start()
            elif sign in _CLOSERS and (sign != "(" or stack[-1] == ")"):
                stack.append(_CLOSERS[sign])
            elif end := self._passed_over(sign, match.start(), stack):
                at = self.text.find(end, at) + 1
                if at == 0:
                    break
        return -1

    def _passed_over(self, sign: str, at: int, stack: list[str]) -> str:
        """What ends the quote or comment that begins here, or an empty string."""
        top = stack[-1]
        if sign == "`":
            return "`"
        if sign == "'" and (top == ")" or (top == "}" and '"' not in stack[-2:])):
            return "'"
        return "\n" if sign == "#" and top == ")" and self.text[at - 1] in " \t\n" else ""
