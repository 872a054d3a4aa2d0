"""Trainers that hand rank and alpha to PEFT: rank, alpha, scale, state and origins, as their own code computes them.

Expected values come from reading upstream:
TRL: trl/trainer/model_config.py:103-150, trainer/utils.py:254-277 at f2cd5771; examples/scripts/sft.py:52 at 830cadfc.
axolotl: utils/schemas/peft.py:41-92, loaders/adapter.py:131-207 and 372-383 at 067b021c.
LLaMA-Factory: hparams/finetuning_args.py:69-103 and 587, model/adapter.py:181-216,
v1/plugins/model_plugins/peft.py:36-50 at ff6d4d12; src/utils/config.py:164 at 17024ebc.
ms-swift: arguments/tuner_args.py:126-152, pipelines/train/tuner.py:178-250 and 389, tuner_plugin/lora_llm.py:76,
megatron/arguments/megatron_args.py:449-470 and 1020 at 36023605.
Unsloth: models/llama.py:3061-3092, unsloth-cli.py:331-386, unsloth_cli/config.py:36-50 at 015bdef0.
XTuner: model/sft.py:119-167, model/llava.py:115-163, tools/train.py:155-156 at b934f462.
"""

import pytest

from lora_lint.frameworks import candidates, framework
from tests.frameworks.rows import Row, python, rows, saved, setups, shell, yaml

Table = list[tuple[tuple[str, str], list[Row]]]

ALL = "all-linear"

SFT = "trl sft --model_name_or_path a/b --dataset_name c/d"
SCRIPT = "accelerate launch --config_file zero3.yaml examples/scripts/dpo.py --model_name_or_path a/b"
MODEL = ("model_name_or_path: a/b", "dataset_name: c/d")

TRL: Table = [
    (shell(SFT, "--use_peft --lora_r 64 --lora_alpha 16"), [Row("*", 64, 16, 0.25, "ww")]),
    (shell(SFT, "--use_peft --lora_r 64"), [Row("*", 64, 32, 0.5, "wd")]),
    (shell(SFT, "--use_peft --lora_al 16"), [Row("*", 16, 16, 1, "dw")]),
    (shell(SFT, "--use_peft --lora_rank 64"), [Row("*", 16, 32, 2, "dd")]),
    (shell(SFT, "--use_peft"), [Row("*", 16, 32, 2, "dd")]),
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
    (shell("autotrain llm --train --use_peft --merge_adapter"), []),
    (yaml(*MODEL, "use_peft: false"), []),
    (shell("python train.py --use_peft True --model_name a/b"), []),
    (python("from transformers import ModelConfig", "ModelConfig(lora_r=8)"), []),
    (shell(SFT, "--use_peft --lora_r 8 --lora_r 64"), [Row("*", 64, 32, 0.5, "wd")]),
    (
        shell("python trl/examples/scripts/sft.py --dataset_name c/d --use_peft --peft_lora_r 32"),
        [Row("*", 32, 16, 0.5, "wd")],
    ),
    (
        shell("python trl/examples/scripts/dpo.py --dataset_name c/d --use_peft --peft_lora_alpha 128"),
        [Row("*", 64, 128, 2, "dw")],
    ),
    (
        yaml(*MODEL, "use_peft: true", "---", *MODEL, "use_peft: true", "lora_r: 8"),
        [Row("*", 16, 32, 2, "dd"), Row("*", 8, 32, 4, "wd")],
    ),
]

BASE = ("base_model: a/b", "datasets: [{path: c}]")
DICT = 'base_model="a", datasets=[]'

AXOLOTL: Table = [
    (yaml(*BASE, "adapter: lora", "lora_r: 16", "lora_alpha: 32"), [Row("*", 16, 32, 2, "ww")]),
    (yaml(*BASE, "adapter: qlora", "lora_r: '16'", "lora_alpha: 32.0"), [Row("*", 16, 32, 2, "ww")]),
    (yaml(*BASE, "adapter: lora", "lora_r: 16"), [Row("*", 16, None, "?", "wd")]),
    (yaml(*BASE, "adapter: lora", "lora_alpha: 16"), [Row("*", "?", 16, "?", "uw")]),
    (yaml(*BASE, "adapter:", "lora_r: 16", "lora_alpha: 16"), [Row("*", 16, 16, 1, "ww", "off")]),
    (yaml(*BASE, "lora_r: 16", "lora_alpha: 16"), [Row("*", 16, 16, 1, "ww", "off")]),
    (yaml(*BASE, "adapter: mora", "lora_r: 16", "lora_alpha: 16"), [Row("*", 16, 16, 1, "ww", "not-lora")]),
    (
        yaml(*BASE, "adapter: lora", "lora_r: 16", "lora_alpha: 32", "peft_use_rslora: true"),
        [Row("*", 16, 32, 8, "ww")],
    ),
    (
        yaml(*BASE, "adapter: lora", "lora_r: 8", "lora_alpha: 16", "lora_rank_pattern: {q_proj: 4}"),
        [Row("*", 8, 16, 2, "ww"), Row("q_proj", 4, 16, 4, "ww")],
    ),
    (
        yaml(*BASE, "adapter: lora", "lora_r: 8", "lora_alpha: 16", "lora_model_dir: out/checkpoint-9"),
        [Row("*", "?", "?", "?", "uu")],
    ),
    (yaml(*BASE, "adapter: lora", "lora_r: 8", "lora_alpha: 16", "lora_model_dir:"), [Row("*", 8, 16, 2, "ww")]),
    (shell("axolotl train lora.yml --lora-r 32 --lora-alpha 64"), [Row("*", 32, 64, 2, "ww")]),
    (shell("accelerate launch -m axolotl.cli.train lora.yml --lora_r=32"), [Row("*", 32, "?", "?", "wu")]),
    (
        python("from axolotl.utils.dict import DictDefault", f"DictDefault({DICT}, adapter='qlora', lora_r=8)"),
        [Row("*", 8, None, "?", "wd")],
    ),
    (python(f"cfg = dict({DICT}, adapter='lora', lora_r=8, lora_alpha=16)"), [Row("*", 8, 16, 2, "ww")]),
    (python("cfg = {'base_model': 'a', 'adapter': 'lora', 'lora_r': 8, 'lora_alpha': 8}"), [Row("*", 8, 8, 1, "ww")]),
    (
        ("README.md", "```yaml\nbase_model: a\nload_in_4bit: true\nlora_r: 8\nlora_alpha: 16\n```"),
        [Row("*", 8, 16, 2, "ww")],
    ),
    (yaml(*BASE, "sequence_len: 2048"), []),
    (shell("axolotl preprocess lora.yml"), []),
    (shell("axolotl merge-lora lora.yml --lora-model-dir=out --lora-alpha 16"), []),
]

BASICS = ("stage: sft", "do_train: true", "template: llama3", "dataset: c")
CLI = "llamafactory-cli train --stage sft --do_train --template llama3"
OLD = "python src/train_bash.py --stage sft --do_train"

LLAMA_FACTORY: Table = [
    (yaml(*BASICS, "finetuning_type: lora", "lora_rank: 16", "lora_alpha: 16"), [Row("all", 16, 16, 1, "ww")]),
    (yaml(*BASICS, "finetuning_type: lora", "lora_rank: 16"), [Row("all", 16, 32, 2, "wc")]),
    (yaml(*BASICS, "finetuning_type: lora"), [Row("all", 8, 16, 2, "dc")]),
    (yaml(*BASICS, "finetuning_type: lora", "lora_rank: 8", "lora_alpha: 0"), [Row("all", 8, 16, 2, "wc")]),
    (yaml(*BASICS, "lora_rank: 16", "lora_target: 'q_proj, v_proj'"), [Row("q_proj v_proj", 16, 32, 2, "wc")]),
    (yaml(*BASICS, "finetuning_type: full", "lora_rank: 16"), [Row("all", 16, 32, 2, "wc", "off")]),
    (yaml(*BASICS, "finetuning_type: oft", "lora_rank: 16"), [Row("all", 16, 32, 2, "wc", "not-lora")]),
    (yaml(*BASICS, "finetuning_type: lora", "lora_rank: 16", "use_rslora: true"), [Row("all", 16, 32, 8, "wc")]),
    (
        yaml(*BASICS, "finetuning_type: lora", "lora_rank: 16", "use_dora: true"),
        [Row("all", 16, 32, 2, "wc", method="dora")],
    ),
    (
        yaml(*BASICS, "finetuning_type: lora", "lora_rank: 16", "adapter_name_or_path: saves/first"),
        [Row("all", "?", "?", "?", "uu")],
    ),
    (
        yaml(*BASICS, "finetuning_type: lora", "adapter_name_or_path: saves/first", "create_new_adapter: true"),
        [Row("all", 8, 16, 2, "dc")],
    ),
    (yaml("finetuning_type: lora", "lora_rank: 8", "lora_dropout: 0.0"), [Row("all", 8, 16, 2, "wc")]),
    (
        yaml("top.finetuning_type: lora", "train.lora_rank: 8", "train.lora_alpha: 16", "train.use_rslora: true"),
        [Row("all", 8, 16, 5.656854, "ww")],
    ),
    (yaml("model: a", "peft_config:", "  name: lora", "  r: 32"), [Row("all", 32, 16, 0.5, "wd")]),
    (shell(CLI, "--finetuning_type lora --lora_rank 32 --lora_alpha 16"), [Row("all", 32, 16, 0.5, "ww")]),
    (shell(CLI, "--finetuning_type lora --lora_rank 32"), [Row("all", 32, 64, 2, "wc")]),
    (shell(OLD, "--finetuning_type lora --lora_target q_proj,v_proj"), [Row("q_proj v_proj", 8, 16, 2, "dc")]),
    (shell(OLD, "--finetuning_type lora"), [Row("all", 8, 16, 2, "dc")]),
    (shell("python src/train_sft.py --do_train --finetuning_type lora --lora_rank 8"), [Row("all", 8, 32, 4, "wd")]),
    (shell("llamafactory-cli train run.yaml lora_rank=32"), [Row("all", 32, "?", "?", "wu")]),
    (
        python("args = dict(stage='sft', do_train=True, finetuning_type='lora', lora_rank=16)", "dump(args)"),
        [Row("all", 16, 32, 2, "wc")],
    ),
    (
        python("args = {'stage': 'sft', 'do_train': True, 'finetuning_type': 'lora', 'lora_rank': 16}", "dump(args)"),
        [Row("all", 16, 32, 2, "wc")],
    ),
    (yaml("adapter_name_or_path: saves/lora", "template: llama3", "finetuning_type: lora"), []),
    (yaml("adapter_name_or_path: a", "do_predict: true", "stage: sft", "finetuning_type: lora", "output_dir: e"), []),
    (shell("llamafactory-cli export --adapter_name_or_path a --finetuning_type lora --export_dir b"), []),
    (yaml("training_type: sft", "finetuning_type: lora", "lora: {adapter_dim: 32}"), []),
]

SWIFT = "swift sft --model a/b --dataset c"

MS_SWIFT: Table = [
    (shell(SWIFT, "--tuner_type lora --lora_rank 16 --lora_alpha 32"), [Row(ALL, 16, 32, 2, "ww")]),
    (shell(SWIFT, "--train_type lora --lora_rank 16"), [Row(ALL, 16, 32, 2, "wd")]),
    (shell(SWIFT, "--lora_r 16 --lora_a 16"), [Row(ALL, 16, 16, 1, "ww")]),
    (shell(SWIFT, "--lora_ 16"), [Row(ALL, 8, 32, 4, "dd")]),
    (shell(SWIFT, "--sft_type lora --lora_target_modules DEFAULT"), [Row("DEFAULT", 8, 32, 4, "dd")]),
    (shell(SWIFT), [Row(ALL, 8, 32, 4, "dd")]),
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
    (shell(SWIFT, "--lora_rank 16 --lora_rank 8"), [Row(ALL, 8, 32, 4, "wd")]),
    (
        shell("python llm_sft.py --sft_type lora --lora_rank 64 --lora_dropout_p 0.1"),
        [Row(ALL, 64, 32, 0.5, "wd")],
    ),
    (shell(SWIFT, "--tuner_type lora_llm --lora_rank 16 --use_rslora true"), [Row(ALL, 16, 32, 2, "wd")]),
    (shell("megatron sft --tuner_type lora_llm --lora_rank 16 --use_rslora true"), [Row(ALL, 16, 32, 8, "wd")]),
    (shell("megatron sft --tuner_type lora --adapters out --lora_rank 16"), [Row(ALL, "?", "?", "?", "uu")]),
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

PEFT_CLASS = "from peft import LoraConfig"
MMENGINE = "from xtuner.model import SupervisedFinetune"
LORA = "lora=dict(type=LoraConfig"
XTRAIN = "NPROC_PER_NODE=8 xtuner train my_config.py --deepspeed zero2 --cfg-options"

XTUNER: Table = [
    (
        python(PEFT_CLASS, MMENGINE, f"model = dict(type=SupervisedFinetune, {LORA}, r=64, lora_alpha=16))"),
        [Row(ALL, 64, 16, 0.25, "ww")],
    ),
    (
        python(PEFT_CLASS, MMENGINE, f"model = dict({LORA}, r=64, target_modules=['q_proj']))"),
        [Row("q_proj", 64, 8, 0.125, "wd")],
    ),
    (python(PEFT_CLASS, MMENGINE, f"model = dict({LORA}))"), [Row(ALL, 8, 8, 1, "dd")]),
    (python(PEFT_CLASS, MMENGINE, "model = dict(type=SupervisedFinetune, lora=None)"), []),
    (
        python(PEFT_CLASS, MMENGINE, f"model = dict({LORA}, r=16, lora_alpha=32, use_rslora=True))"),
        [Row(ALL, 16, 32, 8, "ww")],
    ),
    (
        python(PEFT_CLASS, MMENGINE, f"model = dict({LORA}, r=8, lora_alpha=16, rank_pattern=dict(wqkv=4)))"),
        [Row(ALL, 8, 16, 2, "ww"), Row("wqkv", 4, 16, 4, "ww")],
    ),
    (
        python(
            "model = dict(",
            "    type='xtuner.model.LLaVAModel',",
            "    llm_lora=dict(type='peft.LoraConfig', r=512, lora_alpha=256, task_type='CAUSAL_LM'),",
            "    visual_encoder_lora=dict(type='peft.LoraConfig', r=64, lora_alpha=16))",
        ),
        [Row(ALL, 512, 256, 0.5, "ww"), Row(ALL, 64, 16, 0.25, "ww")],
    ),
    (
        python("rank = 128", PEFT_CLASS, MMENGINE, f"model = dict({LORA}, r=rank, lora_alpha=2 * rank))"),
        [Row(ALL, 128, 256, 2, "ww")],
    ),
    (shell(XTRAIN, "model.lora.r=8 model.lora.lora_alpha=16"), [Row("*", 8, 16, 2, "ww")]),
    (
        shell(XTRAIN, "model.llm_lora.r=8 model.visual_encoder_lora.lora_alpha=16"),
        [Row("*", 8, "?", "?", "wu"), Row("*", "?", 16, "?", "uw")],
    ),
    (shell("xtuner train my_config.py --work-dir out --seed 1"), []),
    (shell("xtuner convert merge base llm_adapter merged --max-shard-size 2GB"), []),
]

TABLES = {
    "trl": TRL,
    "axolotl": AXOLOTL,
    "llama_factory": LLAMA_FACTORY,
    "ms_swift": MS_SWIFT,
    "unsloth": UNSLOTH,
    "xtuner": XTUNER,
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
    ("source", "name", "marks"),
    [
        (
            yaml(*MODEL, "use_peft: true", "lora_r: 8"),
            "trl",
            ("lora_r", "dataset_name", "model_name_or_path", "use_peft"),
        ),
        (yaml(*BASE, "adapter: lora", "lora_r: 8"), "axolotl", ("base_model", "adapter", "lora_r", "datasets")),
        (
            yaml(*BASICS, "finetuning_type: lora", "lora_rank: 8"),
            "llama_factory",
            ("stage", "template", "dataset", "finetuning_type", "do_train", "lora_rank"),
        ),
        (shell(SWIFT, "--lora_rank 8"), "ms_swift", ("swift", "--lora_rank")),
        (python(PEFT_CLASS, MMENGINE, f"model = dict({LORA}, r=8))"), "xtuner", ("xtuner", "type=LoraConfig")),
        (python(PEFT_CLASS, "import xtuner", "LoraConfig(r=8, lora_alpha=16)"), "peft", ("LoraConfig",)),
        (python(PEFT_CLASS, f"model = dict({LORA}, r=8, lora_alpha=16))"), "peft", ("LoraConfig",)),
        (
            yaml("base_model: a", "use_peft: true", "lora_r: 8", "lora_alpha: 16", "dataset_name: c"),
            "trl",
            ("lora_r", "lora_alpha", "dataset_name", "use_peft"),
        ),
        (yaml("lora_r: 8", "lora_alpha: 16", "lora_dropout: 0.1"), "generic", ("lora_r", "lora_alpha")),
        (yaml("stage: sft", "lora_rank: 8", "lora_alpha: 16"), "generic", ("lora_rank", "lora_alpha")),
    ],
)
def test_the_marks_say_who_reads_a_file(source: tuple[str, str], name: str, marks: tuple[str, ...]) -> None:
    assert [(setup.framework, setup.recognised_by) for setup in setups(*source)] == [(name, marks)]


@pytest.mark.parametrize(
    ("source", "key", "meant"),
    [
        (shell(SFT, "--use_peft --lora_aplha 8"), "lora_aplha", "lora_alpha"),
        (shell(SFT, "--use_peft --target_modules q_proj --lora_r 8"), "target_modules", "lora_target_modules"),
        (shell(SWIFT, "--tuner_type lora --lora_rnk 8"), "lora_rnk", "lora_rank"),
        (shell(SFT, "--use_peft --lora_rank 8"), "lora_rank", "lora_r"),
        (yaml(*BASE, "adapter: lora", "lora_alpha: 8", "lora_rank: 8"), "lora_rank", "lora_r"),
        (yaml(*BASICS, "finetuning_type: lora", "lora_r: 8"), "lora_r", "lora_rank"),
        (python(PEFT_CLASS, MMENGINE, f"model = dict({LORA}, rank=8))"), "rank", "r"),
    ],
)
def test_a_neighbour_s_key_is_named(source: tuple[str, str], key: str, meant: str) -> None:
    (setup,) = setups(*source)
    assert [(unknown.key, unknown.suggestion) for unknown in setup.unknown_keys] == [(key, meant)]


def test_keys_of_peft_among_those_of_another_program_are_no_config_of_peft_s() -> None:
    text = "model: org/m\nepochs: 1\nloss: sft\nr: 32\nlora_alpha: 64\nlora_bias: none\ntarget_modules: [q_proj]\n"
    (setup,) = setups("sft.yaml", text)
    assert (setup.framework, setup.kind, setup.unknown_keys, setup.bad_values) == ("peft", "training", (), ())
    assert rows([setup]) == [Row("q_proj", 32, 64, 2, "ww")]
    (few,) = setups("lora.yaml", "epochs: 1\nr: 32\nlora_alpha: 64\ntarget_modules: [q_proj]\n")
    assert [unknown.key for unknown in few.unknown_keys] == ["epochs"]


def test_a_key_of_the_trainer_s_that_looks_like_one_is_known() -> None:
    (setup,) = setups(*yaml(*BASICS, "finetuning_type: lora", "local_rank: 0", "lora_alpha: 8"))
    assert setup.unknown_keys == ()


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


def test_an_adapter_of_axolotl_s_has_a_null_where_peft_asks_for_truth_only() -> None:
    (setup,) = setups(*saved("adapter_config.json", peft_type="LORA", r=8, lora_alpha=16, fan_in_fan_out=None))
    assert (rows([setup]), setup.bad_values) == ([Row("*", 8, 16, 2, "ww")], ())
