"""A thousand adapters with weights, some of which are broken in known ways."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

COUNT = 1000
EACH = 4
"""Adapters that are broken in each way; they lie apart from each other."""
RANK, WIDTH, LAYERS = 8, 512, 2
MODULES = tuple(f"self_attn.{name}_proj" for name in "qkvo") + tuple(
    f"mlp.{name}_proj" for name in ("gate", "up", "down")
)

Config = dict[str, Any]
Tensors = dict[str, "np.ndarray[Any, Any]"]


def _name(layer: int, module: str, side: str) -> str:
    return f"base_model.model.model.layers.{layer}.{module}.lora_{side}.weight"


def _other_alpha(config: Config, tensors: Tensors) -> None:
    config["lora_alpha"] = RANK


def _other_rank(config: Config, tensors: Tensors) -> None:
    config.update(r=2 * RANK, lora_alpha=4 * RANK)


def _rank_as_text(config: Config, tensors: Tensors) -> None:
    config["r"] = str(RANK)


def _mistyped_key(config: Config, tensors: Tensors) -> None:
    config["loraalpha"] = config.pop("lora_alpha")


def _target_without_tensors(config: Config, tensors: Tensors) -> None:
    for name in [name for name in tensors if "down_proj" in name]:
        del tensors[name]


def _tensors_without_target(config: Config, tensors: Tensors) -> None:
    config["target_modules"].remove("down_proj")


def _untrained(config: Config, tensors: Tensors) -> None:
    for name in tensors:
        if ".lora_B." in name:
            tensors[name] = np.zeros_like(tensors[name])


def _not_a_number(config: Config, tensors: Tensors) -> None:
    tensors[_name(1, MODULES[0], "B")][3, 3] = np.nan


def _far_too_large(config: Config, tensors: Tensors) -> None:
    name = _name(1, MODULES[0], "B")
    tensors[name] = (tensors[name].astype(np.float32) * 1000).astype(np.float16)


def _broken_off(path: Path) -> None:
    weights = path / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])


def _no_json(path: Path) -> None:
    config = path / "adapter_config.json"
    config.write_bytes(config.read_bytes()[:-2])


FAULTS: dict[str, Callable[[Config, Tensors], None]] = {
    "alpha is the rank": _other_alpha,
    "the config's rank isn't the tensors'": _other_rank,
    "the rank is a text": _rank_as_text,
    "alpha's key is mistyped": _mistyped_key,
    "a target has no tensors": _target_without_tensors,
    "tensors have no target": _tensors_without_target,
    "every B is zero": _untrained,
    "a NaN": _not_a_number,
    "one B a thousand times too large": _far_too_large,
}
DAMAGES: dict[str, Callable[[Path], None]] = {"weights are cut off": _broken_off, "the config is cut off": _no_json}


def make(top: Path) -> dict[str, str]:
    """Write the adapters; the names of the folders that are broken, with how."""
    random = np.random.default_rng(0)
    kinds = [*FAULTS, *DAMAGES]
    step = COUNT // (EACH * len(kinds))
    broken: dict[str, str] = {}
    for number in range(COUNT):
        path = top / f"adapter-{number:04}"
        path.mkdir(parents=True)
        at, between = divmod(number, step)
        kind = kinds[at % len(kinds)] if not between and at < EACH * len(kinds) else ""
        config = _config()
        tensors = _tensors(random)
        if kind in FAULTS:
            FAULTS[kind](config, tensors)
        (path / "adapter_config.json").write_text(json.dumps(config, indent=2), "utf-8")
        _write(path / "adapter_model.safetensors", tensors)
        if kind in DAMAGES:
            DAMAGES[kind](path)
        if kind:
            broken[path.name] = kind
    return broken


def _config() -> Config:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "org/model",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "target_modules": [module.rpartition(".")[2] for module in MODULES],
    }


def _tensors(random: np.random.Generator) -> Tensors:
    """As training leaves them: A about as it began, B small."""
    found: Tensors = {}
    for layer in range(LAYERS):
        for module in MODULES:
            a = random.uniform(-1, 1, (RANK, WIDTH)) / np.sqrt(WIDTH)
            b = random.normal(0, 1e-2, (WIDTH, RANK))
            found[_name(layer, module, "A")] = a.astype(np.float16)
            found[_name(layer, module, "B")] = b.astype(np.float16)
    return found


def _write(path: Path, tensors: Tensors) -> None:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [end, end + tensor.nbytes]}
        end += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(tensor.tobytes() for tensor in tensors.values()))
