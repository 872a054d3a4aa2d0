"""Notebooks: the cells as one program, IPython's lines passed over, every value at its line of the notebook file."""

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from lora_lint.document import Document, Source, UnreadableError
from lora_lint.readers import notebook
from lora_lint.reading import read_bytes

IMPORT = "from peft import LoraConfig\n"
TRAIN = "deepspeed llava/train/train_mem.py --lora_enable True --lora_r 8 --lora_alpha 8"
AXOLOTL = "base_model: m\nadapter: lora\nlora_r: 8\nlora_alpha: 8\n"


def text_of(*cells: Any, indent: int | None = 1) -> str:
    """A notebook; a cell is its source as a string or a list of strings."""
    listed = [
        cell if isinstance(cell, dict) else {"cell_type": "code", "metadata": {}, "outputs": [], "source": cell}
        for cell in cells
    ]
    return json.dumps({"cells": listed, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=indent)


def documents(text: str) -> list[Document]:
    return list(notebook.read(Source("x.ipynb", text)))


def facts(text: str) -> list[tuple[object, object]]:
    """Rank and alpha of every site."""
    return [
        (site.rank.value, site.alpha.value if site.alpha else None)
        for setup in read_bytes("x.ipynb", text.encode()).setups
        for site in setup.sites
    ]


PYTHON: Mapping[str, list[str]] = {
    "one cell": [f"{IMPORT}LoraConfig(r=8, lora_alpha=8)"],
    "an import in another cell": [IMPORT, "LoraConfig(r=8, lora_alpha=8)"],
    "a value in another cell": [IMPORT, "rank = 8", "LoraConfig(r=rank, lora_alpha=rank)"],
    "a pip line": [f"!pip install peft\n%load_ext x\n{IMPORT}LoraConfig(r=8, lora_alpha=8)"],
    "a magic in a block": [f"{IMPORT}if True:\n    !nvidia-smi\nLoraConfig(r=8, lora_alpha=8)"],
    "a short magic alone in a block": [f"{IMPORT}if True:\n  !ls\nLoraConfig(r=8, lora_alpha=8)"],
    "a continued shell line": [f"!pip install \\\n    a \\\n    b\n{IMPORT}LoraConfig(r=8, lora_alpha=8)"],
    "the output of a command": [f"{IMPORT}for x in y:\n    gpu = !nvidia-smi\nLoraConfig(r=8, lora_alpha=8)"],
    "a magic's result": [f"{IMPORT}t = %time f()\nLoraConfig(r=8, lora_alpha=8)"],
    "a question": [f"{IMPORT}LoraConfig?\n?LoraConfig\nLoraConfig(r=8, lora_alpha=8)"],
    "a timed cell": [f"%%time\n{IMPORT}LoraConfig(r=8, lora_alpha=8)"],
    "a captured cell": [f"%%capture out\n!pip install x\n{IMPORT}LoraConfig(r=8, lora_alpha=8)"],
    "a modulo at the start of a line": [f"{IMPORT}x = (3\n% 2)\nLoraConfig(r=8, lora_alpha=8)"],
    "a broken cell before": ["def f(:", f"{IMPORT}LoraConfig(r=8, lora_alpha=8)"],
    "a broken cell after": [f"{IMPORT}LoraConfig(r=8, lora_alpha=8)", "print 'lora'"],
    "another language": ["%%html\n<b>lora</b>", f"{IMPORT}LoraConfig(r=8, lora_alpha=8)"],
    "a written program": [f"%%writefile train.py\n{IMPORT}LoraConfig(r=8, lora_alpha=8)"],
    "no line end between cells": [IMPORT.rstrip(), "LoraConfig(r=8, lora_alpha=8)"],
    "carriage returns": [f"{IMPORT}LoraConfig(r=8, lora_alpha=8)\n".replace("\n", "\r\n")],
}


@pytest.mark.parametrize("cells", PYTHON.values(), ids=PYTHON)
@pytest.mark.parametrize("listed", [False, True], ids=["strings", "lists"])
@pytest.mark.parametrize("indent", [None, 1], ids=["one line", "lines"])
def test_the_cells_are_one_program(cells: list[str], listed: bool, indent: int | None) -> None:
    sources = [cell.splitlines(keepends=True) if listed else cell for cell in cells]
    assert facts(text_of(*sources, indent=indent)) == [(8, 8)]


@pytest.mark.parametrize(
    "cell",
    [
        f"!{TRAIN}",
        f"!{TRAIN.replace('--lora_r', chr(92) + chr(10) + '  --lora_r')}",
        f"if True:\n    !{TRAIN}",
        f"%%bash\n{TRAIN}",
        f"%%sh -e\ncd x\n{TRAIN}",
        f"%%script bash\n{TRAIN}",
        f"%%writefile run.sh\n{TRAIN}",
        f"%%writefile -a cfg.yaml\n{AXOLOTL}",
        f"%%file 'cfg.yml'\n{AXOLOTL}",
        '%%writefile cfg.json\n{"base_model": "m", "adapter": "lora", "lora_r": 8, "lora_alpha": 8}',
    ],
)
def test_shell_lines_and_written_files_are_read_as_what_they_are(cell: str) -> None:
    assert facts(text_of("x = 1", cell)) == [(8, 8)]


@pytest.mark.parametrize(
    "cell",
    [
        {"cell_type": "markdown", "source": f"{IMPORT}LoraConfig(r=8, lora_alpha=8)"},
        {"cell_type": "raw", "source": f"{IMPORT}LoraConfig(r=8, lora_alpha=8)"},
        {"source": f"{IMPORT}LoraConfig(r=8, lora_alpha=8)"},
        {"cell_type": "code", "outputs": [{"text": f"{IMPORT}LoraConfig(r=8, lora_alpha=8)"}], "source": []},
        {"cell_type": "code", "source": [IMPORT, 3, "LoraConfig(r=8, lora_alpha=8)"]},
        {"cell_type": "code", "source": {"a": IMPORT}},
        {"cell_type": "code", "source": None},
        {"cell_type": "code"},
        f"%%writefile notes.txt\n{IMPORT}LoraConfig(r=8, lora_alpha=8)",
        f"%%javascript\n{IMPORT}LoraConfig(r=8, lora_alpha=8)",
        f"# {TRAIN}",
        3,
        None,
    ],
)
def test_other_cells_hold_nothing(cell: object) -> None:
    listed: list[object] = [cell if isinstance(cell, dict | str) else {"cell_type": "code", "source": cell}]
    assert facts(text_of(*listed, "x = 1")) == []


@pytest.mark.parametrize("listed", [False, True], ids=["strings", "lists"])
@pytest.mark.parametrize("before", ['s = "é \\u00e9 \\\\ \\" 𝄞"\n', "# plain\n", ""])
def test_a_value_stands_at_its_place_in_the_file(before: str, listed: bool) -> None:
    cell = f"{IMPORT}{before}LoraConfig(r=8,\n    lora_alpha=12)"
    text = text_of(cell.splitlines(keepends=True) if listed else cell)
    (document,) = documents(text)
    entry = document.entry(("lora_alpha",))
    assert entry is not None
    assert entry.key is not None
    assert text[slice(*entry.value)] == "12"
    assert text[slice(*entry.key)] == "lora_alpha"
    assert document.source.position(entry.value.start).line == text[: text.index("12)")].count("\n") + 1


@pytest.mark.parametrize("ascii_only", [True, False])
def test_escapes_count_as_one_character(ascii_only: bool) -> None:
    cell = f'{IMPORT}s = "é𝄞\t\\n"; LoraConfig(r=8, lora_alpha=12)'
    text = json.dumps({"cells": [{"cell_type": "code", "source": cell}]}, ensure_ascii=ascii_only)
    (document,) = documents(text)
    assert text[slice(*document.span_of(("lora_alpha",)))] == "12"


def test_nothing_is_rewritten_in_a_notebook() -> None:
    (document,) = documents(text_of(f"{IMPORT}LoraConfig(r=8, lora_alpha=12)"))
    assert document.embedded
    assert [entry.literal for entry in document.entries.values()] == [None] * len(document.entries)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ('{"cells": [}', "not JSON"),
        ("[]", "holds no cells"),
        ('{"cells": 3}', "holds no cells"),
        ('{"worksheets": []}', "holds no cells"),
        ('{"cells": ' + "[" * 100_000, "nested deeper"),
    ],
)
def test_a_file_that_is_no_notebook_says_so(text: str, message: str) -> None:
    with pytest.raises(UnreadableError, match=message):
        documents(text)


def test_a_notebook_without_cells_holds_nothing() -> None:
    assert documents('{"cells": []}') == []


HOSTILE: Mapping[str, str] = {
    "half a character": text_of(
        '%%writefile a.yaml\nlora_alpha: "\ud800"', 'lora = "\udfff"', "!lora \ud800 --lora_r 8"
    ),
    "null characters": text_of("lora = '\0'", "%%writefile lora.yaml\na: \0", "!lora --config a\0.yaml --lora_r 8"),
    "many shell lines": text_of("!lora --lora_r 8\n" * 60_000),
    "many cells": text_of(*["lora = 1"] * 5_000),
    "many operators": text_of("lora = 1" + "+1" * 400_000),
    "brackets": text_of("lora = " + "(" * 100_000),
    "lines that may continue": text_of("!lora \\\n" * 60_000),
    "questions": text_of("lora?" + "?" * 200_000 + " \n"),
    "blanks": text_of("lora\n" + " " * 400_000 + "x"),
    "one long escape": text_of("lora = '" + "é" * 150_000),
    "magics": text_of("%lora\n" * 30_000),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_notebooks_end_in_bounded_time(text: str) -> None:
    start = time.process_time()
    reading = read_bytes("x.ipynb", text.encode())
    assert reading.setups == []
    assert time.process_time() - start < 10
