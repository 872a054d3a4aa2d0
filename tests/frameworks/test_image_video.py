"""Trainers of image and video models: rank, alpha, scale, state and origins, as their own code computes them."""

import json

import pytest

from lora_lint.frameworks import candidates, framework
from tests.frameworks.rows import Row, rows, setups
from tests.frameworks.texts import Table, named, saved, shell, toml


def job(network: str, model: str = "is_flux: true") -> tuple[str, str]:
    process = f"    - type: sd_trainer\n      network: {{{network}}}\n      model: {{{model}}}\n"
    return "job.yaml", f"job: extension\nconfig:\n  name: my_lora\n  process:\n{process}"


NETWORK = {"network": {"type": "lora", "linear": 8, "linear_alpha": 4}}
SDXL, FLUX = {"model": {"arch": "sdxl"}}, {"model": {"arch": "flux"}}

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
    (
        job("type: lora, linear: 16, linear_alpha: 4, use_rslora: true", "arch: sdxl"),
        [Row("linear", 16, 4, 0.25, "ww")],
    ),
    (
        ("two.json", json.dumps({"job": "extension", "config": {"process": [NETWORK | SDXL, NETWORK | FLUX]}})),
        [Row("linear", 8, 4, 0.5, "ww"), Row("linear", 8, 8, 1, "wc")],
    ),
    (job("type: lokr, linear: 16", "is_flux: true"), [Row("linear", 16, 16, 1, "wc", "not-lora", "lokr")]),
]

ONE = {"training_method": "LORA", "base_model_name": "m", "model_type": "FLUX_DEV_1"}

ONETRAINER: Table = [
    (saved(**ONE), [Row("*", 16, 1, 0.0625, "dd")]),
    (saved(**ONE, lora_rank=32, lora_alpha=32.0), [Row("*", 32, 32, 1, "ww")]),
    (saved(**ONE, lora_rank="32", lora_alpha="16"), [Row("*", 32, 16, 0.5, "ww")]),
    (saved(**ONE, lora_alpha=0), [Row("*", 16, 0, 0, "dw")]),
    (saved(**ONE, lora_rank=16, lora_alpha=16, use_rslora=True), [Row("*", 16, 16, 1, "ww")]),
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
    (saved(**SIMPLE, lora_rank=8, lora_alpha=4, init_lora="a.safetensors"), [Row("*", 8, 4, 0.5, "ww")]),
    (saved(**SIMPLE, lora_rank=8, init_lora="a.safetensors"), [Row("*", 8, "?", "?", "wu")]),
    (saved(**SIMPLE, lora_rank=8, init_lora="", controlnet=True), [Row("*", 8, 8, 1, "wc")]),
    (
        saved(model_type="lora", model_family="sdxl", lora_rank=8, controlnet=True),
        [Row("*", 8, 8, 1, "wc", "not-lora", "loha")],
    ),
    (saved(**SIMPLE, lora_rank=8, peft_lora_mode="singlora"), [Row("*", 8, 8, 1, "wc", "not-lora", "singlora")]),
    (shell(SIMPLE_FLAGS, "--lora_rank=64"), [Row("*", 64, 64, 1, "wc")]),
    (shell(SIMPLE_FLAGS, "--lora_rank=64 --lora_alpha=8 --lora_rank=16"), [Row("*", 16, 8, 0.5, "ww")]),
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
    (
        shell("python train_wan_t2v.py --task train --train_architecture lora --lora_rank 16 --lora_alpha 32"),
        [Row("q k v o ffn.0 ffn.2", 16, 32, 2, "ww")],
    ),
    (shell("python my_wan.py --train_architecture lora"), [Row("q k v o ffn.0 ffn.2", 4, 4, 1, "dd")]),
    (
        shell("python my_wan.py --train_architecture full --lora_rank 8"),
        [Row("q k v o ffn.0 ffn.2", 8, 4, 0.5, "wd", "off")],
    ),
    (
        shell("python examples/train/flux/train_flux_lora.py --lora_target_modules a_to_qkv --lora_rank 16"),
        [Row("a_to_qkv", 16, 4, 0.25, "wd")],
    ),
]

FUN = "accelerate launch --mixed_precision bf16 scripts/wan2.1/train_lora.py --train_data_meta m.json"

VIDEOX_FUN: Table = [
    (shell(FUN, "--rank=64 --network_alpha=32"), [Row("*", 64, 32, 0.5, "ww")]),
    (shell(FUN, "--rank=64"), [Row("*", 64, 64, 1, "wd")]),
    (shell(FUN), [Row("*", 128, 64, 0.5, "dd")]),
    (shell(FUN, "--rank=64 --network_alpha=0"), [Row("*", 64, 64, 1, "wc")]),
    (shell(FUN, "--rank=64 --network_alpha=0 --use_peft_lora"), [Row("*", 64, 0, 0, "ww")]),
    (shell(FUN, "--rank=8 --network_alpha=8 --target_name q,ffn.0"), [Row("q ffn.0", 8, 8, 1, "ww")]),
    (shell("python train_reward_lora.py --rank $R --network_alpha 16"), [Row("*", "?", 16, "?", "uw")]),
]


def ltx(mode: str, lora: str) -> tuple[str, str]:
    return "ltx.yaml", f"model: {{training_mode: {mode}}}\nlora: {{{lora}}}\noptimization: {{steps: 9}}\ndata: {{}}\n"


QKV = "to_k to_q to_v to_out.0"

LTX_TRAINER: Table = [
    (ltx("lora", "rank: 32, alpha: 64"), [Row(QKV, 32, 64, 2, "ww")]),
    (ltx("lora", "rank: 32, target_modules: [to_k]"), [Row("to_k", 32, 64, 2, "wd")]),
    (ltx("lora", "dropout: 0.1"), [Row(QKV, 64, 64, 1, "dd")]),
    (ltx("full", "rank: 32, alpha: 32"), [Row(QKV, 32, 32, 1, "ww", "off")]),
]


def role(lora: str) -> tuple[str, str]:
    return "fast.yaml", f"models:\n  student:\n    _target_: fastvideo.train.models.Wan\n    lora: {{{lora}}}\n"


FAST = "torchrun fastvideo/training/wan_training_pipeline.py --num_latent_t 20"

FASTVIDEO: Table = [
    (shell(FAST, "--lora_training True --lora_rank 32"), [Row("*", 32, 32, 1, "wc")]),
    (shell(FAST, "--lora-training --lora-rank 16 --lora-alpha 32"), [Row("*", 16, 32, 2, "ww")]),
    (shell(FAST, "--lora_training True"), [Row("*", "?", "?", "?", "uu")]),
    (shell(FAST, "--lora_training False --lora_rank 32"), [Row("*", 32, 32, 1, "wc", "off")]),
    (role("enable: true, rank: 16, alpha: 32, target_modules: [to_q]"), [Row("to_q", 16, 32, 2, "ww")]),
    (role("enable: true, rank: 16"), [Row("*", 16, 16, 1, "wc")]),
    (role("rank: 16, alpha: 32"), [Row("*", 16, 32, 2, "ww", "off")]),
]

DIFFUSERS: Table = [
    (shell("accelerate launch train_text_to_image_lora.py --rank=16"), [Row("*", 16, 16, 1, "wc")]),
    (shell("python train_dreambooth_lora_sdxl.py --rank $R"), [Row("*", "?", "?", 1, "uu")]),
    (shell("accelerate launch train_dreambooth_lora.py --lr_warmup_steps 0"), [Row("*", 4, 4, 1, "dc")]),
    (shell("accelerate launch train_dreambooth_lora_flux.py --rank 64"), [Row("*", 64, "?", "?", "wu")]),
    (shell("accelerate launch train_dreambooth_lora_flux.py --rank 4"), [Row("*", 4, 4, 1, "wd")]),
    (shell("python train_dreambooth_lora_flux_kontext.py --rank 64"), [Row("*", 64, 4, 0.0625, "wd")]),
    (shell("python train_dreambooth_lora_sdxl.py --rank 16 --lora_alpha 32"), [Row("*", 16, 32, 2, "ww")]),
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
    "fastvideo": FASTVIDEO,
    "finetrainers": FINETRAINERS,
    "lora_diffusion": LORA_DIFFUSION,
    "ltx_trainer": LTX_TRAINER,
    "onetrainer": ONETRAINER,
    "simpletuner": SIMPLETUNER,
    "videox_fun": VIDEOX_FUN,
    "x_flux": X_FLUX,
}


@pytest.mark.parametrize(("name", "file", "expected"), named(TABLES))
def test_a_framework_gives_rank_alpha_and_scale(name: str, file: tuple[str, str], expected: list[Row]) -> None:
    found = setups(*file)
    assert [(setup.framework, setup.also, setup.convention) for setup in found] == [(name, (), "r")]
    assert rows(found) == expected


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            toml(*PIPE, "type = 'lora'", "rank = 32", "alpha = 64"),
            "alpha is given; diffusion-pipe forces it to the rank and refuses to start",
        ),
        (toml(*PIPE, "type = 'lora'", "rank = 32.0"), "rank is 32.0, a float; diffusion-pipe needs an integer"),
        (saved(**SIMPLE, lora_rank=0), "lora_rank is 0; SimpleTuner needs more than 0"),
        (ltx("lora", "rank: 1, alpha: 8"), "rank is 1; ltx-trainer needs at least 2"),
    ],
)
def test_a_value_that_the_trainer_refuses_is_told(file: tuple[str, str], message: str) -> None:
    (setup,) = setups(*file)
    assert [bad.message for bad in setup.bad_values] == [message]


@pytest.mark.parametrize(
    "file",
    [
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
        shell("python my_wan.py --train_architecture full --dit_path a.safetensors"),
        shell("accelerate launch train_text_to_image.py --rank 16"),
        shell("accelerate launch train_dreambooth.py --rank 4"),
        shell("accelerate launch lora/train_dreambooth_lora.py --lora_rank 16"),
        shell("torchrun train.py --training_type full-finetune --train_steps 10"),
        shell("torchrun train.py --rank 0 --world_size 8"),
        shell("python scripts/wan2.1/train.py --train_data_meta m.json --rank 0"),
        shell(FAST, "--sp_size 2"),
        ("ltx.yaml", "model: {training_mode: full}\noptimization: {steps: 9}\ndata: {}\n"),
        ("a.yaml", "rank: 16\nsingle_blocks: 4\n"),
        ("a.yaml", "pretrained_model_name_or_path: p\ndata_config: {img_dir: i}\nrank: 16\ndouble_blocks: null\n"),
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
