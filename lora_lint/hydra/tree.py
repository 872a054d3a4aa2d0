"""The order in which Hydra merges the configs that a defaults list leads to."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lora_lint.hydra.element import MISSING, SELF, Element, UnsettledError, elements
from lora_lint.nearby import ConfigFile

MAX_CONFIGS = 200
MAX_DEPTH = 20
_CHOICE = re.compile(r"\$\{([^{}]*)\}")

Choice = str | list[str] | None


class Layer(NamedTuple):
    """One config's values on the way into the whole; `file` is None where the config isn't here."""

    name: str
    package: str
    file: ConfigFile | None


@dataclass
class _Node:
    element: Element
    children: "list[_Node | Element] | None" = None
    file: ConfigFile | None = None
    name: str = ""


@dataclass
class Tree:
    """hydra/_internal/defaults_list.py of hydra-core 1.3: lists are read from their end, as overrides stand there.

    `load` finds a config by its path; `choices` are what the command line chooses, by key, `added` what it appends.
    """

    load: Callable[[str], ConfigFile | None]
    choices: Mapping[str, Choice] = field(default_factory=dict)
    added: tuple[Element, ...] = ()
    known: dict[str, Choice] = field(default_factory=dict)
    """The groups that were met, with the option of each."""
    used: set[str] = field(default_factory=set)
    _overrides: dict[str, Choice] = field(default_factory=dict)
    _loaded: int = 0

    def layers(self, name: str) -> list[Layer]:
        """What is merged, the weakest first.

        Raises:
            UnsettledError: where the files alone don't tell.
        """
        self._overrides = dict(self.choices)
        root = _Node(Element(None, name))
        self._walk(root, depth=0)
        while self._choose(root):
            pass
        unused = next((key for key in self._overrides if key not in self.used), None)
        if unused is not None:
            raise UnsettledError(f"{unused} is overridden, but no defaults list here has it")
        return list(_layers(root))

    def _walk(self, node: _Node, depth: int, *, free: bool = True) -> None:
        element, option = node.element, node.element.name
        self._loaded += 1
        if depth > MAX_DEPTH or self._loaded > MAX_CONFIGS:
            raise UnsettledError(f"its defaults lead to more than {MAX_CONFIGS} configs, or deeper than {MAX_DEPTH}")
        if element.group is not None:
            self.used.update({element.key} & self._overrides.keys())
            self.known.setdefault(element.key, option)
        if option is None or isinstance(option, list):
            return
        node.name = element.config_path(option)
        node.file = self.load(node.name)
        if option == MISSING or node.file is None:
            return
        element.header = node.file.package
        data = node.file.document.data
        listed = data.get("defaults") if isinstance(data, dict) else None
        items = list(elements(listed)) if isinstance(listed, list) else []
        if not any(one.is_self for one in items):
            items.append(Element(None, SELF))
        self._children(node, [*items, *(self.added if depth == 0 else ())], depth, free=free)

    def _children(self, node: _Node, items: list[Element], depth: int, *, free: bool) -> None:
        found: list[_Node | Element] = []
        for item in items:
            item.folder, item.parent = node.element.group_path, node.element.final_package
            if item.override:
                if not free:
                    raise UnsettledError("an interpolated choice overrides others")
                self._overrides.setdefault(item.key, item.name)
        for item in reversed(items):
            if item.is_self:
                found.append(item)
            if item.is_self or item.override:
                continue
            key = item.key
            if item.group is not None and key in self._overrides and free:
                item.name = self._overrides[key]
                self.used.add(key)
            if isinstance(item.name, str) and "${" in item.name:
                found.append(item)
                continue
            for one in self._options(item):
                below = _Node(one)
                self._walk(below, depth + 1, free=free)
                found.append(below)
        node.children = found[::-1]

    def _options(self, item: Element) -> list[Element]:
        """An item for each config of a list of options."""
        if not isinstance(item.name, list):
            return [item]
        self.known.setdefault(item.key, item.name)
        return [replace(item, group=None, name=f"{item.group}/{option}") for option in reversed(item.name)]

    def _choose(self, node: _Node) -> bool:
        """Settle one choice that is written over others."""
        for at, child in enumerate(node.children or ()):
            if isinstance(child, _Node):
                if self._choose(child):
                    return True
            elif not child.is_self:
                settled = replace(child, name=_CHOICE.sub(self._chosen, str(child.name)))
                if "${" in str(settled.name):
                    raise UnsettledError(f"the choice {str(child.name)[:40]} isn't known")
                below = _Node(settled)
                self._walk(below, 1, free=False)
                node.children[at] = below  # type: ignore[index]
                return True
        return False

    def _chosen(self, match: re.Match[str]) -> str:
        choice = self.known.get(match[1].strip())
        return choice if isinstance(choice, str) else match[0]


def _layers(node: _Node) -> list[Layer]:
    element = node.element
    if node.file is None:
        settled = not node.name or element.optional
        return [] if settled else [Layer(node.name, element.final_package, None)]
    found: list[Layer] = []
    for child in node.children or ():
        if isinstance(child, _Node):
            found += _layers(child)
        else:
            found.append(Layer(node.name, element.final_package, node.file))
    return found
