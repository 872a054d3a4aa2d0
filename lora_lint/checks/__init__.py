"""The rules' functions: `rules/<family>/<rule>.md` is checked by the function `<rule>` of `<family>`."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def on_demand(package: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """The `__getattr__` of a family in several modules, each imported when one of its checks is asked for.

    Most files are about few of them, and a run on a single file is over before the others were read.
    """
    owners = {check: module for module, checks in modules.items() for check in checks}

    def attribute(name: str) -> object:
        if name not in owners:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{owners[name]}"), name)

    return attribute
