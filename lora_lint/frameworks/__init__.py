"""Which framework reads a document, and what it makes of it; a module is imported when one of its markers is seen."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, cast

from lora_lint.document import Document, Path
from lora_lint.facts import Fact, Kind, Setup, Site
from lora_lint.schema import Schema
from lora_lint.search import holds_any
from lora_lint.tensors import Checkpoint
from lora_lint.view import View

if TYPE_CHECKING:
    from lora_lint.frameworks.run import Part

MARKERS: dict[str, tuple[bytes, ...]] = {
    "adapterhub": (b"attn_matrices", b"LoRAConfig", b"DoRAConfig"),
    "ai_toolkit": (b"linear:", b'"linear"', b"linear_alpha", b"sd_trainer", b"diffusion_trainer"),
    "alpaca_lora": (b"base_model", b"base-model"),
    "autotrain": (b"peft:", b"lora_r:", b"autotrain"),
    "axolotl": (
        b"base_model:",
        b'base_model"',
        b"base_model'",
        b"base_model :",
        b"base_model=",
        b"axolotl",
        b"scripts/finetune.py",
    ),
    "chatglm": (b"peft_config",),
    "deepspeed_chat": (b"lora_dim",),
    "diffsynth": (b"lora_base_model", b"dataset_metadata_path", b"train_architecture", b"_lora.py"),
    "diffusers": (b"_lora", b"train_amused", b"train_diffusion_", b"train_realfill"),
    "diffusion_pipe": (b"[adapter]",),
    "erniekit": (b"fine_tuning",),
    "fastchat": (b"train_lora",),
    "fastvideo": (b"lora_training", b"lora-training", b"fastvideo."),
    "finetrainers": (b"training_type", b"cogvideox_"),
    "firefly": (b"train_file",),
    "fireworks": (b"firectl", b"accounts/fireworks", b"common/conf/model/", b"create_training_client", b"recipes."),
    "gemma": (b"LoRA(",),
    "generic": (
        *(b"lora_alpha", b"lora-alpha", b"loraAlpha", b"LORA_ALPHA", b"lora_dropout"),
        *(b"lora:", b'lora"', b"lora]", b"lora.", b": lora", b".lora_"),
        *(b"peft:", b"peft."),
        *(b"lora_r", b"lora-r", b"lora_dim", b"use_lora", b"lora_enable", b"network_alpha"),
    ),
    "h2o_llm_studio": (b"llm_backbone", b"backbone_dtype"),
    "hcp_diffusion": (b"lycoris.hcp", b"lora_unet:", b"lora_text_encoder:"),
    "hyperpod": (b"training_config", b"model_config", b"display_name"),
    "internvl": (b"backbone_lora", b"llm_lora", b"qllama_lora"),
    "keras": (b"enable_lora", b"lora_rank"),
    "kohya": (b"network_dim", b"network_alpha", b"network_module", b"network_args"),
    "kohya_ss": (b"LoRA_type",),
    "lerobot": (
        *(b"peft.r", b"peft.lora_", b"peft.method", b"full_training"),
        *(b"policy.lora_", b"train_mode_", b"lora_full_model"),
    ),
    "levanter": (b"lora:", b'"lora"', b"lora.r", b"lora.alpha", b"levanter"),
    "litgpt": (b"lora_query", b"lora_key", b"lora_value", b"lora_projection", b"lora_mlp", b"lora_head", b"litgpt"),
    "llama_cookbook": (b"peft_method", b"use_peft", b"lora_config"),
    "llama_cpp": (b"adapter.lora.alpha",),
    "llama_factory": (b"finetuning_type", b"peft_config", b"lora_rank", b"lora_target", b"llamafactory"),
    "llava": (b"lora_enable", b"llava/train", b"llava.train"),
    "lora_diffusion": (b"lora_pti", b"train_lora_"),
    "lora_easy": (b"network_dim", b"network_alpha"),
    "loralib": (b"loralib", b"lora_dim", b"apply_lora"),
    "ltx_trainer": (b"training_mode",),
    "ludwig": (b"input_features",),
    "lycoris": (b"lycoris", b"linear_dim", b"linear_alpha", b"_algo_map"),
    "medical_gpt": (b"lora_rank", b"lora_alpha", b"use_peft"),
    "megatron_bridge": (b"LoRA", b"DoRA", b"peft.dim", b"peft.alpha"),
    "minicpm_v": (b"use_lora",),
    "mistral_finetune": (b"lora:", b'"lora"', b"LoraArgs"),
    "mlora": (b"adapters:", b'"adapters"'),
    "mlx_lm": (b"lora_parameters", b"fine_tune_type", b"mlx_lm", b"linear_to_lora_layers"),
    "mlx_vlm": (b"mlx_vlm", b'"rank"'),
    "ms_swift": (b"tuner_type", b"train_type", b"sft_type", b"lora_rank", b"lora_alpha", b"swift sft", b"swift rlhf"),
    "nemo": (b"lora_tuning", b"peft_scheme"),
    "nemo_automodel": (b"nemo_automodel", b"peft.dim", b"peft.alpha"),
    "nemo_rl": (b"dtensor_cfg", b"megatron_cfg"),
    "olive": (b'"passes"', b"passes:", b"olive"),
    "onetrainer": (b"training_method",),
    "openrlhf": (b"openrlhf", b"micro_train_batch_size"),
    "openvla": (b"vla-scripts", b"vla_path"),
    "paddlenlp": (b"LoRAConfig", b'"lora"', b"lora:", b"lora_plus_scale", b"fine_tuning"),
    "peft": (
        *(b"peft_type", b"lora_alpha", b"target_modules", b"LoraConfig", b"LoHaConfig", b"LoKrConfig"),
        *(b"PeftModel", b"PeftConfig", b"add_adapter"),
    ),
    "qlora": (b"qlora",),
    "qwen3_vl": (b"lora_enable", b"qwenvl"),
    "qwen_vl": (b"use_lora",),
    "qwen_vl_series": (b"lora_enable", b"lora_namespan_exclude", b"num_lora_modules", b"vision_lora"),
    "qwix": (b"LoraProvider", b"LoraRule"),
    "sat": (b"LoraMixin",),
    "script": (
        *(b"lora_alpha", b"LORA_ALPHA", b"peft.alpha", b"lora.alpha", b'"alpha"]', b"'alpha']"),
        *(b"class Lora", b"class LoRA"),
    ),
    "simpletuner": (b"model_family", b"lora_rank", b"lora_type", b"lycoris_config"),
    "speechbrain": (b"speechbrain.nnet.adapters",),
    "tinker": (b"create_lora_training_client", b"tinker_cookbook", b"from tinker"),
    "tiny_llava": (b"tinyllava/",),
    "together": (b"fine-tuning create", b"fine_tuning.create", b'"Lora"', b"'Lora'"),
    "torchtune": (b"torchtune.", b"model.lora_"),
    "trl": (b"use_peft", b"use-peft", b"lora_r", b"lora_alpha", b"lora-r", b"lora-alpha"),
    "unsloth": (b"unsloth", b"lora_r"),
    "verl": (b"lora_rank", b"actor_rollout_ref", b"critic.model.lora", b"model.lora."),
    "videox_fun": (
        b"network_alpha",
        b"train_data_meta",
        b"_sample_size",
        b"video_sample_stride",
        b"training_with_video",
    ),
    "watsonx": (b"peft_parameters", b"PeftParameters"),
    "x_flux": (b"single_blocks", b"double_blocks"),
    "xcomposer": (b"use_lora",),
    "xtuner": (b"xtuner",),
}
"""Bytes that a file of the framework holds at least one of. Adding a framework is one module and one line here."""

WORDS = (
    *(b"lora", b"LoRA", b"LORA", b"Lora", b"LoRa", b"peft", b"PEFT", b"Peft", b"lokr", b"LoKr", b"LOKR", b"Lokr"),
    *(b"dora", b"DoRA", b"DORA", b"loha", b"LoHa", b"LOHA", b"rank", b"RANK", b"Rank", b"adapter", b"Adapter"),
    *(b"lycoris", b"LyCORIS", b"network_", b"linear_", b"finetuning_type"),
    *(b"vla-scripts", b"vla_path", b"unsloth", b"swift "),
)
"""Every file that says something about LoRA holds one of these, whatever markers it holds; most files are done with
at once. `adapter_config.json` is read in any case.
"""

OWN_KEYS = {"training_method": "onetrainer", "peft_type": "peft"}
"""Keys at the top of a JSON file that settle whose it is, the first of them; no other framework is imported to ask."""

LAST = "generic"
"""Asked only when no other framework recognises a document."""


class Framework(Protocol):
    """A module of this package.

    Optional are `configs`: the schemas of a document with the path that each starts at, `Config` at the root otherwise;
    `kind`: a Python call is source, a command or a config is training otherwise; `base_scale`: the scale of modules
    that no pattern names; `says`: what it knows for a word of the vocabulary that no key stands for, and `SAYS`: those
    of the words that rules are run for; `STAGE`: what its runs do where no key tells; `MOST`: the highest severity of
    findings; `FORKED`: whether people run copies of its scripts, whose own defaults then count.
    """

    NAME: str
    TITLE: str
    DOCS: str
    Config: type[Schema]

    @staticmethod
    def recognises(document: Document) -> tuple[str, ...]:
        """The marks by which the document is one of this framework's; none when it isn't."""

    @staticmethod
    def sites(config: View[Any]) -> Iterator[Site]:
        """What the document says about LoRA; empty when it says nothing."""


@cache
def framework(name: str) -> Framework:
    """The module of a framework.

    Raises:
        KeyError: when there is none of that name.
    """
    if name not in MARKERS:
        raise KeyError(name)
    return cast("Framework", import_module(f"lora_lint.frameworks.{name}"))


def has_marker(data: bytes) -> bool:
    """Whether a file may say something about LoRA: the cheap question asked of every file.

    Leftmost matches of a few words are found by vector instructions, some twenty times faster than all markers are.
    """
    return holds_any(data, WORDS) and bool(candidates(data))


def candidates(data: bytes) -> list[str]:
    """The frameworks one of whose markers occurs in a file, in one pass over it."""
    automaton, owners = _markers()
    hits = {index for index, _, _ in automaton.find_matches_as_indexes(data, overlapping=True)}
    named = {name for index in hits for name in owners[index]}
    return [name for name in MARKERS if name in named] if named else []


@cache
def _markers() -> tuple[Any, list[list[str]]]:
    """What finds all markers at once, and the frameworks of each marker."""
    from ahocorasick_rs import BytesAhoCorasick, Implementation

    owners: dict[bytes, list[str]] = {}
    for name, markers in MARKERS.items():
        for marker in markers:
            owners.setdefault(marker, []).append(name)
    return BytesAhoCorasick(list(owners), implementation=Implementation.DFA), list(owners.values())


def recognise(document: Document, names: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The frameworks that recognise a document with the marks they saw, the one with the most marks first."""
    known = [name for name in names if name != LAST]
    found = [(name, marks) for name in known if (marks := framework(name).recognises(document))]
    if not found and LAST in names and (marks := framework(LAST).recognises(document)):
        found = [(LAST, marks)]
    return sorted(found, key=lambda pair: -len(pair[1]))


def owner(document: Document) -> str | None:
    """The framework that a key of a JSON file tells, where one does."""
    data = document.data
    if document.syntax != "json" or not isinstance(data, dict):
        return None
    return next((name for key, name in OWN_KEYS.items() if isinstance(data.get(key), str)), None)


def setup(document: Document, names: list[str], beside: Callable[[], Checkpoint | None]) -> Setup | None:
    """What a document says about LoRA, or None when no framework recognises it or it says nothing."""
    recognised = recognise(document, names)
    if not recognised:
        return None
    name, marks = recognised[0]
    module = framework(name)
    optional = cast("Any", module)
    kind: Kind = "source" if document.syntax == "python" else "training"
    if hasattr(module, "kind"):
        kind = optional.kind(document)
    checkpoint = beside() if kind == "checkpoint" else None
    result = Setup(
        document,
        name,
        kind,
        recognised_by=marks,
        also=tuple(other for other, others in recognised[1:] if len(others) >= len(marks)),
        convention=getattr(module, "CONVENTION", "2r"),
        most=optional.most(document) if hasattr(module, "most") else getattr(module, "MOST", "error"),
        checkpoint=checkpoint,
    )
    configs: list[tuple[type[Schema], Path]] = (
        list(optional.configs(document)) if hasattr(module, "configs") else [(module.Config, ())]
    )
    sites: list[Site] = []
    views: list[View[Any]] = []
    for model, path in configs:
        view = View(model, document, path, title=module.TITLE, checkpoint=checkpoint)
        views.append(view)
        sites += module.sites(view)
        if hasattr(module, "base_scale"):
            result.base_scale = optional.base_scale(view)
        result.bad_values += tuple(view.bad_values)
        result.old_keys += tuple(view.old_keys)
        if reaction := getattr(model, "UNKNOWN_KEYS", ""):
            near = getattr(model, "UNKNOWN_KEYS_NEAR", False)
            result.unknown_keys += tuple(view.report_unknown(reaction, only_near=near))
    if not sites and not document.deed:
        return None
    result.sites = tuple(sites)
    result.target_syntax = next((syntax for model, _ in configs if (syntax := model.TARGETS)), "")
    result.layers_of = next((layers for model, _ in configs if (layers := model.LAYERS_OF)), "")
    result.written_keys = lambda: (key for view in views for key in view.written_keys)
    companions = _companions(document)
    result.old_keys += tuple(old for part in companions for old in part.old_keys)
    parts: Sequence[Says] = [*views, *companions]
    says = getattr(module, "says", None) or _says_stage(getattr(module, "STAGE", ""))
    if says is None:
        result.ask = parts[0].said if len(parts) == 1 else lambda word: _said(parts, word)
    else:
        result.ask = lambda word: _said(parts, word) or says(views[0], word)
    more: tuple[str, ...] = getattr(module, "SAYS", ())
    result.words = lambda: chain(
        (word for part in parts for word in part.words),
        (word for word in more if optional.says(views[0], word) is not None),
    )
    return result


def _says_stage(stage: str) -> Callable[[View[Any], str], Fact[Any] | None] | None:
    """What a framework says whose runs all do the same."""
    fact: Fact[Any] = Fact(stage, (), "derived")
    return (lambda view, word: fact if word == "stage" else None) if stage else None


class Says(Protocol):
    """A part of what a setup is made of."""

    @property
    def words(self) -> Iterator[str]: ...

    def said(self, word: str) -> Fact[Any] | None: ...


def _companions(document: Document) -> "Sequence[Part]":
    """The other calls of a Python file that belong to the run."""
    if not document.companions:
        return ()
    from lora_lint.frameworks.run import parts

    return parts(document)


def _said(views: Sequence[Says], word: str) -> Fact[Any] | None:
    """What the parts of a document say for a word: the first that is written, else the first default that is one."""
    if len(views) == 1:
        return views[0].said(word)
    facts = [fact for view in views if (fact := view.said(word)) is not None]
    written = next((fact for fact in facts if fact.origin != "default"), None)
    defaults = (fact for fact in facts if fact.known and fact.value is not None)
    return written or next(defaults, facts[0] if facts else None)
