"""Running lora-lint as a user does: in a process of its own, or in this one for speed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from typer.testing import CliRunner

import lora_lint
from lora_lint.cli import app

ROOT = Path(lora_lint.__file__).parent.parent
SECONDS = 60


@dataclass(frozen=True)
class Outcome:
    """What a run left: exit status, standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)

    @property
    def rules(self) -> list[str]:
        """The rules that spoke, of `check --format json`."""
        return [diagnostic["rule"] for diagnostic in self.data["diagnostics"]]


class Cli(Protocol):
    def __call__(
        self,
        *arguments: str | Path,
        input: bytes | None = None,  # noqa: A002 - subprocess calls it so
        env: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
    ) -> Outcome: ...


class Run(Protocol):
    def __call__(self, *arguments: str | Path, input: bytes | None = None) -> Outcome: ...  # noqa: A002


def interruptible() -> None:
    """For a new process: what a shell starts in the background ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def environment(home: Path) -> dict[str, str]:
    """Nothing of the caller's: no colours, no terminal, no settings of Python."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the working directory and the top of a repository."""
    folder = tmp_path / "here"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def repository_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own folder as the working directory and the top of a repository."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(here: Path) -> Cli:
    """`python -m lora_lint` in a process of its own."""

    def run(
        *arguments: str | Path,
        input: bytes | None = None,  # noqa: A002
        env: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
    ) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "lora_lint", *map(str, arguments)],
            input=input or b"",
            capture_output=True,
            env={**environment(here), **(env or {})},
            cwd=here,
            timeout=SECONDS,
            preexec_fn=before,
            check=False,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def run(here: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same commands in this process; what would be a traceback fails the test."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*arguments: str | Path, input: bytes | None = None) -> Outcome:  # noqa: A002
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout_bytes.decode(), result.stderr)

    return invoke


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "on_every_device" in metafunc.fixturenames:
        from tests.devices import DEVICES

        metafunc.parametrize("on_every_device", DEVICES, indirect=True)


@pytest.fixture
def on_every_device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each device that is here, which `verify` takes where it isn't told another."""
    import torch

    from lora_lint.reference import verify

    defaults = verify.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "device", torch.device(request.param))
