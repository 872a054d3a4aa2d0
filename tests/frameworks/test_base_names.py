"""What each framework calls the base model: the key is that of its own arguments, wherever they stand.

Sources: component/argument.py:13 at 138432e of Firefly, litgpt/finetune/lora.py:50 at 26857050, `ModelConfig` of
toolkit/config_modules.py at 27a03a91 of ai-toolkit, megatron_gpt_finetuning.py:62 of NeMo, model/hf_model.yaml:10 of
verl, src/params.py:21 of Qwen-VL-Series-Finetune, cli/train_sft.py:214 and cli/train_ppo_ray.py:517 of OpenRLHF, the
`main.py` of DeepSpeed-Chat's steps, vla-scripts/finetune.py:78 of OpenVLA, finetune/args.py of mistral-finetune,
src/levanter/main/lora_lm.py of Levanter, ltx_trainer/config.py:224 and ltxv_trainer/config.py:17, mlx_vlm/lora.py, and
for the others the dataclass or parser that the framework's own module cites.
"""

import pytest

from tests.frameworks.rows import python, saved, setups, shell, yaml

JOB = "job: extension\nconfig:\n  process:\n  - network: {type: lora, linear: 16}\n"

NAMED = [
    (
        saved("adapter_config.json", model_name="a/b", config={"architecture": "lora", "r": 8, "attn_matrices": ["q"]}),
        "adapterhub",
    ),
    (("j.yaml", JOB + "    model: {name_or_path: a/b}\n"), "ai_toolkit"),
    (shell("python finetune.py --base_model a/b --data_path d --cutoff_len 8 --lora_r 8"), "alpaca_lora"),
    (
        shell("deepspeed main.py --actor_model_name_or_path a/b --actor_lora_dim 8 --only_optimize_lora"),
        "deepspeed_chat",
    ),
    (shell("deepspeed main.py --model_name_or_path a/b --lora_dim 8 --only_optimize_lora"), "deepspeed_chat"),
    (shell("python train_dreambooth_lora.py --pretrained_model_name_or_path a/b --rank 8"), "diffusers"),
    (shell("python -m fastchat.train.train_lora --model_name_or_path a/b --lora_r 8"), "fastchat"),
    (
        shell(
            "torchrun t.py --pretrained_model_name_or_path a/b --lora_training True --lora_rank 8 --dit_precision fp32"
        ),
        "fastvideo",
    ),
    (
        shell(
            "python t.py --pretrained_model_name_or_path a/b --training_type lora --rank 8 --flow_weighting_scheme x"
        ),
        "finetrainers",
    ),
    (
        yaml(
            "models:",
            "  student: {_target_: fastvideo.train.models.wan.WanModel, init_from: a/b, lora: {enable: true, rank: 8}}",
        ),
        "fastvideo",
    ),
    (
        saved("f.json", model_name_or_path="a/b", train_file="t", max_seq_length=8, train_mode="lora", lora_rank=8),
        "firefly",
    ),
    (shell("firectl create sftj --base-model a/b --lora-rank 8 --dataset d"), "fireworks"),
    (yaml("base_model_name: a/b", "lora: {rank: 8, alpha: 16}"), "generic"),
    (yaml("lora: {rank: 8, alpha: 16, base_model: a/b}"), "generic"),
    (yaml("model:", "  pretrained_model_name_or_path: a/b", "  lora: {rank: 8, alpha: 16}"), "generic"),
    (yaml("llm_backbone: a/b", "training: {lora: true, lora_r: 8, lora_alpha: 16}"), "h2o_llm_studio"),
    (
        yaml("model: {pretrained_model_name_or_path: a/b}", "lora_unet: [{rank: 8, alpha: 8, layers: [x]}]"),
        "hcp_diffusion",
    ),
    (
        yaml(
            "display_name: x",
            "training_config:",
            "  model_config: {model_name_or_path: a/b, peft_config: {peft_type: lora, r: 8, lora_alpha: 8}}",
        ),
        "hyperpod",
    ),
    (
        yaml(
            "run: {name: x}",
            "training_config:",
            "  actor_rollout_ref: {model: {path: a/b, lora_rank: 8, lora_alpha: 8}}",
        ),
        "hyperpod",
    ),
    (
        yaml(
            "run: {model_name_or_path: a/b}",
            "training_config:",
            "  model: {peft: {peft_scheme: lora, lora_tuning: {alpha: 8}}}",
        ),
        "hyperpod",
    ),
    (yaml("initialize_from_hf: a/b", "lora: {r: 8, alpha: 8}", "trainer: {num_train_steps: 1}"), "levanter"),
    (shell("lerobot-train --policy.path=a/b --peft.r=8"), "lerobot"),
    (yaml("checkpoint_dir: a/b", "lora_r: 8", "lora_alpha: 16", "lora_query: true"), "litgpt"),
    (shell("torchrun finetuning.py --model_name a/b --use_peft --peft_method lora"), "llama_cookbook"),
    (yaml("model: a/b", "peft_config: {name: lora, r: 8, lora_alpha: 16}", "train_dataset: d"), "llama_factory"),
    (shell("deepspeed llava/train/train_mem.py --model_name_or_path a/b --lora_enable True"), "llava"),
    (shell("lora_pti --pretrained_model_name_or_path=a/b --lora_rank=8"), "lora_diffusion"),
    (
        yaml(
            "model: {model_path: a/b, training_mode: lora}", "lora: {rank: 8, alpha: 8}", "data: {}", "validation: {}"
        ),
        "ltx_trainer",
    ),
    (
        yaml("model: {model_source: a/b, training_mode: lora}", "lora: {rank: 8}", "data: {}", "validation: {}"),
        "ltx_trainer",
    ),
    (yaml("model_type: llm", "base_model: a/b", "input_features: []", "adapter: {type: lora, r: 8}"), "ludwig"),
    (shell("python supervised_finetuning.py --model_name_or_path a/b --use_peft True --lora_rank 8"), "medical_gpt"),
    (shell("torchrun finetune.py --llm_type minicpm --model_name_or_path a/b --use_lora true"), "minicpm_v"),
    (
        yaml("model_id_or_path: a/b", "lora: {rank: 8}", "run_dir: r", "seq_len: 8", "save_adapters: true"),
        "mistral_finetune",
    ),
    (yaml("model: a/b", "fine_tune_type: lora", "num_layers: 8", "iters: 1"), "mlx_lm"),
    (
        yaml("model: a/b", "tensor_model_parallel_size: 2", "tuner_type: lora", "lora_rank: 8", "lora_alpha: 16"),
        "ms_swift",
    ),
    (shell("python -m mlx_vlm.lora --model-path a/b --lora-rank 8"), "mlx_vlm"),
    (
        yaml("model: a/b", "micro_batch_size: 2", "train: {tuner_type: lora, lora_rank: 8, lora_alpha: 16}"),
        "ms_swift",
    ),
    (
        yaml(
            "model:",
            "  restore_from_path: a/b",
            "  peft: {peft_scheme: lora, lora_tuning: {adapter_dim: 8, alpha: 8}}",
        ),
        "nemo",
    ),
    (
        shell("python megatron_gpt_finetuning.py model.restore_from_path=a/b model.peft.lora_tuning.adapter_dim=8"),
        "nemo",
    ),
    (
        yaml(
            "model: {pretrained_model_name_or_path: a/b}",
            "peft: {_target_: nemo_automodel.components._peft.lora.PeftConfig, dim: 8, alpha: 8}",
        ),
        "nemo_automodel",
    ),
    (
        yaml("policy: {model_name: a/b, dtensor_cfg: {lora_cfg: {enabled: true, dim: 8, alpha: 8}}}", "grpo: {}"),
        "nemo_rl",
    ),
    (
        saved("o.json", input_model={"type": "HfModel", "model_path": "a/b"}, passes={"l": {"type": "LoRA", "r": 8}}),
        "olive",
    ),
    (shell("deepspeed --module openrlhf.cli.train_sft --pretrain a/b --lora_rank 8"), "openrlhf"),
    (shell("deepspeed --module openrlhf.cli.train_sft --model.model_name_or_path a/b --ds.lora.rank 8"), "openrlhf"),
    (shell("python -m openrlhf.cli.train_ppo_ray --actor.model_name_or_path a/b --ds.lora.rank 8"), "openrlhf"),
    (shell("torchrun vla-scripts/finetune.py --vla_path a/b --lora_rank 8"), "openvla"),
    (shell("python qlora.py --model_name_or_path a/b --lora_r 8 --bits 4"), "qlora"),
    (shell("torchrun qwenvl/train/train_qwen.py --model_name_or_path a/b --lora_enable True"), "qwen3_vl"),
    (shell("torchrun finetune.py --model_name_or_path a/b --use_lora True --q_lora True --fix_vit True"), "qwen_vl"),
    (shell("deepspeed src/train/train_sft.py --model_id a/b --lora_enable True --vision_lora True"), "qwen_vl_series"),
    (python("client = service.create_lora_training_client(base_model='a/b', rank=8)"), "tinker"),
    (
        shell(
            "deepspeed tinyllava/train/train.py --model_name_or_path a/b",
            "--tune_type_llm lora --lora_r 8 --vision_tower v --connector_type c",
        ),
        "tiny_llava",
    ),
    (shell("together fine-tuning create --model a/b --lora-r 8 --training-file f"), "together"),
    (shell("python unsloth-cli.py --model_name a/b --r 8"), "unsloth"),
    (yaml("model: a/b", "training: {training_type: lora}", "lora: {lora_r: 8, lora_alpha: 8}"), "unsloth"),
    (
        yaml("actor_rollout_ref: {model: {path: a/b, lora_rank: 8, lora_alpha: 8}}", "critic: {model: {path: c/d}}"),
        "verl",
    ),
    (yaml("actor_rollout_ref: {model: {path: a/b, lora: {rank: 8, alpha: 8}}}"), "verl"),
    (
        shell("python -m verl.trainer.main_ppo actor_rollout_ref.model.path=a/b actor_rollout_ref.model.lora_rank=8"),
        "verl",
    ),
    (shell("torchrun -m verl.trainer.fsdp_sft_trainer model.partial_pretrain=a/b model.lora_rank=8"), "verl"),
    (
        shell(
            "python train_lora.py --pretrained_model_name_or_path a/b --train_data_meta m --rank 8 --network_alpha 8"
        ),
        "videox_fun",
    ),
    (
        shell("torchrun finetune.py --model_name_or_path a/b --use_lora True --hd_num 18 --lora_r 8 --given_num True"),
        "xcomposer",
    ),
]


@pytest.mark.parametrize(("given", "framework"), NAMED, ids=[f"{at}-{name}" for at, (_, name) in enumerate(NAMED)])
def test_the_base_model_is_named(given: tuple[str, str], framework: str) -> None:
    (setup,) = setups(*given)
    assert setup.framework == framework
    assert setup.base_name is not None
    assert setup.base_name.name == "a/b"


@pytest.mark.parametrize(
    "given",
    [
        yaml("model: a/b", "lora: {rank: 8, alpha: 16}"),
        yaml("teacher: {base_model: a/b}", "lora: {rank: 8, alpha: 16}"),
        yaml("initialize_from_hf: true", "lora: {r: 8, alpha: 8}", "trainer: {num_train_steps: 1}"),
        shell("torchrun vla-scripts/finetune.py --vla_path $VLA --lora_rank 8"),
        yaml("actor_rollout_ref: {model: {lora_rank: 8, lora_alpha: 8}}", "critic: {hybrid_engine: {path: c/d}}"),
    ],
)
def test_what_may_be_anything_names_no_base_model(given: tuple[str, str]) -> None:
    (setup,) = setups(*given)
    assert setup.base_name is None
