"""Documents to diagnostics: the whole pipeline on one screen."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lora_lint.catalogue import load_rules, resolve
from lora_lint.checks.internal import Failure
from lora_lint.document import Document, Source
from lora_lint.effective import Effective
from lora_lint.facts import Setup, UnknownFact
from lora_lint.files import Candidate, Walk
from lora_lint.finding import Diagnostic, Report, Skipped
from lora_lint.placing import Placed, beside, diagnostic, one_per_cause, sites_of
from lora_lint.policy import Policy
from lora_lint.reading import Reading, read_file, whole
from lora_lint.scaling import number
from lora_lint.settings import Settings
from lora_lint.suppress import Silencer, ignores

if TYPE_CHECKING:
    from lora_lint.since import Since


def lint(
    subject: object,
    settings: Settings | None = None,
    *,
    select: Sequence[str] | None = None,
    since: str | None = None,
) -> Report:
    """Check files and folders, or configs that are alive.

    `subject` is a path, or several; or PEFT's `LoraConfig`, a model that carries some, a dataclass, a pydantic model, a
    mapping of config keys, or a list of these. What is alive goes under the name of its class in angle brackets and has
    no lines; every key counts as written, since nobody can tell a default from the same value. `select` are rules or
    families, besides those of the settings. With `since`, only what changed since that revision of git is read, and
    only what the change touched is reported. The report is in the order of the files.

    Raises:
        GitError: when git doesn't know the revision.
        TypeError: for what is neither a path nor a config, and for a config with `since`.
    """
    roots = _paths(subject)
    if since and roots is None:
        raise TypeError(f"since is about files, not about a {type(subject).__name__}")
    linter = Linter(settings or Settings(), select, since=since_revision(roots[0], since) if roots and since else None)
    report = Report(policy=linter.settings.policy)
    for reading in linter.readings(subject, report):
        linter.add(reading, report)
    return report


def _paths(subject: object) -> list[str] | None:
    """The paths that something is, one or several, or None where it is alive."""
    if isinstance(subject, str | os.PathLike):
        return [os.fspath(subject)]
    if isinstance(subject, list | tuple) and all(isinstance(one, str | os.PathLike) for one in subject):
        return [os.fspath(one) for one in subject]
    return None


def since_revision(path: str, revision: str) -> "Since":
    """The state of the repository of a path at a revision.

    Raises:
        GitError: when git doesn't know it.
    """
    from lora_lint.git import changes
    from lora_lint.since import Since

    full = os.path.abspath(path)
    return Since(changes(full if os.path.isdir(full) else os.path.dirname(full), revision))


def read_setups(subject: object, settings: Settings | None = None) -> Iterator[Setup]:
    """What files or live configs, as `lint` takes them, say about LoRA, without judging it.

    Unreadable files are passed over.

    Raises:
        TypeError: for what is neither a path nor a config.
    """
    linter = Linter(settings or Settings(), None)
    for reading in linter.readings(subject, Report()):
        yield from reading.setups


class Linter:
    """The rules and settings of a run."""

    def __init__(self, settings: Settings, select: Sequence[str] | None, *, since: "Since | None" = None) -> None:
        self.settings = settings
        self.since = since
        self.rules = load_rules()
        wanted = [*settings.select, *(select or ())]
        names = {name for word in wanted for name in resolve(word) or ()} or set(self.rules)
        self.selected = {name: rule for name, rule in self.rules.items() if name in names}
        self._options = {name: self._given(name) for name in self.selected}
        self._plain = self._combined([])

    def effective(self, path: str) -> Effective:
        if not self.settings.overrides:
            return self._plain
        folder = self.settings.folder or os.getcwd()
        relative = os.path.relpath(os.path.abspath(path), folder).replace(os.sep, "/")
        return self._combined([one for one in self.settings.overrides if one.spec.match_file(relative)])

    def _combined(self, overrides: list[Any]) -> Effective:
        layers = [self.settings, *overrides]
        severity: dict[str, str] = {}
        for layer in layers:
            for word, level in layer.severity.items():
                severity.update(dict.fromkeys(resolve(word) or (), str(level)))
        ignored = {name for layer in layers for word in layer.ignore for name in resolve(word) or ()}
        return Effective(
            policy=Policy.parse(next(layer.policy for layer in reversed(layers) if layer.policy)),
            framework=next((layer.framework for layer in reversed(layers) if layer.framework), None),
            active=[
                rule for name, rule in self.selected.items() if name not in ignored and severity.get(name) != "off"
            ],
            severity=severity,
            options=self._options,
        )

    def readings(self, subject: object, report: Report) -> Iterator[Reading]:
        """The files below some paths, or the configs of what is alive.

        Raises:
            TypeError: for what is neither a path nor a config.
        """
        roots = _paths(subject)
        if roots is not None:
            for _, reading in self.walk(roots, report):
                yield reading
            return
        from lora_lint import live

        yield from live.readings(subject, self._plain.framework)

    def walk(self, roots: list[str], report: Report) -> Iterator[tuple[Candidate, Reading]]:
        """The files below some roots, read in order; at the end what was left out is in the report."""
        walk = Walk(self.settings)
        for candidate in walk.files(roots):
            if self.since is None or self.since.changed(candidate.path):
                yield candidate, self.read(candidate)
        report.skipped += walk.skipped
        report.summary.skipped += len(walk.skipped)

    def read(self, candidate: Candidate) -> Reading:
        return read_file(candidate, self.settings.max_file_size, self.effective(candidate.path).framework)

    def add(self, reading: Reading, report: Report) -> list[Diagnostic]:
        """Check one file into a report, and return what was found in it."""
        count(reading, report)
        if reading.problem is None and not (reading.source.text or reading.setups):
            return []
        return [one for one in self._touched(reading, report) if report.add(one)]

    def _touched(self, reading: Reading, report: Report) -> Iterator[Diagnostic]:
        """The diagnostics of one file, or those of them that the change touched which is looked at."""
        if self.since is None:
            return self.check(reading, report)
        before = self.since.before(reading)
        known = list(self.check(before, Report())) if before is not None else []
        return self.since.touched(self.check(reading, report), reading, before, known)

    def check(self, reading: Reading, report: Report) -> Iterator[Diagnostic]:
        """The diagnostics of one file, suppressed ones left out and counted."""
        settings = self.effective(reading.path)
        failures: list[Failure] = []
        placed = list(self._findings(reading, settings, failures, report))
        comments = list(
            ignores(reading.source, reading.documents, self.rules, {rule.name for rule in settings.active})
            if reading.source.text and not _commentless(reading)
            else ()
        )
        found = [diagnostic(one, settings.severity) for one in one_per_cause(placed)]
        silencer = Silencer(comments)
        here = reading.source.name
        kept = [one for one in found if one.file != here or not silencer.silences(one.rule, one.range.start.line)]
        report.summary.suppressed += len(found) - len(kept)
        late = self._run([(whole(reading.source), None, comment) for comment in comments], settings, failures, report)
        late_failures = self._run(
            [(whole(reading.source), None, failure) for failure in failures], settings, [], report
        )
        kept += [diagnostic(one, settings.severity) for one in (*late, *late_failures)]
        yield from sorted(kept, key=lambda one: (one.range.start, one.rule))

    def _findings(
        self, reading: Reading, settings: Effective, failures: list[Failure], report: Report
    ) -> Iterator[Placed]:
        subjects: list[tuple[Document, Setup | None, object]] = []
        if reading.problem is not None:
            subjects.append((whole(reading.source), None, reading.problem))
        for setup in reading.setups:
            for file, problem in setup.checkpoint.problems if setup.checkpoint is not None else ():
                subjects.append((whole(Source(beside(setup.document, file), "")), None, problem))
            subjects.append((setup.document, setup, setup))
            subjects += [(setup.document, setup, site) for site in setup.sites if site.state == "active"]
        return self._run(subjects, settings, failures, report)

    def judge(self, subject: object, document: Document, setup: Setup | None) -> Iterator[Diagnostic]:
        """What the rules say of one thing that was found elsewhere, such as the values of an adapter's tensors."""
        settings = self.effective(document.source.name)
        failures: list[Failure] = []
        report = Report()
        placed = list(self._run([(document, setup, subject)], settings, failures, report))
        broken = [(document, setup, failure) for failure in failures]
        for one in (*placed, *self._run(broken, settings, [], report)):
            yield diagnostic(one, settings.severity)

    def _run(
        self,
        subjects: Sequence[tuple[Document, Setup | None, object]],
        settings: Effective,
        failures: list[Failure],
        report: Report,
    ) -> Iterator[Placed]:
        for document, setup, subject in subjects:
            context = {Policy: settings.policy, Setup: setup, Document: document}
            for rule, check, others, options in settings.calls(type(subject), setup):
                try:
                    plain = not (others or options)
                    for finding in check(subject) if plain else check(subject, *map(context.get, others), **options):
                        yield Placed(rule, finding, document, setup, sites_of(subject, setup, finding))
                except UnknownFact:
                    continue
                except Exception as error:  # noqa: BLE001 - one broken rule must not end the run; it's reported
                    import traceback

                    failures.append(Failure(rule.name, f"{type(error).__name__}: {error}"))
                    report.failures.append(f"{document.source.name}: {rule.name}\n{traceback.format_exc()}")

    def _given(self, name: str) -> dict[str, Any]:
        """The user's options of a rule, as its keyword-only parameters are spelled."""
        return {option.replace("-", "_"): value for option, value in self.settings.rules.get(name, {}).items()}


def count(reading: Reading, report: Report) -> None:
    """Add the counts of one file to the summary."""
    summary = report.summary
    if reading.problem is None and (reading.unopened or reading.reason.startswith("not read")):
        summary.skipped += 1
        report.skipped.append(Skipped(reading.path, reading.reason))
        return
    summary.files += 1
    if reading.reason:
        report.unrecognised.append(Skipped(reading.path, reading.reason))
    for setup in reading.setups:
        summary.setups += 1
        for site in setup.sites:
            summary.sites += 1
            reason = site.undecided
            if reason:
                summary.undecided += 1
                place = setup.document.source.position(setup.document.span_of(site.rank.path).start)
                report.undecided.append((setup.document.source.name, place.line, reason))
            elif site.state == "active":
                scale = number(site.scale)
                summary.ratios[scale] = summary.ratios.get(scale, 0) + 1


def _commentless(reading: Reading) -> bool:
    return bool(reading.documents) and reading.documents[0].syntax == "json"
