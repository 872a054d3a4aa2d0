"""A run imports what its files need and nothing else: start-up is most of the time that a hook takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lora_lint.frameworks import MARKERS, candidates
from tests.checkout import ROOT

ADAPTER = '{"peft_type": "LORA", "r": 16, "lora_alpha": 16, "init_lora_weights": true, "target_modules": ["q_proj"]}\n'
AXOLOTL = "base_model: org/model\nadapter: lora\nlora_r: 16\nlora_alpha: 16\n"
SCRIPT = "torchrun train.py \\\n  --use_llm_lora 16\n"
SOURCE = "from peft import LoraConfig\n\nconfig = LoraConfig(r=16, lora_alpha=16)\n"

HEAVY = ("torch", "numpy", "ray", "safetensors", "peft", "rich", "regex", "pathspec")
"""Neither a text file nor plain output needs these; typer imports rich for help and errors only."""

SHOW = """
import json, sys
sys.argv = ["lora-lint", *sys.argv[1:]]
from lora_lint.cli import main
try:
    main()
except SystemExit as end:
    sys.stderr.write(json.dumps({"status": end.code, "modules": sorted(sys.modules)}))
"""


def python(code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-B", "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)


def imported(folder: Path, *arguments: str) -> set[str]:
    """The modules that a run leaves imported; the run found something."""
    done = python(SHOW, *arguments, folder=folder)
    result = json.loads(done.stderr)
    assert result["status"] == 1, done.stdout
    return set(result["modules"])


def tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def below(package: str, modules: set[str]) -> set[str]:
    return {name.removeprefix(f"{package}.") for name in modules if name.startswith(f"{package}.")}


@pytest.mark.parametrize(
    ("name", "text", "unneeded", "reader"),
    [
        ("adapter_config.json", ADAPTER, ("yaml", "tree_sitter", "tomllib"), "json"),
        ("config.yaml", AXOLOTL, ("tree_sitter", "tomllib"), "yaml"),
        ("train.sh", SCRIPT, ("yaml", "tomllib"), "shell"),
        ("train.py", SOURCE, ("yaml", "tree_sitter", "tomllib"), "python"),
    ],
)
def test_a_run_imports_what_its_file_needs(
    name: str, text: str, unneeded: tuple[str, ...], reader: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    modules = imported(tmp_path, "check", "--fail-on", "note", "--policy", "scale:3", name)
    assert tops(modules) & {*HEAVY, *unneeded} == set()
    syntaxes = {"json", "yaml", "toml", "shell", "python", "notebook"}
    assert {module.partition(".")[0] for module in below("lora_lint.readers", modules)} & syntaxes == {reader}
    assert below("lora_lint.frameworks", modules) & set(MARKERS) <= set(candidates(text.encode()))


def test_an_adapter_config_needs_one_framework(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(ADAPTER, "utf-8")
    assert below("lora_lint.frameworks", imported(tmp_path, "check", "adapter_config.json")) == {"peft"}


@pytest.mark.parametrize(
    "name", ["reporters.terminal", "reporters.sarif", "reporters.junit", "reference", "expression", "cli.fixing"]
)
def test_what_wasn_t_asked_for_is_not_imported(name: str, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(ADAPTER, "utf-8")
    assert f"lora_lint.{name}" not in imported(tmp_path, "check", "adapter_config.json")


def test_the_package_itself_imports_nothing_heavy(tmp_path: Path) -> None:
    show = "import sys, lora_lint; print(*sys.modules)"
    done = python(show, folder=tmp_path)
    assert tops(set(done.stdout.split())) & {*HEAVY, "pydantic", "typer", "yaml"} == set()
