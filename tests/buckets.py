"""An S3 server of this machine that counts what is asked of it, and files to put there."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

BUCKET = "adapters"


@dataclass
class Server:
    """Where it listens, and the requests since the last look: method, path with query, range, status, bytes sent."""

    url: str
    asked: list[tuple[str, str, str, int, int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Words of paths that are answered with status 403."""
    _files: Any = None

    def put(self, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            self._files.put_object(Bucket=BUCKET, Key=name, Body=data)
        self.asked.clear()

    def empty(self) -> None:
        for one in self._files.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
            self._files.delete_object(Bucket=BUCKET, Key=one["Key"])

    def taken(self) -> list[tuple[str, str, str, int, int]]:
        asked = list(self.asked)
        self.asked.clear()
        return asked

    def reads(self) -> list[tuple[str, str]]:
        """The paths and ranges of objects that were read."""
        return sorted((path, part) for method, path, part, *_ in self.taken() if method == "GET" and "?" not in path)


@contextmanager
def server() -> Iterator[Server]:
    """moto's S3 server on loopback, with an empty bucket."""
    import boto3
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's own name
            return

    inner = DomainDispatcherApplication(create_backend_app)
    found = Server("")

    def counted(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        query = environ.get("QUERY_STRING", "")
        path = environ["PATH_INFO"] + (f"?{query}" if query else "")
        what = environ["REQUEST_METHOD"], path, environ.get("HTTP_RANGE", "")
        if any(word in path for word in found.refused):
            found.asked.append((*what, 403, 0))
            start("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(_REFUSAL)))])
            return [_REFUSAL]
        status: list[str] = []

        def started(line: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            status.append(line)
            return start(line, headers, *more)

        body = b"".join(inner(environ, started))
        found.asked.append((*what, int(status[0].split()[0]), len(body)))
        return [body]

    httpd = make_server("127.0.0.1", 0, counted, threaded=True, request_handler=Quiet)
    found.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    found._files = boto3.client(
        "s3",
        endpoint_url=found.url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    found._files.create_bucket(Bucket=BUCKET)
    found.asked.clear()
    try:
        yield found
    finally:
        httpd.shutdown()
        thread.join()


_REFUSAL = (
    b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>"
    b"https://adapters.example/?X-Amz-Signature=5ec2e7 and hf_secretsecretsecretsecretsecretsecre</Message></Error>"
)
"""What a hostile server might say of a secret."""


def weights(modules: int = 2, rank: int = 8, width: int = 32, dtype: str = "F32") -> bytes:
    """An `adapter_model.safetensors` of PEFT's, zeros for values."""
    header: dict[str, object] = {}
    at, each = 0, {"F32": 4, "BF16": 2}[dtype] * rank * width
    for number in range(modules):
        layer, name = divmod(number, 2)
        for side, shape in (("A", [rank, width]), ("B", [width, rank])):
            key = f"base_model.model.model.layers.{layer}.self_attn.{'qv'[name]}_proj.lora_{side}.weight"
            header[key] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + each]}
            at += each
    text = json.dumps(header, separators=(",", ":")).encode()
    return len(text).to_bytes(8, "little") + text + bytes(at)
