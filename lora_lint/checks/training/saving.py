"""Is a whole adapter written where the weights are spread over processes?"""

from collections.abc import Iterator

from lora_lint.facts import Setup
from lora_lint.finding import Finding


def zero3_fsdp_save_risk(setup: Setup) -> Iterator[Finding]:
    if not setup.planned or not setup.active:
        return
    kind = setup.training.fsdp_state_dict_type
    if kind is not None and kind.value != "FULL_STATE_DICT":
        yield Finding(
            f"{kind.value}: the Trainer writes shards at checkpoints and no adapter file at the end", at=kind.path
        )
    zero = setup.zero
    if zero is not None and zero.stage == 3 and not zero.gathers:
        pin = setup.pin("transformers")
        if pin is not None and int(pin.version.partition(".")[0]) < FIRST_GATHERING:
            yield Finding(
                f"ZeRO-3 doesn't gather weights for saving{f' ({zero.file})' if zero.file else ''}: transformers "
                f"{pin.version} writes no adapter file then",
                at=zero.path,
            )


FIRST_GATHERING = 5
"""transformers 5.0.0 gathers an adapter whatever DeepSpeed is told (trainer.py, `save_model`); 4.57.6 doesn't."""
