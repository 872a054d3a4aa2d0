"""`python -m tests.bench [NAMES] [--quick]`: makes its files, installs its peers, prints a Markdown table."""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench import audit, configs, hostile, tensors
from tests.bench.table import Row, markdown

BENCHMARKS: dict[str, Callable[[Path, int], Iterator[Row]]] = {
    "start": configs.start,
    "thousand": configs.thousand,
    "texts": configs.texts,
    "header": tensors.header,
    "checkpoints": tensors.thousand,
    "hostile": hostile.worst,
    "tree": configs.tree,
    "verify": tensors.verify,
    "audit": audit.audit,
}
SLOW = ("checkpoints", "tree", "verify", "audit")
CLOCKED = "`verify` and `audit` on the clock"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which: {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--quick", action="store_true", help=f"leave out {' and '.join(SLOW)}, and run less often")
    parser.add_argument("--runs", type=int, default=0, help="runs of each, 11 by default and 5 when quick")
    given = parser.parse_args()
    names = given.names or [name for name in BENCHMARKS if not (given.quick and name in SLOW)]
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]!r}")
    print("\n".join(markdown(_rows(names, given.runs or (5 if given.quick else 11)))))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"\n{os.cpu_count()} cores, {python}. Processor time, {CLOCKED}; compare within a row.")


def _rows(names: list[str], runs: int) -> Iterator[Row]:
    for name in names:
        if name == "verify" and not tensors.possible():
            print("verify left out: it needs Linux, torch and peft", file=sys.stderr)
            continue
        if name == "audit" and not audit.possible():
            print("audit left out: it needs Linux", file=sys.stderr)
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="lora-lint-bench-") as folder:
            yield from BENCHMARKS[name](Path(folder), runs)


main()
