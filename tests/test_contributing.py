"""The worked examples of CONTRIBUTING.md do what it says."""

import re
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from lora_lint import frameworks
from lora_lint.reading import read_bytes
from tests.checkout import ROOT
from tests.frameworks.rows import Row, rows

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def block(heading: str, number: int = 0) -> str:
    """A fenced Python block below a heading, without its indentation."""
    part = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^   ```python\n(.*?)^   ```$", part, re.MULTILINE | re.DOTALL)
    return re.sub(r"^   ", "", blocks[number], flags=re.MULTILINE)


@pytest.fixture
def tuner(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The framework of the example, in its one file and with its one line."""
    module = ModuleType("lora_lint.frameworks.tuner")
    sys.modules[module.__name__] = module  # pydantic looks the annotations up there
    exec(compile(block("Adding a framework"), "tuner.py", "exec"), module.__dict__)
    monkeypatch.setitem(frameworks.MARKERS, "tuner", (b"tuner/train.py",))
    for cached in (frameworks._markers, frameworks.framework):
        cached.cache_clear()
    yield module
    del sys.modules[module.__name__]
    monkeypatch.undo()
    for cached in (frameworks._markers, frameworks.framework):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("--lora_enable True --lora_r 8 --lora_alpha 16", Row("all-linear", 8, 16, 2, "ww")),
        ("--lora_enable True --lora_r 8", Row("all-linear", 8, 16, 2, "wd")),
        ("--lora_r 8", Row("all-linear", 8, 16, 2, "wd", "off")),
        ("--lora_enable True --lora_r $RANK", Row("all-linear", "?", 16, "?", "ud")),
    ],
)
def test_the_framework_of_the_example_is_understood(tuner: ModuleType, flags: str, expected: Row) -> None:
    (setup,) = read_bytes("train.sh", f"python tuner/train.py {flags} --lr 2e-4\n".encode()).setups
    assert (setup.framework, setup.title) == ("tuner", "Tuner")
    assert rows([setup]) == [expected]
    rate = setup.training.learning_rate
    assert rate is not None
    assert rate.value == 2e-4
