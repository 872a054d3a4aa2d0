"""One item of a defaults list: the config that it means, and the package that its values go to."""

from collections.abc import Iterator
from dataclasses import dataclass

SELF = "_self_"
MISSING = "???"
_KEYWORDS = ("optional", "override")


class UnsettledError(Exception):
    """Why a config can't be composed from what is here."""


@dataclass(slots=True)
class Element:
    """hydra/core/default_element.py of hydra-core 1.3. `group` is None where an item names a config by its path.

    `folder` and `parent` are the group and the package of the config that the list stands in, `header` is what the
    config's own `# @package` says.
    """

    group: str | None
    name: str | list[str] | None
    package: str | None = None
    optional: bool = False
    override: bool = False
    appended: bool = False
    """Whether it was added by the command line, where groups and packages begin at the root."""
    folder: str = ""
    parent: str = ""
    header: str | None = None

    @property
    def is_self(self) -> bool:
        return self.group is None and self.name == SELF

    @property
    def _written(self) -> str:
        """The group as it is written, or the path without its last part."""
        return self.group if self.group is not None else str(self.name).rpartition("/")[0]

    @property
    def group_path(self) -> str:
        written = self._written
        whole = written if self.group is not None else str(self.name)
        absolute = self.appended or whole.startswith("/")
        return "/".join(part for part in ("" if absolute else self.folder, written.removeprefix("/")) if part)

    def config_path(self, option: str) -> str:
        last = option if self.group is not None else option.rpartition("/")[2]
        return "/".join(part for part in (self.group_path, last) if part)

    @property
    def key(self) -> str:
        """What the command line and `override` call it: `group`, or `group@package`."""
        usual, package = self.group_path.replace("/", "."), self._placed(self.package)
        return self.group_path if usual == package else f"{self.group_path}@{package or '_global_'}"

    @property
    def final_package(self) -> str:
        """The dotted path that the config's values go to."""
        return self._placed(self.package if self.package is not None else self.header)

    def _placed(self, package: str | None) -> str:
        own = self._written.removeprefix("/").replace("/", ".") if package is None else package
        whole = ".".join(part for part in ("" if self.appended else self.parent, own) if part)
        return whole.rpartition("_global_")[2].removeprefix(".")


def header_of(text: str) -> str | None:
    """The package that the first lines of a config name: `# @package _global_`."""
    for line in text[:512].splitlines():
        words = line.strip().lstrip("#").split()
        if not line.strip():
            continue
        if not line.strip().startswith("#") or not words or not words[0].startswith("@"):
            return None
        if words[0] == "@package" and len(words) == 2 and words[1] != "_group_":
            package = words[1]
            return package if package.split(".")[0] == "_global_" else f"_global_.{package}"
    return None


def elements(defaults: list[object]) -> Iterator[Element]:
    """The items of a defaults list.

    Raises:
        UnsettledError: for an item that Hydra refuses.
    """
    for item in defaults:
        if isinstance(item, str):
            name, _, package = item.partition("@")
            yield Element(None, name, _package(package))
        elif isinstance(item, dict) and item:
            yield _of_group(item)
        else:
            raise UnsettledError("an item under defaults can't be read")


def _of_group(item: dict[object, object]) -> Element:
    key, option = next(iter(item.items()))
    *keywords, named = str(key).split() or [""]
    group, _, package = named.partition("@")
    readable = isinstance(option, list) and all(isinstance(one, str) for one in option)
    if not group or not set(keywords) <= set(_KEYWORDS) or not (readable or isinstance(option, str | None)):
        raise UnsettledError(f"{str(key)[:40]} under defaults can't be read")
    optional = "optional" in keywords or item.get("optional") is True
    return Element(group, option, _package(package), optional, "override" in keywords)  # type: ignore[arg-type]


def _package(written: str) -> str | None:
    return "" if written == "_here_" else written or None
