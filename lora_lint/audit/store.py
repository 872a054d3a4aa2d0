"""What an audit found, in a SQLite file: an unchanged adapter isn't read again, and an interrupted audit goes on."""

import time
from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import UTC, datetime
from typing import Any, Self

from lora_lint.audit.database import as_kept, kept, name_of, opened, told
from lora_lint.audit.records import Held, Known, Record
from lora_lint.audit.remote import absolute
from lora_lint.audit.rows import Names
from lora_lint.audit.seen import Seen

ASKED = 500
"""Files that are asked for at once by their numbers."""
AT_ONCE = 2000
LATEST = 1.0
"""Files, and seconds, after which what was found is committed: all that a killed audit does again."""

_NOT_SPARED = (
    "NOT EXISTS (SELECT 1 FROM temp.spared AS one WHERE one.folder IN ('', files.folder)"
    " OR files.folder > one.low AND files.folder < one.high)"
)


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
        self._audits: dict[int, int] = {}
        """Of each scope how many audits it has seen."""
        self._seen = Seen()
        self._open, self._added, self._begun = False, 0, 0.0
        self._database = opened(path, readonly=readonly)
        self._database.create_function("is_seen", 1, self._seen.__contains__)
        self._database.execute("CREATE TEMP TABLE spared (folder, low, high)")

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
            with told(self.path):
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
        key = (kept(absolute(root)), fingerprint)
        with told(self.path):
            found = (
                self._database.execute(
                    "UPDATE scopes SET finished = NULL, audit = audit + 1 WHERE id ="
                    " (SELECT max(id) FROM scopes WHERE root = ? AND fingerprint = ?) RETURNING id, audit",
                    key,
                ).fetchall()
                or self._database.execute(
                    "INSERT INTO scopes (root, fingerprint, started) VALUES (?, ?, ?) RETURNING id, audit",
                    (*key, _now()),
                ).fetchall()
            )
        self._audits.update(found)
        return int(found[0][0])

    def is_empty(self, scope: int) -> bool:
        """Whether nothing is held of a root."""
        with told(self.path):
            return not self._database.execute("SELECT 1 FROM files WHERE scope = ? LIMIT 1", (scope,)).fetchall()

    def known(self, scope: int, folder: str) -> dict[str, Known]:
        """The files of one folder that the store holds, by name."""
        found = self._found("scope = ? AND folder = ? AND name != ''", scope, kept(folder))
        return {name: known for _, name, known in found}

    def file(self, scope: int, path: str) -> Known | None:
        """What the store holds of one file."""
        folder, _, name = path.rpartition("/")
        found = self._found("scope = ? AND folder = ? AND name = ?", scope, kept(folder), kept(name))
        return next((known for *_, known in found), None)

    def listed(self, scope: int, folders: Sequence[str]) -> dict[str, list[Held]]:
        """Of some folders those whose listing the store holds, each with its files; their rows are those of `whole`."""
        found: dict[str, list[Held]] = {}
        for row in self._asked(
            "SELECT own.folder, own.id, own.size, own.changed, own.inode, own.beside,"
            " files.name, files.id, files.size, files.changed, files.inode, files.beside, files.said FROM files AS own"
            " LEFT JOIN files ON files.scope = own.scope AND files.folder = own.folder AND files.name > ''"
            f" WHERE own.scope = ? AND own.name = '' AND own.folder IN ({', '.join('?' * len(folders))})",
            *(scope, *map(kept, folders)),
        ):
            folder, name = row[0], row[6]
            if type(folder) is bytes or type(name) is bytes:
                folder = name_of(folder)
                row = (folder, *row[1:6], name_of(name), *row[7:])
            found.setdefault(folder, []).append(row)
        return found

    def whole(self, ids: Sequence[int]) -> Iterator[tuple[int, Names, Known]]:
        """What the store holds of files, by their numbers."""
        for start in range(0, len(ids), ASKED):
            some = ids[start : start + ASKED]
            for folder, name, known in self._found(f"id IN ({', '.join('?' * len(some))})", *some):
                yield known.id, known.names(folder, name), known

    def _found(self, which: str, *values: str | bytes | int) -> Iterator[tuple[str, str, Known]]:
        for folder, name, id_, *stamp, content, beside, adapter, rows in self._asked(
            f"SELECT folder, name, id, size, changed, inode, content, beside, adapter, rows FROM files WHERE {which}",
            *values,
        ):
            size, changed, inode = stamp
            known = Known(id_, (size, changed, inode), content, name_of(beside), name_of(adapter), rows)
            yield name_of(folder), name_of(name), known

    def _asked(self, question: str, *values: str | bytes | int) -> list[Any]:
        with told(self.path):
            return self._database.execute(question, values).fetchall()

    def earlier(self, roots: Sequence[str]) -> dict[int, bool]:
        """The latest audits of some roots, or of the only root there is: their numbers, and whether they went through.

        From here on the store is read as it is now, whatever is written meanwhile.
        """
        with told(self.path):
            self._database.execute("BEGIN")
            found = self._database.execute(
                "SELECT root, id, finished FROM scopes ORDER BY finished IS NOT NULL, id"
            ).fetchall()
        found = [(name_of(root), number, finished) for root, number, finished in found]
        wanted = set(map(absolute, roots))
        only = len({root for root, *_ in found}) == 1 == len(wanted)
        latest = {root: (number, bool(finished)) for root, number, finished in found if only or root in wanted}
        return dict(latest.values())

    def spare(self, folders: Iterable[str]) -> None:
        """Folders of which nobody knows what is there now: their files, and those below them, aren't called gone."""
        with told(self.path):
            self._database.executemany(
                "INSERT INTO temp.spared VALUES (?, ?, ?)",
                [held for one in folders for held in as_kept(one, f"{one}/", f"{one}0")],
            )

    def others(self, scopes: Iterable[int]) -> Iterator[tuple[str, str]]:
        """The adapters and the rows of all files that were neither added nor kept, nor are spared."""
        for scope in scopes:
            with told(self.path):
                for adapter, rows in self._database.execute(
                    "SELECT adapter, rows FROM files WHERE scope = ? AND rows != '[]' AND NOT again"
                    f" AND NOT is_seen(id) AND {_NOT_SPARED} ORDER BY folder, name",
                    (scope,),
                ):
                    yield name_of(adapter), rows

    def forget(self, scope: int, folders: Sequence[str]) -> None:
        """Hold nothing any more of what is below some folders.

        Raises:
            StoreError: when it can't be written.
        """
        with told(self.path):
            for folder in folders:
                self._begin()
                if not folder:
                    self._database.execute("DELETE FROM files WHERE scope = ? AND folder != ''", (scope,))
                    continue
                self._database.executemany(
                    "DELETE FROM files WHERE scope = ? AND folder > ? AND folder < ?",
                    [(scope, *ends) for ends in as_kept(f"{folder}/", f"{folder}0")],
                )

    def add(self, scope: int, records: Sequence[Record], repeats: Set[int] = frozenset()) -> None:
        """Remember files; those of the items in `repeats` were counted under another name already.

        Raises:
            StoreError: when it can't be written; what was added in earlier transactions stays.
        """
        if not records:
            return
        with told(self.path):
            self._begin()
            self._database.executemany(
                "INSERT INTO files (scope, audit, folder, name, size, changed, inode, content, beside, adapter, said,"
                " rows, again) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (scope, folder, name) DO UPDATE SET"
                " audit = excluded.audit, size = excluded.size, changed = excluded.changed, inode = excluded.inode,"
                " content = excluded.content, beside = excluded.beside, adapter = excluded.adapter,"
                " said = excluded.said, rows = excluded.rows, again = excluded.again",
                [
                    (
                        *(scope, self._audits[scope], kept(one.folder), kept(one.name), *one.stamp, one.content),
                        *(kept(one.beside), kept(one.adapter), one.said, one.rows, one.item in repeats),
                    )
                    for one in records
                ],
            )
            self._added += len(records)
            self.written += len(records)
            if self._added >= AT_ONCE or time.monotonic() - self._begun > LATEST:
                self._commit()

    def keep(self, ids: Iterable[tuple[int, int]]) -> None:
        """Files that are as they were, by their first and last numbers."""
        for first, last in ids:
            self._seen.add(first, last)

    def finish(self, scopes: list[int]) -> None:
        """The audit went through: forget what is no longer there, and what was found under other settings."""
        with told(self.path):
            self._begin()
            if self.written or len(self._seen) != sum(map(self._count, scopes)):
                self._database.executemany(
                    f"DELETE FROM files WHERE scope = ? AND audit != ? AND NOT is_seen(id) AND {_NOT_SPARED}",
                    [(scope, self._audits[scope]) for scope in scopes],
                )
            for scope in scopes:
                self._database.execute("UPDATE scopes SET finished = ? WHERE id = ?", (_now(), scope))
                older = "SELECT id FROM scopes WHERE id != ?1 AND root = (SELECT root FROM scopes WHERE id = ?1)"
                self._database.execute(f"DELETE FROM files WHERE scope IN ({older})", (scope,))
                self._database.execute(f"DELETE FROM scopes WHERE id IN ({older})", (scope,))
            self._commit()

    def _count(self, scope: int) -> int:
        (count,) = self._database.execute("SELECT count(*) FROM files WHERE scope = ?", (scope,)).fetchone()
        return int(count)

    def _begin(self) -> None:
        if not self._open:
            self._database.execute("BEGIN IMMEDIATE")
            self._open = True
            self._added, self._begun = 0, time.monotonic()

    def _commit(self) -> None:
        if self._open:
            self._open = False
            self._database.execute("COMMIT")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
