"""The release of a library that a project pins: its requirement files, `pyproject.toml` and lock files."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from lora_lint.upwards import to_the_top
from lora_lint.used import used

if TYPE_CHECKING:
    from packaging.version import Version

    from lora_lint.document import Source

LARGEST = 4 * 2**20
_REQUIREMENTS = re.compile(r"(?:.*[-_.])?(?:requirements?|constraints?)(?:[-_.].*)?\.(?:txt|in)", re.IGNORECASE)
_CLAUSE = r"[<>=!~]+[ \t]*[^\s;,#'\"]*"
_FOLDER = "requirements"
"""The folder in which projects with several parts keep a list for each."""
_ENVIRONMENT = ("environment.yml", "environment.yaml")
_ENDINGS = (".txt", ".in", ".toml", ".lock", ".yml", ".yaml")
_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock")


class Pin(NamedTuple):
    """A release that a project is held to, and the file that says so."""

    version: str
    file: str


def pinned(folder: str, name: str, files: frozenset[str] | None = None) -> Pin | None:
    """The newest release of a package that the files nearest to an absolute folder allow, None without an upper bound.

    Folders are searched upwards to the top of the repository; where several files disagree, none is right. `files` are
    those of the folder, where it was listed: a tree has many folders that hold none that pins anything.
    """
    if files is not None and ".git" not in files and not any(map(_may_pin, files)):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    pins, read = _pinned(folder, name)
    for path in read:
        used(path)
    return pins[0] if len(pins) == 1 else None


@lru_cache(maxsize=4096)
def _pinned(folder: str, name: str) -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    """The pins of the nearest folder that has some, one for each release, and the files that were read for them."""
    lists = [(file, os.path.join(folder, file), requirements) for file, requirements in _lists(folder)]
    files = tuple(path for _, path, _ in lists)
    found = {
        version: Pin(version, file)
        for file, path, requirements in lists
        for version in _releases(path, name, requirements)
    }
    if found:
        return tuple(found.values()), files
    above = os.path.dirname(folder)
    if above == folder or os.path.exists(os.path.join(folder, ".git")):
        return (), files
    pins, more = _pinned(above, name)
    return pins, (*files, *more)


@lru_cache(maxsize=16)
def installed(source: "Source", name: str) -> Pin | None:
    """The release of a package that a notebook or a script installs before it runs, where it names one."""
    if "pip" not in source.text or name not in source.text:
        return None
    named = re.compile(_INSTALLED.format(re.escape(name)))
    found = {version for line in _installing(source.text) for version in named.findall(line)}
    return Pin(found.pop(), "the file itself") if len(found) == 1 else None


def _installing(text: str) -> Iterator[str]:
    """The lines of commands that install something, those that a command goes on in among them."""
    goes_on = 0
    for line in text.splitlines():
        begins = "pip" in line and "install" in line
        if begins or goes_on:
            yield line
            goes_on = (_LONGEST if begins else goes_on - 1) if _GOES_ON.search(line) else 0


_GOES_ON = re.compile(r"""\\(?:n"?,?)?[ \t]*\Z""")
"""A backslash at the end, in a notebook before the text of the line's end."""
_LONGEST = 40
"""Lines of one command."""
_INSTALLED = r"(?<![\w-]){}(?:\[[^\]]*\])?==(\d+(?:\.\d+)*)"


def pinning(folder: str) -> Iterator[str]:
    """The files that may pin packages, in a folder and in those above it up to the top of the repository."""
    for above in to_the_top(os.path.abspath(folder)):
        yield from (os.path.join(above, file) for file, _ in _lists(above))


def holds(folder: str, package: str) -> bool:
    """Whether a folder, or one above it up to the top of the repository, holds the source of a package itself."""
    source = os.path.join(package, "__init__.py")
    for above in to_the_top(os.path.abspath(folder)):
        used(above)
        if any(os.path.isfile(os.path.join(above, *parents, source)) for parents in ((), ("src",), (package, "src"))):
            return True
    return False


def forked(folder: str, name: str, home: str) -> bool:
    """Whether the requirements of a folder, or of one above it, take a package from another repository than that of
    its own `home`."""
    source = re.compile(_FORK.format(re.escape(name), re.escape(home)), re.IGNORECASE)
    for above in to_the_top(os.path.abspath(folder)):
        used(above)
        files = [file for file in _listed_in(above) if _REQUIREMENTS.fullmatch(file) or file in _DECLARING]
        if any(source.search(_text(os.path.join(above, file)) or "") for file in files):
            return True
    return False


_DECLARING = ("pyproject.toml", "setup.py", *_ENVIRONMENT)
_FORK = r"git\+[\w.:/@~-]+[:/](?!{1}/)[\w.-]+/{0}(?:\.git)?(?=[@#\s\"']|$)"


def _lists(folder: str) -> Iterator[tuple[str, Callable[[str, str], Iterator[str]]]]:
    """The files of a folder that may pin packages, and what finds what one asks of a package."""
    files = _listed_in(folder)
    for file in files:
        requirements = _requirements_of(file)
        if requirements is not None:
            yield file, requirements
    if _FOLDER in files:
        for file in sorted(_listed_in(os.path.join(folder, _FOLDER))):
            if file.endswith((".txt", ".in")):
                yield os.path.join(_FOLDER, file), _listed


def _listed_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def tells(name: str) -> bool:
    """Whether what has this name, in a folder above a config, may have a part in what it means: it pins a package,
    holds its source, or ends the repository."""
    return name in _TELLING or _requirements_of(name) is not None


_TELLING = frozenset((".git", "src", "setup.py", _FOLDER))


def _may_pin(file: str) -> bool:
    return file.endswith(_ENDINGS) or file == _FOLDER


def _requirements_of(file: str) -> Callable[[str, str], Iterator[str]] | None:
    if not file.endswith(_ENDINGS):
        return None
    if file in _LOCKS or file == "pyproject.toml":
        return _locked if file in _LOCKS else _declared
    return _listed if _REQUIREMENTS.fullmatch(file) or file in _ENVIRONMENT else None


def _releases(path: str, name: str, requirements: Callable[[str, str], Iterator[str]]) -> list[str]:
    text = _text(path)
    newest = map(_newest, requirements(text, name)) if text is not None else ()
    return [version for version in newest if version is not None]


def _text(path: str) -> str | None:
    """A regular file of the folder itself: what it may link to elsewhere isn't the project's."""
    try:
        if os.path.islink(path) or not os.path.isfile(path) or os.path.getsize(path) > LARGEST:
            return None
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def _listed(text: str, name: str) -> Iterator[str]:
    """`peft==0.13.2` on a line of its own, also as an item of an environment file."""
    named = rf"^[ \t-]*['\"]?{name}(?:\[[^\]]*\])?[ \t]*({_CLAUSE}(?:[ \t]*,[ \t]*{_CLAUSE})*)"
    for match in re.finditer(named, text, re.MULTILINE | re.IGNORECASE):
        yield match[1]


def _declared(text: str, name: str) -> Iterator[str]:
    """What `[project]` and Poetry's table ask for."""
    data = _toml(text)
    project, tool = data.get("project"), data.get("tool")
    listed = project.get("dependencies") if isinstance(project, dict) else None
    for requirement in listed if isinstance(listed, list) else ():
        yield from _listed(requirement, name) if isinstance(requirement, str) else ()
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    wanted = poetry.get("dependencies") if isinstance(poetry, dict) else None
    version = wanted.get(name) if isinstance(wanted, dict) else None
    if isinstance(version, dict):
        version = version.get("version")
    if isinstance(version, str):
        yield _caret(version)


def _locked(text: str, name: str) -> Iterator[str]:
    packages = _toml(text).get("package")
    for package in packages if isinstance(packages, list) else ():
        if isinstance(package, dict) and package.get("name") == name and isinstance(package.get("version"), str):
            yield f"=={package['version']}"


def _toml(text: str) -> Mapping[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _caret(version: str) -> str:
    """Poetry's `^0.13.2` and bare `0.13.2`, in words that everybody knows: the first part that isn't 0 stays."""
    plain = version.lstrip("^ ")
    if plain[:1].isdigit() and "," not in plain and version[:1] in "^0123456789":
        parts = plain.split(".")
        if version.startswith("^") and len(parts) > 1 and all(part.isdecimal() for part in parts[:2]):
            return f"<0.{int(parts[1]) + 1}" if parts[0] == "0" else f"<{int(parts[0]) + 1}"
        return f"=={plain}"
    return version


def _newest(specifier: str) -> str | None:
    """The newest release that a specifier allows: `0.13.2` of `==0.13.2`, just below `0.14` of `<0.14`."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion

    try:
        parsed = SpecifierSet(specifier)
        bounds = [_bound(one.operator, one.version) for one in parsed]
    except (InvalidSpecifier, InvalidVersion):
        return None
    known = [bound for bound in bounds if bound is not None]
    return str(min(known)) if known else None


def _bound(operator: str, version: str) -> "Version | None":
    from packaging.version import Version

    if operator in ("==", "===", "<="):
        return Version(version.removesuffix(".*") + (".999" if version.endswith(".*") else ""))
    if operator == "<":
        return Version(f"{version}.dev0")
    if operator == "~=":
        parts = version.split(".")
        return Version(f"{'.'.join(parts[:-1])}.999")
    return None
