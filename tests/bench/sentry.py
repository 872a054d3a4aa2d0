"""The audit beside adaptersentry's batch: the time for the same adapters, and what each says of those that are broken.

Most of the faults are of the kind that a linter is made for, and adaptersentry looks for backdoors: what it finds of
them says how far the two overlap, not which is the better.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from tests.bench import faulty, peers
from tests.bench.table import Row
from tests.bench.timing import LORA_LINT, environment

WORKERS = 2
THEIRS = "adaptersentry batch, which reads all tensors"


def sentry(folder: Path, runs: int) -> Iterator[Row]:
    """Both tools in turn, with as many workers."""
    top = folder / "faulty"
    broken = faulty.make(top)
    program = peers.installed(peers.SENTRY, "lora-lint-bench-sentry") / "adaptersentry"
    modes = {"headers": ()} if find_spec("torch") is None else {"headers": (), "tensors": ("--verify",)}
    ours: dict[str, list[float]] = {mode: [] for mode in modes}
    theirs: list[float] = []
    named: dict[str, set[str]] = {}
    for run in range(runs):
        for mode, more in modes.items():
            seconds, named[mode] = _audited(folder, top, more)
            ours[mode].append(seconds)
        seconds, said, reviewed = _scanned(folder, top, program, f"run-{run}")
        theirs.append(seconds)
    for mode in modes:
        yield Row(f"`audit` of {faulty.COUNT:,} adapters with weights, {mode}", ours[mode], THEIRS, theirs)
    for mode in modes:
        found, alarms = _counted(named[mode], broken)
        for_review, _ = _counted(reviewed, broken)
        notes, their_alarms = _counted(said, broken)
        what = f"broken ones of {len(broken)} that are told of, {mode}"
        yield Row(what, [found], f"adaptersentry: {notes}, {for_review} of them for review", unit="adapters")
        what = f"sound ones of {faulty.COUNT - len(broken)} that are told of, {mode}"
        yield Row(what, [alarms], f"adaptersentry: {their_alarms}", unit="adapters")


def _counted(found: set[str], broken: dict[str, str]) -> tuple[int, int]:
    """How many of the broken ones are among those that were found, and how many others."""
    return len(found & broken.keys()), len(found - broken.keys())


def _audited(folder: Path, top: Path, more: tuple[str, ...]) -> tuple[float, set[str]]:
    """Seconds on the clock, and the adapters with findings."""
    command = [*LORA_LINT, "audit", str(top), "--workers", str(WORKERS), "--format", "json", "--exit-zero", *more]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, check=False)
    seconds = time.perf_counter() - start
    rows = json.loads(done.stdout)["rows"]
    return seconds, {row["adapter"].partition("/")[0] for row in rows if row["findings"]}


def _scanned(folder: Path, top: Path, program: Path, run: str) -> tuple[float, set[str], set[str]]:
    """Seconds, the adapters of which it says anything, and those that somebody is to look at.

    Its results name an adapter by the hash of its weights alone.
    """
    command = [program, "batch", "--input-dir", top, "--workers", WORKERS, "--no-cache", "--run-id", run]
    own = {**os.environ, "HOME": str(folder)}
    start = time.perf_counter()
    words = list(map(str, (*command, "--output-dir", folder / "sentry")))
    subprocess.run(words, env=own, stdout=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - start
    said, reviewed = set(), set()
    names = {_hash(path / "adapter_model.safetensors"): path.name for path in top.iterdir()}
    for line in (folder / "sentry" / run / "run.jsonl").read_text("utf-8").splitlines():
        result = json.loads(line)
        name = names[result["artifact"]["content_hash"]]
        for_review = (result["verdict"] or {}).get("action") != "allow"
        if for_review:
            reviewed.add(name)
        if for_review or result["findings"] or result["status"] != "ok":
            said.add(name)
    return seconds, said, reviewed


def _hash(path: Path) -> str:
    return f"sha256:{sha256(path.read_bytes()).hexdigest()}"
