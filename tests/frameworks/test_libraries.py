"""Libraries and the scripts of papers: rank, alpha, scale, state and origins, as their own code computes them."""

from typing import NamedTuple

import pytest

from tests.frameworks.rows import row, setups


class Row(NamedTuple):
    """A site; `?` is unknown, `-` an alpha that doesn't exist, and w, d, c, u say who gave rank and alpha."""

    framework: str
    modules: str
    rank: float | str | None
    alpha: float | str | None
    scale: float | str
    origins: str
    state: str = "active"
    method: str = "lora"


def rows(name: str, text: str) -> list[Row]:
    return [Row(setup.framework, *row(site)) for setup in setups(name, text) for site in setup.sites]


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
]

LITGPT_COMMANDS = [
    ("litgpt finetune_lora org/base --lora_r 4 --lora_alpha=8\n", Row("litgpt", "query value", 4, 8, 2, "ww")),
    ("litgpt finetune_lora org/base --lora_r 32\n", Row("litgpt", "query value", 32, 16, 0.5, "wd")),
    ("litgpt finetune lora --checkpoint_dir b --lora_r 4\n", Row("litgpt", "query value", 4, 16, 4, "wd")),
    ("litgpt finetune_lora b\n", Row("litgpt", "query value", 8, 16, 2, "dd")),
    ("litgpt finetune_lora b --config c.yaml --lora_r 4\n", Row("litgpt", "query value", 4, "?", "?", "wu")),
    ("python litgpt/finetune/lora.py --lora_alpha 32\n", Row("litgpt", "query value", 8, 32, 4, "dw")),
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
]

ADAPTERHUB_PYTHON = [
    ("from adapters import LoRAConfig\nLoRAConfig(r=8, alpha=16)\n", Row("adapterhub", "q v", 8, 16, 2, "ww")),
    ("import adapters\nadapters.LoRAConfig(r=16)\n", Row("adapterhub", "q v", 16, 8, 0.5, "wd")),
]

LUDWIG = [
    (
        "model_type: llm\ninput_features: []\nadapter: {type: lora, r: 16, alpha: 32, use_rslora: true}\n",
        Row("ludwig", "*", 16, 32, 8, "ww"),
    ),
    (
        "model_type: llm\nbase_model: b\ninput_features: []\nadapter: {type: lora, r: 16}\n",
        Row("ludwig", "*", 16, 32, 2, "wc"),
    ),
    ("model_type: llm\ninput_features: []\nadapter: lora\n", Row("ludwig", "*", 8, 16, 2, "dc")),
    (
        "input_features:\n  - name: t\n    encoder: {type: bert, adapter: {type: lora, r: 4, alpha: 4}}\n",
        Row("ludwig", "*", 4, 4, 1, "ww"),
    ),
    (
        "model_type: llm\ninput_features: []\nadapter: {type: lokr, r: 4, alpha: 8}\n",
        Row("ludwig", "*", 4, 8, 2, "ww", "not-lora", "lokr"),
    ),
]

H2O = [
    (
        "llm_backbone: b\ntraining: {lora: true, lora_r: 4, lora_alpha: 16}\n",
        Row("h2o_llm_studio", "all-linear", 4, 16, 4, "ww"),
    ),
    (
        "llm_backbone: b\ntraining: {lora: false, lora_r: 4, lora_alpha: 16}\n",
        Row("h2o_llm_studio", "all-linear", 4, 16, 4, "ww", "off"),
    ),
    (
        "llm_backbone: b\ntraining: {lora_r: 64, use_rslora: true, lora_target_modules: 'q_proj, v_proj'}\n",
        Row("h2o_llm_studio", "q_proj v_proj", 64, 16, 2, "wd"),
    ),
]

LEVANTER = [
    (
        "trainer: {mp: f32, num_train_steps: 10}\nlora: {r: 8, alpha: 16.0}\n",
        Row("levanter", "all-linear", 8, 16, 2, "ww"),
    ),
    (
        "trainer: {train_batch_size: 8}\nlora: {r: 32, target_modules: [q_proj]}\n",
        Row("levanter", "q_proj", 32, 8, 0.25, "wd"),
    ),
]

MISTRAL = [
    ("model_id_or_path: m\nrun_dir: r\nlora: {rank: 64}\n", Row("mistral_finetune", "all-linear", 64, 2, 2, "wd")),
    (
        "model_id_or_path: m\nseq_len: 8\nlora: {rank: 64, scaling: 0.5}\n",
        Row("mistral_finetune", "all-linear", 64, 0.5, 0.5, "ww"),
    ),
    (
        "model_id_or_path: m\nseq_len: 8\nlora: {enable: false, rank: 64}\n",
        Row("mistral_finetune", "all-linear", 64, 2, 2, "wd", "off"),
    ),
]

CHATGLM = [
    (
        "data_config: {train_file: t}\ntraining_args: {max_steps: 1}\n"
        "peft_config: {peft_type: LORA, r: 8, lora_alpha: 32, target_modules: [query_key_value]}\n",
        Row("chatglm", "query_key_value", 8, 32, 4, "ww"),
    ),
    (
        "data_config: {train_file: t}\npeft_config: {peft_type: LORA, r: 64}\n",
        Row("chatglm", "*", 64, 8, 0.125, "wd"),
    ),
]

OLIVE_YAML = [
    (
        "input_model: {type: HfModel}\npasses: {f: {type: QLoRA, r: 64, alpha: 16}}\n",
        Row("olive", "*", 64, 16, 0.25, "ww"),
    ),
    ("passes: {f: {type: lora, r: 8}}\n", Row("olive", "*", 8, 16, 2, "wd")),
    ("passes: {f: {type: SDLoRA, r: 8}}\n", Row("olive", "*", 8, 8, 1, "wc")),
    ("passes: {f: {type: LoRA, config: {r: 8, alpha: 8}}}\n", Row("olive", "*", 8, 8, 1, "ww")),
    ("passes: {f: [{type: DoRA, r: 8, alpha: 8}]}\n", Row("olive", "*", 8, 8, 1, "ww", method="dora")),
    ("passes: {f: {type: LoKr, r: 8, alpha: 8}}\n", Row("olive", "*", 8, 8, 1, "ww", "not-lora", "lokr")),
    ("passes: {f: {type: LoRA, r: SEARCHABLE_VALUES}}\n", Row("olive", "*", "?", 16, "?", "ud")),
]

FIREFLY = [
    (
        '{"train_file": "t", "template_name": "q", "max_seq_length": 8, "lora_rank": 64, "lora_alpha": 16}',
        Row("firefly", "all-linear", 64, 16, 0.25, "ww"),
    ),
    (
        '{"train_file": "t", "template_name": "q", "max_seq_length": 8, "train_mode": "full", "lora_rank": 64}',
        Row("firefly", "all-linear", 64, 16, 0.25, "wd", "off"),
    ),
]

COMMANDS = [
    ("olive finetune --method qlora -m x --lora_r 16 --lora_alpha 32\n", Row("olive", "*", 16, 32, 2, "ww")),
    ("olive finetune -m x --lora_r 16\n", Row("olive", "*", 16, 16, 1, "wd")),
    ("olive diffusion-lora -m x -r 32 --alpha 64\n", Row("olive", "*", 32, 64, 2, "ww")),
    (
        "python -m levanter.main.lora_lm --config_path c.yaml --lora.r 16 --lora.alpha 32\n",
        Row("levanter", "all-linear", 16, 32, 2, "ww"),
    ),
    (
        "python -m levanter.main.lora_lm --config_path c.yaml --lora.r 16\n",
        Row("levanter", "all-linear", 16, "?", "?", "wu"),
    ),
    (
        "torchrun --nproc_per_node 4 finetuning.py --use_peft --peft_method lora --lora_config.r 16\n",
        Row("llama_cookbook", "q_proj v_proj", 16, 32, 2, "wd"),
    ),
    (
        "python -m llama_recipes.finetuning --use_peft --peft_method lora\n",
        Row("llama_cookbook", "q_proj v_proj", 8, 32, 4, "dd"),
    ),
    (
        "python -m llama_cookbook.finetuning --peft_method lora --lora_config.lora_alpha=16\n",
        Row("llama_cookbook", "q_proj v_proj", 8, 16, 2, "dw", "off"),
    ),
    (
        "python finetune.py --base_model b --data_path d --cutoff_len 8 --lora_r=16\n",
        Row("alpaca_lora", "*", 16, 16, 1, "wd"),
    ),
    (
        "python finetune.py --base_model b --data_path d --adapter_name bottleneck --lora_r=16\n",
        Row("alpaca_lora", "*", 16, 16, 1, "wd", "not-lora", "bottleneck"),
    ),
    (
        "python qlora.py --bits 4 --lora_r 64 --lora_alpha 16\n",
        Row("qlora", "all-linear", 64, 16, 0.25, "ww"),
    ),
    ("python qlora.py --bits 4 --quant_type nf4\n", Row("qlora", "all-linear", 64, 16, 0.25, "dd")),
    ("python qlora.py --full_finetune --lora_r 8\n", Row("qlora", "all-linear", 8, 16, 2, "wd", "off")),
    ("python src/gpt2_ft.py --lora_dim 4 --lora_alpha 32\n", Row("loralib", "*", 4, 32, 8, "ww")),
    ("python src/gpt2_ft.py --lora_dim 4\n", Row("loralib", "*", 4, 128, 32, "wd")),
    ("python src/gpt2_ft.py --lora_dim 0\n", Row("loralib", "*", 0, 128, "?", "wd", "off")),
    ("python run_glue.py --apply_lora --lora_r 8 --lora_alpha 16\n", Row("loralib", "*", 8, 16, 2, "ww")),
    ("python run_glue.py --apply_lora --lora_r 8\n", Row("loralib", "*", 8, None, "?", "wd")),
    ("python run_glue.py --apply_lora --lora_alpha 16\n", Row("loralib", "*", "?", 16, "?", "uw")),
    (
        "python training/supervised_finetuning.py --use_peft True --lora_rank 8 --lora_alpha 16\n",
        Row("medical_gpt", "all", 8, 16, 2, "ww"),
    ),
    (
        "python training/pretraining.py --use_peft True --lora_rank 8\n",
        Row("medical_gpt", "all", 8, 32, 4, "wd"),
    ),
    (
        "python training/dpo_training.py --use_peft False --lora_rank 8\n",
        Row("medical_gpt", "all", 8, 16, 2, "wd", "off"),
    ),
]

PYTHON = [
    ("lm.backbone.enable_lora(rank=4)\n", Row("keras", "*", 4, 4, 1, "wc")),
    ("def adapt(lm, size):\n    lm.backbone.enable_lora(rank=size)\n", Row("keras", "*", "?", "?", 1, "uu")),
    ("lm.backbone.enable_lora(4)\n", Row("keras", "*", 4, 4, 1, "wc")),
    ("layer.enable_lora(rank=4, lora_alpha=8)\n", Row("keras", "*", 4, 8, 2, "ww")),
    (
        "from keras import layers\nlayers.Dense(8, lora_rank=4, lora_alpha=8)\n",
        Row("keras", "*", 4, 4, 1, "wc"),
    ),
    (
        "import keras\nkeras.layers.EinsumDense('ab', 8, lora_rank=4, lora_alpha=8)\n",
        Row("keras", "*", 4, 8, 2, "ww"),
    ),
    (
        "from gemma import gm\nmodel = gm.nn.LoRA(rank=4, model=gm.nn.Gemma3_4B())\n",
        Row("gemma", "all-linear", 4, "-", 1, "w-"),
    ),
    (
        "from llama_cookbook.configs import lora_config\nlora_config(r=16)\n",
        Row("llama_cookbook", "q_proj v_proj", 16, 32, 2, "wd"),
    ),
    (
        "import loralib as lora\nlora.Linear(8, 8, r=16, lora_alpha=32)\n",
        Row("loralib", "*", 16, 32, 2, "ww"),
    ),
    (
        "import loralib as lora\nlora.Linear(8, 8, r=16)\n",
        Row("loralib", "*", 16, 1, 0.0625, "wd"),
    ),
    (
        "import loralib as ll\nll.Linear(8, 8, r=16)\n",
        Row("loralib", "*", 16, 1, 0.0625, "wd"),
    ),
    (
        "from levanter.lora import LoraConfig\nLoraConfig(r=16, alpha=32.0)\n",
        Row("levanter", "all-linear", 16, 32, 2, "ww"),
    ),
    (
        "from mistral_inference.args import LoraArgs\nLoraArgs(rank=64, scaling=2.0)\n",
        Row("mistral_finetune", "all-linear", 64, 2, 2, "ww"),
    ),
]

TABLES = [
    ("a.yaml", TORCHTUNE + LITGPT + MLX + LUDWIG + H2O + LEVANTER + MISTRAL + CHATGLM + OLIVE_YAML),
    ("a.sh", TUNE_RUN + LITGPT_COMMANDS + MLX_COMMANDS + COMMANDS),
    ("adapter_config.json", MLX_ADAPTERS + ADAPTERHUB),
    ("a.json", FIREFLY),
    ("a.py", MLX_PYTHON + ADAPTERHUB_PYTHON + PYTHON),
]


@pytest.mark.parametrize(("name", "text", "expected"), [(name, *one) for name, table in TABLES for one in table])
def test_a_library_makes_of_its_settings_what_its_code_does(name: str, text: str, expected: Row) -> None:
    assert rows(name, text) == [expected]


def test_every_adapter_of_mlora_is_a_site() -> None:
    text = (
        "dispatcher: {name: default}\nadapters:\n"
        "  - {name: one, type: lora, r: 32, alpha: 64}\n  - {name: two, type: loraplus, r: 32}\n"
        "  - {name: three, type: vera, r: 1024, alpha: 64}\ntasks: []\n"
    )
    assert rows("a.yaml", text) == [
        Row("mlora", "one", 32, 64, 2, "ww"),
        Row("mlora", "two", 32, None, "?", "wd"),
        Row("mlora", "three", 1024, 64, 0.0625, "ww", "not-lora", "vera"),
    ]


def test_patterns_of_ludwig_are_those_of_peft() -> None:
    text = (
        "model_type: llm\ninput_features: []\n"
        "adapter: {type: lora, r: 16, target_modules: [q_proj, v_proj], rank_pattern: {v_proj: 4}}\n"
    )
    assert rows("a.yaml", text) == [
        Row("ludwig", "q_proj", 16, 32, 2, "wc"),
        Row("ludwig", "v_proj", 4, 32, 8, "wc"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "key", "reaction"),
    [
        ("a.yaml", "lora_parameters: {rank: 8, scale: 2, alpha: 16}\n", "alpha", "ignores it without a word"),
        ("a.yaml", "out_dir: o\nlora_query: true\nlora_rank: 8\n", "lora_rank", "refuses to start"),
        ("a.yaml", "trainer: {mp: f32}\nlora: {r: 8, lora_alpha: 16}\n", "lora_alpha", "refuses to start"),
    ],
)
def test_a_key_of_another_library_is_named(name: str, text: str, key: str, reaction: str) -> None:
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
        ("a.yaml", "model_type: llm\ninput_features: []\nadapter: null\n"),
        ("a.yaml", "trainer: {mp: f32}\noptimizer: {learning_rate: 1}\n"),
        ("a.yaml", "passes: {c: {type: OnnxConversion}}\n"),
        ("a.yaml", "adapters: [{type: sqlite, r: 1}]\ntasks: []\ndatasets: []\n"),
        ("a.yaml", "data_config: {}\npeft_config: {peft_type: PREFIX_TUNING, num_virtual_tokens: 128}\n"),
        ("a.json", '{"rank": 16, "alpha": 0.5, "dropout": 0.1}'),
        ("adapter_config.json", '{"rank": 16, "alpha": 0.5, "page": 3}'),
        ("adapter_config.json", '{"config": {"architecture": "prefix_tuning", "attn_matrices": []}}'),
        ("a.json", '{"train_file": "t", "max_seq_length": 8, "template_name": "q"}'),
        ("a.sh", "mlx_lm.lora --model m --adapter-path a --test\n"),
        ("a.sh", "mlx_lm.lora --train --config c.yaml\n"),
        ("a.sh", "litgpt generate out/lora\n"),
        ("a.sh", "tune run full_finetune_single_device --config c.yaml\n"),
        ("a.sh", "python finetuning.py --model_name lora\n"),
        ("a.sh", "python finetune.py --base_model b --data_path d --output_dir lora-alpaca\n"),
        ("a.py", "linear_to_lora_layers(model, 16, dict(config['lora_parameters']))\n"),
        ("a.py", "pipe.enable_lora()\n"),
        ("a.py", "engine = LLM(model, enable_lora=True, max_lora_rank=64)\n"),
        ("a.py", "import keras\nkeras.layers.Dense(8)\n"),
        ("a.py", "from adapters import IA3Config\nIA3Config(alpha=2, r=1)\n"),
    ],
)
def test_what_trains_no_adapter_is_no_setup(name: str, text: str) -> None:
    assert setups(name, text) == []
