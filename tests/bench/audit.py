"""The audit of a registry: time and memory as it grows, and again the day after with a store."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.bench import corpora
from tests.bench.table import Row
from tests.bench.timing import LORA_LINT, PYTHON, environment, process

WORKERS = 2
SIZES = (10_000, 100_000)
LARGEST = 1_000_000
"""Made only where `LORA_LINT_BENCH_MILLION` is set: it takes 4 GB of disk and some minutes."""
PER_FOLDER = 1000
KINDS = 20
"""Of adapters in each folder, where there are kinds."""

_BARE = """
import json, os, sys
pending = [sys.argv[1]]
while pending:
    with os.scandir(pending.pop()) as entries:
        for entry in entries:
            if entry.is_dir():
                pending.append(entry.path)
            elif entry.name == "adapter_config.json":
                with open(entry.path, "rb") as file:
                    json.loads(file.read())
"""


class Run(NamedTuple):
    """Seconds on the clock and of all processors, and the most memory in MB that all its processes had together."""

    wall: float
    processor: float
    peak: float


def audit(folder: Path, runs: int) -> Iterator[Row]:
    """A registry of several sizes."""
    runs = min(runs, 3)
    found: dict[int, list[Run]] = {}
    sizes = (*SIZES, LARGEST) if os.environ.get("LORA_LINT_BENCH_MILLION") else SIZES
    for size in sizes:
        top = registry(folder / f"registry-{size}", size, alike=True)
        found[size] = [_audited(folder, top) for _ in range(runs if size != LARGEST else 1)]
    middle = SIZES[-1]
    top, other = folder / f"registry-{middle}", registry(folder / "unlike", middle)
    trees = (
        (top, f"{middle // PER_FOLDER * KINDS:,} kinds", found[middle]),
        (other, "no two alike", [_audited(folder, other) for _ in range(runs)]),
    )
    for tree, kinds, several in trees:
        bare = [process([PYTHON, "-c", _BARE, tree], folder).wall for _ in range(runs)]
        what = f"`audit` of {middle:,} configs, {kinds}, {WORKERS} workers"
        yield Row(what, [run.wall for run in several], "scandir and json in one process", bare, "10 s")
        both = [run.processor / WORKERS for run in several]
        yield Row(f"its processor time over {WORKERS}", both, "scandir and json in one process", bare, "10 s")
    for small, large in pairwise(sizes):
        each = {size: [run.processor / size * 1000 for run in found[size]] for size in (small, large)}
        yield Row(f"processor time for 1,000 of {large:,}", each[large], f"of {small:,}", each[small], "the same")
        peaks = {size: [run.peak for run in found[size]] for size in (small, large)}
        what = f"peak memory of all processes, {large:,}"
        yield Row(what, peaks[large], f"{small:,}", peaks[small], "the same", unit="MB")
    for tree, kinds, _ in trees:
        yield from _again(folder, tree, kinds, runs)
    from tests.bench.engines import engines
    from tests.bench.sentry import sentry

    yield from engines(folder, runs)
    yield from sentry(folder, runs)


def _again(folder: Path, top: Path, kinds: str, runs: int) -> Iterator[Row]:
    store = folder / f"{top.name}.db"
    first = _audited(folder, top, "--store", store)
    again = [_audited(folder, top, "--store", store).wall for _ in range(runs)]
    what = f"second `audit` of them with a store, {kinds}"
    yield Row(what, again, "the first, which fills it", [first.wall], "0.2x")


def registry(top: Path, count: int, *, alike: bool = False) -> Path:
    """Adapters in folders of a thousand, every tenth with another alpha than 2r.

    Texts are all different, as where each has a base of its own; or `alike`: each folder has four bases and five ranks,
    and the targets in any order, as PEFT writes a set.
    """
    shuffled = Random(0)
    targets = list(corpora.TARGETS)
    for number in range(count):
        rank = 4 << number % 5
        if alike:
            shuffled.shuffle(targets)
        values = {
            **corpora.ADAPTER,
            "base_model_name_or_path": f"org/model-{number // PER_FOLDER * 4 + number % 4 if alike else number}",
            "r": rank,
            "lora_alpha": rank if number % 10 == 9 else 2 * rank,
            "target_modules": targets,
        }
        path = top / f"team-{number // PER_FOLDER:04}" / f"adapter-{number:07}"
        path.mkdir(parents=True)
        (path / "adapter_config.json").write_text(json.dumps(values, indent=2), "utf-8")
    return top


def _audited(folder: Path, top: Path, *more: str | Path) -> Run:
    """An audit in processes of its own, whose memory is looked at while it runs."""
    command = [*LORA_LINT, "audit", top, "--workers", WORKERS, *more]
    start = time.perf_counter()
    running = subprocess.Popen(
        list(map(str, command)), cwd=folder, env=environment(folder), stdout=subprocess.DEVNULL, stderr=sys.stderr
    )
    peak, ended = 0.0, 0
    while not ended:
        peak = max(peak, sum(map(_memory, _family(running.pid))))
        time.sleep(0.05)
        ended, _, usage = os.wait4(running.pid, os.WNOHANG)
    return Run(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, peak)


def _family(number: int) -> Sequence[int]:
    """A process and those that it started."""
    try:
        text = Path(f"/proc/{number}/task/{number}/children").read_text("ascii")
    except OSError:
        return [number]
    return [number, *(one for child in text.split() for one in _family(int(child)))]


def _memory(number: int) -> float:
    """The memory of a process that is its own, in MB; 0 for one that has ended."""
    try:
        text = Path(f"/proc/{number}/status").read_text("ascii", "replace")
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon:")) / 1024


def possible() -> bool:
    """Whether this is Linux, which tells the memory of processes."""
    return sys.platform == "linux"
