"""The SQLite file of a store: its tables, how it is opened, and how names are kept in it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

APPLICATION = 0x4C6F5261
"""`LoRa`, in the header of the file, so that no other database is taken for a store."""
LAYOUT = 3
"""The version of the tables, and of the rows in them."""

_TABLES = """
CREATE TABLE scopes (
    id INTEGER PRIMARY KEY, root TEXT, fingerprint TEXT, started TEXT, finished TEXT, audit INTEGER DEFAULT 1
);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, scope INTEGER NOT NULL, folder TEXT NOT NULL, name TEXT NOT NULL,
    size INTEGER, changed INTEGER, inode INTEGER, said INTEGER, beside TEXT, content TEXT, adapter TEXT, rows TEXT,
    again INTEGER, audit INTEGER
);
CREATE UNIQUE INDEX places ON files (scope, folder, name);
"""


class StoreError(Exception):
    """A store that can't be used, and why."""


def opened(path: str, *, readonly: bool) -> sqlite3.Connection:
    """The database of a store, made where there is none.

    Raises:
        StoreError: when the file isn't a store, or can't be opened or written.
    """
    from urllib.parse import quote

    uri = f"file:{quote(os.path.abspath(path))}?mode={'ro' if readonly else 'rwc'}"
    with told(path):
        database = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)
        _check(path, database, readonly=readonly)
    return database


def _check(path: str, database: sqlite3.Connection, *, readonly: bool) -> None:
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not readonly and not application and not tables:
        database.executescript(
            f"PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {APPLICATION};"
            f"PRAGMA user_version = {LAYOUT}; COMMIT;"
        )
    elif application != APPLICATION:
        raise StoreError(f"{path}: is not a store of lora-lint")
    elif version != LAYOUT:
        raise StoreError(f"{path}: is a store of format {version}; this release reads {LAYOUT}")
    if not readonly:
        database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")


def kept(name: str) -> str | bytes:
    """A name as it is kept: as its bytes where these are no text, which a database doesn't take."""
    return name if name.isascii() or not any("\udc80" <= char <= "\udcff" for char in name) else os.fsencode(name)


def name_of(kept: str | bytes) -> str:
    """A name that was kept."""
    return kept if type(kept) is str else os.fsdecode(kept)


def as_kept(*names: str) -> Iterator[tuple[str | bytes, ...]]:
    """Names as text and as bytes: in both ways what is below a folder may be kept."""
    yield tuple(map(kept, names))
    yield tuple(map(os.fsencode, names))


@contextmanager
def told(path: str) -> Iterator[None]:
    """Errors of the database as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from None
