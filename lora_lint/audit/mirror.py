"""Folders of a remote root laid out on this machine as the linter reads them: small files whole, weights as headers."""

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256

from lora_lint.audit.beside import Stamp
from lora_lint.audit.remote import Entry, Objects, RemoteError
from lora_lint.audit.roots import CONFIG, Folder, Place
from lora_lint.audit.rows import Names
from lora_lint.document import Problem, Source
from lora_lint.files import CONFIGS, READ_HIDDEN, Candidate, Walk, syntax_of_name
from lora_lint.finding import Skipped
from lora_lint.linter import Linter
from lora_lint.readers.safetensors import LARGE_HEADER
from lora_lint.readers.scalars import beginnings
from lora_lint.reading import Reading
from lora_lint.settings import Settings

IN_FLIGHT = 16
"""Folders that one process lists and reads at a time; in each of them one request after the other."""
WHOLE = 2
"""The same where weights are fetched whole, so that few of them lie here at a time."""
LARGEST = 2**20
"""Bytes of a text that is fetched: configs, model cards and scripts are far smaller, tokenizers are larger."""
FIRST = 128 * 1024
"""Bytes of weights that are asked for at first: the header of some thousand tensors, 0.5 % of a 28 MB adapter."""
_PINNING = (".txt", ".in", ".lock")
"""Endings of what pins releases besides the syntaxes that are read: `requirements.txt`, `uv.lock`."""
_WEIGHTS = ".safetensors"
_PICKLED = ("adapter_model.bin",)


@dataclass
class Laid:
    """A folder as it lies on this machine, for as long as it is gone through."""

    top: str
    """What is removed when it is done with; nothing that is linted looks further up."""
    path: str
    stamps: dict[str, Stamp] = field(default_factory=dict)
    digest: str = ""
    """Of the names, sizes and versions of all files; empty where nobody tells versions."""
    beginnings: dict[str, int] = field(default_factory=dict)
    """How many bytes of weights lie here."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why files couldn't be fetched."""
    skipped: list[Skipped] = field(default_factory=list)


class Bucket:
    """A root behind a URL. Its folders are read one by one: what lies above one or beside it isn't at hand, so that
    a base model or a list of requirements there says nothing; nothing that a file names is fetched.

    Paths of places are URLs, those of files are where they lie for now.
    """

    whole = True

    def __init__(
        self, url: str, settings: Settings, prefix: str = "", scratch: str | None = None, *, tensors: bool = False
    ) -> None:
        """With `tensors` weights are fetched whole.

        Raises:
            RemoteError: without the packages that it needs.
        """
        self.path = url
        self._objects = Objects(url)
        self._name = url.rpartition("/")[2]
        here = scratch if scratch and os.path.isdir(scratch) else None
        self._scratch = tempfile.mkdtemp(prefix="lora-lint-", dir=here)
        if here is None:
            atexit.register(shutil.rmtree, self._scratch, ignore_errors=True)
        limit = min(settings.max_file_size, LARGEST)
        self._settings = settings.model_copy(update={"max_file_size": limit})
        self._walk = Walk(self._settings, ask_git=False)
        self._prefix = prefix
        self._limit = limit
        self._tensors = tensors
        self._in_flight = WHOLE if tensors else IN_FLIGHT
        self._threads = ThreadPoolExecutor(self._in_flight, "lora-lint fetch")
        self._coming: dict[str, Future[Laid]] = {}
        self._laid = self._placed(self.path)

    @property
    def settings(self) -> Settings:
        """Those that hold for its files; paths and excludes are matched below the root."""
        return self._settings

    @property
    def skipped(self) -> list[Skipped]:
        return self._walk.skipped

    def ahead(self, places: Iterable[Place], known: Callable[[str], Mapping[str, str]], most: int) -> None:
        """Have folders laid out meanwhile; `known` tells what the store holds beside each file of one."""
        for place in places:
            if len(self._coming) >= min(most, self._in_flight):
                break
            if place.path not in self._coming:
                inside = place.path.removeprefix(self.path).strip("/")
                held = known((self._prefix + inside).rstrip("/"))
                self._coming[place.path] = self._threads.submit(self._lay_out, place.path, held)

    def is_ahead(self, place: Place) -> bool:
        return place.path in self._coming

    def end(self) -> None:
        """Nothing that is under way will be asked for."""
        for one in self._coming.values():
            one.cancel()
        for one in self._coming.values():
            with suppress(Exception):  # that of a folder which nobody goes through now
                if not one.cancelled():
                    shutil.rmtree(one.result().top, ignore_errors=True)
        self._coming.clear()
        self._leave()

    def listed_as(self, folder: str) -> str | None:
        return None

    def level(self, place: Place) -> tuple[list[Candidate], list[Place]]:
        """
        Raises:
            RemoteError: when the folder can't be listed.
        """
        self._leave()
        self._laid = self._coming.pop(place.path).result()
        self._settings.hold_at(self._home(self._laid))
        for name, held in self._laid.beginnings.items():
            beginnings[os.path.join(self._laid.path, name)] = held
        self._walk.skipped += self._laid.skipped
        candidates, below = self._folder().level(Place(self._laid.path, "folder"))
        return candidates, [Place(self.address(one.path), "folder") for one in below]

    def reading(self, candidate: Candidate, linter: Linter) -> Reading | None:
        """What the linter makes of a file; one that couldn't be fetched is all that is said of its adapter."""
        failed = self._laid.failed
        folder, name = os.path.split(candidate.path)
        of_adapter = [one for one in failed if _is_adapter(one)]
        if not (name in failed or (of_adapter and _is_adapter(name))):
            return linter.read(candidate)
        told = CONFIG if CONFIG in self._laid.stamps else of_adapter[0] if of_adapter else name
        if _is_adapter(name) and name != told:
            return None
        at = name if name in failed else of_adapter[0]
        message = failed[at] if at == name else f"{at}: {failed[at]}"
        return Reading(candidate.path, Source(os.path.join(folder, name), ""), problem=Problem(message))

    def read(self, path: str, start: int, length: int) -> bytes:
        return self._folder().read(path, start, length)

    def stamp(self, path: str) -> Stamp | None:
        return self._laid.stamps.get(os.path.basename(path))

    def stamped(self, path: str, others: Set[str]) -> str | None:
        return self._laid.digest if not self._laid.failed and self._laid.digest else None

    def is_current(self, path: str, beside: str) -> bool:
        return bool(beside) and beside == self._laid.digest

    def names(self, path: str) -> Names:
        return self._folder().names(self._home(self._laid) + path.removeprefix(self.path) if _is_url(path) else path)

    def address(self, path: str) -> str:
        """What a file is known as in every process."""
        return path if _is_url(path) else self.path + path.removeprefix(self._home(self._laid)).replace(os.sep, "/")

    def cleared(self, text: str) -> str:
        """A text without the place where the folder lies for now."""
        return text.replace(self._home(self._laid), self.path)

    def _folder(self) -> Folder:
        return Folder(self._home(self._laid), self._walk, self._prefix)

    def _home(self, laid: Laid) -> str:
        """Where the root would lie."""
        return os.path.join(laid.top, self._name)

    def _placed(self, url: str) -> Laid:
        top = tempfile.mkdtemp(dir=self._scratch)
        # The end of what is looked at upwards.
        os.mkdir(os.path.join(top, ".git"))
        path = os.path.join(top, self._name, *url.removeprefix(self.path).split("/"))
        os.makedirs(path)
        return Laid(top, path.rstrip(os.sep))

    def _leave(self) -> None:
        beginnings.clear()
        shutil.rmtree(self._laid.top, ignore_errors=True)

    def _lay_out(self, url: str, known: Mapping[str, str]) -> Laid:
        """List a folder and, unless the store knows all of it as it is, fetch what is read of it.

        Raises:
            RemoteError: when it can't be listed.
        """
        entries = self._objects.list(url)
        laid = self._placed(url)
        files = [entry for entry in entries if not entry.is_folder]
        laid.digest = _digest(files)
        is_known = bool(laid.digest) and all(
            known.get(one.name) == laid.digest for one in files if _is_candidate(one.name)
        )
        for entry in entries:
            try:
                whole = self._tensors and not is_known and entry.name.endswith((_WEIGHTS, *_PICKLED))
                data = b"" if is_known or entry.is_folder or whole else self._content(entry)
            except RemoteError as error:
                data, laid.failed[entry.name] = b"", str(error)
            if _lie_down(laid, entry, data) and not entry.is_folder:
                if whole:
                    self._fetch(laid, entry)
                elif entry.name.endswith(_WEIGHTS):
                    laid.beginnings[entry.name] = len(data)
                laid.stamps[entry.name] = entry.size, _number(entry.version), 0
        self._objects.forget(url)
        return laid

    def _fetch(self, laid: Laid, entry: Entry) -> None:
        try:
            self._objects.fetch(entry, os.path.join(laid.path, entry.name))
        except RemoteError as error:
            laid.failed[entry.name] = str(error)

    def _content(self, entry: Entry) -> bytes:
        """What is read of an object: all of a small text, the header of weights, nothing of the rest.

        Raises:
            RemoteError: when it can't be read.
        """
        if not _is_read(entry.name):
            return b""
        if not entry.name.endswith(_WEIGHTS):
            return self._objects.read(entry, 0, entry.size) if entry.size <= self._limit else b""
        data = self._objects.read(entry, 0, min(entry.size, FIRST))
        end = 8 + int.from_bytes(data[:8], "little")
        if len(data) < end <= entry.size:
            if end > LARGE_HEADER:
                raise RemoteError(f"is not fetched: the header has {end - 8} bytes, more than {LARGE_HEADER}")
            data += self._objects.read(entry, len(data), end)
        return data


def _lie_down(laid: Laid, entry: Entry, data: bytes) -> bool:
    """Make a file of an object: the rest of it is a hole of the right size."""
    if entry.name in (".", "..", ".git") or not entry.name or os.sep in entry.name or "\0" in entry.name:
        laid.skipped.append(Skipped(laid.path, "has a name that no file can have"))
        return False
    path = os.path.join(laid.path, entry.name)
    try:
        if entry.is_folder:
            os.mkdir(path)
            return True
        with open(path, "xb") as file:
            file.write(data)
            file.truncate(entry.size)
    except (OSError, ValueError):
        laid.skipped.append(Skipped(laid.path, "has a name or a size that no file here can have"))
        return False
    return True


def _is_read(name: str) -> bool:
    """Whether a file's content is asked for, by its name."""
    return _is_candidate(name) or (name.endswith(_PINNING) and not name.startswith("."))


def _is_candidate(name: str) -> bool:
    return syntax_of_name(name) is not None and (not name.startswith(".") or name in READ_HIDDEN)


def _is_adapter(name: str) -> bool:
    return name in CONFIGS or name.endswith((_WEIGHTS, ".index.json"))


def _is_url(path: str) -> bool:
    return "://" in path


def _digest(files: Sequence[Entry]) -> str:
    if not all(entry.version for entry in files):
        return ""
    listed = [[entry.name, entry.size, entry.version] for entry in files]
    return sha256(json.dumps(listed).encode()).hexdigest()


def _number(version: str) -> int:
    """A version as the store keeps times of change: 60 bits of its hash."""
    return int(sha256(version.encode("utf-8", "surrogatepass")).hexdigest()[:15], 16)
