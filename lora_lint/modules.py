"""The modules that the tensors of an adapter make up: A, B and what belongs to them, in the layout of their writer."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from lora_lint.once import alike, for_each
from lora_lint.tensors import Checkpoint, Form, Tensor

Axes = tuple[int, int]
"""Which axis of A and which of B is the rank."""

ROWS: Axes = (0, 1)
"""A is rank by inputs and B outputs by rank, the kernel of a convolution behind them: PEFT, kohya, almost everybody."""
COLUMNS: Axes = (-1, -2)
"""A is inputs by rank and B rank by outputs, experts in front of them: MLX, the experts of torchtune."""
STACKED: Axes = (-2, -1)
"""Experts, then rank by inputs and outputs by rank: MLX's SwitchLinear."""

_PARTS = (2, 3)
"""Query, key and value, as many as are adapted, that share one A of as many times the rank."""


class LoraModule(NamedTuple):
    """The tensors of one adapter on one module; `module` is its name in the base model.

    `adapter` is empty as saved by PEFT, and `default` or another name in a dump of the wrapped model. `of_parameter`:
    the adapter is on a parameter of the module, likely one that stacks experts, and not on its forward pass; PEFT nests
    them where several parameters of one module are adapted. Only files without a config have an `alpha` of their own
    and a `component` (the U-Net, a text encoder). Other methods than `lora` have neither A nor B: of their tensors the
    one whose rows are the rank is `inner`.
    """

    module: str
    adapter: str = ""
    a: Tensor | None = None
    b: Tensor | None = None
    magnitude: Tensor | None = None
    bias: Tensor | None = None
    of_parameter: bool = False
    alpha: Tensor | None = None
    component: str = ""
    method: str = "lora"
    inner: Tensor | None = None
    axes: Axes = ROWS

    @property
    def rank(self) -> int | None:
        """The rank that A tells, or None without an A; on a parameter of several experts it is experts times rank.

        B doesn't tell: a grouped convolution divides its columns. The fused query, key and value of LitGPT, loralib and
        AdapterHub are the exception, whose A has the rows of each.
        """
        if self.a is None:
            return self.inner.shape[0] if self.inner is not None and self.inner.shape else None
        if len(self.a.shape) < 2:
            return None
        return self.rank_of_b if self.fused else self.a.shape[self.axes[0]]

    @property
    def rank_of_b(self) -> int | None:
        """The rank that B tells."""
        return self.b.shape[self.axes[1]] if self.b is not None and len(self.b.shape) > 1 else None

    @property
    def fused(self) -> bool:
        """Whether A holds the rows of several adapters that B takes in turn: it is a parameter and no layer, and so its
        name doesn't end in `.weight` (litgpt/lora.py:205-225 at 26857050)."""
        if self.a is None or self.b is None or self.axes != ROWS or self.a.name.endswith(".weight"):
            return False
        if len(self.a.shape) != 2 or len(self.b.shape) != 2 or not self.b.shape[1]:
            return False
        parts, rest = divmod(self.a.shape[0], self.b.shape[1])
        return not rest and parts in _PARTS

    @property
    def form(self) -> Form:
        """All that ranks, features and dtypes follow from; the modules of an adapter have few forms."""
        a, b, inner = self.a, self.b, self.inner
        layer = a is not None and a.name.endswith(".weight")
        return (a and a[1:3], b and b[1:3], inner and inner[1:3], self.axes, layer, self.of_parameter)

    @property
    def features(self) -> tuple[int, int] | None:
        """The outputs and inputs of a linear layer; None for other layers and where a half is missing."""
        if self.a is None or self.b is None or len(self.a.shape) != 2 or len(self.b.shape) != 2:
            return None
        return self.b.shape[1 - self.axes[1] % 2], self.a.shape[1 - self.axes[0] % 2]

    def has_rank(self, rank: float) -> bool:
        """Whether the tensors can come from a layer of this rank."""
        rows = self.rank
        return rows is None or rows == rank or (self.of_parameter and rank > 0 and rows > 0 and rows % rank == 0)


_LORA = re.compile(
    r"\.lora_(?:(?:embedding_)?(?P<side>[AB])|(?P<magnitude>magnitude_vector))"
    r"(?:\.(?P<adapter>(?!(?:weight|bias)\Z)[^.]+))?(?P<bias>\.bias)?(?:\.weight)?\Z"
)
_NESTED = ".base_layer"
_USUAL = {".lora_A.weight": "A", ".lora_B.weight": "B"}
"""How nearly all names end, which is quicker to see than to search for."""


def tensor_modules(checkpoint: Checkpoint) -> Iterator[LoraModule]:
    """The LoRA modules that PEFT's tensor names make up, in the order in which they first occur."""
    yield from modules_of(checkpoint.tensors)


@for_each
def modules_of(tensors: Mapping[str, Tensor]) -> list[LoraModule]:
    """The same of tensors by name."""
    made = []
    for module, adapter, (a, b, magnitude, bias), of_parameter in _named(alike(tensors)):
        halves = tensors[a] if a else None, tensors[b] if b else None
        more = tensors[magnitude] if magnitude else None, tensors[bias] if bias else None
        made.append(LoraModule(module, adapter, *halves, *more, of_parameter))
    return made


_ROLES = ("A", "B", "magnitude", "bias")


class _Named(NamedTuple):
    """A module by the names of its tensors, in the order of `_ROLES`."""

    module: str
    adapter: str
    names: tuple[str | None, str | None, str | None, str | None]
    of_parameter: bool


@for_each
def _named(names: tuple[str, ...]) -> list[_Named]:
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name in names:
        if (role := _USUAL.get(name[-14:])) is not None:
            found.setdefault((name[:-14], ""), {})[role] = name
        elif match := _LORA.search(name):
            role = "bias" if match["bias"] else match["side"] or "magnitude"
            found.setdefault((name[: match.start()], match["adapter"] or ""), {})[role] = name
    nests = {path.partition(_NESTED)[0] for path, _ in found if path.endswith(_NESTED)}
    return [_module(path, adapter, roles, nests) for (path, adapter), roles in found.items()]


def _module(path: str, adapter: str, roles: Mapping[str, str], nests: Collection[str]) -> _Named:
    while path.endswith(_NESTED):
        path = path.removesuffix(_NESTED)
    of_parameter = path in nests or path.rpartition(".")[2] == "experts"
    a, b, magnitude, bias = map(roles.get, _ROLES)
    return _Named(_in_base_model(path), adapter, (a, b, magnitude, bias), of_parameter)


def _in_base_model(path: str) -> str:
    """A module's name without the wrapper that PEFT puts around the model, or around a part of it."""
    if path.startswith(_WRAPPER):
        return path[len(_WRAPPER) :]
    path = f".{path}."
    return path.replace(f".{_WRAPPER}", ".", 1).strip(".")


_WRAPPER = "base_model.model."
