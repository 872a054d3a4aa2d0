"""Files of weights in the names and shapes that each program writes, and the sites that they make up.

Names and shapes: XLabs-AI/x-flux src/flux/modules/layers.py:188-201, 461-480 at 47495425; pytorch/torchtune
torchtune/modules/peft/lora.py:99-100, dora.py:92-94 and torchtune/modules/moe/experts.py:165-172 at bd2a0fc7;
Lightning-AI/litgpt litgpt/lora.py:125-126, 205-225 at 26857050; ml-explore/mlx-lm mlx_lm/tuner/lora.py:88-93, 172-180
and dora.py:78-90 at d78bf58e; Blaizzy/mlx-vlm mlx_vlm/trainer/lora.py:28-33 at 9b13f522; adapter-hub/adapters
src/adapters/methods/lora.py:79-82, 507-522 at 88f18ebd; NVIDIA/NeMo nemo/export/utils/lora_converter.py:44-90 and
nemo/collections/llm/gpt/model/llama.py:1203-1262 at 8cfedd72; KohakuBlueleaf/LyCORIS lycoris/modules/*.py, the lists
called `weight_list`, at f49d30d6; cloneofsimo/lora lora_diffusion/lora.py:464-476 at d84074b3; Comfy-Org/ComfyUI
comfy/lora.py:61-84 at a125cd84; black-forest-labs' control LoRA as src/diffusers/loaders/lora_conversion_utils.py
:1071-1370 of huggingface/diffusers takes it at 58eb52c0.
"""

import argparse
import contextlib
import io
import json
import os
import pickle
import re
import struct
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_lint.document import UnreadableError
from lora_lint.finding import Report
from lora_lint.linter import lint, read_setups
from lora_lint.readers.gguf import BLOCKS
from lora_lint.readers.gguf import read_header as gguf_header
from lora_lint.readers.opcodes import follow
from lora_lint.readers.pickle import read_tensors, tensors_in
from lora_lint.readers.weights import read_numbers
from tests.conftest import Run
from tests.tensors import Table, write_gguf, write_pickled, write_safetensors
from tests.test_lone import SCALAR, Said, said

torch = pytest.importorskip("torch")

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}

Shapes = dict[str, tuple[str, tuple[int, ...]]]


def tensors(**shapes: tuple[int, ...]) -> Shapes:
    return {name: ("F32", shape) for name, shape in shapes.items()}


def halves(module: str, ends: tuple[str, str], a: tuple[int, ...], b: tuple[int, ...]) -> Shapes:
    return tensors(**{module + ends[0]: a, module + ends[1]: b})


XLABS = (".down.weight", ".up.weight")
MLX = (".lora_a", ".lora_b")
TUNE = (".lora_a.weight", ".lora_b.weight")
RAW = (".lora_A", ".lora_B")
PEFT = (".lora_A.weight", ".lora_B.weight")
LINEAR = (".linear_in.weight", ".linear_out.weight")
UNET = "lora_unet_mid_block_to_q"

ALONE: dict[str, tuple[Table, dict[str, str], dict[str, float], str, list[tuple[list[str], Said]]]] = {
    "XLabs' Flux: each stream is a layer of its own, the scale is 1": (
        halves("double_blocks.0.processor.qkv_lora1", XLABS, (16, 64), (192, 16))
        | halves("double_blocks.0.processor.qkv_lora2", XLABS, (16, 64), (192, 16))
        | halves("double_blocks.0.processor.proj_lora2", XLABS, (16, 64), (64, 16))
        | halves("single_blocks.7.processor.proj_lora", XLABS, (16, 320), (64, 16)),
        {},
        {},
        "x_flux",
        [
            (
                [
                    "double_blocks.0.img_attn.qkv",
                    "double_blocks.0.txt_attn.qkv",
                    "double_blocks.0.txt_attn.proj",
                    "single_blocks.7.linear2",
                ],
                Said(4, 16, 16, 1),
            )
        ],
    ),
    "Black Forest Labs' control LoRA: biases and norms beside PEFT's halves": (
        halves("double_blocks.0.img_attn.qkv", PEFT, (128, 64), (192, 128))
        | tensors(**{"double_blocks.0.img_attn.qkv.lora_B.bias": (192,)})
        | tensors(**{"double_blocks.0.img_attn.norm.query_norm.scale": (8,)})
        | halves("img_in", PEFT, (128, 128), (64, 128)),
        {},
        {},
        "diffusers",
        [(["double_blocks.0.img_attn.qkv", "img_in"], Said(2, 128, 128, 1))],
    ),
    "ComfyUI: a bias and a norm as differences beside the halves": (
        tensors(**{"diffusion_model.blocks.0.q.diff_b": (64,), "diffusion_model.blocks.0.norm.diff": (64,)})
        | halves("diffusion_model.blocks.0.q", (".lora_down.weight", ".lora_up.weight"), (16, 64), (64, 16)),
        {},
        {},
        "kohya",
        [
            (["diffusion_model.blocks.0.q"], Said(1, 16, 16, 1)),
            (["diffusion_model.blocks.0.norm"], Said(1, None, None, None, "full")),
        ],
    ),
    "LyCORIS LoCon with a core between the halves": (
        tensors(
            **{
                f"{UNET}.lora_down.weight": (8, 64, 1, 1),
                f"{UNET}.lora_mid.weight": (8, 8, 3, 3),
                f"{UNET}.lora_up.weight": (64, 8, 1, 1),
            }
        )
        | {f"{UNET}.alpha": SCALAR},
        {"ss_network_module": "lycoris.kohya"},
        {f"{UNET}.alpha": 4},
        "lycoris",
        [([UNET], Said(1, 8, 4, 0.5))],
    ),
    "LyCORIS LoHa with cores: the rank is in front of both factors": (
        tensors(
            **{
                **{f"{UNET}.hada_w{n}_a": (4, 64) for n in (1, 2)},
                **{f"{UNET}.hada_w{n}_b": (4, 32) for n in (1, 2)},
                **{f"{UNET}.hada_t{n}": (4, 4, 3, 3) for n in (1, 2)},
            }
        )
        | {f"{UNET}.alpha": SCALAR},
        {},
        {f"{UNET}.alpha": 2},
        "lycoris",
        [([UNET], Said(1, 4, 2, None, "loha"))],
    ),
    "LyCORIS LoKr: one factor whole": (
        tensors(**{f"{UNET}.lokr_w1": (8, 8), f"{UNET}.lokr_w2_a": (8, 2), f"{UNET}.lokr_w2_b": (2, 8)})
        | {f"{UNET}.alpha": SCALAR},
        {},
        {f"{UNET}.alpha": 2},
        "lycoris",
        [([UNET], Said(1, 2, 2, None, "lokr"))],
    ),
    "LyCORIS LoKr: both factors whole tell no rank": (
        tensors(**{f"{UNET}.lokr_w1": (8, 8), f"{UNET}.lokr_w2": (8, 8)}) | {f"{UNET}.alpha": SCALAR},
        {},
        {f"{UNET}.alpha": 1e10},
        "lycoris",
        [([UNET], Said(1, None, None, None, "lokr"))],
    ),
    "LyCORIS GLoRA and norms": (
        tensors(
            **{
                f"{UNET}.a1.weight": (64, 4),
                f"{UNET}.a2.weight": (4, 64),
                f"{UNET}.b1.weight": (32, 4),
                f"{UNET}.b2.weight": (4, 64),
                "lora_unet_norm.w_norm": (64,),
                "lora_unet_norm.b_norm": (64,),
            }
        )
        | {f"{UNET}.alpha": SCALAR},
        {},
        {f"{UNET}.alpha": 4},
        "lycoris",
        [([UNET], Said(1, 4, 4, None, "glora")), (["lora_unet_norm"], Said(1, None, None, None, "norm"))],
    ),
    "cloneofsimo's: the scale is in the weights": (
        tensors(
            **{"unet:0:up": (64, 4), "unet:0:down": (4, 64), "text_encoder:0:up": (8, 2), "text_encoder:0:down": (2, 8)}
        ),
        {"unet": '["CrossAttention"]', "unet:0:rank": "4", "text_encoder:0:rank": "2"},
        {},
        "lora_diffusion",
        [(["unet:0"], Said(1, 4, 4, 1)), (["text_encoder:0"], Said(1, 2, 2, 1))],
    ),
    "MLX: transposed, experts stacked in front of the rank": (
        halves("model.layers.0.self_attn.q_proj", MLX, (64, 8), (8, 128))
        | halves("model.layers.0.mlp.switch_mlp.up_proj", MLX, (4, 8, 64), (4, 96, 8))
        | tensors(**{"model.layers.0.self_attn.q_proj.m": (128,)}),
        {},
        {},
        "mlx_lm",
        [
            (
                ["model.layers.0.self_attn.q_proj", "model.layers.0.mlp.switch_mlp.up_proj"],
                Said(2, 8, None, None, "dora"),
            ),
        ],
    ),
    "mlx-vlm before May 2026": (
        halves("language_model.model.layers.0.self_attn.q_proj", (".A", ".B"), (64, 8), (8, 128)),
        {},
        {},
        "mlx_vlm",
        [(["language_model.model.layers.0.self_attn.q_proj"], Said(1, 8, None, None))],
    ),
    "torchtune: layers and experts": (
        halves("layers.0.attn.q_proj", TUNE, (8, 64), (128, 8))
        | halves("layers.0.moe.experts", (".lora_gate_a", ".lora_gate_b"), (4, 64, 8), (4, 8, 96)),
        {},
        {},
        "torchtune",
        [(["layers.0.attn.q_proj", "layers.0.moe.experts.gate_proj"], Said(2, 8, None, None))],
    ),
    "LitGPT: query and value share one A": (
        halves("transformer.h.0.attn.qkv", RAW, (16, 64), (96, 8))
        | halves("transformer.h.0.mlp.fc_1", RAW, (8, 64), (96, 8)),
        {},
        {},
        "litgpt",
        [(["transformer.h.0.attn.qkv", "transformer.h.0.mlp.fc_1"], Said(2, 8, None, None))],
    ),
    "loralib: halves are parameters": (
        halves("roberta.encoder.layer.0.attention.self.query", RAW, (8, 64), (64, 8)),
        {},
        {},
        "loralib",
        [(["roberta.encoder.layer.0.attention.self.query"], Said(1, 8, None, None))],
    ),
    "AdapterHub": (
        halves("bert.encoder.layer.0.attention.self.query.loras.sst", RAW, (8, 64), (64, 8)),
        {},
        {},
        "adapterhub",
        [(["bert.encoder.layer.0.attention.self.query"], Said(1, 8, None, None))],
    ),
    "NeMo 1": (
        halves("model.decoder.layers.0.self_attention.adapter_layer.lora_kqv_adapter", LINEAR, (32, 64), (192, 32))
        | halves("model.decoder.layers.0.mlp.adapter_layer.lora_4htoh_adapter", LINEAR, (32, 256), (64, 32)),
        {},
        {},
        "nemo",
        [
            (
                ["model.decoder.layers.0.self_attention.linear_qkv", "model.decoder.layers.0.mlp.linear_fc2"],
                Said(2, 32, None, None),
            )
        ],
    ),
    "NeMo 2: performant and canonical": (
        halves("decoder.layers.0.mlp.linear_fc2.adapter", LINEAR, (32, 256), (64, 32))
        | halves("decoder.layers.0.self_attention.linear_qkv.adapter.adapter_q", LINEAR, (32, 64), (64, 32)),
        {},
        {},
        "nemo",
        [
            (
                ["decoder.layers.0.mlp.linear_fc2", "decoder.layers.0.self_attention.linear_qkv.q"],
                Said(2, 32, None, None),
            )
        ],
    ),
}


@pytest.mark.parametrize("file", ALONE)
def test_a_file_without_a_config_says_modules_rank_alpha_and_scale(file: str, tmp_path: Path) -> None:
    table, metadata, values, framework, sites = ALONE[file]
    path = write_safetensors(tmp_path / "lora.safetensors", table, metadata, values)
    (setup,) = read_setups([str(path)])
    assert setup.framework == framework
    assert [(list(site.modules), one) for site, one in zip(setup.sites, said(setup), strict=True)] == sites


@pytest.mark.parametrize("file", ALONE)
def test_a_sound_file_without_a_config_is_no_integrity_finding(file: str, tmp_path: Path) -> None:
    table, metadata, values, *_ = ALONE[file]
    write_safetensors(tmp_path / "lora.safetensors", table, metadata, values)
    report: Report = lint([str(tmp_path)], select=["checkpoint"])
    assert [(one.rule, one.message) for one in report.diagnostics] == []
    assert not report.failures


@pytest.mark.parametrize("file", ALONE)
def test_the_halves_of_every_file_pair_up(file: str, tmp_path: Path, run: Run) -> None:
    table, metadata, values, *_ = ALONE[file]
    path = write_safetensors(tmp_path / "lora.safetensors", table, metadata, values)
    found = json.loads(run("verify", str(path), "--device", "cpu", "--format", "json").out or '{"modules": []}')
    assert not [one for one in found["modules"] if one["status"] == "failed"]


def test_a_core_between_the_halves_is_not_left_out_of_a_measurement(tmp_path: Path, run: Run) -> None:
    table, metadata, values, *_ = ALONE["LyCORIS LoCon with a core between the halves"]
    path = write_safetensors(tmp_path / "lora.safetensors", table, metadata, values)
    model = write_safetensors(tmp_path / "model.safetensors", {f"{UNET}.weight": ("F32", (64, 64, 3, 3))})
    outcome = run("verify", str(path), "--base", str(model), "--merged", str(model), "--format", "json")
    (found,) = json.loads(outcome.out)["modules"]
    assert (found["status"], found["measured"]) == ("undecided", None)
    assert found["message"] == "not measured: a core lies between A and B"


class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, size: int = 3) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(size, size - 1)


# Beside a config.

PEFT_CONFIG = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]}
PEFT_TABLE = halves("base_model.model.model.layers.0.self_attn.q_proj", PEFT, (8, 64), (64, 8))
HUB_CONFIG = {
    "config": {"architecture": "lora", "r": 8, "alpha": 16, "attn_matrices": ["q", "v"], "composition_mode": "add"},
    "model_name": "bert-base-uncased",
    "version": "adapters.1.2.0",
}
HUB_TABLE = halves("bert.encoder.layer.0.attention.self.query.loras.sst", RAW, (8, 768), (768, 8))
MLX_CONFIG = {"fine_tune_type": "lora", "num_layers": 1, "lora_parameters": {"rank": 8, "scale": 2.0, "dropout": 0.0}}
LIT_CONFIG = {"checkpoint_dir": "c", "precision": "bf16-true", "lora_r": 8, "lora_alpha": 16, "lora_query": True}

BESIDE: dict[str, tuple[str, dict[str, Any], str, Table, str, list[str], Said]] = {
    "PEFT": (
        *("adapter_config.json", PEFT_CONFIG, "adapter_model.safetensors", PEFT_TABLE, "peft"),
        *(["model.layers.0.self_attn.q_proj"], Said(1, 8, 16, 2)),
    ),
    "PEFT, pickled": (
        *("adapter_config.json", PEFT_CONFIG, "adapter_model.bin", PEFT_TABLE, "peft"),
        *(["model.layers.0.self_attn.q_proj"], Said(1, 8, 16, 2)),
    ),
    "MLX-LM": (
        *("adapter_config.json", MLX_CONFIG, "adapters.safetensors"),
        *(halves("model.layers.0.self_attn.q_proj", MLX, (64, 8), (8, 128)), "mlx_lm"),
        *(["model.layers.0.self_attn.q_proj"], Said(1, 8, 2, 2)),
    ),
    "mlx-vlm until May 2026": (
        *("adapter_config.json", {"rank": 8, "alpha": 16, "dropout": 0.0}, "adapters.safetensors"),
        *(halves("language_model.layers.0.q_proj", (".A", ".B"), (64, 8), (8, 128)), "mlx_vlm"),
        *(["language_model.layers.0.q_proj"], Said(1, 8, 16, 2)),
    ),
    "AdapterHub": (
        *("adapter_config.json", HUB_CONFIG, "adapter.safetensors", HUB_TABLE, "adapterhub"),
        *(["bert.encoder.layer.0.attention.self.query"], Said(1, 8, 16, 2)),
    ),
    "AdapterHub, pickled": (
        *("adapter_config.json", HUB_CONFIG, "pytorch_adapter.bin", HUB_TABLE, "adapterhub"),
        *(["bert.encoder.layer.0.attention.self.query"], Said(1, 8, 16, 2)),
    ),
    "torchtune where it has no PEFT form": (
        *("adapter_config.json", PEFT_CONFIG, "adapter_model.pt"),
        *(halves("layers.0.attn.q_proj", TUNE, (8, 64), (128, 8)), "peft"),
        *(["layers.0.attn.q_proj"], Said(1, 8, 16, 2)),
    ),
    "LitGPT": (
        *("hyperparameters.yaml", LIT_CONFIG, "lit_model.pth.lora"),
        *(halves("transformer.h.0.attn.qkv", RAW, (16, 64), (96, 8)), "litgpt"),
        *(["transformer.h.0.attn.qkv"], Said(1, 8, 16, 2)),
    ),
}


def write(path: Path, table: Table) -> None:
    """Write a table as the ending of the path asks: safetensors, or what torch.save makes of it."""
    if path.suffix == ".safetensors":
        write_safetensors(path, table)
    else:
        torch.save({"model": zeros(table)} if path.suffix == ".lora" else zeros(table), path)


def zeros(table: Table) -> dict[str, Any]:
    return {name: torch.zeros(*shape, dtype=DTYPES[dtype]) for name, (dtype, shape) in table.items()}


@pytest.mark.parametrize("case", BESIDE)
def test_weights_beside_a_config_name_its_modules_and_hold_its_rank(case: str, tmp_path: Path) -> None:
    name, config, file, table, framework, modules, expected = BESIDE[case]
    (tmp_path / name).write_text(json.dumps(config))
    write(tmp_path / file, table)
    (setup,) = read_setups([str(tmp_path)])
    assert (setup.framework, setup.kind, setup.trained) == (framework, "checkpoint", True)
    assert [list(site.modules) for site in setup.sites] == [modules]
    assert said(setup) == [expected]
    assert setup.checkpoint is not None
    assert {one.name: (one.dtype, one.shape) for one in setup.checkpoint.tensors.values()} == table
    assert [one.rule for one in lint([str(tmp_path)], select=["checkpoint"]).diagnostics] == []


@pytest.mark.parametrize("case", BESIDE)
def test_a_rank_that_the_tensors_dont_have_is_a_finding_in_every_format(case: str, tmp_path: Path) -> None:
    name, config, file, table, *_ = BESIDE[case]
    (tmp_path / name).write_text(json.dumps(config).replace('r": 8', 'r": 4').replace('rank": 8', 'rank": 4'))
    write(tmp_path / file, table)
    (found,) = lint([str(tmp_path)], select=["checkpoint"]).diagnostics
    assert (found.rule, found.message.partition(":")[0]) == (
        "rank-differs-from-tensors",
        "rank is 4, the tensors of one module have 8",
    )


@pytest.mark.parametrize("init", ["pissa", "olora"])
@pytest.mark.parametrize(("rslora", "alpha", "scale"), [(False, 8, 2), (True, 4 * 2**0.5, 2 * 2**0.5)])
def test_an_adapter_that_was_converted_has_twice_the_rank_and_the_scale_of_before(
    init: str, rslora: bool, alpha: float, scale: float, tmp_path: Path
) -> None:
    """peft/peft_model.py:398-410 at 0.21.2: rank 2 becomes 4; alpha 4 becomes 8, or its root of 2 under rsLoRA."""
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, lora_alpha=4, target_modules=["layer"], init_lora_weights=init, use_rslora=rslora)
    model = peft.get_peft_model(Net(6), config)
    model.peft_config["default"].init_lora_weights = True
    model.save_pretrained(tmp_path / "start")
    model.peft_config["default"].init_lora_weights = init
    model.save_pretrained(tmp_path / "end", path_initial_model_for_weight_conversion=str(tmp_path / "start"))
    (setup,) = read_setups([str(tmp_path / "end")])
    assert said(setup) == [pytest.approx(Said(1, 4, alpha, scale))]
    assert [one.rule for one in lint([str(tmp_path / "end")], select=["checkpoint"]).diagnostics] == []


def test_each_adapter_of_a_model_is_a_folder_of_its_own(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    model = peft.get_peft_model(Net(6), peft.LoraConfig(r=2, lora_alpha=4, target_modules=["layer"]))
    model.add_adapter("other", peft.LoraConfig(r=4, lora_alpha=4, target_modules=["layer"]))
    model.save_pretrained(tmp_path)
    found = {os.path.relpath(setup.path, tmp_path): said(setup) for setup in read_setups([str(tmp_path)])}
    assert found == {
        "adapter_config.json": [Said(1, 2, 4, 2)],
        "other/adapter_config.json": [Said(1, 4, 4, 1)],
    }
    assert [one.rule for one in lint([str(tmp_path)], select=["checkpoint"]).diagnostics] == []


# Pickles, whose program is followed and never run.


@pytest.mark.parametrize("new", [True, False], ids=["archive", "before torch 1.6"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_names_dtypes_and_shapes_are_those_that_torch_saved(dtype: str, new: bool, tmp_path: Path) -> None:
    whole = torch.zeros(6, 4, dtype=DTYPES[dtype])
    state = {"a": whole, "b": whole[2:4].t(), "scalar": whole[0, 0], "empty": whole[:0], "wide": whole[:1].expand(9, 4)}
    torch.save(state, tmp_path / "a.bin", _use_new_zipfile_serialization=new)
    found = read_tensors(tmp_path / "a.bin")
    assert {name: (one.dtype, one.shape) for name, one in found.items()} == {
        "a": (dtype, (6, 4)),
        "b": (dtype, (4, 2)),
        "scalar": (dtype, ()),
        "empty": (dtype, (0, 4)),
        "wide": (dtype, (9, 4)),
    }


STATES: dict[str, Callable[[], Any]] = {
    "a state dict": lambda: Net().state_dict(),
    "parameters": lambda: dict(Net().named_parameters()),
    "a state dict among others": lambda: {"epoch": 3, "optimizer": {"lr": 0.1}, "state_dict": Net().state_dict()},
    "beside what isn't a tensor": lambda: {**Net().state_dict(), "args": argparse.Namespace(r=8), "layers": {1, 2}},
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("state", STATES)
def test_tensors_are_found_whatever_lies_beside_them(state: str, protocol: int, tmp_path: Path) -> None:
    torch.save(STATES[state](), tmp_path / "a.pt", pickle_protocol=protocol)
    found = read_tensors(tmp_path / "a.pt")
    assert {name: one.shape for name, one in found.items()} == {"layer.weight": (2, 3), "layer.bias": (2,)}


@pytest.mark.parametrize(
    ("dtype", "value"), [("F32", 0.5), ("F16", 12.0), ("BF16", 96.0), ("F64", 5.65), ("I64", 16.0)]
)
def test_a_number_is_read_out_of_its_storage(dtype: str, value: float, tmp_path: Path) -> None:
    numbers = torch.tensor([1, value, 3], dtype=DTYPES[dtype])
    torch.save({"x.alpha": numbers[1], "y": numbers}, tmp_path / "a.pt")
    assert read_numbers(str(tmp_path / "a.pt"), ["x.alpha", "y"]) == {"x.alpha": value}


def test_what_the_tests_write_is_what_torch_reads(tmp_path: Path) -> None:
    table: Table = {"a": ("F32", (2, 3)), "b": ("BF16", (4,)), "c": ("F16", ())}
    path = write_pickled(tmp_path / "a.bin", table)
    theirs = torch.load(path, weights_only=True)
    assert {name: (DTYPES[dtype], shape) for name, (dtype, shape) in table.items()} == {
        name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in theirs.items()
    }
    assert {name: (one.dtype, one.shape) for name, one in read_tensors(path).items()} == table


class Malice:
    def __init__(self, call: tuple[Any, ...]) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ((os.system, ("touch owned",)), "posix.system"),
        ((eval, ("open('owned', 'w')",)), "__builtin__.eval"),
        ((subprocess.call, (["touch", "owned"],)), "commands.call"),
    ],
    ids=["a shell", "code", "a program"],
)
def test_what_would_run_something_is_refused_and_not_run(
    call: tuple[Any, ...], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": torch.zeros(2), "b": Malice(call)}, tmp_path / "a.bin")
    with pytest.raises(UnreadableError, match=f"^names {re.escape(name)}, which loading it would run$"):
        read_tensors(tmp_path / "a.bin")
    assert not (tmp_path / "owned").exists()


def saved(tensor: Any) -> bytes:
    file = io.BytesIO()
    torch.save({"a": tensor}, file)
    return file.getvalue()


SOUND = saved(torch.ones(8, 8))
BROKEN = {
    "empty": (b"", "is empty"),
    "an LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer, not the file itself"),
    "cut off": (SOUND[:-40], "ends before the list of its entries: it is cut off"),
    "text": (b"hello, world", "is no pickle that torch writes"),
    "a pickle alone": (pickle.dumps({"a": [1, 2]}), "is no file of torch.save: neither its archive nor its number"),
    "a changed byte": (SOUND.replace(b"K@", b"K\x3f"), "is a broken archive: bad crc-32"),
    "bytes lost in the middle": (SOUND.replace(b"FloatStorage", b""), "is a broken archive: "),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_of_torch_is_refused_with_the_reason(fault: str, tmp_path: Path) -> None:
    data, message = BROKEN[fault]
    (tmp_path / "adapter_model.pt").write_bytes(data)
    with pytest.raises(UnreadableError, match=f"^{re.escape(message)}"):
        read_tensors(tmp_path / "adapter_model.pt")


HOSTILE = {
    "a tuple of itself, doubled": b"\x80\x02)" + b"2\x86" * 5000 + b".",
    "nested lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "a number of a million digits": b"\x80\x02I" + b"9" * 1_000_000 + b"\n.",
    "a text longer than the file": b"\x80\x02X\xff\xff\xff\x7fabc.",
    "marks without values": b"\x80\x02" + b"(" * 100_000 + b"t.",
    "a name that is no text": b"\x80\x04]]\x93.",
}


def test_a_tensor_must_fit_into_its_storage() -> None:
    old = io.BytesIO()
    torch.save({"a": torch.ones(8, 8)}, old, _use_new_zipfile_serialization=False)
    data = old.getvalue().replace(b"K@", b"K\x3f")
    with pytest.raises(UnreadableError, match=r"a tensor of 64 elements in a storage of 63$"):
        tensors_in(io.BytesIO(data), len(data))


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_pickle_is_no_failure(kind: str) -> None:
    with contextlib.suppress(UnreadableError):
        follow(io.BytesIO(HOSTILE[kind]), lambda call: call)


@given(st.binary(max_size=64), st.integers(0, len(SOUND) - 1), st.integers(0, 64))
@settings(max_examples=300, deadline=None)
def test_a_mutated_file_of_torch_is_read_or_refused(piece: bytes, at: int, cut: int) -> None:
    mutated = SOUND[:at] + piece + SOUND[at + cut :]
    with contextlib.suppress(UnreadableError):
        tensors_in(io.BytesIO(mutated), len(mutated))


# GGUF.

GGUF: dict[str, str | float | int] = {
    "general.architecture": "llama",
    "general.type": "adapter",
    "adapter.type": "lora",
    "adapter.lora.alpha": 16.0,
}
GGUF_TABLE: Table = {
    "blk.0.attn_q.weight.lora_a": ("F16", (8, 64)),
    "blk.0.attn_q.weight.lora_b": ("F16", (128, 8)),
    "blk.0.ffn_up_exps.weight.lora_a": ("F32", (4, 8, 64)),
    "blk.0.ffn_up_exps.weight.lora_b": ("F32", (4, 96, 8)),
    "token_embd.weight.lora_a": ("BF16", (100, 8)),
    "token_embd.weight.lora_b": ("BF16", (64, 8)),
    "output.weight.lora_a": ("Q8_0", (8, 64)),
    "output.weight.lora_b": ("F32", (100, 8)),
}
GGUF_MODULES = ["blk.0.attn_q", "blk.0.ffn_up_exps", "token_embd", "output"]


@pytest.mark.parametrize(
    ("alpha", "expected"), [(16.0, Said(4, 8, 16, 2)), (0.0, Said(4, 8, 8, 1)), (None, Said(4, 8, 8, 1))]
)
def test_an_adapter_of_llama_cpp_has_one_alpha_for_all_modules(
    alpha: float | None, expected: Said, tmp_path: Path
) -> None:
    values = {key: value for key, value in (GGUF | {"adapter.lora.alpha": alpha}).items() if value is not None}
    write_gguf(tmp_path / "lora.gguf", values, GGUF_TABLE)
    (setup,) = read_setups([str(tmp_path)])
    assert (setup.framework, setup.kind) == ("llama_cpp", "checkpoint")
    assert [list(site.modules) for site in setup.sites] == [GGUF_MODULES]
    assert said(setup) == [expected]
    assert [one.rule for one in lint([str(tmp_path)], select=["checkpoint"]).diagnostics] == []


def test_a_model_of_llama_cpp_is_passed_over(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", {"general.type": "model"}, {"token_embd.weight": ("F32", (8, 8))})
    report = lint([str(tmp_path)])
    assert (report.summary.setups, report.diagnostics) == (0, [])


def test_a_header_of_llama_cpp_is_what_its_own_library_writes_and_reads(tmp_path: Path) -> None:
    gguf, numpy = pytest.importorskip("gguf"), pytest.importorskip("numpy")
    path = tmp_path / "a.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 32.0)
    writer.add_array("adapter.alora.invocation_tokens", [1, 2, 3])
    writer.add_array("general.tags", ["a", "b"])
    writer.add_tensor("blk.0.attn_q.weight.lora_a", numpy.zeros((8, 64), numpy.float32))
    writer.add_tensor("blk.0.attn_q.weight.lora_b", numpy.zeros((128, 8), numpy.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    theirs = {
        one.name: (one.tensor_type.name, tuple(map(int, reversed(one.shape))), one.data_offset)
        for one in gguf.GGUFReader(path).tensors
    }
    found = gguf_header(path)
    assert {name: tuple(one) for name, one in found.tensors.items()} == theirs
    assert (found.values["adapter.lora.alpha"], found.values["general.architecture"]) == (32.0, "llama")


def test_blocks_have_the_sizes_that_the_library_gives_them() -> None:
    gguf = pytest.importorskip("gguf")
    theirs = {int(kind): (kind.name, *sizes) for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
    assert {kind: BLOCKS[kind] for kind in theirs if kind in BLOCKS} == theirs


GGUF_BYTES = struct.pack("<4sIQQ", b"GGUF", 3, 0, 0)
GGUF_FAULTS = {
    "empty": (b"", "is empty"),
    "another file": (b"PK\3\4 and more of it", "begins with b'PK\\x03\\x04', not with GGUF"),
    "version 1": (struct.pack("<4sIQQ", b"GGUF", 1, 0, 0), "is of version 1; llama.cpp reads 2 and 3"),
    "cut": (GGUF_BYTES[:20], "the header goes on for 8 bytes, the file ends after 20 in all"),
    "more values than there are": (struct.pack("<4sIQQ", b"GGUF", 3, 0, 9), "the header goes on for 8 bytes"),
}


@pytest.mark.parametrize("fault", GGUF_FAULTS)
def test_a_broken_header_of_llama_cpp_is_refused_with_the_reason(fault: str, tmp_path: Path) -> None:
    data, message = GGUF_FAULTS[fault]
    (tmp_path / "a.gguf").write_bytes(data)
    with pytest.raises(UnreadableError, match=f"^{re.escape(message)}"):
        gguf_header(tmp_path / "a.gguf")


@pytest.mark.parametrize(
    ("table", "cut", "message"),
    [
        ({"a" * 64: ("F32", (8,))}, 0, "the name of tensor "),
        ({"a": ("F32", (1, 1, 1, 1, 1))}, 0, "tensor 'a' has 5 dimensions, more than 4"),
        ({"a": ("F32", (8, 8))}, 32, "the data of 'a' ends at byte "),
        ({"a": ("Q8_0", (8, 16))}, 0, "tensor 'a', Q8_0, can't have the shape [8, 16]"),
    ],
)
def test_a_bad_tensor_of_llama_cpp_is_refused_with_the_reason(
    table: Table, cut: int, message: str, tmp_path: Path
) -> None:
    path = write_gguf(tmp_path / "a.gguf", GGUF, table)
    path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
    with pytest.raises(UnreadableError, match=f"^{re.escape(message)}"):
        gguf_header(path)


@pytest.fixture(scope="module")
def mutated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutated") / "a.gguf"


@given(at=st.integers(0, 400), bit=st.integers(0, 7), end=st.integers(0, 900))
@settings(max_examples=300, deadline=None)
def test_a_mutated_header_of_llama_cpp_is_read_or_refused(mutated: Path, at: int, bit: int, end: int) -> None:
    path = write_gguf(mutated, GGUF, GGUF_TABLE)
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(bytes(data)[: max(end, 24)])
    with contextlib.suppress(UnreadableError):
        gguf_header(path)


# NeMo's archive.

NEMO_CONFIG = "peft:\n  peft_scheme: lora\n  lora_tuning:\n    adapter_dim: 32\n    alpha: {}\nhidden_size: 64\n"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (NEMO_CONFIG.format(64), Said(1, 32, 64, 2)),
        (NEMO_CONFIG.format("null"), Said(1, 32, 32, 1)),
        ("", Said(1, 32, None, None)),
    ],
)
def test_the_config_in_an_archive_of_nemo_gives_alpha_to_the_weights_in_it(
    config: str, expected: Said, tmp_path: Path
) -> None:
    weights = io.BytesIO()
    table = halves("model.decoder.layers.0.self_attention.adapter_layer.lora_kqv_adapter", LINEAR, (32, 64), (192, 32))
    torch.save(zeros(table), weights)
    with tarfile.open(tmp_path / "tuned.nemo", "w:") as archive:
        for name, data in (("model_config.yaml", config.encode()), ("model_weights.ckpt", weights.getvalue())):
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    (setup,) = read_setups([str(tmp_path)])
    assert (setup.framework, setup.kind) == ("nemo", "checkpoint")
    assert [site.modules for site in setup.sites] == [("model.decoder.layers.0.self_attention.linear_qkv",)]
    assert said(setup) == [expected]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no archive at all" * 40, "is no archive of NeMo: "),
        (b"\0" * 1024, "holds no model_weights.ckpt: the weights are in shards, or in a distributed checkpoint"),
    ],
)
def test_a_broken_archive_of_nemo_is_a_finding(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "lora.nemo"
    path.write_bytes(data)
    (found,) = lint([str(path)]).diagnostics
    assert (found.rule, found.message.startswith(message)) == ("syntax-error", True)


# What a distributed run leaves.


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("mp_rank_00_model_states.pt", "DeepSpeed"),
        ("zero_pp_rank_3_mp_rank_00_model_states.pt", "DeepSpeed"),
        ("bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt", "DeepSpeed"),
        ("expp_rank_1_mp_rank_00_optim_states.pt", "DeepSpeed"),
        ("__3_0.distcp", "FSDP"),
        ("pytorch_model_fsdp_rank2.bin", "FSDP"),
        ("pytorch_model_fsdp.bin", None),
        ("adapter_model.bin", None),
        ("optimizer.pt", None),
    ],
)
def test_a_shard_of_a_run_is_told_by_its_name_and_not_read(name: str, what: str | None, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"anything")
    report = lint([str(path)])
    reasons = [one.reason for one in report.skipped]
    assert (what is not None) == bool(reasons)
    assert all(reason.startswith(f"not read: a shard of {what}") for reason in reasons)
