"""Do the other files in the folder of an adapter go with it?"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from lora_lint.base_files import BaseFiles
from lora_lint.base_model import EMBEDDINGS
from lora_lint.checkpoint import ADAPTER_CONFIG, WEIGHTS, of_file
from lora_lint.facts import Setup
from lora_lint.finding import Finding
from lora_lint.folder import Folder


def adapter_saved_twice(setup: Setup) -> Iterator[Finding]:
    """PEFT takes the first of the two; who looks for `.bin` alone, as older releases, takes the other."""
    folder, checkpoint = setup.folder, setup.checkpoint
    first, second = WEIGHTS[ADAPTER_CONFIG][:2]
    if folder is None or checkpoint is None or checkpoint.files != (first,) or folder.size(second) == 0:
        return
    other = of_file(os.path.join(folder.path, second))
    shapes = [{one.name: one.shape for one in each.tensors.values()} for each in (checkpoint, other)]
    differ = sorted(name for name in {**shapes[0], **shapes[1]} if shapes[0].get(name) != shapes[1].get(name))
    if not (checkpoint.unreadable or other.unreadable) and other.tensors and differ:
        yield Finding(
            f"{first} and {second} hold different adapters: {len(differ)} tensors aren't in both, or have another "
            f"shape; some loaders take the one, some the other: {differ[0]}"
        )


_TOKENS = ("tokenizer_config.json", "added_tokens.json")


def tokenizer_larger_than_base(setup: Setup) -> Iterator[Finding]:
    folder, checkpoint, base = setup.folder, setup.checkpoint, setup.base_files
    if setup.lone or folder is None or checkpoint is None or not checkpoint.tensors or base is None or not setup.active:
        return
    rows = _rows(base)
    if rows is None or any(part in name for name in checkpoint.tensors for part in _OF_EMBEDDINGS):
        return
    for name in _TOKENS:
        highest = max(_ids(name, folder), default=-1)
        if highest >= rows:
            yield Finding(
                f"{name} has tokens up to number {highest}, the embedding of the base model has {rows} rows, and the "
                "adapter brings none"
            )
            return


_OF_EMBEDDINGS = (*EMBEDDINGS, "trainable_tokens", "token_adapter", "lora_embedding")


def _rows(base: BaseFiles) -> int | None:
    """Of the embedding in the weights of the base; else of its config, for families whose embedding is no larger."""
    weights = [base.weight(name.removesuffix(".weight")) for name in _embeddings(base)]
    if weights and weights[0] is not None:
        return weights[0].shape[0]
    size = base.config.get("vocab_size")
    return size if isinstance(size, int) and base.linear_sizes else None


def _embeddings(base: BaseFiles) -> list[str]:
    tensors = base.checkpoint.tensors if base.checkpoint is not None else {}
    return [name for name in tensors if name.endswith(tuple(f"{part}.weight" for part in EMBEDDINGS))]


def _ids(name: str, folder: Folder) -> Iterator[int]:
    """The numbers of the added tokens in a file of the tokenizer."""
    data: Mapping[str, Any] = folder.json(name) or {}
    decoder = data.get("added_tokens_decoder") if name == _TOKENS[0] else None
    if isinstance(decoder, dict):
        yield from (int(key) for key in decoder if key.isdecimal() and len(key) < 10)
    elif name != _TOKENS[0]:
        yield from (value for value in data.values() if type(value) is int)
