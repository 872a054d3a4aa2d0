"""sd-scripts, musubi-tuner, LyCORIS and what is built around them, as their own code computes rank, alpha and scale."""

import pytest

from lora_lint.frameworks import candidates, framework
from tests.frameworks.rows import Row, rows, setups
from tests.frameworks.texts import Table, named, saved, shell, toml

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
        toml(
            'network_module = "networks.dylora"', "network_dim = 16", 'network_args = ["conv_dim=16", "conv_alpha=8"]'
        ),
        [Row("*", 16, 1, 0.0625, "wd", method="dylora")],
    ),
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
        toml(LORA, "network_dim = 8", 'network_args = ["block_alphas=2,4", "down_lr_weight=sine"]'),
        [Row("text_encoder", 8, 1, 0.125, "wd"), Row("blocks.0", 8, 2, 0.25, "ww"), Row("blocks.1", 8, 4, 0.5, "ww")],
    ),
    (
        toml(LORA, "network_dim = 8", 'network_args = ["block_dims=4,4", "conv_block_dims=2,4", "conv_alpha=4"]'),
        [
            Row("text_encoder", 8, 1, 0.125, "wd"),
            Row("blocks.0 blocks.1", 4, 1, 0.25, "wd"),
            Row("conv.blocks.0", 2, 4, 2, "ww"),
            Row("conv.blocks.1", 4, 4, 1, "ww"),
        ],
    ),
    (toml(LORA, "network_dim = 8", 'network_args = ["conv_block_dims=2,4"]'), [Row("*", 8, 1, 0.125, "wd")]),
    (
        toml('network_module = "networks.lora_flux"', "network_dim = 16", 'network_args = ["img_mlp_dim=4"]'),
        [Row("*", 16, 1, 0.0625, "wd"), Row("img_mlp", 4, 1, 0.25, "wd")],
    ),
    (
        toml(LORA, "network_dim = 8", "network_alpha = 8", 'network_args = ["network_reg_dims=.*attn.*=4,mlp=16"]'),
        [Row("*", 8, 8, 1, "ww"), Row(".*attn.*", 4, 8, 2, "wc"), Row("mlp", 16, 8, 0.5, "wc")],
    ),
    (
        toml(LORA, "network_dim = 16", "network_alpha = 8", 'network_args = ["rs_lora=True"]'),
        [Row("*", 16, 8, 0.5, "ww")],
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
    (shell("accelerate launch flux_train_network.py --network_alpha=2"), [Row("*", 4, 2, 0.5, "dw")]),
    (shell(TRAIN, "--network_dim=8 --network_alpha=8 --network_dim=16"), [Row("*", 16, 8, 0.5, "ww")]),
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
    (
        saved(LoRA_type="Flux1", network_dim=16, network_alpha=16, single_dim="4", img_mlp_dim="", txt_mod_dim="0"),
        [Row("*", 16, 16, 1, "ww"), Row("txt_mod", 0, 16, "?", "wc", "off"), Row("single", 4, 16, 4, "wc")],
    ),
    (
        saved(LoRA_type="Kohya DyLoRA", network_dim=16, network_alpha=8, conv_dim=16, conv_alpha=1, block_dims="4,8"),
        [Row("*", 16, 8, 0.5, "ww", method="dylora")],
    ),
]

EASY = ("[general_args.args]", 'optimizer_type = "Came"', "[network_args.args]")
MORE = "[network_args.args.network_args]"

LORA_EASY: Table = [
    (toml(*EASY, "network_dim = 8", "network_alpha = 4.0"), [Row("*", 8, 4, 0.5, "ww")]),
    (toml(*EASY, "network_alpha = 8.0"), [Row("*", 32, 8, 0.25, "dw")]),
    (toml(*EASY, "network_dim = 8"), [Row("*", 8, 16, 2, "wd")]),
    (toml(*EASY, "network_dim = 8", "network_alpha = 0"), [Row("*", 8, 1, 0.125, "wc")]),
    (
        toml(*EASY, "network_dim = 8", "network_alpha = 8", MORE, "conv_dim = 4", "conv_alpha = 1.0"),
        [Row("*", 8, 8, 1, "ww"), Row("conv", 4, 1, 0.25, "ww")],
    ),
    (
        toml(*EASY, "network_dim = 9", "network_alpha = 9", MORE, 'algo = "locon"', "dora_wd = true", "rs_lora = true"),
        [Row("*", 9, 9, 3, "ww", method="dora")],
    ),
    (
        toml(*EASY, "network_dim = 1024", "network_alpha = 1024", MORE, "conv_dim = 0", 'algo = "lokr"'),
        [Row("*", 1024, 1024, 1, "ww", "not-lora", "lokr"), Row("conv", 0, 1024, "?", "wc", "off", "lokr")],
    ),
    (
        toml(*EASY, "network_dim = 8", "network_alpha = 8", MORE, "unit = 4"),
        [Row("*", 8, 8, 1, "ww", method="dylora")],
    ),
    (
        toml(*EASY, "network_dim = 8", "network_alpha = 8", MORE, "block_dims = [2, 4]", "block_alphas = [1, 1]"),
        [Row("text_encoder", 8, 8, 1, "ww"), Row("blocks.0", 2, 1, 0.5, "ww"), Row("blocks.1", 4, 1, 0.25, "ww")],
    ),
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
    (
        ("a.yaml", "lora_unet:\n- {rank: 8, layers: ['re:.*attn$']}\n- {rank: 4, alpha: 2, layers: [conv_in]}\n"),
        [Row("re:.*attn$", 8, 1, 0.125, "wd"), Row("conv_in", 4, 2, 0.5, "ww")],
    ),
    (("a.yaml", "lora_text_encoder:\n- {alpha: 0, layers: [mlp]}\n"), [Row("mlp", 1, 0, 0, "dw")]),
    (
        ("a.yaml", "lora_unet:\n- {rank: 8, alpha: 0.5, alpha_auto_scale: false, layers: [ff]}\n"),
        [Row("ff", 8, 0.5, 0.5, "ww")],
    ),
    (("a.yaml", "lora_unet:\n- {rank: 0.01875, alpha: 2, layers: [ff]}\n"), [Row("ff", "?", 2, "?", "uw")]),
    (
        ("a.yaml", "model: {lora_rank: 8}\nlora_unet:\n- {rank: '${model.lora_rank}', layers: [ff]}\n"),
        [Row("ff", 8, 1, 0.125, "wd")],
    ),
]


TABLES = {
    "hcp_diffusion": HCP_DIFFUSION,
    "kohya": KOHYA,
    "kohya_ss": KOHYA_SS,
    "lora_easy": LORA_EASY,
    "lycoris": LYCORIS_ALONE,
}


@pytest.mark.parametrize(("name", "file", "expected"), named(TABLES))
def test_a_framework_gives_rank_alpha_and_scale(name: str, file: tuple[str, str], expected: list[Row]) -> None:
    found = setups(*file)
    assert [(setup.framework, setup.also, setup.convention) for setup in found] == [(name, (), "r")]
    assert rows(found) == expected


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (toml(LORA, "[net]", 'network_dim = "32"'), 'network_dim is "32", a string; sd-scripts needs an integer'),
        (toml(LORA, "network_dim = 0"), "network_dim is 0; sd-scripts needs more than 0"),
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


@pytest.mark.parametrize("key", ["full_fp16", "full_bf16", "learning_rate_te", "local_rank"])
def test_a_key_that_looks_like_another_one_is_known(key: str) -> None:
    (setup,) = setups(*toml(LORA, "network_dim = 8", f"{key} = 1"))
    assert setup.unknown_keys == ()


def test_a_misspelled_key_is_found_in_its_section() -> None:
    (setup,) = setups(*toml(LORA, "[net]", "network_dims = 32"))
    assert [(key.path, key.suggestion) for key in setup.unknown_keys] == [(("net", "network_dims"), "network_dim")]


@pytest.mark.parametrize(
    "file",
    [
        toml("network_alpha = 16", "[server]", "port = 80"),
        toml('network_module = "torch.nn"', "hidden = 8"),
        toml("cond_emb_dim = 32", "network_dim = 64"),
        toml("[network_args.args]", 'type = "lokr"', "rank = 8"),
        shell("python gen_img.py --network_module networks.lora --network_weights a.safetensors --network_mul 0.7"),
        shell("python sdxl_train_control_net_lllite.py --network_dim 64 --cond_emb_dim 32"),
        shell("python networks/resize_lora.py --new_rank 8 --network_dim 4"),
        shell("python scan.py --rank 4 --network_alpha 0.5"),
        shell("python train_lora.py --network_rank 16 --network_alpha 32"),
        shell("python wrapper.py --dataset d --network-dim 32"),
        saved(LoRA="Standard", network_dim=8),
        saved(algo="sha256", keys=["a"]),
        toml("enable_conv = true", "[module_algo_map.Attention]", "factor = 4"),
        ("a.yaml", "lora_unet: null\nlora_text_encoder: null\n"),
    ],
    ids=lambda file: file[1][:60],
)
def test_what_only_looks_like_a_training_of_a_lora_is_none(file: tuple[str, str]) -> None:
    assert setups(*file) == []


@pytest.mark.parametrize("name", TABLES)
def test_the_marker_of_a_framework_is_in_its_files(name: str) -> None:
    assert name == framework(name).NAME
    assert all(name in candidates(text.encode()) for (_, text), _ in TABLES[name])
