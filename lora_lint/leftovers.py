"""What a distributed run leaves in its folder: shards of weights that no loader of adapters takes."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

_DEEPSPEED = "a shard of DeepSpeed, which its zero_to_fp32.py puts together"
_FSDP = "a shard of FSDP, which accelerate merge-weights puts together"
_MEGATRON = "a shard of Megatron, which its own converter puts together"
_NAMES = (
    (
        re.compile(r"(?:(?:bf16_|fp16_)?zero_pp_rank_\d+_|expp_rank_\d+_)?mp_rank_\d+_(?:model|optim)_states\.pt"),
        _DEEPSPEED,
    ),
    (re.compile(r"global_step\d+"), _DEEPSPEED),
    (re.compile(r"__\d+_\d+\.distcp|pytorch_model_fsdp_\d+|pytorch_model_fsdp(?:_\d+)?_rank\d+\.bin"), _FSDP),
    (re.compile(r"(?:mp|tp)_rank_\d+(?:_pp_rank_\d+|_\d+)?"), _MEGATRON),
)
"""deepspeed/runtime/engine.py:4196-4240 and 4783 of DeepSpeed at edaa7221; src/accelerate/utils/fsdp_utils.py:144-176
of accelerate at 16cb6eb8; torch/distributed/checkpoint/filesystem.py:97 of torch 2.13; NeMo's
nemo/collections/nlp/parts/nlp_overrides.py:1111-1158 at 8cfedd72."""


@lru_cache(maxsize=1024)
def leftover(name: str) -> str | None:
    """What a file or folder of this name is, where it is a shard of a run; None for others."""
    return next((what for pattern, what in _NAMES if pattern.fullmatch(name)), None)


def leftovers(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Those of some names that are shards of a run, each with what it is."""
    for name in sorted(names):
        if (what := leftover(name)) is not None:
            yield name, what
