"""Lists and texts that Python code puts together under names, up to the command that is run."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from lora_lint.expression import dotted
from lora_lint.readers.python.command_script import CommandScript
from lora_lint.readers.python.command_words import added, has_flag, is_option, is_text, is_words, split_text, variable
from lora_lint.readers.python.scopes import Scope, Use


@dataclass(eq=False)
class Part:
    """A list of words, or a text; one without a name is run where it stands."""

    name: str
    node: ast.expr
    scope: Scope
    level: int
    """How many conditions it is made under."""
    before: "Part | None" = None
    """What the name stood for until then."""
    text: list[tuple[ast.expr, Use]] | None = None
    """The terms of a text, None for a list."""
    runs: bool = False
    """Whether it is a command with flags of LoRA's, which somebody will run even where nobody is seen to."""
    told: int = 0
    """The number of terms with which it was run, or became a part of another list."""
    open: bool = False
    """Whether words come in that aren't written in the file."""
    ranges: list[tuple[int, int]] = field(default_factory=list)
    """Where the script runs it."""


@dataclass(eq=False)
class Parts:
    """What one piece of code puts together, a list as an array of the script; `level` counts the conditions around."""

    script: CommandScript
    named: dict[str, Part] = field(default_factory=dict)
    made: list[Part] = field(default_factory=list)
    branches: dict[str, list[Part]] = field(default_factory=dict)
    """What branches made, by name."""
    level: int = 0
    done: set[ast.AST] = field(default_factory=set)
    """Lists and texts that were said."""

    def known(self, node: ast.expr | None, use: Use) -> Part | None:
        """What was put together under a name, unless the name means something else here."""
        part = self.named.get(dotted(node) or "") if node is not None else None
        if part is None or part.scope is use.scope or "." in part.name:
            return part
        return part if part.scope in use.scope.chain() and part.name not in use.scope.bindings else None

    def is_list(self, node: ast.expr, use: Use) -> bool:
        """Whether it is a list of words, or several added of which one is."""
        for term in added(node):
            other, text = self.known(term, use), split_text(term)
            if is_words(term) or (text is not None and is_text(text)) or (other is not None and other.text is None):
                return True
        return False

    def make(self, target: ast.expr, value: ast.expr, use: Use) -> None:
        """A name stands for a list or a text from now on; what it stood for is run first, unless it goes on."""
        before = self.known(target, use)
        if before is not None:
            goes_on = any(dotted(term) == before.name for term in added(value))
            if not goes_on:
                self.tell(before)
        part = Part(dotted(target) or "", value, use.scope, self.level, before)
        self.made.append(part)
        if self.is_list(value, use):
            self._array(f"{variable(part.name)}=( ", part, value, use)
        else:
            part.text = []
            self._add_text(part, value, use)
        self.named[part.name] = part

    def grow(self, part: Part, value: ast.expr, use: Use) -> None:
        """What is added to a list or a text."""
        if part.text is None:
            self._array(f"{variable(part.name)}+=( ", part, value, use)
        elif self.level > part.level:
            part.open = True
        else:
            self._add_text(part, value, use)
        self.done.update(added(value))

    def _add_text(self, part: Part, value: ast.expr, use: Use) -> None:
        terms = part.text or []
        for term in added(value):
            other = self.known(term, use)
            if other is not None and other.text is not None:
                other.told = len(other.text)
                terms = [*terms, *other.text]
            else:
                terms = [*terms, (term, use)]
        part.text = terms
        part.runs = _is_command([term for term, _ in part.text])
        self.done.update(added(value))

    def _array(self, opening: str, part: Part, value: ast.expr, use: Use) -> None:
        self.script.say(opening, value)
        self._words(part, value, use)
        self.script.say(")\n")

    def _words(self, part: Part, node: ast.expr, use: Use) -> None:
        """The words of a list, or of several that are added."""
        for term in added(node):
            self.done.add(term)
            other, text = self.known(term, use), split_text(term)
            if isinstance(term, ast.List | ast.Tuple):
                part.runs = part.runs or (has_flag(term.elts) and not is_option(part.node))
                self._elements(part, term, use)
            elif text is not None and is_text(text):
                part.runs = part.runs or (has_flag([text]) and not is_option(text))
                self.done.add(text)
                self.script.run([(text, use)], split=True)
                self.script.say(" ")
            elif other is not None and other.text is None:
                part.runs, part.open = part.runs or other.runs, part.open or other.open
                other.told = 1
                self.script.say(f'"${{{variable(other.name)}[@]}}" ', term)
            else:
                part.open = True

    def _elements(self, part: Part, node: ast.List | ast.Tuple, use: Use) -> None:
        for at, word in enumerate(node.elts):
            if not isinstance(word, ast.Starred):
                self.script.word(word, use)
            elif at == 0 and node is part.node and not self.is_list(word.value, use):
                part.open = True
                self.script.word(word.value, use)
            else:
                self._words(part, word.value, use)

    def run(self, part: Part, at: ast.expr, *, split: bool = False) -> None:
        """A line of the script that runs a list or a text; a text that nothing was added to is run once."""
        terms = len(part.text) if part.text is not None else 1
        if part.text is not None and part.told == terms:
            return
        part.told = terms
        start = len(self.script)
        if part.text is None:
            self.script.say(f'"${{{variable(part.name)}[@]}}"\n', at)
        else:
            self.script.run(part.text, split=split)
            self.script.say("\n")
        part.ranges.append((start, len(self.script)))

    def run_list(self, node: ast.expr, use: Use, before: str = "") -> None:
        """A list that is run where it stands, behind the words of `before`."""
        part = Part("", node, use.scope, self.level)
        self.made.append(part)
        start = len(self.script)
        self.script.say(before, node)
        self._words(part, node, use)
        self.script.say("\n")
        part.runs = False
        part.ranges.append((start, len(self.script)))

    def run_text(self, node: ast.expr, use: Use) -> None:
        if not self.done.issuperset(added(node)):
            self.done.update(added(node))
            self.script.run([(node, use)])
            self.script.say("\n")

    def tell(self, part: Part) -> None:
        """Run a command that nobody was seen to run."""
        if part.runs and not part.told:
            self.run(part, part.node)

    def branched(self, first: int) -> None:
        """A branch ends: its commands were run there; the words of a launcher may be gone on with."""
        for part in reversed(self.made[first:]):
            if self.named.get(part.name) is not part:
                continue
            if part.text is None and not part.runs:
                part.level = self.level
                continue
            del self.named[part.name]
            self.branches.setdefault(part.name, []).append(part)
            if part.before is not None:
                part.before.open = True
                self.named[part.name] = part.before


def _is_command(terms: Sequence[ast.expr]) -> bool:
    """Whether the terms of a text are a command of LoRA's that values are put into."""
    formatted = any(isinstance(term, ast.JoinedStr) for term in terms)
    return formatted and has_flag(terms) and all(map(is_text, terms)) and not is_option(terms[0])
