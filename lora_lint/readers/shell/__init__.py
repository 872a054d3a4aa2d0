"""Shell scripts: one document per command, its variables resolved as far as the script itself tells."""

from collections.abc import Iterator

from lora_lint.document import Document, Source, Span
from lora_lint.readers.shell.events import Command
from lora_lint.readers.shell.parser import Parser
from lora_lint.readers.shell.scope import ExhaustedError
from lora_lint.readers.shell.script import Script
from lora_lint.readers.shell.strings import SCRIPT_NAME, target
from lora_lint.readers.shell.text import Text
from lora_lint.readers.shell.tokens import Lexer


def read(source: Source) -> Iterator[Document]:
    """The commands of a shell script that have arguments, in order, with those in heredocs and strings."""
    script = Script(source)
    try:
        yield from script.read(Text(source.text, range(len(source.text))), 0)
        yield from script.read_unused()
    except ExhaustedError:
        return


def embedded(source: Source) -> Iterator[tuple[str, Span]]:
    """The files that here-documents of the script write: the name as written, and where the body stands."""
    if "<<" not in source.text:
        return
    for event in Parser(Lexer(source.text)).events():
        if isinstance(event, Command) and event.heredocs:
            name = target(event)
            body = event.heredocs[-1]
            if name and not SCRIPT_NAME.search(name):
                yield name, Span(body.start, body.end)
