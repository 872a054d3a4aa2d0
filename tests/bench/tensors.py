"""Weights: the header of an adapter, and what it takes to measure the tensors of adapters and merged models."""

import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

from lora_lint.readers.safetensors import Header, read_header, remembered
from tests.bench import corpora
from tests.bench.table import Row
from tests.bench.timing import LORA_LINT, PYTHON, Cost, calls, in_turn, process, processes


def header(folder: Path, runs: int) -> Iterator[Row]:
    """Names, dtypes and shapes of 448 tensors."""
    from safetensors import safe_open

    path = corpora.weights(folder / "adapter_model.safetensors")

    def by_safetensors() -> list[list[int]]:
        with safe_open(path, framework="numpy") as file:
            return [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118 - it isn't a mapping

    def by_us() -> Header:
        remembered.cache_clear()
        return read_header(str(path))

    ours, theirs = calls(runs, by_us, by_safetensors, repeat=20)
    yield Row("header of an adapter with 448 tensors, in process", ours, "safe_open with shapes", theirs, "0.5 ms")


def thousand(folder: Path, runs: int) -> Iterator[Row]:
    """A thousand adapters with their weights: of one base and rank, as in a folder of runs, of some, of as many."""
    for headers, what in ((1, "with one header"), (48, "with 48 headers"), (1000, "no two alike")):
        top = folder / f"headers-{headers}"
        corpora.checkpoints(top, headers=headers)
        all_, one = processes(
            runs,
            folder,
            [*LORA_LINT, "check", "--quiet", top],
            [*LORA_LINT, "check", "--quiet", top / "adapter-0000"],
        )
        row = f"`check` of 1,000 adapters of 448 tensors, {what}, over the start-up"
        yield Row(row, _over(all_, one), budget="500 ms")


_WIDTH = 4096
_RANK = 16

_MAKE = """
import json, struct, sys, torch
from pathlib import Path
folder, modules, rank, width = Path(sys.argv[1]), *map(int, sys.argv[2:5])
merged = len(sys.argv) > 5
torch.manual_seed(0)

def write(place, dtype, names, tensors):
    file = folder / f"{place}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in names.items():
        start, end = end, end + shape[0] * shape[1] * dtype.itemsize
        header[name] = {"dtype": {4: "F32", 2: "BF16"}[dtype.itemsize], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors:
            out.write(tensor.contiguous().view(torch.uint8).numpy().tobytes())

updates = [(torch.randn(rank, width) / width, torch.randn(width, rank)) for _ in range(modules)]
names = {}
for at in range(modules):
    names[f"base_model.model.layers.{at}.proj.lora_A.weight"] = [rank, width]
    names[f"base_model.model.layers.{at}.proj.lora_B.weight"] = [width, rank]
write("adapter/adapter_model", torch.float32, names, (one for pair in updates for one in pair))
if merged:
    bases = [(torch.randn(width, width) / width).bfloat16() for _ in range(4)]
    names = {f"layers.{at}.proj.weight": [width, width] for at in range(modules)}
    write("base/model", torch.bfloat16, names, (bases[at % 4] for at in range(modules)))
    after = ((bases[at % 4].float() + 2 * b @ a).bfloat16() for at, (a, b) in enumerate(updates))
    write("merged/model", torch.bfloat16, names, after)
config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": ["proj"]}
(folder / "adapter" / "adapter_config.json").write_text(json.dumps(config))
"""
"""Writes tensor by tensor, so that gigabytes need no memory."""

_SUM = """
import mmap, sys, time, torch, warnings
warnings.simplefilter("ignore")
for _ in range(3):
    start = time.perf_counter()
    for name in sys.argv[3:]:
        with open(name, "rb") as file:
            memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        total = float(torch.frombuffer(memory, dtype=getattr(torch, sys.argv[2])).sum())
        del memory
    seconds = time.perf_counter() - start
with open(sys.argv[1], "w") as file:
    file.write(str(seconds))
"""
"""One sum over each file as it is mapped, header and all."""

_VERIFY = """
import sys, time
from lora_lint.cli import main
report, sys.argv = sys.argv[1], ["lora-lint", *sys.argv[2:]]
for _ in range(3):
    start = time.perf_counter()
    try:
        main()
    except SystemExit as end:
        assert not end.code
    seconds = time.perf_counter() - start
with open(report, "w") as file:
    file.write(str(seconds))
"""
"""The third run in one process: imports are done, and the file is in memory."""

_PEFT = """
import sys, torch
from pathlib import Path
from peft import PeftModel
from safetensors.torch import load_file
folder = Path(sys.argv[1])
base, merged = load_file(folder / "base/model.safetensors"), load_file(folder / "merged/model.safetensors")
class Layer(torch.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.proj = torch.nn.Linear(*reversed(weight.shape), bias=False, dtype=weight.dtype)
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(Layer(weight) for weight in base.values())
    def forward(self, x):
        return x
model = Model()
model.load_state_dict(base)
model = PeftModel.from_pretrained(model, folder / "adapter").merge_and_unload()
print(max(float((weight - merged[name]).abs().max()) for name, weight in model.state_dict().items()))
"""

_HELD = """
import sys, threading
def held():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1024
import torch, lora_lint.reference
before, most, end = held(), 0.0, threading.Event()
def watch():
    global most
    while not end.wait(0.002):
        most = max(most, held())
thread = threading.Thread(target=watch)
thread.start()
from lora_lint.cli import main
report, sys.argv = sys.argv[1], ["lora-lint", *sys.argv[2:]]
try:
    main()
except SystemExit:
    end.set()
    thread.join()
    with open(report, "w") as file:
        file.write(str(most - before))
"""
"""Memory above the imports that isn't the page cache of the mapped weights."""


def verify(folder: Path, runs: int) -> Iterator[Row]:
    """Verification of an adapter and of a merge, against plain sums and against PEFT."""
    runs = min(runs, 3)
    yield _alone(folder, runs)
    yield from _merged(folder, runs)


def _wall(runs: int, folder: Path, *commands: list[str | Path]) -> list[list[Cost]]:
    return in_turn(runs, *(partial(process, command, folder) for command in commands))


def _alone(folder: Path, runs: int) -> Row:
    """Reading every tensor of an adapter once, in a process where torch is imported and the file is in memory."""
    large, small = folder / "large", folder / "one-module"
    for place, modules in ((large, "256"), (small, "1")):
        process([PYTHON, "-c", _MAKE, place, modules, "256", str(_WIDTH)], folder)
    weights = large / "adapter" / "adapter_model.safetensors"
    ours, one, theirs = in_turn(
        runs,
        *(partial(_reported, folder, _VERIFY, ["verify", place / "adapter", *_CPU]) for place in (large, small)),
        partial(_reported, folder, _SUM, ["float32", weights]),
    )
    what = f"`verify` of a {weights.stat().st_size / 1e9:.1f} GB adapter, warm, over that of one module"
    shutil.rmtree(large)
    return Row(what, _over(ours, one), "torch sum over its map", theirs, "1.25x")


_CPU = ("--device", "cpu")


def _over(large: list[float], small: list[float]) -> list[float]:
    """What a run takes besides reading options, settings and rules."""
    return [whole - median(small) for whole in large]


def _reported(folder: Path, code: str, arguments: list[str | Path]) -> float:
    """The number that a program of its own leaves in a file."""
    report = folder / "report"
    report.unlink(missing_ok=True)
    process([PYTHON, "-c", code, report, *arguments], folder)
    return float(report.read_text("utf-8"))


def _merged(folder: Path, runs: int) -> Iterator[Row]:
    one, small, large = (_merge(folder, modules=count) for count in (1, 16, 128))
    pair = [folder / "merged-128" / place / "model.safetensors" for place in ("base", "merged")]
    size = f"{sum(path.stat().st_size for path in pair) / 1e9:.1f} GB"
    for device, where in (("cpu", ""), ("cuda", " on a GPU"))[: 2 if _has_gpu() else 1]:
        ours, start, theirs = in_turn(
            runs,
            *(partial(_reported, folder, _VERIFY, [*given, "--device", device]) for given in (large, one)),
            partial(_reported, folder, _SUM, ["bfloat16", *pair]),
        )
        what = f"`verify` of base and merged{where}, {size}, warm, over that of one module"
        yield Row(what, _over(ours, start), "torch sums over both maps", theirs, "1.67x")
    small, large = ([*given, *_CPU] for given in (small, large))
    yield Row(
        f"memory above the imports for base and merged, {size}",
        [_reported(folder, _HELD, large)],
        "for 1.1 GB",
        [_reported(folder, _HELD, small)],
        "the same",
        unit="MB",
    )
    shutil.rmtree(folder / "merged-128")
    ours, theirs = _wall(runs, folder, [*LORA_LINT, *small], [PYTHON, "-c", _PEFT, folder / "merged-16"])
    what, peer = "`verify` of base and merged, 1.1 GB", "load with PEFT, merge, subtract"
    yield Row(what, [cost.wall for cost in ours], peer, [cost.wall for cost in theirs])
    yield Row(f"{what}, peak memory", [cost.peak for cost in ours], peer, [cost.peak for cost in theirs], unit="MB")


def _merge(folder: Path, modules: int) -> list[str | Path]:
    """Make a base, an adapter and what they merge into; the arguments that verify it."""
    place = folder / f"merged-{modules}"
    process([PYTHON, "-c", _MAKE, place, str(modules), str(_RANK), str(_WIDTH), "merged"], folder)
    return ["verify", place / "adapter", "--base", place / "base", "--merged", place / "merged"]


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def possible() -> bool:
    """Whether torch, safetensors and PEFT are here, and Linux to say what memory is what."""
    from importlib.util import find_spec

    return sys.platform == "linux" and os.path.exists("/proc/self/status") and all(map(find_spec, ("torch", "peft")))
