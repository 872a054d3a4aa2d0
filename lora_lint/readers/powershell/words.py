"""Values of PowerShell as words of a shell: strings, variables, lists and sums."""

import re
from itertools import pairwise

from lora_lint.readers.composition import UNKNOWN, Composition
from lora_lint.readers.powershell.scanner import Scanner

VARIABLE = re.compile(r"\$(?:(?P<braced>\{)?(?:(?P<scope>[A-Za-z]+):)?(?P<name>[A-Za-z_]\w*)(?(braced)\}))", re.ASCII)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_CAST = re.compile(r"\[[\w.\[\]]+\][ \t]*(?!::)")
NEW_LIST = re.compile(
    r"(?:\[[\w.\[\]]+\]::new\(\)|New-Object\s+(?:-TypeName\s+)?[\w.\[\]]*(?:List|Array)[\w.\[\]]*(?:\(\))?)\s*\Z",
    re.IGNORECASE,
)
_SUM = re.compile(r"[\s\w$*+()-]+", re.ASCII)
EXE = re.compile(r"\.exe(?![\w.])", re.IGNORECASE)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": ""}
_INNER = re.compile(r"\$\(\s*\$(\w+)\s*\)", re.ASCII)


def shell_name(variable: re.Match[str]) -> str:
    """What the shell is to call a variable: capitals mean nothing, and those of the environment are others."""
    is_env = (variable["scope"] or "").lower() == "env"
    return variable["name"].upper() if is_env else variable["name"].lower()


class Words:
    """Says words; `arrays` are the variables that hold lists."""

    def __init__(self, scan: Scanner, out: Composition) -> None:
        self._scan = scan
        self._text = scan.text
        self._out = out
        self.arrays: set[str] = set()

    def is_list(self, start: int, end: int) -> bool:
        if self._text.startswith("@(", start) or NEW_LIST.match(self._text, start, end):
            return True
        return any(True for _ in self._scan.split(start, end, ","))

    def items(self, start: int, end: int) -> None:
        """The elements of a list, as words."""
        start = self._scan.past_blank(start)
        if self._text.startswith("@(", start) and self._scan.closed(start + 1) >= self._scan.trimmed(start, end):
            start, end = start + 2, self._scan.closed(start + 1) - 1
        first = start
        for cut in (*self._scan.split(start, end, ",\n;"), end):
            if self._text[first:cut].strip():
                self.value(self._scan.past_blank(first), self._scan.trimmed(first, cut))
                self._out.say(" ")
            first = cut + 1

    def value(self, start: int, end: int) -> None:
        """An expression as one word; what isn't understood is an unknown one."""
        while (cast := _CAST.match(self._text, start, end)) is not None:
            start = cast.end()
        end = self._scan.trimmed(start, end)
        text = self._text[start:end]
        cuts = [start - 1, *self._scan.split(start, end, "+"), end]
        terms = [(self._scan.past_blank(one + 1), self._scan.trimmed(one + 1, two)) for one, two in pairwise(cuts)]
        if all(self._is_term(*term) for term in terms) and (len(terms) == 1 or "'" in text or '"' in text):
            for term in terms:
                self._term(*term)
        elif _SUM.fullmatch(text) and re.search(r"[\w)]\s*[*+-]", text) and not re.search(r"-[A-Za-z]", text):
            self._out.say("$((", start)
            for at, sign in enumerate(text.lower(), start):
                if sign not in "$":
                    self._out.copy(sign, (at,))
            self._out.say("))")
        else:
            self._out.say(UNKNOWN, start)

    def _is_term(self, start: int, end: int) -> bool:
        text = self._text[start:end]
        if text[:1] in ("'", '"') or text[:2] in ('@"', "@'"):
            return self._scan.string_end(start) == end
        variable = VARIABLE.fullmatch(text)
        return variable is not None or NUMBER.fullmatch(text) is not None

    def _term(self, start: int, end: int) -> None:
        sign = self._text[start]
        if sign in "'\"@":
            self.string(start, end)
        elif sign == "$":
            self.reference(start)
        else:
            self._out.copy(self._text[start:end], range(start, end))

    def reference(self, start: int, *, alone: bool = False) -> int:
        """A variable as the shell's; where it ends. A list that is a word by itself is as many words as it has."""
        match = VARIABLE.match(self._text, start)
        assert match is not None
        name, end = shell_name(match), match.end()
        if self._text[end : end + 1] in (".", "[") and re.match(r"[.\[]\w", self._text[end : end + 2]) and alone:
            self._out.say(UNKNOWN, start)
            return end
        if name in ("true", "false") and not match["scope"]:
            self._out.say(name.capitalize(), start)
        elif name == "null" and not match["scope"]:
            self._out.say('""', start)
        elif alone and name in self.arrays:
            self._out.say(f'"${{{name}[@]}}"', start)
        else:
            self._out.say('"', start)
            self._named(match)
            self._out.say('"')
        return end

    def _named(self, variable: re.Match[str]) -> None:
        self._out.say("${", variable.start())
        self._out.copy(shell_name(variable), range(*variable.span("name")))
        self._out.say("}")

    def string(self, start: int, end: int, *, is_path: bool = False) -> None:
        """A string as the shell's, in quotes."""
        skip = 2 if self._text[start] == "@" else 1
        quote = self._text[start + skip - 1]
        self._out.say(quote, start)
        at, stop = start + skip, end - skip
        while at < stop:
            sign = self._text[at]
            variable = VARIABLE.match(self._text, at, stop) if sign == "$" and quote == '"' else None
            if sign == quote and skip == 1:  # doubled
                self._out.say('\\"' if quote == '"' else "'\\''", at)
                at += 2
            elif variable is not None:
                self._named(variable)
                at = variable.end()
            elif quote == '"' and self._text.startswith("$(", at):
                inner = _INNER.match(self._text, at, stop)
                self._out.say(f"${{{inner[1].lower()}}}" if inner else UNKNOWN, at)
                at = min(inner.end() if inner else self._scan.closed(at + 1), stop)
            elif quote == '"' and sign == "`":
                escaped = self._text[at + 1 : at + 2]
                self._out.say(_ESCAPES.get(escaped, f"\\{escaped}" if escaped in '"$`\\' else escaped), at)
                at += 2
            elif sign == "\\" and is_path:
                self._out.copy("/", (at,))
                at += 1
            elif is_path and (ending := EXE.match(self._text, at)) is not None:
                at = ending.end()
            elif quote == '"' and sign in '\\"`$':
                self._out.say(f"\\{sign}", at)
                at += 1
            else:
                self._out.copy(sign, (at,))
                at += 1
        self._out.say(quote, end - 1)
