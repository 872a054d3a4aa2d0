"""Trainers of language models: rank, alpha, scale, state and origins, as their own code computes them."""

import pytest

from lora_lint.frameworks import candidates, framework
from tests.frameworks.rows import Row, python, rows, saved, setups, shell, yaml

Table = list[tuple[tuple[str, str], list[Row]]]


ALL = "all-linear"

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

_NLP = {"model_name_or_path": "meta-llama/Llama-2-7b", "tensor_parallel_degree": 1, "sharding": "stage1", "lora": True}
FORMERS = ("template_backend: custom", "tensor_model_parallel_size: 1", "fine_tuning: lora", "lora_rank: 8")
ERNIE = ("train_dataset_type: erniekit", "compute_type: bf16", "batch_size: 1")

PADDLENLP: Table = [
    (saved("lora_argument.json", **_NLP), [Row("*", 8, 16, 2, "dc")]),
    (saved("lora_argument.json", **_NLP, lora_rank=64), [Row("*", 64, 128, 2, "wc")]),
    (saved("lora_argument.json", **_NLP, lora_rank=64, rslora=True), [Row("*", 64, 4, 0.5, "wc")]),
    (saved("dpo.json", **_NLP, lora_rank=16, rslora_plus=True), [Row("*", 16, 4, 1, "wc")]),
    (saved("pissa.json", **_NLP, lora_rank=16, pissa=True), [Row("*", 16, 32, 1, "wc")]),
    (saved("on.json", **_NLP, lora_rank=16, lora_path="./ckpt"), [Row("*", "?", "?", "?", "uu")]),
    (saved("sft.json", **(_NLP | {"lora": False}), lora_rank=16), [Row("*", 16, 32, 2, "wc", "off")]),
    (saved("sft.json", **{key: value for key, value in _NLP.items() if key != "lora"}), []),
    (yaml(*FORMERS), [Row("*", 8, 16, 2, "wc")]),
    (yaml(*FORMERS, "lora_alpha: 32"), [Row("*", 8, 16, 2, "wc")]),
    (yaml(*FORMERS[:2], "fine_tuning: full", "lora: true"), [Row("*", 8, 16, 2, "dc", "off")]),
    (
        saved(
            "lora_config.json",
            r=8,
            lora_alpha=16,
            target_modules=[".*q.*"],
            lora_plus_scale=1.0,
            trainable_bias=None,
        ),
        [Row(".*q.*", 8, 16, 2, "ww")],
    ),
    (
        python("from paddlenlp.peft import LoRAConfig", "config = LoRAConfig(r=8, lora_alpha=8, rslora=True)"),
        [Row("*", 8, 8, 2.828427, "ww")],
    ),
]

ERNIEKIT: Table = [
    (yaml(*ERNIE, "fine_tuning: LoRA", "lora_rank: 32"), [Row("*", 32, 64, 2, "wc")]),
    (yaml(*ERNIE, "fine_tuning: LoRA", "lora_rank: 32", "lora_alpha: -1"), [Row("*", 32, 64, 2, "wc")]),
    (yaml(*ERNIE, "fine_tuning: LoRA", "lora_rank: 32", "lora_alpha: 32"), [Row("*", 32, 32, 1, "ww")]),
    (yaml(*ERNIE, "fine_tuning: LoRA", "lora_rank: 32", "lora_alpha: ${A}"), [Row("*", 32, "?", "?", "wu")]),
    (
        yaml(*ERNIE, "fine_tuning: LoRA", "rslora: on", "lora_rank: 16", "lora_alpha: 8"),
        [Row("*", 16, 8, 2, "ww")],
    ),
    (
        yaml(*ERNIE, "fine_tuning: LoRA", "rslora_plus: on", "lora_rank: 16", "lora_alpha: 9"),
        [Row("*", 16, 4, 1, "wc")],
    ),
    (yaml(*ERNIE, "fine_tuning: Full", "lora_rank: 8"), [Row("*", 8, 16, 2, "wc", "off")]),
    (yaml(*ERNIE), []),
]

TABLES = {
    "openrlhf": OPENRLHF,
    "verl": VERL,
    "nemo": NEMO,
    "megatron_bridge": MEGATRON_BRIDGE,
    "nemo_automodel": NEMO_AUTOMODEL,
    "nemo_rl": NEMO_RL,
    "hyperpod": HYPERPOD,
    "paddlenlp": PADDLENLP,
    "erniekit": ERNIEKIT,
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
