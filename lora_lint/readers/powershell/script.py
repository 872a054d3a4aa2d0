"""One pass over a PowerShell script: its blocks and statements, said as those of a shell."""

import re

from lora_lint.readers.composition import UNKNOWN, Composition
from lora_lint.readers.powershell.commands import Commands
from lora_lint.readers.powershell.scanner import Scanner
from lora_lint.readers.powershell.words import NEW_LIST, NUMBER, VARIABLE, Words, shell_name

_ASSIGNED = re.compile(
    r"(?:\[[\w.\[\]]+\][ \t]*)*" + VARIABLE.pattern + r"[ \t]*(?P<operator>[+*/%-]?=)(?!=)[ \t]*", re.ASCII
)
_ADDED = re.compile(
    r"(?:\[void\][ \t]*|\$null[ \t]*=[ \t]*)?" + VARIABLE.pattern + r"\.(?P<method>\w+)\(", re.ASCII | re.IGNORECASE
)
_KEYWORD = re.compile(
    r"(?P<word>if|foreach|for|while|do|switch|function|filter|try|catch|finally|param|return|exit|throw|break|continue"
    r"|trap|begin|process|end)(?![\w-])",
    re.IGNORECASE,
)
_SEVERAL = re.compile(r"(?:\$\w+[ \t]*,[ \t]*)+\$\w+[ \t]*=(?!=)", re.ASCII)
_COUNTED = re.compile(r"(?:\+\+|--)?\$(?P<name>\w+)(?:\+\+|--)", re.ASCII)
_SETS = re.compile(r"(?:set|new)-variable\s+(?:-name\s+)?[\"']?(?P<name>\w+)", re.ASCII | re.IGNORECASE)
_GOES_ON = re.compile(r"(?:\s|#[^\n]*\n)*(?P<word>elseif|else)\b\s*", re.IGNORECASE)
_UNTIL = re.compile(r"\s*(?:while|until)\s*(?=\()", re.IGNORECASE)
_EACH = re.compile(r"\(\s*\$(?P<name>\w+)\s+in\b", re.ASCII | re.IGNORECASE)
_EMPTY = (
    re.compile(r"\(\s*(?:-not\s+|!\s*)\(?\s*\$(?P<name>\w+)\s*\)?\s*\)", re.ASCII | re.IGNORECASE),
    re.compile(r"\(\s*\$(?P<name>\w+)\s+-eq\s+(?:\$null|\"\"|'')\s*\)", re.ASCII | re.IGNORECASE),
    re.compile(r"\(\s*\$null\s+-eq\s+\$(?P<name>\w+)\s*\)", re.ASCII | re.IGNORECASE),
    re.compile(r"\(\s*\[string\]::IsNullOr\w+\(\$(?P<name>\w+)\)\s*\)", re.ASCII | re.IGNORECASE),
)
_NAMED = re.compile(r"\s*([\w:-]+)")
_DEFAULT = re.compile(VARIABLE.pattern + r"\s*=\s*", re.ASCII)
_COMMAND = re.compile(r"&|\.[\\/]|[A-Za-z][\w.-]*(?=\s)")
"""How a command begins whose output is assigned."""
_ENDS = {
    "if": "\nfi\n",
    "loop": "\ndone\n",
    "do": "\ndone\n",
    "group": "\n}\n",
    "switch": "\nfi\n",
}
"""What ends each kind of block in the shell."""


class Script:
    """A script on its way into a shell's."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._out = Composition()
        self._scan = Scanner(text)
        self._words = Words(self._scan, self._out)
        self._commands = Commands(self._scan, self._words, self._out)
        self._blocks: list[str] = []
        """The kinds of those that are open."""

    def read(self) -> Composition:
        while self._at < len(self._text):
            sign = self._text[self._at]
            if sign.isspace() or sign == ";":
                self._at += 1
            elif sign == "#":
                self._at = self._scan.line_end(self._at)
            elif self._text.startswith("<#", self._at):
                self._at = self._scan.after("#>", self._at)
            elif sign == "}":
                self._close()
            elif sign == "{":
                self._open("group", "{ :\n")
            else:
                before = self._at
                self._statement()
                self._at = max(self._at, before + 1)
        for kind in reversed(self._blocks):
            self._out.say(_ENDS[kind])
        return self._out

    # Blocks

    def _open(self, kind: str, opening: str) -> None:
        """Say how a block begins, at its brace, which is looked for from here on."""
        brace = self._text.find("{", self._at)
        self._out.say(opening, self._at)
        self._blocks.append(kind)
        self._at = brace + 1 if brace >= 0 else len(self._text)

    def _close(self) -> None:
        place = self._at
        self._at += 1
        kind = self._blocks.pop() if self._blocks else ""
        if kind == "if" and (more := _GOES_ON.match(self._text, self._at)) is not None:
            self._at = more.end()
            if more["word"].lower() == "else":
                self._open("if", "\nelse :\n")
            else:
                self._open("if", f"\nelif {self._condition()}\nthen :\n")
            return
        self._out.say(_ENDS.get(kind, ""), place)
        if kind == "do" and (until := _UNTIL.match(self._text, self._at)) is not None:
            self._at = self._scan.closed(until.end())

    def _condition(self) -> str:
        """What the shell is to ask in place of the brackets that begin here, and past them."""
        while self._at < len(self._text) and self._text[self._at] in " \t":
            self._at += 1
        start, self._at = self._at, self._scan.closed(self._at)
        asked = self._text[start : min(self._at, start + 200)]
        for form in _EMPTY:
            if (match := form.fullmatch(asked)) is not None:
                return f'[ -z "${match["name"].lower()}" ]'
        return "test"

    def _keyword(self, word: str) -> None:
        if word == "if":
            self._open("if", f"if {self._condition()}\nthen :\n")
        elif word == "foreach":
            each = _EACH.match(self._text, self._scan.past_blank(self._at))
            self._condition()
            name = each["name"].lower() if each else "_"
            self._open("loop", f"for {name} in {UNKNOWN} {UNKNOWN}\ndo :\n")
        elif word in ("for", "while"):
            self._condition()
            self._open("loop", "while test\ndo :\n")
        elif word == "do":
            self._open("do", "while test\ndo :\n")
        elif word == "switch":
            self._open("switch", "if test\nthen :\n")
        elif word in ("function", "filter"):
            name = _NAMED.match(self._text, self._at)
            self._open("group", f"{re.sub(r'[^A-Za-z0-9_]', '_', name[1]) if name else '_'}() {{\n:\n")
        elif word in ("catch", "trap"):
            self._open("if", "if test\nthen :\n")
        elif word == "param":
            self._parameters()
        elif word in ("return", "exit", "throw", "break", "continue"):
            self._at = self._scan.statement_end(self._at)
        else:
            self._open("group", "{ :\n")

    def _parameters(self) -> None:
        """What a script or a function takes, which are variables with a default."""
        start = self._scan.past_blank(self._at)
        end = self._at = self._scan.closed(start)
        for match in _DEFAULT.finditer(self._text, start, end):
            value = self._quoted_or_number(match.end(), end)
            if value is not None:
                self._out.say(f"{shell_name(match)}=${{1:-", match.start())
                self._out.copy(self._text[slice(*value)], range(*value))
                self._out.say("}\n", value[1])

    def _quoted_or_number(self, start: int, end: int) -> tuple[int, int] | None:
        """The inside of a plain string, or a number."""
        if self._text[start : start + 1] in ("'", '"'):
            close = self._text.find(self._text[start], start + 1, end)
            inside = self._text[start + 1 : close]
            return (start + 1, close) if close > start and re.fullmatch(r"[\w./:-]*", inside, re.ASCII) else None
        number = NUMBER.match(self._text, start, end)
        return number.span() if number else None

    # Statements

    def _statement(self) -> None:
        if self._blocks and self._blocks[-1] == "switch":
            self._open("if", "if test\nthen :\n")
            return
        keyword = _KEYWORD.match(self._text, self._at)
        if keyword is not None:
            self._at = keyword.end()
            self._keyword(keyword["word"].lower())
        elif (added := _ADDED.match(self._text, self._at)) is not None:
            self._add(added)
        elif (assigned := _ASSIGNED.match(self._text, self._at)) is not None:
            self._assign(assigned)
        elif (several := _SEVERAL.match(self._text, self._at)) is not None:
            for name in re.findall(r"\$(\w+)", several[0]):
                self._forget(name.lower())
            self._at = self._scan.statement_end(self._at)
        elif (changed := _COUNTED.match(self._text, self._at) or _SETS.match(self._text, self._at)) is not None:
            self._forget(changed["name"].lower())
            self._at = self._scan.statement_end(changed.end())  # from behind the `++`, which continues no line
        else:
            end = self._scan.statement_end(self._at)
            self._commands.say(self._at, end)
            self._at = end

    def _forget(self, name: str) -> None:
        """Something else is in a variable from here on."""
        self._words.arrays.discard(name)
        self._out.say(f"{name}={UNKNOWN}\n", self._at)

    def _add(self, match: re.Match[str]) -> None:
        """A list that something is added to."""
        name, place = shell_name(match), match.start()
        close = self._scan.closed(match.end() - 1)
        if match["method"].lower() in ("add", "addrange"):
            self._words.arrays.add(name)
            self._out.say(f"{name}+=(", place)
            self._words.items(match.end(), close - 1)
            self._out.say(")\n")
        elif match["method"].lower() in ("remove", "removeat", "insert", "clear"):
            self._forget(name)
        self._at = self._scan.statement_end(close)

    def _assign(self, match: re.Match[str]) -> None:
        name, place = shell_name(match), match.start()
        start, end = match.end(), self._scan.statement_end(match.end())
        self._at = end
        if match["operator"] not in ("=", "+=") or _KEYWORD.match(self._text, start, end):
            self._forget(name)
            return
        if (inner := _ASSIGNED.match(self._text, start, end)) is not None:
            self._forget(shell_name(inner))
            self._forget(name)
            return
        if self._words.is_list(start, end) or (match["operator"] == "+=" and name in self._words.arrays):
            self._words.arrays.add(name)
            self._out.say(f"{name}{match['operator']}(", place)
            if not NEW_LIST.match(self._text, start, end):
                self._words.items(start, end)
            self._out.say(")\n")
            return
        if match["operator"] == "+=" and self._text[start] not in "'\"":
            self._forget(name)  # a sum, where it isn't a string
            return
        self._words.arrays.discard(name)
        if _COMMAND.match(self._text, start, end):
            self._commands.say(start, end)
            self._forget(name)
            return
        exported = "export " if name.isupper() else ""
        self._out.say(f"{exported}{name}{match['operator']}", place)
        self._words.value(start, end)
        self._out.say("\n")
