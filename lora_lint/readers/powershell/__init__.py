"""PowerShell scripts: their commands and variables as those of a shell script, each character where it stands."""

from collections.abc import Iterator

from lora_lint.document import Document, Source
from lora_lint.readers.powershell.script import Script


def read(source: Source) -> Iterator[Document]:
    """The commands of a PowerShell script that have arguments, in order."""
    yield from Script(source.text).read().documents(source)
