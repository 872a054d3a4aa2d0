"""loralib, the code of the LoRA paper: `--lora_dim`, `--apply_lora --lora_r`, and its layers in Python."""

from collections.abc import Iterator
from typing import Any, ClassVar

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, State
from lora_lint.frameworks.commands import flags, runs
from lora_lint.frameworks.gates import state_of
from lora_lint.frameworks.required import required
from lora_lint.scaling import classic
from lora_lint.schema import NonNegativeInt, Number, Schema
from lora_lint.view import View

NAME = "loralib"
TITLE = "loralib"
DOCS = "https://github.com/microsoft/LoRA"
FORKED = True


class Layer(Schema):
    """loralib/layers.py:90-112 at c4593f06: alpha is 1 unless given, and rank 0 makes no adapter."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("in_features", "out_features", "r", "lora_alpha")

    r: NonNegativeInt = 0
    lora_alpha: Number = 1


class Config(Schema):
    """GPT-2: examples/NLG/src/gpt2_ft.py:73-75 at c4593f06; the published runs have 4 and 32."""

    lora_dim: NonNegativeInt = 0
    lora_alpha: Number = 128


class Glue(Schema):
    """RoBERTa and DeBERTa: examples/NLU/examples/text-classification/run_glue.py:176-187, without defaults."""

    apply_lora: bool = False
    lora_r: NonNegativeInt | None = None
    lora_alpha: Number | None = None


_GLUE = ("run_glue", "run_glue_no_trainer")
"""Programs whose `--apply_lora` has no defaults behind it; another's may have its own."""
_LAYERS = ("Linear", "MergedLinear", "Embedding", "ConvLoRA", "Conv1d", "Conv2d", "Conv3d")


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax == "python":
        library, _, name = document.callee.rpartition(".")
        return (document.callee,) if library in ("loralib", "loralib.layers") and name in _LAYERS else ()
    lora = flags(document, "lora_dim", "apply_lora", "lora_r", "lora_alpha")
    program = runs(document, "gpt2_ft", "gpt2_beam", *_GLUE)
    known = "--apply_lora" in lora or (program and "--lora_dim" in lora)
    return (*program, *lora) if known else ()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    if document.syntax == "python":
        yield Layer, ()
    else:
        yield (Config if flags(document, "lora_dim") else Glue), ()


def sites(config: View[Any]) -> Iterator[Site]:
    rank, alpha = (_in_program(config, config.fact(key)) for key in (_rank_key(config.model), "lora_alpha"))
    rank = required(rank, "lora_r")
    state: State = "off" if rank.known and rank.value == 0 else "active"
    if isinstance(config.model, Glue) and state == "active":
        state = state_of(config.fact("apply_lora"))
    yield Site(("*",), rank, alpha, classic, state)


def _in_program(config: View[Any], fact: Fact[Any]) -> Fact[Any]:
    """What a program of somebody else's isn't given, it may have a default for."""
    foreign = isinstance(config.model, Glue) and not runs(config.document, *_GLUE)
    if foreign and fact.origin == "default":
        return Fact(Unknown("", f"{config.document.callee} may have a default of its own"), fact.path, "unknown")
    return fact


def _rank_key(model: Schema) -> str:
    return "r" if isinstance(model, Layer) else "lora_dim" if isinstance(model, Config) else "lora_r"
