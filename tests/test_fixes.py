"""Fixes: what is written, what is left alone, and that a fixed file has nothing left to fix."""

import codecs
import json
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lora_lint.decoding import syntax_of
from lora_lint.document import Document, Source, Span
from lora_lint.finding import Delete, Edit, Insert, RenameKey, Replace, Safety
from lora_lint.fix import edited, suggestion
from lora_lint.linter import lint
from lora_lint.readers import yaml as yaml_reader
from lora_lint.reading import documents
from tests.conftest import Run

AXOLOTL = "base_model: org/m\nadapter: lora\n"
LLAVA = "deepspeed llava/train/train_mem.py --lora_enable True"
PEFT = "from peft import LoraConfig\n"


class Row(NamedTuple):
    """What a file holds, and what `--fix --unsafe-fixes` makes of it."""

    what: str
    file: str
    before: str
    after: str


FIXED = [
    Row(
        "a comment stays",
        "a.yaml",
        f"{AXOLOTL}lora_r: 16  # rank\nlora_alpha: 16  # alpha\n",
        f"{AXOLOTL}lora_r: 16  # rank\nlora_alpha: 32  # alpha\n",
    ),
    Row("quotes go", "a.yaml", f"{AXOLOTL}lora_r: 16\nlora_alpha: '16'\n", f"{AXOLOTL}lora_r: 16\nlora_alpha: 32\n"),
    Row(
        "a flow mapping",
        "a.yaml",
        "{base_model: m, adapter: lora, lora_r: 16, lora_alpha: 16}",
        "{base_model: m, adapter: lora, lora_r: 16, lora_alpha: 32}",
    ),
    Row(
        "no line end at the end",
        "a.yaml",
        f"{AXOLOTL}lora_r: 8\nlora_alpha: 4",
        f"{AXOLOTL}lora_r: 8\nlora_alpha: 16",
    ),
    Row(
        "the second document",
        "a.yaml",
        f"{AXOLOTL}lora_r: 8\nlora_alpha: 16\n---\n{AXOLOTL}lora_r: 8\nlora_alpha: 8\n",
        f"{AXOLOTL}lora_r: 8\nlora_alpha: 16\n---\n{AXOLOTL}lora_r: 8\nlora_alpha: 16\n",
    ),
    Row(
        "non-ASCII before it",
        "a.yaml",
        f"# déjà 😀\n{AXOLOTL}ß: 'é'\nlora_r: 8\nlora_alpha: 8 # ö\n",
        f"# déjà 😀\n{AXOLOTL}ß: 'é'\nlora_r: 8\nlora_alpha: 16 # ö\n",
    ),
    Row(
        "an anchor elsewhere",
        "a.yaml",
        f"x: &x 1\ny: *x\n{AXOLOTL}lora_r: 8\nlora_alpha: 8\n",
        f"x: &x 1\ny: *x\n{AXOLOTL}lora_r: 8\nlora_alpha: 16\n",
    ),
    Row(
        "a missing alpha after the rank",
        "a.yaml",
        "peft_type: LORA\nr: 64 # rank\nlora_dropout: 0.1\n",
        "peft_type: LORA\nr: 64 # rank\nlora_alpha: 128\nlora_dropout: 0.1\n",
    ),
    Row("a missing alpha at the end", "a.yaml", "peft_type: LORA\nr: 64", "peft_type: LORA\nr: 64\nlora_alpha: 128"),
    Row(
        "a missing alpha in a flow mapping",
        "a.yaml",
        "{peft_type: LORA, r: 64}",
        "{peft_type: LORA, r: 64, lora_alpha: 128}",
    ),
    Row(
        "a missing alpha in a flow mapping of several lines",
        "a.yaml",
        "{peft_type: LORA,\n r: 64,\n lora_dropout: 0.1}\n",
        "{peft_type: LORA,\n r: 64, lora_alpha: 128,\n lora_dropout: 0.1}\n",
    ),
    Row(
        "a missing alpha in an indented mapping",
        "a.yaml",
        "peft_config:\n    name: lora\n    r: 32\n    target_modules: all\n",
        "peft_config:\n    name: lora\n    r: 32\n    lora_alpha: 64\n    target_modules: all\n",
    ),
    Row(
        "a missing alpha after a value on a line of its own",
        "a.yaml",
        "peft_type: LORA\nr:\n  64\n",
        "peft_type: LORA\nr:\n  64\nlora_alpha: 128\n",
    ),
    Row(
        "a number read as text",
        "a.yaml",
        "peft_type: LORA\nr: 8\nlora_alpha: 16\nlora_dropout: 5e-2  # 5 %\n",
        "peft_type: LORA\nr: 8\nlora_alpha: 16\nlora_dropout: 5.0e-2  # 5 %\n",
    ),
    Row(
        "a misspelled key, and nothing beside it",
        "a.yaml",
        "peft_type: LORA\nr: 64\n'lora_alpa': 128\n",
        "peft_type: LORA\nr: 64\n'lora_alpha': 128\n",
    ),
    Row(
        "JSON on one line",
        "a.json",
        '{"peft_type": "LORA", "r": 8, "lora_alpha": 8}',
        '{"peft_type": "LORA", "r": 8, "lora_alpha": 16}',
    ),
    Row(
        "JSON of several lines",
        "a.json",
        '{\n\t"lora_alpha":8,\n\t"peft_type": "LORA",\n\t"r": 8\n}\n',
        '{\n\t"lora_alpha":16,\n\t"peft_type": "LORA",\n\t"r": 8\n}\n',
    ),
    Row(
        "JSON with a number in quotes",
        "a.json",
        '{"peft_type": "LORA", "r": "8", "lora_alpha": "1.6e1"}',
        '{"peft_type": "LORA", "r": 8, "lora_alpha": 1.6e1}',
    ),
    Row(
        "JSON with a key of another framework",
        "a.json",
        '{"peft_type": "LORA", "r": 8, "alpha": 16}',
        '{"peft_type": "LORA", "r": 8, "lora_alpha": 16}',
    ),
    Row(
        "JSON with a key set twice",
        "a.json",
        '{"peft_type": "LORA", "r": 8, "lora_alpha": 16, "lora_alpha": 8}',
        '{"peft_type": "LORA", "r": 8, "lora_alpha": 16, "lora_alpha": 16}',
    ),
    Row(
        "a missing alpha in JSON",
        "a.json",
        '{\n  "peft_config": {\n    "name": "lora",\n    "r": 32,\n    "target_modules": "all"\n  }\n}\n',
        '{\n  "peft_config": {\n    "name": "lora",\n    "r": 32,\n    "lora_alpha": 64,\n'
        '    "target_modules": "all"\n  }\n}\n',
    ),
    Row(
        "a missing alpha in JSON on one line",
        "a.json",
        '{"peft_config": {"name": "lora", "r": 32}}',
        '{"peft_config": {"name": "lora", "r": 32, "lora_alpha": 64}}',
    ),
    Row(
        "a pattern's alpha",
        "a.json",
        '{"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q"], "alpha_pattern": {"v": 8}}',
        '{"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q"], "alpha_pattern": {"v": 16}}',
    ),
    Row(
        "a flag",
        "a.sh",
        f"{LLAVA} --lora_r 128 --lora_alpha 128 # é\n",
        f"{LLAVA} --lora_r 128 --lora_alpha 256 # é\n",
    ),
    Row("a quoted flag", "a.sh", f"{LLAVA} --lora_r=8 --lora_alpha='8'\n", f"{LLAVA} --lora_r=8 --lora_alpha='16'\n"),
    Row(
        "a flag on a continued line",
        "a.sh",
        f"{LLAVA} \\\n  --lora_r 8 \\\n  --lora_alpha 8 \\\n  --bits 16\n",
        f"{LLAVA} \\\n  --lora_r 8 \\\n  --lora_alpha 16 \\\n  --bits 16\n",
    ),
    Row(
        "a missing flag on a continued line",
        "a.sh",
        f"{LLAVA} \\\n  --lora_r 32 \\\n  --bits 16\n",
        f"{LLAVA} \\\n  --lora_r 32 --lora_alpha 64 \\\n  --bits 16\n",
    ),
    Row("a missing flag with =", "a.sh", f"{LLAVA} --lora_r=32\n", f"{LLAVA} --lora_r=32 --lora_alpha=64\n"),
    Row(
        "a variable that is used once",
        "a.sh",
        f"ALPHA=8 # alpha\n{LLAVA} --lora_r 8 --lora_alpha $ALPHA\n",
        f"ALPHA=16 # alpha\n{LLAVA} --lora_r 8 --lora_alpha $ALPHA\n",
    ),
    Row(
        "a misspelled flag",
        "a.sh",
        f"{LLAVA} --lora_r 8 --lora_alpah 16\n",
        f"{LLAVA} --lora_r 8 --lora_alpha 16\n",
    ),
    Row(
        "a keyword",
        "a.py",
        f"{PEFT}c = LoraConfig(r=16, lora_alpha=16)  # é\n",
        f"{PEFT}c = LoraConfig(r=16, lora_alpha=32)  # é\n",
    ),
    Row(
        "a missing keyword",
        "a.py",
        f"{PEFT}c = LoraConfig(\n    r=16,\n    target_modules=['q'],\n)\n",
        f"{PEFT}c = LoraConfig(\n    r=16, lora_alpha=32,\n    target_modules=['q'],\n)\n",
    ),
    Row(
        "a constant that is used once",
        "a.py",
        f"{PEFT}ALPHA = 16\nc = LoraConfig(r=16, lora_alpha=ALPHA)\n",
        f"{PEFT}ALPHA = 32\nc = LoraConfig(r=16, lora_alpha=ALPHA)\n",
    ),
    Row(
        "a dict of keywords",
        "a.py",
        f"{PEFT}kw = {{'r': 16}}\nc = LoraConfig(**kw)\n",
        f"{PEFT}kw = {{'r': 16, 'lora_alpha': 32}}\nc = LoraConfig(**kw)\n",
    ),
    Row(
        "a misspelled keyword",
        "a.py",
        f"{PEFT}c = LoraConfig(r=16, lora_alpa=32)\n",
        f"{PEFT}c = LoraConfig(r=16, lora_alpha=32)\n",
    ),
]

LEFT_ALONE = [
    ("an alias", "a.yaml", f"{AXOLOTL}lora_r: &r 16\nlora_alpha: *r\n"),
    ("an anchor that is used", "a.yaml", f"{AXOLOTL}lora_r: 16\nlora_alpha: &a 16\nx: *a\n"),
    ("a merged mapping", "a.yaml", f"d: &d {{lora_r: 16, lora_alpha: 16}}\n{AXOLOTL}<<: *d\n"),
    ("a rank that is merged in", "a.yaml", "d: &d {r: 64}\npeft_type: LORA\n<<: *d\n"),
    (
        "a misspelled key that is merged in",
        "a.yaml",
        "d: &d {use_dra: true}\npeft_type: LORA\nr: 32\nlora_alpha: 64\n<<: *d\n",
    ),
    ("a key with a question mark", "a.yaml", "peft_type: LORA\n? r\n: 64\n"),
    ("a trained adapter", "a.json", '{"peft_type": "LORA", "r": 8, "lora_alpha": 8, "inference_mode": true}'),
    ("a variable that is used twice", "a.sh", f"R=8\n{LLAVA} --lora_r $R --lora_alpha $R\n"),
    ("a variable that is used elsewhere", "a.sh", f"A=8\necho $A\n{LLAVA} --lora_r 8 --lora_alpha $A\n"),
    ("a default of the shell", "a.sh", f"{LLAVA} --lora_r 8 --lora_alpha ${{A:-8}}\n"),
    ("a sum", "a.sh", f"{LLAVA} --lora_r 8 --lora_alpha $((4 + 4))\n"),
    ("a constant that is used twice", "a.py", f"{PEFT}R = 16\nc = LoraConfig(r=R, lora_alpha=R)\n"),
    ("an expression", "a.py", f"{PEFT}R = 16\nc = LoraConfig(r=R, lora_alpha=R // 2)\n"),
    ("an example in a docstring", "a.py", f'{PEFT}"""\n\n>>> LoraConfig(r=16, lora_alpha=16)\n"""\n'),
    ("a flag whose alpha the framework fixes", "a.sh", "torchrun x.py --use_qllama_lora 16 --use_backbone_lora 8\n"),
]


@pytest.mark.parametrize(("what", "file", "before", "after"), FIXED, ids=[row.what for row in FIXED])
def test_a_fix_writes_one_value_and_keeps_the_rest(
    what: str, file: str, before: str, after: str, here: Path, run: Run
) -> None:
    (here / file).write_bytes(before.encode())
    outcome = run("check", "--fix", "--unsafe-fixes", file)
    assert (here / file).read_bytes().decode() == after, what
    assert "fixed" in outcome.err


@pytest.mark.parametrize(("what", "file", "text"), LEFT_ALONE, ids=[what for what, _, _ in LEFT_ALONE])
def test_what_cannot_be_fixed_alone_is_neither_offered_nor_touched(
    what: str, file: str, text: str, here: Path, run: Run
) -> None:
    (here / file).write_bytes(text.encode())
    diagnostics = run("check", "--format", "json", file).data["diagnostics"]
    assert diagnostics, what
    assert [one["fix"] for one in diagnostics] == [None] * len(diagnostics)
    run("check", "--fix", "--unsafe-fixes", file)
    assert (here / file).read_bytes() == text.encode()


@pytest.mark.parametrize(("what", "file", "before", "after"), FIXED, ids=[row.what for row in FIXED])
def test_a_fixed_file_has_nothing_left_to_fix(
    what: str, file: str, before: str, after: str, here: Path, run: Run
) -> None:
    (here / file).write_bytes(before.encode())
    found = {one["rule"] for one in run("check", "--format", "json", file).data["diagnostics"] if one["fix"]}
    fixed = run("check", "--fix", "--unsafe-fixes", "--format", "json", file)
    assert found.isdisjoint(fixed.rules), what
    again = run("check", "--fix", "--unsafe-fixes", file)
    assert (here / file).read_bytes().decode() == after
    assert again.err == ""


@pytest.mark.parametrize("row", FIXED, ids=[row.what for row in FIXED])
def test_lines_that_end_the_windows_way_still_do(row: Row, here: Path, run: Run) -> None:
    (here / row.file).write_bytes(row.before.replace("\n", "\r\n").encode())
    run("check", "--fix", "--unsafe-fixes", row.file)
    after = row.after if "\n" in row.before else row.after.replace("\r\n", "\n")
    assert (here / row.file).read_bytes() == after.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("row", FIXED, ids=[row.what for row in FIXED])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
)
def test_the_mark_and_the_encoding_stay(row: Row, mark: bytes, encoding: str, here: Path, run: Run) -> None:
    (here / row.file).write_bytes(mark + row.before.encode(encoding))
    run("check", "--fix", "--unsafe-fixes", row.file)
    assert (here / row.file).read_bytes() == mark + row.after.encode(encoding)


@pytest.mark.parametrize("row", FIXED, ids=[row.what for row in FIXED])
def test_an_unsafe_fix_needs_its_flag(row: Row, here: Path, run: Run) -> None:
    (here / row.file).write_bytes(row.before.encode())
    fixes = [one["fix"] for one in run("check", "--format", "json", row.file).data["diagnostics"] if one["fix"]]
    run("check", "--fix", row.file)
    changed = (here / row.file).read_bytes() != row.before.encode()
    assert changed == any(fix["safety"] == "safe" for fix in fixes)


def test_a_second_finding_of_the_same_file_is_fixed_as_well(here: Path, run: Run) -> None:
    (here / "a.py").write_text(f"{PEFT}a = LoraConfig(r=16, lora_alpha=16)\nb = LoraConfig(r=8)\n")
    assert "a.py: 2 fixed" in run("check", "--fix", "--unsafe-fixes", "a.py").err
    assert (here / "a.py").read_text() == (
        f"{PEFT}a = LoraConfig(r=16, lora_alpha=32)\nb = LoraConfig(r=8, lora_alpha=16)\n"
    )


def test_a_fix_follows_the_policy(here: Path, run: Run) -> None:
    (here / "a.json").write_text('{"peft_type": "LORA", "r": 16, "lora_alpha": 32}')
    run("check", "--fix", "--unsafe-fixes", "--policy", "r", "a.json")
    assert (here / "a.json").read_text() == '{"peft_type": "LORA", "r": 16, "lora_alpha": 16}'


def document(text: str) -> Document:
    (found,) = yaml_reader.read(Source("x.yaml", text))
    return found


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("a: 1", Replace(("b",), "2")),
        ("a: 1", Replace((), "2")),
        ("a: [1]", RenameKey(("a", 0), "b")),
        ("a: 1\nb: 2", Insert(("a",), "b", "3")),
        ("a: [1]", Insert(("a", 0), "b", "3")),
        ("a: 1", Insert(("c",), "b", "3")),
        ("a: &x 1\nb: *x", Replace(("b",), "2")),
        ("x: &x {a: 1}\ny: *x", Replace(("x", "a"), "2")),
        ("x: &x {a: 1}\ny: *x", RenameKey(("y", "a"), "b")),
        ("x: &x {a: 1}\ny: {<<: *x}", Insert(("y", "a"), "b", "2")),
    ],
)
def test_a_place_that_does_not_exist_or_is_shared_has_no_fix(text: str, fix: Replace | Insert | RenameKey) -> None:
    found = suggestion(document(text), fix, Safety.SAFE) if fix.__class__ is not Replace or fix.path else None
    assert found is None


@pytest.mark.parametrize(
    ("text", "fix", "after"),
    [
        ("a: 1", Replace(("a",), "2"), "a: 2"),
        ("a: [1, 2]", Replace(("a", 1), "3"), "a: [1, 3]"),
        ('"a": 1', RenameKey(("a",), "b"), '"b": 1'),
        ("a: 1", Insert(("a",), "b", "2"), "a: 1\nb: 2"),
        ("a: 1 # c\nz: 0\n", Insert(("a",), "b", "2"), "a: 1 # c\nb: 2\nz: 0\n"),
        ("- a: 1\n- z: 0\n", Insert((0, "a"), "b", "2"), "- a: 1\n  b: 2\n- z: 0\n"),
        ("-   - a: 1\n", Insert((0, 0, "a"), "b", "2"), "-   - a: 1\n      b: 2\n"),
        ("x: {a: 1}", Insert(("x", "a"), "b", "2"), "x: {a: 1, b: 2}"),
        ("x: &x {a: 1}", Insert(("x", "a"), "b", "2"), "x: &x {a: 1, b: 2}"),
        ("x: {\n  a: 1\n}", Insert(("x", "a"), "b", "2"), "x: {\n  a: 1, b: 2\n}"),
        ("a:\n  - 1\n  - 2\nz: 0", Insert(("a",), "b", "2"), "a:\n  - 1\n  - 2\nb: 2\nz: 0"),
    ],
)
def test_an_edit_of_yaml_changes_its_own_place(text: str, fix: Replace | Insert | RenameKey, after: str) -> None:
    found = suggestion(document(text), fix, Safety.SAFE)
    assert found is not None
    assert edited(text, found.edits) == after


def test_edits_of_one_text_are_applied_together() -> None:
    assert edited("abcdef", [Edit(Span(1, 2), "XY"), Edit(Span(4, 4), "-"), Edit(Span(0, 1), "")]) == "XYcd-ef"


KEYS: dict[str, object] = {
    "base_model": "m",
    "adapter": "lora",
    "lora_dropout": 0.1,
    "wandb_name": "x: y # z",
    "modules": ["é", "b"],
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.permutations([*KEYS, "lora_r", "lora_alpha"]),
    rank=st.integers(1, 512),
    alpha=st.integers(1, 2048),
    flow=st.sampled_from([True, False, None]),
    width=st.sampled_from([10, 80]),
    comment=st.sampled_from(["", "# lora_alpha: 1"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_layout_of_yaml_is_fixed_and_only_alpha_changes(
    keys: list[str],
    rank: int,
    alpha: int,
    flow: bool | None,
    width: int,
    comment: str,
    end: str,
    here: Path,
    run: Run,
) -> None:
    values: dict[str, object] = {**KEYS, "lora_r": rank, "lora_alpha": alpha}
    data = {key: values[key] for key in keys}
    text = yaml.safe_dump(data, sort_keys=False, default_flow_style=flow, width=width, allow_unicode=True)
    text = f"{comment}\n{text}{comment}\n"
    (here / "a.yaml").write_bytes(text.replace("\n", end).encode())
    run("check", "--fix", "--unsafe-fixes", "-q", "a.yaml")
    fixed = (here / "a.yaml").read_bytes().decode()
    assert yaml.safe_load(fixed) == {**data, "lora_alpha": 2 * rank}
    assert fixed.count(end) == text.count("\n")
    assert "not-2r" not in run("check", "a.yaml").out


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.permutations(["peft_config", "note", "list"]),
    inner=st.permutations(["name", "r", "target_modules"]),
    rank=st.integers(1, 512),
    indent=st.sampled_from([None, 0, 2, "\t"]),
    separators=st.sampled_from([None, (",", ":")]),
)
def test_any_layout_of_json_takes_a_missing_alpha(
    keys: list[str],
    inner: list[str],
    rank: int,
    indent: int | str | None,
    separators: tuple[str, str] | None,
    here: Path,
    run: Run,
) -> None:
    plugin: dict[str, object] = {key: {"name": "lora", "r": rank, "target_modules": ["é", "}"]}[key] for key in inner}
    values: dict[str, object] = {"peft_config": plugin, "note": '{"r": 1}', "list": [{"r": 2}]}
    data = {key: values[key] for key in keys}
    text = json.dumps(data, indent=indent, separators=separators, ensure_ascii=False)
    (here / "a.json").write_bytes(text.encode())
    run("check", "--fix", "--unsafe-fixes", "a.json")
    fixed = json.loads((here / "a.json").read_bytes())
    added: dict[str, object] = {} if rank == 8 else {"lora_alpha": 2 * rank}  # at rank 8 the default is right
    assert fixed == {**data, "peft_config": {**plugin, **added}}
    assert not lint([str(here / "a.json")], select=["scaling"]).diagnostics


DELETED = [
    ("a.yaml", "a: 1\nb: 2  # gone\n# stays\nc: 3\n", ("b",), "a: 1\n# stays\nc: 3\n"),
    ("a.yaml", "a: 1\nb: 2", ("b",), "a: 1\n"),
    ("a.yaml", "a: 1\r\nb:\r\n  - x\r\n  - y\r\nc: 3\r\n", ("b",), "a: 1\r\nc: 3\r\n"),
    ("a.yaml", "x: {a: 1, b: 2}\n", ("x", "b"), "x: {a: 1}\n"),
    ("a.yaml", "x: {a: 1, b: 2}\n", ("x", "a"), "x: {b: 2}\n"),
    ("a.yaml", "x: {a: 1}\n", ("x", "a"), None),
    ("a.yaml", "- a: 1\n  b: 2\n", (0, "a"), None),
    ("a.yaml", "- a: 1\n  b: 2\n", (0, "b"), "- a: 1\n"),
    ("a.json", '{"a": 1, "b": 2}', ("a",), '{"b": 2}'),
    ("a.json", '{"a": 1, "b": 2}', ("b",), '{"a": 1}'),
    ("a.json", '{\n  "a": 1,\n  "b": [2,\n    3],\n  "c": 4\n}\n', ("b",), '{\n  "a": 1,\n  "c": 4\n}\n'),
    ("a.json", '{\n  "a": 1,\n  "b": 2\n}\n', ("b",), '{\n  "a": 1\n}\n'),
    ("a.toml", "[x]\na = 1  # gone\nb = 2\n", ("x", "a"), "[x]\nb = 2\n"),
    ("a.sh", "train --use_llm_lora 8 --seed 1 --x 2\n", ("seed",), "train --use_llm_lora 8 --x 2\n"),
    ("a.sh", "train --use_llm_lora 8 \\\n  --seed 1 \\\n  --x 2\n", ("seed",), "train --use_llm_lora 8 \\\n  --x 2\n"),
    ("a.sh", "train --use_llm_lora 8 \\\n  --x 2 \\\n  --seed 1\n", ("seed",), "train --use_llm_lora 8 \\\n  --x 2\n"),
    ("a.sh", "train --use_llm_lora=8 --seed=1\n", ("seed",), "train --use_llm_lora=8\n"),
    (
        "a.py",
        "from peft import LoraConfig\nLoraConfig(r=8, bias='all')\n",
        ("bias",),
        "from peft import LoraConfig\nLoraConfig(r=8)\n",
    ),
]


@pytest.mark.parametrize(("name", "text", "path", "after"), DELETED)
def test_a_key_is_taken_out_with_what_it_leaves_behind(
    name: str, text: str, path: tuple[str | int, ...], after: str | None
) -> None:
    source = Source(name, text)
    document = next(iter(documents(source, syntax_of(name, text.encode()) or "json")))
    made = suggestion(document, Delete(path), Safety.SAFE)
    assert (edited(text, made.edits) if made else None) == after


@pytest.mark.parametrize(
    ("name", "text", "mended"),
    [
        (
            "a.json",
            '{"peft_type": "LORA", "r": 16, "lora_alpha": "16"}',
            '{"peft_type": "LORA", "r": 16, "lora_alpha": 16}',
        ),
        (
            "a.json",
            '{"peft_type": "LORA", "r": "8", "lora_alpha": 8}',
            '{"peft_type": "LORA", "r": 8, "lora_alpha": 8}',
        ),
    ],
)
def test_a_value_that_can_be_read_at_last_may_be_judged_for_the_first_time(
    name: str, text: str, mended: str, here: Path, run: Run
) -> None:
    (here / name).write_text(text, "utf-8")
    assert "error[alpha-not-2r]" in run("check", "--fix", name).out
    assert (here / name).read_text("utf-8") == mended
