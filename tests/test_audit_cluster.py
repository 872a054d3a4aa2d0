"""A real Ray cluster of this machine does what processes do: the same rows, whoever dies; nothing is left of it."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from lora_lint.audit.cluster import Cluster
from lora_lint.audit.local import PoolError, Processes
from lora_lint.audit.roots import Place
from lora_lint.audit.rows import Row
from lora_lint.audit.run import Audit
from lora_lint.audit.shares import Pool, ordered
from lora_lint.audit.work import Work
from lora_lint.settings import Settings
from tests.audits import Deadly, adapter
from tests.buckets import weights
from tests.conftest import Run, environment, interruptible

# Ray takes the words of its environment when it's imported, so not before the cluster is there.
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray")

TOKEN = secrets.token_hex(32)

_START = """
import ray, sys
here = ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, logging_level="ERROR",
                object_store_memory=100 * 2**20)
print(here.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@contextmanager
def cluster(folder: Path, **more: str) -> Iterator[str]:
    """The address of a cluster with two processors and, so Ray is told, a GPU; it ends with its standard input."""
    own = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(
            [sys.executable, "-c", _START],
            cwd=folder,
            env={**environment(folder), **own, **more},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as running,
    ):
        for name, value in own.items():
            patch.setenv(name, value)
        assert running.stdout is not None
        yield running.stdout.readline().strip()
        assert running.stdin is not None
        running.stdin.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def tree(repository_top: Path) -> Path:
    """Two hundred adapters in folders of several depths, some of them off."""
    for number in range(200):
        adapter(Path("tree", *str(number), f"adapter-{number}"), 8, 8 if number % 7 == 3 else 16)
    return Path("tree")


def found(pool: Pool, root: str = "tree") -> list[Row]:
    """The rows of an audit by a pool."""
    outcomes = ordered([(0, [Place(root, "folder")])], pool)
    return [row for _, outcome in outcomes for item in outcome.items for row in item.found]


def deadly(word: str, mark: str = "") -> Deadly:
    return Deadly(Work(Settings(), ("tree",), ("",)), word, mark)


@pytest.mark.parametrize("gpus", [False, True])
def test_a_cluster_gives_the_rows_of_processes(gpus: bool, address: str, tree: Path) -> None:
    work = Work(Settings(), ("tree",), ("",))
    with Processes(work, 2) as pool:
        local = found(pool)
    with Cluster(work, 2, address, gpus=gpus) as pool:
        assert pool.size == (1 if gpus else 2)
        assert found(pool) == local
    assert len(local) == 200


@pytest.mark.parametrize("gpus", [False, True])
def test_what_a_killed_worker_did_is_done_again(gpus: bool, address: str, tree: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with Cluster(deadly("adapter-123/adapter_config.json", str(mark)), 2, address, gpus=gpus) as pool:
        rows = found(pool)
    assert mark.exists()
    with Processes(Work(Settings(), ("tree",), ("",)), 1) as pool:
        assert rows == found(pool)


def test_what_kills_every_worker_is_one_row(address: str, tree: Path) -> None:
    job = deadly("adapter-123/adapter_config.json")
    with Processes(job, 2) as pool:
        local = found(pool)
    with Cluster(job, 2, address) as pool:
        assert found(pool) == local
    problems = [row.problem for row in local if row.problem]
    assert problems == ["could not be gone through: its process was ended by SIGKILL twice"]


def test_the_table_is_the_same_byte_for_byte(address: str, run: Run, tree: Path) -> None:
    arguments = ("audit", "tree", "--format", "json", "--workers", "2", "--table")
    local = run(*arguments, "local.jsonl")
    cluster = run(*arguments, "cluster.jsonl", "--engine", "ray", "--address", address)
    assert (cluster.status, cluster.out) == (local.status, local.out)
    assert local.status == 1
    assert Path("cluster.jsonl").read_bytes() == Path("local.jsonl").read_bytes()


def test_a_store_is_gone_on_with_by_another_engine(address: str, tree: Path) -> None:
    first = Audit(["tree"], Settings(), 0, "audit.db")
    rows = list(first)
    again = Audit(["tree"], Settings(), 2, "audit.db", cluster=address)
    assert list(again) == rows
    assert (again.tally.kept, again.tally.files) == (200, 200)


def test_actors_verify_as_processes_do(address: str, repository_top: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra torch")
    adapter("tree/a")
    Path("tree/a/adapter_model.safetensors").write_bytes(weights())
    adapter("tree/b")
    Path("tree/b/adapter_model.safetensors").write_bytes(weights()[:-4] + b"\xff" * 4)
    local = list(Audit(["tree"], Settings(), 1, verify=True))
    said = [" ".join(found.message for found in row.findings) for rows in local for row in rows]
    assert ["not finite" in messages for messages in said] == [False, True]
    assert list(Audit(["tree"], Settings(), 2, cluster=address, verify=True)) == local


def test_a_worker_that_doesn_t_see_a_root_is_an_error(address: str, tree: Path) -> None:
    with (
        pytest.raises(
            PoolError, match=r"failed: FileNotFoundError: .* has no .*/elsewhere, which all workers must see"
        ),
        Cluster(Work(Settings(), ("tree",), ("",)), 2, address, paths=["elsewhere"]) as pool,
    ):
        found(pool)


def test_workers_that_have_no_lora_lint_are_told(tree: Path, tmp_path: Path) -> None:
    package = tmp_path / "other" / "lora_lint" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("", "utf-8")
    message = "the cluster's workers can't import lora_lint; install lora-lint .*No module named"
    with (
        cluster(tmp_path, PYTHONPATH=str(package.parent.parent)) as there,
        pytest.raises(PoolError, match=message),
    ):
        Cluster(Work(Settings(), ("tree",), ("",)), 2, there)


def test_without_ray_the_extra_is_named(tree: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['ray'] = None; from lora_lint.cli import main; main()"
    command = [sys.executable, "-c", code, "audit", "tree", "--engine", "ray"]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "lora-lint: --engine ray needs Ray: pip install 'lora-lint[ray]'\n")


def family(number: int) -> Sequence[int]:
    """A process and those that it started."""
    try:
        text = Path(f"/proc/{number}/task/{number}/children").read_text("ascii")
    except OSError:
        return [number]
    return [number, *(one for child in text.split() for one in family(int(child)))]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_nothing_is_left_after_ctrl_c(tree: Path, tmp_path: Path) -> None:
    code = (
        "import importlib, time\n"
        "def show(self, adapters):\n    print('going', flush=True); time.sleep(60)\n"
        "importlib.import_module('lora_lint.cli.sinks').Progress.show = show\n"
        "from lora_lint.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "audit", "tree", "--engine", "ray", "--workers", "2"]
    with subprocess.Popen(
        command,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=interruptible,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"going\n"
        started = family(running.pid)
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(60) == 130
    assert len(started) > 3
    until = time.monotonic() + 20
    while (left := [one for one in started if Path(f"/proc/{one}").exists()]) and time.monotonic() < until:
        time.sleep(0.2)
    assert left == []
