"""Query, key and value that share a weight head by head: adapters of the parts, and of the whole against the parts.

Where the rows are is what the models' own code says, of transformers 5.24.0: modeling_gpt_neox.py:193-196,
modeling_bloom.py:214-217, modeling_falcon.py:254-272, modeling_codegen.py:135-142, modeling_minimax.py:188-192; of
InternLM2 the loader of ModelTC/lightllm, models/internlm2/layer_weights/transformer_layer_weight.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lora_lint.reference import ModuleVerdict, verify
from tests.test_merges import SCALE, Made

pytestmark = pytest.mark.usefixtures("on_every_device")

DIM, INNER = 16, 64


def by_head(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The rows of all that each head has: three times its dimension."""
    return torch.cat([part.view(-1, DIM, INNER) for part in (q, k, v)], dim=1).reshape(-1, INNER)


def by_group(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """For each head of the key those of its queries, then the key's and the value's."""
    keys = k.view(-1, DIM, INNER)
    return torch.cat([q.view(len(keys), -1, INNER), keys, v.view(-1, DIM, INNER)], dim=1).reshape(-1, INNER)


def one_after_the_other(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.cat([q, k, v])


def in_four_shards(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.cat([part.view(4, -1, INNER) for part in (q, v, k)], dim=1).reshape(-1, INNER)


FALCON = {"model_type": "falcon", "num_attention_heads": 4, "num_kv_heads": 2}
INTERN = {"model_type": "internlm2", "num_attention_heads": 8, "num_key_value_heads": 2}
MODELS: dict[str, tuple[str, dict[str, Any], tuple[int, int], Callable[..., Tensor]]] = {
    "GPT-NeoX": ("query_key_value", {"model_type": "gpt_neox", "num_attention_heads": 4}, (4, 4), by_head),
    "BLOOM": ("query_key_value", {"model_type": "bloom", "n_head": 4}, (4, 4), by_head),
    "Falcon 40B": ("query_key_value", FALCON | {"new_decoder_architecture": True}, (4, 2), by_group),
    "Falcon 7B": ("query_key_value", FALCON | {"multi_query": True}, (4, 1), one_after_the_other),
    "Falcon RW": ("query_key_value", FALCON | {"multi_query": False}, (4, 4), by_head),
    "InternLM2": ("wqkv", INTERN, (8, 2), by_group),
    "InternVL": ("wqkv", {"model_type": "internvl_chat", "llm_config": INTERN}, (8, 2), by_group),
    "CodeGen": ("qkv_proj", {"model_type": "codegen", "n_head": 8}, (8, 8), in_four_shards),
    "MiniMax": ("qkv_proj", {"model_type": "minimax", "num_attention_heads": 4}, (4, 4), by_head),
    "Phi 3": ("qkv_proj", {"model_type": "phi3", "num_attention_heads": 4}, (4, 2), one_after_the_other),
    "without a config": ("qkv_proj", {}, (4, 2), one_after_the_other),
}


def parts(made: Made, heads: tuple[int, int]) -> tuple[dict[str, Tensor], dict[str, tuple[Tensor, Tensor]]]:
    """Weights of query, key and value, and updates of them."""
    rows = {name: DIM * count for name, count in zip("qkv", (heads[0], heads[1], heads[1]), strict=True)}
    weights = {f"l.{name}_proj": made.random(count, INNER) for name, count in rows.items()}
    return weights, {f"l.{name}_proj": made.pair(count, INNER) for name, count in rows.items()}


def after(weights: dict[str, Tensor], pairs: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    return {name: weight + SCALE * pairs[name][1] @ pairs[name][0] for name, weight in weights.items()}


def split(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}.weight": weight for name, weight in weights.items()}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("base_is", ["split", "fused"])
@pytest.mark.parametrize("merged_is", ["split", "fused"])
def test_adapters_of_the_parts(merged_is: str, base_is: str, model: str, tmp_path: Path) -> None:
    whole, config, heads, order = MODELS[model]
    made = Made(tmp_path)
    weights, pairs = parts(made, heads)

    def kept(tensors: dict[str, Tensor], form: str) -> dict[str, Tensor]:
        return split(tensors) if form == "split" else {f"l.{whole}.weight": order(*tensors.values())}

    base = made.weights("base", kept(weights, base_is), config)
    merged = made.weights("merged", kept(after(weights, pairs), merged_is))
    for verdict in verify(made.claims(pairs), base=base, merged=merged):
        assert (verdict.status, verdict.message) == ("ok", ""), verdict
        assert verdict.measured == pytest.approx(SCALE, rel=1e-4)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("base_is", ["split", "fused"])
def test_an_adapter_of_the_whole(base_is: str, model: str, tmp_path: Path) -> None:
    whole, config, heads, order = MODELS[model]
    made = Made(tmp_path)
    weights, _ = parts(made, heads)
    fused = order(*weights.values())
    a, b = made.pair(fused.shape[0], INNER)
    kept = split(weights) if base_is == "split" else {f"l.{whole}.weight": fused}
    base, merged = (
        made.weights("base", kept, config),
        made.weights("merged", {f"l.{whole}.weight": fused + SCALE * b @ a}),
    )
    (verdict,) = verify(made.claims({f"l.{whole}": (a, b)}), base=base, merged=merged)
    assert verdict.status == "ok", verdict
    assert verdict.measured == pytest.approx(SCALE, rel=1e-4)


def test_the_vision_tower_of_internvl_has_an_order_of_its_own(tmp_path: Path) -> None:
    made = Made(tmp_path)
    weights, pairs = parts(made, (4, 4))
    base, merged = (
        made.weights(name, {"l.qkv.weight": one_after_the_other(*tensors.values())}, MODELS["InternVL"][1])
        for name, tensors in (("base", weights), ("merged", after(weights, pairs)))
    )
    assert [verdict.status for verdict in verify(made.claims(pairs), base=base, merged=merged)] == ["ok"] * 3


def in_gpt_neox(root: Path, config: dict[str, Any], scale: float = SCALE) -> list[ModuleVerdict]:
    """Verdicts on the parts of a weight that GPT-NeoX holds by heads, into which `scale` was merged."""
    made = Made(root)
    weights, pairs = parts(made, (4, 4))
    later = {name: weight + scale * pairs[name][1] @ pairs[name][0] for name, weight in weights.items()}
    base, merged = (
        made.weights(name, {"l.query_key_value.weight": by_head(*tensors.values())}, config)
        for name, tensors in (("base", weights), ("merged", later))
    )
    return list(verify(made.claims(pairs), base=base, merged=merged))


def test_another_scale_in_rows_that_are_known_is_a_finding(tmp_path: Path) -> None:
    for verdict in in_gpt_neox(tmp_path, {"model_type": "gpt_neox", "num_attention_heads": 4}, scale=4.0):
        assert (verdict.status, verdict.message) == ("failed", "scale is 4, declared 2: applied twice")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "the fused weight may have its rows in another order"),
        ({"model_type": "chatglm"}, "the fused weight may have its rows in another order"),
        ({"model_type": "gpt_neox"}, "the config of the weights has no num_attention_heads"),
        ({"model_type": "gpt_neox", "num_attention_heads": 5}, "192 rows aren't those of 5 groups of 3 heads"),
    ],
)
def test_rows_in_an_order_that_is_not_known_give_no_number(config: dict[str, Any], words: str, tmp_path: Path) -> None:
    for verdict in in_gpt_neox(tmp_path, config):
        assert (verdict.status, verdict.measured, verdict.residual) == ("undecided", None, None), verdict
        assert verdict.message.startswith("not measured: ")
        assert words in verdict.message
