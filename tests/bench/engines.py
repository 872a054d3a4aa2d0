"""The engines of the audit beside each other on the same configs, and what a bucket is asked for."""

import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from tests.audits import config
from tests.bench.audit import WORKERS, registry
from tests.bench.table import Row
from tests.bench.timing import LORA_LINT, PYTHON, environment
from tests.buckets import BUCKET, server, weights

CONFIGS = 2000
ADAPTERS = 10
"""Each with weights of 28 MB, all of which the server of the test holds."""


def engines(folder: Path, runs: int) -> Iterator[Row]:
    """Ray beside processes, where it's installed; the requests and bytes of an adapter in a bucket."""
    if find_spec("ray") is not None:
        yield from _ray(folder, runs)
    if find_spec("moto") is not None and find_spec("s3fs") is not None:
        yield from _bucket(folder)


_INSIDE = """
import sys, time
from lora_lint.audit.cluster import Cluster
from lora_lint.audit.local import Processes
from lora_lint.audit.roots import Place
from lora_lint.audit.shares import ordered
from lora_lint.audit.work import Work
from lora_lint.settings import Settings

if __name__ == "__main__":
    kind, top, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
    work = Work(Settings(), (top,), ("",))
    begun = time.perf_counter()
    with (Cluster if kind == "ray" else Processes)(work, size) as pool:
        ready = time.perf_counter()
        for _ in ordered([(0, [Place(top, "folder")])], pool):
            pass
        print(ready - begun, time.perf_counter() - ready)
"""
"""The start of a pool, and then the audit by it; the first shares load the rules in each worker."""


def _ray(folder: Path, runs: int) -> Iterator[Row]:
    top = registry(folder / f"engines-{CONFIGS}", CONFIGS)
    whole: dict[str, list[float]] = {"ray": [], "local": []}
    start: dict[str, list[float]] = {"ray": [], "local": []}
    each: dict[str, list[float]] = {"ray": [], "local": []}
    script = folder / "inside.py"
    script.write_text(_INSIDE, "utf-8")
    for _ in range(runs):
        for engine in whole:
            whole[engine].append(_timed(folder, top, "--engine", engine))
            command = list(map(str, (PYTHON, script, engine, top, WORKERS)))
            done = subprocess.run(command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, check=True)
            begun, worked = map(float, done.stdout.split())
            start[engine].append(begun)
            each[engine].append(worked / CONFIGS)
    yield Row(f"`audit --engine ray` of {CONFIGS:,} configs", whole["ray"], "local", whole["local"])
    yield Row("Ray's start, which is most of it", start["ray"])
    yield Row("for each config after that, workers' own start included", each["ray"], "local", each["local"])


def _bucket(folder: Path) -> Iterator[Row]:
    data = weights(224, 16, 2000, "BF16")
    names = {"adapter_config.json": config(16, 32).encode(), "adapter_model.safetensors": data}
    with server() as found:
        found.put({f"r/{at}/{name}": part for at in range(ADAPTERS) for name, part in names.items()})
        own = {"AWS_ENDPOINT_URL": found.url, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
        root = f"s3://{BUCKET}/r"
        for what in ("", " again with a store"):
            found.taken()
            _timed(folder, root, "--store", folder / "bucket.db", **own, AWS_DEFAULT_REGION="us-east-1")
            asked = found.taken()
            reads = [one for one in asked if "?" not in one[1] and one[0] == "GET"]
            sent = sum(one[-1] for one in asked) / ADAPTERS
            size = f"{len(data) / 1e6:.0f} MB"
            yield Row(
                f"requests for each of {ADAPTERS} adapters of {size} in S3{what}",
                [len(asked) / ADAPTERS],
                f"{len(reads) / ADAPTERS:g} of them reads, the others listings",
                budget="2 reads",
                unit="requests",
            )
            yield Row(f"bytes for each{what}", [sent / 1000], f"{sent / len(data):.2%} of it", budget="1 %", unit="KB")


def _timed(folder: Path, top: Path | str, *more: str | Path, **env: str) -> float:
    """Seconds of an audit in processes of its own."""
    command = [*LORA_LINT, "audit", top, "--workers", WORKERS, "--exit-zero", *more]
    start = time.perf_counter()
    subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**environment(folder), **env},
        stdout=subprocess.DEVNULL,
        stderr=sys.stderr,
        check=True,
    )
    return time.perf_counter() - start
