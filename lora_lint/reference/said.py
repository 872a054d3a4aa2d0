"""What the rules say of the tensors, by the tensor that they point at."""

from collections import defaultdict

from lora_lint.document import Source
from lora_lint.facts import Setup
from lora_lint.finding import Diagnostic
from lora_lint.linter import Linter
from lora_lint.reading import whole
from lora_lint.reference.adapter import ModuleClaim


class Said:
    """The rules with the user's settings, and what they have said so far."""

    def __init__(self, linter: Linter, setup: Setup | None) -> None:
        self._linter = linter
        self._setup = setup
        self._document = setup.document if setup is not None else whole(Source("", ""))
        self._said: defaultdict[str | None, list[Diagnostic]] = defaultdict(list)

    def ask(self, subject: object) -> None:
        for diagnostic in self._linter.judge(subject, self._document, self._setup):
            self._said[diagnostic.tensor].append(diagnostic)

    def of(self, claim: ModuleClaim) -> list[Diagnostic]:
        found = [one for ref in claim.refs for one in self._said.get(ref.name, ())]
        return sorted(found, key=lambda one: -one.severity.rank)
