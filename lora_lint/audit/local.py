"""The shares of an audit in processes of this machine, or in this one."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, Self

from lora_lint.audit.tasks import Outcome, Task, Tell

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

    def __init__(self, job: Job) -> None:
        self._do = job.worker()
        self._task: tuple[int, Task] | None = None

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
    pipe: "connection.Connection[Any, Any]"
    number: int | None = None
    task: Task | None = None
    at: str | None = None
    deaths: int = 0


class Processes:
    """Several processes. A task whose process died is done again, step by step; what kills that one too is left out."""

    def __init__(self, job: Job, size: int) -> None:
        self.size = size
        self._job = job
        # A server that forks would import this package by its own path, which may hold another release.
        self._context = get_context("spawn")
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()

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
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._job), daemon=True, name="lora-lint audit")
        process.start()
        theirs.close()
        return _Worker(process, ours)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"ended with status {code}"


def _serve(pipe: "connection.Connection[Any, Any]", job: Job) -> None:
    """Do tasks until the other end is gone; Ctrl-C is the other end's business."""
    import gc

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(100_000)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        do = job.worker()
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
