"""Where the weight of an adapted module lies in a model: under its name, fused with its neighbours, or tied."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lora_lint.reference.adapter import ModuleClaim
from lora_lint.reference.experts import containers
from lora_lint.reference.heads import Runs, mixed, rows_of
from lora_lint.reference.merged import shown
from lora_lint.reference.named import Place, named
from lora_lint.reference.stored import Joined, Part, Stacked, picked
from lora_lint.reference.verdict import Fault, NotMeasuredError
from lora_lint.reference.weights import Weights

FUSED: Sequence[tuple[tuple[str, ...], tuple[str, ...]]] = (
    (("q_proj", "k_proj", "v_proj"), ("qkv_proj", "W_pack", "qkv", "Wqkv", "wqkv", "query_key_value")),
    (("wq", "wk", "wv"), ("wqkv",)),
    (("query", "key", "value"), ("query_key_value", "qkv", "Wqkv")),
    (("to_q", "to_k", "to_v"), ("to_qkv", "qkv")),
    (("gate_proj", "up_proj"), ("gate_up_proj",)),
    (("w1", "w3"), ("w13",)),
)
"""Modules that other code of the same model keeps in one weight, in the order of its rows: query, key and value where
there are three."""

TIED = (("lm_head", "embed_out", "output"), ("embed_tokens", "wte", "word_embeddings", "embed_in", "tok_embeddings"))
"""Output heads and the embeddings whose weight they share; files hold one of the two."""


def place(
    claim: ModuleClaim, weights: Weights, role: str, heights: Mapping[str, int], config: Mapping[str, Any]
) -> Place:
    """The weight of a claim's module; `heights` are the rows of B of every module of the adapter, and `config` is that
    of the model.

    Raises:
        NotMeasuredError: when it isn't there, or can't be turned into numbers.
        UnreadableError: when it can't be read.
    """
    for found in _candidates(claim, weights, role, heights, config):
        return found
    raise NotMeasuredError(f"the {role} weights hold no {claim.module}.{claim.parameter}")


def _candidates(
    claim: ModuleClaim, weights: Weights, role: str, heights: Mapping[str, int], config: Mapping[str, Any]
) -> Iterator[Place]:
    own = named(claim.module, claim.parameter, weights, role)
    if own is not None:
        yield own
    elif claim.kind == "experts":
        yield from _one_by_one(claim.module, claim.parameter, weights, role)
    elif claim.parameter == "weight":
        yield from _fused(claim.module, weights, role, heights, config)
        yield from _tied(claim.module, weights, role)


def _one_by_one(module: str, parameter: str, weights: Weights, role: str) -> Iterator[Place]:
    """The weights of experts that have one each, as the stacked weight that the module holds."""
    for container, parts in containers(module, parameter):
        experts: list[Place] = []
        while True:
            found = [named(f"{container}.{len(experts)}.{part}", "weight", weights, role) for part in parts]
            if not all(found):
                break
            experts.append(_joined([one for one in found if one is not None]))
        if experts:
            error, coded = max(one.error for one in experts), any(one.quantised for one in experts)
            yield Place(Stacked([one.rows for one in experts], error), error, quantised=coded)
            return


def _joined(parts: Sequence[Place]) -> Place:
    if len(parts) == 1:
        return parts[0]
    error, coded = max(one.error for one in parts), any(one.quantised for one in parts)
    return Place(Joined([one.rows for one in parts]), error, quantised=coded, fused=True)


def _fused(
    module: str, weights: Weights, role: str, heights: Mapping[str, int], config: Mapping[str, Any]
) -> Iterator[Place]:
    parent, _, name = module.rpartition(".")
    stem = f"{parent}." if parent else ""
    for parts, wholes in FUSED:
        if name in parts:
            for whole in wholes:
                found = named(f"{stem}{whole}", "weight", weights, role)
                if found is not None:
                    order = rows_of(config, whole, found.rows.shape[0]) if len(parts) == 3 else None
                    yield from _part(found, name, parts, stem, heights, order)
        if name in wholes:
            split = [named(f"{stem}{part}", "weight", weights, role) for part in parts]
            if all(split):
                joined = _joined([one for one in split if one is not None])
                order = rows_of(config, name, joined.rows.shape[0]) if len(parts) == 3 else None
                if order is not None:
                    joined = replace(joined, rows=picked(joined.rows, mixed(order)), fused=False)
                yield joined


def _part(
    whole: Place,
    name: str,
    parts: tuple[str, ...],
    stem: str,
    heights: Mapping[str, int],
    order: Mapping[str, Runs] | None,
) -> Iterator[Place]:
    """The rows of one part of a fused weight, in the order of its model where that is known to mix them."""
    if order is not None:
        runs = order["qkv"[parts.index(name)]]
        if sum(map(len, runs)) == heights.get(f"{stem}{name}"):
            yield replace(whole, rows=picked(whole.rows, runs), name="")
    elif (span := _span(name, parts, whole.rows.shape[0], stem, heights)) is not None:
        yield replace(whole, rows=Part(whole.rows, *span), name="", fused=True)


def _span(
    name: str, parts: tuple[str, ...], total: int, stem: str, heights: Mapping[str, int]
) -> tuple[int, int] | None:
    """First row and number of rows of a part; key and value are alike, and so are the halves of two parts."""
    own = heights.get(f"{stem}{name}", 0)
    at = parts.index(name)
    if len(parts) == 2:
        return (at * own, own) if own * 2 == total else None
    query = own if at == 0 else total - 2 * own
    if own <= 0 or query <= 0 or (total - query) % 2:
        return None
    return (0, own) if at == 0 else (query + (at - 1) * own, own)


def is_tied(module: str) -> bool:
    """Whether a module may share its weight: an output head, or embeddings."""
    return any(module.rpartition(".")[2] in names for names in TIED)


def _tied(module: str, weights: Weights, role: str) -> Iterator[Place]:
    """The weight of the embeddings for the head and the other way round, where only one can be meant."""
    name = module.rpartition(".")[2]
    for own, others in (TIED, TIED[::-1]):
        if name in own:
            suffixes = tuple(f".{other}.weight" for other in others)
            matching = [key for key in weights.tensors if f".{key}".endswith(suffixes)]
            if len(matching) == 1:
                found = named(matching[0].removesuffix(".weight"), "weight", weights, role)
                if found is not None:
                    yield found


def comparable(base: Place, merged: Place) -> None:
    """
    Raises:
        Fault: when the two weights have different shapes, or are no matrices.
    """
    if len(base.rows.shape) < 2:
        message = f"the base weight is {shown(base.rows.shape)}, which B @ A doesn't fit"
        raise Fault(message, "base-shape-mismatch", "another shape")
    if base.rows.shape != merged.rows.shape:
        shapes = f"base weight is {shown(base.rows.shape)}, merged weight is {shown(merged.rows.shape)}"
        raise Fault(shapes, "merged-shape-differs", "another shape")
