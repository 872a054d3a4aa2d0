"""Trees of adapters for the tests of the audit, and the poison that kills a process that reads it."""

import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from lora_lint.audit.rows import Row
from lora_lint.audit.run import Audit
from lora_lint.audit.tasks import Outcome, Task, Tell
from lora_lint.audit.work import Work
from lora_lint.settings import Settings

PEFT = {"peft_type": "LORA", "base_model_name_or_path": "org/base", "target_modules": ["q_proj", "v_proj"]}


def config(rank: int = 8, alpha: float = 16, **others: object) -> str:
    """An `adapter_config.json` of PEFT's."""
    return json.dumps({**PEFT, "r": rank, "lora_alpha": alpha, **others})


def adapter(folder: Path | str, rank: int = 8, alpha: float = 16, **others: object) -> Path:
    """A folder with the config of an adapter."""
    path = Path(folder) / "adapter_config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(config(rank, alpha, **others), "utf-8")
    return path


def laid_out(top: str, files: Mapping[str, bytes]) -> None:
    """Files below a folder, as they lie in a bucket."""
    for name, data in files.items():
        path = Path(top, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def audited(
    root: str, workers: int = 0, store: str | None = None, settings: Mapping[str, object] | None = None
) -> list[Row]:
    """The rows of all files below a root."""
    return [row for rows in Audit([root], Settings.model_validate(settings or {}), workers, store) for row in rows]


def remembered(policy: str = "2r", root: str = "root", baseline: str | None = None) -> tuple[list[Row], int]:
    """The rows of all files below a root, and how many files the store `F.db` knew."""
    whole = Audit([root], Settings.model_validate({"policy": policy}), 0, "F.db", baseline)
    found = [row for rows in whole for row in rows]
    assert not whole.tally.unstored
    return found, whole.tally.kept


def snapshot(model: Path, revision: str, files: dict[str, bytes], ref: str = "") -> None:
    """A revision of a model as huggingface_hub's cache keeps it: links to blobs, and a ref that names the revision."""
    from hashlib import sha256

    for name, data in files.items():
        blob = model / "blobs" / sha256(data).hexdigest()
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        link = model / "snapshots" / revision / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    if ref:
        (model / "refs").mkdir(exist_ok=True)
        (model / "refs" / ref).write_text(revision, "ascii")


class Deadly(NamedTuple):
    """A job whose process dies of every path that holds a word, or only the first time where `mark` is a file."""

    work: Work
    word: str
    mark: str = ""

    def worker(self) -> Callable[[Task, Tell], Outcome]:
        do = self.work.worker()

        def deadly(task: Task, tell: Tell) -> Outcome:
            def told(path: str) -> None:
                tell(path)
                if self.word in path and path not in dict(task.deadly) and self._dies():
                    os.kill(os.getpid(), signal.SIGKILL)

            return do(task, told)

        return deadly

    def _dies(self) -> bool:
        if not self.mark:
            return True
        try:
            os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def settle(root: str | Path) -> None:
    """Make folders look as if nothing had been put into them for an hour."""
    for folder, *_ in os.walk(root):
        status = os.stat(folder)
        os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns - 3600 * 10**9))


def later(path: Path) -> None:
    """Make a file look changed, whatever the clock of the file system."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))


def in_place(path: Path, text: str) -> None:
    """Write other text of the same file, as an editor does that keeps the inode."""
    with path.open("r+", encoding="utf-8") as file:
        file.truncate(0)
        file.write(text)
    later(path)
