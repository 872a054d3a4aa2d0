"""The shares of an audit in processes of this machine, or in this one."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, Protocol, Self

from lora_lint.audit.tasks import Outcome, Task, Tell

if TYPE_CHECKING:
    from lora_lint.audit.work import Work

    _Pipe = connection.Connection[Any, Any]

FORKS = 8
"""Processes that are made before it is known how much there is to do."""
DEATHS = 3
"""Times that a process may die before it has begun with anything; then something else is wrong."""


class PoolError(Exception):
    """Processes that can't be started, and how the last of them ended."""


class Job(Protocol):
    """What a process is given at its start; `worker` is called there, and what it returns does the tasks."""

    def worker(self) -> Callable[[Task, Tell], Outcome]: ...


class Here:
    """All in this process."""

    size = 1

    def __init__(self, work: "Work") -> None:
        self._do = work.worker()
        self._task: tuple[int, Task] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._do.close()

    @property
    def room(self) -> bool:
        return self._task is None

    def submit(self, number: int, task: Task) -> None:
        self._task = number, task

    def wait(self) -> Iterator[tuple[int, Outcome]]:
        assert self._task is not None
        (number, task), self._task = self._task, None
        yield number, self._do(task, lambda path: None)


@dataclass(eq=False)
class _Worker:
    """A process, and what it was given; `at` is what it said last, where it was asked to say."""

    process: BaseProcess
    pipe: "_Pipe"
    number: int | None = None
    task: Task | None = None
    at: str | None = None
    deaths: int = 0


class Forks:
    """Processes that wait for a job, made of this one in no time, where that is safe: on Linux, while there is one
    thread. To be made before a database is opened, which no process may inherit.
    """

    def __init__(self, workers: int | None) -> None:
        """So many, or as many as processors; none where this process alone does the work."""
        self._waiting: list[_Worker] = []
        if _has_one_thread():
            # Where there can't be more, as many as there are do the work, or say that they can't.
            with suppress(OSError):
                for _ in range(min(processors() if workers is None else workers, FORKS)):
                    self._waiting.append(_started("fork", [worker.pipe for worker in self._waiting]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._waiting)

    def taken(self) -> _Worker | None:
        """One of them, which is the caller's now."""
        return self._waiting.pop() if self._waiting else None


class Processes:
    """Several processes. A task whose process died is done again, step by step; what kills that one too is left out."""

    def __init__(self, job: Job, size: int, forks: Forks | None = None) -> None:
        self.size = size
        self._job = job
        self._forks = forks
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._workers)

    @property
    def room(self) -> bool:
        return len(self._workers) < self.size or any(worker.task is None for worker in self._workers)

    def submit(self, number: int, task: Task) -> None:
        worker = next((worker for worker in self._workers if worker.task is None), None)
        if worker is None:
            worker = self._started()
            self._workers.append(worker)
        worker.number, worker.task, worker.at, worker.deaths = number, task, None, 0
        self._send(worker, careful=False)

    def wait(self) -> Iterator[tuple[int, Outcome]]:
        done = False
        while not done:
            busy = {worker.pipe: worker for worker in self._workers if worker.task is not None}
            for pipe in connection.wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                outcome = self._heard(worker)
                if outcome is not None and worker.number is not None:
                    worker.task, done = None, True
                    yield worker.number, outcome

    def _heard(self, worker: _Worker) -> Outcome | None:
        """What a worker sent: where it is, which is noted, or the outcome of its task."""
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            self._again(worker)
            return None
        if isinstance(message, str):
            worker.at = message
            return None
        return Outcome(*message)

    def _again(self, worker: _Worker) -> None:
        """Give the task of a process that died to a new one."""
        worker.process.join()
        worker.pipe.close()
        ended = _ending(worker.process.exitcode)
        assert worker.task is not None
        worker.deaths += 1
        if worker.at is not None:
            worker.task = worker.task._replace(deadly=(*worker.task.deadly, (worker.at, f"its process {ended} twice")))
            worker.deaths, worker.at = 1, None
        elif worker.deaths > DEATHS:
            raise PoolError(f"processes that read adapters can't be started: the last one {ended}")
        fresh = self._started()
        worker.process, worker.pipe = fresh.process, fresh.pipe
        self._send(worker, careful=True)

    def _send(self, worker: _Worker, *, careful: bool) -> None:
        # One that died meanwhile is noticed when its answer is waited for.
        with suppress(OSError):
            worker.pipe.send((worker.task, careful))

    def _started(self) -> _Worker:
        worker = self._forks.taken() if self._forks is not None else None
        # A server that forks would import this package by its own path, which may hold another release.
        try:
            worker = worker or _started("spawn")
        except OSError as error:
            raise PoolError(f"processes that read adapters can't be started: {error.strerror or error}") from None
        with suppress(OSError):
            worker.pipe.send(self._job)
        return worker


def _has_one_thread() -> bool:
    """Whether no thread, of Python or of a library, could hold a lock that a forked process waits for for ever."""
    try:
        return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _started(how: str, inherited: Sequence["_Pipe"] = ()) -> _Worker:
    """A process that waits for its job; one that is forked has the pipes to those before it, and its own."""
    context = get_context(how)
    ours, theirs = context.Pipe()
    closed = (*inherited, ours) if how == "fork" else ()
    process = context.Process(  # type: ignore[attr-defined]
        target=_serve, args=(theirs, closed), daemon=True, name="lora-lint audit"
    )
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _end(workers: Iterable[_Worker]) -> None:
    for worker in workers:
        worker.pipe.close()
        worker.process.terminate()
    for worker in workers:
        worker.process.join()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"ended with status {code}"


def _serve(pipe: "_Pipe", closed: Sequence["_Pipe"]) -> None:
    """Wait for a job, and do tasks until the other end is gone; Ctrl-C is the other end's business."""
    import gc

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(100_000)
    for one in closed:
        one.close()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        do = pipe.recv().worker()
        while True:
            task, careful = pipe.recv()
            pipe.send(tuple(do(task, pipe.send if careful else _untold)))


def _untold(path: str) -> None:
    """What is gone through is told only where a process died."""


def processors() -> int:
    """The processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
