"""The weight that a model holds under a module's own name, in whatever form."""

from dataclasses import dataclass
from functools import partial

from lora_lint.reference.experts import of_gpt_oss
from lora_lint.reference.packed import packed
from lora_lint.reference.quantised import quantised
from lora_lint.reference.stored import NotComparableError, Plain, Rows
from lora_lint.reference.stream import DTYPES, TensorRef
from lora_lint.reference.verdict import EPSILON, ROUNDING, NotMeasuredError
from lora_lint.reference.weights import Weights


@dataclass(frozen=True, eq=False)
class Place:
    """A weight, and how exact its numbers are: the norm of their rounding error over that of the weight."""

    rows: Rows
    error: float
    name: str = ""
    """Of the tensor, where it is one whole tensor."""
    quantised: bool = False
    fused: bool = False


def named(module: str, parameter: str, weights: Weights, role: str) -> Place | None:
    """The weight, or None where there is no tensor of that name.

    Raises:
        NotMeasuredError: when it can't be turned into numbers.
        UnreadableError: when it can't be read.
    """
    ref = weights.find(module, parameter)
    dtype = weights.files.holding(ref).dtype(ref.name) if ref is not None else "I32"
    try:
        return _packed(module, parameter, weights) if ref is None else _stored(module, ref, dtype, weights)
    except NotComparableError as error:
        raise NotMeasuredError(f"the {role} weight is stored as {dtype}, which is quantised: it {error}") from error


def _packed(module: str, parameter: str, weights: Weights) -> Place | None:
    beside = partial(weights.beside, module)
    coded = packed(beside, weights.quantisation_of(module)) if parameter == "weight" else of_gpt_oss(parameter, beside)
    return None if coded is None else Place(coded, coded.error, quantised=True)


def _stored(module: str, ref: TensorRef, dtype: str, weights: Weights) -> Place:
    if dtype not in DTYPES:
        raise NotComparableError("can't be read here")
    tensor = weights.files.tensor(ref)
    if dtype in EPSILON:
        return Place(Plain(tensor), ROUNDING * EPSILON[dtype])
    config = weights.quantisation_of(ref.name.removesuffix(".weight"))
    found = quantised(tensor, partial(weights.beside, module), config)
    return Place(found, found.error, quantised=True)
