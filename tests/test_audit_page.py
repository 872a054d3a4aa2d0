"""The page of an audit as a file: what it says, how it is built, and that nothing in a file gets out of its place."""

import base64
import json
import math
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

pytest.importorskip("jinja2")

from lora_lint.audit.changes import Changes
from lora_lint.audit.report import charts
from lora_lint.audit.report import page as pages
from lora_lint.audit.report.answer import told
from lora_lint.audit.report.entries import figure, island, plain
from lora_lint.audit.report.figures import Figures, Pair
from lora_lint.audit.report.reasons import reasons
from lora_lint.audit.rows import Found, Row
from lora_lint.audit.run import Audit, Tally
from lora_lint.audit.summary import Summary
from lora_lint.catalogue import load_rules
from lora_lint.policy import Policy
from lora_lint.settings import Settings
from tests.audits import adapter
from tests.checkout import ROOT, write
from tests.conftest import Run
from tests.reports import Parsed, page, row, unreadable

NOTED = Found("local-base-path", "note", "the base model is a path")
TOKEN = "hf_" + "mZkRvTqWbNcXpLgDhJfSyUoIeAaBnMvCdG"
MIXED = [
    [row("a")],
    [row("b", 8, 8)],
    [row("c", 16, 8, base_model=None)],
    [row("d", undecided="alpha is args.alpha", scale=None, deviation=None)],
    [row("e", state="off", scale=None, deviation=None)],
    [unreadable("f")],
    [row("g", kind="example")],
]


def summed(files: list[list[Row]]) -> Summary:
    summary = Summary()
    for rows in files:
        summary.add(rows)
    return summary


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ([], "No adapter was found."),
        ([[row("a")]], "Yes: the one that can be judged is scaled as the policy wants."),
        ([[row("a")], [row("b")]], "Yes: all of 2 adapters that can be judged are scaled as the policy wants."),
        ([[row("a", 8, 8)]], "No: the one that can be judged is not scaled as the policy wants."),
        (
            [[row("a", 8, 8)], [row("b", 8, 8)]],
            "No: none of 2 adapters that can be judged is scaled as the policy wants.",
        ),
        ([[row("a")], [row("b", 8, 8)]], "No: 1 of 2 adapters (50%) is not scaled as the policy wants."),
        (
            [[row("a", kind="training")], [row("b", 8, 8)], [row("c", 8, 8)]],
            "No: 2 of 3 adapters and configs (67%) are not scaled as the policy wants.",
        ),
        ([[unreadable("a")]], "Nobody can say: of 1 adapter none could be judged."),
        ([[row("a", kind="example")]], "No adapter was found."),
    ],
)
def test_the_answer_is_one_sentence(files: list[list[Row]], answer: str) -> None:
    assert told(summed(files), Policy.parse("2r")).answer == answer


@pytest.mark.parametrize(
    ("policy", "question"),
    [
        (
            "2r",
            "Is every adapter scaled as the policy 2r wants it: alpha = 2 \N{MULTIPLICATION SIGN} rank, so that s = 2?",
        ),
        ("r", "Is every adapter scaled as the policy r wants it: alpha = rank, so that s = 1?"),
        ("fixed:32", "Is every adapter scaled as the policy fixed:32 wants it: alpha = 32?"),
    ],
)
def test_the_question_is_the_policy(policy: str, question: str) -> None:
    assert told(Summary(), Policy.parse(policy)).question == question


def test_what_the_answer_leaves_out_is_said() -> None:
    assert told(summed(MIXED), Policy.parse("2r")).rest == (
        "Found: 5 adapters and 1 file that can't be read. "
        "The answer leaves out 1 whose scale the files don't settle and 1 that no policy speaks of."
    )


def test_the_page_has_every_part_and_each_once() -> None:
    text = page(MIXED, tally=Tally(files=9, skipped={"too large": 2}))
    parsed = Parsed(text)
    assert parsed.wrong == []
    assert parsed.unclosed == []
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    tags = parsed.tags
    assert [tags[tag] for tag in ("html", "h1", "main", "header", "footer", "dialog")] == [1] * 6
    headings = re.findall(r"<h2[^>]*>(.*?)</h2>", text)
    assert headings == [
        "How many there are of each kind",
        "What alpha, rank and s are",
        "How strong they are",
        "Alpha against rank",
        "Findings by rule",
        "Findings by base model",
        "Where to look first",
        "What could not be read, and why",
        "All adapters",
    ]


def test_everything_drawn_or_listed_has_a_name_for_those_who_hear_the_page() -> None:
    parsed = Parsed(page(MIXED))
    named = {"aria-label", "aria-labelledby"}
    for tag, attributes in parsed.elements:
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or (attributes["role"] == "img" and attributes["aria-label"])
        if tag in ("section", "dialog") or attributes.get("role") == "region":
            assert named & set(attributes), (tag, attributes)
    ids = {attributes.get("id") for _, attributes in parsed.elements}
    assert {
        attributes["aria-labelledby"] for _, attributes in parsed.elements if "aria-labelledby" in attributes
    } <= ids
    of_rules = sum(reason.html.count("<table>") for reason in reasons(summed(MIXED).rules.each).values())
    named_by_heading = 1
    assert parsed.tags["table"] == parsed.tags["caption"] + of_rules + named_by_heading


def test_nothing_runs_and_nothing_is_loaded_but_what_the_policy_of_the_page_names() -> None:
    parsed = Parsed(page(MIXED))
    policy = next(
        attributes["content"] or ""
        for tag, attributes in parsed.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    (script,), (style,) = parsed.kept["script"], parsed.kept["style"]
    digests = [base64.b64encode(sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert policy.split("; ")[:5] == [
        "default-src 'none'",
        f"script-src 'sha256-{digests[0]}'",
        f"style-src 'sha256-{digests[1]}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    for tag, attributes in parsed.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "image", "use"), tag
        assert not {"src", "style", "srcset", "xlink:href"} & set(attributes), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert (attributes.get("href") or "#").startswith(("#", "https://")), (tag, attributes)


HOSTILE = [
    ("</script><script>alert(1)</script>", "</script><script>alert(1)</script>"),
    ("<!--<script>", "<!--<script>"),
    ("]]><svg onload=alert(1)>", "]]><svg onload=alert(1)>"),
    ('" onmouseover="alert(1)', '" onmouseover="alert(1)'),
    ("&lt;b&gt;&amp;", "&lt;b&gt;&amp;"),
    ("{{ 7 * 7 }}{% raw %}", "{{ 7 * 7 }}{% raw %}"),
    ("a\u202egpj.exe", r"a\u202egpj.exe"),
    ("a\x1b[31mred", "a^[[31mred"),
    ("a\u200bb", r"a\u200bb"),
    ("a\udcffb", r"a\udcffb"),
    ("a\x00b", "a^@b"),
    ("a\u2028b", r"a\u2028b"),
    ("__proto__", "__proto__"),
    (TOKEN, "*" * 37),
]


@pytest.mark.parametrize(("given", "seen"), HOSTILE)
def test_what_stands_in_files_is_text_and_nothing_else(given: str, seen: str) -> None:
    def files(text: str) -> list[list[Row]]:
        finding = Found("alpha-not-2r", "error", text, 1, text, f"1\t{text}")
        return [
            [row(text, 8, 8, finding, base_model=text, framework=text, undecided=text)],
            [unreadable(f"{text}/{text}", f"{text}: {text}")],
        ]

    changes = Changes()
    changes.add("worse", given)
    tally = Tally(skipped={given: 1}, unstored=given, changes=changes)
    harmless = Parsed(page(files("harmless"), tally=tally))
    text = page(files(given), tally=tally, roots=[given])
    parsed = Parsed(text)
    assert parsed.tags == harmless.tags
    assert [set(attributes) for _, attributes in parsed.elements] == [set(one) for _, one in harmless.elements]
    assert parsed.adapters[0][0] == seen
    assert {seen, f"1\t{seen}"} <= parsed.words
    assert parsed.shown.count(seen) > 5
    if seen != given:
        assert given.encode("utf-8", "surrogatepass") not in text.encode("utf-8", "surrogatepass")


def test_the_data_holds_no_sign_of_markup() -> None:
    text = island({"a": "<!--</script>&"})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": "<!--</script>&"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2.0, "2"), (0.0625, "0.0625"), (1 / 3, "0.333333"), (1e30, "1e+30"), ("123456789012", "1.235e+11")],
)
def test_a_number_fits_into_its_cell(value: float | str, shown: str) -> None:
    assert figure(value) == shown


def test_a_text_as_long_as_a_book_is_cut() -> None:
    assert plain("x" * 10**6) == "x" * 599 + "…"


LONG = f'{{"peft_type": "LORA", "x": "{"y" * 900}", "r": 8, "lora_alpha": 8, "z": "{"y" * 900}"}}'


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ('{"peft_type": "LORA",\n "r": 8,\n "lora_alpha": 8}', '2\t "r": 8,\n3\t "lora_alpha": 8}'),
        (f'{{"r": 8, "lora_alpha": 8, "token": "{TOKEN}"}}', f'1\t{{"r": 8, "lora_alpha": 8, "token": "{"*" * 37}"}}'),
        (LONG, f'1\t…, "r": 8, "lora_alpha": 8, "z": "{"y" * 127}…'),
    ],
)
def test_a_finding_has_the_lines_that_it_speaks_of(text: str, source: str, repository_top: Path) -> None:
    write({"root/a/adapter_config.json": text})
    found = [one for rows in Audit(["root"], Settings(), 0) for row in rows for one in row.findings]
    assert [one.source for one in found if one.rule == "alpha-not-2r"] == [source]


def test_a_reason_is_the_page_of_its_rule() -> None:
    every = reasons(load_rules())
    assert set(every) == set(load_rules())
    reason = every["alpha-not-2r"]
    assert reason.title == "alpha is not what the policy wants for the rank"
    assert reason.html.startswith("<p>Alpha divided by the rank is the strength of the adapter")
    assert "<table>" in reason.html
    assert [title for title, _ in reason.sections] == ["How to fix", "When to ignore"]
    text = page([[row("a", 8, 8)]])
    assert 'id="rule-alpha-not-2r"' in text
    assert reason.html in text


def test_a_rule_that_this_release_doesn_t_know_is_told_by_its_name() -> None:
    parsed = Parsed(page([[row("a", 8, 8, Found("of-tomorrow", "error", "m"))]]))
    assert "of-tomorrow" in parsed.shown


def test_what_is_no_adapter_is_listed_and_not_counted() -> None:
    loose = Row("notes.md", "notes.md", findings=(NOTED,))
    silent = Row("empty.md", "empty.md")
    parsed = Parsed(page([[row("a")], [loose], [silent], [row("doc", 8, 8, kind="example")]]))
    assert [(entry[0], entry[2]) for entry in parsed.adapters] == [("a", 0), ("notes.md", 5), ("doc", 5)]
    assert "Yes: the one that can be judged" in parsed.shown


def test_an_adapter_of_very_many_sites_is_cut_and_says_so() -> None:
    many = [row("a", 8, 8) for _ in range(299)]
    parsed = Parsed(page([[*many, row("a", 64, 8)]]))
    (entry,) = parsed.adapters
    assert (entry[9], len(entry[10]), len(entry[11]), entry[12]) == (300, 200, 200, 300)
    (block,) = map(json.loads, parsed.kept["data"])
    assert [block["words"][at] for at in entry[10][entry[8]][:3]] == ["64", "8", "0.125"]


def test_a_page_of_nothing_is_a_page() -> None:
    parsed = Parsed(page([]))
    assert (parsed.wrong, parsed.unclosed, parsed.adapters) == ([], [], [])
    assert "No adapter was found." in parsed.shown


def test_of_too_many_adapters_those_with_something_to_say_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LISTED", 2)
    parsed = Parsed(page([[row(f"good-{at}")] for at in range(5)] + [[row(f"bad-{at}", 8, 8)] for at in range(3)]))
    assert [entry[0] for entry in parsed.adapters] == ["good-0", "good-1", "bad-0", "bad-1"]
    assert re.search(r"not in the table below[^0-9]*4\b", parsed.shown)
    assert "3 of 8 adapters" in parsed.shown


def test_scales_stand_where_they_are_and_sum_up() -> None:
    counts = [("2", 50), ("1", 10), ("0.5", 4), ("0", 2), ("1e+30", 1), ("0.499", 1)]
    chart = charts.scales(counts, Policy.parse("2r"), 600, 300)
    assert sum(bar.sites for bar in chart.bars) == 68
    (ours,) = [bar for bar in chart.bars if bar.ours]
    assert (ours.label, ours.sites, ours.y) == ("2", 50, charts.TOP)
    assert chart.line is not None
    assert ours.x < chart.line[0] < ours.x + ours.width
    assert "0.499 to 0.5" in [bar.label for bar in chart.bars]
    assert chart.beyond
    assert all(chart.left - charts.SLOT <= bar.x <= chart.right for bar in chart.bars)
    assert all(chart.top <= bar.y <= chart.bottom - charts.LEAST for bar in chart.bars)


@pytest.mark.parametrize(("policy", "alpha"), [("2r", 2.0), ("r", 1.0), ("scale:0.5", 0.5)])
def test_what_holds_the_policy_lies_on_its_line(policy: str, alpha: float) -> None:
    counts = [(Pair(rank, alpha * rank, True), 1) for rank in (4.0, 16.0, 64.0)] + [(Pair(8.0, 128.0, False), 3)]
    chart = charts.pairs(counts, Policy.parse(policy), 600, 300)
    assert chart.line is not None
    x1, y1, x2, y2 = chart.line
    off = [abs((dot.x - x1) / (x2 - x1) * (y2 - y1) + y1 - dot.y) for dot in chart.dots if dot.verdict == "holds"]
    assert [distance < 0.5 for distance in off] == [True] * 3
    (other,) = [dot for dot in chart.dots if dot.verdict == "deviates"]
    assert (other.label, other.sites, other.radius) == ("rank 8, alpha 128", 3, charts.LARGEST)


@pytest.mark.parametrize("policy", ["2r", "r", "fixed:32", "scale:1000000"])
@pytest.mark.parametrize(
    "values", [[], [(8.0, 0.0)], [(8.0, -16.0)], [(0.001, 1e300)], [(1e300, 5e-324)], [(8.0, 16.0)] * 2]
)
def test_a_chart_of_anything_stays_in_its_frame(policy: str, values: list[tuple[float, float]]) -> None:
    chart = charts.pairs([(Pair(*pair, None), 1) for pair in values], Policy.parse(policy), 336, 260)
    shown = [(dot.x, dot.y) for dot in chart.dots] + ([chart.line[:2], chart.line[2:]] if chart.line else [])
    assert all(chart.left <= x <= chart.right and chart.top <= y <= chart.bottom for x, y in shown)
    assert all(math.isfinite(tick.at) for tick in (*chart.columns, *chart.lines))


def test_the_same_pair_is_counted_by_whether_it_holds() -> None:
    figures = Figures()
    figures.add([row("a", 16, 32), row("a", 16, 32, scale=8, deviation=4), row("a", alpha=16, state="off")])
    figures.add([row("b", undecided="x")._replace(alpha=None, scale=None, deviation=None)])
    assert figures.pairs == {Pair(16, 32, True): 1, Pair(16, 32, False): 1}
    assert figures.without_pair == 1


def test_memory_doesn_t_grow_with_the_adapters(tmp_path: Path) -> None:
    code = """
import resource, sys
from tests.reports import WHEN, row
from lora_lint.audit.report.page import Page
from lora_lint.audit.run import Tally
from lora_lint.audit.summary import Summary
summary = Summary()
with Page(["r"], WHEN) as page:
    for at in range(int(sys.argv[1])):
        rows = [row(f"team-{at % 97}/adapter-{at}/checkpoint-{at}", 8, 8 if at % 3 else 16)]
        summary.add(rows)
        page.add(rows)
    with open("page.html", "wb") as file:
        file.writelines(page.pieces(summary, Tally()))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

    def peak(count: int) -> int:
        done = subprocess.run(
            [sys.executable, "-c", code, str(count)],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stdout)

    assert peak(31_000) - peak(1_000) < 30_000  # KiB, less than one for each adapter
    assert (tmp_path / "page.html").stat().st_size < 31_000 * 400


def test_the_command_writes_the_page(run: Run, repository_top: Path) -> None:
    adapter("root/a")
    adapter("root/b", 8, 8)
    outcome = run("audit", "root", "--workers", "0", "--report", "page.html")
    assert (outcome.status, outcome.err) == (1, "")
    parsed = Parsed(Path("page.html").read_text("utf-8"))
    assert "No: 1 of 2 adapters (50%) is not scaled as the policy wants." in parsed.shown
    assert [entry[0] for entry in parsed.adapters] == ["a", "b"]


def test_without_a_folder_for_the_page_nothing_is_begun(run: Run, repository_top: Path) -> None:
    adapter("root/a")
    outcome = run("audit", "root", "--workers", "0", "--report", "none/page.html")
    assert (outcome.status, outcome.out) == (2, "")
    assert "--report is 'none/page.html'; there is no such folder" in outcome.err


def test_without_jinja2_it_is_said_how_to_get_it(repository_top: Path) -> None:
    adapter("root/a")
    code = "import sys; sys.modules['jinja2'] = None; from lora_lint.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "audit", "root", "--report", "page.html"],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "lora-lint: a report needs jinja2: pip install 'lora-lint[report]'\n"
