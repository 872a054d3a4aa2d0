"""The scale of every module over the layers, as a picture; needs matplotlib."""

import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lora_lint.printable import printable

try:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError("--plot needs matplotlib: pip install 'lora-lint[plot]'", name="matplotlib") from error

if TYPE_CHECKING:
    from lora_lint.reference import ModuleVerdict

FORMATS = (".png", ".svg")
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c00", "#5d3a9b")
"""Okabe and Ito's, which people with any colour vision can tell apart, and two more."""
MARKERS = "osD^vP*X"
ROOM = 0.7
"""Of the distance between two layers, what their modules take."""
MOST_KINDS = 12
"""Of modules, that a legend can hold."""
WIDE = 20.0
"""Times the smallest scale at which the axis becomes logarithmic."""


def plot(verdicts: "Sequence[ModuleVerdict]", title: str, ending: str) -> bytes:
    """The picture as a file, `ending` being one of `FORMATS`.

    Raises:
        ValueError: when no module has a scale.
    """
    points = [(place, one) for place, one in zip(_places(verdicts), verdicts, strict=True) if _scale(one) is not None]
    if not points:
        raise ValueError("there is no scale to plot")
    file = io.BytesIO()
    # Names of modules are text, whatever dollar signs are in them.
    with rc_context({"text.parse_math": False, "svg.hashsalt": "lora-lint"}):
        figure = Figure(figsize=(10, 4.5), layout="constrained")
        axes = figure.subplots()
        _declared(axes, points)
        _modules(axes, points)
        _frame(axes, points, title)
        date = {"Date": None} if ending == ".svg" else {}
        figure.savefig(file, format=ending.removeprefix("."), dpi=150, metadata=date)
    return file.getvalue()


def _scale(verdict: "ModuleVerdict") -> float | None:
    return verdict.measured if verdict.measured is not None else verdict.declared


def _places(verdicts: "Sequence[ModuleVerdict]") -> list[float]:
    """Where modules stand: at their layer, one kind beside the other, or in their order where names have no layer."""
    numbers = [re.findall(r"(?<=\.)\d+(?=\.)", f".{verdict.module}.") for verdict in verdicts]
    if any(len(found) != 1 for found in numbers):
        return [float(at) for at in range(len(verdicts))]
    kinds = _kinds(verdicts)
    shift = {kind: ROOM * ((at + 0.5) / len(kinds) - 0.5) for at, kind in enumerate(kinds)}
    return [int(found[0]) + shift[_kind(one)] for found, one in zip(numbers, verdicts, strict=True)]


def _kind(verdict: "ModuleVerdict") -> str:
    return verdict.module.rpartition(".")[2]


def _kinds(verdicts: "Iterable[ModuleVerdict]") -> list[str]:
    return list(dict.fromkeys(map(_kind, verdicts)))


def _declared(axes: Any, points: "list[tuple[float, ModuleVerdict]]") -> None:
    """A line at every declared scale, with its number at the right end."""
    for declared in sorted({one.declared for _, one in points if one.declared is not None}):
        axes.axhline(declared, color="#999999", linewidth=1, zorder=1)
        place = axes.get_yaxis_transform()
        axes.text(1.01, declared, f"declared {declared:.4g}", transform=place, va="center", color="#555555", fontsize=9)


def _modules(axes: Any, points: "list[tuple[float, ModuleVerdict]]") -> None:
    kinds = _kinds(one for _, one in points)
    for index, kind in enumerate(kinds):
        axes.scatter(
            *_coordinates([(place, one) for place, one in points if _kind(one) == kind]),
            s=22,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            label=printable(kind) if len(kinds) <= MOST_KINDS else None,
            linewidth=0,
            zorder=3,
        )
    if failed := [(place, one) for place, one in points if one.status == "failed"]:
        axes.scatter(
            *_coordinates(failed), s=90, c="none", edgecolor="#cc0000", linewidth=1.2, label="failed", zorder=4
        )


def _coordinates(points: "list[tuple[float, ModuleVerdict]]") -> tuple[list[float], list[float]]:
    return [place for place, _ in points], [_scale(one) or 0.0 for _, one in points]


def _frame(axes: Any, points: "list[tuple[float, ModuleVerdict]]", title: str) -> None:
    scales = _coordinates(points)[1]
    sizes = [abs(scale) for scale in scales if scale]
    measured = any(one.measured is not None for _, one in points)
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_ylabel("measured scale" if measured else "declared scale")
    axes.set_xlabel("layer" if any(place % 1 for place, _ in points) else "module")
    if sizes and max(sizes) > WIDE * min(sizes):
        axes.set_yscale("symlog", linthresh=min(sizes))
    else:
        low, high = min(0.0, *scales), max(0.0, *scales)
        axes.set_ylim(low - 0.06 * (high - low), high + 0.12 * (high - low))
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eeeeee")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1.12, 0.5), frameon=False, fontsize=9)
