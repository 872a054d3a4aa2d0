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

from pathlib import Path

import pytest

from lora_lint.finding import Report
from lora_lint.linter import lint, read_setups
from tests.tensors import Table, write_safetensors
from tests.test_lone import SCALAR, Said, said

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
