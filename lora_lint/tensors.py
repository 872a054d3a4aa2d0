"""Tensors as the headers of weight files name them; no data of theirs is read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from lora_lint.document import Problem
from lora_lint.once import alike, once

READABLE = frozenset(("F64", "F32", "F16", "BF16", *(f"{sign}{bits}" for sign in "IU" for bits in (64, 32, 16, 8))))
"""Types of tensors whose single numbers, such as alphas, Python can read."""


class Tensor(NamedTuple):
    """One tensor of a safetensors header, and the file that holds it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: str


Form = tuple[object, ...]
"""The shapes and dtypes of one module's tensors, with what else its rank and features follow from."""


@dataclass(frozen=True)
class Checkpoint:
    """What the headers of the weight files beside a config say; no tensor data is read.

    `tensors` maps names to headers. `missing_shards` and `escaping_shards` are what an index names but the folder
    doesn't hold, and what would lead out of the folder.
    """

    files: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    missing_shards: tuple[str, ...] = ()
    escaping_shards: tuple[str, ...] = ()
    unreadable: bool = False
    problems: tuple[tuple[str, Problem], ...] = ()
    """Files with what is wrong with them; `unreadable` says that tensors are missing for it."""
    scalars: Mapping[str, float] = field(default_factory=dict)
    """The values of `.alpha` tensors, which are read with the header of a file that has no config."""
    named: frozenset[str] = field(default=frozenset(), compare=False)
    """The tensors that the index names, in shards that are there and in those that aren't."""
    pickled_size: int | None = None
    """Bytes of an `adapter_model.bin`, which is never opened; None where there is none."""

    @once
    def names(self) -> tuple[str, ...]:
        """Of the tensors; the same tuple for all checkpoints with the same names."""
        return alike(self.tensors)

    def matching(self, suffix: str) -> Iterator[Tensor]:
        return (tensor for name, tensor in self.tensors.items() if name.endswith(suffix))


class LoraTensors(Protocol):
    """The tensors of one module, as `lora_lint.modules` pairs them; `component` is its model, of several."""

    @property
    def module(self) -> str: ...
    @property
    def adapter(self) -> str: ...
    @property
    def component(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def a(self) -> Tensor | None: ...
    @property
    def b(self) -> Tensor | None: ...
    @property
    def magnitude(self) -> Tensor | None: ...
    @property
    def alpha(self) -> Tensor | None: ...
    @property
    def of_parameter(self) -> bool: ...
    @property
    def form(self) -> Form: ...
    @property
    def axes(self) -> tuple[int, int]: ...
    @property
    def fused(self) -> bool: ...
    @property
    def rank(self) -> int | None: ...
    @property
    def rank_of_b(self) -> int | None: ...
    @property
    def features(self) -> tuple[int, int] | None: ...

    def has_rank(self, rank: float) -> bool:
        """Whether the tensors can come from a layer of this rank."""
