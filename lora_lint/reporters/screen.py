"""What an audit comes to, laid out for one screen: lines of pieces, which a pipe or a terminal shows in its way."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

from lora_lint.audit.changes import CHANGES, Change, Changes
from lora_lint.audit.rows import Row
from lora_lint.audit.run import Tally
from lora_lint.audit.summary import Bad, Group, Groups, Summary
from lora_lint.policy import Policy
from lora_lint.printable import printable
from lora_lint.reporters.cells import cells, clip, padded, percent, short, thousands
from lora_lint.reporters.text import counted
from lora_lint.scaling import number

NARROWEST, WIDEST = 80, 120
LINES = 24
"""Of the smallest terminal; one of them is the prompt's."""
_LEAST, _MOST = 7, 15
"""Lines of each list in the middle of the screen, below its heading: few on a small terminal, more on a larger one."""
_AIR = 3
"""Lines that are left for the space between parts before a part gets more."""
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


def screen(summary: Summary, tally: Tally, *, width: int, height: int, marks: Marks) -> list[Line]:
    """The parts with as much in them, and as much air between them, as there is room for."""
    width = min(max(width, NARROWEST), WIDEST)
    head = [*_head(summary, width, marks), *_verdicts(summary, width)]
    if not summary.adapters.total:
        head = [[Piece("no adapter found", "bold")]]
    worst = list(_worst(summary, width, marks))
    foot = [*_left_out(summary, tally, width, marks), *_change_counts(tally.changes)]
    spare = height - 1 - len(head) - len(worst) - len(foot) - bool(summary.problems.each)
    block = _block(summary, width, min(max(spare - 1 - _AIR, _LEAST), _MOST), marks) if head[1:] else []
    spare -= len(block)
    unreadable = list(_unreadable(summary, width, min(max(spare - _AIR, 1), _MOST), marks))
    spare -= max(len(unreadable) - 1, 0)
    lines: list[Line] = list(_changed(tally.changes))
    for part in filter(None, (head, block, worst, [*unreadable, *foot])):
        if part is not head and spare > 0:
            lines.append([])
            spare -= 1
        lines += part
    return lines


def _head(summary: Summary, width: int, marks: Marks) -> Iterator[Line]:
    wanted = Policy.parse(summary.policy).wanted_scale
    policy = f"; policy {summary.policy}" + (f": s = {number(wanted)}" if wanted is not None else "")
    counts = [(summary.kinds.get(kind, 0), noun) for kind, noun in _KINDS.items()]
    counts = [*filter(lambda pair: pair[0], counts), (summary.sites, "site")]
    told = ", ".join(thousands(count, noun) for count, noun in counts)
    if cells(told + policy) > width:
        told = ", ".join(f"{short(count)} {noun}{'s' * (count != 1)}" for count, noun in counts)
    yield [Piece(clip(told + policy, width, marks.cut), "bold")]


def _verdicts(summary: Summary, width: int) -> Iterator[Line]:
    """How many hold the policy, with their share of those that it speaks of, and what the others are."""
    verdicts, held = summary.adapters.verdicts, summary.adapters.held
    share = f" ({percent(held)})" if held is not None else ""
    parts: list[tuple[int, str, str]] = [
        (verdicts["holds"], f"hold{share}", "bold green"),
        (verdicts["deviates"], "deviate", "bold red"),
        (verdicts["undecided"], "undecided", "yellow"),
        (verdicts["other"], "not judged", ""),
        (verdicts["unreadable"], "unreadable", "bold magenta"),
    ]
    parts = [part for at, part in enumerate(parts) if at == 0 or part[0]]
    long = sum(len(f"{count:,} {word}  ") for count, word, _ in parts) - 2 > width
    line: Line = []
    for count, word, style in parts:
        line += [Piece("  " if line else ""), Piece(f"{short(count) if long else f'{count:,}'} {word}", style)]
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
    for row in zip_longest(*columns, fillvalue=nothing):
        line: Line = []
        for cell, wide in zip(row, widths, strict=True):
            length = sum(cells(piece.text) for piece in cell)
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
        label = f"{marks.policy if ours else ' '}{clip(scale, 6, marks.cut):>6}"
        yield _bar(label, count, most, width, marks, "green" if ours else "yellow")
    if rest:
        yield _bar(" others", rest, most, width, marks, "bright_black")


def _bar(label: str, count: int, most: int, width: int, marks: Marks, style: str) -> Line:
    room = width - 7 - 1 - 1 - 5
    length = max(1, round(room * count / most))
    return [Piece(f"{label} "), Piece(f"{marks.bar * length:<{room}}", style), Piece(f" {short(count):>5}")]


def _rules(summary: Summary, width: int, height: int, marks: Marks) -> Iterator[Line]:
    total = sum(summary.findings.values())
    yield [Piece(f"{short(total):>5} {'finding' if total == 1 else 'findings'}", "dim bold")]
    found = summary.rules.largest()
    order = {severity: at for at, severity in enumerate(_SEVERITIES)}
    found.sort(key=lambda pair: order[summary.severities[pair[0]]])
    shown = found if len(found) <= height else found[: height - 1]
    for rule, count in shown:
        style = _SEVERITIES[summary.severities[rule]]
        yield [Piece(f"{short(count):>5} "), Piece(clip(rule, width - 6, marks.cut), style)]
    if len(shown) < len(found):
        rest = sum(count for _, count in found[len(shown) :])
        yield [Piece(f"{short(rest):>5} of {counted(len(found) - len(shown), 'other rule')}", "bright_black")]


def _groups(title: str, groups: Groups, most: int, width: int, marks: Marks) -> Iterator[Line]:
    """The largest groups, each with its number of adapters and the share that holds the policy."""
    room = width - 11
    yield [Piece(f"{title:<{room}}     n hold", "dim bold")]
    found = sorted(groups.largest(), key=lambda pair: not pair[0])
    shown = found if len(found) <= most else found[: most - 1]
    for name, group in shown:
        yield _group(clip(printable(name) or "not named", room, marks.cut), group, room)
    if rest := [*(group for _, group in found[len(shown) :]), *([groups.others] if groups.others.total else [])]:
        unnamed = len(shown) < len(found) and not found[-1][0]
        told = f"{len(rest) - unnamed:,} others" + (", none" if unnamed else "")
        yield _group(told, Group.sum(rest), room, "bright_black")


def _group(name: str, group: Group, room: int, style: str = "") -> Line:
    held = "-" if group.held is None else percent(group.held)
    return [Piece(f"{padded(name, room)} {short(group.total):>5} {held:>4}", style)]


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
            Piece(f"{clip(scale, 8, marks.cut):>8}", _SEVERITIES.get(level, "")),
            Piece(f"  {padded(clip(_quotient(bad.row, marks), 12, marks.cut), 12)} "),
            Piece(f"{padded(_named(bad, name, marks), name)} "),
            Piece(clip(", ".join(bad.rules), 23, marks.cut), "bright_black"),
        ]


def _named(bad: Bad, room: int, marks: Marks) -> str:
    more = f" {marks.times}{short(bad.more + 1)}" if bad.more else ""
    return f"{clip(printable(bad.row.adapter), room - len(more), marks.cut, middle=True)}{more}"


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
        yield [Piece("unreadable: ", "bold magenta"), Piece(clip(told, width - 12, marks.cut))]
        return
    yield [Piece("  unreadable", "bold magenta")]
    room = width - 7 - 1 - 25
    for reason, count in problems[:height]:
        told = padded(clip(printable(reason), room, marks.cut), room)
        first = clip(printable(summary.first[reason]), 25, marks.cut, middle=True)
        yield [Piece(f"{short(count):>6} {told} "), Piece(first, "bright_black")]
    rest = sum(count for _, count in problems[height:]) + summary.problems.others
    if rest:
        yield [Piece(f"{short(rest):>6} for {thousands(len(problems) - height, 'other reason')}", "bright_black")]


def _left_out(summary: Summary, tally: Tally, width: int, marks: Marks) -> Iterator[Line]:
    """What was left out, and what went wrong with the audit itself."""
    parts = [f"{count:,} {reason}" for reason, count in sorted(tally.skipped.items(), key=lambda pair: -pair[1])]
    parts += [f"{tally.repeats:,} the same blobs again"] if tally.repeats else []
    parts += [thousands(summary.examples, "example") + " in texts"] if summary.examples else []
    parts += [f"{tally.suppressed:,} findings suppressed"] if tally.suppressed else []
    if parts:
        yield [Piece("left out: ", "dim bold"), Piece(clip(printable("; ".join(parts)), width - 10, marks.cut), "dim")]
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
