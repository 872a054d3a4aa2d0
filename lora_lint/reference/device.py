"""Which device the tensors go to, and how precisely it can add."""

from collections.abc import Sequence
from itertools import accumulate

import torch


def pick_device(name: str) -> torch.device:
    """The device that `--device` names: auto, cpu, cuda, cuda:N or mps.

    Raises:
        ValueError: for a name that torch doesn't know, or a device that isn't here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    kind, _, index = name.partition(":")
    if kind == "cpu" and not index:
        return torch.device("cpu")
    if kind == "mps" and not index:
        if not _has_mps():
            raise ValueError("no mps device here")
        return torch.device("mps")
    if kind == "cuda" and (index.isdecimal() or name == "cuda"):
        count = torch.cuda.device_count()
        if int(index or 0) >= count:
            raise ValueError(f"no {name} here: torch sees {count} cuda devices")
        return torch.device("cuda", int(index)) if index else torch.device("cuda")
    raise ValueError(f"{name} is no device; take auto, cpu, cuda, cuda:N or mps")


def pick_devices(name: str) -> list[torch.device]:
    """The devices that `--device` names: `cuda`, and auto where there is one, stand for every GPU.

    Raises:
        ValueError: for a name that torch doesn't know, or a device that isn't here.
    """
    one = pick_device(name)
    if one.type == "cuda" and one.index is None and torch.cuda.device_count() > 1:
        return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
    return [one]


def shares(sizes: Sequence[int], count: int) -> list[int]:
    """Which of `count` devices each of some modules goes to: ranges of neighbours of about the same size."""
    total = max(1, sum(sizes))
    middles = (before + size / 2 for before, size in zip(accumulate(sizes, initial=0), sizes, strict=False))
    return [min(count - 1, int(middle * count / total)) for middle in middles]


def widest(device: torch.device) -> torch.dtype:
    """The dtype to add sums in: MPS has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def _has_mps() -> bool:
    return torch.backends.mps.is_available()
