"""LLaMA-Factory's parser and `init_adapter`, on a small Llama."""

import os
from collections.abc import Iterator
from typing import Any

from tests.oracles.live import Layer, arguments, llama, of_peft

os.environ["DISABLE_VERSION_CHECK"] = "1"  # of transformers, which is newer here than it wants

from llamafactory.hparams.parser import _parse_train_args
from llamafactory.model.adapter import init_adapter
from omegaconf import OmegaConf


def layers(name: str, text: str) -> Iterator[Layer]:
    given: Any
    if name.endswith(".yaml"):
        # hparams/parser.py:119 at ff6d4d1.
        given = OmegaConf.to_container(OmegaConf.create(text))
    else:
        given = arguments(text, "llamafactory-cli", "train")
    model_arguments, _, _, finetuning, _ = _parse_train_args(given)
    model = llama()
    yield from of_peft(init_adapter(model.config, model, model_arguments, finetuning, is_trainable=True))
