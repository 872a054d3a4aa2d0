"""Which of the files that a store holds an audit has met, by their numbers."""

from collections.abc import Iterable, Iterator


class Seen:
    """A set of numbers that are small and lie close together: a byte for each up to the largest."""

    def __init__(self) -> None:
        self._marks = bytearray()

    def add(self, first: int, last: int) -> None:
        """Add the numbers from the first to the last."""
        if last >= len(self._marks):
            self._marks.extend(bytes(last + 1 - len(self._marks)))
        self._marks[first : last + 1] = b"\1" * (last + 1 - first)

    def __contains__(self, number: int) -> bool:
        return number < len(self._marks) and bool(self._marks[number])

    def __len__(self) -> int:
        return self._marks.count(1)


def spans(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The first and last of those that follow each other."""
    first = last = -2
    for number in numbers:
        if number != last + 1:
            if last >= 0:
                yield first, last
            first = number
        last = number
    if last >= 0:
        yield first, last
