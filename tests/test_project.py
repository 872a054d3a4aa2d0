"""The release of PEFT that a project is held to, as its own files say."""

from pathlib import Path

import pytest

from lora_lint import lint
from lora_lint.document import Source
from lora_lint.project import forked, holds, installed, pinned

POETRY = "[tool.poetry.dependencies]\npeft = {}\n"
LOCK = '[[package]]\nname = "peft"\nversion = "0.13.2"\n[[package]]\nname = "torch"\nversion = "2.0"\n'


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [
        ("requirements.txt", "torch\npeft==0.13.2\n", "0.13.2"),
        ("requirements.txt", "peft[extra]==0.13.2  # pinned\n", "0.13.2"),
        ("requirements-dev.txt", "peft <= 0.12\n", "0.12"),
        ("dev_requirements.in", "PEFT~=0.13.1\n", "0.13.999"),
        ("constraints.txt", "peft>=0.10,<0.14\n", "0.14.dev0"),
        ("requirements.txt", "peft==0.13.*\n", "0.13.999"),
        ("requirements.txt", "peft>=0.13.2\n", None),
        ("requirements.txt", "peft\n", None),
        ("requirements.txt", "mypeft==0.13.2\npeft-extras==1\n", None),
        ("requirements.txt", "peft @ git+https://x/peft@v0.13.2\n", None),
        ("requirements.txt", "peft==not-a-version\n", None),
        ("environment.yml", "dependencies:\n  - pip:\n      - peft==0.13.2\n", "0.13.2"),
        ("pyproject.toml", '[project]\ndependencies = ["torch", "peft==0.13.2"]\n', "0.13.2"),
        ("pyproject.toml", POETRY.format('"^0.13.2"'), "0.14.dev0"),
        ("pyproject.toml", POETRY.format('"0.13.2"'), "0.13.2"),
        ("pyproject.toml", POETRY.format('{version = ">=0.12,<0.14"}'), "0.14.dev0"),
        ("pyproject.toml", POETRY.format('">=0.13"'), None),
        ("pyproject.toml", "[project\n", None),
        ("uv.lock", LOCK, "0.13.2"),
        ("poetry.lock", LOCK, "0.13.2"),
        ("notes.txt", "peft==0.13.2\n", None),
        ("requirements/chat.txt", "peft==0.13.2\n", "0.13.2"),
    ],
)
def test_a_pin_is_the_newest_release_that_is_allowed(name: str, text: str, version: str | None, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text, "utf-8")
    pin = pinned(str(tmp_path), "peft")
    assert (pin.version if pin else None) == version


def test_the_nearest_folder_upwards_counts_and_the_top_of_the_repository_is_the_last(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("peft==0.1.0\n", "utf-8")
    top = tmp_path / "repository"
    inner = top / "a" / "b"
    inner.mkdir(parents=True)
    (top / ".git").mkdir()
    (top / "requirements.txt").write_text("peft==0.12.0\n", "utf-8")
    (top / "a" / "requirements.txt").write_text("peft==0.13.0\n", "utf-8")
    assert pinned(str(inner), "peft") == ("0.13.0", "requirements.txt")
    assert pinned(str(top), "peft") == ("0.12.0", "requirements.txt")


def test_nothing_above_the_repository_counts(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("peft==0.1.0\n", "utf-8")
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    assert pinned(str(tmp_path / "repository"), "peft") is None


def test_files_that_disagree_say_nothing(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "requirements.txt").write_text("peft==0.12.0\n", "utf-8")
    (tmp_path / "requirements-gpu.txt").write_text("peft==0.13.0\n", "utf-8")
    assert pinned(str(tmp_path), "peft") is None


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("!pip install -q peft==0.13.2 trl\n", "0.13.2"),
        ("%pip install 'peft[torch]==0.13.2'\n", "0.13.2"),
        ("pip install -U \\\n  torch \\\n  peft==0.13.2\n", "0.13.2"),
        # A cell of a notebook, whose lines are texts of JSON.
        ('"!pip install -U \\\\\\n",\n"  \\"peft==0.13.2\\"\\n"\n', "0.13.2"),
        ("pip install peft\n", None),
        ("pip install torch\npeft==0.13.2\n", None),
        ("pip install peft==0.13.2\npip install peft==0.14.0\n", None),
    ],
)
def test_a_file_that_installs_a_release_is_held_to_it(text: str, version: str | None) -> None:
    found = installed(Source("a.ipynb", text), "peft")
    assert (found.version if found is not None else None) == version


@pytest.mark.parametrize(
    ("name", "text", "fork"),
    [
        ("requirements.txt", "git+https://github.com/someone/peft.git@lora-plus#egg=peft\n", True),
        ("requirements.txt", "torch\npeft @ git+https://github.com/someone/peft\n", True),
        ("environment.yml", "dependencies:\n  - pip:\n      - git+ssh://git@github.com/someone/peft.git\n", True),
        ("setup.py", "setup(install_requires=['peft @ git+https://github.com/someone/peft@main'])\n", True),
        ("requirements.txt", "git+https://github.com/huggingface/peft.git\n", False),
        ("requirements.txt", "git+https://github.com/someone/peft-tools.git\n", False),
        ("requirements.txt", "# https://github.com/someone/peft\npeft==0.13.2\n", False),
        ("notes.txt", "git+https://github.com/someone/peft.git\n", False),
    ],
)
def test_a_fork_is_somebody_else_s_repository_of_that_name(name: str, text: str, fork: bool, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "src").mkdir()
    assert forked(str(tmp_path / "src"), "peft", "huggingface") == fork


@pytest.mark.parametrize(
    ("source", "held"),
    [("peft", True), ("src/peft", True), ("peft/src/peft", True), ("lib/peft", False), ("peft/src", False)],
)
def test_a_project_holds_a_package_that_lies_beside_its_scripts(source: str, held: bool, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / source).mkdir(parents=True)
    (tmp_path / source / "__init__.py").write_text("", "utf-8")
    assert holds(str(tmp_path), "peft") == held


def test_keys_that_a_copy_of_peft_may_know_are_not_reported(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("from peft import LoraConfig\nLoraConfig(r=8, lora_alpha=16, lora_nums=3)\n", "utf-8")
    (tmp_path / ".git").mkdir()
    assert [one.rule for one in lint(str(script)).diagnostics] == ["unknown-key"]
    (tmp_path / "peft").mkdir()
    (tmp_path / "peft" / "__init__.py").write_text("", "utf-8")
    assert lint(str(script)).diagnostics == []
