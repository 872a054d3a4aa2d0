"""mlx-vlm: `mlx_vlm.lora --lora-rank --lora-alpha`, and the flat adapter_config.json that it saved until May 2026."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Kind, Site, State
from lora_lint.frameworks.required import required
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "mlx_vlm"
TITLE = "mlx-vlm"
DOCS = "https://github.com/Blaizzy/mlx-vlm/blob/main/mlx_vlm/LORA.MD"


class Config(Schema):
    """The flags: mlx_vlm/lora.py:306-308 at 9b13f522; before 2026-02-19 the defaults were 10 and 0.1."""

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model_path"}

    lora_rank: PositiveInt = 8
    lora_alpha: Number = 16.0
    lora_dropout: float = 0.0
    full_finetune: bool = False
    adapter_path: str | None = None


class Saved(Schema):
    """The flat file: mlx_vlm/trainer/utils.py:174-183 at 9b13f522, for the way it is loaded now.

    The scale is alpha/rank since 2026-04-18 (6b0ad8f0); adapters of before were trained with alpha itself as the
    scale. The form that replaced this one on 2026-05-15 is MLX-LM's.
    """

    rank: PositiveInt | None = None
    alpha: Number = 0.1
    dropout: float = 0.1


class Call(Schema):
    """`get_peft_model`: mlx_vlm/trainer/utils.py:186-195 at 9b13f522."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("model", "linear_layers", "rank", "alpha", "dropout")

    rank: PositiveInt = 10
    alpha: Number = 0.1
    dropout: float = 0.1


_FLAT = {"rank", "alpha", "dropout"}


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "python":
        return (document.callee,) if document.callee.startswith("mlx_vlm.") and "rank" in data else ()
    if document.syntax == "shell":
        program = document.callee.removesuffix(".py").replace("/", ".").endswith("mlx_vlm.lora")
        return ("mlx_vlm.lora", *(f for f in ("lora_rank", "lora_alpha") if f in data)) if program else ()
    flat = document.syntax == "json" and {"rank", "alpha"} <= data.keys() <= _FLAT
    return tuple(data) if flat and document.source.name.endswith("adapter_config.json") else ()


def kind(document: Document) -> Kind:
    return {"json": "checkpoint", "python": "source"}.get(document.syntax, "training")  # type: ignore[return-value]


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield {"json": Saved, "python": Call}.get(document.syntax, Config), ()


def sites(config: View[Any]) -> Iterator[Site]:
    prefix = "lora_" if isinstance(config.model, Config) else ""
    rank: Fact[Any] = required(config.fact(f"{prefix}rank"), "rank")
    alpha: Fact[Any] = config.fact(f"{prefix}alpha")
    state: State = "active"
    if isinstance(config.model, Config):
        state = "off" if config.model.full_finetune else "active"
        if config.has("adapter_path"):
            rank, alpha = (
                Fact(Unknown("", "the adapter that is resumed has it"), f.path, "unknown") for f in (rank, alpha)
            )
    yield Site(("all-linear",), rank, alpha, classic, state)
