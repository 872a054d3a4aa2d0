"""Shell scripts: one document per command, its variables resolved as far as the script itself tells."""

from collections.abc import Iterator

from lora_lint.document import Document, Source
from lora_lint.readers.shell.scope import ExhaustedError
from lora_lint.readers.shell.script import Script
from lora_lint.readers.shell.text import Text


def read(source: Source) -> Iterator[Document]:
    """The commands of a shell script that have arguments, in order, with those in heredocs and strings."""
    script = Script(source)
    try:
        yield from script.read(Text(source.text, range(len(source.text))), 0)
        yield from script.read_unused()
    except ExhaustedError:
        return
