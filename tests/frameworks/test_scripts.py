"""Launch scripts of vision-language trainers, hosted services, scripts' own defaults, and keys that are guessed."""

from typing import NamedTuple

import pytest

from lora_lint.facts import Site
from lora_lint.finding import Report, Severity
from lora_lint.frameworks import MARKERS, candidates
from lora_lint.linter import Linter
from lora_lint.reading import read_bytes
from lora_lint.settings import Settings
from tests.frameworks import rows
from tests.frameworks.rows import setups


class Row(NamedTuple):
    """A site as the tables write it; `?` is unknown, and w, d, c, u are written, default, computed and unknown."""

    rank: float | str | None
    alpha: float | str | None
    scale: float | str
    origins: str
    state: str = "active"
    modules: str = ""
    method: str = "lora"


def row(site: Site, expected: Row) -> Row:
    """The site as a row; modules are compared where the table names them."""
    one = rows.row(site)
    alpha = None if site.alpha is None else one.alpha
    modules = one.modules if expected.modules else ""
    return Row(one.rank, alpha, one.scale, one.origins, one.state, modules, one.method)


def check(name: str, text: str, framework: str, expected: list[Row]) -> None:
    found = setups(name, text)
    assert {setup.framework for setup in found} == {framework}
    assert all(not setup.also for setup in found)
    sites = [site for setup in found for site in setup.sites]
    assert len(sites) == len(expected)
    assert [row(site, wanted) for site, wanted in zip(sites, expected, strict=True)] == expected


QWEN = "torchrun --nproc_per_node 8 finetune.py --model_name_or_path m --lazy_preprocess True"
IXC = "torchrun finetune.py --given_num True --fix_vit True --hd_num 18"
MINI = "torchrun finetune.py --llm_type qwen2 --tune_vision true --tune_llm false"
QWEN3 = "torchrun qwenvl/train/train_qwen.py --dataset_use d --tune_mm_llm True"
SERIES = "deepspeed src/train/train_sft.py --freeze_llm True --freeze_merger False --merger_lr 1e-5"
TINY = "deepspeed tinyllava/train/train.py --connector_type mlp2x_gelu --vision_tower v --mm_vision_select_layer -2"
NEXT = "deepspeed llava/train/train_mem.py --mm_tunable_parts mm_mlp_adapter --vision_tower v"
CHAT = "deepspeed main.py --data_split 2,4,4 --zero_stage 3"
PPO = "deepspeed main.py --actor_zero_stage 3 --critic_zero_stage 3"
VLA = "torchrun --standalone vla-scripts/finetune.py --vla_path openvla/openvla-7b --data_root_dir d"
ROBOT = "lerobot-train --policy.path=lerobot/smolvla_base --dataset.repo_id=d"
TOGETHER = "together fine-tuning create --training-file f --model m"

COMMANDS = {
    "qwen_vl": [
        (f"{QWEN} --use_lora", [Row(64, 16, 0.25, "dd", modules="c_attn attn.c_proj w1 w2")]),
        (f"{QWEN} --fix_vit True --use_lora --q_lora", [Row(64, 16, 0.25, "dd")]),
        (f"{QWEN} --use_lora --lora_r 8 --lora_alpha 16", [Row(8, 16, 2, "ww")]),
        (f"{QWEN} --use_lora True --lora_r 128", [Row(128, 16, 0.125, "wd")]),
        (f"{QWEN} --use_lora True --lora_r $R", [Row("?", 16, "?", "ud")]),
        (f"{QWEN} --use_lora False --lora_r 8", [Row(8, 16, 2, "wd", "off")]),
        (f"{QWEN} --use_lora --lora_target_modules c_attn w1", [Row(64, 16, 0.25, "dd", modules="c_attn w1")]),
    ],
    "xcomposer": [
        (f"{IXC} --use_lora True", [Row(64, 64, 1, "dd")]),
        (f"{IXC} --use_lora True --lora_r 512", [Row(512, 64, 0.125, "wd")]),
        (f"{IXC} --use_lora False", [Row(64, 64, 1, "dd", "off")]),
    ],
    "minicpm_v": [
        (f"{MINI} --use_lora true", [Row(64, 64, 1, "dd")]),
        (f"{MINI} --use_lora true --lora_r 16 --lora_alpha 32", [Row(16, 32, 2, "ww")]),
        (f"{MINI} --use_lora false --lora_r 16", [Row(16, 64, 4, "wd", "off")]),
    ],
    "qwen3_vl": [
        (f"{QWEN3} --lora_enable True", [Row(64, 128, 2, "dd")]),
        (f"{QWEN3} --lora_enable True --lora_r 16", [Row(16, 128, 8, "wd")]),
        (f"{QWEN3} --lora_enable True --lora_r 0 --lora_alpha 0", [Row(64, 128, 2, "cc")]),
        (f"{QWEN3} --lora_enable True --lora_r 8 --lora_alpha 16 --mm_projector_lr 1e-5", [Row(8, 16, 2, "ww")]),
        (f"{QWEN3} --lora_r 8 --lora_alpha 8", [Row(8, 8, 1, "ww", "off")]),
        ("torchrun tune.py --dataset_use d --data_flatten True --lora_enable True", [Row("?", "?", "?", "uu")]),
    ],
    "qwen_vl_series": [
        (f"{SERIES} --lora_enable True", [Row(64, 16, 0.25, "dd", modules="language_model")]),
        (f"{SERIES} --lora_enable True --lora_rank 64 --lora_alpha 64", [Row(64, 64, 1, "ww")]),
        (f"{SERIES} --lora_enable True --lora_r 64 --lora_al 64", [Row(64, 64, 1, "ww")]),
        (
            f"{SERIES} --lora_enable True --vision_lora True --use_dora True --lora_rank 32 --lora_alpha 64",
            [Row(32, 64, 2, "ww", modules="language_model visual", method="dora")],
        ),
        (f"{SERIES} --lora_enable False --lora_rank 8", [Row(8, 16, 2, "wd", "off")]),
        (
            "accelerate launch train_phi3v.py --num_lora_modules 10 --lora_namespan_exclude x --lora_rank 128",
            [Row(128, "?", "?", "wu")],
        ),
    ],
    "tiny_llava": [
        (
            f"{TINY} --training_recipe lora --tune_type_llm lora --lora_r 128 --lora_alpha 256",
            [Row(128, 256, 2, "ww", modules="language_model")],
        ),
        (f"{TINY} --training_recipe qlora_int8 --tune_type_llm qlora --lora_r 128", [Row(128, 16, 0.125, "wd")]),
        (f"{TINY} --training_recipe common --tune_type_llm full --lora_r 8", [Row(8, 16, 2, "wd", "off")]),
    ],
    "llava": [
        (f"{NEXT} --lora_enable True", [Row(64, 16, 0.25, "dd")]),
        (f"{NEXT} --lora_enable True --lora_r 128 --lora_alpha 256", [Row(128, 256, 2, "ww")]),
        (f"{NEXT} --lora_enable False --lora_r 128", [Row(128, 16, 0.125, "wd", "off")]),
        (f"{NEXT} --lora_r 128 --lora_alpha 256", [Row(128, 256, 2, "ww", "off")]),
        ("deepspeed videollava/train/train_mem.py --lora_enable True --lora_r 8", [Row(8, 16, 2, "wd")]),
        ("python -m geochat.train.train --vision_tower v --lora_enable True --lora_r 8", [Row(8, "?", "?", "wu")]),
    ],
    "fastchat": [
        ("deepspeed fastchat/train/train_lora.py --lora_r 8 --lora_alpha 16", [Row(8, 16, 2, "ww")]),
        ("python -m fastchat.train.train_lora --lora_r 64", [Row(64, 16, 0.25, "wd", modules="q_proj v_proj")]),
        ("deepspeed fastchat/train/train_lora_t5.py --q_lora True", [Row(8, 16, 2, "dd", modules="q v")]),
        ("deepspeed train_lora.py --q_lora False --lora_r 16", [Row(16, 16, 1, "wd")]),
    ],
    "deepspeed_chat": [
        (f"{CHAT} --lora_dim 128", [Row(128, None, 1 / 128, "w-", modules="model")]),
        (f"{CHAT} --lora_dim 0", [Row(0, None, "?", "w-", "off")]),
        (
            f"{PPO} --actor_lora_dim 64 --critic_lora_dim 32",
            [Row(64, None, 1 / 64, "w-", modules="actor"), Row(32, None, 1 / 32, "w-", modules="critic")],
        ),
        (f"{PPO} --actor_lora_dim $DIM", [Row("?", None, "?", "u-")]),
    ],
    "openvla": [
        (f"{VLA} --lora_rank 32", [Row(32, 16, 0.5, "wc")]),
        (f"{VLA} --lora_rank 8", [Row(8, 8, 1, "wc")]),
        (f"{VLA}", [Row(32, 16, 0.5, "dc")]),
        (f"{VLA} --use_lora False --lora_rank 8", [Row(8, 8, 1, "wc", "off")]),
        (f"{VLA} --lora_rank $R", [Row("?", "?", "?", "uu")]),
    ],
    "lerobot": [
        (f"{ROBOT} --peft.method_type=LORA --peft.r=64 --peft.lora_alpha=64", [Row(64, 64, 1, "ww")]),
        (f"{ROBOT} --peft.method_type=LORA", [Row(16, 8, 0.5, "dd")]),
        (f"{ROBOT} --peft.r=32", [Row(32, 8, 0.25, "wd")]),
        (f"{ROBOT} --peft.method_type=MISS --peft.r=32", [Row(32, 8, 0.25, "wd", "not-lora", method="miss")]),
        (
            "lerobot-train --policy.type=molmoact2 --policy.lora_rank=32",
            [Row(32, 16, 0.5, "wd", modules="vlm")],
        ),
        (
            "lerobot-train --policy.type=molmoact2 --policy.train_mode_vlm=fft --policy.lora_rank=32",
            [Row(32, 16, 0.5, "wd", "off")],
        ),
    ],
    "together": [
        (f"{TOGETHER} --lora --lora-r 8 --lora-alpha 8", [Row(8, 8, 1, "ww")]),
        (f"{TOGETHER} --lora-r 32", [Row(32, 64, 2, "wc")]),
        (f"{TOGETHER} --lora-alpha 32", [Row(8, 32, 4, "dw")]),
        (f"{TOGETHER} --no-lora --lora-r 32", [Row(32, 64, 2, "wc", "off")]),
        (f"{TOGETHER} --lora-r $R", [Row("?", "?", "?", "uu")]),
    ],
    "fireworks": [
        ("firectl create sftj --base-model m --lora-rank 16", [Row(16, "?", "?", "wu")]),
        ("firectl create sftj --base-model m --lora-rank 0", [Row(0, "?", "?", "wu", "off")]),
    ],
    "tinker": [("python -m tinker_cookbook.recipes.chat_sl.train lora_rank=64", [Row(64, "?", "?", "wu")])],
    "generic": [
        ("python train.py --lora_r 8 --lora_alpha 8", [Row(8, 8, 1, "ww")]),
        ("python train.py --lora-rank 8 --lora-alpha 16", [Row(8, 16, 2, "ww")]),
        ("python train.py --lora_r 8 --lora_dropout 0.1", [Row(8, "?", "?", "wu")]),
        ("python train.py --lora_r 8 --lora_alpha 8 --use_lora false", [Row(8, 8, 1, "ww", "off")]),
        ("python train.py lora.r=8 lora.alpha=16", [Row(8, 16, 2, "ww", modules="lora")]),
        ("python train.py --lora_r ${R:-8} --lora_alpha 16", [Row(8, 16, 2, "dw")]),
        ("python bunny.py --vision_tower v --lora_r 8 --lora_alpha 8", [Row(8, 8, 1, "ww")]),
        ("python train.py --r 8 --lora_alpha $((2 * 8))", [Row(8, 16, 2, "ww")]),
        ("python train.py --lora_r 8 --lora_alpha 8 --no_lora", [Row(8, 8, 1, "ww", "off")]),
        (f"{QWEN3} --use_lora True --lora_r 8 --lora_alpha 8", [Row(8, 8, 1, "ww")]),
        (f"{NEXT} --use_lora False --lora_r 8 --lora_alpha 8", [Row(8, 8, 1, "ww", "off")]),
        (f"{QWEN} --lora_enable True --lora_r 8 --lora_alpha 8", [Row(8, 8, 1, "ww")]),
        (f"{CHAT} --lora_dim 16 --lora_alpha 32", [Row(16, 32, 2, "ww")]),
    ],
}

FILES = {
    "lerobot": [
        (
            "train_config.json",
            '{"dataset": {}, "policy": {"type": "smolvla"}, "num_workers": 4, '
            '"peft": {"method_type": "LORA", "r": 64, "lora_alpha": null, "full_training_modules": null}}',
            [Row(64, 8, 0.125, "wd")],
        ),
        (
            "train_config.json",
            '{"dataset": {}, "eval_freq": 0, "peft": null, "policy": {"type": "molmoact2", "train_mode_vlm": "lora", '
            '"lora_rank": 64, "lora_alpha": 16}}',
            [Row(64, 16, 0.25, "ww")],
        ),
    ],
    "together": [
        (
            "job.json",
            '{"model": "m", "training_type": {"type": "Lora", "lora_r": 16, "lora_alpha": 16}}',
            [Row(16, 16, 1, "ww")],
        ),
        ("job.py", "client.fine_tuning.create(model='m', lora=True, lora_r=16)", [Row(16, 32, 2, "wc")]),
        ("job.py", "client.fine_tuning.create(model='m', lora_alpha=16)", [Row("?", 16, "?", "uw")]),
        (
            "job.py",
            "client.fine_tuning.create(model='m', lora=False, lora_r=8, lora_alpha=8)",
            [Row(8, 8, 1, "ww", "off")],
        ),
        ("job.py", "job(training_type={'type': 'Lora', 'lora_r': 8, 'lora_alpha': 32})", [Row(8, 32, 4, "ww")]),
    ],
    "fireworks": [
        (
            "model/m.yaml",
            "defaults:\n  - ../../../../common/conf/model/llama2-7b@_here_\nlora_r: 4\nlora_alpha: 16\n",
            [Row(4, 16, 4, "ww")],
        ),
        ("model/m.yaml", "defaults: [../common/conf/model/llama2-7b@_here_]\nlora_r: 4\n", [Row(4, "?", "?", "wu")]),
        (
            "sft.yaml",
            "common:\n  base_model: accounts/fireworks/models/qwen\n  lora_rank: 64\ntrainers: {}\n",
            [Row(64, 32, 0.5, "wd")],
        ),
        (
            "sft.yaml",
            "common:\n  base_model: accounts/fireworks/models/qwen\n  lora_rank: 0\nrecipe: {}\n",
            [Row(0, 32, "?", "wd", "off")],
        ),
        ("sft.py", "service.create_training_client(base, lora_rank=8, lora_alpha=16)", [Row(8, 16, 2, "ww")]),
        (
            "sft.py",
            "from training.recipes.sft_loop import Config\nConfig(base_model='m', lora_rank=64)",
            [Row(64, 32, 0.5, "wd")],
        ),
    ],
    "tinker": [
        ("t.py", "client = service.create_lora_training_client(base_model='m', rank=8)", [Row(8, "?", "?", "wu")]),
        ("t.py", "client = service.create_lora_training_client(base, 8, alpha=16)", [Row(8, 16, 2, "ww")]),
        ("t.py", "client = service.create_lora_training_client(base_model='m')", [Row(32, "?", "?", "du")]),
        (
            "t.py",
            "from tinker_cookbook.supervised import train\nconfig = train.Config(lora_rank=64)",
            [Row(64, "?", "?", "wu")],
        ),
        ("t.py", "from tinker import LoraConfig\nLoraConfig(rank=16)", [Row(16, "?", "?", "wu")]),
        ("t.py", "client = service.create_lora_training_client(base, rank=0)", [Row(0, "?", "?", "wu", "off")]),
    ],
    "watsonx": [
        (
            "job.json",
            '{"parameters": {"peft_parameters": {"type": "lora", "rank": 8, "lora_alpha": 32}}}',
            [Row(8, 32, 4, "ww")],
        ),
        ("job.json", '{"peft_parameters": {"type": "qlora", "rank": 8}}', [Row(8, "?", "?", "wu")]),
        ("job.json", '{"peft_parameters": {"type": "none", "rank": 8, "lora_alpha": 8}}', [Row(8, 8, 1, "ww", "off")]),
        ("job.py", "PeftParameters(type='lora', rank=32, lora_alpha=64)", [Row(32, 64, 2, "ww")]),
        (
            "job.py",
            "from ibm_watsonx_ai import x\nt(peft_parameters={'type': 'lora', 'rank': 32, 'lora_alpha': 32})",
            [Row(32, 32, 1, "ww")],
        ),
    ],
    "script": [
        ("a.py", "model = dict(use_lora=True, lora_r=128, lora_alpha=32)", [Row(128, 32, 0.25, "ww")]),
        ("a.py", "config = {'use_lora': False, 'lora_rank': 8, 'lora_alpha': 8}", [Row(8, 8, 1, "ww", "off")]),
        ("a.py", "class LoraArguments:\n    lora_r: int = 64\n    lora_alpha: int = 16", [Row(64, 16, 0.25, "dd")]),
        (
            "a.py",
            "@dataclass\nclass A:\n    lora_rank: int = field(default=8)\n    lora_alpha: float = field(default=16.0)",
            [Row(8, 16, 2, "dd")],
        ),
        (
            "a.py",
            "class A:\n    lora_r = 16\n    lora_alpha = 16\n    use_rslora: bool = True\n    use_dora: bool = True",
            [Row(16, 16, 4, "dd", method="dora")],
        ),
        ("a.py", "class A:\n    lora_rank: int = 0\n    lora_alpha: int = 16", [Row(0, 16, "?", "dd", "off")]),
        (
            "a.py",
            "p.add_argument('--lora_r', type=int, default=8)\np.add_argument('--lora_alpha', type=int, default=32)",
            [Row(8, 32, 4, "dd")],
        ),
        (
            "a.py",
            "class A:\n    lora_r: int = 8\n    lora_alpha: int = 8\ntrain(lora_r=a.lora_r, lora_alpha=a.lora_alpha)",
            [Row(8, 8, 1, "dd")],
        ),
        ("a.py", "import other\ncfg.peft.dim = 8\ncfg.peft.alpha = 8", [Row(8, 8, 1, "ww")]),
        ("a.py", "args.lora_r = 8\nargs.lora_alpha = 2 * args.lora_r", [Row(8, 16, 2, "ww")]),
        (
            "a.py",
            "def f(c, r, alpha):\n    c['lora']['r'] = r\n    c['lora']['alpha'] = alpha\nf(c, 4, 8)",
            [Row(4, 8, 2, "ww")],
        ),
        ("a.py", "LORA_R = 16\nLORA_ALPHA = 32", [Row(16, 32, 2, "ww")]),
        (
            "a.py",
            "class LoraConfig(BaseModel):\n    r: Optional[int] = Field(8, ge=1)\n    lora_alpha: int = Field(16)",
            [Row(8, 16, 2, "dd")],
        ),
        (
            "a.py",
            "@dataclass\nclass LoRAConfig:\n    rank: int = 32\n    alpha: float = 16.0",
            [Row(32, 16, 0.5, "dd")],
        ),
        (
            "a.py",
            "@dataclass\nclass LoraConfig:\n    rank: int = 8\n    alpha: float = 8\nLoraConfig(rank=4, alpha=8)",
            [Row(4, 8, 2, "ww")],
        ),
    ],
    "generic": [
        ("a.yaml", "model:\n  lora_rank: 64\n  lora_alpha: 128\n", [Row(64, 128, 2, "ww")]),
        ("a.yaml", "train:\n  lora:\n    rank: 8\n    alpha: 4\n", [Row(8, 4, 0.5, "ww", modules="lora")]),
        ("a.yaml", "adapter:\n  type: lora\n  r: 8\n  alpha: 8\n# lora: see above\n", [Row(8, 8, 1, "ww")]),
        ("a.yaml", "lora: {r: 64, alpha: 64, use_rslora: true}\n", [Row(64, 64, 8, "ww")]),
        ("a.yaml", "lora: {type: lokr, r: 64, alpha: 64}\n", [Row(64, 64, 1, "ww", "not-lora", method="lokr")]),
        ("a.yaml", "lora: {enabled: false, r: 64, alpha: 64}\n", [Row(64, 64, 1, "ww", "off")]),
        ("a.yaml", "lora: {r: 0, alpha: 64}\n", [Row(0, 64, "?", "ww", "off")]),
        ("a.yaml", "lora_r: [8, 16]\nlora_alpha: 16\n# lora.\n", []),
        ("a.yaml", "lora_r: 8\nlora_alpha: ${lora_r}\n", [Row(8, 8, 1, "ww")]),
        ("a.json", '{"loraRank": 8, "loraAlpha": 16}', [Row(8, 16, 2, "ww")]),
        (
            "config.json",
            '{"model_type": "phi4mm", "vision_lora": {"r": 256, "lora_alpha": 512}, '
            '"speech_lora": {"r": 320, "lora_alpha": 640}}',
            [Row(256, 512, 2, "ww", modules="vision_lora"), Row(320, 640, 2, "ww", modules="speech_lora")],
        ),
        ("a.toml", "[lora]\nrank = 32\nalpha = 32\n", [Row(32, 32, 1, "ww")]),
        ("a.toml", "[train]\nlora_rank = 32\nlora_alpha = 64\n", [Row(32, 64, 2, "ww")]),
        ("a.yaml", "use_lora: false\nlora: {r: 16, lora_alpha: 32}\n", [Row(16, 32, 2, "ww", "off", "lora")]),
        ("a.yaml", "lora: {use_lora: true, r: 16, lora_alpha: 32}\nuse_lora: false\n", [Row(16, 32, 2, "ww")]),
        ("a.yaml", "enabled: false\nlora: {r: 16, lora_alpha: 32}\n", [Row(16, 32, 2, "ww")]),
        ("a.yaml", "lora:\n  common: {r: 8, alpha: 16}\n", [Row(8, 16, 2, "ww", modules="common")]),
        ("a.yaml", "method: lora\nr: 16\nalpha: 32\n", [Row(16, 32, 2, "ww", modules="*")]),
        (
            "adapter_config.json",
            '{"format": "cosmos3-native-lora", "rank": 16, "alpha": 32, "tensor_count": 512}',
            [Row(16, 32, 2, "ww", modules="adapter_config")],
        ),
        ("train-lora.toml", "# lora: ours\nrank = 8\nalpha = 8\n", [Row(8, 8, 1, "ww", modules="lora")]),
        (
            "a.toml",
            '[network]\nmodule = "networks.lora_flux"\ndim = 16\nalpha = 8\n',
            [Row(16, 8, 0.5, "ww", modules="network")],
        ),
        (
            "a.yaml",
            "model:\n  qkv_proj_lora_rank: 16\n  qkv_proj_lora_alpha: 16\n  out_lora_rank: 8\n  out_lora_alpha: 16\n",
            [Row(16, 16, 1, "ww", modules="qkv_proj"), Row(8, 16, 2, "ww", modules="out")],
        ),
        ("a.yaml", "lora_training:\n  network_dim: 32\n  network_alpha: 16\n", [Row(32, 16, 0.5, "ww")]),
        ("a.yaml", "lora:\n  network_dim: 32\n  network_alpha: 32\n", [Row(32, 32, 1, "ww", modules="lora")]),
        ("a.json", '{"params": {"r": 64, "lora_alpha": 64, "use_rslora": true}}', [Row(64, 64, 8, "ww")]),
        ("a.json", '{"args": {"peft": "lora", "rank": 8, "lora_alpha": 16}}', [Row(8, 16, 2, "ww")]),
        (
            "a.json",
            '{"args": {"peft": "adalora", "rank": 8, "lora_alpha": 8}}',
            [Row(8, 8, 1, "ww", "not-lora", method="adalora")],
        ),
        (
            "a.yaml",
            "lora: {with_lora: true, r: 8, lora_alpha: 16}\nadalora: {with_lora: false, r: 8, lora_alpha: 8}\n",
            [Row(8, 16, 2, "ww", modules="lora"), Row(8, 8, 1, "ww", "not-lora", "adalora", "adalora")],
        ),
        ("a.yaml", "lora: {with_lora: false, r: 8, lora_alpha: 8}\n", [Row(8, 8, 1, "ww", "off", modules="lora")]),
        ("a.toml", "lora_r_vision = 16\nlora_alpha_vision = 32\n", [Row(16, 32, 2, "ww", modules="vision")]),
        ("a.json", '{"USE_LORA": true, "LORA_RANK": 16, "LORA_ALPHA": 16}', [Row(16, 16, 1, "ww")]),
    ],
}


@pytest.mark.parametrize(
    ("framework", "command", "expected"),
    [(name, command, expected) for name, rows in COMMANDS.items() for command, expected in rows],
)
def test_a_command_says_what_its_trainer_does(framework: str, command: str, expected: list[Row]) -> None:
    check("train.sh", f"{command}\n", framework, expected)


@pytest.mark.parametrize(
    ("framework", "name", "text", "expected"),
    [(key, name, text, expected) for key, rows in FILES.items() for name, text, expected in rows if expected],
)
def test_a_file_says_what_its_framework_does(framework: str, name: str, text: str, expected: list[Row]) -> None:
    check(name, text, framework, expected)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("deepseek.json", '{"q_lora_rank": 1536, "kv_lora_rank": 512, "lora_alpha": null}'),
        ("serve.sh", "vllm serve m --enable-lora --max-lora-rank 64 --lora-modules a=lora-alpha"),
        ("serve.yaml", "enable_lora: true\nmax_lora_rank: 64\nlora_modules: []\n# lora_alpha\n"),
        ("package.json", '{"name": "lora", "dependencies": {"adapter": "1.0", "lora": "^2.1"}, "alpha": 1, "rank": 2}'),
        ("plot.yaml", "lora: {color: red, alpha: 0.5}\n"),
        ("lora.json", '{"radio": "lora", "rank": "first", "sf": 7, "alpha": 0.5}'),
        ("plot.yaml", "lora: {line: {color: red, alpha: 0.5}, style: {a: {r: 1, alpha: 0.5}}}\n"),
        ("other.yaml", "net: {type: lokr, rank: 16, alpha: 8}\n# lora.\n"),
        ("list.yaml", "- {name: lora_ablation, r: 0.3, alpha: 0.5}\n- {type: lora, alpha: 0.5}\n"),
        ("schema.yaml", "lora: {r: {type: int, default: 8}, alpha: {type: int}}\n"),
        ("conf/peft/all.yaml", "use_peft: true\nlora_r: null\nlora_relative_r: null\nlora_alpha: 16\n"),
        ("rank.sh", "python train.py --rank 0 --lora_alpha 16"),
        ("mla.json", '{"q_lora_rank": 1536, "kv_lora_rank": 512, "kv_lora_alpha": null, "lora_alpha": null}'),
        ("sweep.yaml", "lora_r: [8, 16]\nlora_alpha: 16\n"),
        ("en.json", '{"errors": {"loraRank": "LoRA rank must be at least 1.", "loraAlpha": "Alpha must be above 0"}}'),
        ("en.json", '{"loraRank": "LoRA rank", "loraAlpha": "LoRA alpha"}'),
        ("de.yaml", "labels: {lora_rank: Rang der Matrizen, lora_alpha: Stärke der Änderung}\n"),
        ("radio.toml", "[lora]\nfrequency = 868\nspreading_factor = 7\n"),
        ("full.sh", "torchrun finetune.py --lazy_preprocess True --fix_vit True --output_dir out_lora"),
        ("full.sh", f"{TINY} --training_recipe common --tune_type_llm full --tune_type_connector full"),
        ("full.sh", "deepspeed main.py --zero_stage 3 --data_split 2,4,4 --output_dir lora_dim"),
        ("full.sh", "lerobot-train --policy.path=p --dataset.repo_id=peft.r"),
        ("vision_llm.sh", "torchrun visionllmv2/train.py --use_llm_lora True --freeze_llm False"),
        ("full.sh", "together fine-tuning create --training-file f --model m --no-lora"),
        ("merge.sh", "python vla-scripts/merge.py --vla_path p --lora_finetuned_checkpoint_dir d"),
        ("other.py", "cfg = {'type': 'lora', 'rank': 8}"),
        ("unset.py", "class A:\n    lora_r: int = None\n    lora_alpha: int = 16"),
        ("typed.py", "class A:\n    lora_r: int\n    lora_alpha: int"),
        ("record.py", "import peft\nlog({'lora_r': 8, 'lora_alpha': 8})"),
        ("results.py", "seen = {'lora_r': [8, 16], 'lora_alpha': 16}"),
        ("alone.py", "p.add_argument('--lora_r', default=8)  # lora_alpha"),
        ("peft/tuners/lora/config.py", "class LoraConfig(PeftConfig):\n    r: int = 8\n    lora_alpha: int = 8"),
        ("src/peft/lora.py", "class LoRAConfig:\n    r: int = 8\n    lora_alpha: int = 8"),
        ("plot.py", "class Style:\n    r: int = 8\n    alpha: float = 0.5  # lora_alpha"),
        ("need.py", "class LoraConfig:\n    rank: int\n    alpha: int\nLoraConfig(rank=x, other=2)"),
    ],
)
def test_what_only_looks_like_lora_says_nothing(name: str, text: str) -> None:
    assert setups(name, text) == []


CALLED = "class A:\n    lora_r: int = 64\n    lora_alpha: int = 16\n"


@pytest.mark.parametrize(
    "code",
    [
        f"{CALLED}def f(args):\n    LoraConfig(r=args.lora_r, lora_alpha=args.lora_alpha)",
        f"{CALLED}def f(args):\n    LoraConfig(r=args.lora_r or 8, lora_alpha=args.lora_alpha or 16)",
        f"{CALLED}def f(args):\n    r = args.lora_r\n    LoraConfig(r=r, lora_alpha=2 * r)",
        f"{CALLED}LoraConfig(r=A.lora_r, lora_alpha=A.lora_alpha)",
        "p.add_argument('--lora_r', default=8)\np.add_argument('--lora_alpha', default=8)\n"
        "args = p.parse_args()\nLoraConfig(r=args.lora_r, lora_alpha=args.lora_alpha)",
    ],
)
def test_a_lora_call_stands_for_the_defaults_that_it_reads(code: str) -> None:
    assert [setup.framework for setup in setups("train.py", code)] == ["peft"]


@pytest.mark.parametrize(
    ("name", "text", "severity"),
    [
        ("a.yaml", "lora: {r: 8, alpha: 8}\n", Severity.WARNING),
        ("metrics.json", '{"eval_loss": 0.26, "rank": 8, "lora_alpha": 8}', Severity.NOTE),
        ("a.py", "class A:\n    lora_r: int = 8\n    lora_alpha: int = 8", Severity.WARNING),
        ("a.sh", "deepspeed fastchat/train/train_lora.py --lora_r 8 --lora_alpha 8\n", Severity.ERROR),
    ],
)
def test_findings_on_guessed_keys_are_at_most_warnings(name: str, text: str, severity: Severity) -> None:
    found = list(Linter(Settings(), None).check(read_bytes(name, text.encode()), Report()))
    assert [one.severity for one in found] == [severity]


INTERN = "torchrun internvl/train/internvl_chat_finetune.py"
ACTOR_KEY = "actor_rollout_ref.model"
ACTOR = f"python3 -m verl.trainer.main_ppo {ACTOR_KEY}"


@pytest.mark.parametrize(
    ("command", "key", "meant"),
    [
        (f"{QWEN} --use_lora --lora_rank 8", "lora_rank", "lora_r"),
        (f"{SERIES} --lora_enable True --lora_rnk 8", "lora_rnk", "lora_rank"),
        (f"{VLA} --lora_r 8", "lora_r", "lora_rank"),
        (f"{MINI} --use_lora true --lora_aplha 8", "lora_aplha", "lora_alpha"),
        (f"{INTERN} --use_llm_lora 8 --use_backbone_lroa 8", "use_backbone_lroa", "use_backbone_lora"),
        (f"{ACTOR}.lora_r=8 {ACTOR_KEY}.lora_alpha=16", f"{ACTOR_KEY}.lora_r", f"{ACTOR_KEY}.lora_rank"),
    ],
)
def test_a_neighbour_s_flag_is_named(command: str, key: str, meant: str) -> None:
    (setup,) = setups("train.sh", command)
    assert [(unknown.key, unknown.suggestion) for unknown in setup.unknown_keys] == [(key, meant)]


@pytest.mark.parametrize("name", [*COMMANDS, *FILES])
def test_markers_let_every_framework_be_asked(name: str) -> None:
    texts = [command for command, _ in COMMANDS.get(name, [])]
    texts += [text for _, text, expected in FILES.get(name, []) if expected]
    assert name in MARKERS
    assert [text for text in texts if name not in candidates(text.encode())] == []


def test_a_template_that_only_guessing_would_read_is_no_error() -> None:
    text = b"env:\n  {{- if .Values.tuned }}\n  loraAlpha: {{ x }\n"
    assert read_bytes("deployment.yaml", text, named=False).problem is None
