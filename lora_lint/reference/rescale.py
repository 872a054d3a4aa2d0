"""Another alpha for a trained adapter, with B changed by the opposite factor, so that it does what it did."""

import json
import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lora_lint.checkpoint import LoraModule, tensor_modules
from lora_lint.facts import Setup, Site
from lora_lint.policy import Policy
from lora_lint.readers.safetensors import read_header
from lora_lint.reference.claims import kind_of
from lora_lint.reference.layer import Geometry, Kind, added
from lora_lint.reference.stream import DTYPES, MappedFile
from lora_lint.scaling import number
from lora_lint.tensors import Tensor as TensorInfo

TOLERANCES = {"F64": 1e-12, "F32": 1e-6, "F16": 1e-3, "BF16": 1e-2}
"""How far, relative to the output, the update may move: a rounding of B at each dtype, none for powers of two."""

INPUTS = 16
"""Random inputs that the update is compared on, all of them across the whole width."""


class RescaleError(Exception):
    """Why an adapter can't be rewritten so that its function stays."""


class Rescaled(NamedTuple):
    """One module: its scale before and after, and how far the update moved, relative to its size."""

    module: str
    before: float
    after: float
    error: float


class _Change(NamedTuple):
    """One module's tensors and what becomes of B."""

    module: LoraModule
    before: float
    after: float

    @property
    def factor(self) -> float:
        return self.before / self.after


def rescale(setup: Setup, folder: Path, policy: Policy, output: Path) -> list[Rescaled]:
    """Write the adapter in `folder` to `output` with the alpha that the policy wants, and B to match.

    Everything else in the folder is copied as it is. Each module's update is compared on random inputs before the
    folder appears under its name; nothing is left behind where that fails.

    Raises:
        RescaleError: when the format doesn't allow it, or the update would move by more than rounding.
        OSError: when a file can't be read or written.
    """
    changes = list(_changes(setup, policy))
    config = _config(setup, policy)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise RescaleError(f"{output} exists and isn't an empty folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=output.parent, prefix=".lora-lint-"))
    try:
        _copy(folder, made)
        (made / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        for file, members in _by_file(changes).items():
            _rewrite(made / file, members)
        proved = [_proved(change, folder, made) for change in changes]
        made.chmod(0o755)
        if output.exists():
            output.rmdir()
        made.rename(output)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return proved


def _changes(setup: Setup, policy: Policy) -> Iterator[_Change]:
    """What becomes of each module.

    Raises:
        RescaleError: when the setup isn't a whole adapter of PEFT with one scale for each module.
    """
    checkpoint = setup.checkpoint
    if setup.framework != "peft" or checkpoint is None or not checkpoint.tensors:
        raise RescaleError("only adapters of PEFT in safetensors can be rescaled")
    if any(not file.endswith(".safetensors") for file in checkpoint.files):
        raise RescaleError(f"{checkpoint.files[0]} is pickled; convert it to safetensors first")
    if any("alpha" in key or "alpha" in value for key, value in checkpoint.metadata.items()):
        raise RescaleError("the metadata of the tensors states an alpha, which would stay as it is")
    sites = {name: site for site in setup.sites for name in site.modules}
    for module in tensor_modules(checkpoint):
        yield _change(module, sites.get(module.module), policy)


def _change(module: LoraModule, site: Site | None, policy: Policy) -> _Change:
    if module.a is None or module.b is None:
        raise RescaleError(f"{module.module} lacks {'lora_A' if module.a is None else 'lora_B'}")
    if site is None or site.state != "active" or site.undecided:
        why = site.undecided if site is not None else "no site"
        raise RescaleError(f"the scale of {module.module} isn't known: {why or 'no LoRA'}")
    if module.b.dtype not in TOLERANCES:
        raise RescaleError(f"{module.b.name} is {module.b.dtype}, which can't be multiplied exactly")
    after = policy.scale(site)
    if not site.scale or not after:
        raise RescaleError(f"{module.module} has scale {number(site.scale)}, which no other one replaces")
    return _Change(module, site.scale, after)


def _config(setup: Setup, policy: Policy) -> dict[str, Any]:
    """The config with the alpha that the policy wants; where ranks differ by pattern, so do alphas, key by key."""
    data = setup.document.data
    assert isinstance(data, dict)
    base = next((site for site in setup.sites if not site.pattern), setup.sites[0])
    patterns = data.get("rank_pattern") or {}
    return {
        **data,
        "lora_alpha": _plain(_alpha(policy, base, data.get("r", base.rank.value))),
        "alpha_pattern": {key: _plain(_alpha(policy, base, rank)) for key, rank in patterns.items()},
    }


def _alpha(policy: Policy, site: Site, rank: float) -> float:
    wanted = policy.fixed_alpha
    return wanted if wanted is not None else site.formula.alpha_for(policy.wanted_scale or 0.0, rank)


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value


def _copy(folder: Path, made: Path) -> None:
    """The files of the folder; folders in it are adapters or checkpoints of their own, and links may lead anywhere."""
    for entry in os.scandir(folder):
        if entry.is_file() and not (entry.is_symlink() and not _inside(folder, entry.path)):
            shutil.copyfile(entry.path, made / entry.name)


def _inside(folder: Path, path: str) -> bool:
    from lora_lint.checkpoint import leads_out

    return not leads_out(str(folder), os.path.basename(path))


def _by_file(changes: list[_Change]) -> Mapping[str, list[tuple[TensorInfo, float]]]:
    """The tensors that are multiplied, by the file that holds them: B, and the bias that is scaled with it."""
    found: dict[str, list[tuple[TensorInfo, float]]] = {}
    for change in changes:
        for tensor in (change.module.b, change.module.bias):
            if tensor is not None:
                found.setdefault(tensor.file, []).append((tensor, change.factor))
    return found


def _rewrite(path: Path, members: list[tuple[TensorInfo, float]]) -> None:
    """Multiply tensors where they lie: neither their shapes nor their dtypes change, so the header stays right."""
    header = read_header(str(path))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        for tensor, factor in members:
            info = header.tensors[tensor.name]
            start = 8 + header.header_size + info.start
            old = torch.frombuffer(bytearray(memory[start : start + info.end - info.start]), dtype=DTYPES[info.dtype])
            new = (old.double() * factor).to(old.dtype)
            if not bool(torch.isfinite(new.double()).all()) or bool(((new == 0) & (old != 0)).any()):
                raise RescaleError(f"{tensor.name} can't hold its values times {number(factor)} in {info.dtype}")
            memory[start : start + info.end - info.start] = new.view(torch.uint8).numpy().tobytes()
        memory.flush()


def _proved(change: _Change, folder: Path, made: Path) -> Rescaled:
    """
    Raises:
        RescaleError: when the update on random inputs isn't what it was.
    """
    module = change.module
    assert module.a is not None
    assert module.b is not None
    a = MappedFile(folder / module.a.file).tensor(module.a.name).float()
    before = MappedFile(folder / module.b.file).tensor(module.b.name).float()
    after = MappedFile(made / module.b.file).tensor(module.b.name).float()
    kind = kind_of(module)
    inputs = _inputs(a, kind)
    old = change.before * _update(inputs, a, before, kind)
    new = change.after * _update(inputs, a, after, kind)
    size = old.double().norm().item()
    error = (new.double() - old.double()).norm().item() / size if size else 0.0
    if not math.isfinite(error) or error > TOLERANCES[module.b.dtype]:
        raise RescaleError(f"{module.module} would move by {error:.1e} of its update, more than rounding")
    return Rescaled(module.module, change.before, change.after, error)


def _inputs(a: Tensor, kind: Kind) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if kind == "embedding":
        return torch.randint(a.shape[1], (INPUTS,), generator=generator)
    shape = a.shape[1:] if kind == "conv" else (a.shape[1],)
    return torch.randn(INPUTS, *shape, generator=generator)


def _update(inputs: Tensor, a: Tensor, b: Tensor, kind: Kind) -> Tensor:
    geometry = Geometry(groups=a.shape[0] // b.shape[1]) if kind == "conv" else Geometry()
    return added(inputs, a, b, kind, geometry)
