"""Files to measure on, made on the spot."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from lora_lint.readers.safetensors import BITS
from tests.tensors import framed

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")
ADAPTER: dict[str, object] = {
    "alpha_pattern": {},
    "auto_mapping": None,
    "base_model_name_or_path": "org/model",
    "bias": "none",
    "fan_in_fan_out": False,
    "inference_mode": True,
    "init_lora_weights": True,
    "layers_pattern": None,
    "layers_to_transform": None,
    "lora_alpha": 32,
    "lora_dropout": 0.05,
    "modules_to_save": None,
    "peft_type": "LORA",
    "r": 16,
    "rank_pattern": {},
    "revision": None,
    "target_modules": list(TARGETS),
    "task_type": "CAUSAL_LM",
    "use_dora": False,
    "use_rslora": False,
}

SCRIPT = """#!/usr/bin/env bash
set -x
GPUS=${GPUS:-8}
BATCH_SIZE=${BATCH_SIZE:-128}
PER_DEVICE_BATCH_SIZE=${PER_DEVICE_BATCH_SIZE:-4}
GRADIENT_ACC=$((BATCH_SIZE / PER_DEVICE_BATCH_SIZE / GPUS))
export PYTHONPATH="${PYTHONPATH}:$(pwd)"
OUTPUT_DIR='work_dirs/internvl_lora'
if [ ! -d "$OUTPUT_DIR" ]; then
  mkdir -p "$OUTPUT_DIR"
fi
torchrun --nnodes=1 --nproc_per_node=${GPUS} --master_port=34229 internvl/train/internvl_chat_finetune.py \\
  --model_name_or_path "./pretrained/model" --conv_style "internlm2-chat" --output_dir ${OUTPUT_DIR} \\
  --meta_path "./shell/data/finetune.json" --overwrite_output_dir True --force_image_size 448 \\
  --freeze_llm True --freeze_mlp True --freeze_backbone True --use_llm_lora 16 --vision_select_layer -1 \\
  --bf16 True --num_train_epochs 1 --per_device_train_batch_size ${PER_DEVICE_BATCH_SIZE} \\
  --gradient_accumulation_steps ${GRADIENT_ACC} --learning_rate 4e-5 --weight_decay 0.05 --warmup_ratio 0.03 \\
  2>&1 | tee -a "${OUTPUT_DIR}/training_log.txt"
"""

_FUNCTION = '''

def step_{0}(model, batch, scale=1.0):
    """One step of training."""
    outputs = model(**{{name: tensor.to(model.device) for name, tensor in batch.items()}})
    loss = outputs.loss * scale if scale != 1.0 else outputs.loss
    if not loss.isfinite():
        raise ValueError(f"loss of step {0} is {{loss}}")
    loss.backward()
    return {{"loss": loss.item(), "step": {0}, "scale": scale}}
'''

SOURCE = (
    "import argparse\n\nfrom peft import LoraConfig, get_peft_model\n\nparser = argparse.ArgumentParser()\n"
    'parser.add_argument("--lora_r", type=int, default=16)\nargs = parser.parse_args()\n'
    'config = LoraConfig(r=args.lora_r, lora_alpha=2 * args.lora_r, target_modules=["q_proj"])\n'
    + "".join(_FUNCTION.format(number) for number in range(19))
)
"""A training script of some two hundred lines."""


def adapters(folder: Path, count: int = 1000) -> list[Path]:
    """Configs of adapters, a folder each; every tenth has another alpha than twice its rank."""
    paths = []
    for number in range(count):
        path = folder / f"adapter-{number:04}" / "adapter_config.json"
        path.parent.mkdir(parents=True)
        rank = 4 << number % 5
        values = {**ADAPTER, "r": rank, "lora_alpha": rank if number % 10 == 9 else 2 * rank}
        path.write_text(json.dumps(values, indent=2), "utf-8")
        paths.append(path)
    return paths


def weights(path: Path, layers: int = 32, rank: int = 64, width: int = 512) -> Path:
    """The weights of an adapter with 448 tensors: A and B of seven modules in each of 32 layers."""
    names = [f"self_attn.{name}_proj" for name in "qkvo"] + [f"mlp.{name}_proj" for name in ("gate", "up", "down")]
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for layer in range(layers):
        for name in names:
            for side, shape in (("A", [rank, width]), ("B", [width, rank])):
                size = rank * width * BITS["F32"] // 8
                tensor = f"base_model.model.model.layers.{layer}.{name}.lora_{side}.weight"
                header[tensor] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
                at += size
    path.write_bytes(framed(json.dumps(header, separators=(",", ":")).encode()))
    os.truncate(path, path.stat().st_size + at)
    return path


def checkpoints(folder: Path, count: int = 1000, *, headers: int = 1) -> None:
    """Adapters with weights of 448 tensors, a folder each, that have so many headers, none after its like."""
    for number in range(count):
        path = folder / f"adapter-{number:04}"
        path.mkdir(parents=True)
        kind = number % headers
        rank, width = 64 - kind % 60, 512 + kind
        targets = [f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")]
        values = {**ADAPTER, "r": rank, "lora_alpha": 2 * rank, "target_modules": targets}
        (path / "adapter_config.json").write_text(json.dumps(values, indent=2), "utf-8")
        weights(path / "adapter_model.safetensors", rank=rank, width=width)


def hostile(size: int = 1 << 20) -> Iterator[tuple[str, str]]:
    """Name and text of files that cost a careless reader its time, its memory or its life."""

    def filled(unit: str, head: str = "", tail: str = "") -> str:
        return head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail

    key = '"lora_alpha": 1, '
    yield "nested.json", filled("[", '{"peft_type": "LORA", "r": ')
    yield "repeated-keys.json", filled(key, '{"peft_type": "LORA", "r": 8, ', '"z": 1}')
    yield "many-keys.json", _numbered(size, '{{"peft_type": "LORA", "r": 8, {0}"z": 1}}', '"lora_alpha{0}": 1, ')
    yield "long-number.json", filled("9", '{"peft_type": "LORA", "lora_alpha": 16, "r": ', "}")
    yield "escapes.json", filled("\\u0041", '{"peft_type": "LORA", "r": 8, "lora_alpha": "', '"}')
    yield "nested.yaml", filled("[", "base_model: m\nadapter: lora\nlora_r: ")
    yield "aliases.yaml", _aliases(size)
    yield "merges.yaml", _merges(size)
    yield "many-documents.yaml", filled("---\nbase_model: m\nadapter: lora\nlora_r: 8\nlora_alpha: 8\n")
    yield "anchors.yaml", _numbered(size, "base_model: m\nadapter: lora\nlora_r: 8\n{0}", "k{0}: &a{0} x\n")
    yield "long-scalar.yaml", filled("a ", "base_model: m\nadapter: lora\nlora_r: 8\nnote: ")
    yield "many-commands.sh", filled("train.py --lora_enable True --lora_r 8 --lora_alpha 8\n", "cd llava/train/\n")
    yield "continued.sh", filled("--lora_r 8 \\\n  ", "python llava/train/train.py --lora_enable True \\\n")
    yield "variables.sh", _numbered(size, "A0=1\n{0}llava/train/train.py --lora_r $A1\n", "A{0}=$A{0}$A{0}\n")
    yield "doubling.sh", "A=1\n" + "A=$A$A\n" * 4000 + "llava/train/train.py --lora_enable True --lora_r $A\n"
    yield "parentheses.sh", filled("$(", "llava/train/train.py --lora_enable True --lora_r ")
    yield "quotes.sh", filled("'\"`", "llava/train/train.py --lora_enable True --lora_r ")
    yield "heredocs.sh", filled("cat <<A\n--use_llm_lora 8\n")
    yield "nested.py", filled("(", "from peft import LoraConfig\nLoraConfig(r=")
    yield "sums.py", filled("1+", "from peft import LoraConfig\nLoraConfig(r=", "1, lora_alpha=2)\n")
    yield "calls.py", filled("LoraConfig(r=8, lora_alpha=8)\n", "from peft import LoraConfig\n")
    yield "chain.py", _numbered(size, "from peft import LoraConfig\nv0=1\n{0}LoraConfig(r=v9)\n", "v{0}=v{0}*v{0}\n")
    yield "cells.ipynb", _notebook(size)


def _numbered(size: int, frame: str, unit: str) -> str:
    pieces, length, number = [], 0, 0
    while length < size - len(frame):
        pieces.append(unit.format(number))
        length += len(pieces[-1])
        number += 1
    return frame.format("".join(pieces))


def _aliases(size: int) -> str:
    """Each level holds the one below nine times."""
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 60))
    text = f"a0: &a0 [x, x]\n{levels}base_model: m\nadapter: lora\nlora_r: *a59\n"
    return text + "#" * (size - len(text))


def _merges(size: int) -> str:
    levels = "".join(f"m{n}: &m{n}\n  <<: [{', '.join([f'*m{n - 1}'] * 9)}]\n  k{n}: 1\n" for n in range(1, 60))
    text = f"m0: &m0 {{x: 1}}\n{levels}base_model: m\nadapter: lora\nlora_r: 8\n"
    return text + "#" * (size - len(text))


def _notebook(size: int) -> str:
    cell = {
        "cell_type": "code",
        "metadata": {},
        "outputs": [],
        "source": ["from peft import LoraConfig\n", "LoraConfig(r=8)"],
    }
    count = size // len(json.dumps(cell))
    return json.dumps({"cells": [cell] * count, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def other_files(folder: Path, count: int = 100_000, per_folder: int = 1000) -> int:
    """A tree of configs and sources that have nothing to do with LoRA; the number of files.

    One in ten has 16 KB and one in a thousand 1 MB, as in large repositories; the others have half a KB.
    """
    texts = {
        ".json": json.dumps({"name": "service", "port": 8080, "tags": ["a", "b"] * 20}, indent=2),
        ".yaml": "service:\n  name: web\n  replicas: 3\n" * 12,
        ".py": "import os\n\n\ndef main():\n    return os.environ.get('HOME')\n" * 8,
        ".sh": "#!/bin/sh\nset -e\nexec python -m service --port 8080\n" * 6,
    }
    endings = list(texts)
    for number in range(count):
        place = folder / f"part-{number // per_folder:04}"
        if number % per_folder == 0:
            place.mkdir(parents=True)
        ending = endings[number % len(endings)]
        size = 1 << 20 if number % 1000 == 7 else 16 << 10 if number % 10 == 7 else 0
        text = texts[ending] * max(1, size // len(texts[ending]))
        (place / f"file-{number:06}{ending}").write_text(text, "utf-8")
    return count
