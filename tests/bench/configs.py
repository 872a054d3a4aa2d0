"""Checking configs: the start of a process, a thousand files, one script, one source file, a tree without LoRA."""

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import tree_sitter
import tree_sitter_bash

from lora_lint.finding import Report
from lora_lint.linter import Linter
from lora_lint.reading import read_bytes
from lora_lint.settings import Settings
from tests.bench import corpora, peers
from tests.bench.table import Row
from tests.bench.timing import LORA_LINT, PYTHON, calls, environment, processes


def start(folder: Path, runs: int) -> Iterator[Row]:
    """One adapter config in a fresh process."""
    (folder / "smallest.py").write_text(peers.SMALLEST, "utf-8")
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(corpora.ADAPTER, indent=2), "utf-8")
    ours, theirs = processes(runs, folder, [*LORA_LINT, "check", config], [PYTHON, "-m", "smallest", config])
    yield Row("`check` of one adapter config, cold", ours, "smallest typer and pydantic program", theirs, "1.25x")


def thousand(folder: Path, runs: int) -> Iterator[Row]:
    """A thousand adapter configs, alone and beside general linters."""
    paths = corpora.adapters(folder / "adapters")
    bin_ = peers.installed()
    schema = folder / "peft.schema.json"
    printed = subprocess.run(
        [*LORA_LINT, "schema", "peft"], cwd=folder, env=environment(folder), capture_output=True, check=True
    )
    schema.write_bytes(printed.stdout)
    all_, one, jsonschema, yamllint = processes(
        runs,
        folder,
        [*LORA_LINT, "check", "--quiet", "adapters"],
        [*LORA_LINT, "check", "--quiet", paths[0]],
        [bin_ / "check-jsonschema", "--schemafile", schema, *paths],
        [bin_ / "yamllint", "-d", "relaxed", *paths],
    )
    over = [whole - median(one) for whole in all_]
    yield Row("`check` of 1,000 adapter configs, over the start-up", over, budget="150 ms")
    yield Row("`check` of 1,000 adapter configs", all_, "check-jsonschema", jsonschema)
    yield Row("`check` of 1,000 adapter configs", all_, "yamllint", yamllint)


def texts(folder: Path, runs: int) -> Iterator[Row]:
    """One launch script and one training script, read and checked in this process."""
    linter = Linter(Settings(), None)

    def check(name: str, text: str) -> None:
        linter.add(read_bytes(name, text.encode()), Report())

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))
    ours, parse = calls(
        runs,
        lambda: check("train.sh", corpora.SCRIPT),
        lambda: parser.parse(corpora.SCRIPT.encode()),
        repeat=50,
    )
    yield Row("a launch script of 20 lines, in process", ours, "parsing it alone", parse, "2 ms")
    ours, parse = calls(runs, lambda: check("train.py", corpora.SOURCE), lambda: ast.parse(corpora.SOURCE), repeat=20)
    yield Row("a training script of 200 lines, in process", ours, "parsing it alone", parse, "20 ms")


def tree(folder: Path, runs: int) -> Iterator[Row]:
    """A large tree without any LoRA in it."""
    top = folder / "tree"
    count = corpora.other_files(top)
    read = (
        "import os, sys\n"
        "for folder, _, names in os.walk(sys.argv[1]):\n"
        "    for name in names:\n"
        "        with open(os.path.join(folder, name), 'rb') as file:\n"
        "            file.read()\n"
    )
    ours, theirs = processes(min(runs, 3), folder, [*LORA_LINT, "check", "--quiet", top], [PYTHON, "-c", read, top])
    yield Row(f"`check` of {count:,} files without LoRA", ours, "opening and reading them", theirs, "1.5x")
