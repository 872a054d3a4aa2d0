"""Calls in Python code as documents; a function that only hands rank and alpha on speaks through its callers."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal

from lora_lint.document import Document, Entry, Path, Source, Span, Unknown
from lora_lint.expression import Expression
from lora_lint.readers.python.arguments import ALPHAS, Arguments, Binder, Place
from lora_lint.readers.python.assigned import Assigned
from lora_lint.readers.python.copies import copies
from lora_lint.readers.python.declared import Declared
from lora_lint.readers.python.index import Index, type_of
from lora_lint.readers.python.lines import Lines, Located
from lora_lint.readers.python.names import Resolver
from lora_lint.readers.python.scopes import Class, Function
from lora_lint.readers.python.values import Value, is_dict_call

MAX_DOCUMENTS = 2_000
"""Four times what the largest test file of PEFT holds."""
MAX_WRAPPERS = 3
"""Functions that may hand rank and alpha on to each other before the LoRA call."""

Role = Literal["plain", "settled", "partial", "full"]
"""How much of rank and alpha is for the callers of the function around: nothing, their size, one of them, or both."""


@dataclass(eq=False)
class Calls:
    """The documents of one piece of code."""

    source: Source
    found: Index
    lines: Lines
    example: bool
    binder: Binder = field(init=False)
    declared: Declared = field(init=False)
    wrapping: set[Function] = field(default_factory=set)
    """Functions whose calls are documents of the LoRA call inside, or say nothing that the call inside doesn't."""

    def __post_init__(self) -> None:
        self.binder = Binder(self.found, Resolver(self.found, self.lines, self.found.module))
        self.declared = Declared(self.found, self.binder.resolver)

    def documents(self) -> list[Document]:
        """All documents, in the order of the text."""
        made: list[Document] = []
        direct: list[tuple[Place, Arguments]] = []
        places = [Place(*item) for item in self.found.interesting[:MAX_DOCUMENTS]]
        copied = self._copies(places, made)
        for place in places:
            if place.node in copied:
                continue
            arguments = self.binder.evaluate([place])
            role, function = _role(arguments)
            if function is not None:
                self.wrapping.add(function)
                if role != "settled":
                    wrapped = self._wrapped([place], function, defaults=role == "full")
                    made += islice(wrapped, MAX_DOCUMENTS - len(made))
            if role != "full":
                direct.append((place, arguments))
        made += [self._document(*call) for call in direct if self._speaks(*call)]
        made += [self._declaration(*one) for one in islice(self.declared.values(), MAX_DOCUMENTS)]
        assigned = Assigned(self.found, self.binder.resolver, self.declared.read)
        made += [self._declaration(*one, default=False) for one in self.declared.constants()]
        made += [
            self._declaration(f"assigned to {owner}", node, values, default=False)
            for owner, node, values in islice(assigned.values(), MAX_DOCUMENTS)
        ]
        return sorted(made, key=lambda document: document.span)[:MAX_DOCUMENTS]

    def _copies(self, places: list[Place], made: list[Document]) -> set[ast.expr]:
        """Add the documents of copies with other values, and say which calls are only there to be copied."""
        only: set[ast.expr] = set()
        for copy in copies(self.binder, places):
            document = self._document(copy.place, copy.arguments)
            document.callee = self.binder.callee(copy.original)
            made.append(document)
            name, scope = copy.name, copy.place.use.scope
            again = any(binding.value is copy.place.node for binding in scope.bindings.get(name, ()))
            if again or self.found.loads[name] == 1:
                only.add(copy.original.node)
        return only

    def _speaks(self, place: Place, arguments: Arguments) -> bool:
        """Whether a call is a document of its own, not a part or an echo of another one."""
        node = place.node
        if isinstance(node, ast.Call) and not is_dict_call(node):
            target = self.binder.target(place)
            return target is None or target.function not in self.wrapping
        consumed = self.binder.resolver.consumed
        if any((node, key) in consumed for key in ("**", *ALPHAS)):
            return False
        if isinstance(node, ast.Call) or type_of(node) is not None:
            return True
        return _is_number(arguments.rank) and _is_number(arguments.alpha)

    def _wrapped(self, chain: Sequence[Place], function: Function, *, defaults: bool) -> Iterator[Document]:
        """The documents of the first call of `chain`: one for the defaults of `function`, one for each call of it."""
        if defaults:
            yield from self._by_default(chain, function)
        if len(chain) > MAX_WRAPPERS:
            return
        for caller in self._callers(function):
            longer = [*chain, caller]
            arguments = self.binder.evaluate(longer)
            role, outer = _role(arguments)
            if outer is not None and outer not in self.wrapping:
                self.wrapping.add(outer)
                if role != "settled":
                    yield from self._wrapped(longer, outer, defaults=role == "full")
            if role != "full":
                yield self._document(caller, arguments, through=self.binder.callee(chain[0]))

    def _callers(self, function: Function) -> Iterator[Place]:
        for name in sorted({function.name, _title(function)}):
            for call in self.found.calls.get(name, ()):
                place = Place(*call)
                self.binder.resolver.steps -= 1
                if self.binder.resolver.steps < 0:
                    return
                target = self.binder.target(place)
                if target is not None and target.function is function:
                    yield place

    def _by_default(self, chain: Sequence[Place], function: Function) -> Iterator[Document]:
        """What a wrapper does when it is called without rank and alpha."""
        arguments = self.binder.evaluate(chain, self.binder.defaults(function))
        rank, alpha = arguments.rank, arguments.alpha
        if rank is None or alpha is None or not (rank.default and alpha.default) or function.node is None:
            return
        if _is_number(rank) and _is_number(alpha):
            start = self.lines.offset(function.node.lineno, function.node.col_offset)
            end = self.source.text.find("\n", start)
            document = self._document(chain[0], arguments, through=self.binder.callee(chain[0]))
            document.callee, document.span = _title(function), Span(start, end if end >= 0 else len(self.source.text))
            yield document

    def _declaration(
        self, title: str, node: ast.expr | ast.ClassDef, values: Mapping[str, Value], *, default: bool = True
    ) -> Document:
        """A class or a parser whose defaults are a rank and an alpha, or a thing that they are assigned to."""
        start = self.lines.offset(node.lineno, node.col_offset)
        end = self.source.text.find("\n", start)
        span = Span(start, end if end >= 0 else len(self.source.text))
        return Document(
            self.source,
            "python",
            {name: value.data for name, value in values.items()},
            span,
            lambda: {(): Entry(span)} | {(name,): _entry(value, self.lines) for name, value in values.items()},
            callee=title,
            defaults=frozenset((name,) for name in values if default),
            example=self.example,
        )

    def _document(self, place: Place, arguments: Arguments, *, through: str = "") -> Document:
        lines = self.lines
        self.declared.note(through or self.binder.callee(place), place, arguments)
        values = {name: _told(value) if through else value for name, value in arguments.values.items()}
        span = lines.span(place.node)
        head = place.node.func if isinstance(place.node, ast.Call) and not through else None

        def locate() -> Mapping[Path, Entry]:
            entries = {path: _entry(value, lines) for path, value in _paths(values.items())}
            entries[()] = Entry(document.span, key=lines.span(head) if head is not None else None)
            return entries

        named = [(path, value) for path, value in _paths(values.items()) if value.default or value.symbol is not None]
        document = Document(
            self.source,
            "python",
            {name: value.data for name, value in values.items()},
            span,
            locate,
            callee=self.binder.callee(place),
            through=through,
            scope=_around(place),
            words=("**",) if arguments.open else (),
            defaults=frozenset(path for path, value in named if value.default),
            expressions={path: Expression(lines.code(value.at), value.symbol) for path, value in named if value.symbol},
            example=self.example,
        )
        return document


def _role(arguments: Arguments) -> tuple[Role, Function | None]:
    """How rank and alpha of a call depend on the parameters of a function around it."""
    rank, alpha = arguments.rank, arguments.alpha
    free = [value for value in (rank, alpha) if value is not None and value.free]
    if rank is None or not free or not all(value.parameters for value in free):
        return "plain", None
    functions = {function for value in free for function, _ in value.parameters}
    if len(functions) > 1:
        return "plain", None
    function = functions.pop()
    if len(free) == 2:
        return ("settled" if free[0].parameters == free[1].parameters else "full"), function
    other = alpha if free[0] is rank else rank
    return ("plain", None) if other is not None and isinstance(other.data, Unknown) else ("partial", function)


def _around(place: Place) -> str:
    """The functions and classes that a call stands in, the outermost first."""
    names = [scope.name for scope in place.use.scope.chain() if scope.kind == "function"]
    return ".".join(reversed(names))


def _title(function: Function) -> str:
    """What callers call a function: a constructor by its class."""
    around = function.scope.parent.owner if function.scope.parent is not None else None
    return around.node.name if function.name == "__init__" and isinstance(around, Class) else function.name


def _told(value: Value) -> Value:
    """A value of a call that was reached through a wrapper; what its caller didn't give is for other callers too."""
    return value if value.given else replace(value, literal=None)


def _is_number(value: Value | None) -> bool:
    if value is None:
        return False
    return value.symbol is not None or (isinstance(value.data, int | float) and not isinstance(value.data, bool))


def _paths(values: Iterable[tuple[str | int, Value]]) -> Iterator[tuple[Path, Value]]:
    pending: list[tuple[Path, Value]] = [((name,), value) for name, value in values]
    while pending:
        path, value = pending.pop()
        yield path, value
        pending += [((*path, name), item) for name, item in value.items or ()]


def _entry(value: Value, lines: Lines) -> Entry:
    return Entry(
        lines.span(value.at),
        key=_key(value.key, lines) if value.key is not None else None,
        literal=lines.span(value.literal) if value.literal is not None else None,
        origin=lines.span(value.origin) if value.origin is not None else None,
    )


def _key(node: Located, lines: Lines) -> Span:
    """The node of a keyword covers its value, that of a parameter its annotation; the name alone is the key."""
    name = getattr(node, "arg", None)
    if not isinstance(name, str):
        return lines.span(node)
    start = lines.offset(node.lineno, node.col_offset)
    return Span(start, start + len(name))
