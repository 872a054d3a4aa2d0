"""Do the numbers that the base model and the adapter are kept in go together?"""

from collections.abc import Iterator

from lora_lint.document import Path
from lora_lint.facts import Setup
from lora_lint.finding import Finding, Severity


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
