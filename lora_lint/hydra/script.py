"""The config that a script names in `@hydra.main`, for commands that name none."""

import os
import re

from lora_lint.document import Document
from lora_lint.nearby import MAX_BYTES, Nearby

_MAIN = re.compile(r"@(?:hydra\.)?main\((?P<arguments>[^()@]{0,400})\)")
_ARGUMENT = re.compile(r"(?:(?P<name>\w+)\s*=\s*)?(?:[\"'](?P<text>[^\"'\n]*)[\"']|None|(?P<other>[\w.]+))")
_ORDER = ("config_path", "config_name")


def config_of(command: Document, nearby: Nearby) -> str | None:
    """The path of the config that the Python script of a command asks Hydra for."""
    script = command.callee if command.callee.endswith(".py") else f"{command.callee.replace('.', '/')}.py"
    path = nearby.file(script) if command.callee and isinstance(command.data, dict) and command.data else None
    main = _MAIN.search(_text(path)) if path is not None else None
    if path is None or main is None:
        return None
    given: dict[str, str] = {}
    for at, argument in enumerate(_ARGUMENT.finditer(main["arguments"])):
        key = argument["name"] or _ORDER[min(at, 1)]
        if argument["other"] and key in _ORDER:
            return None
        given.setdefault(key, argument["text"] or "")
    name = given.get("config_name")
    if not name or "://" in given.get("config_path", ""):
        return None
    folder = os.path.join(os.path.dirname(path), given.get("config_path", ""))
    return os.path.join(folder, name if name.endswith(".yaml") else f"{name}.yaml")


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(MAX_BYTES)
    except OSError:
        return ""
    return text if "hydra" in text else ""
