"""Trainers that came with a paper and that people copy: what their commands and configs make of rank and alpha.

Read at: tloen/alpaca-lora 8bb8579e (finetune.py:28-58,185), AGI-Edgerunners/LLM-Adapters 81665720 (finetune.py:34-49,
197-226), NVlabs/DoRA 7e2f10aa (its copy, commonsense_reasoning/finetune.py:228), artidoro/qlora 7f4e95a6
(qlora.py:157-188,386), microsoft/LoRA c4593f06 (examples/NLG/src/gpt2_ft.py:73-75, run_glue.py:176-187,
loralib/layers.py:90-112), TUDB-Labs/mLoRA 4abf120e (mlora/config/adapter.py:57-78, model/modules/lora.py:206),
shibing624/MedicalGPT 2f1008cf (training/*.py), yangjianxin1/Firefly e22b406a (component/argument.py:19-22),
THUDM/ChatGLM3 732294f0 (finetune_demo/finetune_hf.py:200), cloneofsimo/lora d84074b3 (cli_lora_pti.py:700-724,
lora.py:52-58), OpenGVLab/InternVL 2410d1d (internvl_chat_finetune.py:810 takes one JSON file in place of flags).
"""

import pytest

from tests.frameworks.rows import Row, rows, setups

ALPACA = "python finetune.py --base_model b --data_path d --cutoff_len 8"
QLORA = "python qlora.py --bits 4 --source_max_len 16"
GPT2 = "python -m torch.distributed.launch --nproc_per_node=1 src/gpt2_ft.py --lr 0.1"
GLUE = "python -m torch.distributed.launch examples/text-classification/run_glue.py --task_name mnli"
MEDICAL = "torchrun --nproc_per_node 2 training/supervised_finetuning.py --train_file_dir d --use_peft True"
PTI = "lora_pti --instance_data_dir d"
ADAPTER = "dispatcher: {name: d}\ndatasets: []\ntasks: []\nadapters:\n"
INTERNVL = '{"model_name_or_path": "m", "conv_style": "c", "meta_path": "p", '
FIREFLY = '{"train_file": "t", "template_name": "q", "max_seq_length": 8, '
GLM = "data_config: {train_file: t}\ntraining_args: {max_steps: 1}\npeft_config:\n  peft_type: LORA\n"

COMMANDS = {
    "alpaca_lora": [
        (f"{ALPACA} --lora_r 8 --lora_alpha 16", [Row("*", 8, 16, 2, "ww")]),
        (f"{ALPACA} --lora_dropout 0.1", [Row("*", 8, 16, 2, "dd")]),
        (f"{ALPACA} --lora_r=16 --lora_r=64", [Row("*", 64, 16, 0.25, "wd")]),
        (f"{ALPACA} --lora_target_modules '[q_proj,v_proj]' --lora_alpha 32", [Row("*", 8, 32, 4, "dw")]),
        (f"{ALPACA} --lora_r $1 --lora_alpha $2", [Row("*", "?", "?", "?", "uu")]),
        (f"{ALPACA} --adapter_name lora --lora_r 32 --lora_alpha 64", [Row("*", 32, 64, 2, "ww")]),
        (f"{ALPACA} --adapter_name dora --lora_r 32 --lora_alpha 64", [Row("*", 32, 64, 2, "ww", method="dora")]),
        (f"{ALPACA} --adapter_name prefix-tuning --lora_r 8", [Row("*", 8, 16, 2, "wd", "not-lora", "prefix-tuning")]),
    ],
    "qlora": [
        (f"{QLORA} --lora_r 64 --lora_alpha 128", [Row("all-linear", 64, 128, 2, "ww")]),
        (QLORA, [Row("all-linear", 64, 16, 0.25, "dd")]),
        (f"{QLORA} --full_finetune --lora_r 8", [Row("all-linear", 8, 16, 2, "wd", "off")]),
        (f"{QLORA} --lora_r 8 --lora_alpha 16 --lora_alpha 8", [Row("all-linear", 8, 8, 1, "ww")]),
        (f"R=8\n{QLORA} --lora_r $R --lora_alpha $((R * 2))", [Row("all-linear", 8, 16, 2, "ww")]),
    ],
    "loralib": [
        (f"{GPT2} --lora_dim 4 --lora_alpha 32", [Row("*", 4, 32, 8, "ww")]),
        (f"{GPT2} --lora_dim 4", [Row("*", 4, 128, 32, "wd")]),
        (f"{GPT2} --lora_dim 0 --lora_alpha 32", [Row("*", 0, 32, "?", "ww", "off")]),
        (f"{GLUE} --apply_lora --lora_r 8 --lora_alpha 16", [Row("*", 8, 16, 2, "ww")]),
        (f"{GLUE} --apply_lora False --lora_r 8 --lora_alpha 16", [Row("*", 8, 16, 2, "ww", "off")]),
    ],
    "medical_gpt": [
        (f"{MEDICAL} --lora_rank 8 --lora_alpha 16", [Row("all", 8, 16, 2, "ww")]),
        (MEDICAL, [Row("all", 8, 32, 4, "dd")]),
        (f"{MEDICAL} --lora_rank 16 --target_modules q,v", [Row("q v", 16, 32, 2, "wd")]),
        (f"{MEDICAL} --lora_rank 8 --peft_path p", [Row("all", "?", "?", "?", "uu")]),
        (f"{MEDICAL} --use_peft False --lora_rank 8", [Row("all", 8, 32, 4, "wd", "off")]),
    ],
    "lora_diffusion": [
        (f"{PTI} --lora_rank=4", [Row("unet", 4, 1, 1, "wd"), Row("text_encoder", 4, "-", 1, "w-")]),
        (f"{PTI} --lora_scale=2.0", [Row("unet", 4, 2, 2, "dw"), Row("text_encoder", 4, "-", 1, "d-")]),
        (
            f"{PTI} --lora_scale=2.0 --use_extended_lora --train_text_encoder=False",
            [Row("unet", 4, "-", 1, "d-")],
        ),
        ("accelerate launch train_lora_dreambooth.py --lora_rank=8", [Row("unet", 8, "-", 1, "w-")]),
    ],
}

FILES = {
    "mlora": [
        (f"{ADAPTER}  - {{name: a, type: lora, r: 8, alpha: 16}}\n", [Row("a", 8, 16, 2, "ww")]),
        (f"{ADAPTER}  - {{name: a, type: lora, alpha: 16}}\n", [Row("a", "?", 16, "?", "uw")]),
        (f"{ADAPTER}  - {{name: a, type: lora, r: '8', alpha: '16'}}\n", [Row("a", 8, 16, 2, "ww")]),
        (
            f"{ADAPTER}  - {{name: a, type: lora, r: 8, alpha: 8}}\n  - {{name: b, type: dora, r: 4, alpha: 16}}\n",
            [Row("a", 8, 8, 1, "ww"), Row("b", 4, 16, 4, "ww", method="dora")],
        ),
    ],
    "firefly": [
        (f'{FIREFLY}"lora_rank": 64, "lora_alpha": 128}}', [Row("all-linear", 64, 128, 2, "ww")]),
        (f'{FIREFLY}"train_mode": "lora", "lora_rank": 32}}', [Row("all-linear", 32, 16, 0.5, "wd")]),
        (f'{FIREFLY}"lora_alpha": 32}}', [Row("all-linear", 64, 32, 0.5, "dw")]),
        (f'{FIREFLY}"train_mode": "full", "lora_rank": 8}}', [Row("all-linear", 8, 16, 2, "wd", "off")]),
    ],
    "chatglm": [
        (f"{GLM}  r: 8\n  lora_alpha: 32\n", [Row("*", 8, 32, 4, "ww")]),
        (GLM, [Row("*", 8, 8, 1, "dd")]),
        (f"{GLM}  r: 64\n  lora_alpha: 16\n  use_rslora: true\n", [Row("*", 64, 16, 2, "ww")]),
    ],
    "internvl": [
        (
            f'{INTERNVL}"use_llm_lora": 16, "use_backbone_lora": 0}}',
            [Row("vision_model", 0, 0, "?", "wc", "off"), Row("language_model", 16, 32, 2, "wc")],
        ),
        (
            '{"model_type": "eagle_chat", "llm_config": {}, "vision_config": {}, "use_llm_lora": 8}',
            [Row("language_model", 8, 16, 2, "wc")],
        ),
        ('{"model_type": "internvl_chat", "use_llm_lora": 1}', [Row("language_model", 1, 2, 2, "wc")]),
    ],
}


@pytest.mark.parametrize(
    ("framework", "text", "expected"),
    [(name, text, expected) for name, table in COMMANDS.items() for text, expected in table],
)
def test_a_command_says_what_its_trainer_does(framework: str, text: str, expected: list[Row]) -> None:
    found = setups("train.sh", f"{text}\n")
    assert {setup.framework for setup in found} == {framework}
    assert rows(found) == expected


@pytest.mark.parametrize(
    ("framework", "text", "expected"),
    [(name, text, expected) for name, table in FILES.items() for text, expected in table],
)
def test_a_file_says_what_its_trainer_does(framework: str, text: str, expected: list[Row]) -> None:
    found = setups("config.json" if text.startswith("{") else "config.yaml", text)
    assert {setup.framework for setup in found} == {framework}
    assert rows(found) == expected


@pytest.mark.parametrize(
    ("command", "framework"),
    [
        ("python finetune.py --base_model b --lora_r 8 --lora_alpha 8", "generic"),
        ("python my_qlora.py --bits 4 --lora_r 8 --lora_alpha 8", "generic"),
        ("python supervised_finetuning.py --lora_r 8 --lora_alpha 8", "generic"),
        ("python gpt2.py --lora_dim 8 --lora_alpha 8", "generic"),
        ("llamafactory-cli train --stage sft --finetuning_type lora --lora_rank 8 --lora_alpha 8", "llama_factory"),
        ("swift sft --model m --train_type lora --lora_rank 8 --lora_alpha 8", "ms_swift"),
    ],
)
def test_another_program_with_the_same_flags_is_not_taken_for_one(command: str, framework: str) -> None:
    assert [setup.framework for setup in setups("train.sh", f"{command}\n")] == [framework]
