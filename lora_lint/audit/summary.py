"""What the rows of an audit come to: a few numbers, whatever the number of rows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from lora_lint.audit.rows import Row, off_by
from lora_lint.finding import Severity
from lora_lint.scaling import number

MOST_KEYS = 10_000
"""Different scales, base models, reasons that are counted one by one; what comes later is counted together."""
WORST = 10

Verdict = Literal["holds", "deviates", "undecided", "other", "unreadable"]
"""Of an adapter: all sites hold the policy, one doesn't, one's scale is unknown, none is judged (off, no LoRA, scale in
the weights), or it can't be read."""
VERDICTS: tuple[Verdict, ...] = ("holds", "deviates", "undecided", "other", "unreadable")


class Group:
    """How many adapters there are, by their verdicts."""

    def __init__(self) -> None:
        self.verdicts: dict[Verdict, int] = dict.fromkeys(VERDICTS, 0)

    @classmethod
    def sum(cls, groups: Iterable["Group"]) -> "Group":
        whole = cls()
        for group in groups:
            for verdict, count in group.verdicts.items():
                whole.verdicts[verdict] += count
        return whole

    @property
    def total(self) -> int:
        return sum(self.verdicts.values())

    @property
    def held(self) -> float | None:
        """The share of those that hold the policy among those that it speaks of."""
        judged = self.verdicts["holds"] + self.verdicts["deviates"]
        return self.verdicts["holds"] / judged if judged else None


class Groups:
    """Adapters by something that there may be any number of."""

    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}
        self.others = Group()

    def add(self, name: str, verdict: Verdict, times: int = 1) -> None:
        group = self._groups.get(name)
        if group is None:
            group = self._groups.setdefault(name, Group()) if len(self._groups) < MOST_KEYS else self.others
        group.verdicts[verdict] += times

    def largest(self) -> list[tuple[str, Group]]:
        return sorted(self._groups.items(), key=lambda pair: (-pair[1].total, pair[0]))


class Counts:
    """How often something occurs."""

    def __init__(self) -> None:
        self.each: dict[str, int] = {}
        self.others = 0

    def add(self, name: str, count: int = 1) -> None:
        if name in self.each or len(self.each) < MOST_KEYS:
            self.each[name] = self.each.get(name, 0) + count
        else:
            self.others += count

    def largest(self) -> list[tuple[str, int]]:
        return sorted(self.each.items(), key=lambda pair: (-pair[1], pair[0]))


class Badness(NamedTuple):
    """How bad an adapter is: its worst finding, and how many factors of two it is off."""

    severity: int
    off: float


@dataclass
class Bad:
    """An adapter among the worst, and how many more have the same scale and the same worst finding."""

    badness: Badness
    row: Row
    rules: tuple[str, ...]
    more: int = 0


@dataclass
class Summary:
    """Counts over the rows that were added, file by file; examples in documentation are counted apart."""

    policy: str = "2r"
    adapters: Group = field(default_factory=Group)
    kinds: dict[str, int] = field(default_factory=dict)
    sites: int = 0
    examples: int = 0
    scales: Counts = field(default_factory=Counts)
    """Active sites by scale, as `number` writes it."""
    frameworks: Groups = field(default_factory=Groups)
    base_models: Groups = field(default_factory=Groups)
    rules: Counts = field(default_factory=Counts)
    severities: dict[str, str] = field(default_factory=dict)
    """The highest severity with which each rule spoke."""
    findings: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("error", "warning", "note"), 0))
    problems: Counts = field(default_factory=Counts)
    """Adapters that can't be read, by the reason."""
    first: dict[str, str] = field(default_factory=dict)
    """The first adapter of each reason."""
    _worst: dict[tuple[Any, ...], Bad] = field(default_factory=dict)

    def add(self, rows: Sequence[Row], times: int = 1) -> None:
        """Count the rows of one file, or of as many that have the same."""
        self._count_findings(rows, times)
        own = [row for row in rows if row.kind != "example"]
        if len(own) < len(rows):
            self.examples += times
        if not own or (own[0].kind is None and own[0].problem is None):
            return
        self.kinds[own[0].kind or "unreadable"] = self.kinds.get(own[0].kind or "unreadable", 0) + times
        verdict = verdict_of(own)
        self.adapters.verdicts[verdict] += times
        if verdict == "unreadable":
            reason = _reason(next(row.problem for row in own if row.problem is not None))
            self.problems.add(reason, times)
            if reason in self.problems.each:
                self.first.setdefault(reason, own[0].adapter)
        else:
            self.sites += len(own) * times
            self.frameworks.add(own[0].framework or "", verdict, times)
            self.base_models.add(own[0].base_model or "", verdict, times)
            for row in own:
                if row.state == "active" and row.scale is not None:
                    self.scales.add(number(row.scale), times)
            self._rank(own, times)

    @property
    def worst(self) -> list[Bad]:
        """The worst adapters, one for each fault: copies, checkpoints and habits would fill the list."""
        return sorted(self._worst.values(), key=lambda bad: (*(-one for one in bad.badness), bad.row.adapter))

    def severity(self) -> Severity | None:
        """That of the worst finding."""
        return next((one for one in reversed(Severity) if self.findings[one.value]), None)

    def _count_findings(self, rows: Iterable[Row], times: int) -> None:
        for row in rows:
            for found in row.findings:
                self.findings[found.severity] += times
                self.rules.add(found.rule, times)
                before = self.severities.get(found.rule)
                if before is None or Severity(before).rank < Severity(found.severity).rank:
                    self.severities[found.rule] = found.severity

    def _rank(self, rows: Sequence[Row], times: int) -> None:
        found = [one for row in rows for one in row.findings]
        row = max(rows, key=off_by)
        badness = Badness(max((Severity(one.severity).rank + 1 for one in found), default=0), off_by(row))
        if not (found or badness.off):
            return
        rules = tuple(dict.fromkeys(one.rule for one in _by_severity(found)))
        key = (badness, row.scale, rules[:1])
        if key in self._worst:
            self._worst[key].more += times
            return
        if len(self._worst) == WORST:
            least = min(self._worst, key=lambda key: key[0])
            # What was put out is never put in again, since all that are left are as bad: so `more` stays true.
            if least[0] >= badness:
                return
            del self._worst[least]
        self._worst[key] = Bad(badness, row, rules, times - 1)


def verdict_of(rows: Sequence[Row]) -> Verdict:
    """What is to be said of an adapter with these sites."""
    if any(row.problem is not None for row in rows):
        return "unreadable"
    held = [row.holds for row in rows]
    if False in held:
        return "deviates"
    if any(row.undecided for row in rows):
        return "undecided"
    return "holds" if True in held else "other"


def _by_severity(found: Iterable[Any]) -> Iterator[Any]:
    return iter(sorted(found, key=lambda one: -Severity(one.severity).rank))


def _reason(problem: str) -> str:
    """What kind of fault it is, without what differs from file to file."""
    kept = problem.partition(";")[0]
    file, _, told = kept.partition(": ")
    if file.endswith((".safetensors", ".json")):
        return f"weights: {told.partition(':')[0]}"[:80]
    return (kept if kept.startswith(_TELLING) else kept.partition(":")[0])[:80]


_TELLING = ("can't be read", "could not be gone through", "not read")
"""What these say after a colon is the reason."""
