"""Rows out of roots: what they say, what adapters are called, in what order they come, whoever reads them."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import indent

import pytest

from lora_lint.audit.local import PoolError, Processes
from lora_lint.audit.roots import Folder, Place
from lora_lint.audit.rows import Names, Row, as_data, decoded, encoded, off_by, run_of
from lora_lint.audit.run import Audit
from lora_lint.audit.shares import ordered
from lora_lint.audit.tasks import Task
from lora_lint.audit.work import Work
from lora_lint.files import Walk
from lora_lint.settings import Settings
from tests.audits import Deadly, adapter, config, snapshot
from tests.checkout import write
from tests.conftest import Run, environment


def audited(*roots: str | Path, workers: int = 0, **settings: object) -> list[Row]:
    whole = Audit([str(root) for root in roots], Settings.model_validate(settings), workers)
    return [row for rows in whole for row in rows]


@pytest.mark.parametrize(
    ("name", "text", "policy", "expected"),
    [
        (
            "a/adapter_config.json",
            config(8, 16),
            "2r",
            {
                "adapter": "a",
                "file": "a/adapter_config.json",
                "framework": "peft",
                "kind": "checkpoint",
                "base_model": "org/base",
                "state": "active",
                "method": "lora",
                "modules": 2,
                "rank": 8,
                "alpha": 16,
                "alpha_origin": "written",
                "formula": "alpha/r",
                "scale": 2,
                "deviation": 1,
                "holds": True,
                "findings": [],
            },
        ),
        ("a/adapter_config.json", config(8, 8), "2r", {"scale": 1, "deviation": 0.5, "holds": False}),
        ("a/adapter_config.json", config(8, 8), "r", {"scale": 1, "deviation": 1, "holds": True}),
        ("a/adapter_config.json", config(8, 4), "fixed:4", {"scale": 0.5, "deviation": 1, "holds": True}),
        # PEFT's own default is 8: lora/config.py.
        ("a/adapter_config.json", '{"peft_type": "LORA", "r": 8}', "2r", {"alpha": 8, "alpha_origin": "default"}),
        (
            "a/adapter_config.json",
            config(16, 16, use_rslora=True),
            "2r",
            {"formula": "alpha/sqrt(r)", "scale": 4, "deviation": 2},
        ),
        ("a/adapter_config.json", config(8, 16, target_modules="all-linear"), "2r", {"modules": None}),
        (
            "a/adapter_config.json",
            '{"peft_type": "PROMPT_TUNING", "r": 8}',
            "2r",
            {"state": "not-lora", "scale": None, "deviation": None, "holds": None},
        ),
        ("a/adapter_config.json", '{"peft_type": "LORA", "r": 8', "2r", {"framework": None, "rank": None}),
        (
            "llama.yaml",
            "model: {_component_: torchtune.models.llama2.lora_llama2_7b, lora_rank: 8, lora_alpha: 16}\n",
            "2r",
            {"framework": "torchtune", "base_model": "meta-llama/Llama-2-7b"},
        ),
        (
            "train.py",
            "from peft import LoraConfig\nimport args\n\nLoraConfig(r=args.r, lora_alpha=3)\n",
            "2r",
            {"kind": "source", "line": 4, "scale": None, "holds": None},
        ),
        (
            "notes.md",
            f"# Usage\n\n```python\nfrom peft import LoraConfig\nLoraConfig(r=8, lora_alpha=16)\n```\n{config()}",
            "2r",
            {"kind": "example", "scale": 2},
        ),
    ],
)
def test_a_row_says_what_a_site_holds(
    name: str, text: str, policy: str, expected: dict[str, object], repository_top: Path
) -> None:
    write({f"root/{name}": text})
    (row, *_) = audited("root", policy=policy)
    said = as_data(row)
    assert {key: said[key] for key in expected} == expected


def test_what_can_t_be_read_is_a_row_with_the_reason(repository_top: Path) -> None:
    write({"root/a/adapter_config.json": '{"peft_type": "LORA", "r": 8'})
    (row,) = audited("root")
    assert row.problem is not None
    assert row.problem.startswith("not JSON: expecting")
    assert [(found.rule, found.severity) for found in row.findings] == [("syntax-error", "error")]


def test_each_finding_is_on_the_row_of_its_site(repository_top: Path) -> None:
    write(
        {
            "root/a.yaml": "base_model: b\nadapter: lora\nlora_r: 8\nlora_alpha: 8\n---\nbase_model: b\nadapter: lora\n"
            "lora_r: 4\nlora_alpha: 8\n"
        }
    )
    rows = audited("root")
    assert [(row.scale, [(found.rule, found.line) for found in row.findings]) for row in rows] == [
        (1, [("alpha-not-2r", 4)]),
        (2, []),
    ]


def test_the_content_is_the_hash_of_the_file(repository_top: Path) -> None:
    from hashlib import sha256

    path = adapter("root/a")
    assert audited("root")[0].content == sha256(path.read_bytes()).hexdigest()


def test_rows_travel_as_text(repository_top: Path) -> None:
    adapter("root/a", 8, 8)
    rows = audited("root")
    names, content = Names(rows[0].adapter, rows[0].file, rows[0].run), rows[0].content
    assert decoded(encoded(rows, content), names, content) == rows
    assert decoded(encoded(rows), names) == rows
    assert rows[0].findings[0].rule == "alpha-not-2r"


def test_files_that_say_the_same_have_the_same_text(repository_top: Path) -> None:
    adapter("root/a", 8, 8)
    adapter("root/b", 8, 8)
    adapter("root/c", 16, 16)
    first, second, third = (encoded([row], row.content) for row in audited("root"))
    assert first == second != third


@pytest.mark.parametrize(
    ("deviation", "off"), [(1.0, 0), (1.0000001, 0), (2.0, 1), (0.5, 1), (8.0, 3), (0.0, 1074), (None, 0)]
)
def test_how_far_a_site_is_off(deviation: float | None, off: float) -> None:
    assert off_by(Row("a", "a", deviation=deviation)) == off


HUB = "models--org--name/snapshots/" + "0123456789abcdef" * 2 + "01234567"
BARE = "models--gpt2/snapshots/" + "f" * 40


@pytest.mark.parametrize(
    ("root", "file", "adapter", "run"),
    [
        ("top", "a/adapter_config.json", "a", "a"),
        ("top", "a/b/adapter_config.json", "a/b", "a/b"),
        ("top/a", "adapter_config.json", "a", "a"),
        ("top", "x.safetensors", "x.safetensors", "x.safetensors"),
        ("top", "run/checkpoint-20/adapter_config.json", "run/checkpoint-20", "run"),
        ("top", "run/checkpoint-20/b/adapter_config.json", "run/checkpoint-20/b", "run/b"),
        ("top/run", "checkpoint-9/adapter_config.json", "checkpoint-9", "checkpoint-9"),
        ("hub", f"{HUB}/adapter_config.json", "org/name@0123456", "org/name@0123456"),
        ("hub", f"{HUB}/b/adapter_config.json", "org/name@0123456/b", "org/name@0123456/b"),
        ("hub", f"{HUB}/w.safetensors", "org/name@0123456/w.safetensors", "org/name@0123456/w.safetensors"),
        (f"hub/{HUB}", "adapter_config.json", "org/name@0123456", "org/name@0123456"),
        ("hub", f"{BARE}/adapter_config.json", "gpt2@fffffff", "gpt2@fffffff"),
    ],
)
def test_what_an_adapter_is_called(root: str, file: str, adapter: str, run: str) -> None:
    assert Folder(root, Walk(Settings())).names(f"{root}/{file}") == (adapter, file, run)


def test_a_run_is_known_by_its_checkpoints() -> None:
    assert [run_of(name) for name in ("a/checkpoint-1", "a/checkpoint-x", "mycheckpoint-1")] == [
        "a",
        "a/checkpoint-x",
        "mycheckpoint-1",
    ]


def test_each_blob_of_a_cache_is_counted_once(repository_top: Path) -> None:
    model = Path("hub/models--org--name")
    one, two = config(8, 16).encode(), config(8, 8).encode()
    snapshot(model, "a" * 40, {"adapter_config.json": one, "adapter_model.bin": b"1"})
    snapshot(model, "b" * 40, {"adapter_config.json": one, "adapter_model.bin": b"1"}, "main")
    snapshot(model, "c" * 40, {"adapter_config.json": one, "adapter_model.bin": b"2"})
    snapshot(model, "d" * 40, {"adapter_config.json": two, "adapter_model.bin": b"1"})
    snapshot(Path("hub/models--org--fork"), "e" * 40, {"adapter_config.json": one, "adapter_model.bin": b"1"})
    whole = Audit(["hub"], Settings(), 0)
    names = [row.adapter for rows in whole for row in rows]
    assert names == ["org/fork@eeeeeee", "org/name@bbbbbbb", "org/name@ccccccc", "org/name@ddddddd"]
    assert whole.tally.repeats == 1


@pytest.mark.parametrize(
    ("roots", "names"),
    [
        (("x",), ["a", "b"]),
        (("x", "y"), ["x/a", "x/b", "y/c"]),
        (("x/b", "x"), ["a", "b"]),
        (("x", "x/"), ["a", "b"]),
        (("y/c/adapter_config.json",), ["c"]),
    ],
)
def test_roots_are_gone_through_once_and_in_order(roots: Sequence[str], names: list[str], repository_top: Path) -> None:
    for folder in ("x/b", "x/a", "y/c"):
        adapter(folder)
    assert [row.adapter for row in audited(*roots)] == names


def test_what_git_ignores_is_gone_through(repository_top: Path) -> None:
    write({".gitignore": "outputs/\n"})
    adapter("outputs/a")
    assert [row.adapter for row in audited(".")] == ["outputs/a"]


@pytest.fixture
def tree(repository_top: Path) -> Path:
    """Three hundred adapters in folders of several depths, some of them off, and a file of another kind in each."""
    for number in range(300):
        folder = Path("tree", *str(number), f"adapter-{number}")
        adapter(folder, 8, 8 if number % 7 == 3 else 16)
        (folder / "tokenizer_config.json").write_text("{}", "utf-8")
    return Path("tree")


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_rows_are_the_same_whatever_the_number_of_workers(workers: int, tree: Path) -> None:
    alone = audited(tree)
    assert audited(tree, workers=workers) == alone
    assert [row.file for row in alone] == sorted((row.file for row in alone), key=lambda name: _walked(name, tree))


def _walked(name: str, tree: Path) -> list[tuple[bool, str]]:
    """The files of a folder come before the folders in it."""
    *folders, file = name.split("/")
    return [*((True, folder) for folder in folders), (False, file)]


def deaths(tree: Path, word: str, mark: str = "") -> list[Row]:
    job = Deadly(Work(Settings(), (str(tree),), ("",)), word, mark)
    with Processes(job, 2) as pool:
        outcomes = list(ordered([(0, [Place(str(tree), "folder")])], pool))
    return [
        row for _, outcome in outcomes for item in outcome.items for row in decoded(item.rows, item.names, item.content)
    ]


def test_what_a_killed_worker_did_is_done_again(tree: Path, tmp_path: Path) -> None:
    assert deaths(tree, "adapter-123/adapter_config.json", str(tmp_path / "mark")) == audited(tree)
    assert (tmp_path / "mark").exists()


def test_what_kills_a_worker_twice_is_one_row(tree: Path) -> None:
    rows = deaths(tree, "adapter-123/adapter_config.json")
    expected = audited(tree)
    at = next(at for at, row in enumerate(expected) if row.adapter.endswith("adapter-123"))
    assert [*rows[:at], *rows[at + 1 :]] == [*expected[:at], *expected[at + 1 :]]
    assert (rows[at].adapter, rows[at].problem) == (
        expected[at].adapter,
        "could not be gone through: its process was ended by SIGKILL twice",
    )


def test_a_folder_whose_listing_kills_is_one_row(tree: Path) -> None:
    adapter(tree / "poison" / "a")
    rows = deaths(tree, "poison")
    assert [row.adapter for row in rows if row.problem] == ["poison"]
    assert len(rows) == 301


FORKED = """
import sys, threading
from lora_lint.audit.local import Forks, Processes
from lora_lint.audit.roots import Place
from lora_lint.audit.shares import ordered
from lora_lint.audit.work import Work
from lora_lint.settings import Settings

if sys.argv[1] == "thread":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
with Forks(2) as forks, Processes(Work(Settings(), ("tree",), ("",)), 2, forks) as pool:
    parts = ordered([(0, [Place("tree", "folder")])], pool)
    files = sum(outcome.files for _, outcome in parts)
    print(files, {worker.process._start_method for worker in pool._workers})
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
@pytest.mark.parametrize(("threads", "how"), [("none", "fork"), ("thread", "spawn")])
def test_processes_are_forked_where_no_thread_could_hold_a_lock(threads: str, how: str, tree: Path) -> None:
    Path("forked.py").write_text(f"if __name__ == '__main__':\n{indent(FORKED, '    ')}", "utf-8")
    done = subprocess.run(
        [sys.executable, "forked.py", threads],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=environment(tree),
    )
    assert done.stdout == f"600 {{{how!r}}}\n"


class Unstartable:
    def worker(self) -> None:
        raise SystemExit(7)


def test_processes_that_can_t_start_are_an_error() -> None:
    with (
        pytest.raises(PoolError, match="the last one ended with status 7"),
        Processes(Unstartable(), 1) as pool,  # type: ignore[arg-type]
    ):
        pool.submit(0, Task(0, ()))
        list(pool.wait())


def test_where_no_process_can_be_made_that_is_said(
    repository_top: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(how: str, inherited: object = ()) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    adapter("root/a")
    monkeypatch.setattr("lora_lint.audit.local._started", refused)
    done = run("audit", "root", "--workers", "2")
    said = "lora-lint: processes that read adapters can't be started: Resource temporarily unavailable\n"
    assert (done.status, done.err) == (2, said)
    assert run("audit", "root", "--workers", "0").status == 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["right"], 0),
        (["wrong"], 1),
        (["wrong", "--exit-zero"], 0),
        (["wrong", "--policy", "r"], 0),
        (["right", "--policy", "r"], 1),
        (["wrong", "--baseline", "known.json"], 0),
        (["right", "--fail-on", "note"], 0),
        (["nothing"], 2),
        (["right", "--format", "xml"], 2),
        (["right", "--engine", "spark"], 2),
        (["right", "--address", "127.0.0.1:6379"], 2),
        (["right", "--fail-on", "fatal"], 2),
        (["right", "--table", "rows.txt"], 2),
        (["right", "--baseline", "nothing.json"], 2),
        (["right", "--store", "right"], 2),
        (["right", "--against", "nothing.db"], 2),
        (["right", "--policy", "3r"], 2),
    ],
)
def test_the_exit_status(arguments: list[str], status: int, run: Run, here: Path) -> None:
    adapter("right/a", 8, 16)
    adapter("wrong/a", 8, 8)
    run("check", "--write-baseline", "known.json", "wrong")
    assert run("audit", *arguments, "--workers", "0").status == status


def test_json_has_the_rows_and_their_summary(run: Run, here: Path) -> None:
    adapter("root/a", 8, 16)
    adapter("root/b", 8, 8)
    data = run("audit", "root", "--format", "json", "--workers", "0").data
    assert data["format"] == 1
    assert [(row["adapter"], row["scale"], row["holds"]) for row in data["rows"]] == [("a", 2, True), ("b", 1, False)]
    assert data["summary"]["verdicts"] == {"holds": 1, "deviates": 1, "undecided": 0, "other": 0, "unreadable": 0}
    assert data["summary"]["scales"] == {"1": 1, "2": 1}
    assert data["summary"]["rules"] == {"alpha-not-2r": 1}


def test_findings_are_those_of_check(run: Run, here: Path) -> None:
    for at, alpha in enumerate((16, 8, 512)):
        adapter(f"root/{at}", 8, alpha)
    write({"root/broken/adapter_config.json": "{", "root/run.sh": "torchrun train.py --use_llm_lora 16\n"})
    checked = run("check", "root", "--format", "json").data["diagnostics"]
    rows = run("audit", "root", "--format", "json", "--workers", "0").data["rows"]
    told = [(f"root/{row['file']}", found["rule"], found["message"]) for row in rows for found in row["findings"]]
    assert sorted(told) == sorted((one["file"], one["rule"], one["message"]) for one in checked)


def test_a_settings_file_holds(run: Run, here: Path) -> None:
    write({"lora-lint.toml": 'policy = "r"\n[[overrides]]\npaths = ["root/b/**"]\npolicy = "2r"\n'})
    adapter("root/a", 8, 8)
    adapter("root/b", 8, 8)
    rows = run("audit", "root", "--format", "json", "--workers", "0").data["rows"]
    assert [row["holds"] for row in rows] == [True, False]


def test_rows_are_plain_data(repository_top: Path) -> None:
    adapter("root/a", 8, 8)
    assert json.loads(json.dumps(as_data(audited("root")[0])))["findings"][0]["rule"] == "alpha-not-2r"
