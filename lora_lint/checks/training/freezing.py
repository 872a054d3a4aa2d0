"""Is the adapter trained, and nothing but what is meant to be?"""

import re
from collections.abc import Iterator

from lora_lint.facts import Setup
from lora_lint.finding import Finding, Severity
from lora_lint.scaling import number


def continue_training_frozen(setup: Setup) -> Iterator[Finding]:
    if setup.kind == "checkpoint" or not setup.active:
        return
    fixed = setup.adapter.inference_mode
    if fixed is not None and fixed.origin == "written" and fixed.value and _trains(setup):
        yield Finding("inference_mode is true: the adapter is built frozen, and nothing is trained", at=fixed.path)
    for load in setup.frozen_loads:
        yield Finding(
            f"the adapter is loaded without is_trainable=True, so {load.trainer} is given a model that is frozen whole",
            span=load.span,
        )


def lora_on_unfrozen_base(setup: Setup) -> Iterator[Finding]:
    if not setup.planned or not setup.active:
        return
    training = setup.training
    adapted = {module for site in setup.sites if site.state == "active" for module in site.modules}
    for part, required, misleading in (
        ("language_model", training.must_freeze_llm, training.freeze_llm),
        ("visual", training.must_freeze_vision, None),
        ("vision_model", None, training.freeze_vision),
    ):
        fact = required or misleading
        if fact is None or fact.origin != "written" or fact.value or part not in adapted:
            continue
        key = fact.path[-1]
        if required is not None:
            yield Finding(f"{key} is false with LoRA on {part}: the trainer refuses to start", at=fact.path)
        else:
            yield Finding(f"{key} is false, but LoRA freezes {part} all the same", at=fact.path, severity=Severity.NOTE)
    layers = training.unfreeze_vision_layers
    if layers is not None and layers.value and "vision_model" in adapted:
        yield Finding(
            f"{layers.path[-1]} trains the layers from {number(layers.value)} on whole, under the adapter",
            at=layers.path,
            severity=Severity.NOTE,
        )


_TRAINS = re.compile(r"[Tt]rainer\.train\(|\.backward\(|\.fit\(")


def _trains(setup: Setup) -> bool:
    """Whether a training config, or the code of a file that trains, is at hand."""
    return setup.document.syntax != "python" or _TRAINS.search(setup.document.source.text) is not None
