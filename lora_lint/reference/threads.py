"""Threads of ours in place of torch's, and whose turn it is among them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, local

import torch
from torch import Tensor

MOST = 16


def in_shares(starts: range, device: torch.device, share: Callable[[range], list[Tensor]]) -> list[Tensor]:
    """What `share` makes of each of the `starts`, in order.

    On a CPU every thread takes a share of its own. Left to torch, the threads would share each small operation and
    wait for each other at its end, which on a machine with other work takes 25 times as long.
    """
    with _workers(device, len(starts)) as workers:
        if workers == 1:
            return share(starts)
        with pool_of(workers) as pool:
            shares = list(pool.map(share, (starts[worker::workers] for worker in range(workers))))
    return [shares[index % workers][index // workers] for index in range(len(starts))]


def pool_of(threads: int) -> ThreadPoolExecutor:
    """Threads for which torch starts no more, while it is held at one: MKL asks each by itself, and not the process."""
    return ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))


@contextmanager
def _workers(device: torch.device, blocks: int) -> Iterator[int]:
    """How many threads to start; meanwhile torch itself starts none. Whoever holds it already has threads enough."""
    if device.type != "cpu" or _held or min(usual_threads(), blocks) < 2:
        yield 1
    else:
        with single_threaded() as threads:
            yield min(threads, blocks)


_lock = Lock()
_held: list[int] = []
"""The number of threads that torch had, once for everybody who has it at one."""


def usual_threads() -> int:
    """How many threads torch uses when nobody holds it at one."""
    with _lock:
        return min(_held[0] if _held else torch.get_num_threads(), MOST)


@contextmanager
def single_threaded() -> Iterator[int]:
    """While torch itself starts no threads: how many to start in its place. Several threads may be in it at once."""
    with _lock:
        _held.append(_held[0] if _held else torch.get_num_threads())
        torch.set_num_threads(1)
    try:
        yield usual_threads()
    finally:
        with _lock:
            threads = _held.pop()
            if not _held:
                torch.set_num_threads(threads)


_turn = Lock()
_own = local()


@contextmanager
def in_turn() -> Iterator[None]:
    """Small operations, one thread at a time, until it steps `aside`.

    Every operation of torch lets other threads run Python meanwhile. An operation of microseconds is over before one of
    them has begun, and the thread then waits until that one comes to an operation: with 16 threads, small operations
    take ten times as long as in one thread after the other.
    """
    with _turn:
        _own.turn = True
        try:
            yield
        finally:
            _own.turn = False


@contextmanager
def aside() -> Iterator[None]:
    """A long operation, or waiting, meanwhile it is the turn of another thread."""
    if not getattr(_own, "turn", False):
        yield
        return
    _own.turn = False
    _turn.release()
    try:
        yield
    finally:
        _turn.acquire()
        _own.turn = True


def numbers(tensor: Tensor) -> list[float]:
    """The numbers of a tensor, (n,), once its device has them, for which others needn't wait."""
    with aside():
        found: list[float] = tensor.tolist()
    return found
