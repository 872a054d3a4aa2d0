"""NeMo Automodel: a block with `_target_: nemo_automodel.components._peft.lora.PeftConfig`, and `--peft.dim N`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.blocks import block, blocks, instantiated, overrides
from lora_lint.frameworks.commands import runs, unless_set_by
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema, Words
from lora_lint.view import View

NAME = "nemo_automodel"
TITLE = "NeMo Automodel"
DOCS = "https://docs.nvidia.com/nemo/automodel/latest/guides/llm/finetune.html"


class Config(Schema):
    """nemo_automodel/components/_peft/lora.py:44-61 at 36044ad3; the scale is alpha/dim (line 189)."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("target_modules", "exclude_modules", "match_all_linear", "dim", "alpha")

    SPELLED: ClassVar[Mapping[str, str]] = {
        "base_model": "model.pretrained_model_name_or_path",
        "learning_rate": "optimizer.lr",
        "optim": "optimizer._target_",
    }

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("r", "rank", "lora_rank", "lora_r"), "dim"),
        "lora_alpha": "alpha",
        "lora_dropout": "dropout",
    }

    dim: PositiveInt = 8
    alpha: Number = 32
    use_dora: bool = False
    dropout: float = 0.0
    target_modules: Words | None = None
    match_all_linear: bool = False
    moe_rank_scaling: bool = False


_KEYS = ("dim", "alpha")
_MODULE = "nemo_automodel."
_CLASS = ".PeftConfig"
_SCRIPTS = tuple(
    f"{folder}/{name}"
    for folder in (
        "llm_finetune",
        "vlm_finetune",
        "dllm_sft",
        "bi_encoder",
        "cross_encoder",
        "recipes/llm",
        "recipes/vlm",
    )
    for name in ("finetune", "train_ft")
)
"""The examples' own scripts, and those of the recipes, which take a config and flags over it."""


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax == "python":
        called = document.called
        return (called,) if called.startswith(_MODULE) and called.endswith(_CLASS) else ()
    if document.syntax == "shell":
        data = block(document.data, ())
        given = (str(data.get(f"peft.{key}", "")) for key in ("_target_", "peft_fn"))
        ours = any("automodel" in word.lower() for word in (document.callee, *document.words, *given))
        lora = overrides(document, "peft", *_KEYS)
        script = runs(document, *_SCRIPTS) if "config" in data or "c" in data else ()
        return ("automodel", *lora) if ours else (*script, *lora) if script and lora else ()
    return tuple(target for target, _ in _targets(document))


def _targets(document: Document) -> Iterator[tuple[str, Path]]:
    if document.syntax in ("yaml", "json"):
        for target, path in instantiated(document.data, _MODULE):
            if target.endswith(_CLASS):
                yield target, path


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    if document.syntax == "python":
        yield Config, ()
    elif document.syntax == "shell":
        yield from blocks(document, Config, _KEYS, "peft")
    else:
        for _, path in _targets(document):
            yield Config, path


def sites(config: View[Config]) -> Iterator[Site]:
    """Experts get another rank where `moe_rank_scaling` divides it by the router's top k."""
    model = config.model
    rank, alpha = (config.fact(name) for name in _KEYS)
    if config.document.syntax == "shell":
        rank, alpha = (unless_set_by("the recipe", fact) for fact in (rank, alpha))
    method = "dora" if model.use_dora else "lora"
    modules = ("all-linear",) if model.match_all_linear else tuple(model.target_modules or ("*",))
    yield Site(modules, rank, alpha, classic, method=method)
    if model.moe_rank_scaling:
        divided: Fact[Any] = Fact(Unknown("", "the rank is divided by the experts per token"), rank.path, "unknown")
        yield Site(("experts",), divided, alpha, classic, method=method, pattern=True)
