"""The hooks run under the real pre-commit; the GitHub Action and what README says for other servers in the shell."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from junitparser import JUnitXml

from tests.checkout import ROOT, copy_checkout

BAD = '{"peft_type": "LORA", "r": 16, "lora_alpha": 16, "target_modules": ["q_proj"]}\n'
GOOD = '{"peft_type": "LORA", "r": 16, "lora_alpha": 32, "target_modules": ["q_proj"]}\n'
MENDABLE = '{"peft_type": "LORA", "r": "16", "lora_alpha": 32, "target_modules": ["q_proj"]}\n'
LORA = """\
base_model: org/one
adapter: lora
lora_r: {}
lora_alpha: {}
---
base_model: org/two
adapter: lora
datasets: []
lora_r: {}
lora_alpha: {}
"""
HOOKS = ("lora-lint", "lora-lint-changes", "lora-lint-fix")
PRE_COMMIT = [sys.executable, "-m", "pre_commit"]


def environment(home: Path) -> dict[str, str]:
    """Nothing of the user's git, pre-commit, pip or Python settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PRE_COMMIT", "PYTHON"))}
    return {
        **kept,
        "HOME": str(home),
        "PRE_COMMIT_HOME": str(home / "pre-commit"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{what}": "somebody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }


class Repository(NamedTuple):
    """A user's repository, and the one that its hooks come from."""

    folder: Path
    hooks: Path
    environment: dict[str, str]

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def pre_commit(self, *arguments: str | Path, **files: str) -> subprocess.CompletedProcess[str]:
        """What pre-commit says when these files, and no others, are in a commit."""
        self.git("reset", "-q", "--hard")
        for name, text in files.items():
            path = name.replace("__", ".")
            (self.folder / path).write_text(text, "utf-8")
            self.git("add", "--", path)
        return subprocess.run(
            [*PRE_COMMIT, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )


def start(folder: Path, env: dict[str, str]) -> str:
    """Make a folder a git repository with everything in it committed; the commit."""
    for command in ("init -q", "add -A", "commit -q -m start", "rev-parse HEAD"):
        done = subprocess.run(
            ["git", *command.split()], cwd=folder, env=env, check=True, capture_output=True, text=True
        )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose hooks pre-commit installs by pip, once, into a home of its own."""
    home = tmp_path_factory.mktemp("home")
    env = environment(home)
    hooks = copy_checkout(home / "lora-lint")
    folder = home / "theirs"
    folder.mkdir()
    wanted = {"repo": str(hooks), "rev": start(hooks, env), "hooks": [{"id": name} for name in HOOKS]}
    (folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [wanted]}), "utf-8")
    start(folder, env)
    return Repository(folder, hooks, env)


def test_the_manifest_is_valid(tmp_path: Path) -> None:
    manifest = ROOT / ".pre-commit-hooks.yaml"
    done = subprocess.run([*PRE_COMMIT, "validate-manifest", manifest], env=environment(tmp_path), check=False)
    assert done.returncode == 0


def test_try_repo_needs_nothing_but_this_checkout(repository: Repository) -> None:
    done = repository.pre_commit("try-repo", repository.hooks, "lora-lint", adapter_config__json=BAD)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "error[alpha-not-2r] scale is 1, policy 2r wants alpha 32" in done.stdout


def test_the_hook_fails_on_a_bad_config_and_shows_the_finding(repository: Repository) -> None:
    done = repository.pre_commit("run", "lora-lint", adapter_config__json=BAD, other_lora__json=GOOD)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "adapter_config.json:1:46: error[alpha-not-2r] scale is 1, policy 2r wants alpha 32" in done.stdout


def test_the_hook_passes_a_good_config(repository: Repository) -> None:
    done = repository.pre_commit("run", "--verbose", "lora-lint", adapter_config__json=GOOD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 setup, 1 site: no findings" in done.stdout


def test_an_ordinary_commit_doesn_t_start_the_hook(repository: Repository) -> None:
    done = repository.pre_commit("run", README__md="lora_r: 16, lora_alpha: 16\n", foo__py="print('hello')\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("(no files to check)Skipped") == 3


def test_the_hook_for_changes_sees_what_is_staged_and_nothing_else(repository: Repository) -> None:
    (repository.folder / "train_lora.yaml").write_text(LORA.format(16, 16, 16, 32), "utf-8")
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "configs")
    done = repository.pre_commit("run", "lora-lint-changes", train_lora__yaml=LORA.format(16, 16, 64, 32))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "train_lora.yaml:9:9: error[rank-changed-alone] rank changed from 16 to 64" in done.stdout
    assert done.stdout.count("error[") == 1
    (repository.folder / "train_lora.yaml").write_text("{", "utf-8")
    done = repository.pre_commit("run", "lora-lint-changes", train_lora__yaml=LORA.format(16, 16, 64, 128))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_fixing_hook_mends_what_is_safe_and_says_so(repository: Repository) -> None:
    done = repository.pre_commit("run", "lora-lint-fix", adapter_config__json=MENDABLE)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "files were modified by this hook" in done.stdout
    assert (repository.folder / "adapter_config.json").read_text("utf-8") == GOOD


FILES = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))[0]["files"]


@pytest.mark.parametrize(
    ("path", "starts"),
    [
        ("adapter_config.json", True),
        ("checkpoints/step-100/adapter_config.json", True),
        ("configs/qwen.yaml", True),
        ("config.json", True),
        ("shell/internvl2.0/2nd_finetune/internvl2_1b_lora.sh", True),
        ("scripts/v1_5/finetune_task_lora.sh", True),
        ("jobs/train.sbatch", True),
        ("examples/llama-3/qlora.yml", True),
        ("src/train_dpo.py", True),
        ("notebooks/finetune.ipynb", True),
        ("out/adapter_model.safetensors", True),
        ("README.md", False),
        ("foo.py", False),
        ("docs/lora.md", False),
        ("package.json", False),
        (".github/workflows/ci.yml", False),
    ],
)
def test_the_hook_starts_for_files_whose_names_may_hold_lora(path: str, starts: bool) -> None:
    assert (re.search(FILES, path) is not None) is starts


def install(folder: Path) -> None:
    """Put a program called lora-lint, which is this checkout's, into a folder."""
    folder.mkdir(parents=True)
    program = folder / "lora-lint"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lora_lint "$@"\n', "utf-8")
    program.chmod(0o755)


class Action:
    """The steps of action.yml, run as a runner would run them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
        self.outputs = home / "outputs"
        self.workspace = home / "workspace"
        self.workspace.mkdir()
        install(home / "runner" / "lora-lint" / "bin")

    def step(self, name: str) -> dict[str, Any]:
        return next(step for step in self.data["runs"]["steps"] if step.get("name") == name)

    def check(self, **inputs: str) -> subprocess.CompletedProcess[str]:
        """Run the step that checks, with the defaults of the inputs that aren't given."""
        values = {name: str(one.get("default", "")) for name, one in self.data["inputs"].items()}
        values.update({name.replace("_", "-"): value for name, value in inputs.items()})
        step = self.step("Check")
        names = {key: text.removeprefix("${{ inputs.").removesuffix(" }}") for key, text in step["env"].items()}
        variables = {key: values[name] for key, name in names.items()}
        runner = {"RUNNER_TEMP": str(self.home / "runner"), "GITHUB_OUTPUT": str(self.outputs)}
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **runner, **variables},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def action(tmp_path: Path) -> Action:
    return Action(tmp_path)


def test_the_action_annotates_and_fails_on_a_bad_config(action: Action) -> None:
    (action.workspace / "adapter_config.json").write_text(BAD, "utf-8")
    done = action.check()
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.startswith("::error file=adapter_config.json,line=1,")
    assert "title=alpha-not-2r::" in done.stdout


def test_the_action_writes_sarif_and_says_where(action: Action) -> None:
    (action.workspace / "adapter_config.json").write_text(BAD, "utf-8")
    action.check(sarif_file="out.sarif")
    sarif = json.loads((action.workspace / "out.sarif").read_text("utf-8"))
    assert [result["ruleId"] for result in sarif["runs"][0]["results"]] == ["alpha-not-2r"]
    assert action.outputs.read_text("utf-8") == "sarif-file=out.sarif\n"


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ({}, 1),
        ({"fail_on": "note"}, 1),
        ({"args": "--policy r", "paths": "bad"}, 0),
        ({"paths": "--help"}, 2),
        ({"args": "--exit-zero"}, 0),
        ({"args": "--ignore alpha-not-2r"}, 0),
        ({"paths": "good"}, 0),
        ({"paths": "good\nbad"}, 1),
        ({"paths": "good bad"}, 1),
        ({"paths": "missing"}, 2),
        ({"fail_on": "never"}, 2),
    ],
)
def test_the_status_of_the_action_is_that_of_check(action: Action, inputs: dict[str, str], status: int) -> None:
    for name, text in (("good", GOOD), ("bad", BAD)):
        (action.workspace / name).mkdir()
        (action.workspace / name / "adapter_config.json").write_text(text, "utf-8")
    done = action.check(**inputs)
    assert done.returncode == status, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["paths", "args", "fail_on", "sarif_file"])
@pytest.mark.parametrize(
    "text", ["$(touch pwned)", "`touch pwned`", "; touch pwned", "a\ntouch pwned", '"; touch pwned; "']
)
def test_no_input_of_the_action_is_run_by_the_shell(action: Action, name: str, text: str) -> None:
    action.check(**{name: text})
    assert not (action.workspace / "pwned").exists()


def test_a_sarif_file_with_a_line_end_sets_no_other_output(action: Action) -> None:
    action.check(sarif_file="a.sarif\nevil=1")
    assert action.outputs.read_text("utf-8") == "sarif-file=a.sarifevil=1\n"


def test_no_step_of_the_action_pastes_an_input_into_a_script(action: Action) -> None:
    assert [step["run"] for step in action.data["runs"]["steps"] if "${{" in step.get("run", "")] == []


def test_the_upload_needs_sarif_and_never_fails_the_job(action: Action) -> None:
    upload = action.step("Upload to code scanning")
    assert upload["continue-on-error"] is True
    assert "hashFiles(inputs.sarif-file) != ''" in upload["if"]


README = (ROOT / "README.md").read_text("utf-8")
GITLAB = next(block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "codequality" in block)
JENKINS = "".join(re.findall(r"```groovy\n(.*?)```", README, re.DOTALL))


def on_a_server(command: str, home: Path, text: str) -> int:
    """The status of a command that a server runs in a repository with one config."""
    install(home / "bin")
    (home / "adapter_config.json").write_text(text, "utf-8")
    env = {"PATH": f"{home / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", "-eo", "pipefail", "-c", command], cwd=home, env=env, check=False).returncode


def test_the_job_for_gitlab_is_one_that_gitlab_takes(tmp_path: Path) -> None:
    (tmp_path / ".gitlab-ci.yml").write_text(GITLAB, "utf-8")
    check = ["check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]
    done = subprocess.run(
        [sys.executable, "-m", *check, ".gitlab-ci.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("text", "status", "issues", "tests"), [(BAD, 1, 1, 2), (GOOD, 0, 0, 1)])
def test_the_job_for_gitlab_writes_the_reports_that_it_names(
    text: str, status: int, issues: int, tests: int, tmp_path: Path
) -> None:
    job = yaml.safe_load(GITLAB)["lora-lint"]
    assert job["script"][0] == "pip install lora-lint"
    assert on_a_server("\n".join(job["script"][1:]), tmp_path, text) == status
    reports = job["artifacts"]["reports"]
    assert len(json.loads((tmp_path / reports["codequality"]).read_text("utf-8"))) == issues
    assert JUnitXml.fromfile(str(tmp_path / reports["junit"])).tests == tests


@pytest.mark.parametrize(("text", "status", "failures"), [(BAD, 1, 1), (GOOD, 0, 0)])
def test_the_stage_for_jenkins_reads_the_report_that_it_writes(
    text: str, status: int, failures: int, tmp_path: Path
) -> None:
    (command,) = re.findall(r"sh '(.*?)'", JENKINS)
    (file,) = re.findall(r"junit '(.*?)'", JENKINS)
    assert on_a_server(command, tmp_path, text) == status
    assert JUnitXml.fromfile(str(tmp_path / file)).failures == failures
    assert JENKINS.count("{") == JENKINS.count("}") == 4
