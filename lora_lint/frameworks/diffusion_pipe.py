"""diffusion-pipe: a TOML with `[adapter] type = 'lora'` and `rank`; alpha is always the rank and must not be given."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.derivation import from_rank
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "diffusion_pipe"
TITLE = "diffusion-pipe"
DOCS = "https://github.com/tdrussell/diffusion-pipe/blob/main/examples/main_example.toml"
CONVENTION = "r"
STAGE = "diffusion"


class Config(Schema):
    """train.py:115-133 at 8f83dbf2: `rank` has no default and becomes alpha."""

    UNKNOWN_KEYS: ClassVar[str] = "ignores it without a word"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = dict.fromkeys(("r", "dim", "lora_rank", "network_dim"), "rank")
    SPELLED: ClassVar[Mapping[str, str]] = {"learning_rate": "optimizer.lr", "optim": "optimizer.type"}

    type: str = "lora"
    rank: PositiveInt | None = None
    alpha: Number | None = None
    dtype: Any = None
    dropout: Any = None
    init_from_existing: Any = None
    fuse_adapters: Any = None


class LoKr(Config):
    """The same for LoKr, whose examples write `rank = 1e6` for full matrices."""

    rank: Number | None = None  # type: ignore[assignment]


_OWN_KEYS = ("model", "optimizer", "dataset", "output_dir", "pipeline_stages", "micro_batch_size_per_gpu", "save_dtype")


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if document.syntax != "toml" or not isinstance(data, dict):
        return ()
    adapter = data.get("adapter")
    own = tuple(key for key in _OWN_KEYS if key in data)
    typed = isinstance(adapter, dict) and adapter.get("type") in ("lora", "lokr")
    return ("adapter.type", *own) if typed and isinstance(data.get("model"), dict) and len(own) >= 2 else ()


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    data: Any = document.data
    yield (LoKr if data["adapter"]["type"] == "lokr" else Config), ("adapter",)


def sites(config: View[Config]) -> Iterator[Site]:
    rank: Fact[Any] = config.fact("rank")
    if rank.known and rank.value is None:
        rank = Fact(Unknown("", "rank is not set"), config.path, "unknown")
    config.refuse("alpha", "forces it to the rank and refuses to start")
    method = config.model.type
    yield Site(
        ("*",),
        rank,
        from_rank(rank),
        classic,
        "active" if method == "lora" else "not-lora",
        method,
        fixed=True,
    )
