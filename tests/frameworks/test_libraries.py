"""Libraries and the scripts of papers: rank, alpha, scale, state and origins, as their own code computes them."""

import pytest

from tests.frameworks.rows import Named as Row
from tests.frameworks.rows import named as rows
from tests.frameworks.rows import setups

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
        "moshi_paths: {}\nsave_adapters: true\nrun_dir: r\nlora: {enable: true, scaling: 2., ft_embed: false}\n",
        Row("mistral_finetune", "all-linear", 64, 2, 2, "dw"),
    ),
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
    (
        "autotrain llm --train --model a/b --data-path d --peft --lora-r 8 --lora-alpha 16\n",
        Row("autotrain", "all-linear", 8, 16, 2, "ww"),
    ),
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
    ("python run_pruning.py --apply_lora\n", Row("loralib", "*", "?", "?", "?", "uu")),
    ("python run_pruning.py --apply_lora --lora_r 8\n", Row("loralib", "*", 8, "?", "?", "wu")),
    ("python run_pruning.py --apply_lora --lora_r 8 --lora_alpha 16\n", Row("loralib", "*", 8, 16, 2, "ww")),
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
        "import qwix\np = qwix.LoraProvider(module_path='.*q_einsum', rank=16, alpha=32.0, weight_qtype='nf4')\n",
        Row("qwix", ".*q_einsum", 16, 32, 2, "ww"),
    ),
    (
        "import qwix\nqwix.LoraProvider([qwix.LoraRule(module_path='.*mlp', rank=8, alpha=8)])\n",
        Row("qwix", ".*mlp", 8, 8, 1, "ww"),
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
        "from sat.model.finetune.lora2 import LoraMixin\nLoraMixin(args.num_layers, 10, 20)\n",
        Row("sat", "*", 10, 20, 2, "ww"),
    ),
    (
        "from speechbrain.nnet.adapters import LoRA\nLoRA(layer, rank=4)\n",
        Row("speechbrain", "*", 4, 1, 0.25, "wd"),
    ),
    (
        "from mistral_inference.args import LoraArgs\nLoraArgs(rank=64, scaling=2.0)\n",
        Row("mistral_finetune", "all-linear", 64, 2, 2, "ww"),
    ),
]

_MIXIN = "model: {modules: {lora_config: {target: sat.model.finetune.lora2.LoraMixin, params: {%s}}}}\n"
_ADAPTED = """
adapted: !new:speechbrain.nnet.adapters.AdaptedModel
    adapter_class: !name:speechbrain.nnet.adapters.LoRA
    adapter_kwargs: {%s}
"""

IN_YAML = [
    (_MIXIN % "r: 128", Row("sat", "*", 128, 1, 0.0078125, "wd")),
    (_MIXIN % "r: 8, lora_alpha: 16", Row("sat", "*", 8, 16, 2, "ww")),
    (_MIXIN % "lora_dropout: 0.1", Row("sat", "*", 0, 1, "?", "dd", "off")),
    (_ADAPTED % "rank: 4", Row("speechbrain", "*", 4, 1, 0.25, "wd")),
    (_ADAPTED % "rank: 4, alpha: 8.0", Row("speechbrain", "*", 4, 8, 2, "ww")),
    (
        "task: llm-sft\nbase_model: a/b\nparams: {peft: true, lora_r: 8}\n",
        Row("autotrain", "all-linear", 8, 32, 4, "wd"),
    ),
    (
        "task: vlm:vqa\nbase_model: a/b\nparams: {peft: true, target_modules: q_proj}\n",
        Row("autotrain", "q_proj", 16, 32, 2, "dd"),
    ),
    (
        "task: llm-dpo\nbase_model: a/b\nparams: {lora_r: 8, lora_alpha: 8}\n",
        Row("autotrain", "all-linear", 8, 8, 1, "ww", "off"),
    ),
]

TABLES = [
    ("a.yaml", LUDWIG + H2O + LEVANTER + MISTRAL + CHATGLM + OLIVE_YAML + IN_YAML),
    ("a.sh", COMMANDS),
    ("a.json", FIREFLY),
    ("a.py", PYTHON),
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
        ("a.yaml", "trainer: {mp: f32}\nlora: {r: 8, lora_alpha: 16}\n", "lora_alpha", "refuses to start"),
    ],
)
def test_a_key_of_another_library_is_named(name: str, text: str, key: str, reaction: str) -> None:
    (setup,) = setups(name, text)
    assert [(unknown.key, unknown.reaction) for unknown in setup.unknown_keys] == [(key, reaction)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "model_type: llm\ninput_features: []\nadapter: null\n"),
        ("a.yaml", "trainer: {mp: f32}\noptimizer: {learning_rate: 1}\n"),
        ("a.yaml", "passes: {c: {type: OnnxConversion}}\n"),
        ("a.yaml", "task: llm-sft\nbase_model: a/b\nparams: {lr: 1e-4, lora_dropout: 0.1}\n"),
        ("a.yaml", "m: {target: sat.model.position_embedding.rotary.RotaryMixin, params: {rank: 8}}\n"),
        (
            "a.yaml",
            "m: !new:speechbrain.nnet.adapters.AdaptedModel\n    adapter_kwargs: {projection_size: 8}\n"
            "    adapter_class: !name:speechbrain.nnet.adapters.HoulsbyAdapterLinear\n",
        ),
        ("a.yaml", "adapters: [{type: sqlite, r: 1}]\ntasks: []\ndatasets: []\n"),
        ("a.yaml", "data_config: {}\npeft_config: {peft_type: PREFIX_TUNING, num_virtual_tokens: 128}\n"),
        ("a.json", '{"train_file": "t", "max_seq_length": 8, "template_name": "q"}'),
        ("a.sh", "python finetuning.py --model_name lora\n"),
        ("a.sh", "python finetune.py --base_model b --data_path d --output_dir lora-alpaca\n"),
        ("a.py", "pipe.enable_lora()\n"),
        ("a.py", "engine = LLM(model, enable_lora=True, max_lora_rank=64)\n"),
        ("a.py", "import keras\nkeras.layers.Dense(8)\n"),
    ],
)
def test_what_trains_no_adapter_is_no_setup(name: str, text: str) -> None:
    assert setups(name, text) == []


PLACEHOLDER = "from peft import LoraConfig\nLoraConfig(r=0, target_modules=[{}])\n"
"""lmdeploy/pytorch/models/patch.py of InternLM/lmdeploy stands it for requests without an adapter."""


@pytest.mark.parametrize(
    ("targets", "state", "faults"),
    [("", "off", []), ("'q_proj'", "active", ["r is 0; PEFT needs more than 0"])],
)
def test_a_rank_of_0_without_targets_is_no_adapter(targets: str, state: str, faults: list[str]) -> None:
    (setup,) = setups("a.py", PLACEHOLDER.format(targets))
    assert [site.state for site in setup.sites] == [state]
    assert [bad.message for bad in setup.bad_values] == faults
