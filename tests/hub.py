"""A hub on loopback with one repository, which counts what is asked of it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

REPOSITORY = "org/adapters"


class Hub(NamedTuple):
    """Where it listens, and the paths and ranges that were asked for."""

    url: str
    asked: list[tuple[str, str]]


@contextmanager
def hub(files: Mapping[str, bytes]) -> Iterator[Hub]:
    """The answers of https://huggingface.co that `HfFileSystem` needs: the repository, its tree, and its files."""
    asked: list[tuple[str, str]] = []

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            asked.append((path, self.headers.get("Range", "")))
            if path.startswith(f"/api/models/{REPOSITORY}/tree/main"):
                self._send(json.dumps(_tree(files, path.partition("/tree/main")[2].strip("/"))).encode())
            elif path.startswith(f"/api/models/{REPOSITORY}"):
                self._send(json.dumps({"id": REPOSITORY, "sha": "0" * 40, "siblings": []}).encode())
            elif (name := path.removeprefix(f"/{REPOSITORY}/resolve/main/")) in files:
                first, last = self.headers["Range"].removeprefix("bytes=").split("-")
                self._send(files[name][int(first) : int(last) + 1], 206)
            else:
                self._send(b"", 404)

        def _send(self, data: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Hub(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()


def _tree(files: Mapping[str, bytes], folder: str) -> list[dict[str, object]]:
    start = f"{folder}/" if folder else ""
    below = sorted({name.removeprefix(start).partition("/")[0] for name in files if name.startswith(start)})
    found: list[dict[str, object]] = []
    for one in below:
        data = files.get(start + one)
        if data is None:
            found.append({"type": "directory", "oid": "0" * 40, "size": 0, "path": start + one})
        else:
            found.append({"type": "file", "oid": sha1(data).hexdigest(), "size": len(data), "path": start + one})
    return found
