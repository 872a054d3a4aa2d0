"""A hub on loopback with some repositories, which counts what is asked of it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

from tests.serving import served

REPOSITORY = "org/adapters"
PAGE = 2
"""Models that are listed in one answer; the hub itself gives a thousand."""


@dataclass
class Hub:
    """Where it listens, and the paths and ranges that were asked for."""

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Words of paths with their queries that are answered with status 403."""

    def listings(self) -> list[str]:
        """The queries for an owner's models."""
        return [path for path, _ in self.asked if path.startswith("/api/models?")]


@contextmanager
def hub(repositories: Mapping[str, Mapping[str, bytes]]) -> Iterator[Hub]:
    """The answers of https://huggingface.co that `HfApi` and `HfFileSystem` need: the models of an owner, repositories,
    their trees, and their files.
    """
    found = Hub()

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            found.asked.append(
                (path + (f"?{parts.query}" if path == "/api/models" else ""), self.headers["Range"] or "")
            )
            name = "/".join(path.removeprefix("/api/models").split("/")[1:3])
            files = repositories.get(name)
            if any(word in self.path for word in found.refused):
                self._send(_REFUSAL, 403)
            elif path == "/api/models":
                self._list(parse_qs(parts.query))
            elif files is None:
                self._send(b"", 404)
            elif path.startswith(f"/api/models/{name}/tree/main"):
                self._send(json.dumps(_tree(files, path.partition("/tree/main")[2].strip("/"))).encode())
            elif path.startswith(f"/api/models/{name}"):
                self._send(json.dumps({"id": name, "sha": "0" * 40, "siblings": []}).encode())
            elif (file := path.removeprefix(f"/{name}/resolve/main/")) in files:
                first, last = self.headers["Range"].removeprefix("bytes=").split("-")
                self._send(files[file][int(first) : int(last) + 1], 206)
            else:
                self._send(b"", 404)

        def _list(self, query: Mapping[str, list[str]]) -> None:
            """A page of an owner's models, and where the next one is; an empty one for owners that aren't there."""
            owner = query["author"][0]
            names = [name for name in repositories if name.startswith(f"{owner}/")]
            start = int(query.get("cursor", ["0"])[0])
            end = start + min(PAGE, int(query.get("limit", ["1000"])[0]))
            link = f'<{found.url}/api/models?author={owner}&cursor={end}>; rel="next"' if end < len(names) else ""
            self._send(
                json.dumps([{"_id": "0", "id": name, "tags": []} for name in names[start:end]]).encode(), link=link
            )

        def _send(self, data: bytes, status: int = 200, link: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Type", "application/json")
            if link:
                self.send_header("Link", link)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    with served(Answers) as found.url:
        yield found


_REFUSAL = b'{"error": "hf_secretsecretsecretsecretsecretsecre has no access"}'
"""What a hostile hub might say of a secret."""


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
