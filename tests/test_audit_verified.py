"""`audit --verify`: what the tensors do is on the rows of their adapters, and torch is where adapters are read."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lora_lint.audit.rows import Row
from lora_lint.audit.run import Audit
from lora_lint.settings import Settings
from tests.audits import adapter
from tests.conftest import environment

torch = pytest.importorskip("torch", reason="needs the extra torch")
save_file = pytest.importorskip("safetensors.torch", reason="needs the extra torch").save_file


def weights(value: float, rank: int = 8) -> dict[str, object]:
    """The tensors of two modules; `value` stands once in an A."""
    found = {}
    torch.manual_seed(0)
    for name in ("q_proj", "v_proj"):
        start = f"base_model.model.model.layers.0.self_attn.{name}"
        found[f"{start}.lora_A.weight"] = torch.randn(rank, 32)
        found[f"{start}.lora_B.weight"] = torch.randn(32, rank)
    found["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"][0, 0] = value
    return found


@pytest.fixture
def tree(repository_top: Path) -> str:
    for name, value in (("good", 1.0), ("bad", float("nan"))):
        adapter(f"tree/{name}")
        save_file(weights(value), f"tree/{name}/adapter_model.safetensors")
    adapter("tree/bare")
    return "tree"


def found(rows: list[Row]) -> dict[str, list[str]]:
    return {row.adapter: [one.message for one in row.findings] for row in rows}


@pytest.mark.parametrize("workers", [0, 1])
def test_verdicts_are_findings_of_the_row(workers: int, tree: str) -> None:
    rows = [row for rows in Audit([tree], Settings(), workers, verify=True) for row in rows]
    said = found(rows)
    assert list(said) == ["bad", "bare", "good"]
    assert (said["bare"], said["good"]) == ([], [])
    (message,) = said["bad"]
    assert "lora_A" in message
    assert "(1 of 2 modules, model.layers.0.self_attn.q_proj first)" in message


@pytest.mark.parametrize(
    ("settings", "severities"),
    [
        ({}, ["error"]),
        ({"ignore": ["values-not-finite"]}, []),
        ({"severity": {"values-not-finite": "warning"}}, ["warning"]),
        ({"select": ["scaling"]}, []),
    ],
)
def test_the_users_settings_hold_for_what_the_tensors_do(
    settings: dict[str, object], severities: list[str], tree: str
) -> None:
    rows = [row for rows in Audit([tree], Settings.model_validate(settings), 0, verify=True) for row in rows]
    assert [one.severity for row in rows for one in row.findings] == severities


def test_nothing_is_verified_unless_asked(tree: str) -> None:
    rows = [row for rows in Audit([tree], Settings(), 0) for row in rows]
    assert found(rows) == {"bad": [], "bare": [], "good": []}


def test_a_store_knows_whether_it_was_verified(tree: str) -> None:
    list(Audit([tree], Settings(), 0, "audit.db"))
    rows = [row for rows in Audit([tree], Settings(), 0, "audit.db", verify=True) for row in rows]
    assert [name for name, messages in found(rows).items() if messages] == ["bad"]


def test_torch_is_imported_by_workers_alone(tree: str, tmp_path: Path) -> None:
    code = "import sys; sys.argv[0] = 'x'\nfrom lora_lint.cli import main\ntry:\n    main()\nexcept SystemExit: pass\n"
    show = "import json; json.dump([name in sys.modules for name in ('torch', 'lora_lint.audit.run')], sys.stderr)"
    command = [sys.executable, "-c", code + show, "audit", tree, "--verify", "--workers", "1", "--format", "json"]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=True)
    assert json.loads(done.stderr) == [False, True]
    assert sum(map(len, (row["findings"] for row in json.loads(done.stdout)["rows"]))) == 1
