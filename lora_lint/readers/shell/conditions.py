"""What the condition of an `if` or of a list says of a variable: that it is empty, or that it isn't."""

import re

from lora_lint.readers.shell.events import Branch, Close, Command, Event, Open
from lora_lint.readers.shell.scope import Emptiness, Scope
from lora_lint.readers.shell.text import Text

_VALUE = r"(?P<quote>\"?)\$\{?(?P<name>[A-Za-z_]\w*)(?::?-|:\+\w+|(?P<set>\+\w+))?\}?(?P=quote)"
_NOTHING = r"(?:\"\"|'')"
_FORMS = (
    (rf"-z\s+{_VALUE}", True),
    (rf"!\s+-n\s+{_VALUE}", True),
    (rf"!\s+{_VALUE}", True),
    (rf"{_VALUE}\s+==?\s+{_NOTHING}", True),
    (rf"-n\s+{_VALUE}", False),
    (rf"!\s+-z\s+{_VALUE}", False),
    (rf"{_VALUE}\s+!=\s+{_NOTHING}", False),
    (_VALUE, False),
)
_TESTS = [(re.compile(rf"(?:\[\[?|test)\s+{form}(?:\s+\]\]?)?"), empty) for form, empty in _FORMS]
_LONGEST = 200


def emptiness(command: str) -> Emptiness | None:
    """What a whole command tests, where it's one variable alone."""
    if len(command) > _LONGEST or not command.startswith(("[", "test")):
        return None
    for test, empty in _TESTS:
        if (match := test.fullmatch(command.strip())) is not None:
            return Emptiness(match["name"], empty, match["set"] is not None)
    return None


class Asked:
    """Follows the events of a script, and tells its scope of an arm that is gone into where a variable is empty."""

    def __init__(self, scope: Scope, text: Text) -> None:
        self._scope = scope
        self._text = text
        self._after_if = False
        self._of_if = False
        """Whether the condition is all that an `if` asks."""
        self._condition: Emptiness | None = None

    def goes_on(self, event: Event) -> None:
        """Told of every event, once the list that it belongs to is open and before its own block is."""
        before, of_if, after_if = self._condition, self._of_if, self._after_if
        self._condition, self._of_if = None, False
        self._after_if = isinstance(event, Open) and event.block == "branch" and event.name == "if"
        if isinstance(event, Branch | Close):
            return
        if isinstance(event, Command) and not event.assignments:
            self._condition = emptiness(self._text.chars[event.start : event.end])
            self._of_if = after_if and not event.connector
        if event.connector in ("&&", "||"):
            holds = before is not None and before.empty == (event.connector == "&&") and self._condition is None
            self._scope.when_empty(before if holds else None)
        elif before is not None and before.empty and of_if and not event.connector:
            self._scope.when_empty(before)
