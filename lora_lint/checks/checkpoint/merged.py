"""Is a full model merged where it says so, and unmerged where it says so?"""

from collections.abc import Iterator

from lora_lint.dialects import is_adapters
from lora_lint.facts import Setup, Site
from lora_lint.finding import Finding, Replace, Severity
from lora_lint.tensors import Checkpoint


def stale_lora_flag(setup: Setup) -> Iterator[Finding]:
    for site in setup.sites:
        if not site.fixed or setup.lone or not _is_whole(setup.checkpoint) or not site.rank.known:
            continue
        part, found = site.modules[0].partition(".")[0], _count(setup, site)
        if site.state == "active" and not found:
            yield Finding(
                f"{site.rank.path[-1]} is {site.rank.value}, but no tensor of {part} is a LoRA's: the loader wraps it "
                "with new ones and finds none of its weights",
                at=site.rank.path,
                fix=Replace(site.rank.path, "0"),
            )
        elif site.state == "off" and found:
            yield Finding(
                f"{site.rank.path[-1]} is 0, but {found} tensors of {part} are a LoRA's, which the loader drops with "
                "the weights beside them",
                at=site.rank.path,
            )


def unmerged_lora(setup: Setup) -> Iterator[Finding]:
    for site in setup.sites:
        if site.fixed and not setup.lone and site.state == "active" and (found := _count(setup, site)):
            part = site.modules[0].partition(".")[0]
            yield Finding(
                f"the adapter of {part} isn't merged, {found} tensors are a LoRA's: only the code that trained it "
                "loads this checkpoint",
                at=site.rank.path,
            )


def _count(setup: Setup, site: Site) -> int:
    """The LoRA tensors of the part of the model that a site wraps."""
    start = f"{site.modules[0].partition('.')[0]}."
    names = _names(setup.checkpoint) if setup.checkpoint is not None else ()
    return sum(name.startswith(start) and ".lora_" in name for name in names)


def _names(checkpoint: Checkpoint) -> frozenset[str]:
    """The names of the tensors; those in the index where the shards aren't there."""
    return checkpoint.named or frozenset(checkpoint.tensors)


def _is_whole(checkpoint: Checkpoint | None) -> bool:
    return checkpoint is not None and bool(checkpoint.named or (checkpoint.tensors and not checkpoint.unreadable))


def merged_model_inconsistent(setup: Setup) -> Iterator[Finding]:
    folder, checkpoint = setup.folder, setup.checkpoint
    if not setup.lone or folder is None or checkpoint is None:
        return
    config = folder.json("config.json")
    # A model that is made to have adapters says so: Phi-4-multimodal has vision_lora, Granite Speech has_lora_adapter.
    if config is None or any("lora" in key or "adapter" in key for key in config):
        return
    ours = [tensor for name, tensor in checkpoint.tensors.items() if is_adapters(name)]
    if len(checkpoint.tensors) - len(ours) <= len(setup.tensor_modules):
        return
    yield Finding(
        f"a full model still holds {len(ours)} tensors of an adapter, which nothing says how to scale: it isn't "
        "merged, and loaders drop them",
        file=ours[0].file,
        tensor=ours[0].name,
    )
    names = {name.removesuffix(".weight").rpartition(".")[2] for name in checkpoint.tensors if name.endswith(".weight")}
    if config.get("tie_word_embeddings") is True and {"lm_head", "embed_tokens"} <= names:
        head = next(tensor for name, tensor in checkpoint.tensors.items() if name.endswith("lm_head.weight"))
        yield Finding(
            "tie_word_embeddings is true and lm_head has weights of its own: loaders put the embedding in their place",
            file=head.file,
            tensor=head.name,
            severity=Severity.WARNING,
        )
