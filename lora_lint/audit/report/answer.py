"""What was asked, and the answer, in sentences."""

from typing import NamedTuple

from lora_lint.audit.report.charts import policy_formula
from lora_lint.audit.summary import Summary, Verdict
from lora_lint.policy import Policy
from lora_lint.reporters.cells import percent, thousands
from lora_lint.scaling import number

KINDS = {
    "checkpoint": "adapter",
    "training": "training config",
    "source": "Python setup",
    "serving": "serving config",
}

_UNJUDGED: dict[Verdict, str] = {
    "undecided": "whose scale the files don't settle",
    "other": "that no policy speaks of",
    "unreadable": "that can't be read",
}


class Told(NamedTuple):
    """The question, the answer, and what else is to be known of the number in it."""

    question: str
    answer: str
    rest: str


def told(summary: Summary, policy: Policy) -> Told:
    return Told(_question(policy), _answer(summary), _rest(summary))


def _question(policy: Policy) -> str:
    wanted = policy.wanted_scale
    end = f"{policy_formula(policy)}, so that s = {number(wanted)}" if wanted is not None else policy_formula(policy)
    return f"Is every adapter scaled as the policy {policy} wants it: {end}?"


def _answer(summary: Summary) -> str:
    held, deviate = summary.adapters.verdicts["holds"], summary.adapters.verdicts["deviates"]
    judged = held + deviate
    if not summary.adapters.total:
        return "No adapter was found."
    if not judged:
        return f"Nobody can say: of {_counted(summary, summary.adapters.total)} none could be judged."
    if not deviate:
        told = (
            f"all of {_counted(summary, judged)} that can be judged are"
            if held > 1
            else "the one that can be judged is"
        )
        return f"Yes: {told} scaled as the policy wants."
    if not held:
        none = (
            f"none of {_counted(summary, judged)} that can be judged" if deviate > 1 else "the one that can be judged"
        )
        return f"No: {none} {'is' if deviate > 1 else 'is not'} scaled as the policy wants."
    told = f"{deviate:,} of {_counted(summary, judged)} ({percent(deviate / judged)})"
    return f"No: {told} {'is' if deviate == 1 else 'are'} not scaled as the policy wants."


def _counted(summary: Summary, count: int) -> str:
    """A number of what was found: adapters where there is nothing else."""
    if set(summary.kinds) <= {"checkpoint", "unreadable"}:
        return thousands(count, "adapter")
    return f"{count:,} adapters and configs" if count > 1 else "1 adapter or config"


def _rest(summary: Summary) -> str:
    """Of what kinds they are, and how many of them the answer doesn't speak of."""
    if not summary.adapters.total:
        return ""
    kinds = [thousands(summary.kinds[kind], noun) for kind, noun in KINDS.items() if summary.kinds.get(kind)]
    unread = summary.kinds.get("unreadable", 0)
    kinds += [f"{thousands(unread, 'file')} that can't be read"] if unread else []
    verdicts = {**summary.adapters.verdicts}
    if verdicts["unreadable"] == unread:
        verdicts["unreadable"] = 0
    parts = [f"{verdicts[verdict]:,} {words}" for verdict, words in _UNJUDGED.items() if verdicts[verdict]]
    left = f" The answer leaves out {_joined(parts)}." if parts else ""
    return f"Found: {_joined(kinds)}.{left}"


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
