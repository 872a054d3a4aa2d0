"""The packages that are asked, each release pinned, in folders beside the environment that runs the tests."""

import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

LISTS = Path(__file__).parent / "packages"


class NotInstalledError(Exception):
    """pip didn't get the packages; the message is its last line."""


def folders(framework: str, top: Path) -> list[Path]:
    """The folders that a framework's packages are in: its own before the one that all share."""
    lists = (LISTS / f"{name}.txt" for name in (framework, "shared"))
    return [_installed(listed, top) for listed in lists if listed.exists()]


def _installed(listed: Path, top: Path) -> Path:
    """The folder of a list, made when it isn't there; a changed list or another Python gets another one.

    No dependencies: torch, transformers and peft are those of the tests.
    """
    state = f"{sysconfig.get_platform()} {sys.version} {listed.read_text()}"
    folder = top / f"{listed.stem}-{hashlib.sha256(state.encode()).hexdigest()[:12]}"
    if folder.exists():
        return folder
    top.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=top) as made:
        options = ["--no-deps", "--only-binary", ":all:", "--no-compile", "--quiet", "--target", f"{made}/new"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, "--requirement", listed],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise NotInstalledError((done.stderr.strip().splitlines() or ["pip gave no reason"])[-1])
        os.rename(f"{made}/new", folder)
    return folder
