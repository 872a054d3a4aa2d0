"""MLX-LM: `lora_parameters` with a rank and the scale itself, in YAML, a dict or the adapter_config.json it saves."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NoReturn

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Kind, Site, State, UnknownFact
from lora_lint.frameworks.gates import at_gate
from lora_lint.frameworks.required import required
from lora_lint.scaling import Formula, direct
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "mlx_lm"
TITLE = "MLX-LM"
DOCS = "https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/LORA.md"


class Saved(Schema):
    """`lora_parameters` of an adapter: mlx_lm/tuner/utils.py:60-84 and tuner/lora.py:98 at d78bf58e.

    The layer multiplies by `scale`; the rank has no part in it. A missing key is a KeyError. Up to 2025-04-03 the
    defaults that are saved hold an `alpha` that nothing reads (191d81d1 of ml-explore/mlx-lm).
    """

    EXPONENTS: ClassVar[bool] = True
    SPELLED: ClassVar[Mapping[str, str]] = {
        "base_model": ".model",
        "learning_rate": ".learning_rate",
        "optim": ".optimizer",
    }

    rank: PositiveInt | None = None
    scale: Number | None = None
    dropout: float | None = None
    keys: list[str] | None = None


class Parameters(Saved):
    """The same, written by hand."""

    UNKNOWN_KEYS: ClassVar[str] = "ignores it without a word"


class Dated(Saved):
    """A file with `lora_layers`, which MLX-LM had before 2024-09-30.

    Until 2024-06-02 the layer multiplied by `scale * alpha / rank`; since c457a3f8 of mlx-examples alpha is ignored.
    """

    alpha: Number | None = None


class Config(Schema):
    """A config without `lora_parameters`: mlx_lm/lora.py:76 at d78bf58e; before 2025-06-05 the scale was 10.

    A command with `--lora-layers` is of March to September 2024, when the default came to 20 and, from June on, to 10.
    """

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model"}

    rank: PositiveInt = 8
    scale: Number = 20.0


_OWN_KEYS = ("fine_tune_type", "num_layers", "adapter_path", "iters", "lora_layers", "steps_per_eval", "val_batches")
_CONVERT = "linear_to_lora_layers"


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "python" and document.callee != "dict":
        return (_CONVERT,) if document.callee.rpartition(".")[2] == _CONVERT and _converted(data) else ()
    own = tuple(key for key in _OWN_KEYS if key in data)
    if document.syntax == "shell":
        program = "mlx_lm.lora" in document.callee or (document.callee == "mlx_lm" and "lora" in document.words)
        return ("mlx_lm.lora", *own) if program and "train" in data and not ({"config", "c"} & data.keys()) else ()
    if document.syntax not in ("yaml", "json", "python"):
        return ()
    parameters = data.get("lora_parameters")
    if isinstance(parameters, dict):
        return ("lora_parameters", *own) if "rank" in parameters or "scale" in parameters else ()
    trained = data.get("fine_tune_type") in ("lora", "dora") and len(own) >= 3
    return own if trained and "lora_rank" not in data else ()


def _converted(data: dict[Any, Any]) -> Path | None:
    """Where a call of `linear_to_lora_layers(model, num_layers, config)` has its config."""
    given = ((key, data.get(key)) for key in (2, "config"))
    return next(((key,) for key, value in given if isinstance(value, dict) and {"rank", "scale"} & value.keys()), None)


def kind(document: Document) -> Kind:
    return {"json": "checkpoint", "python": "source"}.get(document.syntax, "training")  # type: ignore[return-value]


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    data = document.data
    assert isinstance(data, dict)
    if document.syntax == "python" and document.callee != "dict":
        yield Parameters, _converted(data) or ()
    elif not isinstance(data.get("lora_parameters"), dict):
        yield Config, ()
    elif "lora_layers" in data and "num_layers" not in data:
        yield Dated, ("lora_parameters",)
    else:
        yield Saved if document.syntax == "json" else Parameters, ("lora_parameters",)


def sites(config: View[Any]) -> Iterator[Site]:
    rank: Fact[Any] = required(config.fact("rank"), "rank")
    scale: Fact[Any] = config.fact("scale")
    modules = tuple(getattr(config.model, "keys", None) or ()) or ("all-linear",)
    data = config.document.data
    assert isinstance(data, dict)
    state: State = "off" if data.get("fine_tune_type") == "full" else "active"
    method = "dora" if data.get("fine_tune_type") == "dora" or data.get("use_dora") is True else "lora"
    formula = direct
    if isinstance(config.model, Config) and "lora_layers" in data and not config.has("scale"):
        scale = Fact(Unknown("", "the default came to 20, and to 10 from June 2024 on"), scale.path, "unknown")
    if isinstance(config.model, Dated) and config.has("alpha"):
        alpha: Fact[Any] = config.fact("alpha")
        if not (alpha.known and rank.known and alpha.value == rank.value):
            formula, scale = _either, alpha
    if isinstance(config.model, Config) and "fine_tune_type" in data:
        gate: Fact[Any] = Fact(data["fine_tune_type"], ("fine_tune_type",), "written")
        rank, scale = at_gate(rank, gate), at_gate(scale, gate)
    yield Site(modules, rank, scale, formula, state, method)


def _undecided(_: float, __: float) -> NoReturn:
    raise UnknownFact("MLX-LM before June 2024 multiplied scale by alpha/r, later ones ignore alpha")


_either = Formula("scale, or scale * alpha/r", _undecided, _undecided)
