"""Where the marks of the two charts stand, in pixels of their drawings; the template draws them."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lora_lint.audit.report.entries import figure
from lora_lint.audit.report.figures import Pair
from lora_lint.policy import Policy
from lora_lint.scaling import number

LEFT, RIGHT, TOP, BOTTOM = 52, 16, 26, 40
"""Margins around the marks, which hold the labels."""
SLOT = 9
"""Pixels of a bar and the space beside it: what is closer together shares a bar."""
CELL = 5
LEAST, LARGEST = 3.0, 15.0
"""Height of the lowest bar and radius of the smallest circle; radius of the largest."""
FARTHEST = 12
"""Powers of two that an axis reaches: what lies beyond stands at its end."""
_ACROSS, _UP = 64, 28
"""Pixels in front of the powers for what isn't above 0: as its label needs."""


class Tick(NamedTuple):
    """A line of the grid, and what it says."""

    at: float
    label: str


class Bar(NamedTuple):
    """Some sites with the same scale, or scales that are too close to be told apart."""

    x: float
    y: float
    width: float
    height: float
    ours: bool
    label: str
    sites: int


class Dot(NamedTuple):
    """Some sites with the same rank and alpha."""

    x: float
    y: float
    radius: float
    verdict: str
    label: str
    sites: int


class Chart(NamedTuple):
    """A drawing: `line` is the policy's, from one point to another."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    columns: list[Tick]
    lines: list[Tick]
    bars: tuple[Bar, ...] = ()
    dots: tuple[Dot, ...] = ()
    line: tuple[float, float, float, float] | None = None
    line_label: str = ""
    beyond: bool = False
    """Whether something lies farther out than an axis reaches."""


class Axis:
    """Powers of two along some pixels; what isn't above 0 has a place of its own before them, `room` pixels wide.

    It spans at least `least` powers.
    """

    def __init__(self, values: Iterable[float], start: float, end: float, least: float, room: float) -> None:
        found = list(values)
        powers = [_power(value) for value in found if value > 0] or [0.0]
        low, high = math.floor(min(powers)), math.ceil(max(powers))
        self.low, self.high = low - 0.5, max(high, low + least) + 0.5
        self.beyond = any(value > 0 and abs(math.log2(value)) > FARTHEST for value in found)
        zero = math.copysign(room, end - start) if any(value <= 0 for value in found) else 0.0
        self.zero = start + zero / 2 if zero else None
        self._start = start + zero
        self._per_power = (end - self._start) / (self.high - self.low)

    def __call__(self, value: float) -> float:
        if value <= 0 and self.zero is not None:
            return self.zero
        power = min(max(_power(value), self.low), self.high) if value > 0 else self.low
        return round(self._start + (power - self.low) * self._per_power, 1)

    def ticks(self, room: float) -> Iterator[Tick]:
        """Where powers stand, as many as there is room for labels of so many pixels."""
        step = max(1, math.ceil(room / abs(self._per_power)))
        if self.zero is not None:
            yield Tick(self.zero, "≤ 0")
        for power in range(math.ceil(self.low), math.floor(self.high) + 1):
            if power % step == 0:
                yield Tick(self(2.0**power), _label(power))


def _power(value: float) -> float:
    return min(max(math.log2(value), -FARTHEST), FARTHEST)


def _label(power: int) -> str:
    return number(2.0**power) if power >= -4 else f"1/{number(2.0**-power)}"


def scales(counts: Sequence[tuple[str, int]], policy: Policy, width: int, height: int) -> Chart:
    """How often each scale occurs: `counts` are scales as `number` writes them."""
    wanted = policy.wanted_scale
    values = {float(label): (label, count) for label, count in counts}
    axis = Axis([*values, *([wanted] if wanted is not None else [])], LEFT, width - RIGHT, 4, _ACROSS)
    slots: dict[tuple[float, bool], list[tuple[str, int]]] = {}
    for value in sorted(values):
        ours = wanted is not None and values[value][0] == number(wanted)
        slot = axis(value) if ours else (axis(value) // SLOT) * SLOT + SLOT / 2
        slots.setdefault((slot, ours), []).append(values[value])
    most = max((sum(count for _, count in held) for held in slots.values()), default=1)
    room, floor = height - TOP - BOTTOM, height - BOTTOM
    bars = []
    for (x, ours), held in slots.items():
        count = sum(count for _, count in held)
        tall = round(max(LEAST, room * count / most), 1)
        bars.append(Bar(x - (SLOT - 2) / 2, floor - tall, SLOT - 2, tall, ours, _span(held), count))
    line = (axis(wanted), TOP - 8, axis(wanted), floor) if wanted is not None else None
    label = f"policy: s = {number(wanted)}" if wanted is not None else ""
    steps = [Tick(round(floor - room * count / most, 1), f"{count:,}") for count in _steps(most)]
    return Chart(
        width,
        height,
        LEFT,
        width - RIGHT,
        TOP,
        floor,
        list(axis.ticks(46)),
        steps,
        tuple(bars),
        line=line,
        line_label=label,
        beyond=axis.beyond,
    )


def _span(held: Sequence[tuple[str, int]]) -> str:
    first, last = figure(held[0][0]), figure(held[-1][0])
    return first if first == last else f"{first} to {last}"


def _steps(most: int) -> Iterator[int]:
    """Round numbers up to the largest count, a few of them."""
    size = 10 ** max(0, math.floor(math.log10(most)))
    step = next(max(1, size * part // 10) for part in (2, 5, 10, 20, 50) if most / max(1, size * part / 10) <= 5)
    return iter(range(0, most + 1, step))


def pairs(counts: Sequence[tuple[Pair, int]], policy: Policy, width: int, height: int) -> Chart:
    """Alpha against rank, with the line on which the policy is held where the scale is alpha / rank."""
    floor = height - BOTTOM
    across = Axis([pair.rank for pair, _ in counts], LEFT, width - RIGHT, 3, _ACROSS)
    up = Axis([pair.alpha for pair, _ in counts] + _wanted_alphas(policy, across), floor, TOP, 3, _UP)
    cells: dict[tuple[float, float, str], list[tuple[Pair, int]]] = {}
    for pair, count in counts:
        cell = (across(pair.rank) // CELL * CELL, up(pair.alpha) // CELL * CELL, _verdict(pair.holds))
        cells.setdefault(cell, []).append((pair, count))
    most = max((sum(count for _, count in held) for held in cells.values()), default=1)
    dots = []
    for (_, _, verdict), held in cells.items():
        pair, _ = held[0]
        count = sum(count for _, count in held)
        radius = LEAST + (LARGEST - LEAST) * math.sqrt(count / most)
        label = f"rank {figure(pair.rank)}, alpha {figure(pair.alpha)}" + (" and near it" if len(held) > 1 else "")
        dots.append(Dot(across(pair.rank), up(pair.alpha), round(radius, 1), verdict, label, count))
    dots.sort(key=lambda dot: -dot.radius)
    return Chart(
        width,
        height,
        LEFT,
        width - RIGHT,
        TOP,
        floor,
        list(across.ticks(34)),
        list(up.ticks(24)),
        dots=tuple(dots),
        line=_policy_line(policy, across, up),
        line_label=policy_formula(policy),
        beyond=across.beyond or up.beyond,
    )


def _verdict(holds: bool | None) -> str:
    return "undecided" if holds is None else "holds" if holds else "deviates"


def _wanted_alphas(policy: Policy, across: Axis) -> list[float]:
    """The alphas that the policy wants in the middle of the ranks, so that its line is in sight."""
    if policy.wanted_scale is None:
        return [policy.fixed_alpha] if policy.fixed_alpha is not None else []
    middle = 2.0 ** round((across.low + across.high) / 2)
    return [policy.wanted_scale * middle / 2, policy.wanted_scale * middle]


def _policy_line(policy: Policy, across: Axis, up: Axis) -> tuple[float, float, float, float]:
    """From the lowest to the highest rank for which the alpha is in sight."""
    if policy.wanted_scale is None:
        level = up(policy.fixed_alpha or 0)
        return (across(2.0**across.low), level, across(2.0**across.high), level)
    shift = math.log2(policy.wanted_scale)
    low = max(across.low, up.low - shift)
    high = max(low, min(across.high, up.high - shift))
    return (across(2.0**low), up(2.0 ** (low + shift)), across(2.0**high), up(2.0 ** (high + shift)))


def policy_formula(policy: Policy) -> str:
    """What alpha ought to be: `alpha = 2 x rank`, with a sign for times."""
    if policy.wanted_scale is None:
        return f"alpha = {number(policy.fixed_alpha or 0)}"
    return (
        "alpha = rank"
        if policy.wanted_scale == 1
        else f"alpha = {number(policy.wanted_scale)} \N{MULTIPLICATION SIGN} rank"
    )
