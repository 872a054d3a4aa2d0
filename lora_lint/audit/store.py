"""What an audit found, in a SQLite file: an unchanged adapter isn't read again, and an interrupted audit goes on."""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple, Self

from lora_lint.audit.beside import Stamp
from lora_lint.audit.remote import absolute
from lora_lint.audit.rows import FORMAT

APPLICATION = 0x4C6F5261
"""`LoRa`, in the header of the file, so that no other database is taken for a store."""
AT_ONCE = 2000
LATEST = 1.0
"""Files, and seconds, after which what was found is committed: all that a killed audit does again."""

_TABLES = """
CREATE TABLE scopes (id INTEGER PRIMARY KEY, root TEXT, fingerprint TEXT, started TEXT, finished TEXT);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, scope INTEGER NOT NULL, folder TEXT NOT NULL, name TEXT NOT NULL,
    size INTEGER, changed INTEGER, inode INTEGER, content TEXT, beside TEXT, rows TEXT, again INTEGER
);
CREATE UNIQUE INDEX places ON files (scope, folder, name);
"""


class StoreError(Exception):
    """A store that can't be used, and why."""


class Known(NamedTuple):
    """What the store holds of one file."""

    id: int
    stamp: Stamp
    content: str
    beside: str
    rows: str


class Record(NamedTuple):
    """What is to be remembered of one file besides its rows; `folder` is below the root."""

    folder: str
    name: str
    stamp: Stamp
    content: str
    beside: str


class Store:
    """A store of this release; one process writes it, others may read it meanwhile."""

    def __init__(self, path: str, *, readonly: bool = False) -> None:
        """
        Raises:
            StoreError: when the file isn't a store, or can't be opened or written.
        """
        self.path = path
        self.written = 0
        self._writes = not readonly
        self._open, self._added, self._begun = False, 0, 0.0
        try:
            uri = f"file:{_quoted(os.path.abspath(path))}?mode={'ro' if readonly else 'rwc'}"
            self._database = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)
            self._check(readonly=readonly)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}") from None

    def _check(self, *, readonly: bool) -> None:
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        tables = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not readonly and not application and not tables:
            self._database.executescript(
                f"PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {APPLICATION};"
                f"PRAGMA user_version = {FORMAT}; COMMIT;"
            )
        elif application != APPLICATION:
            raise StoreError(f"{self.path}: is not a store of lora-lint")
        elif version != FORMAT:
            raise StoreError(f"{self.path}: is a store of format {version}; this release reads {FORMAT}")
        if not readonly:
            self._database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        self._database.execute("CREATE TEMP TABLE seen (id INTEGER PRIMARY KEY)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Keep what was added, all of it in the one file, and let go of it.

        Raises:
            StoreError: when it can't be written.
        """
        try:
            with _told(self.path):
                self._commit()
                if self._writes:
                    self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._database.close()

    def scope(self, root: str, fingerprint: str) -> int:
        """The number of a root under some settings: that of an earlier audit, so that it is gone on with, or a new one.

        Raises:
            StoreError: when it can't be written.
        """
        key = (_kept(absolute(root)), fingerprint)
        with _told(self.path):
            found = self._database.execute(
                "SELECT id FROM scopes WHERE root = ? AND fingerprint = ? ORDER BY id DESC", key
            ).fetchone()
            if found:
                self._database.execute("UPDATE scopes SET finished = NULL WHERE id = ?", found)
                return int(found[0])
            made = self._database.execute(
                "INSERT INTO scopes (root, fingerprint, started) VALUES (?, ?, ?)", (*key, _now())
            )
            return int(made.lastrowid or 0)

    def known(self, scope: int, folder: str, name: str | None = None) -> dict[str, Known]:
        """The files of one folder that the store holds, by name; or the one of a name."""
        with _told(self.path):
            found = self._database.execute(
                "SELECT name, id, size, changed, inode, content, beside, rows FROM files"
                " WHERE scope = ? AND folder = ?" + (" AND name = ?" if name is not None else ""),
                (scope, _kept(folder)) if name is None else (scope, _kept(folder), _kept(name)),
            ).fetchall()
        return {
            os.fsdecode(name): Known(id_, (size, changed, inode), content, os.fsdecode(beside), rows)
            for name, id_, size, changed, inode, content, beside, rows in found
        }

    def earlier(self, roots: Sequence[str]) -> dict[int, bool]:
        """The latest audits of some roots, or of the only root there is: their numbers, and whether they went through.

        From here on the store is read as it is now, whatever is written meanwhile.
        """
        with _told(self.path):
            self._database.execute("BEGIN")
            found = self._database.execute(
                "SELECT root, id, finished FROM scopes ORDER BY finished IS NOT NULL, id"
            ).fetchall()
        found = [(os.fsdecode(root), number, finished) for root, number, finished in found]
        wanted = set(map(absolute, roots))
        only = len({root for root, *_ in found}) == 1 == len(wanted)
        latest = {root: (number, bool(finished)) for root, number, finished in found if only or root in wanted}
        return dict(latest.values())

    def file(self, scope: int, path: str) -> Known | None:
        """What the store holds of one file."""
        folder, _, name = path.rpartition("/")
        return self.known(scope, folder, name).get(name)

    def others(self, scopes: Iterable[int]) -> Iterator[str]:
        """The rows of all files that were neither added nor kept."""
        for scope in scopes:
            with _told(self.path):
                for (rows,) in self._database.execute(
                    "SELECT rows FROM files WHERE scope = ? AND rows != '[]' AND NOT again"
                    " AND id NOT IN (SELECT id FROM temp.seen) ORDER BY folder, name",
                    (scope,),
                ):
                    yield rows

    def add(self, scope: int, record: Record, rows: str, *, again: bool = False) -> None:
        """Remember a file; `again` is one that was counted under another name already.

        Raises:
            StoreError: when it can't be written; what was added in earlier transactions stays.
        """
        with _told(self.path):
            self._begin()
            made = self._database.execute(
                "INSERT INTO files (scope, folder, name, size, changed, inode, content, beside, rows, again)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (scope, folder, name) DO UPDATE SET"
                " size = excluded.size, changed = excluded.changed, inode = excluded.inode,"
                " content = excluded.content, beside = excluded.beside, rows = excluded.rows, again = excluded.again"
                " RETURNING id",
                (
                    *(scope, _kept(record.folder), _kept(record.name), *record.stamp),
                    *(record.content, _kept(record.beside), rows, again),
                ),
            ).fetchone()
            self._database.execute("INSERT OR IGNORE INTO temp.seen VALUES (?)", made)
            self._count()

    def keep(self, ids: list[int]) -> None:
        """Files that are as they were."""
        with _told(self.path):
            if not self._database.in_transaction:
                self._begin()
            self._database.executemany("INSERT OR IGNORE INTO temp.seen VALUES (?)", [(one,) for one in ids])

    def finish(self, scopes: list[int]) -> None:
        """The audit went through: forget what is no longer there, and what was found under other settings."""
        with _told(self.path):
            self._begin()
            for scope in scopes:
                self._database.execute(
                    "DELETE FROM files WHERE scope = ? AND id NOT IN (SELECT id FROM temp.seen)", (scope,)
                )
                self._database.execute("UPDATE scopes SET finished = ? WHERE id = ?", (_now(), scope))
                older = "SELECT id FROM scopes WHERE id != ?1 AND root = (SELECT root FROM scopes WHERE id = ?1)"
                self._database.execute(f"DELETE FROM files WHERE scope IN ({older})", (scope,))
                self._database.execute(f"DELETE FROM scopes WHERE id IN ({older})", (scope,))
            self._commit()

    def _begin(self) -> None:
        if not self._open:
            self._database.execute("BEGIN IMMEDIATE")
            self._open = True
            self._added, self._begun = 0, time.monotonic()

    def _count(self) -> None:
        self._added += 1
        self.written += 1
        if self._added >= AT_ONCE or time.monotonic() - self._begun > LATEST:
            self._commit()

    def _commit(self) -> None:
        if self._open:
            self._open = False
            self._database.execute("COMMIT")


def _kept(name: str) -> str | bytes:
    """A name as it is kept: as its bytes where these are no text, which a database doesn't take."""
    return name if name.isascii() or not any("\udc80" <= char <= "\udcff" for char in name) else os.fsencode(name)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Errors of the database as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from None


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
