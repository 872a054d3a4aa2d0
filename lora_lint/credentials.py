"""Tokens that stand in a text: what kind and where; the token itself is never kept."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import NamedTuple

from lora_lint.document import Span
from lora_lint.search import holds_any


class Credential(NamedTuple):
    """A token of a service and the place where it stands."""

    kind: str
    span: Span


class Form(NamedTuple):
    """What a kind of token looks like. `hints` are looked for first, since hardly any file has one."""

    hints: tuple[str, ...]
    token: str
    before: str = ""
    """What has to stand in front of a token that nothing else tells from a checksum."""


_FORMS = {
    "Hugging Face token": Form(("hf_", "api_org_"), r"(?:hf|api_org)_[A-Za-z0-9]{34}"),
    "W&B key": Form(("wandb", "WANDB"), "[0-9a-f]{40}", r"(?i:wandb(?:_api)?_key|wandb[ .]login)[^\n]{0,40}?"),
    "OpenAI key": Form(("T3BlbkFJ",), r"sk-[\w-]{20,100}T3BlbkFJ[\w-]{20,100}"),
    "Anthropic key": Form(("sk-ant-",), r"sk-ant-[a-z0-9]+-[\w-]{80,120}"),
    "OpenRouter key": Form(("sk-or-",), r"sk-or-v1-[0-9a-f]{64}"),
    "API key": Form(("sk-",), r"sk-[0-9a-f]{32}"),
    "GitHub token": Form(("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9]{36}"),
    "GitHub access token": Form(("github_pat_",), r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    "AWS access key": Form(("AKIA",), r"AKIA[A-Z2-7]{16}"),
    "Google API key": Form(("AIza",), r"AIza[\w-]{35}"),
    "Replicate token": Form(("r8_",), r"r8_[A-Za-z0-9]{37}"),
    "Groq key": Form(("gsk_",), r"gsk_[A-Za-z0-9]{52}"),
}
"""Kind -> the form of its tokens, as the services issue them and as gitleaks and GitHub's secret scanning know them."""

_HINTS = [(hint, kind) for kind, form in _FORMS.items() for hint in form.hints]
_ANY_HINT = tuple(hint.encode() for hint, _ in _HINTS)

_STAND_IN = re.compile(
    r"your|token|here|example|replace|dummy|fake|placeholder|secret|redacted|xxx|abcdef|123456|qwerty", re.IGNORECASE
)
_LEAST_VARIETY = 10
"""Distinct characters of a token: 32 random digits of base 16 have fewer but once in some thousand cases."""
MOST = 20
"""Tokens of one kind that are told of in one text."""


def credentials(text: str) -> Iterator[Credential]:
    """The tokens of a text; what stands in for one in a guide is none."""
    if not holds_any(text.encode("utf-8", "surrogatepass"), _ANY_HINT):
        return
    for kind in dict.fromkeys([kind for hint, kind in _HINTS if hint in text]):
        spans = (match.span(1) for match in _pattern(_FORMS[kind]).finditer(text) if _is_real(match[1]))
        yield from (Credential(kind, Span(*span)) for span in islice(spans, MOST))


def masked(text: str) -> str:
    """The text with stars of the same number in place of tokens."""
    for _, (start, end) in credentials(text):
        text = text[:start] + "*" * (end - start) + text[end:]
    return text


@cache
def _pattern(form: Form) -> re.Pattern[str]:
    return re.compile(rf"{form.before}(?<![A-Za-z0-9_-])({form.token})(?![A-Za-z0-9_-])")


def _is_real(token: str) -> bool:
    return len(set(token)) >= _LEAST_VARIETY and not _STAND_IN.search(token)
