"""PowerShell scripts: their commands and variables as those of a shell script, each character where it stands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from lora_lint.document import Document, Source
from lora_lint.readers.composition import Composition

_VARIABLE = re.compile(r"\$(?:(?P<braced>\{)?(?:(?P<scope>[A-Za-z]+):)?(?P<name>[A-Za-z_]\w*)(?(braced)\}))", re.ASCII)
_ASSIGNED = re.compile(
    r"(?:\[[\w.\[\]]+\][ \t]*)*" + _VARIABLE.pattern + r"[ \t]*(?P<operator>[+*/%-]?=)(?!=)[ \t]*", re.ASCII
)
_ADDED = re.compile(
    r"(?:\[void\][ \t]*|\$null[ \t]*=[ \t]*)?" + _VARIABLE.pattern + r"\.(?P<method>\w+)\(", re.ASCII | re.IGNORECASE
)
_KEYWORD = re.compile(
    r"(?P<word>if|foreach|for|while|do|switch|function|filter|try|catch|finally|param|return|exit|throw|break|continue"
    r"|trap|begin|process|end)(?![\w-])",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"(?:\s|#[^\n]*\n)*(?P<word>elseif|else)\b\s*", re.IGNORECASE)
_UNTIL = re.compile(r"\s*(?:while|until)\s*(?=\()", re.IGNORECASE)
_EACH = re.compile(r"\(\s*\$(?P<name>\w+)\s+in\b", re.ASCII | re.IGNORECASE)
_EMPTY = (
    re.compile(r"\(\s*(?:-not\s+|!\s*)\(?\s*\$(?P<name>\w+)\s*\)?\s*\)", re.ASCII | re.IGNORECASE),
    re.compile(r"\(\s*\$(?P<name>\w+)\s+-eq\s+(?:\$null|\"\"|'')\s*\)", re.ASCII | re.IGNORECASE),
    re.compile(r"\(\s*\$null\s+-eq\s+\$(?P<name>\w+)\s*\)", re.ASCII | re.IGNORECASE),
    re.compile(r"\(\s*\[string\]::IsNullOr\w+\(\$(?P<name>\w+)\)\s*\)", re.ASCII | re.IGNORECASE),
)
_CMDLET = re.compile(r"[A-Za-z]+-[A-Za-z]\w*(?![\w./\\:=-])")
_RUNS_TEXT = frozenset(("invoke-expression", "iex"))
_GOES_TO = frozenset(("set-location", "push-location", "sl", "chdir"))
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_CAST = re.compile(r"\[[\w.\[\]]+\][ \t]*(?!::)")
_NEW_LIST = re.compile(
    r"(?:\[[\w.\[\]]+\]::new\(\)|New-Object\s+(?:-TypeName\s+)?[\w.\[\]]*(?:List|Array)[\w.\[\]]*(?:\(\))?)\s*\Z",
    re.IGNORECASE,
)
_SUM = re.compile(r"[\s\w$*+()-]+", re.ASCII)
_EXE = re.compile(r"\.exe(?![\w.])", re.IGNORECASE)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": ""}
_CONTINUES = ("+", ",", "|", "=", "&&", "||")
_BRACKETS = {"(": ")", "{": "}", "[": "]"}
_UNKNOWN = "$(:)"
_ENDS = {
    "if": "\nfi\n",
    "loop": "\ndone\n",
    "do": "\ndone\n",
    "group": "\n}\n",
    "switch": "\nfi\n",
}
"""What ends each kind of block in the shell."""


@dataclass
class _Script:
    """One pass over a script; `blocks` are the kinds of those that are open."""

    text: str
    out: Composition = field(default_factory=Composition)
    at: int = 0
    blocks: list[str] = field(default_factory=list)
    arrays: set[str] = field(default_factory=set)

    def read(self) -> Composition:
        while self.at < len(self.text):
            sign = self.text[self.at]
            if sign.isspace() or sign == ";":
                self.at += 1
            elif sign == "#":
                self.at = self._line_end(self.at)
            elif self.text.startswith("<#", self.at):
                self.at = self._after("#>", self.at)
            elif sign == "}":
                self._close()
            elif sign == "{":
                self._open("group", "{ :\n")
            else:
                before = self.at
                self._statement()
                self.at = max(self.at, before + 1)
        for kind in reversed(self.blocks):
            self.out.say(_ENDS[kind])
        return self.out

    # Blocks

    def _open(self, kind: str, opening: str) -> None:
        """Say how a block begins, at its brace, which is looked for from here on."""
        brace = self.text.find("{", self.at)
        self.out.say(opening, self.at)
        self.blocks.append(kind)
        self.at = brace + 1 if brace >= 0 else len(self.text)

    def _close(self) -> None:
        place = self.at
        self.at += 1
        kind = self.blocks.pop() if self.blocks else ""
        if kind == "if" and (more := _GOES_ON.match(self.text, self.at)) is not None:
            self.at = more.end()
            if more["word"].lower() == "else":
                self._open("if", "\nelse :\n")
            else:
                self._open("if", f"\nelif {self._condition()}\nthen :\n")
            return
        self.out.say(_ENDS.get(kind, ""), place)
        if kind == "do" and (until := _UNTIL.match(self.text, self.at)) is not None:
            self.at = self._closed(until.end())

    def _condition(self) -> str:
        """What the shell is to ask in place of the brackets that begin here, and past them."""
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1
        start, self.at = self.at, self._closed(self.at)
        asked = self.text[start : min(self.at, start + 200)]
        for form in _EMPTY:
            if (match := form.fullmatch(asked)) is not None:
                return f'[ -z "${match["name"].lower()}" ]'
        return "test"

    def _keyword(self, word: str) -> None:
        if word == "if":
            self._open("if", f"if {self._condition()}\nthen :\n")
        elif word == "foreach":
            each = _EACH.match(self.text, self._blank(self.at))
            self._condition()
            name = each["name"].lower() if each else "_"
            self._open("loop", f"for {name} in {_UNKNOWN} {_UNKNOWN}\ndo :\n")
        elif word in ("for", "while"):
            self._condition()
            self._open("loop", "while test\ndo :\n")
        elif word == "do":
            self._open("do", "while test\ndo :\n")
        elif word == "switch":
            self._open("switch", "if test\nthen :\n")
        elif word in ("function", "filter"):
            name = re.compile(r"\s*([\w:-]+)").match(self.text, self.at)
            self._open("group", f"{re.sub(r'[^A-Za-z0-9_]', '_', name[1]) if name else '_'}() {{\n:\n")
        elif word in ("catch", "trap"):
            self._open("if", "if test\nthen :\n")
        elif word == "param":
            self._parameters()
        elif word in ("return", "exit", "throw", "break", "continue"):
            self.at = self._end(self.at)
        else:
            self._open("group", "{ :\n")

    def _parameters(self) -> None:
        """What a script or a function takes, which are variables with a default."""
        start = self._blank(self.at)
        end = self.at = self._closed(start)
        for match in re.compile(_VARIABLE.pattern + r"\s*=\s*", re.ASCII).finditer(self.text, start, end):
            value = self._quoted_or_number(match.end(), end)
            if value is not None:
                name = match["name"].lower()
                self.out.say(f"{name}=${{1:-", match.start())
                self.out.copy(self.text[slice(*value)], range(*value))
                self.out.say("}\n", value[1])

    def _quoted_or_number(self, start: int, end: int) -> tuple[int, int] | None:
        """The inside of a plain string, or a number."""
        if self.text[start : start + 1] in ("'", '"'):
            close = self.text.find(self.text[start], start + 1, end)
            inside = self.text[start + 1 : close]
            return (start + 1, close) if close > start and re.fullmatch(r"[\w./:-]*", inside, re.ASCII) else None
        number = _NUMBER.match(self.text, start, end)
        return number.span() if number else None

    # Statements

    def _statement(self) -> None:
        if self.blocks and self.blocks[-1] == "switch":
            self._open("if", "if test\nthen :\n")
            return
        keyword = _KEYWORD.match(self.text, self.at)
        if keyword is not None:
            self.at = keyword.end()
            self._keyword(keyword["word"].lower())
        elif (added := _ADDED.match(self.text, self.at)) is not None:
            self._add(added)
        elif (assigned := _ASSIGNED.match(self.text, self.at)) is not None:
            self._assign(assigned)
        else:
            self._command(self._end(self.at))

    def _add(self, match: re.Match[str]) -> None:
        """A list that something is added to."""
        name, place = match["name"].lower(), match.start()
        close = self._closed(match.end() - 1)
        if match["method"].lower() in ("add", "addrange"):
            self.arrays.add(name)
            self.out.say(f"{name}+=(", place)
            self._items(match.end(), close - 1)
            self.out.say(")\n")
        elif match["method"].lower() in ("remove", "removeat", "insert", "clear"):
            self.out.say(f"{name}={_UNKNOWN}\n", place)
        self.at = self._end(close)

    def _assign(self, match: re.Match[str]) -> None:
        name, place = match["name"].lower(), match.start()
        is_env = (match["scope"] or "").lower() == "env"
        shown = match["name"].upper() if is_env else name
        start, end = match.end(), self._end(match.end())
        self.at = end
        if match["operator"] not in ("=", "+="):
            self.out.say(f"{shown}={_UNKNOWN}\n", place)
            return
        if self._is_list(start, end) or (match["operator"] == "+=" and name in self.arrays):
            self.arrays.add(name)
            self.out.say(f"{shown}{match['operator']}(", place)
            if not _NEW_LIST.match(self.text, start, end):
                self._items(start, end)
            self.out.say(")\n")
            return
        self.arrays.discard(name)
        if re.compile(r"&|\.[\\/]|[A-Za-z][\w.-]*(?=\s)").match(self.text, start, end):
            self.at = start
            self._command(end)
            self.out.say(f"{shown}={_UNKNOWN}\n", place)
            return
        self.out.say(f"{'export ' if is_env else ''}{shown}{match['operator']}", place)
        self._value(start, end)
        self.out.say("\n")

    def _is_list(self, start: int, end: int) -> bool:
        if self.text.startswith("@(", start) or _NEW_LIST.match(self.text, start, end):
            return True
        return any(True for _ in self._split(start, end, ","))

    def _items(self, start: int, end: int) -> None:
        """The elements of a list, as words."""
        start = self._blank(start)
        if self.text.startswith("@(", start) and self._closed(start + 1) >= self._trimmed(start, end):
            start, end = start + 2, self._closed(start + 1) - 1
        first = start
        for cut in (*self._split(start, end, ",\n;"), end):
            if self.text[first:cut].strip():
                self._value(self._blank(first), self._trimmed(first, cut))
                self.out.say(" ")
            first = cut + 1

    def _value(self, start: int, end: int) -> None:
        """An expression as one word; what isn't understood is an unknown one."""
        while (cast := _CAST.match(self.text, start, end)) is not None:
            start = cast.end()
        end = self._trimmed(start, end)
        text = self.text[start:end]
        cuts = [start - 1, *self._split(start, end, "+"), end]
        terms = [(self._blank(one + 1), self._trimmed(one + 1, two)) for one, two in pairwise(cuts)]
        if all(self._is_term(*term) for term in terms) and (len(terms) == 1 or "'" in text or '"' in text):
            for term in terms:
                self._term(*term)
        elif _SUM.fullmatch(text) and re.search(r"[\w)]\s*[*+-]", text):
            self.out.say("$((", start)
            for at, sign in enumerate(text.lower(), start):
                if sign not in "$":
                    self.out.copy(sign, (at,))
            self.out.say("))")
        else:
            self.out.say(_UNKNOWN, start)

    def _is_term(self, start: int, end: int) -> bool:
        text = self.text[start:end]
        if text[:1] in ("'", '"') or text[:2] in ('@"', "@'"):
            return self._string_end(start) == end
        variable = _VARIABLE.fullmatch(text)
        return variable is not None or _NUMBER.fullmatch(text) is not None

    def _term(self, start: int, end: int) -> None:
        sign = self.text[start]
        if sign in "'\"@":
            self._string(start, end)
        elif sign == "$":
            self._reference(start)
        else:
            self.out.copy(self.text[start:end], range(start, end))

    # Commands

    def _command(self, end: int) -> None:
        """A command, to the end of its statement."""
        while self.text[self.at : self.at + 1] in ("&", ".") and self.text[self.at + 1 : self.at + 2] in (" ", "\t"):
            self.at = self._blank(self.at + 1)
        name = re.compile(r"[A-Za-z][\w-]*").match(self.text, self.at, end)
        known = name[0].lower() if name else ""
        if known in _RUNS_TEXT or known in _GOES_TO:
            self.out.say("eval " if known in _RUNS_TEXT else "cd ", self.at)
            self.at = self._blank(self.at + len(known))
        elif _CMDLET.match(self.text, self.at, end) or self.text[self.at] in "([@%":
            self.at = end
            return
        first = True
        while self.at < end:
            sign = self.text[self.at]
            if sign in " \t\r\n":
                self.out.copy(" ", (self.at,))
                self.at += 1
            elif sign == "`" and self.text[self.at + 1 : self.at + 3].lstrip("\r")[:1] == "\n":
                self.at += 2
                self.out.say(" ", self.at)
            elif sign == "#" and self.text[self.at - 1] in " \t\n":
                self.at = self._line_end(self.at)
            elif sign in "|<>&":
                self.out.copy(sign, (self.at,))
                self.at += 1
                first = sign in "|&"
            else:
                self._word(end, is_program=first)
                first = False
        self.out.say("\n")

    def _word(self, end: int, *, is_program: bool) -> None:
        start = self.at
        while self.at < end and self.text[self.at] not in " \t\r\n|;":
            sign = self.text[self.at]
            if sign in "'\"" or self.text[self.at : self.at + 2] in ('@"', "@'"):
                close = min(self._string_end(self.at), end)
                self._string(self.at, close, is_path=is_program)
                self.at = close
            elif sign == "$" and _VARIABLE.match(self.text, self.at):
                self.at = self._reference(self.at, alone=self.at == start)
            elif sign == "@" and self.at == start and re.match(r"@\w", self.text[self.at : self.at + 2]):
                splat = re.compile(r"@(\w+)").match(self.text, self.at)
                assert splat is not None
                self.out.say(f'"${{{splat[1].lower()}[@]}}"', self.at)
                self.at = splat.end()
            elif sign in "({" or self.text[self.at : self.at + 2] in ("$(", "@(", "@{"):
                opening = self.at + (sign in "$@")
                self.out.say(_UNKNOWN, self.at)
                self.at = self._closed(opening)
            elif sign == "`":
                self.out.say(f"\\{self.text[self.at + 1 : self.at + 2]}", self.at)
                self.at += 2
            elif sign == "\\":
                self.out.copy("/", (self.at,))
                self.at += 1
            elif is_program and (ending := _EXE.match(self.text, self.at)) is not None:
                self.at = ending.end()
            else:
                self.out.copy(sign, (self.at,))
                self.at += 1

    def _reference(self, start: int, *, alone: bool = False) -> int:
        """A variable as the shell's; where it ends. A list that is a word by itself is as many words as it has."""
        match = _VARIABLE.match(self.text, start)
        assert match is not None
        scope, name = (match["scope"] or "").lower(), match["name"].lower()
        end = match.end()
        if self.text[end : end + 1] in (".", "[") and re.match(r"[.\[]\w", self.text[end : end + 2]) and alone:
            self.out.say(_UNKNOWN, start)
            return end
        if name in ("true", "false") and not scope:
            self.out.say(name.capitalize(), start)
        elif name == "null" and not scope:
            self.out.say('""', start)
        elif alone and name in self.arrays:
            self.out.say(f'"${{{name}[@]}}"', start)
        else:
            self.out.say('"${', start)
            self.out.copy(match["name"].upper() if scope == "env" else name, range(*match.span("name")))
            self.out.say('}"')
        return end

    # Strings

    def _string(self, start: int, end: int, *, is_path: bool = False) -> None:
        """A string as the shell's, in quotes."""
        skip = 2 if self.text[start] == "@" else 1
        quote = self.text[start + skip - 1]
        self.out.say(quote, start)
        at, stop = start + skip, end - skip
        while at < stop:
            sign = self.text[at]
            variable = _VARIABLE.match(self.text, at, stop) if sign == "$" and quote == '"' else None
            if sign == quote and skip == 1:  # doubled
                self.out.say('\\"' if quote == '"' else "'\\''", at)
                at += 2
            elif variable is not None:
                name = variable["name"]
                in_env = (variable["scope"] or "").lower() == "env"
                self.out.say("${", at)
                self.out.copy(name.upper() if in_env else name.lower(), range(*variable.span("name")))
                self.out.say("}")
                at = variable.end()
            elif quote == '"' and self.text.startswith("$(", at):
                inner = re.compile(r"\$\(\s*\$(\w+)\s*\)", re.ASCII).match(self.text, at, stop)
                self.out.say(f"${{{inner[1].lower()}}}" if inner else _UNKNOWN, at)
                at = min(inner.end() if inner else self._closed(at + 1), stop)
            elif quote == '"' and sign == "`":
                escaped = self.text[at + 1 : at + 2]
                self.out.say(_ESCAPES.get(escaped, f"\\{escaped}" if escaped in '"$`\\' else escaped), at)
                at += 2
            elif sign == "\\" and is_path:
                self.out.copy("/", (at,))
                at += 1
            elif is_path and (ending := _EXE.match(self.text, at)) is not None:
                at = ending.end()
            elif quote == '"' and sign in '\\"`$':
                self.out.say(f"\\{sign}", at)
                at += 1
            else:
                self.out.copy(sign, (at,))
                at += 1
        self.out.say(quote, end - 1)

    def _string_end(self, start: int) -> int:
        """Past a string that begins here."""
        if self.text[start] == "@":
            return self._after(f"\n{self.text[start + 1]}@", start)
        quote, at = self.text[start], start + 1
        stops = re.compile(f"{quote}{quote}|`." if quote == '"' else quote * 2, re.DOTALL)
        while at < len(self.text):
            if (skipped := stops.match(self.text, at)) is not None:
                at = skipped.end()
            elif self.text[at] == quote:
                return at + 1
            else:
                at += 1
        return len(self.text)

    # Where things end

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return end if end >= 0 else len(self.text)

    def _after(self, ending: str, at: int) -> int:
        end = self.text.find(ending, at)
        return end + len(ending) if end >= 0 else len(self.text)

    def _blank(self, at: int) -> int:
        """Past white space."""
        while at < len(self.text) and self.text[at].isspace():
            at += 1
        return at

    def _trimmed(self, start: int, end: int) -> int:
        """Before the white space and the comment at the end of a range."""
        while end > start and self.text[end - 1].isspace():
            end -= 1
        return end

    def _step(self, at: int) -> int:
        """Past one character, or a whole string or comment."""
        sign = self.text[at]
        if sign in "'\"" or self.text[at : at + 2] in ('@"', "@'"):
            return self._string_end(at)
        if sign == "`":
            return at + 2
        if self.text.startswith("<#", at):
            return self._after("#>", at)
        if sign == "#" and (at == 0 or self.text[at - 1] in " \t\n(,;{"):
            return self._line_end(at)
        return at + 1

    def _closed(self, at: int) -> int:
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

    def _end(self, at: int) -> int:
        """Where the statement ends that this is in."""
        level, last = 0, ""
        while at < len(self.text):
            sign = self.text[at]
            if sign in "({[":
                level += 1
            elif sign in ")}]":
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

    def _split(self, start: int, end: int, signs: str) -> Iterator[int]:
        """Where signs stand between `start` and `end`, outside of strings and brackets."""
        level, at = 0, start
        while at < end:
            sign = self.text[at]
            level += (sign in _BRACKETS) - (sign in ")}]")
            if level == 0 and sign in signs:
                yield at
            at = self._step(at)


def read(source: Source) -> Iterator[Document]:
    """The commands of a PowerShell script that have arguments, in order."""
    yield from _Script(source.text).read().documents(source)
