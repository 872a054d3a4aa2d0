"""`python -m tests.oracles FRAMEWORK`: files as JSON on standard input, the layers that each makes on output."""

import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr
from importlib import import_module


def answer(layers: Callable[[str, str], Iterable[tuple[int, float]]], name: str, text: str) -> object:
    """The different layers that the framework makes of a file, or why it makes none."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return sorted({(rank, float(f"{scale:.5g}")) for rank, scale in layers(name, text)})
    except (Exception, SystemExit) as refusal:  # noqa: BLE001 - a refusal is an answer, whatever it raises
        return f"{type(refusal).__name__}: {refusal} {said.getvalue()[-500:]}"


def main() -> None:
    # Some packages greet their users on standard output.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    layers = import_module(f"tests.oracles.{sys.argv[1]}").layers
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        json.dump([answer(layers, name, text) for name, text in json.load(sys.stdin)], answers)
    answers.close()


main()
