"""What the rules say of the tensors, by the tensor that they point at."""

from collections import defaultdict

from lora_lint.document import Source
from lora_lint.facts import Setup
from lora_lint.finding import Diagnostic, Finding
from lora_lint.linter import Linter
from lora_lint.placing import Placed, diagnostic
from lora_lint.reading import whole
from lora_lint.reference.adapter import ModuleClaim
from lora_lint.reference.verdict import Verdict
from lora_lint.update import Comparison


class Said:
    """The rules with the user's settings, and what they have said so far."""

    def __init__(self, linter: Linter, setup: Setup | None) -> None:
        self._linter = linter
        self._setup = setup
        self._document = setup.document if setup is not None else whole(Source("", ""))
        self._said: defaultdict[str | None, list[Diagnostic]] = defaultdict(list)

    def ask(self, subject: object) -> None:
        for one in self._linter.judge(subject, self._document, self._setup):
            self._said[one.tensor].append(one)

    def fault(self, fault: Verdict, tensor: str, file: str) -> Verdict:
        """Let the rule of a fault speak of it in its own severity.

        What is left is no fault any more; where the user's settings silence the rule, nothing was found out instead.
        """
        settings = self._linter.effective(self._document.source.name)
        rule = next((one for one in settings.active if one.name == fault.rule), None)
        if rule is None:
            return Verdict("undecided", fault.message)
        if rule.parameters[0] is Comparison:
            self.ask(Comparison(rule.name, fault.message, tensor, file))
        else:  # a rule that is run on headers, whose fault the tensors have too
            finding = Finding(fault.message, tensor=tensor, file=file)
            placed = Placed(rule, finding, self._document, self._setup, frozenset())
            self._said[tensor].append(diagnostic(placed, settings.severity))
        return Verdict("ok", "", fault.cause)

    def at(self, tensor: str) -> list[Diagnostic]:
        return self._said.get(tensor, [])

    def of(self, claim: ModuleClaim) -> list[Diagnostic]:
        found = [one for ref in claim.refs for one in self._said.get(ref.name, ())]
        return sorted(found, key=lambda one: -one.severity.rank)
