"""Where do the base model, its code and the weights come from, and what goes out with the file?"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lora_lint.base_name import base_name, is_commit, where
from lora_lint.document import Path, lookup
from lora_lint.facts import Fact, Setup
from lora_lint.finding import Finding, Severity
from lora_lint.folder import CARD

LONGEST_NAME = 80
"""Characters of a name that a message shows."""


def hard_coded_token(setup: Setup) -> Iterator[Finding]:
    for kind, span in setup.document.source.credentials:
        yield Finding(f"a {kind} of {span.end - span.start} characters is written out", span=span)


def pickle_adapter(setup: Setup) -> Iterator[Finding]:
    safe = setup.training.safe_serialization if setup.planned and setup.active else None
    if safe is not None and not safe.value:
        yield Finding(
            f"{safe.path[-1]} is false: the adapter is saved as a pickle, and loading a pickle can run any code",
            at=safe.path,
        )
    checkpoint = setup.checkpoint
    for file in checkpoint.files if checkpoint is not None else ():
        if file.endswith(".bin"):
            yield Finding("the weights are pickled, and loading a pickle can run any code", file=file)


def local_base_path(setup: Setup) -> Iterator[Finding]:
    base = setup.base_name if setup.trained else None
    if base is None or base.where not in ("path", "nowhere"):
        return
    if base.where == "nowhere":
        yield Finding("no base model is named", at=base.path, severity=Severity.NOTE)
        return
    instead = f"; it was downloaded from {base.repository}" if base.repository else ""
    yield Finding(
        f"the base model is {base.name[:LONGEST_NAME]}, a path of the machine that trained it{instead}", at=base.path
    )


def private_path(setup: Setup) -> Iterator[Finding]:
    text = setup.document.source.text
    if not setup.trained or (text and not any(mark in text for mark in _HOMES)):
        return
    told = setup.base_name
    told_of = told.path if told is not None and told.where == "path" else None
    # The names, types and shapes of a file's tensors tell nothing, and there may be more of them than are looked at.
    start: Path = ("__metadata__",) if setup.lone else ()
    texts = _texts(lookup(setup.document.data, start), start)
    found = [(path, match) for path, value in texts if (match := _HOME.search(value))]
    for path, match in found:
        if path != told_of and (match[1] or match[2]).lower() not in _NOBODY:
            yield Finding(
                f"{path[-1]} tells the home folder {match[0][:LONGEST_NAME]} to whoever gets the adapter", at=path
            )
            return


_HOMES = ("/home/", "/Users/", "\\Users\\")
_HOME = re.compile(r"(?:/home|/Users)/([\w.-]+)|[A-Za-z]:[\\/]+Users[\\/]+([\w.-]+)")
_NOBODY = ("user", "users", "username", "runner", "ubuntu", "root", "jovyan", "ec2-user", "sagemaker-user", "app", "me")
"""Accounts that containers and cloud machines come with."""
_MOST_TEXTS = 10_000


def _texts(data: object, start: Path) -> Iterator[tuple[Path, str]]:
    """The texts in what stands at a path, with the paths of their own."""
    pending: list[tuple[Path, object]] = [(start, data)]
    for _ in range(_MOST_TEXTS):
        if not pending:
            return
        path, value = pending.pop()
        if isinstance(value, str):
            yield path, value[:_MOST_TEXTS]
        elif isinstance(value, Mapping):
            pending += [((*path, key), inner) for key, inner in reversed(list(value.items()))]
        elif isinstance(value, list):
            pending += [((*path, at), inner) for at, inner in reversed(list(enumerate(value)))]


def remote_code_required(setup: Setup) -> Iterator[Finding]:
    trusts = setup.training.trust_remote_code or _of_remote_class(setup)
    if trusts is None or not trusts.value or not setup.active:
        return
    base, revision = base_name(setup.adapter, default=True), setup.adapter.revision
    if base is not None and base.where == "hub" and not (revision is not None and is_commit(revision.value)):
        yield Finding(f"what code {base.name[:LONGEST_NAME]} holds is run, and no commit pins it", at=trusts.path)


def _of_remote_class(setup: Setup) -> Fact[Any] | None:
    """Where an adapter says that its base model's class came from the code of a repository."""
    mapping = setup.adapter.auto_mapping
    library = mapping.value.get("parent_library") if mapping is not None and mapping.known else None
    remote = isinstance(library, str) and library.startswith("transformers_modules")
    return replace(mapping, path=(*mapping.path, "parent_library")) if mapping is not None and remote else None


def revision_unpinned(setup: Setup) -> Iterator[Finding]:
    revision = setup.adapter.revision
    if revision is None or revision.origin != "written" or not revision.value or not setup.active:
        return
    base, trusts = setup.base_name, setup.training.trust_remote_code
    told = trusts is not None and trusts.known and trusts.value
    if base is not None and base.where == "hub" and not is_commit(revision.value) and not told:
        yield Finding(
            f"revision {revision.value[:LONGEST_NAME]} of {base.name[:LONGEST_NAME]} is a branch or a tag, "
            "which can be moved or be missing",
            at=revision.path,
        )


def stale_base_model_metadata(setup: Setup) -> Iterator[Finding]:
    base = setup.base_name if setup.checkpoint is not None else None
    if base is None or base.where != "hub" or setup.folder is None:
        return
    said = setup.folder.card_base_models
    if said and not any(_is(one.value, base.name) for one in said):
        first = said[0]
        yield Finding(
            f"the card names {first.value[:LONGEST_NAME]}, but the adapter's base model is {base.name[:LONGEST_NAME]}",
            file=CARD,
            line=first.line,
        )


_PACKED = re.compile(
    r"(?:[-_.](?:unsloth|bnb|dynamic|quantized|4bit|8bit|int4|int8|fp8|bf16|fp16|nf4|awq|gptq|gguf|mlx|hf|w\d+a\d+))+\Z"
)
"""Endings that tell how weights are stored, not which they are."""


def _is(said: str, base: str) -> bool:
    """Whether a card names the base model, maybe a mirror of it or a quantised copy."""
    names = [_PACKED.sub("", name[-1000:].lower().rpartition("/")[2]).removeprefix("meta-") for name in (said, base)]
    return where(said) != "path" and names[0] == names[1]
