"""What a store holds of a file, and what it is to remember of one: plain data, that travels between processes."""

from typing import NamedTuple

from lora_lint.audit.beside import Stamp
from lora_lint.audit.rows import NOTHING, Names, run_of

FOLDER = ""
"""The name under which a folder itself is kept, where its listing is: `beside` is what was found in it."""


class Known(NamedTuple):
    """What the store holds of one file; `rows` are its rows without its names and `content`."""

    id: int
    stamp: Stamp
    content: str
    beside: str
    adapter: str
    rows: str

    def names(self, folder: str, name: str) -> Names:
        """What its adapter and itself are called, by the folder and the name under which it is held."""
        return Names(self.adapter, f"{folder}/{name}" if folder else name, run_of(self.adapter))


Held = tuple[str, int, int, int, int, str, str | None, int, int, int, int, str, int]
"""A folder whose listing the store holds, and one of its files: the row that tells whether both are as they were. Most
of a registry is only compared, so these are nothing but tuples.

Of the folder: its name, number, size, time of change, inode, and what was found in it. Of the file: its name, or None
where there is none, number, size, time of change, inode, what it was made of besides, and the number of its rows.
"""


class Record(NamedTuple):
    """What is to be remembered of one file; `folder` is below the root, `said` the number of its rows, `item` that of
    the one that tells of it alone.
    """

    folder: str
    name: str
    stamp: Stamp
    content: str
    beside: str
    adapter: str = ""
    rows: str = NOTHING
    said: int = 0
    item: int | None = None
