"""Trainers with LoRA layers of their own: rank, alpha, scale, state and origins, as their own code computes them.

Expected values come from reading upstream:
torchtune: torchtune/modules/peft/lora.py:146, recipes/lora_finetune_single_device.py:413-414 at bd2a0fc7.
LitGPT: litgpt/finetune/lora.py:49-64, litgpt/lora.py:127 at 26857050.
MLX-LM: mlx_lm/lora.py:44-76, tuner/utils.py:60-84, tuner/lora.py:98 at d78bf58e.
mlx-vlm: mlx_vlm/lora.py:306-308, trainer/utils.py:174-195 at 9b13f522.
AdapterHub: configuration/adapter_config.py:526-544, methods/lora.py:100, loading.py:408-426 at 88f18ebd.
"""

import pytest

from tests.frameworks.rows import Named as Row
from tests.frameworks.rows import named, setups

TORCHTUNE = [
    (
        "model:\n  _component_: torchtune.models.llama3.lora_llama3_8b\n  lora_attn_modules: ['q_proj', 'v_proj']\n"
        "  apply_lora_to_mlp: True\n  lora_rank: 8\n  lora_alpha: 16\n",
        Row("torchtune", "q_proj v_proj mlp", 8, 16, 2, "ww"),
    ),
    (
        "model:\n  _component_: torchtune.models.mistral.qlora_mistral_7b\n  lora_attn_modules: ['q_proj']\n"
        "  lora_rank: 64\n  lora_alpha: 16\n  use_dora: True\n",
        Row("torchtune", "q_proj", 64, 16, 0.25, "ww", method="dora"),
    ),
    (
        "model:\n  _component_: torchtune.models.phi3.lora_phi3_mini\n  lora_rank: 32\n",
        Row("torchtune", "*", 32, None, "?", "wd"),
    ),
    (
        "model:\n  _component_: torchtune.models.phi3.lora_phi3_mini\n  lora_alpha: 32\n",
        Row("torchtune", "*", "?", 32, "?", "uw"),
    ),
    (
        "model:\n  _component_: torchtune.models.qwen2_5.lora_qwen2_5_7b\n  lora_rank: 64\n  lora_alpha: 128\n"
        "teacher_model:\n  _component_: torchtune.models.qwen2_5.lora_qwen2_5_14b_instruct\n",
        Row("torchtune", "*", 64, 128, 2, "ww"),
    ),
    (
        "model:\n  _component_: torchtune.models.gemma2.lora_gemma2_2b\n  lora_rank: 16\n  lora_alpha: 32\n"
        "  use_rslora: True\n",
        Row("torchtune", "*", 16, 32, 2, "ww"),
    ),
]

TUNE_RUN = [
    (
        "tune run --nproc_per_node 2 lora_finetune_distributed --config llama3/8B_lora"
        " model.lora_rank=64 model.lora_alpha=128 model.lora_attn_modules=['q_proj','k_proj']\n",
        Row("torchtune", "q_proj k_proj", 64, 128, 2, "ww"),
    ),
    (
        "tune run lora_finetune_single_device --config my.yaml model.lora_rank=64\n",
        Row("torchtune", "*", 64, "?", "?", "wu"),
    ),
    (
        "tune run lora_dpo_single_device --config my.yaml model.lora_rank=64 model.lora_alpha=64 model.lora_rank=32\n",
        Row("torchtune", "*", 32, 64, 2, "ww"),
    ),
]

LITGPT = [
    (
        "checkpoint_dir: checkpoints/org/base\nlora_r: 32\nlora_alpha: 16\nlora_query: true\nlora_key: true\n",
        Row("litgpt", "query key value", 32, 16, 0.5, "ww"),
    ),
    (
        "checkpoint_dir: base\nout_dir: out\nlora_r: 64\nlora_value: false\nlora_mlp: true\n",
        Row("litgpt", "query mlp", 64, 16, 0.25, "wd"),
    ),
    ("out_dir: out\nlora_r: 0\nlora_query: true\n", Row("litgpt", "query value", 0, 16, "?", "wd", "off")),
    (
        "checkpoint_dir: b\nlora_r: 8\nlora_alpha: 16\nlora_query: false\nlora_value: false\n",
        Row("litgpt", "*", 8, 16, 2, "ww", "off"),
    ),
    (
        "checkpoint_dir: base\nout_dir: out\nprecision: bf16-true\nquantize: null\nlora_r: 16\nlora_alpha: 16\n"
        "lora_dropout: 0.05\nlora_query: true\nlora_key: true\nlora_value: true\nlora_projection: true\n"
        "lora_mlp: true\nlora_head: true\nuse_rslora: true\n",
        Row("litgpt", "query key value projection mlp head", 16, 16, 1, "ww"),
    ),
]

LITGPT_COMMANDS = [
    ("litgpt finetune_lora org/base --lora_r 4 --lora_alpha=8\n", Row("litgpt", "query value", 4, 8, 2, "ww")),
    ("litgpt finetune_lora org/base --lora_r 32\n", Row("litgpt", "query value", 32, 16, 0.5, "wd")),
    ("litgpt finetune lora --checkpoint_dir b --lora_r 4\n", Row("litgpt", "query value", 4, 16, 4, "wd")),
    ("litgpt finetune_lora b\n", Row("litgpt", "query value", 8, 16, 2, "dd")),
    ("litgpt finetune_lora b --config c.yaml --lora_r 4\n", Row("litgpt", "query value", 4, "?", "?", "wu")),
    ("python litgpt/finetune/lora.py --lora_alpha 32\n", Row("litgpt", "query value", 8, 32, 4, "dw")),
    ("litgpt finetune_lora b --lora_r 4 --lora_r 8\n", Row("litgpt", "query value", 8, 16, 2, "wd")),
    ("litgpt finetune_lora b --lora_r 0\n", Row("litgpt", "query value", 0, 16, "?", "wd", "off")),
]

MLX = [
    (
        "model: org/base\nfine_tune_type: lora\nnum_layers: 16\n"
        "lora_parameters:\n  keys: [self_attn.q_proj]\n  rank: 8\n  scale: 20.0\n  dropout: 0.0\n",
        Row("mlx_lm", "self_attn.q_proj", 8, 20, 20, "ww"),
    ),
    ("lora_parameters: {rank: 16, scale: 2, dropout: 0, alpha: 32}\n", Row("mlx_lm", "all-linear", 16, 2, 2, "ww")),
    ("lora_parameters: {rank: 16, dropout: 0}\n", Row("mlx_lm", "all-linear", 16, None, "?", "wd")),
    (
        "fine_tune_type: dora\nlora_parameters: {rank: 4, scale: 1.5, dropout: 0}\n",
        Row("mlx_lm", "all-linear", 4, 1.5, 1.5, "ww", method="dora"),
    ),
    (
        "fine_tune_type: full\nlora_parameters: {rank: 4, scale: 2, dropout: 0}\n",
        Row("mlx_lm", "all-linear", 4, 2, 2, "ww", "off"),
    ),
    (
        "model: m\nfine_tune_type: lora\nnum_layers: 16\niters: 100\nadapter_path: a\n",
        Row("mlx_lm", "all-linear", 8, 20, 20, "dd"),
    ),
    (
        "lora_layers: 16\nlora_parameters: {rank: 8, alpha: 16, scale: 10, dropout: 0}\n",
        Row("mlx_lm", "all-linear", 8, 16, "?", "ww"),
    ),
    (
        "lora_layers: 16\nlora_parameters: {rank: 16, alpha: 16, scale: 10, dropout: 0}\n",
        Row("mlx_lm", "all-linear", 16, 10, 10, "ww"),
    ),
]

MLX_ADAPTERS = [
    (
        '{"fine_tune_type": "lora", "num_layers": 16, "adapter_path": "a",'
        ' "lora_parameters": {"rank": 8, "alpha": 16, "dropout": 0.0, "scale": 10.0}}',
        Row("mlx_lm", "all-linear", 8, 10, 10, "ww"),
    ),
    ('{"rank": 16, "alpha": 32.0, "dropout": 0.05}', Row("mlx_vlm", "all-linear", 16, 32, 2, "ww")),
    (
        '{"fine_tune_type": "lora", "num_layers": 8, "lora_parameters":'
        ' {"rank": 8, "dropout": 0.0, "scale": 2.0, "keys": ["language_model.q_proj"]}}',
        Row("mlx_lm", "language_model.q_proj", 8, 2, 2, "ww"),
    ),
]

MLX_COMMANDS = [
    ("mlx_lm.lora --model org/base --train --data d\n", Row("mlx_lm", "all-linear", 8, 20, 20, "dd")),
    ("python -m mlx_lm lora --train\n", Row("mlx_lm", "all-linear", 8, 20, 20, "dd")),
    (
        "python -m mlx_vlm.lora --dataset d --lora-rank 16 --lora-alpha 32\n",
        Row("mlx_vlm", "all-linear", 16, 32, 2, "ww"),
    ),
    ("python -m mlx_vlm.lora --dataset d --lora-rank 64\n", Row("mlx_vlm", "all-linear", 64, 16, 0.25, "wd")),
    (
        "python -m mlx_vlm.lora --full-finetune --lora-rank 8\n",
        Row("mlx_vlm", "all-linear", 8, 16, 2, "wd", "off"),
    ),
    (
        "python mlx_vlm/lora.py --adapter-path a --lora-rank 8\n",
        Row("mlx_vlm", "all-linear", "?", "?", "?", "uu"),
    ),
    ("mlx_lm.lora --train --lora-layers 8\n", Row("mlx_lm", "all-linear", 8, "?", "?", "du")),
    (
        "mlx_lm.lora --train --fine-tune-type full\n",
        Row("mlx_lm", "all-linear", 8, 20, 20, "dd", "off"),
    ),
    (
        "mlx_lm.lora --train --fine-tune-type dora\n",
        Row("mlx_lm", "all-linear", 8, 20, 20, "dd", method="dora"),
    ),
]

MLX_PYTHON = [
    (
        "from mlx_lm.tuner.utils import linear_to_lora_layers\n"
        'settings = {"rank": 8, "scale": 20.0, "dropout": 0.0}\nlinear_to_lora_layers(model, 16, settings)\n',
        Row("mlx_lm", "all-linear", 8, 20, 20, "ww"),
    ),
    (
        "from mlx_vlm.trainer import get_peft_model\nget_peft_model(model, layers, rank=10, alpha=20)\n",
        Row("mlx_vlm", "all-linear", 10, 20, 2, "ww"),
    ),
    (
        "import yaml\nsettings = {'model': 'm', 'train': True, 'lora_parameters': {'rank': 8, 'scale': 2.0}}\n"
        "yaml.dump(settings, open('c.yaml', 'w'))\n",
        Row("mlx_lm", "all-linear", 8, 2, 2, "ww"),
    ),
    (
        "import mlx_vlm.trainer\nmlx_vlm.trainer.get_peft_model(m, n, rank=8)\n",
        Row("mlx_vlm", "all-linear", 8, 0.1, 0.0125, "wd"),
    ),
]

ADAPTERHUB = [
    (
        '{"config": {"architecture": "lora", "r": 8, "alpha": 16, "attn_matrices": ["q", "v"]},'
        ' "version": "adapters.1.1.0"}',
        Row("adapterhub", "q v", 8, 16, 2, "ww"),
    ),
    (
        '{"config": {"architecture": "lora", "r": 8, "alpha": 16, "attn_matrices": ["q"]},'
        ' "version": "adapters.1.0.1"}',
        Row("adapterhub", "q", 8, 8, 1, "wc"),
    ),
    (
        '{"config": {"architecture": "lora", "r": 8, "use_dora": true, "attn_matrices": ["q"]}}',
        Row("adapterhub", "q", 8, 8, 1, "wd", method="dora"),
    ),
    (
        '{"config": {"architecture": "lora", "r": 1, "alpha": 1, "composition_mode": "scale", "attn_matrices": ["k"]}}',
        Row("adapterhub", "k", 1, 1, 1, "ww", "not-lora", "ia3"),
    ),
    (
        '{"config": {"architecture": "lora", "r": 8, "alpha": 16, "attn_matrices": ["q"]},'
        ' "version": "adapters.1.1.0.dev0"}',
        Row("adapterhub", "q", 8, 8, 1, "wc"),
    ),
    (
        '{"config": {"architecture": "lora", "r": 8, "alpha": 16, "attn_matrices": ["q"]}, "version": "3.2.1"}',
        Row("adapterhub", "q", 8, 16, 2, "ww"),
    ),
    (
        '{"config": {"architecture": "lora", "r": 8, "alpha": 16, "vera_d": 0.1, "attn_matrices": ["q"]}}',
        Row("adapterhub", "q", 8, 16, 2, "ww", "not-lora", "vera"),
    ),
]

ADAPTERHUB_PYTHON = [
    ("from adapters import LoRAConfig\nLoRAConfig(r=8, alpha=16)\n", Row("adapterhub", "q v", 8, 16, 2, "ww")),
    ("import adapters\nadapters.LoRAConfig(r=16)\n", Row("adapterhub", "q v", 16, 8, 0.5, "wd")),
    (
        "from transformers.adapters import LoRAConfig\nLoRAConfig(r=4, alpha=8, attn_matrices=['q'])\n",
        Row("adapterhub", "q", 4, 8, 2, "ww"),
    ),
]

TABLES = [
    ("a.yaml", TORCHTUNE + LITGPT + MLX),
    ("a.sh", TUNE_RUN + LITGPT_COMMANDS + MLX_COMMANDS),
    ("adapter_config.json", MLX_ADAPTERS + ADAPTERHUB),
    ("a.py", MLX_PYTHON + ADAPTERHUB_PYTHON),
]


@pytest.mark.parametrize(("name", "text", "expected"), [(name, *one) for name, table in TABLES for one in table])
def test_a_trainer_makes_of_its_settings_what_its_code_does(name: str, text: str, expected: Row) -> None:
    assert named(name, text) == [expected]


@pytest.mark.parametrize(
    ("name", "text", "key", "reaction"),
    [
        ("a.yaml", "lora_parameters: {rank: 8, scale: 2, alpha: 16}\n", "alpha", "ignores it without a word"),
        ("a.yaml", "out_dir: o\nlora_query: true\nlora_rank: 8\n", "lora_rank", "refuses to start"),
    ],
)
def test_a_key_of_another_trainer_is_named(name: str, text: str, key: str, reaction: str) -> None:
    (setup,) = setups(name, text)
    assert [(unknown.key, unknown.reaction) for unknown in setup.unknown_keys] == [(key, reaction)]


def test_an_alpha_that_mlx_saved_itself_is_not_reported() -> None:
    text = '{"fine_tune_type": "lora", "lora_parameters": {"rank": 8, "alpha": 16, "dropout": 0.0, "scale": 10.0}}'
    (setup,) = setups("adapter_config.json", text)
    assert setup.unknown_keys == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "model:\n  _component_: torchtune.models.llama3.llama3_8b\n"),
        ("a.yaml", "checkpoint_dir: b\ntrain: {epochs: 1}\n"),
        ("a.yaml", "fine_tune_type: full\nnum_layers: 16\niters: 10\nadapter_path: a\n"),
        ("a.json", '{"rank": 16, "alpha": 0.5, "dropout": 0.1}'),
        ("adapter_config.json", '{"rank": 16, "alpha": 0.5, "page": 3}'),
        ("adapter_config.json", '{"config": {"architecture": "prefix_tuning", "attn_matrices": []}}'),
        ("a.sh", "mlx_lm.lora --model m --adapter-path a --test\n"),
        ("a.sh", "mlx_lm.lora --train --config c.yaml\n"),
        ("a.sh", "litgpt generate out/lora\n"),
        ("a.sh", "tune run full_finetune_single_device --config c.yaml\n"),
        ("a.py", "linear_to_lora_layers(model, 16, dict(config['lora_parameters']))\n"),
        ("a.py", "from adapters import IA3Config\nIA3Config(alpha=2, r=1)\n"),
        ("a.yaml", "model:\n  _component_: torchtune.models.phi4.lora_phi4_14b\nquantizer: {groupsize: 256}\n"),
    ],
)
def test_what_trains_no_adapter_is_no_setup(name: str, text: str) -> None:
    assert setups(name, text) == []
