"""What the tensors of an adapter hold, as numbers that rules can read; `lora_lint.reference` makes them, with torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from lora_lint.once import once


class Rows(NamedTuple):
    """Rows `start` to `end` of `total`: the only ones with numbers in them."""

    start: int
    end: int
    total: int

    @property
    def shards(self) -> int:
        """Among how many processes `torch.chunk` would leave these rows to one; 0 where it would to none."""
        kept = self.end - self.start
        shards = math.ceil(self.total / kept)
        return shards if self.start % kept == 0 and math.ceil(self.total / shards) == kept else 0


@dataclass(frozen=True, slots=True)
class Factor:
    """A tensor of an adapter in short: `norm` is the root of its sum of squares, not finite where a value isn't."""

    name: str
    file: str
    shape: tuple[int, ...]
    norm: float
    rows: Rows | None = None
    """Where most rows are zero and those that aren't are neighbours."""
    zeros: frozenset[int] = frozenset()
    """The directions, rows of A or columns of B, that are all zero."""

    @property
    def part(self) -> str:
        """`lora_A`, `lora_embedding_B`: the name without its module."""
        return next((part for part in reversed(self.name.split(".")) if "lora" in part), self.name)


class Spectrum(NamedTuple):
    """The singular values of `B @ A` in short.

    `norm` is the root of the sum of their squares; `effective` the exponential of the entropy of the squares' shares,
    which is r for r equal values and 1 where one outweighs all others (Roy and Vetterli 2007, for squares).
    """

    norm: float
    effective: float


@dataclass(eq=False)
class Update:
    """`B @ A` on one module, and what it takes to ask its tensors for more."""

    module: str
    a: Factor
    b: Factor
    scale: float | None
    magnitude: Factor | None = None
    spectrum_of: Callable[[], Spectrum | None] = lambda: None
    largest_of: Callable[[], float] = lambda: 0.0
    peak_of: Callable[[Factor], float] = lambda _: 0.0
    """The largest entry of A or of B, without its sign."""
    equals: Callable[["Update"], bool] = lambda _: False
    with_spectrum: bool = False
    """Whether somebody asked for effective ranks, which cost more than reading the tensors."""

    @property
    def factors(self) -> tuple[Factor, ...]:
        return (self.a, self.b) if self.magnitude is None else (self.a, self.b, self.magnitude)

    @property
    def rank(self) -> int:
        return self.a.shape[0]

    @property
    def finite(self) -> bool:
        return all(math.isfinite(factor.norm) for factor in self.factors)

    @property
    def zero(self) -> Factor | None:
        """The factor that is all zeros, so that nothing is added; beside a NaN they don't come to nothing."""
        return next((factor for factor in (self.b, self.a) if factor.norm == 0), None) if self.finite else None

    @property
    def adds(self) -> bool:
        """Whether it adds something, all of it finite."""
        return self.finite and self.zero is None

    @property
    def unused(self) -> frozenset[int]:
        """The directions that are zero in A or in B; those of B are A's only where no groups divide them."""
        return self.a.zeros | self.b.zeros if self.b.shape[1] == self.rank else self.a.zeros

    @property
    def bound(self) -> float:
        """No entry of `B @ A` is larger, nor is its norm."""
        return self.a.norm * self.b.norm

    @once
    def spectrum(self) -> Spectrum | None:
        """None where `B @ A` isn't one matrix: experts, grouped convolutions."""
        return self.spectrum_of()

    @once
    def largest(self) -> float:
        """The largest entry of `B @ A`, without its sign."""
        return self.largest_of()


@dataclass(eq=False)
class Adapter:
    """The updates of one adapter; `step` is the step of training that it was saved at, where its folder says so."""

    updates: tuple[Update, ...]
    step: int | None = None

    @once
    def adding(self) -> tuple[Update, ...]:
        return tuple(update for update in self.updates if update.adds)


class Comparison(NamedTuple):
    """The fault that comparing weights or scales has found: the rule that it is a finding of, the message, and the
    tensor to point at."""

    rule: str
    fault: str
    tensor: str
    file: str
