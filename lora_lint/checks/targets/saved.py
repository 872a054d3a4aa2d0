"""Are the modules that have to be trained whole saved whole, and no others?"""

from collections.abc import Iterator
from itertools import islice

from lora_lint.checks.targets.classifier import CLASSIFIES
from lora_lint.checks.targets.names import MOST_DEAD
from lora_lint.facts import Setup
from lora_lint.finding import Finding, Severity
from lora_lint.targets import shown


def save_target_overlap(setup: Setup) -> Iterator[Finding]:
    if not setup.active or not setup.target_syntax or not setup.saved:
        return
    level = Severity.WARNING if setup.trained else None
    whole = {saved.value: saved for saved in setup.saved}
    covered = ((name, part) for name in setup.targets.names for part in _parts_of(name.value) if part in whole)
    for name, part in islice(covered, MOST_DEAD):
        yield Finding(
            f"{shown(name)} is in modules_to_save too: it is trained whole, and PEFT puts no LoRA on it",
            at=name.path,
            related=((whole[part].path, "saved whole"),),
            severity=level,
        )
    for rows in setup.token_rows:
        if (saved := whole.get(rows.value)) is not None:
            message = f"{shown(saved)} is trained whole, and some of its rows by trainable_token_indices: PEFT fails"
            yield Finding(message, at=rows.path, related=((saved.path, "saved whole"),), severity=level)


def _parts_of(target: str) -> Iterator[str]:
    """The names of saved modules that would hold whatever a target names; PEFT tries `(^|.*\\.)SAVED($|\\..*)`."""
    parts = target.split(".", _DEEPEST)
    for start in range(len(parts)):
        for end in range(start + 1, len(parts) + 1):
            yield ".".join(parts[start:end])


_DEEPEST = 20
"""Parts of a path, well beyond any model's."""


def tied_embeddings_partial(setup: Setup) -> Iterator[Finding]:
    from lora_lint.base_model import EMBEDDINGS, OUTPUTS

    if setup.targets.lasts.isdisjoint((*EMBEDDINGS, *OUTPUTS)) and not setup.saved:
        return
    trained = {name.value.rpartition(".")[2]: name for name in (*setup.targets.names, *setup.saved)}
    ends = [name for name in (*EMBEDDINGS, *OUTPUTS) if name in trained]
    if not ends or not setup.active or (base := setup.base) is None or not base.tied:
        return
    ensured, task = setup.adapter.ensure_weight_tying, setup.adapter.task_type
    if (ensured is not None and ensured.value) or (task is not None and task.value in CLASSIFIES):
        return
    reward = setup.training.reward_model
    if reward is not None and reward.value:
        return
    kept = "the other keeps the old weight" if len(ends) == 1 else "each becomes a weight of its own"
    yield Finding(
        f"head and embedding of {base.name} share one weight, and {' and '.join(ends)} "
        f"{'is' if len(ends) == 1 else 'are'} trained: {kept}, and a merged model has one of them wrong",
        at=trained[ends[0]].path,
    )


def embedding_or_head_targeted(setup: Setup) -> Iterator[Finding]:
    targets = setup.targets
    if targets.lasts.isdisjoint(_SAVED_WHOLE):
        return
    if not setup.active or not setup.target_syntax or setup.training.new_tokens is not None:
        return
    named = [name for name in targets.names if name.value in _SAVED_WHOLE]
    if named and not {name.value for name in named} <= {saved.value for saved in setup.saved}:
        names = " and ".join(dict.fromkeys(name.value for name in named))
        yield Finding(f"with {names} as target, PEFT saves embedding and head whole too", at=named[0].path)


_SAVED_WHOLE = ("embed_tokens", "lm_head")
"""`EMBEDDING_LAYER_NAMES` of PEFT: with either of them as a target, `save_embedding_layers` turns on by itself
(peft/utils/save_and_load.py:279 at 0.21.2)."""
