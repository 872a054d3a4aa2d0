"""Is the adapter trained, and nothing but what is meant to be?"""

import re
from collections.abc import Iterator

from lora_lint.facts import Setup
from lora_lint.finding import Elsewhere, Finding, Severity
from lora_lint.scaling import number


def continue_training_frozen(setup: Setup) -> Iterator[Finding]:
    document = setup.document
    if document.deed == "loads-frozen":
        yield Finding(
            f"the adapter is loaded without is_trainable=True, so {document.words[0]} is given a model that is frozen "
            "whole"
        )
    elif document.deed == "reads-config":
        yield from _config_for_inference(setup, document.words[0])
    if setup.kind == "checkpoint" or not setup.active:
        return
    fixed = setup.adapter.inference_mode
    if fixed is not None and fixed.origin == "written" and fixed.value and _trains(setup):
        yield Finding("inference_mode is true: the adapter is built frozen, and nothing is trained", at=fixed.path)


def _config_for_inference(setup: Setup, folder: str) -> Iterator[Finding]:
    """A config that code reads to wrap a model in a new adapter, whose file says that it is for inference."""
    if not _trains(setup):
        return
    file = setup.named(f"{folder}/adapter_config.json")
    data = file.document.data if file is not None else None
    if file is not None and isinstance(data, dict) and data.get("inference_mode") is True:
        yield Finding(
            f"inference_mode is true, and {setup.document.source.name.rpartition('/')[2]} builds the adapter from it: "
            "nothing is trained",
            at=("inference_mode",),
            elsewhere=Elsewhere(file.path, file.document),
        )


def lora_on_unfrozen_base(setup: Setup) -> Iterator[Finding]:
    document = setup.document
    if document.deed == "thaws":
        yield Finding(
            f"every parameter of {document.words[0]} is made trainable after LoRA was put in: the base is trained too"
        )
    elif document.deed == "thaws-in-vain":
        yield Finding(
            f"{document.words[0]} is thawed, but adding the adapter freezes it all the same", severity=Severity.NOTE
        )
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


_TRAINS = re.compile(r"[Tt]rainer(?:\([^\n]*\))?\.train\(|\.backward\(|\.fit\(")


def _trains(setup: Setup) -> bool:
    """Whether a training config, or the code of a file that trains, is at hand."""
    return setup.document.syntax != "python" or _TRAINS.search(setup.document.source.text) is not None


def grad_checkpoint_without_input_grads(setup: Setup) -> Iterator[Finding]:
    cut = setup.training.inputs_without_grads if setup.planned else None
    if cut is not None and cut.value and setup.active:
        yield Finding(
            "reentrant checkpointing cuts the gradients off where no input of a block needs one: call "
            "enable_input_require_grads() on the model, or set use_reentrant to False",
            at=cut.path,
        )
