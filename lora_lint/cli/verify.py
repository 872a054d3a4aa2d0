"""`lora-lint verify`: the scale that the tensors of a checkpoint really have."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lora_lint.cli.output import CLEAN, FOUND, MISUSED, emit, fail
from lora_lint.document import UnreadableError

if TYPE_CHECKING:
    import torch

    from lora_lint.facts import Setup
    from lora_lint.reference import ModuleClaim, ModuleVerdict, Weights

CONFIGS = ("adapter_config.json", "config.json")


def verify(
    checkpoint: Annotated[str, typer.Argument(help="An adapter's folder or file, or an unmerged InternVL model.")],
    base: Annotated[str | None, typer.Option(help="Folder or file of the base model's weights.")] = None,
    merged: Annotated[str | None, typer.Option(help="Folder or file of the weights after merging.")] = None,
    also: Annotated[list[str] | None, typer.Option(help="Another adapter that was merged too; any number.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    expect: Annotated[
        str, typer.Option(help="The scale to hold the tensors to: declared, policy, or a number.")
    ] = "declared",
    spectrum: Annotated[bool, typer.Option("--spectrum", help="Effective ranks too; slower.")] = False,
    plot: Annotated[str | None, typer.Option(help="Picture of the scale by layer: F.png or F.svg.")] = None,
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
    ending = _ending(plot)
    try:
        from lora_lint import reference
    except ImportError as error:
        fail(str(error))
    try:
        devices = reference.pick_devices(device)
        setup, folder = checkpoint_setup(checkpoint, bare=True)
        weights = _weights(base, merged, also or [], setup, folder)
        if device == "auto" and weights[0] is None:
            # An adapter alone is checked in less time than a GPU takes to start.
            devices = reference.pick_devices("cpu")
        wanted = _wanted(expect, setup)
        verdicts = _verdicts(setup, folder, weights, wanted, also=also or [], devices=devices, spectrum=spectrum)
    except (UnreadableError, ValueError, OSError) as error:
        fail(f"{checkpoint}: {error}", FOUND if isinstance(error, UnreadableError) else 2)
    if not verdicts:
        fail(f"{checkpoint}: no LoRA tensors to verify", FOUND)
    where = ", ".join(map(str, devices))
    passed = all(verdict.status != "failed" for verdict in verdicts)
    if plot is not None:
        _picture(plot, ending, verdicts, folder.resolve().name)
    from lora_lint.reporters import verify as report

    if format_ == "json":
        emit(report.as_json(verdicts, where, passed=passed))
    else:
        emit("\n".join(report.as_text(verdicts, where, compared=weights[0] is not None, every=verbose)))
    if any(one.rule == "internal-error" for verdict in verdicts for one in verdict.diagnostics):
        raise typer.Exit(MISUSED)
    raise typer.Exit(CLEAN if passed else FOUND)


def _verdicts(
    setup: "Setup",
    folder: Path,
    weights: "tuple[Weights | None, Weights | None]",
    wanted: float | None,
    *,
    also: list[str],
    devices: "list[torch.device]",
    spectrum: bool,
) -> "list[ModuleVerdict]":
    from lora_lint.cli.options import settings_for
    from lora_lint.cli.progress import progress
    from lora_lint.linter import Linter
    from lora_lint.reference import incomplete
    from lora_lint.reference import verify as verified

    linter = Linter(settings_for([setup.document.source.name], None, None, None), None)
    others = [claim for other in also for claim in _claims(*checkpoint_setup(other, bare=True))]
    with progress("verifying") as tell:
        found = verified(
            _claims(setup, folder),
            device=devices,
            base=weights[0],
            merged=weights[1],
            also=others,
            spectrum=spectrum,
            expect=wanted,
            linter=linter,
            setup=setup,
            progress=tell,
        )
        return [*incomplete(setup, linter), *found]


def _ending(plot: str | None) -> str:
    """The ending of a picture's name; one that can't be drawn is misuse, said before anything is read."""
    if plot is None:
        return ""
    try:
        from lora_lint.reporters.plot import FORMATS
    except ImportError as error:
        fail(str(error))
    ending = Path(plot).suffix.lower()
    if ending not in FORMATS:
        fail(f"--plot {plot}: the name can end in {' or '.join(FORMATS)}")
    return ending


def _picture(path: str, ending: str, verdicts: "list[ModuleVerdict]", title: str) -> None:
    from lora_lint.cli.output import write_file
    from lora_lint.printable import printable
    from lora_lint.reporters.plot import plot

    try:
        write_file(path, plot(verdicts, printable(title), ending))
    except ValueError as error:
        fail(f"--plot: {error}")
    except OSError as error:
        fail(f"{path}: can't be written: {(error.strerror or str(error)).lower()}")


def checkpoint_setup(checkpoint: str, *, bare: bool = False) -> "tuple[Setup, Path]":
    """The setup of a folder, or of the folder of a file that was named, and that folder.

    With `bare`, a folder may have no config if it has a single file of weights.

    Raises:
        UnreadableError: when it holds no LoRA checkpoint, or one whose config or headers can't be read.
    """
    from lora_lint.files import Candidate
    from lora_lint.reading import read_file

    path = Path(checkpoint)
    if not path.exists():
        fail(f"{checkpoint}: there is no such file or folder")
    folder = path if path.is_dir() else path.parent
    # A file of weights that no config speaks of says by itself what it can.
    lone = (path.name,) if path.is_file() and path.suffix == ".safetensors" else ()
    for name in (*lone, *CONFIGS, *(_only_weights(folder) if bare else ())):
        if not (folder / name).is_file():
            continue
        reading = read_file(Candidate(str(folder / name), named=True), 100_000_000)
        if reading.problem is not None:
            raise UnreadableError(f"{name}: {reading.problem.message}")
        for setup in reading.setups:
            return _with_tensors(setup, folder), folder
    raise UnreadableError(f"holds no LoRA setup: no {' or '.join(CONFIGS)} with one")


def _only_weights(folder: Path) -> tuple[str, ...]:
    """The file that an adapter without a config is, where the folder has no other weights."""
    names = [path.name for path in folder.glob("*.safetensors")]
    return tuple(names) if len(names) == 1 else ()


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


def _weights(
    base: str | None, merged: str | None, also: list[str], setup: "Setup", folder: Path
) -> "tuple[Weights | None, Weights | None]":
    """The weights to compare; an unmerged checkpoint is its own base."""
    from lora_lint.reference import Weights

    assert setup.checkpoint is not None
    if merged is not None and base is None and any(".base_layer." in name for name in setup.checkpoint.tensors):
        base = str(folder)
    if (base is None) != (merged is None):
        raise ValueError("--base and --merged are compared with each other: give both")
    if base is None or merged is None:
        if also:
            raise ValueError("--also names what was merged too: give --base and --merged")
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
