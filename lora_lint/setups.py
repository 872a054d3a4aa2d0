"""The documents of a file to setups: each alone, or with the files near it that it is meant with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from lora_lint.document import Document
from lora_lint.facts import Setup, Site
from lora_lint.frameworks import framework
from lora_lint.frameworks import setup as setup_of
from lora_lint.nearby import Nearby, config_names
from lora_lint.once import for_each
from lora_lint.tensors import Checkpoint, LoraTensors

Meant = tuple[Document, Setup | None]
"""A document as it is meant, and what it says about LoRA."""


def setups(
    documents: Sequence[Document], names: list[str], beside: Callable[[], Checkpoint | None], path: str
) -> Iterator[Meant]:
    """What the documents of one file say; `names` are the frameworks to ask, `path` is where the file is.

    A command is meant with the config file that it names and the program that it runs, a config with the tree of
    configs that it is a part of.
    """
    nearby = Nearby(path, documents[0].source.inside) if path and documents else None
    for document, found in _of_tree(documents, names, nearby) or _each(documents, names, beside, nearby):
        if found is not None:
            found.path = path
            complete(found)
        yield document, found


def _of_tree(documents: Sequence[Document], names: list[str], nearby: Nearby | None) -> list[Meant]:
    """The parts of a config that others are composed with; none where it stands alone."""
    if len(documents) != 1 or documents[0].syntax != "yaml" or not isinstance(documents[0].data, dict):
        return []
    from lora_lint.hydra.setups import of_file

    parts = of_file(documents[0], names, nearby)
    if parts is None:
        return []
    return [(part.document, part) for part in parts] or [(documents[0], None)]


def _each(
    documents: Sequence[Document], names: list[str], beside: Callable[[], Checkpoint | None], nearby: Nearby | None
) -> Iterator[Meant]:
    for document in documents:
        if document.syntax == "shell" and nearby is not None:
            yield _of_command(document, names, nearby)
        else:
            yield document, setup_of(document, names, (lambda: None) if document.embedded else beside)


def _of_command(command: Document, names: list[str], nearby: Nearby) -> Meant:
    """What a command brings about, over its config file or else with the options of its program."""
    named = any(config_names(command))
    if named or _sets_keys(command):
        from lora_lint.overrides import setup

        whole, found = setup(command, names, nearby)
        if named or whole.base:
            return whole, found
    else:
        found = setup_of(command, names, lambda: None)
    if not names or not command.callee:
        return command, found
    from lora_lint.program import completed

    return completed(command, found, names, nearby)


def _sets_keys(command: Document) -> bool:
    """Whether a command sets keys of a config, which the script that it runs may name."""
    return isinstance(command.data, dict) and any("." in str(key) for key in command.data)


def complete(setup: Setup) -> Setup:
    """A setup with its framework's name, and whether its alpha is a fact about weights that exist."""
    setup.title = framework(setup.framework).TITLE
    data = setup.document.data
    weights = setup.checkpoint is not None and bool(setup.checkpoint.files)
    saved = isinstance(data, dict) and data.get("inference_mode") is True
    setup.sites = _with_real_modules(setup)
    setup.trained = setup.kind == "checkpoint" and (weights or saved)
    return setup


def _with_real_modules(setup: Setup) -> tuple[Site, ...]:
    """The sites, the modules that the tensors name in place of the targets, where one site is all there is."""
    checkpoint = setup.checkpoint
    if len(setup.sites) != 1 or setup.lone or checkpoint is None or not checkpoint.tensors:
        return setup.sites
    names = _names(setup.tensor_modules)
    if not names or setup.sites[0].state != "active" or names.keys() >= set(setup.sites[0].modules):
        return setup.sites
    return (replace(setup.sites[0], modules=tuple(names)),)


@for_each
def _names(modules: Sequence[LoraTensors]) -> dict[str, None]:
    """The names of modules, in order."""
    return dict.fromkeys(module.module for module in modules if module.method == "lora")
