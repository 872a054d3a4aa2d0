"""The store of an audit: what is read again and what isn't, what survives an end by force, what changed since."""

import errno
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lora_lint.audit.changes import became
from lora_lint.audit.database import APPLICATION, StoreError
from lora_lint.audit.rows import Found, Row
from lora_lint.audit.run import Audit
from lora_lint.audit.store import Store
from lora_lint.project import _pinned
from lora_lint.settings import Settings
from tests.audits import adapter, config, in_place, later, remembered, settle, snapshot
from tests.checkout import write
from tests.conftest import Cli, Run, environment, interruptible

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are POSIX's")


@pytest.fixture(params=["new", "settled"])
def root(request: pytest.FixtureRequest, here: Path) -> Path:
    """Four adapters, one of them with weights that can't be read, and a file that isn't about LoRA; folders are listed
    anew where they have changed just now.
    """
    for name in ("a", "b", "c"):
        adapter(f"root/{name}")
    adapter("root/w")
    Path("root/w/adapter_model.safetensors").write_bytes(b"no header")
    write({"root/a/tokenizer.json": "{}", "root/a/.cache/x.json": "{}"})
    if request.param == "settled":
        settle("root")
    return Path("root")


FILES = 6


def test_an_unchanged_file_is_not_read_again(root: Path) -> None:
    first, kept = remembered()
    assert kept == 0
    assert remembered() == (first, FILES)


@pytest.mark.parametrize(
    ("change", "read"),
    [
        (lambda: in_place(Path("root/a/adapter_config.json"), config(8, 8)), 1),
        (lambda: adapter("root/d"), 1),
        # Whatever comes into a folder may have a part in what its files mean.
        (lambda: write({"root/a/README.md": "---\nbase_model: org/other\n---\n"}), 3),
        (lambda: shutil.rmtree("root/b"), 0),
        (lambda: os.unlink("root/w/adapter_model.safetensors"), 1),
        # Weights are read with the config beside them.
        (lambda: Path("root/b/adapter_model.bin").write_bytes(b""), 2),
        (lambda: in_place(Path("root/w/adapter_model.safetensors"), "other"), 2),
        # What was touched, or written as it was, has the same content.
        (lambda: later(Path("root/a/adapter_config.json")), 0),
        (lambda: in_place(Path("root/a/adapter_config.json"), config()), 0),
        (lambda: Path("root/c").rename("root/z"), 1),
        (lambda: write({"other.txt": ""}), 0),
        (lambda: adapter("root/b/checkpoint-1/x"), 2),
        (lambda: os.symlink(Path("root/b/adapter_config.json").resolve(), "root/b/config.json"), 2),
        (lambda: replaced("root/c", config(8, 8)), 1),
    ],
)
def test_what_changed_is_read_again(change: Callable[[], object], read: int, root: Path) -> None:
    remembered()
    change()
    whole = Audit(["root"], Settings(), 0, "F.db")
    again = [row for rows in whole for row in rows]
    assert whole.tally.files - whole.tally.kept == read
    bare = Audit(["root"], Settings(), 0)
    assert again == [row for rows in bare for row in rows]
    assert whole.tally.skipped == bare.tally.skipped == {"hidden": 1}
    assert remembered()[1] == whole.tally.files


def replaced(folder: str, text: str) -> None:
    """Put another folder in the place of one, made at the same time."""
    status = os.stat(folder)
    shutil.rmtree(folder)
    write({f"{folder}x/adapter_config.json": text, f"{folder}/adapter_config.json": text})
    shutil.rmtree(folder)
    os.rename(f"{folder}x", folder)
    os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_package_above_a_file_is_seen(here: Path) -> None:
    write({"root/a/train.sh": "swift sft --sft_type lora --model Qwen/Qwen2-7B --lora_rank 8 --lora_alpha 16\n"})
    assert [found.rule for row in remembered()[0] for found in row.findings] == ["renamed-key"]
    write({"root/swift/__init__.py": ""})
    assert [found.rule for row in remembered()[0] for found in row.findings] == []


@pytest.mark.parametrize("file", ["requirements.txt", "root/requirements.txt", "root/requirements/all.txt"])
def test_a_pin_that_comes_above_all_adapters_is_seen(file: str, here: Path) -> None:
    adapter("root/a", eva_config={"rho": 2.0}, init_lora_weights="eva")
    write({".git/HEAD": ""})
    remembered()
    write({file: "peft==0.12.0\n"})
    _pinned.cache_clear()
    (row,) = remembered()[0]
    assert [found.rule for found in row.findings] == ["peft-too-old"]


@pytest.fixture(params=["new", "settled"])
def teams(request: pytest.FixtureRequest, here: Path) -> list[str]:
    """Adapters that PEFT 0.12 is too old for, in folders between the root and them, which a store holds."""
    files = ["team/a", "team/deep/b", "team/deep/er/c", "other/d"]
    for name in files:
        adapter(f"root/{name}", eva_config={"rho": 2.0}, init_lora_weights="eva")
    if request.param == "settled":
        settle("root")
    assert told(remembered()[0]) == []
    return files


def told(rows: list[Row]) -> list[str]:
    """The adapters that PEFT is too old for."""
    return [row.adapter for row in rows for found in row.findings if found.rule == "peft-too-old"]


@pytest.mark.parametrize("above", ["team", "team/deep"])
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("requirements.txt", "peft==0.12.0\n"),
        ("requirements/all.txt", "peft==0.12.0\n"),
        ("pyproject.toml", '[project]\ndependencies = ["peft==0.12.0"]\n'),
    ],
)
def test_a_pin_that_comes_between_the_root_and_an_adapter_is_seen(
    file: str, text: str, above: str, teams: list[str]
) -> None:
    below = [name for name in teams if name.startswith(f"{above}/")]
    write({f"root/{above}/{file}": text})
    _pinned.cache_clear()
    rows, kept = remembered()
    assert told(rows) == below
    assert kept == len(teams) - len(below)
    os.unlink(f"root/{above}/{file}")
    _pinned.cache_clear()
    assert told(remembered()[0]) == []


def test_what_a_pin_is_above_is_read_anew_after_an_interruption(
    teams: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lora_lint.audit.share.MOST", 1)
    write({"root/team/requirements.txt": "peft==0.12.0\n"})
    _pinned.cache_clear()
    found = iter(Audit(["root"], Settings(), 0, "F.db"))
    next(found)
    del found
    assert told(remembered()[0]) == teams[:3]


@pytest.mark.parametrize("file", ["team/notes.txt", "team/README.md", "team/deep/new/adapter_config.json"])
def test_what_pins_nothing_makes_nothing_new(file: str, teams: list[str]) -> None:
    write({f"root/{file}": config() if file.endswith(".json") else "Words\n"})
    assert remembered()[1] == len(teams)


@pytest.mark.parametrize("pinned", ["", "0.12.0"])
def test_another_pin_above_an_adapter_is_seen(pinned: str, here: Path) -> None:
    for name, rank in (("a", 8), ("b", 4)):
        adapter(f"root/{name}", rank, 2 * rank, eva_config={"rho": 2.0}, init_lora_weights="eva")
    write({"root/requirements.txt": f"peft=={pinned}\n" if pinned else "torch\n"})
    before = [[found.rule for found in row.findings] for row in remembered()[0]]
    in_place(Path("root/requirements.txt"), "peft==0.15.0\n" if pinned else "peft==0.12.0\n")
    _pinned.cache_clear()
    after = [[found.rule for found in row.findings] for row in remembered()[0]]
    assert "peft-too-old" in str(before if pinned else after)
    assert "peft-too-old" not in str(after if pinned else before)
    assert before[0] == before[1]
    assert after[0] == after[1]


def test_another_policy_is_seen(root: Path) -> None:
    assert [row.holds for row in remembered("2r")[0]] == [True] * 4
    rows, kept = remembered("r")
    assert ([row.holds for row in rows], kept) == ([False] * 4, 0)


def test_another_baseline_is_seen(root: Path, run: Run) -> None:
    run("check", "--write-baseline", "known.json", "root")
    assert [len(row.findings) for row in remembered(baseline="known.json")[0]] == [0] * 4
    assert [len(row.findings) for row in remembered()[0]] == [0, 0, 0, 1]


def test_what_is_gone_is_forgotten(root: Path) -> None:
    remembered()
    shutil.rmtree("root/b")
    remembered()
    found = sqlite3.connect("F.db").execute("SELECT folder, name FROM files ORDER BY folder").fetchall()
    assert [folder for folder, name in found if name] == ["a", "a", "c", "w", "w"]
    assert "b" not in dict(found)


def test_several_roots_share_a_store(root: Path) -> None:
    adapter("other/x")
    assert remembered()[1] == 0
    assert remembered(root="other")[1] == 0
    assert remembered()[1] == FILES
    assert remembered(root="other")[1] == 1


LATER = f"CREATE TABLE x (y); PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 9"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Path("F.db").write_text("no database, but long enough for a header", "utf-8"), "not a database"),
        (lambda: sqlite3.connect("F.db").executescript("CREATE TABLE x (y)"), "is not a store of lora-lint"),
        (lambda: sqlite3.connect("F.db").executescript(LATER), "is a store of format 9; this release reads 3"),
        (lambda: Path("F.db").mkdir(), "unable to open database file"),
    ],
)
def test_other_files_are_refused_and_left_alone(make: Callable[[], object], message: str, here: Path) -> None:
    make()
    before = Path("F.db").read_bytes() if Path("F.db").is_file() else b""
    with pytest.raises(StoreError, match=f"F.db: .*{message}"):
        Store("F.db")
    assert (Path("F.db").read_bytes() if Path("F.db").is_file() else b"") == before


def many(folder: Path, count: int = 3000) -> Path:
    for number in range(count):
        adapter(folder / f"{number:04}", 8, 8 if number % 100 == 0 else 16, base_model_name_or_path=f"org/{number}")
    return folder


def begun(here: Path, *more: str) -> "subprocess.Popen[bytes]":
    """An audit of `many` under way, of which some is already stored."""
    command = [sys.executable, "-m", "lora_lint", "audit", "many", "--store", "F.db", "--workers", "1", *more]
    started = subprocess.Popen(
        command,
        cwd=here,
        env=environment(here),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=interruptible,
    )
    end = time.monotonic() + 60
    while time.monotonic() < end and started.poll() is None and not stored(here):
        time.sleep(0.02)
    return started


def stored(here: Path) -> int:
    """How many files are stored for good."""
    if not (here / "F.db").exists():
        return 0
    try:
        count: int = (
            sqlite3.connect("F.db", timeout=10).execute("SELECT count(*) FROM files WHERE name != ''").fetchone()[0]
        )
    except sqlite3.OperationalError:
        return 0
    return count


def test_all_is_in_the_one_file(here: Path, cli: Cli) -> None:
    adapter("root/a")
    assert cli("audit", "root", "--store", "F.db").status == 0
    assert [name for name in os.listdir(here) if name.startswith("F.db")] == ["F.db"]
    shutil.copy("F.db", "copy.db")
    assert "since then: 0 new, 0 mended, 0 worse, 0 gone" in cli("audit", "root", "--against", "copy.db").out


@pytest.mark.parametrize(("by", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_audit_goes_on_where_it_was_ended(by: signal.Signals, status: int, here: Path, cli: Cli) -> None:
    many(here / "many")
    running = begun(here)
    before = stored(here)
    os.killpg(running.pid, by)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (status, b"", b"")
    kept = stored(here)
    assert 0 < before <= kept < 3000
    summary = cli("audit", "many", "--store", "F.db", "--workers", "1", "--format", "json").data["summary"]
    assert (summary["adapters"], summary["verdicts"]["deviates"], summary["unchanged"]) == (3000, 30, kept)


def test_workers_end_with_the_one_that_started_them(here: Path) -> None:
    many(here / "many")
    running = begun(here)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    if not children.exists():
        pytest.skip("no /proc to look for processes in")
    started = [int(number) for number in children.read_text("ascii").split()]
    os.kill(running.pid, signal.SIGKILL)
    running.communicate(timeout=60)
    end = time.monotonic() + 20
    while time.monotonic() < end and any(map(_lives, started)):
        time.sleep(0.05)
    assert started
    assert not any(map(_lives, started))


def _lives(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))


def test_a_full_disk_loses_nothing_that_was_stored(here: Path, cli: Cli) -> None:
    many(here / "many")
    outcome = cli("audit", "many", "--store", "F.db", "--workers", "1", before=_small_files)
    assert outcome.status == 2
    assert "3,000 adapters, 3,000 sites" in outcome.out
    assert "not all is stored: F.db: " in outcome.out
    kept = stored(here)
    summary = cli("audit", "many", "--store", "F.db", "--workers", "1", "--format", "json").data["summary"]
    assert (summary["adapters"], summary["unchanged"]) == (3000, kept)
    assert sqlite3.connect("F.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_end_by_force_leaves_no_half_written_table(here: Path) -> None:
    many(here / "many")
    running = begun(here, "--table", "rows.csv")
    os.killpg(running.pid, signal.SIGINT)
    running.communicate(timeout=60)
    assert [name for name in os.listdir(here) if name.endswith(".csv") or name.startswith(".lora-lint")] == []


ERROR = Found("alpha-not-2r", "error", "scale is 1")
OTHER = Found("unknown-key", "warning", "x")


def row(
    *found: Found, deviation: float | None = 1.0, problem: str | None = None, kind: str | None = "checkpoint"
) -> Row:
    return Row("a", "a", kind=kind, deviation=deviation, problem=problem, findings=found)


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ([], [row()], "new"),
        ([row(kind="example")], [row()], "new"),
        ([row()], [row()], None),
        ([row()], [row(ERROR, deviation=0.5)], "worse"),
        ([row(ERROR, deviation=0.5)], [row()], "mended"),
        ([row(ERROR, deviation=0.5)], [row(ERROR._replace(message="scale is 1.1"), deviation=0.55)], "mended"),
        ([row(ERROR, deviation=0.5)], [row(ERROR, deviation=4.0)], "worse"),
        ([row(ERROR)], [row(OTHER)], "worse"),
        ([row(OTHER)], [row(OTHER, OTHER)], "worse"),
        ([row(OTHER, OTHER)], [row(OTHER)], "mended"),
        ([row(), row(ERROR)], [row(ERROR), row()], None),
    ],
)
def test_what_became_of_an_adapter(before: list[Row], after: list[Row], change: str | None) -> None:
    assert became(before, after) == change


def changed(run: Run, store: str) -> dict[str, object]:
    data = run("audit", "root", "--format", "json", "--workers", "0", "--against", store, "--store", "F.db").data
    changes: dict[str, object] = data["summary"]["changes"]
    return changes


@pytest.mark.parametrize("old", ["F.db", "OLD.db"])
def test_what_changed_since_is_told(old: str, here: Path, run: Run) -> None:
    for name, alpha in (("same", 8), ("mended", 8), ("worse", 16), ("gone", 16)):
        adapter(f"root/{name}", 8, alpha)
    run("audit", "root", "--store", old, "--workers", "0")
    adapter("root/mended", 8, 16)
    adapter("root/worse", 8, 8)
    adapter("root/new", 8, 16)
    shutil.rmtree("root/gone")
    assert changed(run, old) == {
        "complete": True,
        "new": 1,
        "mended": 1,
        "worse": 1,
        "gone": 1,
        "names": {"new": ["new"], "mended": ["mended"], "worse": ["worse"], "gone": ["gone"]},
    }
    if old == "F.db":
        start = time.monotonic()
        assert changed(run, old)["names"] == {"new": [], "mended": [], "worse": [], "gone": []}
        # Half a minute is how long a database waits for somebody who reads it.
        assert time.monotonic() - start < 20
        assert sorted(os.listdir(".")) == [".git", "F.db", "root"]


def test_the_first_of_many_audits_has_nothing_to_be_compared_with(here: Path, run: Run) -> None:
    for name in ("root/a", "other/b", "third/c"):
        adapter(name)
    both = ("--workers", "0", "--store", "F.db", "--against", "F.db")
    for root in ("root", "third"):
        if root == "third":
            run("audit", "other", "--workers", "0", "--store", "F.db")
        first, again = run("audit", root, *both), run("audit", root, *both)
        assert (first.status, again.status) == (0, 0)
        assert first.err == "F.db: holds no earlier audit; there is nothing to compare with\n"
        assert again.out.endswith("since then: 0 new, 0 mended, 0 worse, 0 gone\n")
        assert "since then" not in first.out + again.err
    assert run("audit", "root", "--workers", "0", "--against", "G.db").status == 2


def test_what_cannot_be_listed_is_neither_gone_nor_forgotten(
    here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "a-b", "z/below/x", "z/y", "z0"):
        adapter(f"root/{name}", 8, 16)
    run("audit", "root", "--store", "F.db", "--workers", "0")
    for name in ("a", "a-b", "z0"):
        shutil.rmtree(f"root/{name}")
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refusing(os.scandir, "root/z"))
        assert changed(run, "F.db")["names"] == {"new": [], "mended": [], "worse": [], "gone": ["a", "a-b", "z0"]}
    assert changed(run, "F.db")["names"] == {"new": [], "mended": [], "worse": [], "gone": []}
    shutil.rmtree("root/z")
    assert changed(run, "F.db")["names"] == {"new": [], "mended": [], "worse": [], "gone": ["z/below/x", "z/y"]}


def refusing(scandir: Callable[..., Any], folder: str) -> Callable[..., Any]:
    """`os.scandir`, but of one folder."""

    def refuse(path: str) -> Any:
        if path == folder:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    return refuse


def test_links_and_blobs_that_were_counted_once_change_nothing(here: Path, run: Run) -> None:
    for revision in "ab":
        snapshot(Path("root/models--org--x"), revision * 40, {"adapter_config.json": config().encode()})
    Path("root/broken").mkdir()
    Path("root/broken/adapter_config.json").symlink_to("nowhere")
    run("audit", "root", "--store", "F.db", "--workers", "0")
    assert changed(run, "F.db")["names"] == {"new": [], "mended": [], "worse": [], "gone": []}
    shutil.rmtree("root/models--org--x")
    assert changed(run, "F.db")["names"] == {"new": [], "mended": [], "worse": [], "gone": ["org/x@aaaaaaa"]}


def test_a_copy_of_the_root_elsewhere_is_compared_by_names(here: Path, run: Run) -> None:
    adapter("root/a", 8, 16)
    run("audit", "root", "--store", "OLD.db", "--workers", "0")
    Path("root").rename("moved")
    adapter("moved/a", 8, 8)
    outcome = run("audit", "moved", "--against", "OLD.db", "--workers", "0")
    assert "since then: 0 new, 0 mended, 1 worse, 0 gone" in outcome.out
    assert "worse   a" in outcome.out.splitlines()


def test_a_store_of_other_roots_is_refused(here: Path, run: Run) -> None:
    for name in ("x", "y", "z"):
        adapter(f"{name}/a")
    run("audit", "x", "y", "--store", "OLD.db", "--workers", "0")
    outcome = run("audit", "z", "--against", "OLD.db", "--workers", "0")
    assert (outcome.status, outcome.err) == (2, "lora-lint: OLD.db: holds no audit of z\n")


def test_a_name_that_is_no_text_is_known_again(root: Path) -> None:
    folder = os.fsencode(root) + b"/bad\xff"
    os.mkdir(folder)
    Path(os.fsdecode(folder), "adapter_config.json").write_text(config(), "utf-8")
    first, kept = remembered()
    assert kept == 0
    assert remembered() == (first, FILES + 1)
