"""Adapters that say the same are read once: their rows are those that each would have had by itself."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lora_lint.audit import copies, surroundings
from lora_lint.audit.copies import Copies, Copy
from lora_lint.audit.rows import Row
from lora_lint.audit.tasks import Made
from tests.audits import adapter, audited, config
from tests.checkout import write
from tests.pages import pages
from tests.tensors import write_safetensors

NAME = "adapter_config.json"


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders whose config wasn't read, because of another one."""
    found: list[str] = []
    made = Copies.made

    def told(self: Copies, copy: Copy) -> Made | None:
        result = made(self, copy)
        if result is not None:
            found.append(os.path.basename(os.path.dirname(copy.path)))
        return result

    monkeypatch.setattr(Copies, "made", told)
    return found


def by_itself(root: str, settings: Mapping[str, object] | None = None) -> list[Row]:
    """The rows below a root where every file is read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Copies, "likely", lambda self, candidate: None)
        return audited(root, settings=settings)


def weights(folder: str, rank: int = 8, dtype: str = "F32") -> None:
    """The weights of two modules beside a config."""
    table = {}
    for module in ("q_proj", "v_proj"):
        name = f"base_model.model.model.layers.0.self_attn.{module}"
        table[f"{name}.lora_A.weight"] = (dtype, (rank, 16))
        table[f"{name}.lora_B.weight"] = (dtype, (16, rank))
    write_safetensors(Path(folder, "adapter_model.safetensors"), table)


def test_every_example_and_those_beside_it_that_differ_a_little(here: Path, taken: list[str]) -> None:
    number = 0
    for page in pages():
        for example in page.examples:
            if not any(fence.file == NAME for fence in example.fences) or example.since:
                continue
            number += 1
            top = Path("root", f"{number:03}")
            for copy in ("a", "b", "z"):
                (top / copy).mkdir(parents=True)
                example.write(top / copy)
            shutil.copytree(top / "a", f"root/far/{number:03}/below/far", symlinks=True)
            for at, changed in enumerate(_changed(top / "a")):
                shutil.copytree(top / "a", top / f"m{at}", symlinks=True)
                changed(top / f"m{at}")
    assert audited("root") == by_itself("root")
    assert number > 50
    assert sum(name in ("b", "z") for name in taken) > 1.5 * number
    assert sum(name == "far" for name in taken) > 0.5 * number


def _changed(folder: Path) -> Iterator[Callable[[Path], object]]:
    """What may be another in a folder like this one, a file at a time."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file():
            for change in (_turned, Path.unlink, _linked):
                yield lambda other, change=change, name=name: change(other / name)  # type: ignore[misc]


def _turned(path: Path) -> None:
    """One digit or letter in the middle of a file becomes another; of weights, one in the header."""
    data = bytearray(path.read_bytes())
    for at in range(min(len(data) // 2, 400), len(data)):
        if chr(data[at]).isalnum():
            data[at] = ord("1") if data[at] != ord("1") else ord("2")
            break
    path.write_bytes(data)


def _linked(path: Path) -> None:
    moved = path.with_name(f"{path.name}.old")
    path.rename(moved)
    path.symlink_to(moved.name)


@pytest.mark.parametrize(
    ("changed", "is_copy"),
    [
        (lambda: None, True),
        (lambda: adapter("root/b", target_modules=["v_proj", "q_proj"]), True),
        (lambda: adapter("root/b", target_modules=["v_proj", "k_proj"]), False),
        (lambda: adapter("root/b", 4, 8), False),
        (lambda: weights("root/b"), True),
        (lambda: weights("root/b", 4), False),
        (lambda: weights("root/b", dtype="F16"), False),
        (lambda: Path("root/b/adapter_model.safetensors").write_bytes(b"no header"), False),
        (lambda: os.truncate("root/b/adapter_model.safetensors", 900), False),
        (lambda: write({"root/b/README.md": "---\nbase_model: org/other\n---\n"}), False),
        (lambda: write({"root/b/README.md": "---\nbase_model: org/base\n---\n"}), True),
        (lambda: write({"root/b/base": ""}), False),
        (lambda: _linked(Path("root/b", NAME)), False),
        (lambda: shutil.move("root/b", "root/below/b"), True),
    ],
)
def test_what_makes_an_adapter_a_copy(
    here: Path, taken: list[str], changed: Callable[[], object], is_copy: bool
) -> None:
    for name in ("a", "b"):
        adapter(f"root/{name}")
        weights(f"root/{name}")
        write({f"root/{name}/README.md": "---\nbase_model: org/base\n---\n"})
    Path("root/below").mkdir()
    changed()
    assert audited("root") == by_itself("root")
    assert ("b" in taken) == is_copy


BASED = {"base_model_name_or_path": "base/model", "target_modules": ["c_attn"]}
GPT2 = json.dumps({"model_type": "gpt2"})


@pytest.mark.parametrize(
    ("files", "others", "is_copy"),
    [
        ({}, {}, True),
        ({"root/x/c/adapter_config.json": "{}"}, {}, True),
        ({"root/other/notes.txt": ""}, {}, True),
        # Of both the way up is another.
        ({"root/y/notes.txt": ""}, {}, False),
        ({"root/x/notes.txt": ""}, {}, False),
        # What lies above both is the same for both.
        ({"root/notes.txt": ""}, {}, True),
        ({"root/requirements.txt": "peft==0.3.0"}, {"use_dora": True}, True),
        ({"root/y/requirements.txt": "peft==0.3.0"}, {"use_dora": True}, False),
        ({"root/y/requirements/all.txt": "peft==0.3.0"}, {"use_dora": True}, False),
        ({"root/y/z/.git/HEAD": ""}, BASED, False),
        ({"root/base/model/config.json": GPT2}, BASED, True),
        ({"root/y/base/model/config.json": GPT2}, BASED, False),
        ({"root/y/z/base/model/config.json": GPT2}, BASED, False),
        ({"root/x/base/model/config.json": GPT2}, BASED, False),
        ({"root/y/other/config.json": GPT2}, {**BASED, "base_model_name_or_path": "../other"}, False),
        ({"root/y/bäse/config.json": GPT2}, {**BASED, "base_model_name_or_path": "bäse"}, False),
    ],
)
def test_what_lies_around_a_copy(
    here: Path, taken: list[str], files: Mapping[str, str], others: Mapping[str, Any], is_copy: bool
) -> None:
    for folder in ("x/a", "y/z/b"):
        adapter(f"root/{folder}", **others)
    write(files)
    assert audited("root") == by_itself("root")
    assert ("b" in taken) == is_copy


def test_a_folder_of_very_many_is_around_all_of_them(
    here: Path, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "MOST_NAMES", 3)
    for name in ("a", "b", "c/x", "d/y"):
        adapter(f"root/{name}")
    assert audited("root") == by_itself("root")
    assert taken == ["b", "x", "y"]


def test_an_order_that_a_finding_quotes_is_its_own(here: Path, taken: list[str]) -> None:
    text = config(target_modules=["q_prj", "v_proj"], base_model_name_or_path="meta-llama/Llama-2-7b-hf")
    other = config(target_modules=["v_proj", "q_prj"], base_model_name_or_path="meta-llama/Llama-2-7b-hf")
    write({f"root/a/{NAME}": text, f"root/b/{NAME}": other, f"root/c/{NAME}": other, f"root/d/{NAME}": other})
    found = audited("root")
    assert found == by_itself("root")
    assert all("q_prj" in row.findings[0].message for row in found)
    assert taken == ["c", "d"]


def test_a_base_of_its_own_folder_is_told_apart(here: Path) -> None:
    for name, model in (("a", "llama"), ("b", "gpt2")):
        adapter(f"root/{name}", base_model_name_or_path="base", target_modules=["c_attn"])
        write({f"root/{name}/base/config.json": json.dumps({"model_type": model})})
    found = audited("root")
    assert found == by_itself("root")
    assert [len(row.findings) for row in found] == [1, 0]


def test_a_text_with_a_mark_before_it_has_the_content_of_its_characters(here: Path) -> None:
    for name in ("a", "b"):
        adapter(f"root/{name}").write_bytes(b"\xef\xbb\xbf" + config().encode())
    assert audited("root") == by_itself("root")


def test_where_few_are_alike_most_are_not_looked_at(
    here: Path, taken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "TRIED", 10)
    monkeypatch.setattr(copies, "UNLOOKED", 20)
    for number in range(15):
        adapter(f"root/{number:02}", base_model_name_or_path=f"org/base-{number}")
    for number in range(15, 40):
        adapter(f"root/{number:02}")
    assert audited("root") == by_itself("root")
    assert taken == [f"{number:02}" for number in range(31, 40)]


def test_settings_for_some_paths_are_theirs_alone(here: Path, taken: list[str]) -> None:
    for name in ("a", "b"):
        adapter(f"root/{name}", 8, 8)
    settings = {"overrides": [{"paths": ["root/b/**"], "policy": "r"}]}
    found = audited("root", settings=settings)
    assert found == by_itself("root", settings)
    assert [row.holds for row in found] == [False, True]
    assert not taken


def test_kinds_are_forgotten_in_turn(here: Path, taken: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "KEPT", 2)
    for number, base in enumerate("aabcaa"):
        adapter(f"root/{number}", base_model_name_or_path=f"org/{base}")
    assert audited("root") == by_itself("root")
    assert taken == ["1", "5"]


def test_a_store_knows_what_copies_were_made_of(here: Path, taken: list[str]) -> None:
    for name in ("a", "b", "c"):
        adapter(f"root/{name}")
        weights(f"root/{name}")
    first = audited("root", store="F.db")
    assert taken == ["b", "c"]
    weights("root/c", 4)
    again = audited("root", store="F.db")
    assert again[:2] == first[:2]
    assert again == by_itself("root")
    assert again[2].findings


def test_the_size_of_pickled_weights_tells_adapters_apart(here: Path) -> None:
    for name, size in (("a", 1161), ("b", 40)):
        adapter(f"root/{name}")
        Path(f"root/{name}/adapter_model.bin").write_bytes(bytes(size))
    found = audited("root")
    assert found == by_itself("root")
    assert found[0].findings != found[1].findings


@pytest.mark.parametrize("with_weights", [False, True])
def test_a_base_that_one_of_them_lacks_is_told_apart(with_weights: bool, here: Path) -> None:
    for name in ("a", "b"):
        adapter(f"root/{name}", base_model_name_or_path="base/model", target_modules=["c_attn"])
        Path(f"root/{name}/base").mkdir()
        if with_weights:
            weights(f"root/{name}")
    write({"root/b/base/model/config.json": json.dumps({"model_type": "llama", "hidden_size": 64})})
    found = audited("root")
    assert found == by_itself("root")
    assert with_weights or found[0].findings != found[1].findings
