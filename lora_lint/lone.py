"""A file of LoRA weights that no config lies beside: its names and numbers make a setup of their own."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lora_lint.checkpoint import ADAPTER_CONFIG, WEIGHTS, index_of, leads_out, of_file, shards_of
from lora_lint.dialects import ALPHA, Dialect, dialect, holds_lora, tensor_modules
from lora_lint.document import Document, Path, Source, Span, Unknown
from lora_lint.facts import Fact, Setup, Site, derived
from lora_lint.files import Candidate
from lora_lint.folder import Folder
from lora_lint.frameworks import framework
from lora_lint.frameworks.llama_cpp import ALPHA as ALPHA_KEY
from lora_lint.readers.weights import NEMO
from lora_lint.scaling import classic
from lora_lint.tensors import Checkpoint

METADATA = "lora_adapter_metadata"
"""Where diffusers writes the LoraConfig of each model: loaders/lora_base.py:65 at 58eb52c0."""


_ELSEWHERE = {
    "adapterhub": "alpha is in adapter_config.json",
    "litgpt": "alpha is in hyperparameters.yaml",
    "loralib": "alpha is in the code of the run",
    "mlx_lm": "the scale is in adapter_config.json",
    "mlx_vlm": "alpha is in adapter_config.json",
    "nemo": "alpha is in model_config.yaml",
    "peft": "alpha is in adapter_config.json",
    "torchtune": "alpha is in the run's config",
}
"""What says the scale where the weights don't and a loader doesn't go by the rank."""

LARGEST_CONFIG = 4 * 2**20
_CONFIG_ENDINGS = (".json", ".yaml", ".yml", ".toml", ".sh")
MOST_CONFIGS = 20
"""Files that are asked for the run that wrote the weights beside them; a folder with more isn't that of a run."""


def setup_of(path: str, name: str) -> Setup | None:
    """What a file of weights says by itself, or None where the names of its tensors aren't known.

    Raises:
        UnreadableError: when a loader would refuse the file.
        OSError: when it can't be read.
    """
    checkpoint = _with_alphas(path, of_file(path))
    modules = list(tensor_modules(checkpoint))
    if not modules:
        return None
    if path.endswith(NEMO) and (archived := _archived(path, name, checkpoint)) is not None:
        return archived
    spoken = dialect(modules, checkpoint.metadata)
    document = _document(name, checkpoint)
    setup = Setup(
        document,
        spoken.framework,
        "checkpoint",
        recognised_by=spoken.marks,
        convention=getattr(framework(spoken.framework), "CONVENTION", "2r"),
        checkpoint=checkpoint,
        path=path,
    )
    if spoken.framework == "llama_cpp":
        setup.sites = tuple(_by_key(setup))
    else:
        setup.sites = tuple(_by_metadata(setup) if _configs(document) else _by_tensors(setup, spoken))
    return setup


def _archived(path: str, name: str, checkpoint: Checkpoint) -> Setup | None:
    """What the config in an archive of NeMo says of the weights beside it."""
    from lora_lint.frameworks import setup as setup_of_document
    from lora_lint.readers import nemo, yaml

    documents = list(yaml.read(Source(name, nemo.read(path).config)))
    found = setup_of_document(documents[0], ["nemo"], lambda: None) if documents else None
    if found is not None:
        found.document.embedded = True
        found.kind, found.checkpoint, found.path = "checkpoint", checkpoint, path
    return found


_OF_MLX = re.compile(r"\d{7}_adapters\.safetensors")
"""What MLX saves on its way, beside the last: mlx_lm/tuner/trainer.py."""


def claimed(path: str) -> str | None:
    """The config that the file is read with, or None where no config speaks of it."""
    from lora_lint.reading import read_file

    folder, name = os.path.split(path)
    index = index_of(path)
    for config, names in WEIGHTS.items():
        beside = os.path.join(folder, config)
        known = name in names or index.removesuffix(".index.json") in names
        if not (known or (config == ADAPTER_CONFIG and _OF_MLX.fullmatch(name))) or not os.path.isfile(beside):
            continue
        if config == ADAPTER_CONFIG:
            return config
        setups = read_file(Candidate(beside, named=True), LARGEST_CONFIG).setups
        if any(setup.checkpoint is not None and name in setup.checkpoint.files for setup in setups):
            return config
    return None


def runs_beside(path: str) -> tuple[Setup, ...]:
    """The setups of the one config in the folder of a file; where there are more, nobody knows whose the file is.

    Where there is none, those of the folder above whose run writes into this one.
    """
    folder = Folder(path)
    return _runs(folder) or _runs_into(os.path.basename(folder.path), Folder(folder.path))


def _runs_into(name: str, above: Folder) -> tuple[Setup, ...]:
    return tuple(run for run in _runs(above) if _output(run).rstrip("/").rpartition("/")[2] == name)


def _output(run: Setup) -> str:
    data = run.document.data
    folder = data.get("output_dir") if isinstance(data, dict) else None
    return folder if isinstance(folder, str) else ""


def _runs(folder: Folder) -> tuple[Setup, ...]:
    from lora_lint.reading import read_file

    names = sorted(name for name in folder.names if name.endswith(_CONFIG_ENDINGS) and not leads_out(folder.path, name))
    if len(names) > MOST_CONFIGS:
        return ()
    paths = [os.path.join(folder.path, name) for name in names]
    found = [setups for one in paths if (setups := read_file(Candidate(one, named=False), LARGEST_CONFIG).setups)]
    return tuple(found[0]) if len(found) == 1 else ()


def first_shard(path: str) -> str | None:
    """The shard with LoRA tensors that stands for all of a checkpoint; None where the file is one by itself."""
    folder = Folder(path)
    shards = {shard for name, shard in shards_of(path).items() if holds_lora((name,))}
    return min((shard for shard in shards if folder.size(shard)), default=None)


def _with_alphas(path: str, checkpoint: Checkpoint) -> Checkpoint:
    from lora_lint.readers.weights import read_numbers

    scalars = dict(checkpoint.scalars)
    for file in checkpoint.files:
        names = [name for name, tensor in checkpoint.tensors.items() if tensor.file == file and name.endswith(ALPHA)]
        if names:
            scalars |= read_numbers(os.path.join(os.path.dirname(path), file), names)
    return replace(checkpoint, scalars=scalars)


def _document(name: str, checkpoint: Checkpoint) -> Document:
    """The header as data, the configs that diffusers writes into its metadata read and sorted by model."""
    metadata: dict[str, object] = dict(checkpoint.metadata)
    if METADATA in metadata:
        metadata[METADATA] = _sorted(checkpoint.metadata[METADATA])
    metadata |= {key: value for key, value in checkpoint.scalars.items() if key not in checkpoint.tensors}
    tensors = {tensor.name: {"dtype": tensor.dtype, "shape": [*tensor.shape]} for tensor in checkpoint.tensors.values()}
    return Document(Source(name, ""), "weights", {**tensors, "__metadata__": metadata}, Span(0, 0))


def _sorted(text: str) -> dict[str, dict[str, object]]:
    """`unet.r` and `text_encoder.r` under the model they are of; the settings of a model saved alone under none."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    found: dict[str, dict[str, object]] = {}
    for key, value in data.items() if isinstance(data, dict) else ():
        model, _, word = key.rpartition(".")
        found.setdefault(model, {})[word] = value
    return found


def _configs(document: Document) -> dict[str, dict[str, object]]:
    data = document.data
    assert isinstance(data, dict)
    found = data["__metadata__"].get(METADATA)
    return {model: words for model, words in found.items() if "r" in words} if isinstance(found, dict) else {}


def _by_metadata(setup: Setup) -> Iterator[Site]:
    """The sites of each model as PEFT makes them from the config that diffusers hands it (loaders/peft.py:114)."""
    from lora_lint.frameworks import peft
    from lora_lint.view import View

    assert setup.checkpoint is not None
    for model in _configs(setup.document):
        start = f"{model}." if model else ""
        of_model = {
            name.removeprefix(start): tensor
            for name, tensor in setup.checkpoint.tensors.items()
            if name.startswith(start)
        }
        view = View(
            peft.Config,
            setup.document,
            ("__metadata__", METADATA, model),
            title=peft.TITLE,
            checkpoint=replace(setup.checkpoint, tensors=of_model),
        )
        for site in peft.sites(view):
            yield replace(site, modules=tuple(f"{start}{module}" for module in site.modules))
        setup.bad_values += tuple(bad._replace(replacement=None) for bad in view.bad_values)


def _by_tensors(setup: Setup, spoken: Dialect) -> Iterator[Site]:
    """Modules with the same method, rank and alpha share a site; sites of one scale point at one alpha."""
    assert setup.checkpoint is not None
    scalars = setup.checkpoint.scalars
    groups: dict[tuple[str, int | None, float | None], list[Any]] = {}
    for module in setup.tensor_modules:
        alpha = scalars.get(module.alpha.name) if module.alpha is not None else None
        groups.setdefault((module.method, module.rank, alpha), []).append(module)
    places: dict[float, Path] = {}
    for (method, rows, alpha), members in groups.items():
        first = members[0]
        rank = _rank(first.a.name if first.a is not None else "", rows)
        if alpha and rows:
            place = places.setdefault(round(alpha / rows, 6), (first.alpha.name,))
            fact: Fact[Any] = Fact(alpha, place)
        else:
            fact = _without_alpha(first, rank, spoken)
        yield Site(
            tuple(module.module for module in members),
            rank,
            fact,
            classic,
            state="active" if method == "lora" else "not-lora",
            method="dora" if method == "lora" and first.magnitude is not None else method,
            folded=fact.origin == "derived",
        )


def _by_key(setup: Setup) -> Iterator[Site]:
    """One alpha for all modules, as llama.cpp divides it by the rank of each; 1 is the scale without one."""
    assert setup.checkpoint is not None
    groups: dict[int | None, list[Any]] = {}
    for module in setup.tensor_modules:
        groups.setdefault(module.rank, []).append(module)
    for rows, members in groups.items():
        alpha = setup.checkpoint.scalars.get(ALPHA_KEY)
        rank = _rank(members[0].a.name if members[0].a is not None else "", rows)
        fact: Fact[Any] = Fact(alpha, ("__metadata__", ALPHA_KEY)) if alpha else derived(rows or 1, rank.path)
        yield Site(tuple(module.module for module in members), rank, fact, classic, folded=not alpha)


def _rank(name: str, rows: int | None) -> Fact[Any]:
    return Fact(rows, (name,)) if rows else Fact(Unknown("", "no tensor tells the rank"), (name,), "unknown")


def _without_alpha(module: Any, rank: Fact[Any], spoken: Dialect) -> Fact[Any]:
    """Loaders of images take the rank: networks/lora.py:834-837 of sd-scripts, utils/peft_utils.py:172 of diffusers.

    ComfyUI's scale of 1 is the same (comfy/weight_adapter/lora.py:174 at a125cd84). An alpha of 0 is the rank to some
    and nothing to others.
    """
    if module.alpha is not None:
        reason = f"{module.alpha.name} is 0 or can't be read"
    elif spoken.framework in _ELSEWHERE:
        reason = f"{_ELSEWHERE[spoken.framework]}, which isn't here"
    elif not rank.known:
        reason = rank.reason
    else:
        return derived(rank.value, rank.path)
    return Fact(Unknown("", reason), rank.path, "unknown")
