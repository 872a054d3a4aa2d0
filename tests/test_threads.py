"""Whose turn it is among threads, and that torch's own threads are given back."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from threading import Barrier, Event, Lock, Thread

import pytest
import torch

from lora_lint.reference.threads import aside, in_shares, in_turn, pool_of, single_threaded, usual_threads

SECONDS = 10
TASKS = Path("/proc/self/task")


def test_threads_are_given_back_whoever_ends_first() -> None:
    before = torch.get_num_threads()
    first, second = single_threaded(), single_threaded()
    assert first.__enter__() == second.__enter__() == usual_threads()
    first.__exit__(None, None, None)
    assert torch.get_num_threads() == 1
    second.__exit__(None, None, None)
    assert torch.get_num_threads() == before


def test_one_thread_at_a_time_has_its_turn() -> None:
    inside, most, lock = 0, 0, Lock()

    def work(_: int) -> None:
        nonlocal inside, most
        with in_turn():
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.001)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(20)))
    assert most == 1


def test_others_have_their_turn_while_one_is_aside() -> None:
    met = Barrier(4)

    def work(_: int) -> None:
        with in_turn(), aside():
            met.wait(SECONDS)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_whoever_comes_back_waits_for_the_turn_of_another() -> None:
    away, back = Event(), Event()
    order = []

    def first() -> None:
        with in_turn():
            with aside():
                away.set()
                assert back.wait(SECONDS)
            order.append("first")

    def second() -> None:
        assert away.wait(SECONDS)
        with in_turn():
            back.set()
            time.sleep(0.05)
            order.append("second")

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result()
    assert order == ["second", "first"]


@pytest.mark.parametrize("where", ["in turn", "aside", "aside in aside"])
def test_an_error_ends_a_turn(where: str) -> None:
    with suppress(ZeroDivisionError), in_turn():
        if where == "in turn":
            raise ZeroDivisionError
        with aside():
            if where == "aside":
                raise ZeroDivisionError
            with aside():
                raise ZeroDivisionError
    assert gets_into(in_turn())


def test_nobody_outside_a_turn_waits_for_one() -> None:
    with in_turn():
        assert gets_into(aside())
        assert not gets_into(in_turn(), seconds=0.05)


def gets_into(place: AbstractContextManager[None], seconds: float = SECONDS) -> bool:
    """Whether another thread does, which this one doesn't wait for."""
    there = Event()

    def enter() -> None:
        with place:
            there.set()

    Thread(target=enter, daemon=True).start()
    return there.wait(seconds)


@pytest.mark.parametrize("count", [0, 1, 5, 64])
def test_shares_come_back_in_order(count: int) -> None:
    found = in_shares(range(count), torch.device("cpu"), lambda own: [torch.tensor(one) for one in own])
    assert [int(one) for one in found] == list(range(count))


@pytest.mark.skipif(not TASKS.is_dir(), reason="counts the threads in /proc")
def test_products_in_threads_of_ours_start_no_others() -> None:
    matrix = torch.randn(1500, 1500)

    def started() -> int:
        before = len(list(TASKS.iterdir()))
        _ = matrix @ matrix
        return len(list(TASKS.iterdir())) - before

    with single_threaded(), pool_of(1) as pool:
        assert pool.submit(started).result(SECONDS) == 0
