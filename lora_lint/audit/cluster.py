"""The shares of an audit as tasks of a Ray cluster."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import lora_lint
from lora_lint.audit.local import DEATHS, Job, PoolError, Processes
from lora_lint.audit.tasks import Outcome, Task, Tell

LOCAL = "local"
"""The address for a cluster of this machine, which lasts as long as the audit."""
STORE = 100 * 2**20
"""Bytes that such a cluster keeps its objects in: outcomes are small, and gone as soon as they are taken."""


class Cluster:
    """Tasks of a Ray cluster, or its actors where GPUs are wanted.

    A task whose worker died is done again in a process that the worker starts: that one's end tells at what it died.
    """

    def __init__(
        self, job: Job, size: int | None, address: str = LOCAL, *, gpus: bool = False, paths: Sequence[str] = ()
    ) -> None:
        """`paths` are those that every worker has to see.

        Raises:
            ImportError: without Ray.
            PoolError: when the cluster can't be reached, or its workers have no lora-lint or another release.
        """
        self._ray: Any = _imported()
        self._job = job
        self._under_way: dict[Any, tuple[int, Task, Any]] = {}
        self._deaths: dict[int, int] = {}
        self._hand: Any = None
        self._hands: list[Any] = []
        """Actors that have nothing to do, each with a GPU of its own."""
        _connect(self._ray, address, size)
        try:
            self._check()
            resources = self._ray.cluster_resources()
            processors = _processors(resources, address)
            self.size = size or processors
            if gpus and (cards := int(resources.get("GPU", 0))):
                self.size = min(self.size, cards, processors)
                self._hand = self._ray.remote(num_cpus=1, num_gpus=1, max_restarts=0)(Hand)
            self._share = self._ray.remote(num_cpus=1, max_retries=0)(_share)
            self._given = self._ray.put((job, (os.getcwd(), *map(os.path.abspath, paths)), os.urandom(8)))
        except BaseException:
            self._ray.shutdown()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._under_way:
            with suppress(Exception):  # one that is done, or whose worker is gone
                self._ray.cancel(one, force=True)
        self._ray.shutdown()

    @property
    def room(self) -> bool:
        return len(self._under_way) < self.size

    def submit(self, number: int, task: Task) -> None:
        hand = (self._hands.pop() if self._hands else self._hand.remote()) if self._hand is not None else None
        share = hand.share if hand is not None else self._share
        self._under_way[share.remote(self._given, task, alone=number in self._deaths)] = number, task, hand

    def wait(self) -> Iterator[tuple[int, Outcome]]:
        done = False
        while not done:
            ready, _ = self._ray.wait(list(self._under_way), num_returns=1)
            more, _ = self._ray.wait(list(self._under_way), num_returns=len(self._under_way), timeout=0)
            for one in dict.fromkeys((*ready, *more)):
                number, task, hand = self._under_way.pop(one)
                outcome = self._outcome(one, number)
                if outcome is None:
                    self.submit(number, task)
                    continue
                if hand is not None:
                    self._hands.append(hand)
                done = True
                yield number, outcome

    def _outcome(self, one: Any, number: int) -> Outcome | None:
        """What came of a task; None where its worker died of it."""
        errors = self._ray.exceptions
        try:
            return Outcome(*self._ray.get(one))
        except errors.RayTaskError as error:
            raise PoolError(f"a worker of the cluster failed: {_cause(error)}") from None
        except errors.RayError as error:
            self._deaths[number] = self._deaths.get(number, 0) + 1
            if self._deaths[number] > DEATHS:
                raise PoolError(f"workers of the cluster can't do a share: {type(error).__name__}") from None
            return None

    def _check(self) -> None:
        """Ask a worker for its release."""
        here = lora_lint.__version__
        try:
            there = self._ray.get(self._ray.remote(num_cpus=0, max_retries=0)(_release).remote())
        except self._ray.exceptions.RayError as error:
            raise PoolError(
                f"the cluster's workers can't import lora_lint; install lora-lint {here} there: {_cause(error)}"
            ) from None
        if there != here:
            raise PoolError(f"the cluster's workers have lora-lint {there}, here it is {here}; both must be the same")


class Hand:
    """An actor that does shares, one after the other."""

    def share(self, given: "_Given", task: Task, *, alone: bool) -> tuple[object, ...]:
        return _share(given, task, alone=alone)


_Given = tuple[Job, tuple[str, ...], bytes]
"""What a worker is given: the job, the working directory and what else it must see, and the name of the run."""

_known: dict[bytes, Callable[[Task, Tell], Outcome]] = {}
"""What does the tasks in a worker, by the name of the run."""


def _share(given: _Given, task: Task, *, alone: bool) -> tuple[object, ...]:
    """Do a share in a worker of the cluster; `alone` in a process of its own, since a worker died of it."""
    job, paths, run = given
    for path in paths:
        if not os.path.lexists(path):
            raise FileNotFoundError(f"{os.uname().nodename} has no {path}, which all workers must see")
    os.chdir(paths[0])
    if alone:
        with Processes(job, 1) as pool:
            pool.submit(0, task)
            return tuple(next(pool.wait())[1])
    if run not in _known:
        _known.clear()
        _known[run] = job.worker()
    return tuple(_known[run](task, lambda path: None))


def _release() -> str:
    return lora_lint.__version__


def _imported() -> Any:
    try:
        # Ray reports its use to its makers unless it's told not to.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray
        import ray._private.worker
        import ray.exceptions
    except ImportError:
        raise ImportError("--engine ray needs Ray: pip install 'lora-lint[ray]'") from None
    # Otherwise it prints on standard output, in the middle of the report, that a worker died.
    ray._private.worker._worker_logs_enabled = False
    return ray


def _connect(ray: Any, address: str, size: int | None) -> None:
    own = (
        {"num_cpus": size or None, "include_dashboard": False, "object_store_memory": STORE} if address == LOCAL else {}
    )
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
    except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
        raise PoolError(f"the Ray cluster {address} can't be reached: {_cause(error)}") from None


def _processors(resources: Mapping[str, float], address: str) -> int:
    found = int(resources.get("CPU", 0))
    if not found:
        raise PoolError(f"the Ray cluster {address} has no processors to work with")
    return found


def _cause(error: BaseException) -> str:
    """The last line of an error, which says what it is; those of Ray hold whole tracebacks."""
    cause = getattr(error, "cause", None) or error
    lines = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {lines[-1].strip()}" if lines else type(cause).__name__
