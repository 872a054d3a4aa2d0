"""A launch script beside the program that it runs: what isn't given has the program's own default, not upstream's."""

import pytest

from lora_lint.linter import lint, read_setups
from lora_lint.reading import read_bytes
from tests.checkout import write
from tests.frameworks.rows import Row, rows

QWEN = "torchrun --nproc_per_node 8 finetune.py --lazy_preprocess True"
"""Upstream's defaults are 64 and 16: QwenLM/Qwen-VL, finetune.py:56-57 at aa00ed04."""
LLAVA = "deepspeed llava/train/train_mem.py --vision_tower v"
"""Upstream's are 64 and 16, behind `lora_enable`: haotian-liu/LLaVA, llava/train/train.py:107-109 at c121f043."""

ARGUMENTS = """\
from dataclasses import dataclass, field
import transformers

@dataclass
class LoraArguments:
    lora_r: int = 8
    lora_alpha: int = field(default={alpha})
    q_lora: bool = False

@dataclass
class Others:
    lora_r: int = 1000
    lora_alpha: int = 1000

@dataclass
class TrainingArguments(transformers.TrainingArguments):
    use_lora: bool = field(default=False)

def train():
    parser = transformers.HfArgumentParser((TrainingArguments, LoraArguments))
"""
PARSER = """\
import argparse
R = 4
parser = argparse.ArgumentParser()
parser.add_argument("--lora-r", type=int, default=R)
parser.add_argument("--lora_alpha", type=int, default=2 * R)
parser.add_argument("--use_lora", action="store_true")
"""
FIRE = "import fire\ndef train(base_model: str, lora_r: int = 32, lora_alpha: int = 48):\n    pass\nfire.Fire(train)\n"
ALPACA = "python finetune.py --base_model m --data_path d --cutoff_len 512 --lora_dropout 0.1"


pytestmark = pytest.mark.usefixtures("repository_top")


def said(command: str, files: dict[str, str], script: str = "scripts/run.sh") -> list[tuple[str, Row]]:
    """The framework and the row of every site of a launch script."""
    write({**files, script: f"{command}\n"})
    return [(setup.framework, row._replace(modules="")) for setup in read_setups([script]) for row in rows([setup])]


@pytest.mark.parametrize(
    ("framework", "command", "files", "expected"),
    [
        ("qwen_vl", f"{QWEN} --use_lora", {}, Row("", 64, 16, 0.25, "dd")),
        ("qwen_vl", f"{QWEN} --use_lora", {"finetune.py": ARGUMENTS.format(alpha=32)}, Row("", 8, 32, 4, "dd")),
        (
            "qwen_vl",
            f"{QWEN} --use_lora --lora_r 16",
            {"finetune.py": ARGUMENTS.format(alpha=32)},
            Row("", 16, 32, 2, "wd"),
        ),
        (
            "qwen_vl",
            f"{QWEN} --use_lora False --lora_r 16",
            {"finetune.py": ARGUMENTS.format(alpha=32)},
            Row("", 16, 32, 2, "wd", "off"),
        ),
        ("qwen_vl", f"{QWEN} --use_lora", {"finetune.py": ARGUMENTS.format(alpha="None")}, Row("", 8, "?", "?", "du")),
        ("qwen_vl", f"{QWEN} --use_lora", {"scripts/finetune.py": ARGUMENTS.format(alpha=32)}, Row("", 8, 32, 4, "dd")),
        ("qwen_vl", f"{QWEN} --use_lora", {"finetune.py": PARSER}, Row("", 4, 8, 2, "dd")),
        ("qwen_vl", f"{QWEN} --use_lora", {"finetune.py": "print('lora_r')"}, Row("", 64, 16, 0.25, "dd")),
        ("qwen_vl", f"{QWEN} --use_lora", {"finetune.py": "def ("}, Row("", 64, 16, 0.25, "dd")),
        ("alpaca_lora", ALPACA, {"finetune.py": FIRE}, Row("", 32, 48, 1.5, "dd")),
        ("alpaca_lora", f"{ALPACA} --lora_alpha 64", {"finetune.py": FIRE}, Row("", 32, 64, 2, "dw")),
        (
            "llava",
            f"{LLAVA} --lora_enable True",
            {
                "llava/train/train_mem.py": "from llava.train.train import train\ntrain()",
                "llava/train/train.py": "import transformers\nfrom llava.arguments import *\n"
                "from .more import Options as O\nparser = transformers.HfArgumentParser((O, TrainingArguments))",
                "llava/train/more.py": "class Options:\n    lora_alpha: int = 512",
                "llava/arguments/__init__.py": "from .lora import TrainingArguments",
                "llava/arguments/lora.py": "class Base:\n    lora_r: int = 256\n"
                "class TrainingArguments(Base):\n    lora_enable: bool = False",
            },
            Row("", 256, 512, 2, "dd"),
        ),
        (
            "llava",
            f"{LLAVA} --lora_r 16",
            {
                "llava/train/train_mem.py": "p.add_argument('--lora_r', default=1)\n"
                "p.add_argument('--lora_alpha', default=32)"
            },
            Row("", 16, 32, 2, "wd"),
        ),
        (
            "llava",
            f"{LLAVA} --lora_enable True --lora_r 16",
            {"llava/train/train_mem.py": "p.add_argument('--lora_r')\np.add_argument('--lora_enable')"},
            Row("", 16, "?", "?", "wu"),
        ),
        (
            "generic",
            "python -m tools.tune --use_lora --lora_r 8",
            {"tools/tune.py": PARSER},
            Row("", 8, 8, 1, "wd"),
        ),
        ("generic", "python tune.py --use_lora --lr 1", {"tune.py": PARSER}, Row("", 4, 8, 2, "dd")),
        ("generic", "python /home/me/code/tune.py --use_lora", {"tune.py": PARSER}, Row("", 4, 8, 2, "dd")),
        ("generic", "python $CODE/tune.py --use_lora", {"tune.py": PARSER}, Row("", 4, 8, 2, "dd")),
        ("generic", "python tune.py --lora_r 8 --lora_alpha 8", {"tune.py": PARSER}, Row("", 8, 8, 1, "ww", "off")),
        ("generic", "python tune.py --use_dora --lora_r 8", {"tune.py": PARSER}, Row("", 8, 8, 1, "wd", method="dora")),
        (
            "generic",
            f"{QWEN} --use_lora --use_rslora --lora_r 16",
            {"finetune.py": f"{PARSER}parser.add_argument('--use_rslora', action='store_true')\n"},
            Row("", 16, 8, 2, "wd"),
        ),
    ],
)
def test_what_is_not_given_is_the_program_s_own_default(
    framework: str, command: str, files: dict[str, str], expected: Row
) -> None:
    assert said(command, files) == [(framework, expected)]


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("python tune.py --use_lora --lr 1", {}),
        ("python tune.py --use_lora False", {"tune.py": PARSER}),
        ("python tune.py --use_lora", {"tune.py": "p.add_argument('--use_lora')"}),
        ("python ../outside.py --use_lora", {"../outside.py": PARSER}),
    ],
)
def test_a_gate_alone_says_nothing_without_a_program_that_has_a_rank(command: str, files: dict[str, str]) -> None:
    assert said(command, files, "run.sh") == []


def test_a_flag_that_the_program_has_is_not_a_misspelled_one() -> None:
    write({"run.sh": f"{QWEN} --use_lora --lora_rank 8\n"})
    assert [key.key for setup in read_setups(["run.sh"]) for key in setup.unknown_keys] == ["lora_rank"]
    write({"finetune.py": f"{PARSER}parser.add_argument('--lora_rank', default=3)\n"})
    assert [key.key for setup in read_setups(["run.sh"]) for key in setup.unknown_keys] == []


def test_a_program_that_refers_to_itself_or_to_very_many_comes_to_an_end() -> None:
    files = {f"m{n}.py": f"from m{n + 1} import *\nfrom m{n} import *\n# lora" for n in range(200)}
    assert said("python m0.py --use_lora --lora_r 8", files, "run.sh") == [("generic", Row("", 8, "?", "?", "wu"))]


def test_text_without_a_place_has_no_program_beside_it() -> None:
    write({"finetune.py": ARGUMENTS.format(alpha=32)})
    reading = read_bytes("run.sh", f"{QWEN} --use_lora\n".encode())
    assert [row.rank for row in rows(reading.setups)] == [64]


def test_the_finding_gives_the_program_s_numbers() -> None:
    write({"finetune.py": ARGUMENTS.format(alpha=4), "run.sh": f"{QWEN} --use_lora\n"})
    assert [(one.rule, one.message) for one in lint(["run.sh"]).diagnostics] == [
        (
            "alpha-left-at-default",
            "rank and alpha are left at 8 and 4, which makes the scale 0.5, policy 2r wants alpha 16",
        )
    ]
