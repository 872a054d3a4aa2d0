"""Trainers of NVIDIA, of reinforcement learning and of robots, and hosted services: what their own code computes.

Read at: verl 1dda039b and b178a3cd (workers/engine/fsdp/transformer_impl.py:320-349), OpenRLHF 3c3be623
(cli/train_ppo_ray.py:365-368), NeMo 8cfedd72 (nlp/parts/peft_config.py:266, llm/recipes/llama3_8b.py), Megatron-Bridge
067f987d (peft/lora.py:84-89, peft/module_matcher.py:64-68), NeMo Automodel 36044ad3 (components/_peft/lora.py:44-61),
NeMo-RL 7ea279ab (models/policy/lm_policy.py:118-119), LeRobot 7427f318 (configs/default.py:196-226,
policies/pretrained.py:444-468), OpenVLA c8f03f48 (vla-scripts/finetune.py:176), Ludwig 5d19f3e6
(schema/llms/peft.py:147-149), Together eba5e5f0 (cli/api/finetune.py:127,346-347), llama-cookbook 0e003351
(configs/peft.py:8-15), Olive ee6f40fb (cli/finetune.py:50-60), Keras 3422977a (layers/core/dense.py:312).
"""

from pathlib import Path

import pytest

from lora_lint.files import Candidate
from lora_lint.frameworks import candidates
from lora_lint.reading import read_file
from tests.frameworks.rows import Row, rows, setups

Table = list[tuple[tuple[str, str], list[Row]]]
ALL = "all-linear"


def shell(*words: str) -> tuple[str, str]:
    return "train.sh", " \\\n  ".join(words)


def script(*lines: str) -> tuple[str, str]:
    return "train.sh", "\n".join(lines)


def yaml(*lines: str) -> tuple[str, str]:
    return "config.yaml", "\n".join(lines)


def python(*lines: str) -> tuple[str, str]:
    return "train.py", "\n".join(lines)


PPO = "python3 -m verl.trainer.main_ppo"
ACTOR, CRITIC = "actor_rollout_ref.model", "critic.model"

VERL: Table = [
    (shell(PPO, f"{ACTOR}.lora_rank=8", f"{ACTOR}.lora_alpha=8", f"{ACTOR}.lora_alpha=16"), [Row(ALL, 8, 16, 2, "ww")]),
    (shell(PPO, f"{ACTOR}.lora_rank=8", f"+{ACTOR}.use_rslora=True"), [Row(ALL, 8, 16, 2, "wd")]),
    (shell("python3 -m verl_omni.trainer.main_flowgrpo", f"{ACTOR}.lora_rank=8"), [Row(ALL, 8, "?", "?", "wu")]),
    (
        shell(PPO, f"{ACTOR}.lora_rank=8", f"{ACTOR}.lora_alpha=16", f"{ACTOR}.lora_adapter_path=out/lora"),
        [Row(ALL, "?", "?", "?", "uu")],
    ),
    (
        shell(PPO, f"{ACTOR}.lora_rank=8", f"{ACTOR}.lora_alpha=16", f"{ACTOR}.lora_adapter_path=null"),
        [Row(ALL, 8, 16, 2, "ww")],
    ),
    (yaml("actor_rollout_ref: {model: {lora: {rank: 8, alpha: null}}}"), [Row("*", 8, 8, 1, "wc")]),
    (
        shell(PPO, f"{ACTOR}.lora_rank=8", f"{ACTOR}.lora_alpha=16", f"{CRITIC}.lora_rank=0", f"{CRITIC}.lora_alpha=8"),
        [Row(ALL, 8, 16, 2, "ww"), Row(ALL, 0, 8, "?", "ww", "off")],
    ),
    (
        script(
            "RANK=${RANK:-32}",
            f"MODEL=({ACTOR}.lora_rank=$RANK {ACTOR}.lora_alpha=$((2*RANK)))",
            f'{PPO} "${{MODEL[@]}}" {CRITIC}.lora_rank=4',
        ),
        [Row(ALL, 32, 64, 2, "dd"), Row(ALL, 4, 16, 4, "wd")],
    ),
]

OPENRLHF: Table = [
    (
        shell("deepspeed ../train_sft.py --pretrain a/b --zero_stage 2 --micro_train_batch_size 2 --lora_rank 64"),
        [Row(ALL, 64, 16, 0.25, "wd")],
    ),
    (shell("deepspeed train_sft.py --model_name a/b --zero_stage 2 --lora_rank 64"), []),
    (
        script(
            "read -r -d '' training_commands <<EOF",
            "openrlhf.cli.train_sft --lora_rank 64 --lora_alpha 32",
            "EOF",
            "deepspeed --module $training_commands",
        ),
        [Row(ALL, 64, 32, 0.5, "ww")],
    ),
    (
        shell(
            "python3 -m openrlhf.cli.train_ppo_ray --actor.num_nodes 1 --critic.num_nodes 1",
            "--ds.lora.rank 8 --ds.lora.alpha 8 --ds.lora.alpha 16",
        ),
        [Row(ALL, 8, 16, 2, "ww")],
    ),
]

GPT = "python tuning/megatron_gpt_finetuning.py"
TUNING = "model.peft.lora_tuning"
QKV = "attention_qkv"

NEMO: Table = [
    (shell(GPT, "model.peft.peft_scheme=lora"), [Row(QKV, 32, 32, 1, "dc")]),
    (shell(GPT, "model.peft.peft_scheme='lora'", f"{TUNING}.alpha=64"), [Row(QKV, 32, 64, 2, "dw")]),
    (shell(GPT, "model.peft.peft_scheme=adapter", f"{TUNING}.adapter_dim=8"), [Row(QKV, 8, 8, 1, "wc", "off")]),
    (
        shell("python megatron_mamba_finetuning.py", "model.peft.peft_scheme=lora", f"{TUNING}.adapter_dim=8"),
        [Row(QKV, 8, 32, 4, "wd")],
    ),
    (shell("python train.py --config-name=my_lora", f"{TUNING}.adapter_dim=8"), [Row(QKV, 8, "?", "?", "wu")]),
    (shell("python megatron_gpt_generate.py model.peft.peft_scheme=lora"), []),
    (shell(GPT, "model.peft.peft_scheme=ptuning"), []),
]

NEMO_2, BRIDGE = "from nemo.collections import llm", "from megatron.bridge.recipes.llama import llama3_8b_peft_config"

RECIPES: Table = [
    (python(NEMO_2, "recipe.peft.dim = 8", "recipe.peft.alpha = 32"), [Row(ALL, 8, 32, 4, "ww")]),
    (
        python(
            BRIDGE,
            "cfg = llama3_8b_peft_config('lora')",
            "cfg.peft.dim = 8",
            "cfg.peft.target_modules = ['linear_qkv']",
        ),
        [Row("linear_qkv", 8, "?", "?", "wu")],
    ),
    (python(BRIDGE, "cfg.peft.alpha = 8"), [Row(ALL, "?", 8, "?", "uw")]),
    (
        python(NEMO_2, "def f(a, rank):", "    a.peft.dim = rank", "    a.peft.alpha = 2 * rank", "f(b, 8)"),
        [Row(ALL, "?", "?", 2, "uu")],
    ),
    (
        python(NEMO_2, "if big:", "    a.peft.dim, n = 8, 1", "    a.peft.alpha = 16", "else:", "    a.peft.dim = 4"),
        [Row(ALL, 8, 16, 2, "ww"), Row(ALL, 4, "?", "?", "wu")],
    ),
    (
        python("import nemo_run as run", NEMO_2, "run.Config(llm.peft.LoRA, dim=16, alpha=32)"),
        [Row(ALL, 16, 32, 2, "ww")],
    ),
    (
        python("import nemo_run as run", NEMO_2, "run.Config(llm.peft.DoRA, dim=16)"),
        [Row(ALL, 16, 64, 4, "wd", method="dora")],
    ),
    (
        python("import nemo_run as run", NEMO_2, "a.peft = run.Config(llm.peft.LoRA, dropout=0)", "a.peft.dim = 8"),
        [Row(ALL, 8, 32, 4, "wd")],
    ),
    (
        python("from megatron.bridge.peft.lora import LoRA", "LoRA(['linear_qkv'], [], {}, 8, 16)"),
        [Row("linear_qkv", 8, 16, 2, "ww")],
    ),
    (
        python(
            "from megatron.bridge.peft.lora import LoRA",
            "def lora(rank, alpha):",
            "    return LoRA(dim=rank, alpha=alpha)",
            "lora(8, 32)",
        ),
        [Row(ALL, 8, 32, 4, "ww")],
    ),
    (python("import other", "cfg.peft.dim = 8"), []),
    (python(NEMO_2, "recipe.model.config.dim = 8", "recipe.optim.alpha = 8"), []),
]

TARGET = "_target_: nemo_automodel.components._peft.lora.PeftConfig"

AUTOMODEL: Table = [
    (
        shell(
            "torchrun examples/llm_finetune/finetune.py --config run.yaml --peft.dim 8 --peft.alpha 8 --peft.alpha 16"
        ),
        [Row("*", 8, 16, 2, "ww")],
    ),
    (shell("python recipes/vlm/finetune.py -c run.yaml --peft.dim 8"), [Row("*", 8, "?", "?", "wu")]),
    (
        python("from nemo_automodel.components._peft.lora import PeftConfig", "PeftConfig(['*'], [], False, 8, 16)"),
        [Row("*", 8, 16, 2, "ww")],
    ),
    (python("from peft import PeftConfig", "PeftConfig(peft_type='LORA')"), []),
]

NEMO_RL: Table = [
    (
        yaml("policy:", "  dtensor_cfg:", "    enabled: false", "    lora_cfg: {enabled: true, dim: 8, alpha: 32}"),
        [Row("*", 8, 32, 4, "ww", "off")],
    ),
    (
        yaml(
            "policy:",
            "  dtensor_cfg: {enabled: true, lora_cfg: {enabled: true, dim: 8, alpha: 16}}",
            "  megatron_cfg: {enabled: false, peft: {enabled: true, dim: 8, alpha: 8}}",
            "value:",
            "  dtensor_cfg: {enabled: true, lora_cfg: {enabled: true, dim: 4}}",
        ),
        [Row("*", 8, 16, 2, "ww"), Row("*", 4, 32, 8, "wd"), Row("*", 8, 8, 1, "ww", "off")],
    ),
    (
        shell("uv run examples/run_sft.py policy.megatron_cfg.enabled=false", "policy.megatron_cfg.peft.dim=8"),
        [Row("*", 8, "?", "?", "wu", "off")],
    ),
]

TRAIN = "lerobot-train --policy.path=lerobot/smolvla_base"

LEROBOT: Table = [
    (shell(TRAIN, "--peft.method_type=LORA --peft.r=64"), [Row("*", 64, 8, 0.125, "wd")]),
    (shell(TRAIN, "--peft.r 16 --peft.lora_alpha 16 --peft.lora_alpha 32"), [Row("*", 16, 32, 2, "ww")]),
    (shell(TRAIN, "--peft.method_type=LORA"), [Row("*", 16, 8, 0.5, "dd")]),
    (shell(TRAIN, "--peft.method_type=MISS --peft.r=8"), [Row("*", 8, 8, 1, "wd", "not-lora", "miss")]),
    (shell("srun lerobot-train $COMMON --peft.r=8 --peft.lora_alpha=16"), [Row("*", 8, 16, 2, "ww")]),
    (shell("lerobot-train --config_path=run.json --peft.r=8"), [Row("*", 8, "?", "?", "wu")]),
    (shell("lerobot-train --policy.type=molmoact2 --policy.train_mode_vlm=lora"), [Row("vlm", 64, 16, 0.25, "dd")]),
    (
        shell("lerobot-train --policy.type=molmoact2 --policy.train_mode_vlm=full --policy.lora_rank=8"),
        [Row("vlm", 8, 16, 2, "wd", "off")],
    ),
    (
        shell("lerobot-train --policy.type=molmoact2 --policy.lora_rank=8 --peft.r=4"),
        [Row("*", 4, "?", "?", "wd"), Row("vlm", 8, 16, 2, "wd")],
    ),
    (shell("lerobot-train --policy.type=mine --policy.lora_rank=8"), [Row("policy", 8, "?", "?", "wu")]),
    (
        shell("lerobot-train --policy.type=groot --policy.lora_rank=8 --policy.lora_alpha=16"),
        [Row("policy", 8, 16, 2, "ww", "off")],
    ),
    (
        (
            "train_config.json",
            '{"dataset": {}, "policy": {"type": "pi05"}, "num_workers": 4,'
            ' "peft": {"full_training_modules": null, "method_type": "LORA", "r": 16, "lora_alpha": null}}',
        ),
        [Row("*", 16, 8, 0.5, "wd")],
    ),
    (shell("lerobot-train --policy.type=act --dataset.repo_id=a/b"), []),
]

VLA = "--vla_path a/b --data_root_dir d"

OPENVLA: Table = [
    (shell("torchrun vla-scripts/finetune.py", VLA, "--lora_rank 32"), [Row(ALL, 32, 16, 0.5, "wc")]),
    (shell("torchrun vla-scripts/finetune.py", VLA, "--lora_rank 32 --lora_rank 8"), [Row(ALL, 8, 8, 1, "wc")]),
    (shell("torchrun vla-scripts/finetune.py", VLA), [Row(ALL, 32, 16, 0.5, "dc")]),
    (shell("torchrun vla-scripts/finetune.py", VLA, "--use_lora False"), [Row(ALL, 32, 16, 0.5, "dc", "off")]),
    (shell("torchrun my-scripts/finetune_with_val.py", VLA, "--lora_rank 64"), [Row(ALL, 64, 16, 0.25, "wc")]),
    (shell("torchrun finetune_other.py --data_root_dir d --lora_rank 64"), []),
    (shell("python vla-scripts/merge_lora_weights_and_save.py --base_checkpoint a/b"), []),
]

LUDWIG: Table = [
    (
        python(
            "from ludwig.api import LudwigModel", "c = {'input_features': [], 'adapter': {'type': 'lora', 'r': 16}}"
        ),
        [Row("*", 16, 32, 2, "wc")],
    ),
    (
        python("import ludwig", "a = {'input_features': {'type': 'lora', 'r': 4, 'alpha': 4, 'use_rslora': True}}"),
        [Row("*", 4, 4, 2, "ww")],
    ),
    (python("a = {'input_features': {'type': 'lora', 'r': 4, 'alpha': 4}}"), []),
]

SERVICES: dict[str, Table] = {
    "together": [
        (shell("together fine-tuning create --model m --lora"), [Row(ALL, 8, 16, 2, "dc")]),
        (shell("together fine-tuning create --model m --lora-r 8 --lora-alpha 8"), [Row(ALL, 8, 8, 1, "ww")]),
        (shell("together fine-tuning create --model m --no-lora --lora-r 8"), [Row(ALL, 8, 16, 2, "wc", "off")]),
        (
            python("def tune(client, rank):", "    client.fine_tuning.create(model='m', lora_r=rank)", "tune(c, 4)"),
            [Row(ALL, "?", "?", "?", "uu"), Row(ALL, 4, 8, 2, "wc")],
        ),
        (shell("together fine-tuning create --model m"), []),
        (shell("together files upload lora.jsonl"), []),
    ],
    "fireworks": [
        (
            python("import recipes.a", "llm.create_supervised_fine_tuning_job('a', data, lora_rank=8)"),
            [Row("*", 8, "?", "?", "wu")],
        ),
        (
            python(
                "def make(client, lora_rank=8):",
                "    return client.create_training_client(base_model='a', lora_rank=lora_rank)",
                "make(c, lora_rank=16)",
            ),
            [Row("*", 8, 32, 4, "dd"), Row("*", 16, 32, 2, "wd")],
        ),
        (shell("firectl create sftj --base-model a --lora-rank 0"), [Row("*", 0, "?", "?", "wu", "off")]),
    ],
    "tinker": [
        (
            python(
                "def make(c, r):", "    return c.create_lora_training_client(base_model='a', rank=r)", "make(d, 16)"
            ),
            [Row(ALL, "?", "?", "?", "uu"), Row(ALL, 16, "?", "?", "wu")],
        ),
        (
            shell("python -m tinker_cookbook.recipes.chat_sl.train lora_rank=8 lora_rank=16"),
            [Row(ALL, 16, "?", "?", "wu")],
        ),
    ],
    "gemma": [
        (
            python(
                "from gemma import gm",
                "def adapt(m, rank):",
                "    return gm.nn.LoRA(rank=rank, model=m)",
                "adapt(a, 4)",
            ),
            [Row(ALL, "?", "-", "?", "u-"), Row(ALL, 4, "-", 1, "w-")],
        ),
        (python("from mine import nn", "nn.LoRA(rank=4, model=m)"), []),
    ],
    "keras": [
        (
            python("def f(rank=8):", "    lm.backbone.enable_lora(rank=rank)", "f(16)"),
            [Row("*", 8, 8, 1, "dc"), Row("*", 16, 16, 1, "wc")],
        ),
    ],
    "olive": [
        (shell("python -m olive finetune -m x --lora_r 8 --lora_r 16"), [Row("*", 16, 16, 1, "wd")]),
        (shell("olive convert-adapters --adapter_path lora"), []),
    ],
    "llama_cookbook": [
        (
            shell("torchrun my/run_finetune.py --peft_method lora --lora_config.r 8 --lora_config.lora_alpha 32"),
            [Row("q_proj v_proj", 8, 32, 4, "ww")],
        ),
        (
            shell("torchrun my/run_finetune.py --use_peft False --lora_config.r 8"),
            [Row("q_proj v_proj", 8, "?", "?", "wu", "off")],
        ),
        (
            shell("python finetuning.py --use_peft --lora_config.r 8 --lora_config.r 16 --use_rslora"),
            [Row("q_proj v_proj", 16, 32, 2, "wd")],
        ),
        (shell("python train.py --lora_config.rank=16 --policy.device=cuda"), []),
    ],
    "levanter": [
        (
            shell("python lora.py --config_path a.yaml --trainer.num_train_steps 9 --lora.r 8 --lora.r 16"),
            [Row(ALL, 16, "?", "?", "wu")],
        ),
        (
            python(
                "from levanter.lora import LoraConfig", "def f(r):", "    return LoraConfig(r=r, alpha=8.0)", "f(4)"
            ),
            [Row(ALL, "?", 8, "?", "uw"), Row(ALL, 4, 8, 2, "ww")],
        ),
    ],
    "generic": [
        (yaml("peft:", "  dim: 8", "  alpha: 32", "train: {train_iters: 20}"), [Row("peft", 8, 32, 4, "ww")]),
        (shell("python train.py peft.dim=8 peft.alpha=8"), [Row("peft", 8, 8, 1, "ww")]),
        (shell("python other/finetune.py --config a.yaml --peft.dim 8 --peft.alpha 8"), [Row("peft", 8, 8, 1, "ww")]),
        (shell("python train.py --config_path a.yaml --lora.r 8 --lora.alpha 16"), [Row("lora", 8, 16, 2, "ww")]),
        (yaml("peft: {peft_scheme: lora}", "loss: {alpha: 1.0, dim: 4}"), []),
    ],
}

TABLES: dict[str, Table] = {
    "verl": VERL,
    "openrlhf": OPENRLHF,
    "nemo": NEMO,
    "megatron_bridge": RECIPES,
    "nemo_automodel": AUTOMODEL,
    "nemo_rl": NEMO_RL,
    "lerobot": LEROBOT,
    "openvla": OPENVLA,
    "ludwig": LUDWIG,
    **SERVICES,
}


@pytest.mark.parametrize(
    ("name", "source", "expected"), [(name, *one) for name, table in TABLES.items() for one in table]
)
def test_sites_are_what_the_framework_computes(name: str, source: tuple[str, str], expected: list[Row]) -> None:
    found = setups(*source)
    assert {setup.framework for setup in found} == ({name} if expected else set())
    assert rows(found) == expected
    assert not expected or name in candidates(source[1].encode())


@pytest.mark.parametrize(
    ("name", "config", "command", "expected"),
    [
        (
            "run.yaml",
            f"peft:\n  {TARGET}\n  dim: 8\n  alpha: 16\n",
            "automodel finetune llm -c run.yaml --peft.dim 32",
            [Row("*", 32, 16, 0.5, "ww")],
        ),
        (
            "run.yaml",
            "trainer: {mp: f32}\nlora: {r: 8, alpha: 16.0}\n",
            "python -m levanter.main.lora_lm --config_path run.yaml --lora.alpha 32",
            [Row(ALL, 8, 32, 4, "ww")],
        ),
        (
            "run.json",
            '{"dataset": {}, "policy": {"type": "pi05"}, "num_workers": 4,'
            ' "peft": {"full_training_modules": null, "method_type": "LORA", "r": 16, "lora_alpha": 32}}',
            "lerobot-train --config_path=run.json --peft.r=64",
            [Row("*", 64, 32, 0.5, "ww")],
        ),
    ],
)
def test_a_command_goes_over_its_config(
    tmp_path: Path, name: str, config: str, command: str, expected: list[Row]
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / name).write_text(config, "utf-8")
    (tmp_path / "train.sh").write_text(f"{command}\n", "utf-8")
    assert rows(read_file(Candidate(str(tmp_path / "train.sh"), named=True), 10_000).setups) == expected


def test_a_rank_that_is_off_by_default_is_no_setup() -> None:
    lines = (
        *("from peft import LoraConfig", "class Actor:", "    def __init__(self, lora_rank=0, lora_alpha=16):"),
        *("        if lora_rank > 0:", "            LoraConfig(r=lora_rank, lora_alpha=lora_alpha)"),
    )
    assert setups(*python(*lines)) == []


def test_nobody_can_write_the_alpha_of_a_backbone() -> None:
    lines = (
        *("class Backbone:", "    def enable_lora(self, rank):", "        self.dense.enable_lora(rank)"),
        *("    def load(self):", "        self.enable_lora(rank=8)"),
    )
    assert [(setup.document.callee, setup.sites[0].fixed) for setup in setups(*python(*lines))] == [
        ("self.dense.enable_lora", False),
        ("self.enable_lora", True),
    ]
