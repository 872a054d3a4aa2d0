"""Configs that are alive are checked like files: the same rules, the same messages, no lines."""

import dataclasses
import enum
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import peft
import pydantic
import pytest
from peft import LoraConfig

from lora_lint import lint, read_setups
from lora_lint.finding import Report
from lora_lint.reporters import render
from lora_lint.settings import Settings
from tests.checkout import ROOT

pytestmark = pytest.mark.filterwarnings("ignore")  # PEFT warns of every odd choice, and these are all odd


@dataclasses.dataclass
class ModelConfig:
    """The dataclass of TRL's command line, cut down (trl/trainer/model_config.py)."""

    use_peft: bool = True
    lora_r: int = 16
    lora_alpha: float = 16
    dtype: object = object


class Axolotl(pydantic.BaseModel):
    base_model: str = "org/model"
    adapter: str = "lora"
    lora_r: int = 16
    lora_alpha: int = 16


class Method(enum.StrEnum):
    LORA = "LORA"


def carrier(**configs: Any) -> Any:
    """What is left of a PeftModel, a transformers or a diffusers model with adapters when nothing is computed."""
    return SimpleNamespace(peft_config=configs)


WEAK = ("alpha-not-2r", "scale is 1, policy 2r wants alpha 32")


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        (LoraConfig(r=16, lora_alpha=16, target_modules=["q_proj"]), [("<LoraConfig>", *WEAK)]),
        (LoraConfig(r=16, lora_alpha=32, target_modules=["q_proj"]), []),
        (LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"), []),
        (peft.LoHaConfig(r=16, alpha=16, target_modules=["q_proj"]), []),
        ({"r": 16, "lora_alpha": 16, "target_modules": ["q_proj"]}, [("<dict>", *WEAK)]),
        ({"peft_type": Method.LORA, "r": 16, "lora_alpha": 16}, [("<dict>", *WEAK)]),
        ({"base_model": "org/m", "adapter": "lora", "lora_r": 16, "lora_alpha": 16}, [("<dict>", *WEAK)]),
        (ModelConfig(), [("<ModelConfig>", *WEAK)]),
        (ModelConfig(use_peft=False), []),
        (ModelConfig(lora_alpha=32), []),
        (Axolotl(), [("<Axolotl>", *WEAK)]),
        (Axolotl(lora_alpha=32), []),
        (
            carrier(default=LoraConfig(r=16, lora_alpha=16), style=LoraConfig(r=16, lora_alpha=32)),
            [("<SimpleNamespace: default>", *WEAK)],
        ),
        (carrier(), []),
        (
            [LoraConfig(r=16, lora_alpha=16), {"r": 16, "lora_alpha": 16, "target_modules": ["q_proj"]}],
            [("<LoraConfig>", *WEAK), ("<dict>", *WEAK)],
        ),
        ({"learning_rate": 1e-4, "epochs": 3}, []),
    ],
)
def test_what_is_alive_is_checked_like_a_file(subject: object, found: list[tuple[str, str, str]]) -> None:
    report = lint(subject, select=["scaling"])
    assert [(one.file, one.rule, one.message) for one in report.diagnostics] == found
    assert not report.failures


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"r": "16"}, 'r is "16", a string; PEFT needs an integer'),
        ({"r": 0}, "r is 0; PEFT needs more than 0"),
        ({"lora_aplha": 32}, "PEFT doesn't know lora_aplha"),
        ({"lora_dropout": 1.5}, "lora_dropout is 1.5"),
    ],
)
def test_keys_of_a_mapping_are_held_against_the_schema(keys: dict[str, Any], message: str) -> None:
    report = lint({"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]} | keys)
    assert any(one.message.startswith(message) for one in report.diagnostics), [d.message for d in report.diagnostics]


@pytest.mark.parametrize(("inference", "trained", "kind"), [(False, False, "training"), (True, True, "checkpoint")])
def test_what_was_loaded_counts_as_trained(inference: bool, trained: bool, kind: str) -> None:
    (setup,) = read_setups(LoraConfig(r=16, lora_alpha=16, inference_mode=inference))
    assert (setup.trained, setup.kind) == (trained, kind)


def test_settings_hold_for_what_is_alive() -> None:
    config = LoraConfig(r=16, lora_alpha=16)
    assert lint(config, Settings(policy="r"), select=["scaling"]).diagnostics == []
    assert lint({"r": 4, "lora_alpha": 4}, Settings(framework="peft")).summary.setups == 0
    assert lint({"peft_type": "LORA", "r": 4}, Settings(framework="peft")).summary.setups == 1


def test_scale_and_unknown_values_are_facts() -> None:
    (setup,) = read_setups(LoraConfig(r=16, lora_alpha=8, use_rslora=True, rank_pattern={"q_proj": 4}))
    assert [(site.modules, site.scale) for site in setup.sites] == [(("*",), 2.0), (("q_proj",), 4.0)]
    (setup,) = read_setups({"peft_type": "LORA", "r": object, "lora_alpha": 8})
    assert setup.sites[0].undecided == "is a type, which no config file holds"


def test_reports_have_no_lines() -> None:
    report = lint(LoraConfig(r=16, lora_alpha=16, target_modules=["q_proj"]), select=["alpha-not-2r"])
    (found,) = json.loads(render(report, "json"))["diagnostics"]
    assert found["file"] == "<LoraConfig>"
    assert found["path"] == ["lora_alpha"]
    assert {found[key] for key in ("line", "column", "end_line", "end_column", "fix")} == {None}
    assert found["related"] == []
    assert render(report, "text").startswith("<LoraConfig>: error[alpha-not-2r] scale is 1")
    assert "file=<LoraConfig>,title" in render(report, "github")


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        (3, "^int object is neither a path nor a config nor a model that carries one$"),
        (None, "NoneType object"),
        (LoraConfig, "^the class LoraConfig is neither"),
        ([LoraConfig(), 3], "int object"),
        (carrier(default=3), "int object"),
    ],
)
def test_what_holds_no_keys_is_refused(subject: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        lint(subject)


def test_a_revision_is_about_files() -> None:
    with pytest.raises(TypeError, match="since is about files, not about a LoraConfig"):
        lint(LoraConfig(), since="HEAD")


@pytest.mark.parametrize("make", [str, Path, lambda path: [path], lambda path: [str(path)]])
def test_one_path_or_several_are_files(tmp_path: Path, make: Callable[[Path], object]) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("base_model: org/m\nadapter: lora\nlora_r: 16\nlora_alpha: 16\n")
    assert [one.range.start.line for one in lint(make(file), select=["alpha-not-2r"]).diagnostics] == [4]


def told(report: Report) -> list[tuple[str, str, tuple[str | int, ...]]]:
    found = [(one.rule, one.message, one.path) for one in report.diagnostics if "/checkpoint/" not in one.url]
    return sorted(found)


@pytest.mark.parametrize("seed", range(40))
def test_a_live_config_is_told_what_its_saved_file_is_told(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    names = draw.sample(["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj"], 3)
    targets: list[Any] = [names, names[:1], "all-linear", ".*q_proj"]
    config = LoraConfig(
        r=draw.choice([1, 4, 8, 16, 512]),
        lora_alpha=draw.choice([0, 1, 8, 16, 64, 4096]),
        target_modules=draw.choice(targets),
        lora_dropout=draw.choice([0.0, 0.1, 0.9]),
        use_rslora=draw.random() < 0.3,
        use_dora=draw.random() < 0.3,
        bias=draw.choice(["none", "all", "lora_only"]),
        modules_to_save=draw.choice([None, ["lm_head"], ["embed_tokens", "lm_head"]]),
        rank_pattern=draw.choice([{}, {names[0]: 4}, {"nothing": 8}]),
        alpha_pattern=draw.choice([{}, {names[1]: 2}]),
        init_lora_weights=draw.choice([True, False, "pissa", "olora", "gaussian"]),
        base_model_name_or_path=draw.choice([None, "meta-llama/Llama-3.1-8B", "/home/me/model"]),
        task_type=draw.choice([None, "CAUSAL_LM", "SEQ_CLS"]),
    )
    config.save_pretrained(str(tmp_path))
    file = tmp_path / "adapter_config.json"
    assert told(lint(config)) == told(lint(file))


IMPORTS = """
import sys, lora_lint
report = lora_lint.lint({"peft_type": "LORA", "r": 16, "lora_alpha": 16, "target_modules": ["q_proj"]})
assert report.diagnostics
print(sorted({"torch", "peft", "yaml", "numpy", "tree_sitter", "rich"} & set(sys.modules)))
"""


def test_neither_torch_nor_peft_is_imported_to_check_a_mapping() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
