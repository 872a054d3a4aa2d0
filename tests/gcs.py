"""A server of Google's storage on this machine that counts what is asked of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote

from tests.buckets import BUCKET
from tests.serving import served


@dataclass
class Google:
    """Where it listens, and the paths with queries and the ranges that were asked for."""

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Words of paths that are answered with status 403."""

    def put(self, files: Mapping[str, bytes]) -> None:
        import gcsfs

        client = gcsfs.GCSFileSystem(endpoint_url=self.url, token="anon", skip_instance_cache=True)
        for name, data in files.items():
            client.pipe_file(f"{BUCKET}/{name}", data)
        self.asked.clear()

    def reads(self) -> list[tuple[str, str]]:
        """The names and ranges of the objects that were read since the last look."""
        found = [(path.partition("?")[0].rpartition("/o/")[2], part) for path, part in self.asked if "/o/" in path]
        self.asked.clear()
        return sorted(found)


@contextmanager
def google() -> Iterator[Google]:
    """gcp-storage-emulator on loopback, with an empty bucket."""
    from gcp_storage_emulator.handlers.buckets import create_bucket
    from gcp_storage_emulator.server import RequestHandler
    from gcp_storage_emulator.storage import Storage

    found = Google()

    class Counted(RequestHandler):  # type: ignore[misc]
        def do_GET(self) -> None:  # noqa: N802 - http.server's own name
            path = unquote(self.path)
            found.asked.append((path, self.headers["Range"] or ""))
            if any(word in path for word in found.refused):
                self.send_error(403, "hf_secretsecretsecretsecretsecretsecre has no access")
            else:
                super().do_GET()

    storage: Any = Storage(use_memory_fs=True)
    create_bucket(BUCKET, storage)
    with served(partial(Counted, storage)) as found.url:
        yield found
