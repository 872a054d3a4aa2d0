"""What `verify` found, as a table with the worst module first, and as JSON."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lora_lint.printable import printable, printable_json
from lora_lint.scaling import number

if TYPE_CHECKING:
    from lora_lint.reference import ModuleVerdict

SHOWN = 10
"""Modules that are all right and still shown, the ones that deviate most."""

ORDER = {"failed": 0, "warning": 1, "undecided": 2, "ok": 3}


def deviation(verdict: "ModuleVerdict") -> float:
    """How far the measured scale is from the declared one, relatively; 0 where either isn't known."""
    if verdict.measured is None or not verdict.declared:
        return 0.0
    found = abs(verdict.measured / verdict.declared - 1)
    return found if math.isfinite(found) else math.inf


def worst_first(verdicts: "Sequence[ModuleVerdict]") -> "list[ModuleVerdict]":
    """By gravity, then by deviation; modules with something to say before those without."""
    return sorted(verdicts, key=lambda one: (ORDER[one.status], -deviation(one), not one.message))


def as_json(verdicts: "Sequence[ModuleVerdict]", device: str, *, passed: bool) -> str:
    """In the order of the tensors; see DESIGN for the format, whose keys stay."""
    modules = [
        {
            "module": verdict.module,
            "rank": verdict.rank,
            "declared": verdict.declared,
            "measured": _finite(verdict.measured),
            "residual": _finite(verdict.residual),
            "status": verdict.status,
            "message": verdict.message,
            "rule": verdict.rule or None,
            "effective_rank": _finite(verdict.effective_rank),
        }
        for verdict in verdicts
    ]
    whole: dict[str, Any] = {"format": 1, "device": device, "passed": passed, "modules": modules}
    return printable_json(whole | {"likely_cause": _cause(verdicts) or None})


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def as_text(verdicts: "Sequence[ModuleVerdict]", device: str, *, compared: bool, every: bool) -> Iterator[str]:
    """A table and the verdict in a sentence; all modules that have something to say, and with `every` all others."""
    ranked = worst_first(verdicts)
    telling = [verdict for verdict in ranked if verdict.status != "ok" or verdict.message]
    quiet = [verdict for verdict in ranked if verdict.status == "ok" and not verdict.message]
    shown = ranked if every else [*telling, *quiet[:SHOWN]]
    yield from _table(shown)
    if len(shown) < len(ranked):
        yield f"and {len(ranked) - len(shown)} more, all ok"
    counts = {status: sum(verdict.status == status for verdict in verdicts) for status in ORDER}
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    how = "measured between base and merged weights" if compared else "checked alone, no merged weights to measure"
    yield ""
    yield f"{len(verdicts)} modules on {device}: {said} ({how})"
    if cause := _cause(verdicts):
        yield f"likely cause: {printable(cause)}"


def _cause(verdicts: "Sequence[ModuleVerdict]") -> str:
    from lora_lint.reference import likely_cause

    return likely_cause((verdict.status, verdict.cause or verdict.message) for verdict in verdicts)


def _table(shown: "Sequence[ModuleVerdict]") -> Iterator[str]:
    spectral = any(one.effective_rank is not None for one in shown)
    heads = ("module", "rank", *(("effective",) if spectral else ()), "declared", "measured", "residual", "status")
    rows = [heads]
    for one in shown:
        effective = (_short(one.effective_rank),) if spectral else ()
        scales = (_cell(one.declared), _cell(one.measured), _short(one.residual))
        rows.append((printable(one.module), _cell(one.rank), *effective, *scales, one.status))
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads) - 1)]
    for row, message in zip(rows, ("", *(one.message for one in shown)), strict=True):
        name, *cells = row[:-1]
        columns = [name.ljust(widths[0]), *(cell.rjust(wide) for cell, wide in zip(cells, widths[1:], strict=True))]
        yield "  ".join([*columns, f"{row[-1]}: {printable(message)}" if message else row[-1]]).rstrip()


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return number(value) if value == 0 or 1e-4 <= abs(value) < 1e7 else f"{value:.1e}"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
