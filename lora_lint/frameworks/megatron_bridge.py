"""Megatron-Bridge and NeMo 2: `LoRA(dim=N, alpha=M)`, `recipe.peft.dim = N`, run_config.yaml, overrides."""

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from lora_lint.document import Document, Path, Unknown
from lora_lint.facts import Fact, Site, TargetSyntax
from lora_lint.frameworks.blocks import block, blocks, instantiated, overrides
from lora_lint.frameworks.commands import unless_set_by
from lora_lint.frameworks.derivation import from_rank
from lora_lint.scaling import classic
from lora_lint.schema import Number, PositiveInt, Schema, Words
from lora_lint.view import View

NAME = "megatron_bridge"
TITLE = "Megatron-Bridge"
DOCS = "https://docs.nvidia.com/nemo/megatron-bridge/latest/training/peft.html"


class Config(Schema):
    """peft/lora.py:143-147 and canonical_lora.py:228 at 067f987d; nemo/collections/llm/peft/lora.py:677 at 8cfedd72.

    A null alpha is `dim` (peft/utils.py:1001). The fields of ModuleMatcher come first (module_matcher.py:64-68).
    """

    POSITIONAL: ClassVar[tuple[str, ...]] = (
        *("target_modules", "exclude_modules", "canonical_mapping", "dim", "alpha", "dropout"),
    )

    TARGETS: ClassVar[TargetSyntax] = "glob"
    LAYERS_OF: ClassVar[str] = "megatron"

    target_modules: Words | None = None
    dim: PositiveInt = 32
    alpha: Number | None = 32
    dropout: float = 0.0
    normalize_moe_lora: bool = False


class DoRA(Config):
    """peft/dora.py:62-63 at 067f987d."""

    alpha: Number | None = 64


_MODULES = ("megatron.bridge.", "nemo.collections.llm.", "nemo.collections.vlm.", "nemo.collections.speechlm.")
_CLASSES = ("LoRA", "CanonicalLoRA", "VLMLoRA", "MultiLoRA", "DoRA")
_KEYS = ("dim", "alpha")
_PROGRAMS = ("nemo", "run_recipe", "megatron", "nemo_run")
_IMPORTED = re.compile(r"^\s*(?:from|import)\s+(?:megatron\.bridge|nemo\.collections)\b", re.MULTILINE)
_ASSIGNED = re.compile(r"(?:peft|lora)\w*\.(dim|alpha)\s*=(?!=)", re.IGNORECASE)


def recognises(document: Document) -> tuple[str, ...]:
    if document.syntax == "python":
        called = document.called
        if _is_assigned(document):
            return (called, "import", *(str(key) for key in block(document.data, ())))
        return (called,) if _is_ours(called) else ()
    if document.syntax == "shell":
        words = " ".join((document.callee, *document.words))
        ours = "automodel" not in words and any(program in words for program in _PROGRAMS)
        return overrides(document, "peft", *_KEYS) if ours else ()
    return tuple(target for target, _ in _targets(document))


def _is_ours(name: str) -> bool:
    return name.startswith(_MODULES) and name.rpartition(".")[2] in _CLASSES


def _is_assigned(document: Document) -> bool:
    """Whether rank or alpha of a recipe's `peft` are assigned one by one."""
    known = isinstance(document.data, dict) and any(key in document.data for key in _KEYS)
    assigned = document.called.startswith("assigned to ") and document.called.endswith(".peft")
    return known and assigned and _IMPORTED.search(document.source.text) is not None


def _targets(document: Document) -> Iterator[tuple[str, Path]]:
    if document.syntax in ("yaml", "json"):
        for target, path in instantiated(document.data, *_MODULES):
            if _is_ours(target):
                yield target, path


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    if document.syntax == "python":
        yield _schema(document.called), ()
    elif document.syntax == "shell":
        yield from blocks(document, Config, _KEYS, "peft")
    else:
        for target, path in _targets(document):
            yield _schema(target), path


def _schema(name: str) -> type[Schema]:
    return DoRA if name.endswith(".DoRA") else Config


def sites(config: View[Config]) -> Iterator[Site]:
    """Experts get another rank where `normalize_moe_lora` divides it by the router's top k (peft/utils.py:709)."""
    model = config.model
    rank, alpha = (_unless_elsewhere(config, name) for name in _KEYS)
    if alpha.known and alpha.value is None:
        alpha = from_rank(rank, alpha.path)
    modules = tuple(model.target_modules or ("all-linear",))
    method = "dora" if isinstance(model, DoRA) else "lora"
    yield Site(modules, rank, alpha, classic, method=method)
    if model.normalize_moe_lora:
        divided: Fact[Any] = Fact(Unknown("", "the rank is divided by the experts per token"), rank.path, "unknown")
        yield Site(("experts",), divided, alpha, classic, method=method, pattern=True)


def _unless_elsewhere(config: View[Config], name: str) -> Fact[Any]:
    """A recipe has a rank and an alpha of its own; what a call leaves out may be assigned after it."""
    fact, document = config.fact(name), config.document
    if document.syntax == "shell" or (document.syntax == "python" and _is_assigned(document)):
        return unless_set_by("the recipe", fact)
    later = document.syntax == "python" and name in _ASSIGNED.findall(document.source.text)
    return unless_set_by("an assignment", fact) if later else fact
