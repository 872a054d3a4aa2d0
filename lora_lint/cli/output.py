"""Writing: to the terminal, a pipe or a file, whole or not at all, and the exit status when that fails."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NoReturn, TextIO

import typer

CLEAN, FOUND, MISUSED, NO_SETUP, INTERRUPTED = 0, 1, 2, 3, 130


def fail(message: str, status: int = MISUSED) -> NoReturn:
    """Say in one line what is wrong, and end."""
    say(f"lora-lint: {message}")
    raise typer.Exit(status)


def say(message: str) -> None:
    """A line on standard error."""
    from lora_lint.printable import printable

    _write(sys.stderr, f"{printable(message, newlines=True)}\n")


def emit(text: str) -> None:
    """Text on standard output; a reader that has gone away is no error."""
    if not text:
        return
    put(text if text.endswith("\n") else f"{text}\n")


def put(text: str) -> None:
    """A part of a text on standard output, as `emit` does it."""
    _write(sys.stdout, text)


def _write(stream: TextIO, text: str) -> None:
    try:
        encoding = stream.encoding or "utf-8"
        stream.buffer.write(text.encode(encoding, "backslashreplace"))
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if stream is not sys.stderr:
            fail(f"the output can't be written: {(error.strerror or str(error)).lower()}")


def save(path: str, text: str) -> None:
    """Write a report to a file, or say why not and end."""
    try:
        write_file(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        fail(f"{path}: can't be written: {(error.strerror or str(error)).lower()}")


def write_file(path: str, data: bytes) -> None:
    """Replace a file whole: written beside it, synced, renamed; links are followed and the mode is kept.

    Raises:
        OSError: when that isn't possible; the old file is untouched then.
    """
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of the one at `path` when all is written and not before.

    Raises:
        OSError: as for `write_file`.
    """
    target = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with naming(path):
            device = open(path, "wb")  # noqa: SIM115 - a pipe or /dev/stdout, which can't be replaced
        try:
            yield device
        finally:
            with naming(path):
                device.close()
        return
    with naming(path):
        descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".lora-lint-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            with naming(path):
                file.flush()
                os.fsync(file.fileno())
        try:
            os.chmod(temporary, os.stat(target).st_mode & 0o7777)
        except FileNotFoundError:
            os.chmod(temporary, 0o666 & ~_umask())
        with naming(path):
            os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Errors of the system that name no file, or one beside it, name this one."""
    try:
        yield
    except OSError as error:
        error.filename = path
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def on_terminal() -> bool:
    """Whether standard output is for eyes: a terminal, or FORCE_COLOR says so."""
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def colour() -> bool:
    return on_terminal() and not os.environ.get("NO_COLOR")


def width() -> int:
    import shutil

    return shutil.get_terminal_size((80, 24)).columns


def height() -> int:
    import shutil

    return shutil.get_terminal_size((80, 24)).lines
