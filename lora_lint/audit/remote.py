"""Objects behind a URL: folders listed and ranges read through fsspec, and reasons that hold no secret."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "hf": "huggingface_hub"}
"""What fsspec needs for each kind of root."""

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9._-]+|arn:[A-Za-z0-9:._-]+")
_MODEL = re.compile(r"(?!\.+\Z)[A-Za-z0-9._-]+")
_OWNER = re.compile(r"(?!hf_|api_org_)[A-Za-z0-9][A-Za-z0-9._-]*")
"""A name on the hub, but not what begins as its tokens do."""
_OTHERS = ("datasets", "spaces", "buckets")
"""What stands before the names of repositories that hold no models."""
_VERSIONS = ("ETag", "etag", "generation", "md5Hash", "blob_id", "xet_hash", "mtime", "LastModified", "created")
"""Where the libraries say which of its contents an object has, the surest first."""

_STATUS = ("status", "code")
"""What errors call the status of an answer that they hold."""


class RemoteError(Exception):
    """A root or an object that can't be used, and why: never in a library's words, which may hold signed addresses."""


class Entry(NamedTuple):
    """What lies in a folder; `version` changes with the content, and is empty where nobody tells."""

    name: str
    path: str
    size: int
    version: str
    is_folder: bool


def is_remote(root: str) -> bool:
    """Whether a root is a URL; a folder of this machine may be called like one."""
    return _URL.fullmatch(root) is not None and not os.path.lexists(root)


def absolute(root: str) -> str:
    """A root as it is known whatever the working directory."""
    return normal(root) if is_remote(root) else os.path.abspath(root)


def normal(url: str) -> str:
    """
    Raises:
        RemoteError: when it is no scheme, bucket and path; what it holds is not repeated, since that may be a secret.
    """
    match = _URL.fullmatch(url)
    scheme = match["scheme"] if match else ""
    if match is None or scheme not in PACKAGES:
        known = ", ".join(f"{one}://" for one in PACKAGES)
        raise RemoteError(f"{scheme}://: there are no such roots; there are {known}")
    parts = [part for part in match["rest"].split("/") if part]
    if not parts:
        raise RemoteError(f"{scheme}://: names no bucket or repository")
    user = parts[0].partition("@")[0] if "@" in parts[0] else ""
    if any(sign in match["rest"] for sign in "?#") or (user and (":" in user or scheme != "hf")):
        raise RemoteError(f"{scheme}://: only a bucket and a path are read; credentials are the library's own business")
    is_named = scheme == "hf" or _BUCKET.fullmatch(parts[0])
    if not (is_named and match["rest"].isprintable()) or "." in parts or ".." in parts:
        raise RemoteError(f"{scheme}://: has a part that is no name of a folder")
    if scheme == "hf" and len(parts) <= 1 + (parts[0] in _OTHERS) and not _is_owner(parts):
        raise RemoteError("hf://: names no repository, as hf://ORGANISATION/NAME does, nor those of an ORGANISATION")
    return f"{scheme}://{'/'.join(parts)}"


def is_owner(root: str) -> bool:
    """Whether a root names an organisation or a user of the hub, and so all their models."""
    scheme, _, rest = root.partition("://")
    return scheme == "hf" and is_remote(root) and _is_owner(rest.split("/"))


def _is_owner(parts: list[str]) -> bool:
    return len(parts) == 1 and parts[0] not in _OTHERS and _OWNER.fullmatch(parts[0]) is not None


class Objects:
    """The objects behind a URL; may be used by several threads. Retries and credentials are the library's own."""

    def __init__(self, url: str) -> None:
        """
        Raises:
            RemoteError: without the packages that it needs.
        """
        scheme = url.partition("://")[0]
        try:
            import fsspec
            from fsspec.asyn import AsyncFileSystem

            # The hub's files ask for the kind of a path before each read, which its last listing answers.
            self._files: Any = fsspec.filesystem(scheme, use_listings_cache=scheme == "hf", skip_instance_cache=True)
        except ImportError:
            needed = f"{scheme}:// needs fsspec and {PACKAGES[scheme]}"
            raise RemoteError(f"{needed}; the extra has it: pip install 'lora-lint[remote]'") from None
        except Exception as error:  # noqa: BLE001 - each library has errors of its own; all are told
            raise RemoteError(f"{scheme}://: can't be reached: {reason(error)}") from None
        self._takes_ranges = isinstance(self._files, AsyncFileSystem)

    def repositories(self, owner: str, most: int | None = None) -> Iterator[str]:
        """The models of an owner by the time they were made, which doesn't change; the library asks page by page.

        None are left out by what the hub says of them: adapters often have no tag that tells.

        Raises:
            RemoteError: when they can't be listed, or there are none that may be seen.
        """
        some = False
        for model in self._models(owner.removeprefix("hf://"), most):
            name = str(model.id).rpartition("/")[2]
            if not _MODEL.fullmatch(name):
                raise RemoteError("can't be listed: the hub tells of a repository whose name can't be one")
            some = True
            yield f"{owner}/{name}"
        if not some:
            raise RemoteError("the hub lists no models of such an owner")

    def _models(self, owner: str, most: int | None) -> Iterator[Any]:
        from huggingface_hub import HfApi

        try:
            api: Any = HfApi(endpoint=self._files.endpoint, token=self._files.token)
            yield from api.list_models(author=owner, sort="createdAt", limit=most)
        except Exception as error:  # noqa: BLE001 - each library has errors of its own; all are told
            raise RemoteError(f"can't be listed: {reason(error)}") from None

    def is_folder(self, url: str) -> bool:
        """
        Raises:
            RemoteError: when there is nothing, or it can't be asked.
        """
        if is_owner(url):
            try:
                return any(self.repositories(url, 1))
            except RemoteError as error:
                raise RemoteError(f"{url}: {error}") from None
        try:
            return bool(self._files.info(url)["type"] == "directory")
        except Exception as error:  # noqa: BLE001 - each library has errors of its own; all are told
            raise RemoteError(f"{url}: can't be reached: {reason(error)}") from None

    def list(self, url: str) -> list[Entry]:
        """What lies in a folder, by name; the library asks page by page.

        Raises:
            RemoteError: when it can't be listed.
        """
        try:
            own = str(self._files._strip_protocol(url)).rstrip("/")
            found = self._files.ls(url, detail=True, refresh=True)
            return sorted(_entries(found, own), key=lambda entry: (entry.name, not entry.is_folder))
        except Exception as error:  # noqa: BLE001 - each library has errors of its own; all are told
            raise RemoteError(f"can't be listed: {reason(error)}") from None

    def forget(self, url: str) -> None:
        """A folder is done with."""
        with suppress(Exception):  # what is kept for longer only takes memory
            self._files.invalidate_cache(url)

    def read(self, entry: Entry, start: int, end: int) -> bytes:
        """The bytes of an object from `start` up to `end`, in one request.

        Raises:
            RemoteError: when they can't be read, or aren't there any more.
        """
        if start >= end:
            return b""
        try:
            if self._takes_ranges:
                data = self._files.cat_file(entry.path, start=start, end=end)
            else:
                # Without a cache nothing is read ahead; without the size another request would ask for it.
                with self._files.open(entry.path, "rb", cache_type="none", size=entry.size) as file:
                    file.seek(start)
                    data = file.read(end - start)
        except Exception as error:  # noqa: BLE001 - each library has errors of its own; all are told
            raise RemoteError(f"can't be fetched: {reason(error)}") from None
        if len(data) != end - start:
            raise RemoteError(f"can't be fetched: {end - start} bytes were asked for, {len(data)} came")
        return bytes(data)

    def fetch(self, entry: Entry, path: str) -> None:
        """The whole object into a file.

        Raises:
            RemoteError: when it can't be read.
        """
        try:
            self._files.get_file(entry.path, path)
            size = os.path.getsize(path)
        except Exception as error:  # noqa: BLE001 - each library has errors of its own; all are told
            raise RemoteError(f"can't be fetched: {reason(error)}") from None
        if size != entry.size:
            raise RemoteError(f"can't be fetched: {entry.size} bytes were asked for, {size} came")


def _entries(found: list[dict[str, Any]], own: str) -> Iterator[Entry]:
    for one in found:
        path = str(one["name"])
        if path.rstrip("/") == own:
            continue  # the empty object that stands for a folder in some buckets, or the object itself
        version = next((str(one[key]) for key in _VERSIONS if one.get(key)), "")
        name = path.rstrip("/").rpartition("/")[2]
        yield Entry(name, path, int(one.get("size") or 0), version, one["type"] == "directory")


def reason(error: BaseException) -> str:
    """What kind of fault it is, in words that come from here or from the system."""
    told = getattr(getattr(error, "response", None), "status_code", None), *(getattr(error, n, None) for n in _STATUS)
    status = next((one for one in told if isinstance(one, int)), None)
    if isinstance(error, FileNotFoundError):
        return "there is no such object"
    # gcsfs has no class of its own for it.
    refused = isinstance(error, OSError) and str(error).startswith("Forbidden: ")
    if isinstance(error, PermissionError) or refused or status in (401, 403):
        return "access is denied"
    if "Credential" in type(error).__name__:
        return "no credentials were found"
    if "timeout" in type(error).__name__.lower():
        return "no answer came in time"
    if status is not None:
        return f"the server answers with status {status}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return type(error).__name__
