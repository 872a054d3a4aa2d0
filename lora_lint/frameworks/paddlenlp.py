"""PaddleNLP and PaddleFormers: `lora: true` and `lora_rank: N` for the trainers, which take twice the rank for alpha
whatever is written; `LoRAConfig(r=, lora_alpha=)` in code, and the `lora_config.json` that it saves."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Kind, Site, State, derived
from lora_lint.frameworks.derivation import from_rank, trained_before
from lora_lint.scaling import classic, rslora, unscaled
from lora_lint.schema import Int, Number, PositiveInt, Schema
from lora_lint.view import View

NAME = "paddlenlp"
TITLE = "PaddleNLP/PaddleFormers"
DOCS = "https://paddlenlp.readthedocs.io/en/latest/llm/docs/finetune.html"

ALPHA_PER_RANK = 2
RSLORA_ALPHA = 4
"""llm/run_finetune.py of PaddleNLP at 005f2ad3, paddleformers/cli/train/sft/workflow.py:787 and dpo/workflow.py:278 of
PaddleFormers 1.2.0."""


class Arguments(Schema):
    """The trainers' own arguments: llm/utils/argument.py of PaddleNLP, paddleformers/cli/hparams/model_args.py:193-219.

    `fine_tuning` overrides `lora` in PaddleFormers (model_args.py:238-241).
    """

    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".model_name_or_path"}

    lora: bool = False
    fine_tuning: str | None = None
    lora_rank: PositiveInt = 8
    lora_alpha: Int = -1
    lora_path: str | None = None
    rslora: bool = False
    rslora_plus: bool = False
    pissa: bool = False
    model_name_or_path: str | None = None


class Config(Schema):
    """paddlenlp/peft/lora/lora_config.py of 2.8.1: a pattern is matched whole with every module's name, and PiSSA is
    never scaled (lora_layers.py:106-111)."""

    POSITIONAL: ClassVar[tuple[str, ...]] = ("r", "target_modules", "trainable_modules", "lora_alpha")
    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".base_model_name_or_path"}

    r: PositiveInt = 8
    lora_alpha: Number = 8
    target_modules: Any = None
    rslora: bool = False
    pissa: bool = False
    base_model_name_or_path: str | None = None


LIBRARIES = ("paddlenlp.", "paddleformers.")
_SAVED = ("lora_plus_scale", "enable_lora_list", "trainable_modules", "trainable_bias")
_OWN = (
    *("tensor_parallel_degree", "pipeline_parallel_degree", "sharding", "sharding_parallel_degree"),
    *("tensor_model_parallel_size", "pipeline_model_parallel_size", "unified_checkpoint", "amp_master_grad"),
    *("zero_padding", "flash_mask", "template_backend", "save_checkpoint_format", "_attn_implementation"),
    *("train_dataset_type", "dataset_name_or_path", "fp16_opt_level"),
)
"""Arguments of PaddleNLP's and PaddleFormers' trainers that few others have, and none has several of."""


def recognises(document: Document) -> tuple[str, ...]:
    data = document.data
    if not isinstance(data, dict):
        return ()
    if document.syntax == "python":
        ours = document.callee.startswith(LIBRARIES) and document.callee.endswith(".LoRAConfig")
        return (document.callee,) if ours else ()
    if document.syntax == "json" and "r" in data and "lora_alpha" in data:
        saved = tuple(key for key in _SAVED if key in data)
        return ("r", "lora_alpha", *saved) if len(saved) > 1 else ()
    return arguments(document, _OWN)


def arguments(document: Document, own: tuple[str, ...]) -> tuple[str, ...]:
    """The marks of a config of Paddle's trainers: LoRA is on or off in it, and it has several of their `own` keys."""
    data = document.data
    if document.syntax not in ("json", "yaml") or not isinstance(data, dict) or "finetuning_type" in data:
        return ()
    gates = tuple(key for key in ("lora", "fine_tuning", "lora_rank") if isinstance(data.get(key), bool | str | int))
    marks = tuple(key for key in own if key in data)
    return (*gates, *marks) if gates and gates != ("lora_rank",) and len(marks) > 1 else ()


def kind(document: Document) -> Kind:
    if document.syntax == "python":
        return "source"
    return "checkpoint" if _is_saved(document) else "training"


def _is_saved(document: Document) -> bool:
    return document.syntax == "json" and isinstance(document.data, dict) and "r" in document.data


def configs(document: Document) -> Iterator[tuple[type[Schema], Path]]:
    yield Config if document.syntax == "python" or _is_saved(document) else Arguments, ()


def sites(config: View[Any]) -> Iterator[Site]:
    if isinstance(config.model, Config):
        model = config.model
        rank, alpha = config.fact("r"), config.fact("lora_alpha")
        targets = model.target_modules if isinstance(model.target_modules, list) else [model.target_modules or "*"]
        formula = unscaled if model.pissa else rslora if model.rslora else classic
        yield Site(tuple(map(str, targets)), rank, alpha, formula, fixed=model.pissa)
        return
    yield from trained(config, reads_alpha=False)


def trained(config: View[Any], *, reads_alpha: bool) -> Iterator[Site]:
    """The one site of a run; `reads_alpha` says whether a written alpha counts, of which -1 is none."""
    model = config.model
    rank: Fact[Any] = config.fact("lora_rank")
    written: Fact[Any] = config.fact("lora_alpha")
    stabilised = model.rslora or model.rslora_plus
    path = written.path if written.origin == "written" else ()
    given = not written.known or (bool(path) and written.value != -1)
    if reads_alpha and given and not model.rslora_plus:
        alpha, fixed = written, False
    else:
        alpha = derived(RSLORA_ALPHA, path or rank.path) if stabilised else from_rank(rank, path, factor=ALPHA_PER_RANK)
        fixed = not reads_alpha or model.rslora_plus
    if model.lora_path:
        rank, alpha, fixed = trained_before(rank), trained_before(alpha), False
    formula = unscaled if model.pissa else rslora if stabilised else classic
    yield Site(("*",), rank, alpha, formula, _state(model), fixed=fixed)


def _state(model: Any) -> State:
    on = model.lora if model.fine_tuning is None else model.fine_tuning.lower() == "lora"
    return "active" if on else "off"
