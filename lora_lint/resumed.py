"""The saved adapter that a run goes on from, where it lies near the file."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lora_lint.facts import Fact

if TYPE_CHECKING:
    from lora_lint.facts import Setup


class Resumed(NamedTuple):
    """`config` is the adapter's own `adapter_config.json`, `fact` the setting that names its folder.

    `rebuilt`: the adapter is built as the setup says, and the saved weights are loaded into it; otherwise it is built
    as it was saved, and what the setup says of it is ignored.
    """

    fact: Fact[Any]
    config: Mapping[str, Any]
    rebuilt: bool


def resumed(setup: "Setup") -> Resumed | None:
    """The adapter that is gone on from, None where there is none that can be read."""
    training, built = setup.training, setup.sites[0].rank.known
    # Where the rank counts although an adapter is named, that one is merged and a new one is trained on top.
    for fact, rebuilt in ((training.resume_from, built), (None if built else training.adapter_path, False)):
        folder = _folder(fact)
        config = _config(setup, folder) if folder else None
        if fact is not None and config is not None and str(config.get("peft_type", "LORA")).upper() == "LORA":
            return Resumed(fact, config, rebuilt)
    return None


def _config(setup: "Setup", folder: str) -> Mapping[str, Any] | None:
    """The config of a saved adapter, or what the header of its weights says where none lies there."""
    if folder.endswith(WEIGHTS):
        return _of_header(setup, folder)
    return setup.near(f"{folder}/adapter_config.json") or _of_header(setup, f"{folder}/adapter_model{WEIGHTS}")


WEIGHTS = ".safetensors"


def _of_header(setup: "Setup", name: str) -> Mapping[str, Any] | None:
    """The rank that all modules of a file of weights share, and their alpha where it is written there."""
    from lora_lint.document import UnreadableError
    from lora_lint.lone import setup_of
    from lora_lint.nearby import Nearby

    if not setup.path or setup.document.embedded:
        return None
    path = Nearby(setup.path, setup.document.source.inside).file(name)
    try:
        saved = setup_of(path, name) if path is not None else None
    except (OSError, UnreadableError):
        return None
    facts = [(site.rank, site.alpha) for site in saved.sites] if saved is not None else []
    ranks = {rank.value for rank, _ in facts if rank.known}
    alphas = {alpha.value for _, alpha in facts if alpha is not None and alpha.origin == "written"}
    if len(ranks) != 1:
        return None
    return {"r": ranks.pop()} | ({"lora_alpha": alphas.pop()} if len(alphas) == 1 else {})


def _folder(fact: Fact[Any] | None) -> str:
    """The one folder that is named: the last of several adapters is trained on, those before it are merged."""
    value = fact.value if fact is not None and fact.known else None
    if isinstance(value, str):
        value = value.split(",")
    last = value[-1] if isinstance(value, list) and value else ""
    return last.strip().rstrip("/") if isinstance(last, str) else ""
