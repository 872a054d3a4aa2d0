"""The quick look at a merge: it may call a sound one sound, and has to leave everything else to the whole measurement.

Weights of 2048x2048 are the smallest that are looked at quickly; rows 0 to 15 are those looked at one by one.
"""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lora_lint.reference import verify
from lora_lint.reference.merged import Factors, Pair, best_moments
from lora_lint.reference.sampled import Look, neighbours
from lora_lint.reference.stored import Plain
from lora_lint.reference.verdict import EPSILON, ROUNDING
from tests.test_merges import SCALE, Made

pytestmark = pytest.mark.usefixtures("on_every_device")

WIDTH = 2048


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def weight(made: Made, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return made.random(WIDTH, WIDTH, spread=1 / math.sqrt(WIDTH)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("spread", [0.003, 0.0003])
def test_a_sound_merge_is_measured_on_one_row_in_128(made: Made, dtype: torch.dtype, spread: float) -> None:
    before, (a, b) = weight(made, dtype), made.pair(WIDTH, WIDTH, spread=spread)
    after = (before.float() + SCALE * b @ a).to(dtype)
    given = Plain(before), Plain(after)
    whole = best_moments(*given, Pair(a, b)).measurement()
    look = Look(*given, Factors(b, a))
    rows, sums = look.at_rows(), look.at_sums()
    assert (rows.n, sums.n) == (WIDTH * WIDTH // 128, WIDTH * WIDTH // 512)
    for found in (rows, sums):
        assert found.measurement().scale == pytest.approx(whole.scale, rel=0.005)
    assert rows.measurement().residual == pytest.approx(whole.residual, rel=0.1, abs=4e-3)


def unapplied(after: Tensor, before: Tensor) -> Tensor:
    after[1024:1536] = before[1024:1536]
    return after


def shuffled(after: Tensor, before: Tensor) -> Tensor:
    change = (after.float() - before.float()).view(WIDTH, -1, 2).flip(2).reshape(WIDTH, WIDTH)
    return (before.float() + change).to(after.dtype)


def spoilt(after: Tensor, _: Tensor) -> Tensor:
    after[2000, 77] = math.nan
    return after


def again(after: Tensor, before: Tensor) -> Tensor:
    return (2 * after.float() - before.float()).to(after.dtype)


def transposed(after: Tensor, before: Tensor) -> Tensor:
    return before + (after - before).T


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (unapplied, "failed", "B @ A explains 74% of the change"),
        (shuffled, "failed", "B @ A explains 0% of the change"),
        (spoilt, "failed", "not finite"),
        (again, "failed", "applied twice"),
        (transposed, "ok", ""),
    ],
)
def test_what_is_not_as_declared_is_measured_in_full(
    made: Made, change: Callable[[Tensor, Tensor], Tensor], status: str, words: str
) -> None:
    before, (a, b) = weight(made), made.pair(WIDTH, WIDTH, spread=0.003)
    after = change((before.float() + SCALE * b @ a).bfloat16(), before)
    base, merged = (made.weights(name, {"q.weight": one}) for name, one in (("base", before), ("merged", after)))
    (verdict,) = verify(made.claims({"q": (a, b)}), base=base, merged=merged)
    assert (verdict.status, words in verdict.message) == (status, True), verdict


def test_an_update_that_sums_would_drown_is_measured_in_full(made: Made) -> None:
    before, (a, b) = weight(made), made.pair(WIDTH, WIDTH, spread=2.4e-5)
    hoped = Look(Plain(before), Plain(before), Factors(b, a)).foreseen(SCALE)
    noise = ROUNDING * EPSILON["BF16"] * math.sqrt(hoped.ww) / math.sqrt(hoped.dd)
    assert noise > 0.5
    base, merged = (
        made.weights(name, {"q.weight": one})
        for name, one in (("base", before), ("merged", (before.float() + SCALE * b @ a).bfloat16()))
    )
    (verdict,) = verify(made.claims({"q": (a, b)}), base=base, merged=merged)
    assert verdict.status == "ok", verdict
    assert verdict.measured == pytest.approx(SCALE, rel=0.02)


@pytest.mark.parametrize(
    ("shape", "together"),
    [((4096, 4096), 512), ((32000, 3584), 512), ((4864, 896), 128), ((2048, 2048 + 32), 0), ((1024, 1024), 0)],
)
def test_how_many_neighbours_are_added_up(shape: tuple[int, int], together: int) -> None:
    rows = Plain(torch.empty(shape, device="meta"))
    assert neighbours(rows, rows) == together
