"""Pickles read as the programs that they are: their values are followed by name, and nothing is imported or called."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

from lora_lint.document import UnreadableError

MOST_OPCODES = 2_000_000
"""torch.save writes some forty for each tensor."""

_EXECUTES = frozenset(
    (
        *("os", "posix", "nt", "subprocess", "commands", "sys", "runpy", "pty", "socket", "shutil", "importlib"),
        *("webbrowser", "code", "bdb", "pdb", "timeit", "ctypes", "multiprocessing", "asyncio", "urllib", "pip"),
    )
)
"""Modules that no file of weights has a use for; `commands` is what protocol 2 calls functions of `subprocess`."""
_OF_BUILTINS = frozenset(
    ("eval", "exec", "compile", "open", "getattr", "setattr", "delattr", "__import__", "globals", "breakpoint", "input")
)


class Global(NamedTuple):
    """A class or function that unpickling would import."""

    module: str
    name: str


class Call(NamedTuple):
    """What unpickling would call, and with what."""

    function: object
    arguments: object


class Persistent(NamedTuple):
    """A value that is kept outside of the pickle; torch's storages are."""

    id: object


_MARK = object()
_PUSHES = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NEW: dict[str, Callable[[], object]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
    "EMPTY_TUPLE": tuple,
}
_SILENT = frozenset(("PROTO", "FRAME"))
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def follow(stream: BytesIO, rebuild: Callable[[Call], object]) -> object:
    """The value that the next pickle in a stream stands for; `rebuild` says what a call gives, by itself as it is.

    Raises:
        UnreadableError: when it is cut off, no pickle, or names something that runs a program.
    """
    from pickletools import genops

    machine = _Machine(rebuild)
    count = 0
    try:
        for opcode, argument, _ in genops(stream):
            machine.step(opcode.name, argument)
            count += 1
            if count > MOST_OPCODES:
                raise UnreadableError(f"is not read: a pickle of more than {MOST_OPCODES} steps")
        return machine.stack[-1]
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, AttributeError, RecursionError) as error:
        said = str(error).partition("\n")[0][:100]
        raise UnreadableError(f"is no pickle that torch writes: {said or type(error).__name__}") from None


@dataclass(slots=True)
class _Machine:
    """The stack, the marks on it and the memo of an unpickler."""

    rebuild: Callable[[Call], object]
    stack: list[Any]
    memo: dict[Any, object]

    def __init__(self, rebuild: Callable[[Call], object]) -> None:
        self.rebuild, self.stack, self.memo = rebuild, [], {}

    def step(self, name: str, argument: Any) -> None:
        push = self.stack.append
        if name in _PUSHES:
            push(argument)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            push(self.memo[argument])
        elif name in _CONSTANTS:
            push(_CONSTANTS[name])
        elif name in _NEW:
            push(_NEW[name]())
        elif name in _SHORT_TUPLES:
            push(tuple(self._taken(_SHORT_TUPLES[name])))
        elif name == "MARK":
            push(_MARK)
        elif name not in _SILENT and name != "STOP":
            self._step(name, argument)

    def _taken(self, count: int) -> list[Any]:
        """The values on top of the stack, taken off it."""
        if len(self.stack) < count or any(value is _MARK for value in self.stack[-count:]):
            raise ValueError("too few values for an operation")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def _marked(self) -> list[Any]:
        """The values above the last mark, taken off the stack with it."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("a mark is missing")
        taken = self.stack[at + 1 :]
        del self.stack[at:]
        return taken

    def _step(self, name: str, argument: Any) -> None:
        """The rarer steps: what makes mappings, lists and objects."""
        if name in ("GLOBAL", "STACK_GLOBAL"):
            named = argument.split(" ", 1) if name == "GLOBAL" else self._taken(2)
            self.stack.append(_checked(_global(*named)))
        elif name in ("BINPERSID", "PERSID"):
            self.stack.append(Persistent(self._taken(1)[0] if name == "BINPERSID" else argument))
        elif name in ("REDUCE", "NEWOBJ"):
            self.stack.append(self.rebuild(Call(*self._taken(2))))
        elif name == "NEWOBJ_EX":
            function, arguments, _ = self._taken(3)
            self.stack.append(self.rebuild(Call(function, arguments)))
        elif name == "INST":
            arguments = tuple(self._marked())
            self.stack.append(self.rebuild(Call(_checked(_global(*argument.split(" ", 1))), arguments)))
        elif name == "OBJ":
            function, *given = self._marked()
            self.stack.append(self.rebuild(Call(function, tuple(given))))
        elif name in ("TUPLE", "LIST", "FROZENSET", "DICT"):
            self._collect(name, self._marked())
        elif name in ("SETITEM", "SETITEMS"):
            _set(self._taken(2) if name == "SETITEM" else self._marked(), self.stack[-1])
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            values = self._taken(1) if name == "APPEND" else self._marked()
            if isinstance(self.stack[-1], list):
                self.stack[-1].extend(values)
        elif name in ("BUILD", "POP"):
            self._taken(1)  # an object's state says nothing here
        elif name == "POP_MARK":
            self._marked()
        elif name == "DUP":
            self.stack.append(self.stack[-1])
        else:
            raise ValueError(f"{name} isn't what torch writes")

    def _collect(self, name: str, values: list[Any]) -> None:
        if name == "DICT":
            found: dict[Any, Any] = {}
            _set(values, found)
            self.stack.append(found)
        else:
            self.stack.append(tuple(values) if name == "TUPLE" else values)


def _set(values: list[Any], target: object) -> None:
    if isinstance(target, dict):
        for key, value in zip(values[::2], values[1::2], strict=True):
            if isinstance(key, str | int | float | bytes):
                target[key] = value


def _global(module: object, name: object) -> Global:
    if not isinstance(module, str) or not isinstance(name, str):
        raise TypeError("a class without a name")
    return Global(module, name)


def _checked(named: Global) -> Global:
    """The same name, where it is none that only an attack has in weights."""
    top = named.module.partition(".")[0]
    if top in _EXECUTES or (top in ("builtins", "__builtin__") and named.name in _OF_BUILTINS):
        raise UnreadableError(f"names {'.'.join(named)[:80]}, which loading it would run")
    return named
