"""Commands of PowerShell, said as those of a shell: programs, their arguments and what connects them."""

import re

from lora_lint.readers.composition import RESERVED, UNKNOWN, Composition
from lora_lint.readers.powershell.scanner import Scanner
from lora_lint.readers.powershell.words import EXE, VARIABLE, Words

_CMDLET = re.compile(r"[A-Za-z]+-[A-Za-z]\w*(?![\w./\\:=-])")
_CALLS = re.compile(r"[&.][ \t]+")
_NAME = re.compile(r"[A-Za-z][\w-]*")
_RUNS_TEXT = frozenset(("invoke-expression", "iex"))
_GOES_TO = frozenset(("set-location", "push-location", "sl", "chdir"))
_SPLAT = re.compile(r"@(\w+)")
_LINE_GOES_ON = re.compile(r"`\r?\n")


class Commands:
    """Says commands one after the other."""

    def __init__(self, scan: Scanner, words: Words, out: Composition) -> None:
        self._scan = scan
        self._text = scan.text
        self._words = words
        self._out = out

    def say(self, at: int, end: int) -> None:
        """The command from `at` to the end of its statement; cmdlets and expressions say nothing."""
        while (calls := _CALLS.match(self._text, at, end)) is not None:
            at = calls.end()
        name = _NAME.match(self._text, at, end)
        known = name[0].lower() if name else ""
        if known in _RUNS_TEXT or known in _GOES_TO:
            self._out.say("eval " if known in _RUNS_TEXT else "cd ", at)
            at = self._scan.past_blank(at + len(known))
        elif _CMDLET.match(self._text, at, end) or self._text[at : at + 1] in ("(", "[", "@", "%"):
            return
        is_program = True
        while at < end:
            sign = self._text[at]
            if sign in " \t\r\n":
                self._out.copy(" ", (at,))
                at += 1
            elif (goes_on := _LINE_GOES_ON.match(self._text, at)) is not None:
                self._out.say(" ", at)
                at = goes_on.end()
            elif sign == "#" and self._text[at - 1] in " \t\n":
                at = self._scan.line_end(at)
            elif sign in "|<>&":
                self._out.copy(sign, (at,))
                at += 1
                is_program = sign in "|&"
            else:
                at = self._word(at, end, is_program=is_program)
                is_program = False
        self._out.say("\n")

    def _word(self, start: int, end: int, *, is_program: bool) -> int:
        """One word; where it ends."""
        if is_program and RESERVED.match(self._text, start, end):
            self._out.say("\\", start)
        at = start
        while at < end and self._text[at] not in " \t\r\n|;":
            at = self._piece(at, end, is_first=at == start, is_program=is_program)
        return at

    def _piece(self, at: int, end: int, *, is_first: bool, is_program: bool) -> int:
        """A part of a word; where it ends."""
        sign, two = self._text[at], self._text[at : at + 2]
        if sign in "'\"" or two in ('@"', "@'"):
            close = min(self._scan.string_end(at), end)
            self._words.string(at, close, is_path=is_program)
            return close
        if sign == "$" and VARIABLE.match(self._text, at):
            return self._words.reference(at, alone=is_first)
        if is_first and (splat := _SPLAT.match(self._text, at)) is not None:
            self._out.say(f'"${{{splat[1].lower()}[@]}}"', at)
            return splat.end()
        if sign in "({" or two in ("$(", "@(", "@{"):
            self._out.say(UNKNOWN, at)
            return self._scan.closed(at + (sign in "$@"))
        if sign == "`":
            self._out.say(f"\\{self._text[at + 1 : at + 2]}", at)
            return at + 2
        if is_program and (ending := EXE.match(self._text, at)) is not None:
            return ending.end()
        self._out.copy("/" if sign == "\\" else sign, (at,))
        return at + 1
