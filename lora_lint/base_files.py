"""The files of an adapter's base model, where they are at hand: what its config and the headers of its weights say."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lora_lint.facts import Setup
from lora_lint.folder import LARGEST
from lora_lint.nearby import is_below
from lora_lint.tensors import Checkpoint, Tensor
from lora_lint.used import used

_CONFIG = "config.json"


@dataclass(frozen=True)
class BaseFiles:
    """The folder of a base model, or only the config of one that lies beside the adapter."""

    config: Mapping[str, Any]
    folder: str = ""

    @cached_property
    def checkpoint(self) -> Checkpoint | None:
        """The headers of its weights, where they are there."""
        from lora_lint.checkpoint import beside

        return beside(os.path.join(self.folder, _CONFIG)) if self.folder else None

    def weight(self, module: str) -> Tensor | None:
        """The weight of a linear layer, an embedding or a convolution by its name in the model."""
        tensors = self.checkpoint.tensors if self.checkpoint is not None else {}
        tensor = tensors.get(f"{module}.weight")
        # Quantised weights are packed, so that their shape says nothing.
        return tensor if tensor is not None and tensor.dtype in ("F32", "F16", "BF16", "F64") else None

    def is_matrix(self, name: str) -> bool:
        """Whether a tensor of its weights is the matrix of a layer that can be adapted."""
        weight = self.weight(name.removesuffix(".weight")) if name.endswith(".weight") else None
        return weight is not None and len(weight.shape) == 2

    @cached_property
    def linear_sizes(self) -> Mapping[str, tuple[int, int]]:
        """Output and input features of the linear layers of a decoder block, by name, for families that are known."""
        from lora_lint.layer_sizes import layer_sizes

        family = self.config.get("model_type")
        return layer_sizes(family, self.config) if isinstance(family, str) else {}


def base_files(setup: Setup) -> BaseFiles | None:
    """The base that an adapter's config names, inside the same repository, or whose config lies beside it.

    Of models of the hub that are known by name there are the numbers of their config alone.
    """
    fact = setup.adapter.base_model
    name = fact.value if fact is not None and fact.known else ""
    if setup.folder is None:
        return None
    for root in dict.fromkeys((setup.folder.path, os.getcwd(), setup.folder.top)) if _is_path(name) else ():
        folder = os.path.join(root, name)
        if root == setup.folder.path and name.partition(os.sep)[0] in setup.folder.names:
            used(folder)
        if not os.path.isdir(folder):
            continue
        folder = os.path.realpath(folder)
        if is_below(setup.folder.top, folder) and (config := _config(folder)) is not None:
            return BaseFiles(config, folder)
    beside = setup.folder.json(_CONFIG)
    if beside is not None:
        return BaseFiles(beside)
    from lora_lint.hub_models import hub_config, hub_model

    known = hub_model(name)
    return BaseFiles({"model_type": known.architecture, **hub_config(name)}) if known is not None else None


def _is_path(name: str) -> bool:
    """Whether it can be opened as a folder of this machine; a name of another one is never asked for."""
    return bool(name) and name.isprintable() and "\\" not in name and not name.startswith("//")


def _config(folder: str) -> Mapping[str, Any] | None:
    path = os.path.join(folder, _CONFIG)
    if not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
        config = json.loads(data) if len(data) <= LARGEST else None
    except (OSError, ValueError, RecursionError):
        return None
    return config if isinstance(config, dict) else None
