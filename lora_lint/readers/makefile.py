"""Makefiles: recipes as shell, with make's own variables put into the shell's words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lora_lint.document import Document, Source, Span
from lora_lint.readers.composition import Composition

_VARIABLE = re.compile(
    r"[ ]*(?:(?:export|override|private)[ \t]+)*(?P<name>[A-Za-z_][\w.-]*)[ \t]*"
    r"(?P<operator>::?:?=|\?=|\+=|!=|=)[ \t]*(?P<value>.*)",
    re.DOTALL,
)
_CONDITION = re.compile(r"[ ]*(?:ifeq|ifneq|ifdef|ifndef)\b")
_CONDITION_ENDS = re.compile(r"[ ]*(?P<word>else|endif)\b")
_DEFINE = re.compile(r"[ ]*(?:(?:export|override)[ \t]+)?define\b")
_END_OF_DEFINE = re.compile(r"[ ]*endef\b")
_PREFIX = re.compile(r"[ \t]*[@+-]*[ \t]*")
_COMMENT = re.compile(r"(?<!\\)#")
_MAKE_ONLY = "`\"'\\"
_DOLLAR = re.compile(
    r"\$(?:(?P<own>\$)|\((?P<name>[\w.-]+)\)|\{(?P<braced>[\w.-]+)\}|(?P<call>[({])|(?P<letter>[^\s])|)|\\\r?\n"
)
_NOT_IN_NAME = re.compile(r"[^\w]", re.ASCII)


@dataclass
class _Script:
    """The variables of a Makefile, then its recipes, each in a shell of its own."""

    source: Source
    variables: Composition = field(default_factory=Composition)
    recipes: Composition = field(default_factory=Composition)
    open_conditions: int = 0
    own: dict[str, list[tuple[re.Match[str], int]]] = field(default_factory=dict)
    """The variables that only a target has, and where the line of each begins."""
    in_target: bool = False

    def line(self, span: Span) -> None:
        """A line that belongs to no recipe."""
        text = self.source.text[slice(*span)]
        if _CONDITION.match(text):
            self.open_conditions += 1
            self.variables.say("if test; then :\n", span.start)
        elif (ends := _CONDITION_ENDS.match(text)) is not None:
            if self.open_conditions:
                self.variables.say("else :\n" if ends["word"] == "else" else "fi\n", span.start)
                self.open_conditions -= ends["word"] == "endif"
        elif (match := _VARIABLE.match(text)) is not None:
            self.assignment(self.variables, match, span.start)

    def assignment(self, script: Composition, match: re.Match[str], start: int) -> None:
        name, operator = _shell_name(match["name"]), match["operator"]
        end = len(match["value"])
        if (comment := _COMMENT.search(match["value"])) is not None:
            end = comment.start()
        first = start + match.start("value")
        value = Span(first, first + len(match["value"][:end].rstrip()))
        opening = {"?=": f'{name}="${{{name}:-', "+=": f'{name}+=" ', "!=": f'{name}="$(:)'}.get(operator, f'{name}="')
        script.say(opening, start + match.start("name"))
        self._copy(script, value, quoted=True)
        script.say('}"\n' if operator == "?=" else '"\n')

    def rule(self, span: Span, colon: int) -> None:
        """A line with a colon: a variable of its targets, or what they need, with a recipe behind a semicolon."""
        text = self.source.text[slice(*span)]
        targets = text[:colon].split()
        rest = text[colon:].lstrip(":")
        start = span.end - len(rest)
        variable = _VARIABLE.match(rest.lstrip())
        self.end_rule()
        if variable is not None:
            for target in targets:
                self.own.setdefault(target, []).append((variable, span.end - len(rest.lstrip())))
            return
        self.in_target = True
        self.recipes.say("(\n", span.start)
        for target in targets:
            for match, at in self.own.pop(target, ()):
                self.assignment(self.recipes, match, at)
        if (recipe := rest.find(";")) >= 0:
            self.recipe(Span(start + recipe + 1, span.end))

    def end_rule(self) -> None:
        if self.in_target:
            self.recipes.say("\n)\n")
        self.in_target = False

    def recipe(self, span: Span) -> None:
        prefix = _PREFIX.match(self.source.text, span.start, span.end)
        start = prefix.end() if prefix else span.start
        self.recipes.say("(\n", start)
        self._copy(self.recipes, Span(start, span.end), quoted=False)
        self.recipes.say("\n)\n")

    def _copy(self, script: Composition, span: Span, *, quoted: bool) -> None:
        """Make's text as the shell's; between the quotes of an assignment the characters that end them are left out."""
        text = self.source.text
        end = span.start
        for match in _DOLLAR.finditer(text, *span):
            if match.start() < end:
                continue
            self._plain(script, Span(end, match.start()), quoted=quoted)
            end = match.end()
            name = match["name"] or match["braced"]
            if match[0].startswith("\\"):
                script.copy(
                    " " if quoted else match[0], range(match.start(), match.start() + (1 if quoted else len(match[0])))
                )
            elif match["own"]:
                script.copy("$", (match.start(),))
            elif name:
                script.copy("${", range(match.start(), match.start() + 2))
                script.copy(_shell_name(name), range(match.start() + 2, match.end() - 1))
                script.copy("}", (match.end() - 1,))
            elif match["call"] or match["letter"]:
                if match["call"]:
                    end = _closed(text, match.end(), span.end, ")" if match["call"] == "(" else "}")
                script.say("${_", match.start())
                script.say("}", end - 1)
        self._plain(script, Span(end, span.end), quoted=quoted)

    def _plain(self, script: Composition, span: Span, *, quoted: bool) -> None:
        text = self.source.text[slice(*span)]
        if quoted and any(sign in text for sign in _MAKE_ONLY):
            for at, character in enumerate(text, span.start):
                if character not in _MAKE_ONLY:
                    script.copy(character, (at,))
        else:
            script.copy(text, range(*span))


def read(source: Source) -> Iterator[Document]:
    """The commands of a Makefile's recipes."""
    script = _Script(source)
    in_rule = in_define = False
    for span in _lines(source):
        text = source.text[slice(*span)]
        if in_define:
            in_define = _END_OF_DEFINE.match(text) is None
        elif in_rule and text.startswith("\t"):
            script.recipe(span)
        elif not text.strip() or text.lstrip().startswith("#"):
            continue
        elif _DEFINE.match(text):
            in_define = True
        elif _CONDITION.match(text) or _CONDITION_ENDS.match(text):
            if not in_rule:
                script.line(span)
        elif not _VARIABLE.match(text) and (colon := _colon(text)) >= 0:
            in_rule = True
            script.rule(span, colon)
        else:
            in_rule = False
            script.line(span)
    script.end_rule()
    script.variables.say("fi\n" * script.open_conditions)
    script.variables.add(script.recipes)
    yield from script.variables.documents(source)


def _colon(text: str) -> int:
    """Where the colon stands that ends the targets of a rule, outside of references to variables, or -1."""
    level = 0
    for at, sign in enumerate(text):
        if sign in "({":
            level += 1
        elif sign in ")}":
            level -= 1
        elif sign == ":" and level <= 0:
            return at
        elif sign in "#=" and level <= 0:
            return -1
    return -1


def _lines(source: Source) -> Iterator[Span]:
    """The lines, each with those it is continued on, without the last line end."""
    starts = [*source.line_starts, len(source.text) + 1]
    first = 0
    for line in range(len(source.line_starts)):
        end = starts[line + 1] - 1
        text = source.text[starts[line] : end].rstrip("\r")
        if text.endswith("\\") and line + 1 < len(source.line_starts):
            continue
        yield Span(starts[first], starts[line] + len(text))
        first = line + 1


def _shell_name(name: str) -> str:
    return _NOT_IN_NAME.sub("_", name)


def _closed(text: str, at: int, end: int, closer: str) -> int:
    """Past the bracket that ends a call of one of make's functions."""
    level = 1
    opener = "(" if closer == ")" else "{"
    while at < end:
        level += (text[at] == opener) - (text[at] == closer)
        at += 1
        if level == 0:
            return at
    return end
