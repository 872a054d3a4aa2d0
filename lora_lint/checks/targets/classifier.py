"""Is the new head of a classifier saved?"""

import re
from collections.abc import Iterator, Mapping

from lora_lint.facts import Fact, Setup
from lora_lint.finding import Finding
from lora_lint.once import for_each
from lora_lint.tensors import Checkpoint, Tensor

CLASSIFIES = ("SEQ_CLS", "TOKEN_CLS")
"""Tasks whose models have a head of their own, which PEFT saves by itself if it is `score` or `classifier`."""


def classifier_head_not_saved(setup: Setup) -> Iterator[Finding]:
    heads = [name for name in setup.targets.names if name.value in HEADS_SAVED]
    checkpoint, reward = setup.checkpoint, setup.training.reward_model if setup.planned else None
    if not (heads or checkpoint or reward or setup.trained) or not setup.active:
        return
    task = setup.adapter.task_type
    if task is not None and task.value in CLASSIFIES:
        if checkpoint is not None and _lora_alone(checkpoint):
            yield Finding(
                f"task_type is {task.value}, but {checkpoint.files[0]} holds LoRA tensors alone, no trained head",
                at=task.path,
            )
        return
    said = f"task_type is {task.value}" if task is not None else "no task_type is given"
    saved = {name.value.rpartition(".")[2] for name in setup.saved} if heads or reward else set()
    for name in heads if task is not None else ():
        if name.value not in saved:
            yield Finding(f"{name.value} gets LoRA while {said}: the random head below it isn't saved", at=name.path)
    if setup.trained and task is None and (head := _wrapped_head(setup)) is not None and not setup.saved:
        yield Finding(f"{head.value} was adapted with no task_type, so that its head isn't saved", at=head.path)
    if reward is not None and reward.value and not heads and not saved:
        yield Finding(
            f"a model with a new head is trained while {said}: the head stays random, and isn't saved",
            at=task.path
            if task is not None and task.origin == "written"
            else reward.path
            if setup.kind == "training"
            else (),
            related=((reward.path, "the model"),),
        )


def _wrapped_head(setup: Setup) -> Fact[str] | None:
    """The class with a new head that PEFT noted when it wrapped a model without a task."""
    noted = setup.adapter.auto_mapping
    name = noted.value.get("base_model_class") if noted is not None else None
    if noted is None or not isinstance(name, str) or _CLASSIFIER.fullmatch(name) is None:
        return None
    return Fact(name[:80], (*noted.path, "base_model_class"))


_CLASSIFIER = re.compile(r"\w+For(?:Sequence|Token|Image|Video|Audio)Classification")

HEADS_SAVED = ("score", "classifier")
"""The heads that PEFT trains and saves by itself for the tasks of `CLASSIFIES`."""


def _lora_alone(checkpoint: Checkpoint) -> bool:
    whole = bool(checkpoint.tensors) and not checkpoint.unreadable and not checkpoint.missing_shards
    return whole and _all_lora(checkpoint.tensors)


@for_each
def _all_lora(tensors: Mapping[str, Tensor]) -> bool:
    return all("lora_" in name for name in tensors)
