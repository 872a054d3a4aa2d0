"""Do the adapter and the model that it is for go together?"""

import re
from collections.abc import Iterator

from lora_lint.base_files import BaseFiles
from lora_lint.facts import Setup, may_be_set
from lora_lint.finding import Finding, Severity
from lora_lint.tensors import LoraTensors

Sizes = tuple[int, int]
"""Output and input features."""


def base_shape_mismatch(setup: Setup) -> Iterator[Finding]:
    if setup.lone or not setup.active or not setup.tensor_modules or _is_packed(setup) or setup.base_files is None:
        return
    held = [(module, sizes) for module in setup.tensor_modules if (sizes := _sizes(module)) is not None]
    known = [(module, sizes, base) for module, sizes in held if (base := _of_base(module, setup.base_files))]
    wrong = [(module, sizes, base) for module, sizes, base in known if sizes not in base]
    if not wrong:
        return
    module, sizes, base = wrong[0]
    tensor = module.a
    assert tensor is not None
    yield Finding(
        f"{module.module} is adapted from {sizes[1]} to {sizes[0]} features, the base model has {base[0][1]} to "
        f"{base[0][0]}; {len(wrong)} of {len(known)} modules differ",
        file=tensor.file,
        tensor=tensor.name,
    )


def _is_packed(setup: Setup) -> bool:
    """Whether A and B have other sizes than the layer by design: QALoRA pools the input, BD-LoRA cuts into blocks."""
    return any(may_be_set(setup.ask(word)) for word in ("use_qalora", "use_bdlora", "megatron_config"))


def _sizes(module: LoraTensors) -> Sizes | None:
    """Of linear layers; the vocabulary of an embedding grows with its tokenizer, experts stack their rows."""
    if module.a is None or module.of_parameter or "embedding" in module.a.name:
        return None
    return None if module.module.rpartition(".")[2] in ("lm_head", "embed_tokens") else module.features


def _of_base(module: LoraTensors, base: BaseFiles) -> list[Sizes]:
    """The sizes that the layer may have: GPT-2 stores its weights transposed. Empty where they aren't known."""
    weight = base.weight(module.module)
    if weight is not None:
        return [weight.shape, weight.shape[::-1]] if len(weight.shape) == 2 else []
    within = _IN_BLOCK.fullmatch(module.module)
    sizes = base.linear_sizes.get(within[1]) if within is not None else None
    return [sizes] if sizes is not None else []


_IN_BLOCK = re.compile(
    r"(?:(?:model|transformer|gpt_neox|bert|roberta)\.)?(?:(?:decoder|encoder)\.)?(?:layers|layer|h)\.\d+\.([\w.]+)"
)
"""A layer in one of the blocks of a language model, as transformers' classes name them."""

_CHANGES_THE_BASE = ("pissa", "olora", "corda", "lora_ga")


def mutated_base_init_unconverted(setup: Setup) -> Iterator[Finding]:
    init = setup.adapter.init_lora_weights
    if not setup.trained or not setup.active or init is None or not isinstance(init.value, str):
        return
    if init.value.lower().startswith(_CHANGES_THE_BASE):
        yield Finding(
            f"init_lora_weights is {init.value}, which changed the base weights: on the original base, in other "
            "runtimes and beside other adapters the result is another",
            at=init.path,
        )


_FULL = re.compile(r"(?:model|pytorch_model)(?:-\d{5}-of-\d{5})?\.(?:safetensors|bin)")


def adapter_mixed_with_full_model(setup: Setup) -> Iterator[Finding]:
    checkpoint, folder = setup.checkpoint, setup.folder
    if setup.lone or checkpoint is None or folder is None or not setup.active:
        return
    if not any(file.startswith("adapter_model") for file in checkpoint.files):
        return
    full = sorted(name for name in folder.names if _FULL.fullmatch(name))
    # A value head alone is saved as pytorch_model.bin by TRL, and is smaller than any adapter.
    if not full or sum(map(folder.size, full)) <= sum(map(folder.size, checkpoint.files)):
        return
    config = folder.json("config.json")
    if config is None or any("lora" in key or "adapter" in key for key in config):
        return
    yield Finding(
        f"{full[0]} holds a full model in the folder of the adapter: some loaders take the one, some the other, "
        "and if it is merged already, the update is added twice",
        file=setup.document.source.name.rpartition("/")[2],
        line=1,
        # torchtune leaves both in one folder by design, beside its own adapter_model.pt.
        severity=Severity.NOTE if "adapter_model.pt" in folder.names else None,
    )
