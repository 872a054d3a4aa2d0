"""Shell commands inside strings: the usage that a script's docstring shows."""

import re
from collections.abc import Iterator

from lora_lint.document import Document, Source, Span
from lora_lint.embedding import read_inside

MAX_COMMANDS = 50

_COMMAND = re.compile(r"^[ \t]*(?:[$>] )?(?P<command>(?:[^\n]*\\\r?\n)*[^\n]*)", re.MULTILINE)
_FLAG = re.compile(r"--?[\w.-]*(?:lora|peft)", re.IGNORECASE)


def usages(source: Source, span: Span) -> Iterator[Document]:
    """The commands with LoRA flags in the part of a file that a string covers; each is worth a note at most.

    Prose around them isn't read: an apostrophe in it would open a quote. A backslash at the end of a line continues the
    command, whatever it means to Python.
    """
    if not _FLAG.search(source.text, *span):
        return
    count = 0
    for match in _COMMAND.finditer(source.text, *span):
        command = match["command"]
        if _FLAG.search(command) and count < MAX_COMMANDS:
            count += 1
            places = range(match.start("command"), match.end("command"))
            yield from read_inside(source, command, places, "shell", example=True)
