"""Who does which part of a walk, and in what order what they made comes back."""

from collections.abc import Iterator

import pytest

from lora_lint.audit.roots import Place
from lora_lint.audit.shares import AHEAD, FOLDERS, MOST_FOLDERS, ordered
from lora_lint.audit.tasks import Item, Outcome, Task


class Pool:
    """Two who do everything at once, but for the first task with a folder that is slow: that one is done last."""

    size = 2

    def __init__(self, slow: str = "") -> None:
        self.tasks: list[Task] = []
        self._slow = slow
        self._under_way: dict[int, Task] = {}

    @property
    def room(self) -> bool:
        return len(self._under_way) < self.size

    def submit(self, number: int, task: Task) -> None:
        self.tasks.append(task)
        self._under_way[number] = task

    def wait(self) -> Iterator[tuple[int, Outcome]]:
        quick = [
            number
            for number, task in self._under_way.items()
            if not any(place.path == self._slow for place in task.places)
        ]
        number = min(quick or self._under_way)
        yield number, outcome(self._under_way.pop(number))


def outcome(task: Task) -> Outcome:
    """That of a task whose folders have one file each, and nothing below; its places are what is skipped."""
    found = tuple((place.path, "") for place in task.places)
    items = tuple(Item("[]") for _ in task.places)
    return Outcome(items, (), (), (), len(task.places), 0, found)


def folders(count: int) -> list[Place]:
    return [Place(f"{number:06}", "folder") for number in range(count)]


@pytest.mark.parametrize("count", [1, FOLDERS, 1000, 100_000])
@pytest.mark.parametrize("slow", ["", "000000", "000500"])
def test_what_was_made_comes_back_in_the_order_of_the_walk(count: int, slow: str) -> None:
    found = [path for _, one in ordered([(0, folders(count))], Pool(slow)) for path, _ in one.skipped]
    assert found == [place.path for place in folders(count)]


def test_nobody_waits_for_one_that_is_slow() -> None:
    pool = Pool("000000")
    next(iter(ordered([(0, folders(2 * AHEAD * FOLDERS // 2))], pool)))
    assert sum(len(task.places) for task in pool.tasks) == AHEAD * FOLDERS


def test_no_more_lies_ready_than_fits() -> None:
    pool = Pool("000000")
    next(iter(ordered([(0, iter(folders(10**6)))], pool)))
    assert len(pool.tasks) <= 2 * AHEAD


def test_no_more_items_lie_ready_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lora_lint.audit.shares.READY", 200)
    pool = Pool("000000")
    found = ordered([(0, iter(folders(10**4)))], pool)
    next(found)
    assert sum(len(task.places) for task in pool.tasks) < 200 + 3 * FOLDERS
    assert sum(1 for _ in found) > 20


def test_shares_grow_with_what_was_gone_through() -> None:
    pool = Pool()
    for _ in ordered([(0, iter(folders(100_000)))], pool):
        pass
    sizes = [len(task.places) for task in pool.tasks]
    assert sizes[0] <= 2 * FOLDERS
    assert max(sizes) == MOST_FOLDERS
    assert len(sizes) < 100_000 / 200


def test_few_are_for_all() -> None:
    pool = Pool()
    for _ in ordered([(0, folders(2 * FOLDERS))], pool):
        pass
    assert [len(task.places) for task in pool.tasks] == [FOLDERS, FOLDERS]


def test_those_that_lie_further_up_are_left_for_the_others() -> None:
    class Listed(Pool):
        def wait(self) -> Iterator[tuple[int, Outcome]]:
            for number, outcome in super().wait():
                yield number, outcome._replace(left=() if number else (*adapters, *teams))

    pool = Listed()
    adapters = [Place(f"root/team-0/{number:03}", "folder") for number in range(300)]
    teams = [Place(f"root/team-{number}", "folder") for number in range(1, 41)]
    for _ in ordered([(0, [Place("root", "folder")])], pool):
        pass
    assert pool.tasks[1].places == tuple(adapters)
    assert len(pool.tasks[2].places) < len(teams) / 2
    assert [place for task in pool.tasks[1:] for place in task.places] == [*adapters, *teams]
