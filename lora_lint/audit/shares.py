"""The order of an audit: a walk cut into shares that many do at once, their outcomes in the order of the walk."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Protocol

from lora_lint.audit.roots import Place
from lora_lint.audit.tasks import Outcome, Task

FOLDERS, MOST_FOLDERS = 4, 512
FILES = 64
"""Places of one share; more folders where many wait, so that nobody has all the rest when the others are done."""
AHEAD = 16
"""Shares for each worker that may be under way or done before their turn: they are of any size, and one that is slow
holds up all that come after it."""
READY = 2**15
"""Items that are done before their turn, from which on nothing more is begun: this and `AHEAD` bound the memory."""


class Pool(Protocol):
    """Those who do the shares: processes of this machine, or of many."""

    @property
    def size(self) -> int: ...

    @property
    def room(self) -> bool:
        """Whether somebody is free to do a task."""

    def submit(self, number: int, task: Task) -> None: ...

    def wait(self) -> Iterable[tuple[int, Outcome]]:
        """The tasks that are done by now, at least one."""


@dataclass(eq=False, slots=True)
class _Stretch:
    """A part of the walk: places that wait and that are still to come, or a task that is under way or done."""

    root: int
    places: deque[Place]
    coming: Iterator[Place] | None = None
    number: int | None = None
    outcome: Outcome | None = None

    def holds(self, count: int) -> bool:
        """Whether there are places; so many are asked for of those to come."""
        if self.coming is not None:
            self.places.extend(islice(self.coming, max(0, count - len(self.places))))
            if len(self.places) < count:
                self.coming = None
        return bool(self.places)

    def share(self, fair: int) -> tuple[Place, ...]:
        """The next places for one task; `fair` folders would leave enough for everybody."""
        first = self.places[0]
        depth = _depth(first)
        most = FILES
        if first.kind == "folder":
            # Those that lie further up, and come last, hold more: they are enough for the others.
            fair = MOST_FOLDERS if _depth(self.places[-1]) < depth else fair
            most = max(FOLDERS, min(MOST_FOLDERS, fair))
        # One more tells whether there is a rest.
        self.holds(most + 1)
        alike = takewhile(lambda place: _depth(place) >= depth, self.places)
        count = sum(1 for _ in islice(alike, most))
        return tuple(self.places.popleft() for _ in range(count))


def _depth(place: Place) -> int:
    return place.path.count("/") + place.path.count("\\")


def ordered(starts: Iterable[tuple[int, Iterable[Place]]], pool: Pool) -> Iterator[tuple[int, Outcome]]:
    """The outcomes of some roots, with the numbers of the roots, in the order of the walk.

    Where a root begins is asked for as far as there are hands for it.
    """
    line = deque(_Stretch(root, deque(), iter(places)) for root, places in starts)
    under_way: dict[int, _Stretch] = {}
    count = files = 0
    while line:
        count = _hand_out(line, pool, under_way, count, files)
        if line and line[0].outcome is None:
            for number, outcome in pool.wait():
                done = under_way.pop(number)
                done.outcome = outcome
                files += outcome.files
                if outcome.left:
                    line.insert(line.index(done) + 1, _Stretch(done.root, deque(outcome.left)))
            # Whoever is free now works while what was done is gone through.
            continue
        while line and line[0].outcome is not None:
            first = line.popleft()
            assert first.outcome is not None
            yield first.root, first.outcome


def _hand_out(line: deque[_Stretch], pool: Pool, under_way: dict[int, _Stretch], count: int, files: int) -> int:
    """Give the foremost places to whoever is free; `files` were gone through by now, and as many may be to come."""
    window = AHEAD * pool.size
    waiting = sum(len(stretch.places) for stretch in islice(line, window))
    ready = sum(len(stretch.outcome.items) for stretch in islice(line, window) if stretch.outcome is not None)
    at = 0
    while pool.room and at < min(len(line), window) and (at == 0 or ready < READY):
        stretch = line[at]
        if stretch.number is None:
            if not stretch.holds(1):
                del line[at]
                continue
            # Of those to come nobody knows how many there are.
            many = waiting if stretch.coming is None else max(waiting, files // 8)
            task = Task(stretch.root, stretch.share(many // (2 * pool.size)))
            waiting -= len(task.places)
            begun = _Stretch(stretch.root, deque(), number=count)
            if stretch.places:
                line.insert(at, begun)
            else:
                line[at] = begun
            under_way[count] = begun
            pool.submit(count, task)
            count += 1
        at += 1
    return count
