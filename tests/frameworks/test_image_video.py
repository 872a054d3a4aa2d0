"""Trainers of image and video models: rank, alpha, scale, state and origins, as their own code computes them."""

import json

import pytest

from lora_lint.frameworks import candidates, framework
from tests.frameworks.rows import Row, rows, setups


def toml(*lines: str) -> tuple[str, str]:
    return "train.toml", "\n".join(lines)


def shell(*lines: str) -> tuple[str, str]:
    return "train.sh", " \\\n  ".join(lines)


def saved(**keys: object) -> tuple[str, str]:
    return "config.json", json.dumps(keys)


Table = list[tuple[tuple[str, str], list[Row]]]

LORA = 'network_module = "networks.lora"'
LYCORIS = 'network_module = "lycoris.kohya"'
TRAIN = "accelerate launch train_network.py --network_module networks.lora"

KOHYA: Table = [
    (toml(LORA, "network_dim = 32", "network_alpha = 16"), [Row("*", 32, 16, 0.5, "ww")]),
    (toml("[model]", LORA, "[net]", "network_dim = 8", "[more]", "network_alpha = 8"), [Row("*", 8, 8, 1, "ww")]),
    (toml(LORA, "network_dim = 32"), [Row("*", 32, 1, 0.03125, "wd")]),
    (toml(LORA), [Row("*", 4, 1, 0.25, "dd")]),
    (toml(LORA, "network_dim = 32", "network_alpha = 0"), [Row("*", 32, 32, 1, "wc")]),
    (toml(LORA, "network_dim = 32", "dim_from_weights = true"), [Row("*", "?", "?", "?", "uu")]),
    (toml('network_module = "networks.lora_flux"', "network_dim = 16"), [Row("*", 16, 1, 0.0625, "wd")]),
    (toml('network_module = "networks.dylora"', "network_dim = 16"), [Row("*", 16, 1, 0.0625, "wd", method="dylora")]),
    (
        toml('network_module = "networks.oft"', "network_dim = 4", "network_alpha = 1e-3"),
        [Row("*", 4, 0.001, 0.00025, "ww", "not-lora", "oft")],
    ),
    (
        toml('network_module = "networks.loha"', "network_dim = 4", "network_alpha = 2"),
        [Row("*", 4, 2, 0.5, "ww", "not-lora", "loha")],
    ),
    (
        toml(LORA, "network_dim = 8", "network_alpha = 8", 'network_args = ["conv_dim=4", "conv_alpha=2"]'),
        [Row("*", 8, 8, 1, "ww"), Row("conv", 4, 2, 0.5, "ww")],
    ),
    (
        toml(LORA, "network_dim = 8", "network_alpha = 8", 'network_args = ["conv_dim=4"]'),
        [Row("*", 8, 8, 1, "ww"), Row("conv", 4, 1, 0.25, "wd")],
    ),
    (
        toml(LORA, "network_dim = 8", "network_alpha = 8", 'network_args = ["conv_dim=4", "conv_alpha=0"]'),
        [Row("*", 8, 8, 1, "ww"), Row("conv", 4, 4, 1, "wc")],
    ),
    (
        toml(LORA, "network_dim = 8", "network_alpha = 8", 'network_args = ["conv_dim=0", "conv_alpha=1"]'),
        [Row("*", 8, 8, 1, "ww"), Row("conv", 0, 1, "?", "ww", "off")],
    ),
    (
        toml(LORA, "network_dim = 8", "network_alpha = 8", 'network_args = ["block_dims=2,4,2"]'),
        [
            Row("text_encoder", 8, 8, 1, "ww"),
            Row("blocks.0 blocks.2", 2, 8, 4, "wc"),
            Row("blocks.1", 4, 8, 2, "wc"),
        ],
    ),
    (
        toml(LORA, "network_dim = 8", "network_alpha = 8", 'network_args = ["block_dims=2,0", "block_alphas=1,0"]'),
        [
            Row("text_encoder", 8, 8, 1, "ww"),
            Row("blocks.0", 2, 1, 0.5, "ww"),
            Row("blocks.1", 0, 0, "?", "wc", "off"),
        ],
    ),
    (
        toml(LORA, "network_dim = 8", "network_alpha = 8", 'network_args = ["block_alphas=1,2"]'),
        [Row("*", 8, 8, 1, "ww")],
    ),
    (
        toml('network_module = "networks.lora_flux"', "network_dim = 16", 'network_args = ["img_mlp_dim=4"]'),
        [Row("*", 16, 1, 0.0625, "wd"), Row("img_mlp", 4, 1, 0.25, "wd")],
    ),
    (
        toml(LORA, "network_dim = 8", "network_alpha = 8", 'network_args = ["network_reg_dims=.*attn.*=4,mlp=16"]'),
        [Row("*", 8, 8, 1, "ww"), Row(".*attn.*", 4, 8, 2, "wc"), Row("mlp", 16, 8, 0.5, "wc")],
    ),
    (toml(LYCORIS, "network_dim = 8", "network_alpha = 4"), [Row("*", 8, 4, 0.5, "ww")]),
    (
        toml(LYCORIS, "network_dim = 8", "network_alpha = 4", 'network_args = ["conv_dim=4", "algo=locon"]'),
        [Row("*", 8, 4, 0.5, "ww"), Row("conv", 4, 4, 1, "wc")],
    ),
    (
        toml(LYCORIS, "network_dim = 8", 'network_args = ["conv_dim=4", "preset=attn-mlp"]'),
        [Row("*", 8, 1, 0.125, "wd")],
    ),
    (
        toml(LYCORIS, "network_dim = 16", "network_alpha = 8", 'network_args = ["rs_lora=1", "dora_wd=True"]'),
        [Row("*", 16, 8, 2, "ww", method="dora")],
    ),
    (
        toml(LYCORIS, "network_dim = 16", "network_alpha = 8", 'network_args = ["rs_lora=False"]'),
        [Row("*", 16, 8, 0.5, "ww")],
    ),
    (
        toml(LYCORIS, "network_dim = 100000", "network_alpha = 1", 'network_args = ["algo=lokr", "factor=6"]'),
        [Row("*", 100000, 1, 0.00001, "ww", "not-lora", "lokr")],
    ),
    (toml(LYCORIS, 'network_args = ["algo=full"]'), [Row("*", 4, 1, 0.25, "dd", "not-lora", "full")]),
    (shell(TRAIN, "--network_dim=32", "--network_alpha=16"), [Row("*", 32, 16, 0.5, "ww")]),
    (shell(TRAIN, "--network_dim=32"), [Row("*", 32, 1, 0.03125, "wd")]),
    (shell(TRAIN, "--network_dim=32 --config_file base.toml"), [Row("*", 32, "?", "?", "wu")]),
    (shell("accelerate launch --config_file a.yaml", TRAIN[18:], "--network_dim 8"), [Row("*", 8, 1, 0.125, "wd")]),
    (
        shell(TRAIN, "--network_dim 8 --network_alpha 8", '--network_args "conv_dim=$CONV" "conv_alpha=2"'),
        [Row("*", 8, 8, 1, "ww"), Row("conv", "?", 2, "?", "uw")],
    ),
    (
        shell("train_network.py --network_module lycoris.kohya --network_dim 8", "--network_args $ARGS"),
        [Row("*", 8, "?", "?", "wu")],
    ),
    (
        shell("python -m musubi_tuner.wan_train_network --network_module networks.lora_wan --network_dim 32"),
        [Row("*", 32, 1, 0.03125, "wd")],
    ),
]

KOHYA_SS: Table = [
    (saved(LoRA_type="Standard", network_dim=128, network_alpha=64, conv_dim=4), [Row("*", 128, 64, 0.5, "ww")]),
    (saved(LoRA_type="Flux1", network_dim=16), [Row("*", 16, 1, 0.0625, "wd")]),
    (saved(LoRA_type="Standard"), [Row("*", 8, 1, 0.125, "dd")]),
    (saved(LoRA_type="Standard", network_dim=16, network_alpha=0), [Row("*", 16, 1, 0.0625, "wc")]),
    (
        saved(LoRA_type="Kohya LoCon", network_dim=16, network_alpha=8, conv_dim=16, conv_alpha=4),
        [Row("*", 16, 8, 0.5, "ww"), Row("conv", 16, 4, 0.25, "ww")],
    ),
    (
        saved(LoRA_type="LyCORIS/LoCon", network_dim=64, network_alpha=64, conv_dim=32, conv_alpha=0),
        [Row("*", 64, 64, 1, "ww"), Row("conv", 32, 32, 1, "wc")],
    ),
    (
        saved(LoRA_type="LyCORIS/LoCon", network_dim=64, network_alpha=64, LyCORIS_preset="attn-only", dora_wd=True),
        [Row("*", 64, 64, 1, "ww", method="dora")],
    ),
    (
        saved(LoRA_type="LyCORIS/LoKr", network_dim=100000, network_alpha=1, conv_dim=100000),
        [
            Row("*", 100000, 1, 0.00001, "ww", "not-lora", "lokr"),
            Row("conv", 100000, 1, 0.00001, "wd", "not-lora", "lokr"),
        ],
    ),
    (
        saved(LoRA_type="Standard", network_dim=8, network_alpha=8, block_dims="4,8", block_alphas="4,4"),
        [Row("text_encoder", 8, 8, 1, "ww"), Row("blocks.0", 4, 4, 1, "ww"), Row("blocks.1", 8, 4, 0.5, "ww")],
    ),
    (saved(LoRA_type="Standard", network_dim=8, dim_from_weights=True), [Row("*", "?", "?", "?", "uu")]),
]

PRESET = "[module_algo_map.%s]\n"
CALL = "from lycoris import create_lycoris\n"

LYCORIS_ALONE: Table = [
    (saved(algo="lora", linear_dim=16, linear_alpha=8), [Row("*", 16, 8, 0.5, "ww")]),
    (saved(algo="lora", linear_dim=16), [Row("*", 16, 1, 0.0625, "wd")]),
    (saved(algo="lora", linear_dim=16, linear_alpha=0), [Row("*", 16, 16, 1, "wc")]),
    (saved(algo="lora", linear_dim=16, linear_alpha=8, rs_lora=True), [Row("*", 16, 8, 0.5, "ww")]),
    (
        saved(algo="locon", linear_dim=16, linear_alpha=8, conv_dim=4),
        [Row("*", 16, 8, 0.5, "ww"), Row("conv", 4, 8, 2, "wc")],
    ),
    (
        saved(algo="lokr", full_matrix=True, linear_dim=10000, linear_alpha=1),
        [Row("*", 10000, 1, 0.0001, "ww", "not-lora", "lokr")],
    ),
    (
        saved(
            algo="lora",
            linear_dim=16,
            linear_alpha=8,
            apply_preset={"module_algo_map": {"FeedForward": {"dim": 4}, "Attention": {"factor": 2}}},
        ),
        [Row("*", 16, 8, 0.5, "ww"), Row("FeedForward", 4, 8, 2, "wc")],
    ),
    (
        toml("enable_conv = true", PRESET % "ResnetBlock2D", 'algo = "lora"', "dim = 4", "alpha = 1"),
        [Row("ResnetBlock2D", 4, 1, 0.25, "ww")],
    ),
    (
        toml("enable_conv = true", PRESET % "Attention", 'algo = "lora"', "dim = 4"),
        [Row("Attention", 4, "?", "?", "wu")],
    ),
    (("a.py", f"{CALL}create_lycoris(net, 1.0, linear_dim=16, linear_alpha=32)"), [Row("*", 16, 32, 2, "ww")]),
    (
        ("a.py", f'{CALL}create_lycoris(net, 1.0, 16, 4.0, algo="loha")'),
        [Row("*", 16, 4, 0.25, "ww", "not-lora", "loha")],
    ),
    (("a.py", f"{CALL}create_lycoris(net, 1.0, 16, 4.0, algo=algo)"), [Row("*", 16, "?", "?", "wu")]),
]

HCP_DIFFUSION: Table = [
    (
        ("a.yaml", "plugin_unet:\n  l:\n    _target_: lycoris.hcp.LohaBlock\n    dim: 32\n    alpha: 16\n"),
        [Row("unet", 32, 16, 0.5, "ww", "not-lora", "loha")],
    ),
    (
        ("a.yaml", "plugin_TE:\n  l:\n    _target_: lycoris.hcp.LoConBlock.wrap_model\n    dim: 8\n    alpha: 0\n"),
        [Row("text_encoder", 8, 8, 1, "wc")],
    ),
]


def job(network: str, model: str = "is_flux: true") -> tuple[str, str]:
    process = f"    - type: sd_trainer\n      network: {{{network}}}\n      model: {{{model}}}\n"
    return "job.yaml", f"job: extension\nconfig:\n  name: my_lora\n  process:\n{process}"


AI_TOOLKIT: Table = [
    (job("type: lora, linear: 16, linear_alpha: 16"), [Row("linear", 16, 16, 1, "wc")]),
    (job("type: lora, linear: 16, linear_alpha: 64"), [Row("linear", 16, 16, 1, "wc")]),
    (job("type: lora, linear: 16", "arch: 'wan21:14b'"), [Row("linear", 16, 16, 1, "wc")]),
    (job("type: lora, linear: 16, linear_alpha: 4", "arch: sdxl"), [Row("linear", 16, 4, 0.25, "ww")]),
    (job("type: lora, linear: 16, linear_alpha: 4", "is_xl: true"), [Row("linear", 16, 4, 0.25, "ww")]),
    (job("type: lora, linear: 16", "is_xl: true"), [Row("linear", 16, 1, 0.0625, "wd")]),
    (job("type: lora, linear: 16, linear_alpha: 0", "is_xl: true"), [Row("linear", 16, 16, 1, "wc")]),
    (job("type: lora, rank: 8, linear: 16, alpha: 4", "is_xl: true"), [Row("linear", 8, 4, 0.5, "ww")]),
    (job("type: dora, linear_alpha: 4", "is_xl: true"), [Row("linear", 4, 4, 1, "dw", method="dora")]),
    (
        job("type: lora, linear: 16, linear_alpha: 8, conv: 4", "arch: sd15"),
        [Row("linear", 16, 8, 0.5, "ww"), Row("conv", 4, 4, 1, "wc")],
    ),
    (
        job("type: lora, linear: 16, linear_alpha: 8, conv: 4, conv_alpha: 8", "arch: flux"),
        [Row("linear", 16, 16, 1, "wc"), Row("conv", 4, 4, 1, "wc")],
    ),
    (job("type: locon, linear: 16, linear_alpha: 4", "is_flux: true"), [Row("linear", 16, 4, 0.25, "ww")]),
    (job("type: lokr, linear: 16", "is_flux: true"), [Row("linear", 16, 16, 1, "wc", "not-lora", "lokr")]),
]

ONE = {"training_method": "LORA", "base_model_name": "m", "model_type": "FLUX_DEV_1"}

ONETRAINER: Table = [
    (saved(**ONE), [Row("*", 16, 1, 0.0625, "dd")]),
    (saved(**ONE, lora_rank=32, lora_alpha=32.0), [Row("*", 32, 32, 1, "ww")]),
    (saved(**ONE, lora_rank="32", lora_alpha="16"), [Row("*", 32, 16, 0.5, "ww")]),
    (saved(**ONE, lora_alpha=0), [Row("*", 16, 0, 0, "dw")]),
    (saved(**ONE, lora_rank=8, lora_decompose=True), [Row("*", 8, 1, 0.125, "wd", method="dora")]),
    (saved(**ONE, lora_rank=8, peft_type="LOHA"), [Row("*", 8, 1, 0.125, "wd", "not-lora", "loha")]),
    (saved(**ONE, lora_rank=8, peft_type="LOKR"), [Row("*", 16, 1, 0.0625, "dd", "not-lora", "lokr")]),
    (saved(**{**ONE, "training_method": "FINE_TUNE"}, lora_rank=8), [Row("*", 8, 1, 0.125, "wd", "off")]),
]

SIMPLE = {"model_type": "lora", "model_family": "flux"}
SIMPLE_FLAGS = "simpletuner train --model_type=lora --model_family=flux"

SIMPLETUNER: Table = [
    (saved(**SIMPLE, lora_rank=64, lora_alpha=64), [Row("*", 64, 64, 1, "ww")]),
    (saved(**{f"--{key}": value for key, value in SIMPLE.items()}, **{"--lora_rank": 8}), [Row("*", 8, 8, 1, "wc")]),
    (saved(**SIMPLE), [Row("*", 16, 16, 1, "dc")]),
    (saved(**SIMPLE, lora_rank="32", lora_alpha=None), [Row("*", 32, 32, 1, "wc")]),
    (saved(**SIMPLE, lora_rank=16, lora_alpha=32, use_dora=True), [Row("*", 16, 32, 2, "ww", method="dora")]),
    (
        saved(**SIMPLE, lora_rank=8, lora_type="lycoris", lycoris_config="l.json"),
        [Row("*", 8, "?", "?", "wu", "not-lora", "lycoris")],
    ),
    (saved(**{**SIMPLE, "model_type": "full"}, lora_rank=8), [Row("*", 8, 8, 1, "wc", "off")]),
    (shell(SIMPLE_FLAGS, "--lora_rank=64"), [Row("*", 64, 64, 1, "wc")]),
]

PIPE = ("output_dir = 'o'", "[model]", "type = 'wan'", "[adapter]")

DIFFUSION_PIPE: Table = [
    (toml(*PIPE, "type = 'lora'", "rank = 32"), [Row("*", 32, 32, 1, "wc")]),
    (toml(*PIPE, "type = 'lora'", "rank = 32", "alpha = 64"), [Row("*", 32, 32, 1, "wc")]),
    (toml(*PIPE, "type = 'lora'"), [Row("*", "?", "?", "?", "uu")]),
    (toml(*PIPE, "type = 'lokr'", "rank = 1e6"), [Row("*", 1e6, 1e6, 1, "wc", "not-lora", "lokr")]),
]

SYNTH = "accelerate launch examples/flux/model_training/train.py --dataset_metadata_path m.csv"

DIFFSYNTH: Table = [
    (shell(SYNTH, "--lora_base_model dit --lora_rank 64"), [Row("q k v o ffn.0 ffn.2", 64, 64, 1, "wc")]),
    (shell(SYNTH, "--lora_base_model dit --lora_target_modules to_q,to_k"), [Row("to_q to_k", 32, 32, 1, "dc")]),
    (shell(SYNTH, "--lora_base_model '' --lora_rank $R"), [Row("q k v o ffn.0 ffn.2", "?", "?", 1, "uu")]),
    (shell(SYNTH, "--lora_rank 64"), [Row("q k v o ffn.0 ffn.2", 64, 64, 1, "wc", "off")]),
    (
        shell(SYNTH, "--lora_base_model dit --lora_rank 8 --lora_target_modules to_q --task sft:data_process"),
        [Row("to_q", 8, 8, 1, "wc", "off")],
    ),
]

DIFFUSERS: Table = [
    (shell("accelerate launch train_text_to_image_lora.py --rank=16"), [Row("*", 16, 16, 1, "wc")]),
    (shell("python train_dreambooth_lora_sdxl.py --rank $R"), [Row("*", "?", "?", 1, "uu")]),
    (shell("accelerate launch train_dreambooth_lora.py --lr_warmup_steps 0"), [Row("*", 4, 4, 1, "dc")]),
    (shell("accelerate launch train_dreambooth_lora_flux.py --rank 64"), [Row("*", 64, 4, 0.0625, "wd")]),
    (shell("python train_dreambooth_lora_flux.py --rank 16 --lora_alpha 32"), [Row("*", 16, 32, 2, "ww")]),
    (shell("python train_dreambooth_lora_krea2.py --rank 16"), [Row("*", 16, 32, 2, "wd")]),
    (shell("python train_lcm_distill_lora_sdxl.py --lora_rank 32"), [Row("*", 32, 64, 2, "wd")]),
    (shell("python train_cogvideox_lora.py"), [Row("*", 128, 128, 1, "dd")]),
    (shell("python train_realfill.py --lora_rank 8"), [Row("*", 8, 27, 3.375, "wd")]),
    (
        shell("python train_dreambooth_lora_sd15_advanced.py --rank 8 --use_dora"),
        [Row("*", 8, 8, 1, "wc", method="dora")],
    ),
    (shell("python train_amused.py --use_lora --lora_r 8"), [Row("transformer", 8, 32, 4, "wd")]),
    (shell("python train_amused.py --lora_r 8"), [Row("transformer", 8, 32, 4, "wd", "off")]),
    (
        shell("python train_text_to_image_lora.py --use_peft --lora_r 4 --train_text_encoder"),
        [Row("unet", 4, 32, 8, "wd"), Row("text_encoder", 4, 32, 8, "dd")],
    ),
]

FINETRAINERS: Table = [
    (shell("torchrun train.py --training_type lora --rank 32 --lora_alpha 64"), [Row("*", 32, 64, 2, "ww")]),
    (shell("torchrun train.py --training_type control-lora --rank 128"), [Row("*", 128, 64, 0.5, "wd")]),
    (shell("torchrun train.py --training_type lora --train_steps 10"), [Row("*", 64, 64, 1, "dd")]),
    (shell("torchrun train.py --training_type full-finetune --rank 32"), [Row("*", 32, 64, 2, "wd", "off")]),
    (shell("python training/cogvideox/cogvideox_text_to_video_lora.py --rank 128"), [Row("*", 128, 64, 0.5, "wd")]),
]

X_FLUX: Table = [
    (
        ("a.yaml", 'model_name: flux-dev\ndata_config: {img_dir: i}\nrank: 16\nsingle_blocks: "1,2"\n'),
        [Row("double_blocks single_blocks", 16, "-", 1, "w-")],
    ),
]

LORA_DIFFUSION: Table = [
    (
        shell("lora_pti --lora_rank=8 --lora_scale=2.0"),
        [Row("unet", 8, 2, 2, "ww"), Row("text_encoder", 8, "-", 1, "w-")],
    ),
    (shell("lora_pti --train_text_encoder=False"), [Row("unet", 4, 1, 1, "dd")]),
    (
        shell("lora_pti --use_extended_lora --lora_scale=2.0"),
        [Row("unet", 4, "-", 1, "d-"), Row("text_encoder", 4, "-", 1, "d-")],
    ),
    (shell("accelerate launch train_lora_dreambooth.py --lora_rank 16"), [Row("unet", 16, "-", 1, "w-")]),
]

TABLES = {
    "ai_toolkit": AI_TOOLKIT,
    "diffsynth": DIFFSYNTH,
    "diffusers": DIFFUSERS,
    "diffusion_pipe": DIFFUSION_PIPE,
    "finetrainers": FINETRAINERS,
    "hcp_diffusion": HCP_DIFFUSION,
    "kohya": KOHYA,
    "kohya_ss": KOHYA_SS,
    "lora_diffusion": LORA_DIFFUSION,
    "lycoris": LYCORIS_ALONE,
    "onetrainer": ONETRAINER,
    "simpletuner": SIMPLETUNER,
    "x_flux": X_FLUX,
}


@pytest.mark.parametrize(
    ("name", "file", "expected"),
    [
        pytest.param(name, file, expected, id=f"{name}-{at}")
        for name, table in TABLES.items()
        for at, (file, expected) in enumerate(table)
    ],
)
def test_a_framework_gives_rank_alpha_and_scale(name: str, file: tuple[str, str], expected: list[Row]) -> None:
    found = setups(*file)
    assert [(setup.framework, setup.also, setup.convention) for setup in found] == [(name, (), "r")]
    assert rows(found) == expected


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (toml(LORA, "[net]", 'network_dim = "32"'), 'network_dim is "32", a string; sd-scripts needs an integer'),
        (toml(LORA, "network_dim = 0"), "network_dim is 0; sd-scripts needs more than 0"),
        (
            toml(*PIPE, "type = 'lora'", "rank = 32", "alpha = 64"),
            "alpha is given; diffusion-pipe forces it to the rank and refuses to start",
        ),
        (toml(*PIPE, "type = 'lora'", "rank = 32.0"), "rank is 32.0, a float; diffusion-pipe needs an integer"),
        (saved(**SIMPLE, lora_rank=0), "lora_rank is 0; SimpleTuner needs more than 0"),
    ],
)
def test_a_value_that_the_trainer_refuses_is_told(file: tuple[str, str], message: str) -> None:
    (setup,) = setups(*file)
    assert [bad.message for bad in setup.bad_values] == [message]


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        ((LORA, "[net]", "network_dim = 32"), ("net", "network_dim")),
        ((LORA, "network_dim = 32"), ("network_dim",)),
    ],
)
def test_a_value_stands_in_the_section_that_it_is_written_in(lines: tuple[str, ...], path: tuple[str, ...]) -> None:
    (setup,) = setups(*toml(*lines))
    assert setup.sites[0].rank.path == path
    assert setup.document.source.text[slice(*setup.document.span_of(path))] == "32"


def test_a_network_argument_is_shown_whole_and_never_rewritten() -> None:
    (setup,) = setups(*toml(LORA, "network_dim = 8", 'network_args = ["conv_dim=4", "conv_alpha=2"]'))
    alpha = setup.sites[1].alpha
    assert alpha is not None
    assert setup.document.entry(alpha.path) is None
    assert setup.document.source.text[slice(*setup.document.span_of(alpha.path))] == '"conv_alpha=2"'


def test_a_misspelled_key_is_found_in_its_section() -> None:
    (setup,) = setups(*toml(LORA, "[net]", "network_dims = 32"))
    assert [(key.path, key.suggestion) for key in setup.unknown_keys] == [(("net", "network_dims"), "network_dim")]


@pytest.mark.parametrize(
    "file",
    [
        toml("network_alpha = 16", "[server]", "port = 80"),
        toml('network_module = "torch.nn"', "hidden = 8"),
        shell("python gen_img.py --network_module networks.lora --network_weights a.safetensors --network_mul 0.7"),
        shell("python sdxl_train_control_net_lllite.py --network_dim 64 --cond_emb_dim 32"),
        shell("python networks/resize_lora.py --new_rank 8 --network_dim 4"),
        saved(LoRA="Standard", network_dim=8),
        saved(algo="sha256", keys=["a"]),
        toml("enable_conv = true", "[module_algo_map.Attention]", "factor = 4"),
        ("job.yaml", "job: extract\nconfig:\n  process:\n  - {type: lora, mode: fixed, linear: 64}\n"),
        ("job.yaml", "job: extension\nconfig:\n  process:\n  - {type: sd_trainer, model: {is_flux: true}}\n"),
        ("net.yaml", "job: extension\nlinear: 16\nlinear_alpha: 8\n"),
        saved(training_method="FINE_TUNE", base_model_name="m", model_type="FLUX_DEV_1"),
        saved(training_method="LORA"),
        saved(model_type="full", model_family="flux"),
        saved(model_type="lora"),
        toml("[model]", "type = 'wan'", "[adapter]", "type = 'usb'", "rank = 1", "output_dir = 'o'"),
        toml("[adapter]", "type = 'lora'"),
        shell(SYNTH, "--trainable_models dit"),
        shell("accelerate launch train_text_to_image.py --rank 16"),
        shell("accelerate launch train_dreambooth.py --rank 4"),
        shell("torchrun train.py --training_type full-finetune --train_steps 10"),
        shell("torchrun train.py --rank 0 --world_size 8"),
        ("a.yaml", "rank: 16\nsingle_blocks: 4\n"),
        shell("lora_add a.safetensors b.safetensors --alpha_1 0.5"),
    ],
    ids=lambda file: file[1][:60],
)
def test_what_only_looks_like_a_training_of_a_lora_is_none(file: tuple[str, str]) -> None:
    assert setups(*file) == []


@pytest.mark.parametrize("name", TABLES)
def test_the_marker_of_a_framework_is_in_its_files(name: str) -> None:
    assert name == framework(name).NAME
    assert all(name in candidates(text.encode()) for (_, text), _ in TABLES[name])
