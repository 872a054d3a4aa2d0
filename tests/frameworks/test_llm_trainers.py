"""Trainers of language models: rank, alpha, scale, state and origins, as their own code computes them."""

import json

import pytest

from lora_lint.frameworks import candidates, framework
from tests.frameworks.rows import Row, rows, setups

Table = list[tuple[tuple[str, str], list[Row]]]


def shell(*words: str) -> tuple[str, str]:
    return "train.sh", " \\\n  ".join(words)


def yaml(*lines: str) -> tuple[str, str]:
    return "config.yaml", "\n".join(lines)


def python(*lines: str) -> tuple[str, str]:
    return "train.py", "\n".join(lines)


def saved(name: str, **keys: object) -> tuple[str, str]:
    return name, json.dumps(keys)


SFT = "trl sft --model_name_or_path a/b --dataset_name c/d"
SCRIPT = "accelerate launch --config_file zero3.yaml examples/scripts/dpo.py --model_name_or_path a/b"
MODEL = ("model_name_or_path: a/b", "dataset_name: c/d")

TRL: Table = [
    (shell(SFT, "--use_peft --lora_r 64 --lora_alpha 16"), [Row("*", 64, 16, 0.25, "ww")]),
    (shell(SFT, "--use_peft --lora_r 64"), [Row("*", 64, 32, 0.5, "wd")]),
    (shell(SFT, "--use_peft"), [Row("*", 16, 32, 2, "dd")]),
    (shell(SFT, "--use_peft --lora_al 16"), [Row("*", 16, 16, 1, "dw")]),
    (shell(SFT, "--use_peft --lora_rank 64"), [Row("*", 16, 32, 2, "dd")]),
    (shell(SFT, "--lora_r 64 --lora_alpha 128"), [Row("*", 64, 128, 2, "ww", "off")]),
    (shell(SFT, "--use_peft False --lora_r 8 --lora_alpha 16"), [Row("*", 8, 16, 2, "ww", "off")]),
    (shell(SFT, "--use-peft --lora-r 8 --lora-alpha 16"), [Row("*", 8, 16, 2, "ww")]),
    (shell(SFT, "--use_peft --lora_r 16 --lora_alpha 32 --use_rslora"), [Row("*", 16, 32, 8, "ww")]),
    (shell(SFT, "--use_peft --lora_r 16 --use_dora True"), [Row("*", 16, 32, 2, "wd", method="dora")]),
    (
        shell(SCRIPT, "--use_peft --lora_r 32 --lora_target_modules q_proj v_proj"),
        [Row("q_proj v_proj", 32, 32, 1, "wd")],
    ),
    (shell("trl dpo --config dpo.yaml --lora_r 8"), [Row("*", 8, "?", "?", "wu")]),
    (shell("python scripts/sft.py --config $RECIPE --use_peft --lora_r 8"), [Row("*", 8, "?", "?", "wu")]),
    (yaml(*MODEL, "use_peft: true", "lora_r: 128", "lora_alpha: 128"), [Row("*", 128, 128, 1, "ww")]),
    (yaml(*MODEL, "use_peft: true", "lora_r: '8'"), [Row("*", 8, 32, 4, "wd")]),
    (yaml(*MODEL, "use_peft: false", "lora_r: 8", "lora_alpha: 8"), [Row("*", 8, 8, 1, "ww", "off")]),
    (yaml(*MODEL, "lora_r: 8", "lora_alpha: 16", "lora_task_type: CAUSAL_LM"), [Row("*", 8, 16, 2, "ww")]),
    (
        python("from trl import ModelConfig", "ModelConfig(use_peft=True, lora_r=8, lora_alpha=8)"),
        [Row("*", 8, 8, 1, "ww")],
    ),
    (python("import trl", "trl.ModelConfig(lora_r=8, lora_alpha=8)"), [Row("*", 8, 8, 1, "ww", "off")]),
    (shell(SFT, "--bf16 --use_peft False"), []),
    (yaml(*MODEL, "use_peft: false"), []),
    (shell("python train.py --use_peft True --model_name a/b"), []),
    (python("from transformers import ModelConfig", "ModelConfig(lora_r=8)"), []),
]

SWIFT = "swift sft --model a/b --dataset c"
ALL = "all-linear"

MS_SWIFT: Table = [
    (shell(SWIFT, "--tuner_type lora --lora_rank 16 --lora_alpha 32"), [Row(ALL, 16, 32, 2, "ww")]),
    (shell(SWIFT, "--train_type lora --lora_rank 16"), [Row(ALL, 16, 32, 2, "wd")]),
    (shell(SWIFT, "--sft_type lora --lora_target_modules DEFAULT"), [Row("DEFAULT", 8, 32, 4, "dd")]),
    (shell(SWIFT), [Row(ALL, 8, 32, 4, "dd")]),
    (shell(SWIFT, "--lora_r 16 --lora_a 16"), [Row(ALL, 16, 16, 1, "ww")]),
    (shell(SWIFT, "--lora_ 16"), [Row(ALL, 8, 32, 4, "dd")]),
    (shell(SWIFT, "--lora_rank 8 --lora_alpha 16 --use_rslora true"), [Row(ALL, 8, 16, 5.656854, "ww")]),
    (shell(SWIFT, "--use_dora true"), [Row(ALL, 8, 32, 4, "dd", method="dora")]),
    (shell(SWIFT, "--tuner_type full --lora_rank 8"), [Row(ALL, 8, 32, 4, "wd", "off")]),
    (shell(SWIFT, "--tuner_type adalora --lora_alpha 8"), [Row(ALL, 8, 8, 1, "dw", "not-lora", "adalora")]),
    (shell(SWIFT, "--tuner_type lora_llm --lora_rank 16"), [Row(ALL, 16, 32, 2, "wd")]),
    (shell(SWIFT, "--target_regex 'model.*proj' --lora_rank 16"), [Row("model.*proj", 16, 32, 2, "wd")]),
    (shell(SWIFT, "--adapters out/checkpoint-9 --lora_rank 16"), [Row(ALL, "?", "?", "?", "uu")]),
    (shell("swift sft run.yaml --lora_rank 16"), [Row(ALL, 16, "?", "?", "wu")]),
    (shell("megatron sft --model a/b --tuner_type lora --lora_rank 16"), [Row(ALL, 16, 32, 2, "wd")]),
    (shell("megatron sft --model a/b --lora_rank 16"), [Row(ALL, 16, 32, 2, "wd", "off")]),
    (
        shell("torchrun swift/cli/rlhf.py --rlhf_type dpo --train_type lora --lora_rank 8"),
        [Row(ALL, 8, 32, 4, "wd")],
    ),
    (yaml("model: a/b", "tuner_type: lora", "lora_rank: 64", "lora_alpha: 128"), [Row(ALL, 64, 128, 2, "ww")]),
    (yaml("model: a/b", "train:", "  tuner_type: lora", "  lora_rank: 8"), [Row(ALL, 8, 32, 4, "wd")]),
    (
        saved("args.json", tuner_type="lora", lora_rank=8, lora_alpha=32, use_rslora=False, ckpt_dir=None),
        [Row(ALL, 8, 32, 4, "ww")],
    ),
    (
        saved("args.json", train_type="full", lora_rank=8, lora_alpha=32, ckpt_dir=None),
        [Row(ALL, 8, 32, 4, "ww", "off")],
    ),
    (
        python("from swift import SftArguments", "SftArguments(model='a', tuner_type='lora', lora_rank=16)"),
        [Row(ALL, 16, 32, 2, "wd")],
    ),
    (
        python("from swift.megatron import MegatronSftArguments", "MegatronSftArguments(lora_rank=16)"),
        [Row(ALL, 16, 32, 2, "wd", "off")],
    ),
    (
        python("from swift import LoraConfig", "LoraConfig(r=8, lora_alpha=32, lora_dtype='float32')"),
        [Row("*", 8, 32, 4, "ww")],
    ),
    (shell("megatron sft --model a/b"), []),
    (shell("swift infer --model a/b --vllm_max_lora_rank 16 --lora_rank 4"), []),
    (shell("swift export --adapters out/checkpoint-9 --merge_lora true"), []),
]

LOAD = "from unsloth import FastLanguageModel"
CALL = "model = FastLanguageModel.get_peft_model(model, "

UNSLOTH: Table = [
    (python(LOAD, f"{CALL}r=8, target_modules=['q_proj'], lora_alpha=16)"), [Row("q_proj", 8, 16, 2, "ww")]),
    (python(LOAD, f"{CALL}r=64)"), [Row("*", 64, 16, 0.25, "wd")]),
    (python(LOAD, f"{CALL}32, ['q_proj'], 64)"), [Row("q_proj", 32, 64, 2, "ww")]),
    (python(LOAD, f"{CALL}r=16, lora_alpha=16, use_rslora=True)"), [Row("*", 16, 16, 4, "ww")]),
    (python(LOAD, f"{CALL}**options)"), [Row("*", "?", "?", "?", "uu")]),
    (
        python("import unsloth", "unsloth.FastVisionModel.get_peft_model(model, r=8, lora_alpha=8)"),
        [Row("*", 8, 8, 1, "ww")],
    ),
    (shell("python unsloth-cli.py --r 64 --lora_alpha 32"), [Row("*", 64, 32, 0.5, "ww")]),
    (shell("python unsloth-cli.py --r 64 --use_rslora"), [Row("*", 64, 16, 2, "wd")]),
    (shell("unsloth train --model a/b --lora-r 8"), [Row("*", 8, 16, 2, "wd")]),
    (shell("unsloth train --model a/b --dataset c/d"), [Row("*", 64, 16, 0.25, "dd")]),
    (shell("unsloth train --model a/b --training-type full --lora-r 8"), [Row("*", 8, 16, 2, "wd", "off")]),
    (shell("unsloth train --config run.yaml --lora-r 8"), [Row("*", 8, "?", "?", "wu")]),
    (
        yaml("training:", "  max_steps: 9", "lora:", "  lora_r: 8", "  lora_alpha: 16", "  target_modules: 'q,v'"),
        [Row("q v", 8, 16, 2, "ww")],
    ),
    (yaml("training:", "  training_type: lora", "lora:", "  lora_r: 8"), [Row("*", 8, 16, 2, "wd")]),
    (
        yaml("training:", "  training_type: full", "lora:", "  lora_r: 64", "  lora_alpha: 16"),
        [Row("*", 64, 16, 0.25, "ww", "off")],
    ),
    (python("import unsloth", "from peft import get_peft_model", "get_peft_model(model, r=8)"), []),
    (shell("unsloth studio -p 8000"), []),
]

RLHF = "deepspeed --module openrlhf.cli.train_sft --model a/b"

OPENRLHF: Table = [
    (shell(RLHF, "--ds.lora.rank 64 --ds.lora.alpha 64"), [Row(ALL, 64, 64, 1, "ww")]),
    (shell(RLHF, "--ds.lora.rank 64"), [Row(ALL, 64, 16, 0.25, "wd")]),
    (shell(RLHF, "--lora_rank 8 --target_modules q_proj v_proj"), [Row("q_proj v_proj", 8, 16, 2, "wd")]),
    (shell(RLHF, "--ds.lora.rank 0 --ds.lora.alpha 16"), [Row(ALL, 0, 16, "?", "ww", "off")]),
    (shell(RLHF, "--lora_alpha 16"), [Row(ALL, 0, 16, "?", "dw", "off")]),
    (
        shell("ray job submit --address x -- python3 -m openrlhf.cli.train_ppo_ray --lora_rank 8 --lora_alpha 16"),
        [Row(ALL, 8, 16, 2, "ww")],
    ),
    (shell(RLHF), []),
    (shell("python -m openrlhf.cli.lora_combiner --lora_path out"), []),
]

PPO = "python3 -m verl.trainer.main_ppo algorithm.adv_estimator=grpo"
ACTOR, CRITIC = "actor_rollout_ref.model", "critic.model"

VERL: Table = [
    (shell(PPO, f"{ACTOR}.lora_rank=64", f"{ACTOR}.lora_alpha=32"), [Row(ALL, 64, 32, 0.5, "ww")]),
    (shell(PPO, f"{ACTOR}.lora_rank=64"), [Row(ALL, 64, 16, 0.25, "wd")]),
    (shell(PPO, f"+{ACTOR}.lora.rank=8", f"++{ACTOR}.lora.alpha=16"), [Row("*", 8, 16, 2, "ww")]),
    (shell(PPO, f"{ACTOR}.lora.rank=8"), [Row("*", 8, 32, 4, "wd")]),
    (
        shell(PPO, f"{ACTOR}.lora.rank=8", f"{ACTOR}.lora.alpha=8", f"{ACTOR}.lora.type=dora"),
        [Row("*", 8, 8, 1, "ww", method="dora")],
    ),
    (
        shell(PPO, f"{ACTOR}.lora_rank=8", f"{ACTOR}.lora_alpha=16", f"{CRITIC}.lora_rank=4"),
        [Row(ALL, 8, 16, 2, "ww"), Row(ALL, 4, 16, 4, "wd")],
    ),
    (
        shell(PPO, f"{ACTOR}.lora_rank=64", f"{ACTOR}.lora.rank=64", f"{ACTOR}.lora.alpha=128"),
        [Row("*", 64, 128, 2, "ww"), Row(ALL, 64, 16, 0.25, "wd", "off")],
    ),
    (shell(PPO, f"{ACTOR}.lora_rank=0", f"{ACTOR}.lora_alpha=16"), [Row(ALL, 0, 16, "?", "ww", "off")]),
    (shell(PPO, "--config-path=$HERE", f"{ACTOR}.lora_rank=8"), [Row(ALL, 8, "?", "?", "wu")]),
    (shell(PPO, "--config-path=config", f"{ACTOR}.lora_rank=8"), [Row(ALL, 8, 16, 2, "wd")]),
    (
        shell("torchrun -m verl.trainer.fsdp_sft_trainer model.lora_rank=${RANK:-32} model.lora_alpha=16"),
        [Row(ALL, 32, 16, 0.5, "dw")],
    ),
    (
        yaml(
            "actor_rollout_ref:",
            "  model: {path: a/b, lora_rank: 32, lora_alpha: 64}",
            "critic:",
            "  model: {path: a/b, lora_rank: 0, lora_alpha: 16}",
        ),
        [Row(ALL, 32, 64, 2, "ww"), Row(ALL, 0, 16, "?", "ww", "off")],
    ),
    (
        yaml("actor_rollout_ref:", "  model:", "    lora_rank: 8", "    lora: {rank: 8, alpha: 16, type: lora}"),
        [Row("*", 8, 16, 2, "ww"), Row(ALL, 8, 16, 2, "wd", "off")],
    ),
    (
        yaml("model:", "  partial_pretrain: a/b", "  lora_rank: 32", "  lora_alpha: 16", "trainer: {nnodes: 1}"),
        [Row(ALL, 32, 16, 0.5, "ww")],
    ),
    (
        yaml("_target_: verl.workers.config.HFModelConfig", "lora_rank: 8", "lora_alpha: 16"),
        [Row(ALL, 8, 16, 2, "ww")],
    ),
    (shell(PPO, "actor_rollout_ref.rollout.max_lora_rank=64"), []),
    (yaml("actor_rollout_ref:", "  model: {path: a/b}", "  kv_lora_rank: 512", "  q_lora_rank: 1536"), []),
]

TUNING = "model.peft.lora_tuning"
GPT = "python megatron_gpt_finetuning.py model.peft.peft_scheme=lora"
QKV = "attention_qkv"


def nemo(scheme: str, *tuning: str) -> tuple[str, str]:
    lines = [f"      {line}" for line in tuning]
    return yaml("model:", "  peft:", f"    peft_scheme: {scheme}", "    lora_tuning:", *lines)


NEMO: Table = [
    (nemo("lora", "adapter_dim: 16", "alpha: 32"), [Row(QKV, 16, 32, 2, "ww")]),
    (nemo("lora", "adapter_dim: 16"), [Row(QKV, 16, 16, 1, "wc")]),
    (nemo("qlora", "adapter_dim: 16", "alpha: null"), [Row(QKV, 16, 16, 1, "wc")]),
    (nemo("'lora,ptuning'", "adapter_dim: 16", "target_modules: [all]"), [Row("all", 16, 16, 1, "wc")]),
    (nemo("ptuning", "adapter_dim: 32", "alpha: 8"), [Row(QKV, 32, 8, 0.25, "ww", "off")]),
    (nemo("null", "adapter_dim: 32", "alpha: 8"), [Row(QKV, 32, 8, 0.25, "ww", "off")]),
    (shell(GPT, f"{TUNING}.adapter_dim=16"), [Row(QKV, 16, 16, 1, "wc")]),
    (shell(GPT, f"{TUNING}.alpha=64"), [Row(QKV, 32, 64, 2, "dw")]),
    (yaml("model:", "  peft: {peft_scheme: adapter, adapter_tuning: {adapter_dim: 32}}"), []),
    (shell("python megatron_gpt_finetuning.py model.peft.peft_scheme=none"), []),
]

BRIDGE = "from megatron.bridge.peft.lora import LoRA"

MEGATRON_BRIDGE: Table = [
    (python(BRIDGE, "LoRA(dim=16, alpha=32)"), [Row(ALL, 16, 32, 2, "ww")]),
    (python(BRIDGE, "LoRA(['linear_qkv'], dim=8)"), [Row("linear_qkv", 8, 32, 4, "wd")]),
    (python(BRIDGE, "LoRA(dim=8, alpha=None)"), [Row(ALL, 8, 8, 1, "wc")]),
    (
        python(BRIDGE, "LoRA(dim=8, alpha=16, normalize_moe_lora=True)"),
        [Row(ALL, 8, 16, 2, "ww"), Row("experts", "?", 16, "?", "uw")],
    ),
    (
        python("from megatron.bridge.peft.dora import DoRA", "DoRA(dim=8)"),
        [Row(ALL, 8, 64, 8, "wd", method="dora")],
    ),
    (
        python("from nemo.collections import llm", "llm.peft.LoRA(dim=8, alpha=16)"),
        [Row(ALL, 8, 16, 2, "ww")],
    ),
    (
        yaml("peft:", "  _target_: megatron.bridge.peft.lora.LoRA", "  dim: 8", "  alpha: 16"),
        [Row(ALL, 8, 16, 2, "ww")],
    ),
    (
        yaml("model:", "  peft:", "    _target_: nemo.collections.llm.peft.LoRA", "    dim: 32"),
        [Row(ALL, 32, 32, 1, "wd")],
    ),
    (shell("nemo llm finetune --factory llama3_8b peft.dim=16"), [Row(ALL, 16, "?", "?", "wu")]),
    (shell("python run_recipe.py --recipe x peft.dim=16 peft.alpha=32"), [Row(ALL, 16, 32, 2, "ww")]),
    (python("from other import LoRA", "LoRA(dim=16, alpha=32)"), []),
    (yaml("model:", "  _target_: nemo.collections.llm.LlamaModel", "  dim: 16", "  alpha: 1"), []),
]

TARGET = "_target_: nemo_automodel.components._peft.lora.PeftConfig"

NEMO_AUTOMODEL: Table = [
    (yaml("peft:", f"  {TARGET}", "  dim: 16", "  alpha: 32"), [Row("*", 16, 32, 2, "ww")]),
    (yaml("peft:", f"  {TARGET}", "  dim: 16"), [Row("*", 16, 32, 2, "wd")]),
    (yaml("peft:", f"  {TARGET}", "  match_all_linear: true"), [Row(ALL, 8, 32, 4, "dd")]),
    (yaml("peft:", f"  {TARGET}", "  dim: 8", "  use_dora: true"), [Row("*", 8, 32, 4, "wd", method="dora")]),
    (
        yaml("peft:", f"  {TARGET}", "  dim: 16", "  moe_rank_scaling: true"),
        [Row("*", 16, 32, 2, "wd"), Row("experts", "?", 32, "?", "ud")],
    ),
    (shell("automodel --nproc-per-node 8 run.yaml --peft.dim 64"), [Row("*", 64, "?", "?", "wu")]),
    (
        shell("python finetune.py -c run.yaml", f"--peft.{TARGET.replace(':', '')}", "--peft.dim 8 --peft.alpha 8"),
        [Row("*", 8, 8, 1, "ww")],
    ),
    (
        python("from nemo_automodel.components._peft.lora import PeftConfig", "PeftConfig(dim=4)"),
        [Row("*", 4, 32, 8, "wd")],
    ),
    (yaml("loss_fn:", "  _target_: nemo_automodel.components.loss.KD", "  alpha: 1.0", "  dim: 4"), []),
    (shell("automodel finetune llm -c run.yaml"), []),
]


def policy(*lines: str) -> tuple[str, str]:
    return yaml("policy:", *(f"  {line}" for line in lines))


NEMO_RL: Table = [
    (policy("dtensor_cfg:", "  lora_cfg: {enabled: true, dim: 64, alpha: 128}"), [Row("*", 64, 128, 2, "ww")]),
    (policy("dtensor_cfg:", "  lora_cfg: {enabled: true}"), [Row("*", 8, 32, 4, "dd")]),
    (policy("dtensor_cfg:", "  lora_cfg: {enabled: false, dim: 8, alpha: 8}"), [Row("*", 8, 8, 1, "ww", "off")]),
    (policy("megatron_cfg:", "  peft: {enabled: true, dim: 8, alpha: 16}"), [Row("*", 8, 16, 2, "ww")]),
    (policy("megatron_cfg:", "  peft: {enabled: true, dim: 8}"), [Row("*", 8, None, "?", "wd")]),
    (policy("megatron_cfg:", "  peft: {dim: 8, alpha: 16}"), [Row("*", 8, 16, 2, "ww", "off")]),
    (
        yaml("defaults: base.yaml", "policy:", "  megatron_cfg:", "    peft: {dim: 8}"),
        [Row("*", 8, "?", "?", "wu")],
    ),
    (
        policy(
            "dtensor_cfg:",
            "  lora_cfg: {enabled: true, dim: 8, alpha: 16}",
            "megatron_cfg:",
            "  peft: {enabled: false, dim: 8, alpha: 32}",
        ),
        [Row("*", 8, 16, 2, "ww"), Row("*", 8, 32, 4, "ww", "off")],
    ),
    (shell("uv run examples/run_sft.py policy.dtensor_cfg.lora_cfg.dim=8"), [Row("*", 8, "?", "?", "wu")]),
    (policy("dtensor_cfg: {enabled: true}", "loss_fn: {alpha: 1.0}"), []),
]


def recipe(*lines: str) -> tuple[str, str]:
    return yaml("display_name: a", "run: {name: b}", "training_config:", *(f"  {line}" for line in lines))


HYPERPOD: Table = [
    (
        recipe("model_config:", "  peft_config: {peft_type: lora, r: 16, lora_alpha: 32}"),
        [Row("*", 16, 32, 2, "ww")],
    ),
    (recipe("model_config:", "  peft_config: {peft_type: lora, r: 16}"), [Row("*", 16, "?", "?", "wu")]),
    (
        recipe("actor_rollout_ref:", "  model: {lora_rank: 32, lora_alpha: 64}", "critic:", "  model: {lora_rank: 0}"),
        [Row(ALL, 32, 64, 2, "ww"), Row(ALL, 0, 16, "?", "wd", "off")],
    ),
    (
        recipe("model:", "  lora: {rank: 128, alpha: 256}", "  lora_rank: 128", "  lora_alpha: 16"),
        [Row("*", 128, 256, 2, "ww"), Row(ALL, 128, 16, 0.125, "ww", "off")],
    ),
    (
        recipe("model:", "  peft:", "    peft_scheme: lora", "    lora_tuning: {alpha: 64, loraplus_lr_ratio: 8.0}"),
        [Row("*", "?", 64, "?", "uw")],
    ),
    (
        recipe("peft:", "  peft_scheme: null", "  lora_tuning: {alpha: 64}"),
        [Row("*", "?", 64, "?", "uw", "off")],
    ),
    (
        yaml("display_name: a", "run: {name: b}", "model: {lora_rank: 32, lora_alpha: 64}"),
        [Row(ALL, 32, 64, 2, "ww")],
    ),
    (recipe("model_config:", "  peft_config: null"), []),
    (recipe("model:", "  peft: {peft_scheme: null}"), []),
]

TABLES = {
    "trl": TRL,
    "ms_swift": MS_SWIFT,
    "unsloth": UNSLOTH,
    "openrlhf": OPENRLHF,
    "verl": VERL,
    "nemo": NEMO,
    "megatron_bridge": MEGATRON_BRIDGE,
    "nemo_automodel": NEMO_AUTOMODEL,
    "nemo_rl": NEMO_RL,
    "hyperpod": HYPERPOD,
}


@pytest.mark.parametrize(
    ("name", "source", "expected"), [(name, source, rows) for name, table in TABLES.items() for source, rows in table]
)
def test_sites_are_what_the_framework_computes(name: str, source: tuple[str, str], expected: list[Row]) -> None:
    found = setups(*source)
    assert {setup.framework for setup in found} == ({name} if expected else set())
    assert rows(found) == expected


@pytest.mark.parametrize("name", TABLES)
def test_markers_let_every_framework_be_asked(name: str) -> None:
    texts = [text for (_, text), expected in TABLES[name] if expected]
    assert [text for text in texts if name not in candidates(text.encode())] == []
    assert framework(name).DOCS.startswith("https://")


@pytest.mark.parametrize(
    ("command", "key", "meant"),
    [
        (f"{SFT} --use_peft --lora_aplha 8", "lora_aplha", "lora_alpha"),
        (f"{SFT} --use_peft --target_modules q_proj --lora_r 8", "target_modules", "lora_target_modules"),
        (f"{SFT} --use_peft --lora_rank 8", "lora_rank", "lora_r"),
        (f"{SWIFT} --tuner_type lora --lora_rnk 8", "lora_rnk", "lora_rank"),
    ],
)
def test_a_neighbour_s_flag_is_named(command: str, key: str, meant: str) -> None:
    (setup,) = setups("train.sh", command)
    assert [(unknown.key, unknown.suggestion) for unknown in setup.unknown_keys] == [(key, meant)]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (shell(SWIFT), "training"),
        (saved("args.json", tuner_type="lora", lora_rank=8, ckpt_dir=None), "checkpoint"),
        (python(LOAD, f"{CALL}r=8)"), "source"),
    ],
)
def test_the_arguments_of_a_finished_run_are_a_checkpoint_s(source: tuple[str, str], kind: str) -> None:
    assert [setup.kind for setup in setups(*source)] == [kind]
