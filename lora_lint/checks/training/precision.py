"""Do the numbers that the base model and the adapter are kept in go together?"""

from collections.abc import Iterator

from lora_lint.document import Path
from lora_lint.facts import Fact, Setup
from lora_lint.finding import Finding, Severity


def quantisation_flags_inconsistent(setup: Setup) -> Iterator[Finding]:
    if not setup.planned or setup.fragment:
        return
    training = setup.training
    four, eight, kind = training.load_in_4bit, training.load_in_8bit, training.adapter_kind
    loads = (four, eight, training.quantization_bit)
    quantised = next((one for one in loads if one is not None and one.value), None)
    if quantised is not None and setup.active:
        yield from _against_quantised(setup, quantised)
    if eight is not None and eight.value and not (four is not None and four.value):
        yield from _without_effect(setup, eight.path)
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


def _against_quantised(setup: Setup, quantised: Fact[bool] | Fact[float]) -> Iterator[Finding]:
    """What can't be done to a base model that is quantised as it is loaded."""
    training, init = setup.training, setup.adapter.init_lora_weights
    loaded = ((quantised.path, "the base model is quantised"),)
    named = str(init.value).lower() if init is not None and init.known else ""
    if init is not None and named.startswith(("pissa", "corda")):
        yield Finding(f"{named} takes apart weights in float: PEFT refuses a quantised base", init.path, loaded)
    elif init is not None and named == "loftq":
        yield Finding(
            "LoftQ quantises the base model itself, and is given one that is quantised already",
            at=init.path,
            related=loaded,
            severity=Severity.WARNING,
        )
    for fact, what in (
        (training.pissa_init, "PiSSA can't start from a quantised base"),
        (training.resize_vocab, "the embeddings of a quantised base can't be resized"),
    ):
        if fact is not None and fact.known and fact.value:
            yield Finding(f"{what}: the framework refuses to start", fact.path, loaded)


def _without_effect(setup: Setup, eight: Path) -> Iterator[Finding]:
    """Options of a base model in 4 bits beside one that is loaded in 8."""
    training = setup.training
    options = (training.bnb_4bit_quant_type, training.bnb_4bit_use_double_quant, training.bnb_4bit_compute_dtype)
    written = [fact for fact in options if fact is not None and fact.origin == "written"]
    if written:
        yield Finding(
            f"load_in_8bit with {written[0].path[-1]}, which is for 4 bits: it has no effect",
            at=eight,
            related=tuple((fact.path, "an option for 4 bits") for fact in written),
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
    if setup.document.deed == "half":
        yield Finding(
            f"{setup.document.words[0]} is in float16 and its adapter with it: its gradients can't be unscaled"
        )
    own = setup.training.fp16_adapter if setup.planned and setup.active else None
    if own is not None and own.value:
        yield Finding(
            "the adapter is kept in float16, where small steps are lost and gradients vanish",
            at=own.path,
            severity=Severity.NOTE if own.path[-1] == "full_fp16" else None,
        )
        return
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
