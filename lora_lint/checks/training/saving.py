"""Is a whole adapter written where the weights are spread over processes?"""

from collections.abc import Iterator

from lora_lint.facts import Setup
from lora_lint.finding import Finding

FIRST_GATHERING = 5
"""transformers 5.0.0 gathers an adapter whatever DeepSpeed is told (trainer.py, `save_model`); 4.57.6 doesn't."""


def zero3_fsdp_save_risk(setup: Setup) -> Iterator[Finding]:
    # Only what transformers' Trainer saves: it alone takes a DeepSpeed configuration of its own.
    if not setup.planned or not setup.active or setup.fragment or setup.ask("deepspeed") is None:
        return
    from lora_lint.distributed import sharded

    kind = setup.training.fsdp_state_dict_type
    if kind is not None and kind.known and kind.value != "FULL_STATE_DICT":
        yield Finding(_shards(kind.value), at=kind.path)
    for one in sharded(setup):
        yield Finding(_shards(one.kind), at=one.path, elsewhere=one.elsewhere)
    yield from _not_gathered(setup)


def _shards(kind: str) -> str:
    return f"{kind}: the Trainer writes shards at checkpoints and no adapter file at the end"


def _not_gathered(setup: Setup) -> Iterator[Finding]:
    from lora_lint.distributed import zeros

    ungathered = [zero for zero in zeros(setup) if zero.stage == 3 and not zero.gathers]
    pin = setup.pin("transformers") if ungathered else None
    if pin is not None and int(pin.version.partition(".")[0]) >= FIRST_GATHERING:
        return
    release = f"transformers {pin.version}" if pin is not None else f"transformers before {FIRST_GATHERING}"
    for zero in ungathered:
        yield Finding(
            f"ZeRO-3 doesn't gather weights for saving: {release} writes no adapter file then",
            at=zero.path,
            elsewhere=zero.elsewhere,
        )
