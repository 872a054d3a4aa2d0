"""Where things end in PowerShell: strings, comments, brackets and statements."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_CONTINUES = ("+", ",", "|", "=", "&&", "||")
_BRACKETS = {"(": ")", "{": "}", "[": "]"}
_CLOSERS = ")}]"
_STRINGS = {
    "'": re.compile(r"'(?:[^']|'')*+'?"),
    '"': re.compile(r'"(?:[^"`]|""|`.?)*+"?', re.DOTALL),
}
"""Strings by their quote, which they hold doubled; one that isn't closed goes on to the end."""


@dataclass
class Scanner:
    """Looks ahead in a text; offsets in, offsets out, the end of the text where nothing ends."""

    text: str

    def string_end(self, start: int) -> int:
        """Past a string that begins here."""
        if self.text[start] == "@":
            return self.after(f"\n{self.text[start + 1]}@", start)
        match = _STRINGS[self.text[start]].match(self.text, start)
        assert match is not None
        return match.end()

    def line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return end if end >= 0 else len(self.text)

    def after(self, ending: str, at: int) -> int:
        end = self.text.find(ending, at)
        return end + len(ending) if end >= 0 else len(self.text)

    def past_blank(self, at: int) -> int:
        """Past white space."""
        while at < len(self.text) and self.text[at].isspace():
            at += 1
        return at

    def trimmed(self, start: int, end: int) -> int:
        """Before the white space at the end of a range."""
        while end > start and self.text[end - 1].isspace():
            end -= 1
        return end

    def _step(self, at: int) -> int:
        """Past one character, or a whole string or comment."""
        sign = self.text[at]
        if sign in "'\"" or self.text[at : at + 2] in ('@"', "@'"):
            return self.string_end(at)
        if sign == "`":
            return at + 2
        if self.text.startswith("<#", at):
            return self.after("#>", at)
        if sign == "#" and (at == 0 or self.text[at - 1] in " \t\n(,;{"):
            return self.line_end(at)
        return at + 1

    def closed(self, at: int) -> int:
        """Past the brackets that begin here."""
        closers: list[str] = []
        while at < len(self.text):
            sign = self.text[at]
            if sign in _BRACKETS:
                closers.append(_BRACKETS[sign])
            elif closers and sign == closers[-1]:
                closers.pop()
                if not closers:
                    return at + 1
            at = self._step(at)
        return len(self.text)

    def statement_end(self, at: int) -> int:
        """Where the statement ends that this is in."""
        level, last = 0, ""
        while at < len(self.text):
            sign = self.text[at]
            if sign in _BRACKETS:
                level += 1
            elif sign in _CLOSERS:
                if level == 0:
                    return at
                level -= 1
            elif level == 0 and (sign == ";" or (sign == "\n" and not last.endswith(_CONTINUES))):
                return at
            following = self._step(at)
            if sign == "#" and following > at + 1 and level == 0 and not last.endswith(_CONTINUES):
                return at
            if not sign.isspace() and sign != "#":
                last = sign
            at = following
        return len(self.text)

    def split(self, start: int, end: int, signs: str) -> Iterator[int]:
        """Where signs stand between `start` and `end`, outside of strings and brackets."""
        level, at = 0, start
        while at < end:
            sign = self.text[at]
            level += (sign in _BRACKETS) - (sign in _CLOSERS)
            if level == 0 and sign in signs:
                yield at
            at = self._step(at)
