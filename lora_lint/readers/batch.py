"""Batch files of Windows: their commands and variables as those of a shell script, each character where it stands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lora_lint.document import Document, Source
from lora_lint.readers.composition import RESERVED, UNKNOWN, Composition

_QUIET = re.compile(r"[ \t]*(?::|rem(?![^\s]))", re.IGNORECASE)
"""Comments, and labels."""
_SET = re.compile(
    r"set[ \t]+(?:(?P<how>/[ap])[ \t]+)?(?P<quote>\")?(?P<name>[A-Za-z_][\w.]*)[ \t]*(?P<operator>[-+*/%&|^]|<<|>>)?=",
    re.ASCII | re.IGNORECASE,
)
_IF = re.compile(
    r"if[ \t]+(?:/i[ \t]+)?(?P<not>not[ \t]+)?(?:/i[ \t]+)?"
    r"(?:exist[ \t]+(?:\"[^\"\n]*\"|[^\s(]+)|defined[ \t]+(?P<defined>\w+)|errorlevel[ \t]+\d+"
    r"|(?P<left>\"[^\"\n]*\"|[^\s=]+)[ \t]*(?:==|(?:equ|neq|lss|leq|gtr|geq)[ \t])[ \t]*"
    r"(?P<right>\"[^\"\n]*\"|[^\s(]+))"
    r"[ \t]*",
    re.IGNORECASE,
)
_FOR = re.compile(r"for[ \t]+(?:/\w+[ \t]+(?:\"[^\"\n]*\"[ \t]+)?)?%%?(?P<name>\w)[ \t]+in\b", re.IGNORECASE)
_DO = re.compile(r"\)[ \t]*do[ \t]*", re.IGNORECASE)
_ELSE = re.compile(r"[ \t]*else[ \t]*", re.IGNORECASE)
_STARTS = re.compile(r"(?:call|start(?:[ \t]+\"[^\"\n]*\")?(?:[ \t]+/\w+)*|cmd[ \t]+/[ck])[ \t]+", re.IGNORECASE)
_FOLDER = re.compile(r"(?:cd|chdir|pushd)[ \t]+(?:/d[ \t]+)?", re.IGNORECASE)
_VALUE = re.compile(
    r"%(?:(?P<name>[A-Za-z_]\w*)%|[A-Za-z_]\w*:[^%\n]*%|~?(?P<argument>\d)|~\w+\d|%(?P<each>\w)|%~\w+)"
    r"|!(?:(?P<late>\w+)|\w+:[^!\n]*)!",
    re.ASCII,
)
_CONTINUED = re.compile(r"\^[ \t]*\r?\n[ \t]*")
_CLOSING = re.compile(r"\"(?=[ \t]*(?:[)&|\r]|\Z|$))", re.MULTILINE)
"""The quote that ends what a variable is set to, which may hold others."""
_AFTER_VALUE = re.compile(r"[ \t]*&|\)[ \t]*(?:else\b|\r?$)", re.MULTILINE)
_EXE = re.compile(r"\.exe(?=[\s\"])", re.IGNORECASE)
_SPECIAL_IN_QUOTES = '$`"'
_SPECIAL = "$`'#;(){}*?[]!~"
"""Signs that mean something to the shell alone."""
_EMPTY = re.compile(r"\"?%(?P<name>\w+)%\"?", re.ASCII)


class _Block(NamedTuple):
    """A condition or a loop that is open: the word that ends it in the shell, and what ends it here."""

    word: str
    closer: Literal[")", "\n"]


@dataclass
class _Script:
    """One pass over a batch file."""

    text: str
    out: Composition = field(default_factory=Composition)
    at: int = 0
    blocks: list[_Block] = field(default_factory=list)
    brackets: int = 0
    """How many of the blocks end with a bracket."""

    def read(self) -> Composition:
        while self.at < len(self.text):
            sign = self.text[self.at]
            if sign == "\n":
                self._end_line()
                self.at += 1
            elif sign in " \t\r@":
                self.at += 1
            elif sign == ")":
                self._close()
            elif _QUIET.match(self.text, self.at):
                self.at = self._line_end(self.at)
            else:
                before = self.at
                self._command()
                self.at = max(self.at, before + 1)
        self.out.say("".join(f"\n{block.word}\n" for block in reversed(self.blocks)))
        return self.out

    def _end_line(self) -> None:
        """The blocks that are no longer than the line."""
        while self.blocks and self.blocks[-1].closer == "\n":
            self.out.say(f"\n{self.blocks.pop().word}\n", self.at)

    def _close(self) -> None:
        place = self.at
        self.at += 1
        if not self.brackets:
            return
        self._end_line()
        self.brackets -= 1
        word = self.blocks.pop().word
        if word == "fi" and (more := _ELSE.match(self.text, self.at)) is not None:
            self.at = more.end()
            self.out.say("\nelse :\n", place)
            self._open("fi")
        else:
            self.out.say(f"\n{word}\n", place)

    def _open(self, word: str) -> None:
        """A condition or a loop, about all to the closing bracket or about the rest of the line."""
        if self.text[self.at : self.at + 1] == "(":
            self.at += 1
            self.brackets += 1
            self.blocks.append(_Block(word, ")"))
        else:
            self.blocks.append(_Block(word, "\n"))

    def _command(self) -> None:
        if (asked := _IF.match(self.text, self.at)) is not None:
            self.out.say(f"if {_condition(asked)}\nthen :\n", self.at)
            self.at = asked.end()
            self._open("fi")
        elif (each := _FOR.match(self.text, self.at)) is not None:
            self.out.say(f"for {each['name']} in {UNKNOWN} {UNKNOWN}\ndo :\n", self.at)
            do = _DO.search(self.text, each.end(), self._line_end(self.at))
            self.at = do.end() if do else self._line_end(self.at)
            self._open("done")
        elif (assigned := _SET.match(self.text, self.at)) is not None:
            self._set(assigned)
        elif (started := _STARTS.match(self.text, self.at)) is not None:
            self.at = started.end()
        elif (folder := _FOLDER.match(self.text, self.at)) is not None:
            self.out.say("cd ", self.at)
            self.at = folder.end()
            self._words()
        else:
            self._words()

    def _set(self, match: re.Match[str]) -> None:
        name, how = _shell_name(match["name"]), (match["how"] or "").lower()
        end = self._line_end(match.end())
        if match["quote"]:
            closing = _CLOSING.search(self.text, match.end(), end)
            end = closing.start() if closing else end
        elif more := _AFTER_VALUE.search(self.text, match.end(), end):
            end = more.start() if self.brackets or self.text[more.start()] != ")" else end
        while end > match.end() and self.text[end - 1] == "\r":
            end -= 1
        if how == "/p" or match["operator"] or (how and "," in self.text[match.end() : end]):
            self.out.say(f"{name}={UNKNOWN}\n", self.at)
        else:
            self.out.say(f"{name}=$((" if how else f'{name}="', self.at)
            self.at = match.end()
            while self.at < end:
                self._character(quoted=True)
            self.out.say("))\n" if how else '"\n')
        self.at = end + 1 if match["quote"] and self.text[end : end + 1] == '"' else end

    def _words(self) -> None:
        """The words of a command, to the end of its line or to what connects it with another."""
        inside, is_program = False, True
        if RESERVED.match(self.text, self.at):
            self.out.say("\\", self.at)
        while self.at < len(self.text):
            sign = self.text[self.at]
            if (continued := _CONTINUED.match(self.text, self.at)) is not None:
                self.out.say(" ", self.at)
                self.at = continued.end()
            elif sign == "\n":
                break
            elif sign == '"':
                inside = not inside
                self.out.copy('"', (self.at,))
                self.at += 1
            elif not inside and sign in "&|":
                double = self.text[self.at + 1 : self.at + 2] == sign
                self.out.say(f" {sign * 2} " if double else " | " if sign == "|" else "\n", self.at)
                self.at += 2 if double else 1
                return
            elif not inside and sign == ")" and self.brackets:
                break
            else:
                is_program = is_program and (inside or sign not in " \t")
                self._character(quoted=inside, is_program=is_program)
        self.out.say('"\n' if inside else "\n")

    def _character(self, *, quoted: bool, is_program: bool = False) -> None:
        """One character, or a variable, as the shell's."""
        sign = self.text[self.at]
        value = _VALUE.match(self.text, self.at) if sign in "%!" else None
        if value is not None:
            group = next((one for one in ("name", "late", "each", "argument") if value[one]), None)
            if group is None:
                self.out.say(UNKNOWN, self.at)
            else:
                shown = value[group] if group in ("each", "argument") else _shell_name(value[group])
                self.out.say("${", self.at)
                self.out.copy(shown, range(*value.span(group)))
                self.out.say("}", value.end() - 1)
            self.at = value.end()
            return
        if sign == "\\":
            self.out.say("\\\\" if quoted and not is_program else "/", self.at)
        elif sign == "^" and not quoted:
            self.at += 1
            self.out.say(f"\\{self.text[self.at : self.at + 1]}", self.at)
        elif sign in (_SPECIAL_IN_QUOTES if quoted else _SPECIAL):
            self.out.say(f"\\{sign}", self.at)
        elif is_program and (ending := _EXE.match(self.text, self.at)) is not None:
            self.at = ending.end() - 1
        elif sign != "\r":
            self.out.copy(sign, (self.at,))
        self.at += 1

    def _line_end(self, at: int) -> int:
        end = self.text.find("\n", at)
        return end if end >= 0 else len(self.text)


def _condition(asked: re.Match[str]) -> str:
    """What the shell is to ask: whether a variable is empty, or anything else."""
    name = None
    if asked["defined"]:
        name = asked["defined"] if asked["not"] else None
    elif asked["left"] and asked["right"] == '""' and not asked["not"]:
        empty = _EMPTY.fullmatch(asked["left"])
        name = empty["name"] if empty else None
    return f'[ -z "${{{_shell_name(name)}}}" ]' if name else "test"


def _shell_name(name: str) -> str:
    """Names mean the same in capitals and small letters."""
    return re.sub(r"[^A-Z0-9_]", "_", name.upper())


def read(source: Source) -> Iterator[Document]:
    """The commands of a batch file that have arguments, in order."""
    yield from _Script(source.text).read().documents(source)
