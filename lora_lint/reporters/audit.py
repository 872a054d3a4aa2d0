"""The summary of an audit on one screen, and its rows and numbers as JSON."""

from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import zip_longest
from typing import Any, NamedTuple
from unicodedata import east_asian_width

from lora_lint.audit.changes import CHANGES, Change, Changes
from lora_lint.audit.rows import FORMAT, Row, as_data
from lora_lint.audit.run import Tally
from lora_lint.audit.summary import Bad, Group, Groups, Summary, Verdict
from lora_lint.policy import Policy
from lora_lint.printable import printable, printable_json
from lora_lint.reporters.text import counted
from lora_lint.scaling import number

NARROWEST, WIDEST = 80, 120
LINES = 24
"""Of the smallest terminal; one of them is the prompt's."""
_LEAST, _MOST = 7, 15
"""Lines of each list in the middle of the screen, below its heading: few on a small terminal, more on a larger one."""
_SEVERITIES = {"error": "red", "warning": "yellow", "note": "cyan"}
_KINDS = {
    "checkpoint": "adapter",
    "training": "training config",
    "source": "Python setup",
    "serving": "serving config",
}


class Piece(NamedTuple):
    """Some text of a line, and how it looks on a terminal."""

    text: str
    style: str = ""


Line = list[Piece]


class Marks(NamedTuple):
    """What bars, gaps and cuts are drawn with."""

    bar: str
    policy: str
    cut: str
    times: str
    root: str


DRAWN = Marks("█", "▸", "…", "\N{MULTIPLICATION SIGN}", "√")
TYPED = Marks("#", ">", "~", "x", "sqrt ")
"""For pipes, and terminals that have ASCII alone."""


def plain(summary: Summary, tally: Tally, changes: Changes | None = None, *, width: int = NARROWEST) -> str:
    """The summary as text for a pipe, with air between its parts."""
    lines = _screen(summary, tally, changes, width=width, height=1000, marks=TYPED)
    return "\n".join("".join(piece.text for piece in line).rstrip() for line in lines)


def for_terminal(
    summary: Summary, tally: Tally, changes: Changes | None = None, *, width: int, height: int, color: bool, drawn: bool
) -> str:
    """The summary in colours, no wider than the terminal and, from 24 lines of 80 on, no higher."""
    from rich.console import Console
    from rich.text import Text

    console = Console(
        file=StringIO(),
        width=max(width, NARROWEST),
        force_terminal=True,
        color_system="standard" if color else None,
        legacy_windows=False,
    )
    with console.capture() as capture:
        marks = DRAWN if drawn else TYPED
        for line in _screen(summary, tally, changes, width=width, height=height, marks=marks):
            text = Text.assemble(*line)
            text.rstrip()
            console.print(text, soft_wrap=True, highlight=False)
    return capture.get()


def _screen(
    summary: Summary, tally: Tally, changes: Changes | None, *, width: int, height: int, marks: Marks
) -> list[Line]:
    """The parts with as much air between them as there is room for."""
    width = min(max(width, NARROWEST), WIDEST)
    if not summary.adapters.total:
        return [*_changed(changes), [Piece("no adapter found", "bold")], *_left_out(summary, tally, width, marks)]
    parts = [
        [*_head(summary), *_verdicts(summary)],
        _block(summary, width, min(max(height - LINES - 2, 0) + _LEAST, _MOST), marks),
        list(_worst(summary, width, marks)),
        [
            *_unreadable(summary, width, min(max(height - LINES - 2, 1), _MOST), marks),
            *_left_out(summary, tally, width, marks),
            *_change_counts(changes),
        ],
    ]
    parts = [part for part in parts if part]
    room = height - 1 - sum(map(len, parts))
    lines: list[Line] = list(_changed(changes))
    for at, part in enumerate(parts):
        lines += [[]] * (0 < at <= room)
        lines += part
    return lines


def _head(summary: Summary) -> Iterator[Line]:
    named = [thousands(summary.kinds[kind], noun) for kind, noun in _KINDS.items() if summary.kinds.get(kind)]
    wanted = Policy.parse(summary.policy).wanted_scale
    policy = f"policy {summary.policy}" + (f": s = {number(wanted)}" if wanted is not None else "")
    told = ", ".join(named) or "nothing that can be read"
    yield [Piece(f"{told}, {thousands(summary.sites, 'site')}; {policy}", "bold")]


def _verdicts(summary: Summary) -> Iterator[Line]:
    """How many hold the policy, and what the others are."""
    verdicts, held = summary.adapters.verdicts, summary.adapters.held
    share = f" ({_percent(held)} of those judged)" if held is not None else ""
    line = [Piece(f"{verdicts['holds']:,} hold it{share}", "bold green")]
    others: tuple[tuple[Verdict, str, str], ...] = (
        ("deviates", "deviate", "bold red"),
        ("undecided", "undecided", "yellow"),
        ("other", "not judged", ""),
        ("unreadable", "unreadable", "bold magenta"),
    )
    for verdict, word, style in others:
        if verdicts[verdict]:
            line += [Piece("  "), Piece(f"{verdicts[verdict]:,} {word}", style)]
    yield line


def _block(summary: Summary, width: int, height: int, marks: Marks) -> list[Line]:
    """The distribution of s, the rules that spoke, frameworks and base models, side by side."""
    more = width - NARROWEST
    first, second = 21 + more // 4, 27
    third = width - first - second - 4
    columns = (
        list(_scales(summary, first, height, marks)),
        list(_rules(summary, second, height, marks)),
        [
            *_groups("framework", summary.frameworks, (height - 1) // 2, third, marks),
            *_groups("base model", summary.base_models, (height - 1) // 2, third, marks),
        ],
    )
    widths = (first, second, third)
    lines: list[Line] = []
    nothing: Line = []
    for cells in zip_longest(*columns, fillvalue=nothing):
        line: Line = []
        for cell, wide in zip(cells, widths, strict=True):
            length = sum(_cells(piece.text) for piece in cell)
            line += [*cell, Piece(" " * (wide - length + 2))]
        lines.append(line)
    return lines


def _scales(summary: Summary, width: int, height: int, marks: Marks) -> Iterator[Line]:
    """The most frequent scales in order of size, and how many others there are."""
    yield [Piece("     s  active sites", "dim bold")]
    found = summary.scales.largest()
    shown = found if len(found) <= height else found[: height - 1]
    rest = sum(count for _, count in found[len(shown) :]) + summary.scales.others
    most = max([count for _, count in shown] + [rest], default=1)
    wanted = Policy.parse(summary.policy).wanted_scale
    for scale, count in sorted(shown, key=lambda pair: float(pair[0])):
        ours = wanted is not None and scale == number(wanted)
        label = f"{marks.policy if ours else ' '}{_clip(scale, 6, marks):>6}"
        yield _bar(label, count, most, width, marks, "green" if ours else "yellow")
    if rest:
        yield _bar(" others", rest, most, width, marks, "bright_black")


def _bar(label: str, count: int, most: int, width: int, marks: Marks, style: str) -> Line:
    room = width - 7 - 1 - 1 - 5
    length = max(1, round(room * count / most))
    return [Piece(f"{label} "), Piece(f"{marks.bar * length:<{room}}", style), Piece(f" {_short(count):>5}")]


def _rules(summary: Summary, width: int, height: int, marks: Marks) -> Iterator[Line]:
    total = sum(summary.findings.values())
    yield [Piece(f"{_short(total):>5} {'finding' if total == 1 else 'findings'}", "dim bold")]
    found = summary.rules.largest()
    order = {severity: at for at, severity in enumerate(_SEVERITIES)}
    found.sort(key=lambda pair: order[summary.severities[pair[0]]])
    shown = found if len(found) <= height else found[: height - 1]
    for rule, count in shown:
        style = _SEVERITIES[summary.severities[rule]]
        yield [Piece(f"{_short(count):>5} "), Piece(_clip(rule, width - 6, marks), style)]
    if len(shown) < len(found):
        rest = sum(count for _, count in found[len(shown) :])
        yield [Piece(f"{_short(rest):>5} of {counted(len(found) - len(shown), 'other rule')}", "bright_black")]


def _groups(title: str, groups: Groups, most: int, width: int, marks: Marks) -> Iterator[Line]:
    """The largest groups, each with its number of adapters and the share that holds the policy."""
    room = width - 11
    yield [Piece(f"{title:<{room}}     n hold", "dim bold")]
    found = sorted(groups.largest(), key=lambda pair: not pair[0])
    shown = found if len(found) <= most else found[: most - 1]
    for name, group in shown:
        yield _group(_clip(printable(name) or "not named", room, marks), group, room)
    if rest := [*(group for _, group in found[len(shown) :]), *([groups.others] if groups.others.total else [])]:
        unnamed = len(shown) < len(found) and not found[-1][0]
        told = f"{len(rest) - unnamed:,} others" + (", none" if unnamed else "")
        yield _group(told, Group.sum(rest), room, "bright_black")


def _group(name: str, group: Group, room: int, style: str = "") -> Line:
    held = "-" if group.held is None else _percent(group.held)
    return [Piece(f"{_padded(name, room)} {_short(group.total):>5} {held:>4}", style)]


def _worst(summary: Summary, width: int, marks: Marks) -> Iterator[Line]:
    worst = summary.worst
    if not worst:
        return
    name = width - 8 - 12 - 23 - 4
    yield [Piece(f"{'worst':>8}  {'alpha/rank':<12} {'adapter':<{name}} findings", "dim bold")]
    for bad in worst:
        scale = number(bad.row.scale) if bad.row.scale is not None else "-"
        level = ("", "note", "warning", "error")[bad.badness.severity]
        yield [
            Piece(f"{_clip(scale, 8, marks):>8}", _SEVERITIES.get(level, "")),
            Piece(f"  {_padded(_clip(_quotient(bad.row, marks), 12, marks), 12)} "),
            Piece(f"{_padded(_named(bad, name, marks), name)} "),
            Piece(_clip(", ".join(bad.rules), 23, marks), "bright_black"),
        ]


def _named(bad: Bad, room: int, marks: Marks) -> str:
    more = f" {marks.times}{_short(bad.more + 1)}" if bad.more else ""
    return f"{_clip(printable(bad.row.adapter), room - len(more), marks, middle=True)}{more}"


def _quotient(row: Row, marks: Marks) -> str:
    """Rank and alpha as the formula takes them."""
    rank = number(row.rank) if row.rank is not None else "?"
    if row.alpha_origin is None:
        return f"rank {rank}"
    alpha = number(row.alpha) if row.alpha is not None else "?"
    if row.formula == "alpha/sqrt(r)":
        return f"{alpha}/{marks.root}{rank}"
    return f"{alpha}/{rank}" if row.formula == "alpha/r" else f"{alpha}, rank {rank}"


def _unreadable(summary: Summary, width: int, height: int, marks: Marks) -> Iterator[Line]:
    """Why what can't be read can't, with the first of each kind where there is room."""
    problems = summary.problems.largest()
    if not problems:
        return
    if height == 1:
        told = ", ".join(f"{printable(reason)} ({count:,})" for reason, count in problems)
        yield [Piece("unreadable: ", "bold magenta"), Piece(_clip(told, width - 12, marks))]
        return
    yield [Piece("  unreadable", "bold magenta")]
    room = width - 7 - 1 - 25
    for reason, count in problems[:height]:
        told = _padded(_clip(printable(reason), room, marks), room)
        first = _clip(printable(summary.first[reason]), 25, marks, middle=True)
        yield [Piece(f"{_short(count):>6} {told} "), Piece(first, "bright_black")]
    rest = sum(count for _, count in problems[height:]) + summary.problems.others
    if rest:
        yield [Piece(f"{_short(rest):>6} for {thousands(len(problems) - height, 'other reason')}", "bright_black")]


def _left_out(summary: Summary, tally: Tally, width: int, marks: Marks) -> Iterator[Line]:
    """What was left out, and what went wrong with the audit itself."""
    parts = [f"{count:,} {reason}" for reason, count in sorted(tally.skipped.items(), key=lambda pair: -pair[1])]
    parts += [f"{tally.repeats:,} the same blobs again"] if tally.repeats else []
    parts += [thousands(summary.examples, "example") + " in texts"] if summary.examples else []
    parts += [f"{tally.suppressed:,} findings suppressed"] if tally.suppressed else []
    if parts:
        yield [Piece("left out: ", "dim bold"), Piece(_clip(printable("; ".join(parts)), width - 10, marks), "dim")]
    if tally.unstored:
        yield [Piece("not all is stored: ", "bold red"), Piece(printable(tally.unstored))]
    if tally.failures:
        yield [Piece(f"{counted(len(tally.failures), 'check')} failed: a fault of lora-lint, -v shows it", "bold red")]


def _changed(changes: Changes | None) -> Iterator[Line]:
    """The names of what changed, as far as they are kept."""
    if changes is None:
        return
    styles: dict[Change, str] = {"worse": "red", "new": "", "mended": "green", "gone": "bright_black"}
    for change, style in styles.items():
        names = changes.names[change]
        for name in names:
            yield [Piece(f"{change:<7} ", style), Piece(printable(name))]
        if len(names) < changes.counts[change]:
            more = changes.counts[change] - len(names)
            yield [Piece(f"{change:<7} ", style), Piece(f"and {more:,} more", "dim")]
    if any(changes.counts.values()):
        yield []


def _change_counts(changes: Changes | None) -> Iterator[Line]:
    if changes is None:
        return
    told = ", ".join(f"{changes.counts[change]:,} {change}" for change in CHANGES)
    partly = "" if changes.complete else "; the earlier audit was not finished"
    yield [Piece("since then: ", "bold"), Piece(f"{told}{partly}")]


def thousands(count: int, noun: str) -> str:
    """A number with its noun, thousands apart."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _short(count: int) -> str:
    """A count in five characters: 99999, 100k, 1.2M."""
    if count < 100_000:
        return str(count)
    return f"{count // 1000}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"


def _percent(share: float) -> str:
    """A share in whole percents; 0 and 100 only where it is all or nothing."""
    percent = round(100 * share)
    if share not in (0, 1):
        percent = min(max(percent, 1), 99)
    return f"{percent}%"


def _cells(text: str) -> int:
    return len(text) if text.isascii() else sum(1 + (east_asian_width(char) in "WF") for char in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _cells(text))


def _clip(text: str, width: int, marks: Marks, *, middle: bool = False) -> str:
    """No more of a text than fits, with a mark where something is missing."""
    if _cells(text) <= width:
        return text
    keep = width - 1
    head = keep // 2 if middle else keep
    first = _fitting(text, head)
    last = _fitting(text[::-1], keep - head)[::-1] if middle else ""
    return f"{first}{marks.cut}{last}"


def _fitting(text: str, width: int) -> str:
    taken = 0
    for at, char in enumerate(text):
        taken += _cells(char)
        if taken > width:
            return text[:at]
    return text


def json_rows(rows: Iterable[Row]) -> Iterator[str]:
    """Rows as JSON, each in a text of its own without an end."""
    return (printable_json(as_data(row), indent=None) for row in rows)


def json_summary(summary: Summary, tally: Tally, changes: Changes | None) -> dict[str, Any]:
    """The numbers of an audit, for machines."""
    return {
        "policy": summary.policy,
        "files": tally.files,
        "unchanged": tally.kept,
        "adapters": summary.adapters.total,
        "verdicts": dict(summary.adapters.verdicts),
        "kinds": summary.kinds,
        "examples": summary.examples,
        "sites": summary.sites,
        "scales": dict(summary.scales.largest()),
        "rules": dict(summary.rules.largest()),
        **{f"{severity}s": count for severity, count in summary.findings.items()},
        "frameworks": _as_data(summary.frameworks),
        "base_models": _as_data(summary.base_models),
        "worst": [{"adapter": bad.row.adapter, "more": bad.more, "rules": list(bad.rules)} for bad in summary.worst],
        "unreadable": dict(summary.problems.largest()),
        "skipped": tally.skipped,
        "repeats": tally.repeats,
        "suppressed": tally.suppressed,
        "failures": len(tally.failures),
        "changes": None if changes is None else _changes(changes),
    }


def _changes(changes: Changes) -> dict[str, Any]:
    counts = {str(change): count for change, count in changes.counts.items()}
    return {"complete": changes.complete, **counts, "names": changes.names}


def _as_data(groups: Groups) -> dict[str, dict[str, int]]:
    return {name: {str(word): count for word, count in group.verdicts.items()} for name, group in groups.largest()}


def json_head() -> str:
    return f'{{"format": {FORMAT},\n "rows": ['


def json_tail(summary: Summary, tally: Tally, changes: Changes | None) -> str:
    return f'],\n "summary": {printable_json(json_summary(summary, tally, changes), indent=None)}}}'
