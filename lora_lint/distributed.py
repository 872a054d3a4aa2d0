"""How a run spreads its weights over processes, as far as the configurations near the file say it."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lora_lint.document import Path
from lora_lint.finding import Elsewhere

if TYPE_CHECKING:
    from lora_lint.facts import Setup

GATHERS = ("stage3_gather_16bit_weights_on_model_save", "gather_16bit_weights_on_model_save")
"""DeepSpeed's key for writing whole weights at ZeRO-3, and its newer name; off where it's absent."""
_ACCELERATE = re.compile(r"accelerate +launch\b(?:[^\n]|\\\n)*?--config_file[ =]+[\"']?([\w./-]+\.ya?ml)")
_DEEPSPEED = re.compile(r"--deepspeed(?:_config)?[ =]+[\"']?([\w./-]+\.json)")
MAX_SCRIPTS = 20
"""Shell scripts beside a Python file that may launch it."""
MAX_SCRIPT = 64 * 1024


class Zero(NamedTuple):
    """DeepSpeed's ZeRO: the stage, whether weights are gathered for saving, and the key that says so or the stage.

    `elsewhere` is the configuration where it is a file of its own; `path` is a path in it then.
    """

    stage: int
    gathers: bool
    path: Path
    elsewhere: Elsewhere | None = None


class Sharded(NamedTuple):
    """The kind of state dict that FSDP saves, and where a launch configuration says it."""

    kind: str
    path: Path
    elsewhere: Elsewhere


def zeros(setup: "Setup") -> Iterator[Zero]:
    """What the DeepSpeed configurations of a run say, as far as they can be read."""
    fact = setup.training.deepspeed
    if fact is not None and fact.known:
        if isinstance(fact.value, str):
            yield from _zero_of_file(setup, fact.value)
        else:
            yield from _zero(fact.value, fact.path, None)
    for name in _named_by_launches(setup, _DEEPSPEED) if fact is None else ():
        yield from _zero_of_file(setup, name)
    for file in _launches(setup):
        plugin = _block(file.document.data, "deepspeed_config")
        if plugin.get("zero_stage") == 3:
            said = "zero3_save_16bit_model" in plugin
            path: Path = ("deepspeed_config", "zero3_save_16bit_model" if said else "zero_stage")
            yield Zero(3, plugin.get("zero3_save_16bit_model") in (True, "true", "True"), path, file)
        elif isinstance(other := plugin.get("deepspeed_config_file"), str):
            yield from _zero_of_file(setup, other)


def _zero_of_file(setup: "Setup", name: str) -> Iterator[Zero]:
    file = setup.named(name) if name.endswith(".json") else None
    if file is not None:
        yield from _zero(file.document.data, (), Elsewhere(file.path, file.document))


def _zero(config: object, path: Path, elsewhere: Elsewhere | None) -> Iterator[Zero]:
    options = _block(config, "zero_optimization")
    stage = options.get("stage")
    if isinstance(stage, int):
        key = next((key for key in GATHERS if key in options), "stage")
        gathers = any(options.get(key) is True for key in GATHERS)
        yield Zero(stage, gathers, (*path, "zero_optimization", key), elsewhere)


def sharded(setup: "Setup") -> Iterator[Sharded]:
    """The launch configurations of a run with FSDP whose state dicts aren't whole."""
    for file in _launches(setup):
        data = file.document.data
        kind = _block(data, "fsdp_config").get("fsdp_state_dict_type")
        if _block(data, "").get("distributed_type") == "FSDP" and kind in ("SHARDED_STATE_DICT", "LOCAL_STATE_DICT"):
            yield Sharded(kind, ("fsdp_config", "fsdp_state_dict_type"), file)


def _launches(setup: "Setup") -> Iterator[Elsewhere]:
    """The files that `accelerate launch --config_file` names for a run."""
    document = setup.document
    names: list[str] = []
    if document.syntax == "shell" and "accelerate" in document.words:
        name = _block(document.data, "").get("config_file")
        names += [name] if isinstance(name, str) else []
    elif document.syntax == "python":
        names += _named_by_launches(setup, _ACCELERATE)
    for name in dict.fromkeys(names):
        file = setup.named(name) if name.endswith((".yaml", ".yml")) else None
        if file is not None:
            yield Elsewhere(file.path, file.document)


def _named_by_launches(setup: "Setup", pattern: re.Pattern[str]) -> list[str]:
    """The files that the text of a Python file, and the shell scripts beside it that launch it, name in a command."""
    if setup.document.syntax != "python" or setup.folder is None:
        return []
    own = setup.document.source.name.rpartition("/")[2]
    scripts = sorted(name for name in setup.folder.names if name.endswith(".sh"))
    texts = [setup.folder.text(name) or "" for name in scripts] if len(scripts) <= MAX_SCRIPTS else []
    launching = [text for text in texts if own in text and len(text) <= MAX_SCRIPT]
    found: list[str] = []
    for text in (setup.document.source.text, *launching):
        commands = [line for line in re.sub(r"\\\r?\n", " ", text).split("\n") if own in line]
        found += [match[1] for line in commands if (match := pattern.search(line))]
    return found


def _block(data: object, key: str) -> Mapping[Any, Any]:
    """A mapping, or the one under a key of it; an empty one where there is none."""
    block = data.get(key) if key and isinstance(data, Mapping) else data
    return block if isinstance(block, Mapping) else {}
