"""Weights as they lie in files, plain or quantised: blocks of their rows become numbers when they are asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Rows(Protocol):
    """A weight that gives its rows as floating point numbers."""

    @property
    def shape(self) -> torch.Size:
        """As the layer has it, (out, in) or (out, in, *kernel)."""

    @property
    def nbytes(self) -> int: ...

    def rows(self, start: int, length: int) -> Tensor:
        """(length, all else), on the CPU or where a plain weight lies."""


@dataclass(frozen=True, eq=False)
class Plain:
    """A weight in floating point."""

    tensor: Tensor

    @property
    def shape(self) -> torch.Size:
        return self.tensor.shape

    @property
    def nbytes(self) -> int:
        return self.tensor.nbytes

    def rows(self, start: int, length: int) -> Tensor:
        return self.tensor.flatten(1).narrow(0, start, length)


@dataclass(frozen=True, eq=False)
class Quantised:
    """A weight that is kept as codes; `values` turns rows of them into float32."""

    shape: torch.Size
    nbytes: int
    values: Callable[[int, int], Tensor]
    error: float
    """Of quantising once more, over the norm of the weight."""

    def rows(self, start: int, length: int) -> Tensor:
        return self.values(start, length)


@dataclass(frozen=True, eq=False)
class Part:
    """Rows of a larger weight: the query in a fused query, key and value."""

    whole: Rows
    start: int
    length: int

    @property
    def shape(self) -> torch.Size:
        return torch.Size((self.length, *self.whole.shape[1:]))

    @property
    def nbytes(self) -> int:
        return self.whole.nbytes * self.length // self.whole.shape[0]

    def rows(self, start: int, length: int) -> Tensor:
        return self.whole.rows(self.start + start, length)


@dataclass(frozen=True, eq=False)
class Joined:
    """Weights on top of each other: query, key and value where the adapter has them fused."""

    parts: Sequence[Rows]

    @property
    def shape(self) -> torch.Size:
        return torch.Size((sum(part.shape[0] for part in self.parts), *self.parts[0].shape[1:]))

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts)

    def rows(self, start: int, length: int) -> Tensor:
        found, first = [], 0
        for part in self.parts:
            low, high = max(start - first, 0), min(start + length - first, part.shape[0])
            if low < high:
                found.append(part.rows(low, high - low))
            first += part.shape[0]
        return torch.cat(found)


def picked(whole: Rows, runs: Sequence[range]) -> Joined:
    """Rows of another weight in another order, or some of them: the query of every head."""
    return Joined([Part(whole, run.start, len(run)) for run in runs])


@dataclass(frozen=True, eq=False)
class Stacked:
    """A weight of experts, (experts, ...), that don't lie in one plain tensor."""

    experts: Sequence[Rows]
    error: float = 0.0
    """Of quantising once more, over the norm of the weight."""

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self.experts), *self.experts[0].shape))

    @property
    def nbytes(self) -> int:
        return sum(expert.nbytes for expert in self.experts)

    def rows(self, start: int, length: int) -> Tensor:
        return torch.stack([one.rows(0, one.shape[0]).flatten() for one in self.experts[start : start + length]])


def of_experts(weight: Rows) -> Sequence[Rows]:
    """The weight of each expert, of one that stacks them in a tensor or otherwise."""
    if isinstance(weight, Stacked):
        return weight.experts
    assert isinstance(weight, Plain)
    return [Plain(expert) for expert in weight.tensor]


class NotComparableError(Exception):
    """Why a stored weight can't be turned into numbers here."""


Beside = Callable[[str], Tensor | None]
"""Another tensor of the same module by the end of its name, such as `scales`."""
