"""What a config names near itself: a DeepSpeed file, the adapter gone on from, the same config for the whole model."""

import json
from pathlib import Path

import pytest

from lora_lint.distributed import zeros
from lora_lint.facts import Setup
from lora_lint.linter import read_setups
from lora_lint.nearby import full_sibling

FACTORY = "model_name_or_path: org/model\nstage: sft\nfinetuning_type: lora\nlora_rank: 8\n"
AXOLOTL = "base_model: org/model\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n"
ZERO3 = {"zero_optimization": {"stage": 3}}
GATHERING = {"zero_optimization": {"stage": 3, "stage3_gather_16bit_weights_on_model_save": True}}


def setup(folder: Path, text: str, name: str = "runs/lora.yaml") -> Setup:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    (found,) = read_setups([str(path)])
    return found


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    top = tmp_path / "repository"
    for folder in (top / ".git", top / "configs", top / "runs"):
        folder.mkdir(parents=True)
    return top


@pytest.mark.parametrize(
    ("config", "zero"),
    [
        (ZERO3, (3, False)),
        (GATHERING, (3, True)),
        ({"zero_optimization": {"stage": 3, "gather_16bit_weights_on_model_save": True}}, (3, True)),
        ({"zero_optimization": {"stage": 2}}, (2, False)),
        ({"zero_optimization": {"stage": "auto"}}, None),
        ({"zero_optimization": []}, None),
        ([3], None),
    ],
)
@pytest.mark.parametrize("place", ["configs/zero.json", "runs/configs/zero.json"])
def test_the_zero_stage_is_the_one_of_the_file_that_the_config_names(
    repository: Path, config: object, zero: object, place: str
) -> None:
    (repository / place).parent.mkdir(exist_ok=True)
    (repository / place).write_text(json.dumps(config), "utf-8")
    found = next(zeros(setup(repository, FACTORY + "deepspeed: configs/zero.json")), None)
    assert (found and (found.stage, found.gathers)) == zero
    assert found is None or (found.path[0], found.elsewhere is not None) == ("zero_optimization", True)
    assert found is None or found.elsewhere is None or found.elsewhere.path == str(repository / place)


def test_the_zero_stage_may_stand_in_the_config_itself(repository: Path) -> None:
    found = setup(repository, FACTORY + "deepspeed: {zero_optimization: {stage: 3}}")
    assert list(zeros(found)) == [(3, False, ("deepspeed", "zero_optimization", "stage"), None)]


LORA = "from peft import LoraConfig\nargs = TrainingArguments('out')\nconfig = LoraConfig(r=8, lora_alpha=16)\n"
LAUNCH = "accelerate launch --num_processes 8 \\\n  --config_file configs/zero.yaml"
TRL = " trl/scripts/sft.py --use_peft --lora_r 8 --lora_alpha 16\n"
PLUGIN = "deepspeed_config:\n  zero_stage: 3\n  zero3_save_16bit_model: false\n"
SAVES = ("deepspeed_config", "zero3_save_16bit_model")
STAGE = ("zero_optimization", "stage")


@pytest.mark.parametrize(
    ("name", "text", "script", "zero"),
    [
        ("runs/run.sh", LAUNCH + TRL, "", (3, False, SAVES)),
        ("runs/train.py", f'"""Start it with {LAUNCH} train.py"""\n{LORA}', "", (3, False, SAVES)),
        ("runs/train.py", LORA, LAUNCH + " train.py\n", (3, False, SAVES)),
        ("runs/train.py", LORA, "deepspeed train.py --deepspeed configs/zero.json\n", (3, False, STAGE)),
        ("runs/train.py", LORA, LAUNCH + " other.py\npython train.py\n", None),
        ("runs/train.py", LORA, "", None),
    ],
)
def test_a_launch_that_names_a_configuration_is_followed_to_it(
    repository: Path, name: str, text: str, script: str, zero: object
) -> None:
    (repository / "configs/zero.yaml").write_text(PLUGIN, "utf-8")
    (repository / "configs/zero.json").write_text(json.dumps(ZERO3), "utf-8")
    (repository / "runs/launch.sh").write_text(script, "utf-8")
    found = next(zeros(setup(repository, text, name)), None)
    assert (found and (found.stage, found.gathers, found.path)) == zero


@pytest.mark.parametrize("named", ["../../outside.json", "link.json", "/etc/passwd", "absent.json", "auto", "zero3"])
def test_nothing_outside_of_the_repository_is_read(repository: Path, named: str) -> None:
    (repository.parent / "outside.json").write_text(json.dumps(ZERO3), "utf-8")
    (repository / "link.json").symlink_to("../outside.json")
    assert list(zeros(setup(repository, FACTORY + f"deepspeed: {named}"))) == []


@pytest.mark.parametrize(
    ("text", "rank", "rebuilt"),
    [
        (FACTORY + "resume_from_checkpoint: out", 16, True),
        (FACTORY + "do_train: true\nadapter_name_or_path: other, out", 16, False),
        (FACTORY + "do_train: true\nadapter_name_or_path: [other, ./out/]", 16, False),
        (AXOLOTL + "lora_model_dir: ./out", 16, False),
        (AXOLOTL + "resume_from_checkpoint: out", 16, True),
    ],
)
def test_the_adapter_that_is_gone_on_from_is_read(repository: Path, text: str, rank: int, rebuilt: bool) -> None:
    (repository / "out").mkdir()
    adapter = {"peft_type": "LORA", "r": 16, "lora_alpha": 32}
    (repository / "out" / "adapter_config.json").write_text(json.dumps(adapter), "utf-8")
    found = setup(repository, text).resumed
    assert found is not None
    assert (found.config["r"], found.rebuilt) == (rank, rebuilt)


@pytest.mark.parametrize(
    "text",
    [
        FACTORY + "resume_from_checkpoint: true",
        FACTORY + "resume_from_checkpoint: org/adapter",
        FACTORY + "do_train: true\ncreate_new_adapter: true\nadapter_name_or_path: out",
        FACTORY,
    ],
)
def test_an_adapter_that_is_not_gone_on_from_is_not_read(repository: Path, text: str) -> None:
    (repository / "out").mkdir()
    (repository / "out" / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 16}', "utf-8")
    assert setup(repository, text).resumed is None


@pytest.mark.parametrize(
    ("name", "other", "found"),
    [
        ("runs/8B_lora.yaml", "runs/8B_full.yaml", True),
        ("runs/qlora.yaml", "runs/fft.yaml", True),
        ("runs/8B_lora.yaml", "8B_full.yaml", False),
        ("runs/8B.yaml", "runs/8B_full.yaml", False),
    ],
)
def test_the_config_of_the_whole_model_differs_in_its_name_alone(
    repository: Path, name: str, other: str, found: bool
) -> None:
    (repository / other).write_text("learning_rate: 0.00002\n", "utf-8")
    assert (full_sibling(setup(repository, FACTORY, name)) is not None) == found
