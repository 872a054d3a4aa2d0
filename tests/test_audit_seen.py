"""Numbers of files that an audit met."""

from random import Random

import pytest

from lora_lint.audit.seen import Seen, spans


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ([], []),
        ([0], [(0, 0)]),
        ([7], [(7, 7)]),
        ([1, 2, 3], [(1, 3)]),
        ([1, 2, 4, 5, 9], [(1, 2), (4, 5), (9, 9)]),
        ([5, 4, 3], [(5, 5), (4, 4), (3, 3)]),
    ],
)
def test_numbers_that_follow_each_other_are_told_together(numbers: list[int], found: list[tuple[int, int]]) -> None:
    assert list(spans(numbers)) == found


def test_what_was_added_is_there_and_nothing_else() -> None:
    random, seen, expected = Random(0), Seen(), set[int]()
    for _ in range(300):
        first = random.randrange(2000)
        last = first + random.randrange(20)
        seen.add(first, last)
        expected.update(range(first, last + 1))
        assert len(seen) == len(expected)
    assert {number for number in range(3000) if number in seen} == expected
