"""The words that rules ask for, as frameworks spell them; the files beside a config."""

import json
from pathlib import Path

import pytest

from lora_lint.facts import Setup
from lora_lint.folder import Folder
from lora_lint.linter import lint, read_setups
from lora_lint.reading import read_bytes

AXOLOTL = "base_model: org/model\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n"
FACTORY = "model_name_or_path: org/model\nstage: sft\nfinetuning_type: lora\nlora_rank: 8\n"
FLAGS = "llamafactory-cli train --finetuning_type lora --lora_rank 8"
SWIFT = "swift sft --tuner_type lora --lora_rank 8"
INTERNVL = "torchrun internvl/train/internvl_chat_finetune.py --use_llm_lora 16"
LLAVA = "deepspeed llava/train/train_mem.py --lora_enable True --lora_r 8"
KOHYA = "accelerate launch train_network.py --network_module networks.lora --network_dim 8"
VERL = (
    "python3 -m verl.trainer.main_ppo algorithm.adv_estimator=grpo actor_rollout_ref.model.lora_rank=32 "
    "actor_rollout_ref.actor.optim.lr=3e-5"
)
TORCHTUNE = (
    "model:\n  _component_: torchtune.models.llama3.lora_llama3_8b\n  lora_rank: 8\n  lora_alpha: 16\n"
    "optimizer:\n  _component_: torch.optim.AdamW\n  lr: 3e-4\n"
)
LITGPT = (
    "checkpoint_dir: a\ndata: {}\nlora_r: 8\nlora_alpha: 16\nlora_query: true\n"
    "optimizer: {class_path: torch.optim.AdamW, init_args: {lr: 0.0002}}\n"
)
MLX = "fine_tune_type: lora\nnum_layers: 16\nlearning_rate: 1e-5\nlora_parameters: {rank: 8, scale: 2.0}\n"
UNSLOTH = "training: {learning_rate: 0.0002}\nlora: {lora_r: 8, lora_alpha: 16}\n"
LUDWIG = (
    "model_type: llm\nbase_model: org/model\ninput_features: []\nadapter: {type: lora, r: 8}\n"
    "trainer: {learning_rate: 0.0001}\n"
)
TRL = "trl sft --use_peft --lora_r 8"
ONETRAINER = (
    '{"base_model_name": "a/b", "training_method": "LORA", "lora_rank": 8, "lora_alpha": 8, '
    '"lora_weight_dtype": "FLOAT_16"}'
)
AI_TOOLKIT = "job: extension\nconfig: {process: [{network: {type: lora, linear: 8}, train: {lr: 0.0001}}]}\n"
SHARDED = ("fsdp_state_dict_type", "SHARDED_STATE_DICT", "written", ("fsdp_config", "state_dict_type"))
PEFT = '{"peft_type": "LORA", "r": 8, "lora_alpha": 16, '


def setup(name: str, text: str) -> Setup:
    (found,) = read_bytes(name, text.encode()).setups
    return found


@pytest.mark.parametrize(
    ("name", "text", "word", "value", "origin", "path"),
    [
        ("a.yaml", AXOLOTL + "learning_rate: 2.0e-4", "learning_rate", 2e-4, "written", ("learning_rate",)),
        ("a.yaml", AXOLOTL + "learning_rate: 1e-4", "learning_rate", 1e-4, "written", ("learning_rate",)),
        ("a.yaml", AXOLOTL + "optimizer: adamw_torch", "optim", "adamw_torch", "written", ("optimizer",)),
        ("a.yaml", AXOLOTL + "micro_batch_size: 2", "per_device_train_batch_size", 2, "written", ("micro_batch_size",)),
        ("a.yaml", AXOLOTL + "load_in_4bit: true", "load_in_4bit", True, "written", ("load_in_4bit",)),
        (
            *("a.yaml", AXOLOTL + "gradient_checkpointing_kwargs: {use_reentrant: false}", "use_reentrant"),
            *(False, "written", ("gradient_checkpointing_kwargs", "use_reentrant")),
        ),
        ("a.yaml", FACTORY + "learning_rate: 1e-4", "learning_rate", 1e-4, "written", ("learning_rate",)),
        ("a.sh", FLAGS + " --bf16 True", "bf16", True, "written", ("bf16",)),
        ("a.yaml", FACTORY + "quantization_bit: 4", "quantization_bit", 4, "written", ("quantization_bit",)),
        ("a.yaml", FACTORY, "stage", "sft", "written", ("stage",)),
        ("a.yaml", AXOLOTL + "rl: dpo", "stage", "dpo", "written", ("rl",)),
        ("a.yaml", AXOLOTL + "loraplus_lr_ratio: 16", "loraplus_lr_ratio", 16, "written", ("loraplus_lr_ratio",)),
        ("a.yaml", AXOLOTL, "adapter_kind", "lora", "written", ("adapter",)),
        ("a.yaml", AXOLOTL + "lora_model_dir: out", "adapter_path", "out", "written", ("lora_model_dir",)),
        (
            *("a.yaml", AXOLOTL + "resume_from_checkpoint: out/checkpoint-1", "resume_from"),
            *("out/checkpoint-1", "written", ("resume_from_checkpoint",)),
        ),
        ("a.yaml", FACTORY + "fsdp_config: {state_dict_type: SHARDED_STATE_DICT}", *SHARDED),
        ("a.sh", SWIFT + " --learning_rate 1e-4", "learning_rate", 1e-4, "written", ("learning_rate",)),
        ("a.sh", SWIFT + " --quant_bits 4", "quantization_bit", 4, "written", ("quant_bits",)),
        ("a.sh", SWIFT + " --lorap_lr_ratio 16", "loraplus_lr_ratio", 16, "written", ("lorap_lr_ratio",)),
        ("a.sh", SWIFT + " --lora_lr_ratio 16", "loraplus_lr_ratio", 16, "written", ("lora_lr_ratio",)),
        ("a.yaml", TORCHTUNE, "learning_rate", 3e-4, "written", ("optimizer", "lr")),
        ("a.yaml", TORCHTUNE, "optim", "torch.optim.AdamW", "written", ("optimizer", "_component_")),
        ("a.yaml", LITGPT, "learning_rate", 2e-4, "written", ("optimizer", "init_args", "lr")),
        ("a.yaml", MLX, "learning_rate", 1e-5, "written", ("learning_rate",)),
        ("a.yaml", UNSLOTH, "learning_rate", 2e-4, "written", ("training", "learning_rate")),
        ("a.yaml", LUDWIG, "learning_rate", 1e-4, "written", ("trainer", "learning_rate")),
        ("a.sh", VERL, "learning_rate", 3e-5, "written", ("actor_rollout_ref.actor.optim.lr",)),
        ("a.sh", VERL, "stage", "grpo", "written", ("algorithm.adv_estimator",)),
        ("a.sh", INTERNVL + " --freeze_llm True", "freeze_llm", True, "written", ("freeze_llm",)),
        ("a.sh", INTERNVL + " --freeze_backbone False", "freeze_vision", False, "written", ("freeze_backbone",)),
        ("a.sh", LLAVA + " --learning_rate 2e-4", "learning_rate", 2e-4, "written", ("learning_rate",)),
        ("a.sh", KOHYA + " --optimizer_type Prodigy", "optim", "Prodigy", "written", ("optimizer_type",)),
        ("a.sh", KOHYA + " --unet_lr 1e-4", "unet_lr", 1e-4, "written", ("unet_lr",)),
        ("a.sh", KOHYA, "stage", "diffusion", "derived", ()),
        (
            *("a.sh", KOHYA + " --network_args loraplus_lr_ratio=4 loraplus_unet_lr_ratio=8", "loraplus_lr_ratio"),
            *(8, "written", ("network_args", 1, "loraplus_unet_lr_ratio")),
        ),
        ("a.yaml", TORCHTUNE + "loss: {_component_: torchtune.rlhf.loss.DPOLoss}", "stage", "dpo", "derived", ()),
        (
            *("a.yaml", TORCHTUNE + "loss: {_component_: torchtune.modules.loss.LinearCrossEntropyLoss}", "stage"),
            *("sft", "derived", ()),
        ),
        ("a.yaml", LITGPT, "stage", "sft", "derived", ()),
        ("a.sh", TRL + " --num_train_epochs 1", "default_learning_rate", 2e-5, "default", ()),
        ("a.sh", "trl dpo --use_peft --lora_r 8", "stage", "dpo", "derived", ()),
        ("a.json", ONETRAINER, "fp16_adapter", True, "written", ("lora_weight_dtype",)),
        ("a.yaml", AI_TOOLKIT, "learning_rate", 1e-4, "written", ("config", "process", 0, "train", "lr")),
    ],
)
def test_a_word_of_the_run_is_found_where_the_framework_has_it(
    name: str, text: str, word: str, value: object, origin: str, path: tuple[str, ...]
) -> None:
    fact = getattr(setup(name, text).training, word)
    assert (fact.value, fact.origin, fact.path) == (value, origin, path)


@pytest.mark.parametrize(
    ("name", "text", "word", "value", "path"),
    [
        (
            "a.json",
            PEFT + '"base_model_name_or_path": "org/model"}',
            "base_model",
            "org/model",
            ("base_model_name_or_path",),
        ),
        ("a.json", PEFT + '"modules_to_save": ["lm_head"]}', "modules_to_save", ["lm_head"], ("modules_to_save",)),
        ("a.yaml", AXOLOTL, "base_model", "org/model", ("base_model",)),
        ("a.yaml", AXOLOTL + "revision_of_model: v2", "revision", "v2", ("revision_of_model",)),
        ("a.yaml", AXOLOTL + "model_revision: v2", "revision", "v2", ("model_revision",)),
        ("a.yaml", FACTORY + "model_revision: v2", "revision", "v2", ("model_revision",)),
        ("a.yaml", AXOLOTL + "peft_use_dora: true", "use_dora", True, ("peft_use_dora",)),
        (
            "a.yaml",
            FACTORY + "additional_target: embed_tokens",
            "modules_to_save",
            "embed_tokens",
            ("additional_target",),
        ),
    ],
)
def test_a_word_of_the_adapter_is_found_where_the_framework_has_it(
    name: str, text: str, word: str, value: object, path: tuple[str, ...]
) -> None:
    fact = getattr(setup(name, text).adapter, word)
    assert (fact.value, fact.path) == (value, path)


def test_what_nobody_says_is_none_and_what_cannot_be_read_is_unknown() -> None:
    found = setup("a.yaml", AXOLOTL + "learning_rate: fast\noptimizer:\n")
    assert found.training.optim is None
    assert found.training.weight_decay is None
    rate = found.training.learning_rate
    assert rate is not None
    assert (rate.known, rate.reason) == (False, "is no number")


@pytest.mark.parametrize(
    ("name", "text", "names", "regex", "all_linear"),
    [
        ("a.json", PEFT + '"target_modules": ["q_proj", "v_proj"]}', ["q_proj", "v_proj"], None, None),
        ("a.json", PEFT + '"target_modules": ".*_proj"}', [], ".*_proj", None),
        ("a.json", PEFT + '"target_modules": "All-Linear"}', [], None, "All-Linear"),
        ("a.yaml", FACTORY + "lora_target: q_proj, v_proj", ["q_proj", "v_proj"], None, None),
        ("a.yaml", FACTORY + "lora_target: all", [], None, "all"),
        (
            "a.yaml",
            AXOLOTL + "lora_target_modules: [embed_tokens]\nlora_target_linear: true",
            ["embed_tokens"],
            None,
            "all-linear",
        ),
        ("a.yaml", AXOLOTL + "lora_target_modules: [q_proj]\nlora_target_linear: false", ["q_proj"], None, None),
        ("a.sh", "trl sft --use_peft --lora_r 8 --lora_target_modules q_proj", [], "q_proj", None),
        ("a.sh", "trl sft --use_peft --lora_r 8 --lora_target_modules q_proj v_proj", ["q_proj", "v_proj"], None, None),
    ],
)
def test_targets_are_names_or_one_expression_or_all(
    name: str, text: str, names: list[str], regex: str | None, all_linear: str | None
) -> None:
    targets = setup(name, text).targets
    assert [one.value for one in targets.names] == names
    assert (targets.regex.value if targets.regex else None) == regex
    assert (targets.all_linear.value if targets.all_linear else None) == all_linear


def test_targets_in_a_list_have_a_place_each() -> None:
    targets = setup("a.json", PEFT + '"target_modules": ["q_proj", "v_proj"]}').targets
    assert [one.path for one in targets.names] == [("target_modules", 0), ("target_modules", 1)]


def test_a_setup_knows_the_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(PEFT + '"bias": "none"}', "utf-8")
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 32000}), "utf-8")
    (tmp_path / "list.json").write_text("[1]", "utf-8")
    (found,) = read_setups([str(tmp_path / "adapter_config.json")])
    folder = found.folder
    assert folder is not None
    assert folder.names == {"adapter_config.json", "config.json", "list.json"}
    assert folder.json("config.json") == {"vocab_size": 32000}
    assert (folder.json("list.json"), folder.json("absent.json"), folder.text("absent.json")) == (None, None, None)


def test_files_that_lead_out_of_a_folder_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}", "utf-8")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "config.json").symlink_to("../secret.json")
    folder = Folder(str(inner / "adapter_config.json"))
    assert folder.json("config.json") is None
    assert folder.json("../secret.json") is None


def test_text_without_a_file_has_nothing_beside_it() -> None:
    assert setup("a.yaml", AXOLOTL).folder is None
    assert lint([]).diagnostics == []
