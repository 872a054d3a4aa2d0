"""Running things several times, in turn, so that a noisy machine is noisy for all of them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = sys.executable
LORA_LINT = (PYTHON, "-m", "lora_lint")


class Cost(NamedTuple):
    """What one process took: seconds on the clock, seconds of processor time, peak memory in MB."""

    wall: float
    processor: float
    peak: float


def environment(folder: Path) -> dict[str, str]:
    """Byte code is compiled once and kept in `folder`, whatever the caller does about it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "PYTHONPYCACHEPREFIX": str(folder / "pycache")}


def process(command: Sequence[str | Path], folder: Path) -> Cost:
    """Run a whole process and throw away what it prints."""
    env = environment(folder)
    start = time.perf_counter()
    child = subprocess.Popen(
        [str(part) for part in command], cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, usage = os.wait4(child.pid, 0)
    return Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def in_turn(runs: int, *tasks: Callable[[], Any]) -> list[list[Any]]:
    """The results of every task, run in turn; the first round warms up and is thrown away."""
    results: list[list[Any]] = [[] for _ in tasks]
    for turn in range(runs + 1):
        for task, found in zip(tasks, results, strict=True):
            value = task()
            if turn:
                found.append(value)
    return results


def processes(runs: int, folder: Path, *commands: Sequence[str | Path]) -> list[list[float]]:
    """Processor seconds of whole processes, run in turn."""
    costs = in_turn(runs, *(partial(process, command, folder) for command in commands))
    return [[cost.processor for cost in series] for series in costs]


def calls(runs: int, *functions: Callable[[], object], repeat: int = 1) -> list[list[float]]:
    """Processor seconds per call of functions in this process, run in turn."""

    def timed(function: Callable[[], object]) -> float:
        start = time.process_time()
        for _ in range(repeat):
            function()
        return (time.process_time() - start) / repeat

    return in_turn(runs, *(partial(timed, function) for function in functions))
