"""`lora-lint verify`: the scale that the tensors of a checkpoint really have."""

import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lora_lint.cli.output import CLEAN, FOUND, emit, fail
from lora_lint.document import UnreadableError

if TYPE_CHECKING:
    from lora_lint.facts import Setup
    from lora_lint.reference import ModuleClaim, ModuleVerdict, Weights

CONFIGS = ("adapter_config.json", "config.json")
SHOWN = 10
"""Modules that are all right and still shown, the ones that deviate most; -v shows all."""


def verify(
    checkpoint: Annotated[str, typer.Argument(help="Folder of an adapter, or of an unmerged InternVL model.")],
    base: Annotated[str | None, typer.Option(help="Folder or file of the base model's weights.")] = None,
    merged: Annotated[str | None, typer.Option(help="Folder or file of the weights after merging.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    expect: Annotated[
        str, typer.Option(help="The scale to hold the tensors to: declared, policy, or a number.")
    ] = "declared",
    spectrum: Annotated[bool, typer.Option("--spectrum", help="Effective ranks too; slower.")] = False,
    format_: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every module.")] = False,
) -> None:
    """Measure what the tensors do: alone, or between a base and a merged model.

    \b
      lora-lint verify adapter/
      lora-lint verify adapter/ --base base/ --merged merged/
      lora-lint verify unmerged-internvl/ --merged merged/
    """
    if format_ not in ("text", "json"):
        fail(f"there is no format {format_!r}; there are text and json")
    from lora_lint.cli.options import settings_for
    from lora_lint.linter import Linter

    try:
        from lora_lint import reference
    except ImportError as error:
        fail(str(error))
    try:
        chosen = reference.pick_device(device)
        setup, folder = checkpoint_setup(checkpoint)
        weights = _weights(base, merged, setup, folder)
        wanted = _wanted(expect, setup)
        claims = [_expected(claim, wanted) for claim in _claims(setup, folder)]
        verdicts = [*_incomplete(setup)]
        linter = Linter(settings_for([setup.document.source.name], None, None, None), None)
        for verdict in reference.verify(
            claims,
            device=chosen,
            base=weights[0],
            merged=weights[1],
            spectrum=spectrum,
            linter=linter,
            setup=setup,
        ):
            verdicts.append(_as_expected(verdict, wanted))
            _progress(len(verdicts), len(claims))
    except (UnreadableError, ValueError, OSError) as error:
        fail(f"{checkpoint}: {error}", FOUND if isinstance(error, UnreadableError) else 2)
    if not verdicts:
        fail(f"{checkpoint}: no LoRA tensors to verify", FOUND)
    passed = all(verdict.status != "failed" for verdict in verdicts)
    if format_ == "json":
        emit(_as_json(verdicts, str(chosen), passed=passed))
    else:
        emit("\n".join(_as_text(verdicts, str(chosen), compared=weights[0] is not None, every=verbose)))
    raise typer.Exit(CLEAN if passed else FOUND)


def checkpoint_setup(checkpoint: str) -> "tuple[Setup, Path]":
    """The setup of a folder, or of the folder of a file that was named, and that folder.

    Raises:
        UnreadableError: when it holds no LoRA checkpoint, or one whose config or headers can't be read.
    """
    from lora_lint.reading import read_file

    path = Path(checkpoint)
    if not path.exists():
        fail(f"{checkpoint}: there is no such file or folder")
    folder = path if path.is_dir() else path.parent
    for name in CONFIGS:
        if not (folder / name).is_file():
            continue
        reading = read_file(str(folder / name), named=True, limit=100_000_000)
        if reading.problem is not None:
            raise UnreadableError(f"{name}: {reading.problem.message}")
        for setup in reading.setups:
            return _with_tensors(setup, folder), folder
    raise UnreadableError(f"holds no LoRA setup: no {' or '.join(CONFIGS)} with one")


def _with_tensors(setup: "Setup", folder: Path) -> "Setup":
    checkpoint = setup.checkpoint
    if checkpoint is None or not checkpoint.files:
        raise UnreadableError("no weights lie beside the config")
    for file, problem in checkpoint.problems:
        raise UnreadableError(f"{Path(file).name}: {problem.message}")
    if checkpoint.missing_shards or checkpoint.escaping_shards:
        names = ", ".join((*checkpoint.missing_shards, *checkpoint.escaping_shards)[:3])
        raise UnreadableError(f"the index names files that aren't in the folder: {names}")
    if checkpoint.tensors:
        return setup
    from lora_lint.frameworks import setup as setup_of
    from lora_lint.reference.claims import unpickled

    loaded = unpickled(checkpoint, folder)
    return setup_of(setup.document, [setup.framework], lambda: loaded) or setup


def _claims(setup: "Setup", folder: Path) -> "Iterator[ModuleClaim]":
    from lora_lint.reference.claims import claims

    return claims(setup, folder)


def _incomplete(setup: "Setup") -> "Iterator[ModuleVerdict]":
    from lora_lint.reference import ModuleVerdict
    from lora_lint.reference.claims import incomplete

    for module, missing in incomplete(setup):
        yield ModuleVerdict(module, None, None, None, None, "failed", missing, missing)


def _weights(
    base: str | None, merged: str | None, setup: "Setup", folder: Path
) -> "tuple[Weights | None, Weights | None]":
    """The weights to compare; an unmerged checkpoint is its own base."""
    from lora_lint.reference import Weights

    assert setup.checkpoint is not None
    if merged is not None and base is None and any(".base_layer." in name for name in setup.checkpoint.tensors):
        base = str(folder)
    if (base is None) != (merged is None):
        raise ValueError("--base and --merged are compared with each other: give both")
    if base is None or merged is None:
        return None, None
    return Weights.open(Path(base)), Weights.open(Path(merged))


def _wanted(expect: str, setup: "Setup") -> float | None:
    """The scale that `--expect` names, or None for the declared one.

    Raises:
        ValueError: for anything but declared, policy or a number.
    """
    if expect == "declared":
        return None
    if expect == "policy":
        from lora_lint.cli.options import settings_for
        from lora_lint.policy import Policy

        policy = Policy.parse(settings_for([setup.document.source.name], None, None, None).policy)
        if policy.wanted_scale is None:
            raise ValueError(f"--expect policy needs a policy with one scale; {policy} has none")
        return policy.wanted_scale
    try:
        scale = float(expect)
    except ValueError:
        scale = math.nan
    if not math.isfinite(scale):
        raise ValueError(f"--expect is {expect!r}; it can be declared, policy or a number")
    return scale


def _expected(claim: "ModuleClaim", wanted: float | None) -> "ModuleClaim":
    return claim if wanted is None or claim.declared is not None else replace(claim, declared=wanted)


def _as_expected(verdict: "ModuleVerdict", wanted: float | None) -> "ModuleVerdict":
    """The verdict, failed where the scale isn't the one that `--expect` asks for."""
    from lora_lint.scaling import number

    scale = verdict.measured if verdict.measured is not None else verdict.declared
    if wanted is None or scale is None or verdict.status == "failed" or math.isclose(scale, wanted, rel_tol=0.01):
        return verdict
    return replace(verdict, status="failed", message=f"scale is {number(scale)}, {number(wanted)} was expected")


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty() and total > 1:
        sys.stderr.write(f"\r{done}/{total} modules" if done < total else "\r\x1b[K")
        sys.stderr.flush()


def _as_json(verdicts: "list[ModuleVerdict]", device: str, *, passed: bool) -> str:
    from lora_lint.printable import printable_json

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
    return printable_json({"format": 1, "device": device, "passed": passed, "modules": modules})


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _as_text(verdicts: "list[ModuleVerdict]", device: str, *, compared: bool, every: bool) -> Iterator[str]:
    """A table, the worst first, and the verdict in a sentence."""
    from lora_lint.printable import printable
    from lora_lint.reference import likely_cause

    order = {"failed": 0, "warning": 1, "undecided": 2, "ok": 3}
    ranked = sorted(verdicts, key=lambda verdict: (order[verdict.status], not verdict.message, -_deviation(verdict)))
    telling = [verdict for verdict in ranked if verdict.status != "ok" or verdict.message]
    shown = ranked if every else [*telling, *ranked[len(telling) :][:SHOWN]]
    rows: list[tuple[str, ...]] = [("module", "rank", "declared", "measured", "residual", "status")]
    rows += [
        (printable(one.module), *map(_cell, (one.rank, one.declared, one.measured, one.residual)), one.status)
        for one in shown
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row, message in zip(rows, ("", *(one.message for one in shown)), strict=True):
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:5], widths[1:], strict=True)),
        ]
        yield "  ".join([*cells, f"{row[5]}: {printable(message)}" if message else row[5]]).rstrip()
    if len(shown) < len(ranked):
        yield f"and {len(ranked) - len(shown)} more, all ok"
    counts = {status: sum(verdict.status == status for verdict in verdicts) for status in order}
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    cause = likely_cause((verdict.status, verdict.cause or verdict.message) for verdict in verdicts)
    how = "measured between base and merged weights" if compared else "checked alone, no merged weights to measure"
    yield ""
    yield f"{len(verdicts)} modules on {device}: {said} ({how})"
    if cause:
        yield f"likely cause: {printable(cause)}"


def _cell(value: float | None) -> str:
    from lora_lint.scaling import number

    if value is None:
        return "-"
    return number(value) if value == 0 or 1e-4 <= abs(value) < 1e7 else f"{value:.1e}"


def _deviation(verdict: "ModuleVerdict") -> float:
    if verdict.measured is None or not verdict.declared:
        return 0.0
    deviation = abs(verdict.measured / verdict.declared - 1)
    return deviation if math.isfinite(deviation) else math.inf
