"""Calls in Python code as documents; a function that only hands rank and alpha on speaks through its callers."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Literal

from lora_lint.document import Document, Source, Unknown
from lora_lint.readers.python.arguments import ALPHAS, Arguments, Binder, Place
from lora_lint.readers.python.assigned import Assigned, is_bare
from lora_lint.readers.python.companions import Companions
from lora_lint.readers.python.copies import copies
from lora_lint.readers.python.declared import Declared
from lora_lint.readers.python.documents import Documents
from lora_lint.readers.python.index import Index, type_of
from lora_lint.readers.python.lines import Lines
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
    assigned: Assigned = field(init=False)
    declared: Declared = field(init=False)
    made: Documents = field(init=False)
    companions: Companions = field(init=False)
    wrapping: set[Function] = field(default_factory=set)
    """Functions whose calls are documents of the LoRA call inside, or say nothing that the call inside doesn't."""

    def __post_init__(self) -> None:
        self.binder = Binder(self.found, Resolver(self.found, self.lines, self.found.module))
        self.assigned = Assigned(self.found, self.binder.resolver)
        self.declared = Declared(self.found, self.binder.resolver, self.assigned.places)
        self.made = Documents(self.source, self.lines, self.binder, self.example)
        self.companions = Companions(self.found, self.binder, self.made)

    def documents(self) -> list[Document]:
        """All documents, in the order of the text."""
        made: list[Document] = []
        places = [Place(*item) for item in self.found.interesting[:MAX_DOCUMENTS]]
        copied = self._copies(places, made)
        direct = self._direct([place for place in places if place.node not in copied], made)
        assigned = self._evaluated(self.assigned.places[:MAX_DOCUMENTS])
        made += [self._document(*call) for call in direct if self._speaks(*call)]
        said = [call for call in assigned if self.assigned.speaks(*call, self.declared.read)]
        direct = self._direct([place for place, _ in said], made)
        made += [self._document(*call) for call in direct if not (is_bare(call[1].rank) and is_bare(call[1].alpha))]
        made += [self.made.of_declaration(*one) for one in islice(self.declared.values(), MAX_DOCUMENTS)]
        made += [self.made.of_declaration(*one, default=False) for one in self.declared.constants()]
        return sorted(made, key=lambda document: document.span)[:MAX_DOCUMENTS]

    def _evaluated(self, places: list[Place]) -> list[tuple[Place, Arguments]]:
        """Calls with their arguments; the functions that only hand those on are noted."""
        found = [(place, self.binder.evaluate([place])) for place in places]
        functions = (_role(arguments)[1] for _, arguments in found)
        self.wrapping.update(function for function in functions if function is not None)
        return found

    def _direct(self, places: list[Place], made: list[Document]) -> list[tuple[Place, Arguments]]:
        """The calls that speak for themselves; for the others the documents of their callers are added."""
        direct: list[tuple[Place, Arguments]] = []
        for place in places:
            arguments = self.binder.evaluate([place])
            role, function = _role(arguments)
            if function is not None:
                self.wrapping.add(function)
                if role != "settled":
                    wrapped = self._wrapped([place], function, defaults=role == "full")
                    told = len(made)
                    made += islice(wrapped, MAX_DOCUMENTS - len(made))
                    if role == "full" and told == len(made) and self._is_asked_for(place, function):
                        role = "plain"
            if role != "full":
                direct.append((place, arguments))
        return direct

    def _is_asked_for(self, place: Place, function: Function) -> bool:
        """Whether whoever calls a function has to say the rank; where nobody does here, its call is all there is."""
        rank = self.binder.evaluate([place], self.binder.defaults(function)).rank
        return rank is not None and not rank.default and isinstance(rank.data, Unknown)

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
        rank, alpha = arguments.rank, arguments.alpha
        if isinstance(arguments.values.get("lora_parameters"), Value):
            return True
        return _is_number(rank) and (_is_number(alpha) or (alpha is None and not (rank and rank.free)))

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
            if role != "full" and not _is_off(arguments):
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
        if _is_number(rank) and _is_number(alpha) and not _is_off(arguments):
            document = self._document(chain[0], arguments, through=self.binder.callee(chain[0]))
            document.callee, document.span = _title(function), self.made.line(function.node)
            yield document

    def _document(self, place: Place, arguments: Arguments, *, through: str = "") -> Document:
        self.declared.note(through or self.binder.callee(place), place, arguments)
        document = self.made.of_call(place, arguments, through=through)
        document.alongside = partial(self.companions.of, place)
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


def _title(function: Function) -> str:
    """What callers call a function: a constructor by its class."""
    around = function.scope.parent.owner if function.scope.parent is not None else None
    return around.node.name if function.name == "__init__" and isinstance(around, Class) else function.name


def _is_off(arguments: Arguments) -> bool:
    """Whether the rank of a wrapper is left at a default of 0, which the wrapper takes for no LoRA at all."""
    rank = arguments.rank
    return rank is not None and rank.default and rank.symbol is None and rank.data == 0


def _is_number(value: Value | None) -> bool:
    if value is None:
        return False
    return value.symbol is not None or (isinstance(value.data, int | float) and not isinstance(value.data, bool))
