"""What an audit comes to: the screen, the numbers behind it, and the table."""

import csv
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from unicodedata import east_asian_width

import pytest

from lora_lint.audit.changes import Changes
from lora_lint.audit.rows import Found, Row
from lora_lint.audit.run import Tally
from lora_lint.audit.summary import Summary, verdict_of
from lora_lint.audit.table import COLUMNS
from lora_lint.reporters import audit as reporter
from tests.audits import adapter
from tests.checkout import write
from tests.conftest import Run

WRONG = Found("alpha-not-2r", "error", "scale is 1, policy 2r wants alpha 16", 3)
NOTED = Found("local-base-path", "note", "the base model is a path")


def row(name: str = "a", rank: float = 8, alpha: float = 16, *found: Found, **others: object) -> Row:
    scale = alpha / rank
    start = Row(
        name,
        f"{name}/adapter_config.json",
        framework="peft",
        kind="checkpoint",
        base_model="org/base",
        state="active",
        rank=rank,
        alpha=alpha,
        alpha_origin="written",
        formula="alpha/r",
        scale=scale,
        deviation=scale / 2,
        findings=found,
    )
    return start._replace(**others)  # type: ignore[arg-type]


OFF = row(state="off", scale=None, deviation=None)
UNKNOWN = row(scale=None, deviation=None, undecided="alpha is null")
BROKEN = Row("a", "a", problem="is empty")


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([row()], "holds"),
        ([row(), OFF], "holds"),
        ([row(), row(alpha=8)], "deviates"),
        ([row(), UNKNOWN], "undecided"),
        ([row(alpha=8), UNKNOWN], "deviates"),
        ([OFF], "other"),
        ([BROKEN], "unreadable"),
        ([row(problem="adapter_model.safetensors: is empty")], "unreadable"),
    ],
)
def test_the_verdict_on_an_adapter(rows: list[Row], verdict: str) -> None:
    assert verdict_of(rows) == verdict


def summary_of(files: Sequence[Sequence[Row]], policy: str = "2r") -> Summary:
    summary = Summary(policy=policy)
    for rows in files:
        summary.add(rows)
    return summary


SOME = (
    [[row(f"good-{at}")] for at in range(6)]
    + [[row("half", 8, 8, WRONG)], [row("half-too", 16, 16, WRONG)]]
    + [[row("far", 8, 256, WRONG, base_model="org/other")]]
    + [[row("noted", 8, 16, NOTED, framework="axolotl", kind="training")]]
    + [[OFF], [UNKNOWN], [BROKEN], [row(kind="example")]]
)

SCREEN = """\
11 adapters, 1 training config, 12 sites; policy 2r: s = 2
7 hold (70%)  3 deviate  1 undecided  1 not judged  1 unreadable

     s  active sites       4 findings               framework             n hold
      1 ##          2      3 alpha-not-2r           peft                 11  67%
>     2 #######     7      1 local-base-path        axolotl               1 100%
     32 #           1                               base model            n hold
                                                    org/base             11  78%
                                                    org/other             1   0%

   worst  alpha/rank   adapter                           findings
      32  256/8        far                               alpha-not-2r
       1  8/8          half x2                           alpha-not-2r
       2  16/8         noted                             local-base-path

  unreadable
     1 is empty                                        a
left out: 3 hidden; 1 example in texts"""


def test_the_screen_for_a_pipe() -> None:
    assert reporter.plain(summary_of(SOME), Tally(files=14, skipped={"hidden": 3})) == SCREEN


def test_nothing_found_is_said() -> None:
    assert reporter.plain(Summary(), Tally(skipped={"hidden": 3})) == "no adapter found\n\nleft out: 3 hidden"


def full() -> Summary:
    """More of everything than there is room for."""
    files = []
    for at in range(60):
        found = [Found(f"rule-with-a-very-long-name-{at}", severity, "x") for severity in ("error", "warning", "note")]
        name = f"模型-{at}-" * 20 + "\x1b[31m\u202e\n::error::"
        one = row(name, 3, (at + 1) * 1.7, *found, base_model=f"{name}/{at}", framework=f"framework-{at}")
        files += [[one], [BROKEN._replace(adapter=name, problem=f"{at} is wrong with it" * 9)]] * (
            1 + 40_000 // (at + 1)
        )
    return summary_of(files)


def cells(line: str) -> int:
    return sum(1 + (east_asian_width(char) in "WF") for char in line)


@pytest.mark.parametrize("drawn", [True, False])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 25), (100, 30), (120, 50), (200, 24), (40, 10)])
@pytest.mark.parametrize("files", [SOME, None])
def test_the_screen_fits_the_terminal(
    files: Sequence[Sequence[Row]] | None, width: int, height: int, drawn: bool
) -> None:
    summary = summary_of(files) if files is not None else full()
    tally = Tally(skipped={f"reason {at}": 5 for at in range(40)}, repeats=7, suppressed=3)
    text = reporter.for_terminal(summary, tally, width=width, height=height, color=False, drawn=drawn)
    lines = text.splitlines()
    assert max(map(cells, lines)) <= max(width, 80)
    assert len(lines) < max(height, 24)
    assert "\x1b" not in text


def test_colours_say_what_is_wrong() -> None:
    text = reporter.for_terminal(summary_of(SOME), Tally(), width=80, height=24, color=True, drawn=True)
    assert "\x1b[1;32m7 hold (70%)\x1b[0m" in text
    assert "\x1b[1;31m3 deviate\x1b[0m" in text
    assert "\x1b[31malpha-not-2r\x1b[0m" in text


def test_changes_are_named() -> None:
    changes = Changes()
    changes.add("worse", "far")
    for at in range(25):
        changes.add("new", f"good-{at:02}")
    lines = reporter.plain(summary_of(SOME), Tally(changes=changes)).splitlines()
    assert lines[:3] == ["worse   far", "new     good-00", "new     good-01"]
    assert lines[20:22] == ["new     good-19", "new     and 5 more"]
    assert lines[-1] == "since then: 25 new, 0 mended, 1 worse, 0 gone"


@pytest.mark.parametrize(("held", "of", "shown"), [(0, 3, "0%"), (3, 3, "100%"), (999, 1000, "99%"), (1, 1000, "1%")])
def test_a_share_is_all_or_nothing_only_where_it_is(held: int, of: int, shown: str) -> None:
    files = [[row()]] * held + [[row(alpha=8)]] * (of - held)
    line = reporter.plain(summary_of(files), Tally()).splitlines()[1]
    assert line.startswith(f"{held} hold ({shown})")


def test_the_worst_are_one_for_each_fault() -> None:
    files = [[row(f"copy-{at}", 8, 8, WRONG)] for at in range(500)]
    files += [[row(f"far-{at}", 8, 16 * 2**at, WRONG)] for at in range(1, 15)]
    worst = summary_of(files).worst
    assert [bad.row.adapter for bad in worst] == [f"far-{at}" for at in range(14, 4, -1)]
    worst = summary_of(files[:503]).worst
    assert [(bad.row.adapter, bad.more) for bad in worst] == [("far-3", 0), ("far-2", 0), ("copy-0", 499), ("far-1", 0)]


NASTY = "=1+cmd|' /C calc'!A0"


@pytest.fixture
def table(here: Path) -> Path:
    adapter("root/right", 8, 16)
    adapter(f"root/{NASTY}", 8, 8)
    write({"root/broken/adapter_config.json": ""})
    return here


ROWS: list[dict[str, object]] = [
    {"adapter": NASTY, "rank": 8, "alpha": 8, "scale": 1, "holds": False, "findings": "error alpha-not-2r"},
    {"adapter": "broken", "rank": None, "problem": "is empty", "findings": "error syntax-error"},
    {"adapter": "right", "rank": 8, "alpha": 16, "scale": 2, "holds": True, "worst": None, "findings": ""},
]


def test_csv(table: Path, run: Run) -> None:
    run("audit", "root", "--table", "rows.csv", "--workers", "0")
    head, first, *_ = Path("rows.csv").read_text("utf-8").splitlines()
    assert head == ",".join(f'"{name}"' for name in COLUMNS)
    # Not mangled: a spreadsheet that is told so reads it as text, and a notebook gets the name as it is.
    assert first.startswith(f'"{NASTY}","{NASTY}","{NASTY}/adapter_config.json",1,"')
    with open("rows.csv", encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    texts = {True: "true", False: "false", None: ""}
    for row, expected in zip(read, ROWS, strict=True):
        assert {key: row[key] for key in expected} == {
            key: texts[value] if isinstance(value, bool | None) else str(value) for key, value in expected.items()
        }


def test_jsonl(table: Path, run: Run) -> None:
    run("audit", "root", "--table", "rows.jsonl", "--workers", "0")
    rows = [json.loads(line) for line in Path("rows.jsonl").read_text("utf-8").splitlines()]
    assert [row["adapter"] for row in rows] == [NASTY, "broken", "right"]
    assert [found["rule"] for found in rows[0]["findings"]] == ["alpha-not-2r"]


def test_parquet(table: Path, run: Run) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    run("audit", "root", "--table", "rows.parquet", "--workers", "0")
    read = parquet.read_table("rows.parquet")
    assert read.column_names == list(COLUMNS)
    for row, expected in zip(read.to_pylist(), ROWS, strict=True):
        assert {key: row[key] for key in expected} == expected


def test_parquet_without_pyarrow_says_what_to_install(table: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    outcome = run("audit", "root", "--table", "rows.parquet", "--workers", "0")
    assert (outcome.status, outcome.err) == (2, "lora-lint: Parquet needs pyarrow: pip install 'lora-lint[table]'\n")
    assert not Path("rows.parquet").exists()


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_names_that_are_no_text_are_written(ending: str, here: Path, run: Run) -> None:
    folder = os.fsencode(here) + b"/root/\xff"
    os.makedirs(folder)
    adapter(os.fsdecode(folder))
    assert run("audit", "root", "--table", f"rows.{ending}", "--workers", "0").status == 0
    assert rb"\udcff" in Path(f"rows.{ending}").read_bytes()


def test_a_table_that_can_t_be_written_is_an_error(table: Path, run: Run) -> None:
    outcome = run("audit", "root", "--table", "nowhere/rows.csv", "--workers", "0")
    assert outcome.status == 2
    assert outcome.err == "lora-lint: nowhere/rows.csv: can't be written: no such file or directory\n"
