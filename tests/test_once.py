"""What is computed once, and what isn't kept."""

from lora_lint.once import LARGEST, alike, for_each


def test_the_same_names_are_one_tuple_and_what_follows_from_them_is_found_once() -> None:
    asked = []

    @for_each
    def count(names: tuple[str, ...], more: int) -> int:
        asked.append(names)
        return len(names) + more

    for _ in range(3):
        assert count(alike(f"layers.{at}" for at in range(4)), 1) == 5
    assert count(alike(["layers.0"]), 1) == 2
    assert [len(names) for names in asked] == [4, 1]


def test_more_names_than_an_adapter_has_are_not_kept() -> None:
    names = [str(at) for at in range(LARGEST + 1)]
    assert alike(names) == tuple(names)
    assert alike(names) is not alike(names)
    assert alike(names[1:]) is alike(names[1:])
