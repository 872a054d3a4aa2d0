"""In what order one weight holds the rows of query, key and value, as the config of its model says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lora_lint.reference.verdict import NotMeasuredError

Config = Mapping[str, Any]


class Order(NamedTuple):
    """The rows come in groups, each with so many parts of the query, one of the key and one of the value."""

    groups: int
    queries: int = 1
    sequence: str = "qkv"


def _by_head(config: Config) -> Order:
    """(heads, 3, dim): modeling_gpt_neox.py:193-196, modeling_bloom.py:214-217 of transformers 5.24.0."""
    return Order(_number(config, "num_attention_heads", "n_head"))


def _by_group(config: Config) -> Order:
    """(key heads, query heads for each + 2, dim): `wqkv` of InternLM2, models/internlm2 of ModelTC/lightllm."""
    heads = _number(config, "num_attention_heads", "n_head")
    groups = _number(config, "num_key_value_heads", "num_kv_heads", "n_head_kv", default=heads)
    return Order(groups, heads // groups)


def _falcon(config: Config) -> Order | None:
    """`_split_heads`, modeling_falcon.py:254-272 of transformers 5.24.0; one key for all heads comes last."""
    if config.get("new_decoder_architecture") or config.get("model_type") == "RefinedWeb":
        return _by_group(config)
    return None if config.get("multi_query", True) else _by_head(config)


def _codegen(_: Config) -> Order:
    """Four shards of a training run: modeling_codegen.py:123-142 of transformers 5.24.0."""
    return Order(4, sequence="qvk")


ORDERS: dict[str, dict[str, Callable[[Config], Order | None]]] = {
    "query_key_value": {
        **dict.fromkeys(("gpt_neox", "gpt_neox_japanese", "bloom", "persimmon"), _by_head),
        **dict.fromkeys(("falcon", "RefinedWeb", "RefinedWebModel"), _falcon),
    },
    "qkv_proj": {"codegen": _codegen, "minimax": _by_head},
    "wqkv": {"internlm2": _by_group},
}
"""By the name of the layer and `model_type`; everywhere else the query comes first, then the key, then the value, as
far as is known. A model of several parts has layers of other names in the others."""

_INSIDE = ("text_config", "llm_config", "language_config")


Runs = Sequence[range]
"""Rows of a weight, as neighbours come."""


def rows_of(config: Config, layer: str, total: int) -> dict[str, Runs] | None:
    """Which rows of a layer's weight are the query's, the key's and the value's; None where no order is known.

    Raises:
        NotMeasuredError: when the rows aren't what the heads of the config would have.
    """
    orders = ORDERS.get(layer, {})
    own = next((one for one in _configs(config) if one.get("model_type") in orders), None)
    order = orders[own["model_type"]](own) if own is not None else None
    if order is None:
        return None
    groups, parts = order.groups, order.queries + 2
    if groups <= 0 or order.queries <= 0 or total % (groups * parts):
        raise NotMeasuredError(f"not measured: {total} rows aren't those of {groups} groups of {parts} heads")
    each = total // (groups * parts)
    found: dict[str, list[range]] = {part: [] for part in "qkv"}
    at = 0
    for _ in range(groups):
        for part in order.sequence:
            size = order.queries * each if part == "q" else each
            found[part].append(range(at, at + size))
            at += size
    return dict(found)


def mixed(rows: Mapping[str, Runs]) -> Runs:
    """The rows of query, key and value one after the other, as `rows_of` says that they are mixed."""
    placed, at = [], 0
    for run in (run for part in "qkv" for run in rows[part]):
        placed.append((run.start, range(at, at + len(run))))
        at += len(run)
    return [run for _, run in sorted(placed, key=lambda pair: pair[0])]


def _configs(config: Config) -> Iterator[Config]:
    yield config
    yield from (inner for key in _INSIDE if isinstance(inner := config.get(key), dict))


def _number(config: Config, *names: str, default: int | None = None) -> int:
    """
    Raises:
        NotMeasuredError: when the config has no such number.
    """
    found = next((config[name] for name in names if isinstance(config.get(name), int)), default)
    if found is None or found <= 0:
        raise NotMeasuredError(f"not measured: the config of the weights has no {names[0]} to tell heads apart")
    return int(found)
