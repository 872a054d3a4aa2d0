"""Are the rows of new tokens trained?"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lora_lint.facts import Setup
from lora_lint.finding import Finding, Severity

if TYPE_CHECKING:
    from lora_lint.folder import Folder


def new_tokens_without_embeddings(setup: Setup) -> Iterator[Finding]:
    tokens = setup.training.new_tokens
    if setup.trained:
        yield from _rows_beyond(setup)
    if tokens is None or (tokens.known and not tokens.value) or not setup.active or setup.fragment:
        return
    if not _trains_embedding(setup):
        count = len(tokens.value) if tokens.known and isinstance(tokens.value, list) else 1
        several = f"{count} token{'s are' if count > 1 else ' is'}" if tokens.known else "tokens are"
        yield Finding(
            f"{several} added, but neither modules_to_save nor the targets hold "
            "the embedding, so new rows of it stay as they were initialised",
            at=tokens.path,
            severity=None if tokens.known else Severity.WARNING,
        )


def _trains_embedding(setup: Setup) -> bool:
    """Whether the embedding gets LoRA, is trained whole or in some rows, or may be."""
    adapter, targets = setup.adapter, setup.targets
    if adapter.trainable_token_indices is not None or targets.unknown or targets.regex is not None:
        return True
    if adapter.modules_to_save is not None and not adapter.modules_to_save.known:
        return True
    from lora_lint.base_model import EMBEDDINGS

    names = {name.value.rpartition(".")[2] for name in (*setup.saved, *targets.names)}
    return not names.isdisjoint((*EMBEDDINGS, "all-embedding"))


def _rows_beyond(setup: Setup) -> Iterator[Finding]:
    """Tokens that the tokenizer beside a saved adapter has, and the base model has no rows for."""
    folder = setup.folder
    if not setup.active or folder is None or not folder.names & {"added_tokens.json", "tokenizer_config.json"}:
        return
    rows = setup.base.vocabulary if setup.base is not None else None
    if rows is None or _trains_embedding(setup):
        return
    new = [token for token, at in _added(folder) if at >= rows and not _PADS.search(token)]
    if new:
        saved = setup.ask("modules_to_save")
        more = f" and {len(new) - 1} more" if len(new) > 1 else ""
        yield Finding(
            f"the tokenizer beside it has {new[0][:40]}{more} beyond the "
            f"{rows} rows of the base model, and nothing that was trained holds the embedding",
            at=saved.path if saved is not None else (),
            severity=Severity.WARNING,
        )


def _added(folder: "Folder") -> Iterator[tuple[str, int]]:
    """Tokens that a saved tokenizer has beside its vocabulary, with their rows, once each."""
    added = folder.json("added_tokens.json") or {}
    yield from ((str(token), at) for token, at in added.items() if isinstance(at, int))
    decoder = (folder.json("tokenizer_config.json") or {}).get("added_tokens_decoder")
    for at, token in decoder.items() if isinstance(decoder, Mapping) else ():
        name = token.get("content") if isinstance(token, Mapping) else None
        if isinstance(name, str) and str(at).isdecimal() and len(str(at)) < 10 and name not in added:
            yield name, int(at)


_PADS = re.compile("pad|unk", re.IGNORECASE)
"""Tokens that stand in for something and that no model writes."""
