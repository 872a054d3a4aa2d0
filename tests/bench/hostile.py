"""Texts made to cost time and memory, a process each."""

from collections.abc import Iterator
from pathlib import Path

from tests.bench import corpora
from tests.bench.table import Row
from tests.bench.timing import LORA_LINT, Cost, process


def worst(folder: Path, runs: int) -> Iterator[Row]:
    """The slowest and the largest of all of them."""
    costs: dict[str, Cost] = {}
    place = folder / "hostile"
    place.mkdir()
    for name, text in corpora.hostile():
        (place / name).write_text(text, "utf-8")
        costs[name] = process([*LORA_LINT, "check", "--quiet", place / name], folder)
    slowest = max(costs, key=lambda name: costs[name].processor)
    largest = max(costs, key=lambda name: costs[name].peak)
    times = [cost.processor for cost in costs.values()]
    peaks = [cost.peak for cost in costs.values()]
    yield Row(f"{len(costs)} hostile texts of 1 MiB, whole process", times, f"slowest: {slowest}", budget="2 s")
    yield Row("their peak memory", peaks, f"largest: {largest}", budget="300 MB", unit="MB")
