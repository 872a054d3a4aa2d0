"""Does the run train the adapter, at a rate that suits it, and save it?"""

import math
import re
from collections.abc import Iterator

from lora_lint.document import Path, lookup
from lora_lint.facts import Fact, Setup
from lora_lint.finding import Finding, Severity
from lora_lint.scaling import number

ADAPTIVE = 0.05
"""A rate this high is a factor for Prodigy and its like, which find the rate themselves."""
FULL_RATE = 5e-5
"""Full fine-tuning is seldom done at a higher rate."""


def lora_lr_like_full_ft(setup: Setup, *, floor: float = 1e-5, rl_floor: float = 1e-6) -> Iterator[Finding]:
    rate = _rate(setup)
    if rate is None or rate.value > FULL_RATE:
        return
    from lora_lint.nearby import full_sibling

    sibling = full_sibling(setup)
    if sibling is not None and _same_rate(setup, rate, sibling.data):
        yield Finding(
            f"the rate {rate.value:g} is that of {sibling.source.name}, which trains the whole model; "
            "LoRA takes about ten times as much",
            at=rate.path,
        )
        return
    stage = setup.ask("stage")
    if stage is None:
        return
    supervised = stage.value in (None, "sft", "pt")
    effective = rate.value * (_scale(setup) or 2) / 2
    if effective < (floor if supervised else rl_floor) and not math.isclose(
        effective, floor if supervised else rl_floor
    ):
        yield Finding(
            f"the rate {rate.value:g}{_at_scale(setup, effective)} is one for training the whole model; "
            "LoRA takes about ten times as much",
            at=rate.path,
            severity=Severity.NOTE,
        )


def effective_lr_too_high(setup: Setup, *, ceiling: float = 1e-3) -> Iterator[Finding]:
    rate = _rate(setup)
    scale = _scale(setup) if rate is not None else None
    if rate is None or scale is None or setup.training.loraplus_lr_ratio is not None:
        return
    effective = rate.value * scale / 2
    if effective <= ceiling or math.isclose(effective, ceiling) or rate.value > ADAPTIVE:
        return
    yield Finding(
        f"the rate {rate.value:g}{_at_scale(setup, effective)} is over {ceiling:g}",
        at=rate.path,
        severity=Severity.NOTE if effective <= HIGHEST_PUBLISHED * 1.001 else None,
    )


HIGHEST_PUBLISHED = 2e-3
"""torchtune's recipes for models of 0.5 and 1.5 billion parameters, at scale 2."""


def _rate(setup: Setup) -> Fact[float] | None:
    """The learning rate that somebody wrote for an optimizer of Adam's kind."""
    if not setup.planned or not setup.active or setup.fragment:
        return None
    rate, optim = setup.training.learning_rate, setup.training.optim
    if rate is None or rate.origin != "written" or rate.value <= 0:
        return None
    name = optim.value.lower() if optim is not None else "adam"
    plain = "adam" in name and not any(other in name for other in ("dadapt", "schedule", "muon"))
    return rate if plain else None


def _scale(setup: Setup) -> float | None:
    """The largest scale in use, None where it isn't known."""
    active = [site for site in setup.sites if site.state == "active"]
    return None if any(site.undecided for site in active) else max(abs(site.scale) for site in active)


def _at_scale(setup: Setup, effective: float) -> str:
    scale = _scale(setup)
    return (
        ""
        if scale in (None, 2)
        else f" at scale {number(scale or 0)}, which moves the weights as {effective:g} does at 2,"
    )


def _same_rate(setup: Setup, rate: Fact[float], other: object) -> bool:
    try:
        value = lookup(other, rate.path)
        return not isinstance(value, bool) and float(str(value)) == rate.value
    except (KeyError, ValueError):
        return False


def loraplus_ratio_suspicious(setup: Setup, *, least: float = 1.0, most: float = 64.0) -> Iterator[Finding]:
    ratio = setup.training.loraplus_lr_ratio if setup.planned else None
    if ratio is None or not setup.active or ratio.origin != "written" or not ratio.value:
        return
    groups = setup.training.lr_groups
    if groups is not None and groups.value:
        yield Finding("lr_groups and a LoRA+ ratio exclude each other: the framework refuses to start", at=ratio.path)
    elif not least <= ratio.value <= most:
        yield Finding(
            f"B learns at {number(ratio.value)} times the rate of A; LoRA+ takes 16, and {number(least)} to "
            f"{number(most)} is usual",
            at=ratio.path,
            severity=Severity.WARNING,
        )


def quantisation_flags_inconsistent(setup: Setup) -> Iterator[Finding]:
    if not setup.planned or setup.fragment:
        return
    training = setup.training
    four, eight, kind = training.load_in_4bit, training.load_in_8bit, training.adapter_kind
    loads = (four, eight, training.quantization_bit)
    quantised = next((one for one in loads if one is not None and one.value), None)
    if quantised is not None and setup.sites and all(site.state == "off" for site in setup.sites):
        yield Finding(f"{quantised.path[-1]} without an adapter: a quantised model can't be trained", at=quantised.path)
    elif kind is not None and kind.value == "qlora":
        yield from _against_qlora(setup, kind.path)
    elif four is not None and eight is not None and four.value and eight.value:
        yield Finding(
            "the base model can't be loaded in 4 and in 8 bits",
            at=eight.path,
            related=((four.path, "4 bits"),),
            severity=Severity.WARNING if kind is not None else None,
        )
    elif four is not None and four.value and kind is not None and not _quantised_already(setup):
        yield Finding(
            f"load_in_4bit does nothing beside {kind.value}: the base model isn't quantised, qlora does that",
            at=four.path,
            related=((kind.path, "the adapter"),),
            severity=Severity.WARNING,
        )


def _against_qlora(setup: Setup, kind: Path) -> Iterator[Finding]:
    training = setup.training
    for fact, what in ((training.load_in_8bit, "load_in_8bit"), (training.gptq, "gptq")):
        if fact is not None and fact.value:
            yield Finding(f"{what} with qlora, which is 4 bits: the framework refuses to start", at=fact.path)
            return
    four = training.load_in_4bit
    # What a command leaves out, the file that it names may hold.
    if (four is None and setup.document.syntax != "shell") or (four is not None and not four.value):
        yield Finding(
            "qlora without load_in_4bit: the framework refuses to start",
            at=four.path if four is not None and four.origin == "written" else kind,
        )


def _quantised_already(setup: Setup) -> bool:
    """Whether the base model comes quantised, as its name tells."""
    model = setup.adapter.base_model
    return model is None or not model.known or any(word in model.value.lower() for word in ("4bit", "bnb", "int4"))


def fp16_trainable_weights(setup: Setup) -> Iterator[Finding]:
    half = setup.training.fp16_weights if setup.planned else None
    other = setup.training.bf16 if half is not None and half.value else None
    if half is None or not half.value or not setup.active or (other is not None and other.value):
        return
    cast, saved = setup.adapter.autocast_adapter_dtype, setup.adapter.modules_to_save
    if cast is not None and not cast.value and not _quantised(setup):
        yield Finding("the adapter is kept in float16, whose gradients can't be unscaled", at=cast.path)
    elif saved is not None and saved.value:
        yield Finding(
            "modules_to_save are trained in float16, as the base model is loaded: their gradients can't be unscaled",
            at=saved.path,
            related=((half.path, "float16"),),
        )


def _quantised(setup: Setup) -> bool:
    loads = (setup.training.load_in_4bit, setup.training.load_in_8bit)
    return any(fact is not None and fact.value for fact in loads)


def resume_shape_changed(setup: Setup) -> Iterator[Finding]:
    before = setup.resumed if setup.active and setup.planned else None
    if before is None:
        return
    site = setup.sites[0]
    place = f"{before.fact.value}"[:60]
    for fact, key, what in ((site.rank, "r", "rank"), (site.alpha, "lora_alpha", "alpha")):
        value = _written(setup, fact)
        saved = before.config.get(key)
        if value is None or isinstance(saved, bool) or not isinstance(saved, int | float) or value == saved:
            continue
        if not before.rebuilt:
            message = f"{what} {number(value)} is ignored: the adapter in {place} keeps its {what} {number(saved)}"
        elif what == "rank":
            message = (
                f"rank is {number(value)}, but the weights in {place} have rank {number(saved)}: they can't be loaded"
            )
        else:
            message = f"alpha is {number(value)}, but the weights in {place} were trained with {number(saved)}"
        yield Finding(
            message,
            at=fact.path if fact is not None else (),
            related=((before.fact.path, "what training goes on from"),),
            severity=None if before.rebuilt and what == "rank" else Severity.WARNING,
        )


def _written(setup: Setup, fact: Fact[float] | Fact[float | None] | None) -> float | None:
    """The number that somebody wrote, be it one that the framework ignores."""
    if fact is None or fact.origin in ("default", "derived"):
        return None
    try:
        value = lookup(setup.document.data, fact.path)
    except KeyError:
        return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


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


def grad_checkpoint_without_input_grads(setup: Setup) -> Iterator[Finding]:
    cut = setup.training.inputs_without_grads if setup.planned else None
    if cut is not None and cut.value and setup.active:
        yield Finding(
            "reentrant checkpointing cuts the gradients off where no input of a block needs one: call "
            "enable_input_require_grads() on the model, or set use_reentrant to False",
            at=cut.path,
        )
