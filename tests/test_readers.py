"""YAML, JSON and TOML: the values that the framework's own parser gives, and where each one stands."""

import json
import math
import tomllib
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_lint.document import Document, Entry, Path, Position, Source, Span, Unknown, UnreadableError, lookup
from lora_lint.readers import json as json_reader
from lora_lint.readers import toml as toml_reader
from lora_lint.readers import yaml as yaml_reader


def yaml_documents(text: str) -> list[Document]:
    return list(yaml_reader.read(Source("x.yaml", text)))


def yaml_document(text: str) -> Document:
    (document,) = yaml_documents(text)
    return document


def json_document(text: str) -> Document:
    (document,) = json_reader.read(Source("x.json", text))
    return document


def entry_of(document: Document, path: Path) -> Entry:
    entry = document.entry(path)
    assert entry is not None, path
    return entry


def written(document: Document, span: Span | None) -> str | None:
    return None if span is None else document.source.text[slice(*span)]


def leaves(data: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Every scalar and every empty collection with its path."""
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list) and data:
        for index, value in enumerate(data):
            yield from leaves(value, (*path, index))
    else:
        yield path, data


YAML_TEXTS = [
    "lora_r: 16",
    "{lora_r: 16, lora_alpha: 32}",
    "[1, 2.5, text]",
    "lora_alpha: 1e4\nlr: 2.0e-5\nwarmup: 1.0e+4\n.5: 1_000",
    "a: 0x10\nb: 010\nc: 0o10\nd: 0b11\ne: 190:20:30",
    "a: yes\nb: No\nc: on\nd: OFF\ne: y\nf: true\ng: 'true'",
    "a: null\nb: ~\nc:\nd: Null\ne: ''",
    "a: .inf\nb: -.Inf\nc: +.INF",
    "adapter: lora # a comment\n# another\nlora_r: 8",
    "modules:\n- q_proj\n- v_proj\nrank: 8",
    "modules:\n    - q_proj\n    -   v_proj",
    "a:\n  - b: 1\n    c: 2\n  - d: 3",
    "a: 'it''s'\nb: \"tab\\tnew\\nline\\x41\\u00e9\"",
    "a: |\n  line\n   two\nb: >-\n  folded\n  text\n\n  more\n",
    "a: plain\n  goes on\nb: 1",
    "a: &anchor 16\nb: *anchor",
    "base: &base {r: 16, alpha: 32}\nlora:\n  <<: *base\n  alpha: 64",
    "one: &one {r: 1, a: 1}\ntwo: &two {r: 2, b: 2}\nboth:\n  <<: [*one, *two]",
    "one: &one {r: 1}\ntwo: &two\n  <<: *one\n  alpha: 2\nthree:\n  <<: *two\n  x: 3",
    "one: &one {r: 1}\ntwo: {<<: {<<: *one, s: 2}, t: 3}",
    # PyYAML 6.0.4 lets a key of one letter, and no other, come from the first of two merges.
    "one: &one {rank: 1}\ntwo: &two {rank: 2}\nthree:\n  <<: *one\n  <<: *two",
    "a: 1\n'<<': 2",
    "r: 1\nr: 2",
    "? complex\n: value",
    "? |\n  block key\n: 1",
    "1: int\n2.5: float\ntrue: bool\nnull: none",
    "a: !!str 16\nb: !!int '16'\nc: !!float 3",
    "a: !!null ''\nb: ! 16",
    "%YAML 1.1\n---\nlora_r: 16\n...\n",
    "a: 'déjà'\nß: [é, '😀']\nlora_r: 16",
    "a: 1\r\nb:\r\n  - x\r\n  - y\r\n",
    "a: 'quoted\n  over lines'\nb: \"and\n  here\"",
    "- - 1\n  - 2\n- - 3",
    "a: []\nb: {}\nc: [ ]",
    "a: [1, 2,\n  3,\n  ]\nb: {c: d,\n  e: f}",
    "a: http://x.y/z#frag\nb: 'x: y'\nc: x#y",
    "a: 12e03\nb: 1.\nc: -0\nd: +5\ne: 1__0",
]


@pytest.mark.parametrize("text", YAML_TEXTS)
def test_yaml_has_the_values_that_pyyaml_gives(text: str) -> None:
    assert yaml_document(text).data == yaml.safe_load(text)


@pytest.mark.parametrize("text", YAML_TEXTS)
def test_every_value_of_yaml_is_located(text: str) -> None:
    document = yaml_document(text)
    assert all(document.entry(path) is not None for path, _ in leaves(document.data))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a: 1\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
        ("---\na: 1\n...\n---\nb: 2", [{"a": 1}, {"b": 2}]),
        ("--- 1\n--- 2\n--- [3]", [1, 2, [3]]),
        ("", []),
        ("# only a comment\n", []),
        ("---\n---\na: 1", [None, {"a": 1}]),
    ],
)
def test_a_yaml_file_holds_several_documents(text: str, values: list[object]) -> None:
    assert [document.data for document in yaml_documents(text)] == values


def test_an_anchor_ends_with_its_document() -> None:
    with pytest.raises(UnreadableError, match="alias") as caught:
        yaml_documents("a: &x 1\n---\nb: *x\n")
    assert caught.value.problem.offset == 15


@pytest.mark.parametrize(
    ("text", "path", "key", "value"),
    [
        ("lora_r: 16  # rank\n", ("lora_r",), "lora_r", "16"),
        ("lora_r:    16   ", ("lora_r",), "lora_r", "16"),
        ("'lora_r': '16'\n", ("lora_r",), "'lora_r'", "'16'"),
        ('"lora_r": "1\\u0036"\n', ("lora_r",), '"lora_r"', '"1\\u0036"'),
        ("{lora_r: 16, lora_alpha: 32}", ("lora_alpha",), "lora_alpha", "32"),
        ("{lora_r: 16, lora_alpha: 32}", (), None, "{lora_r: 16, lora_alpha: 32}"),
        ("a:\n  b:\n    lora_r: 16\n", ("a", "b", "lora_r"), "lora_r", "16"),
        ("a:\n  b: 1\n  c: 2\n\nd: 3\n", ("a",), "a", "b: 1\n  c: 2"),
        ("m:\n  - q_proj\n  - v_proj\nr: 1\n", ("m", 1), None, "v_proj"),
        ("m:\n  - q_proj\n  - v_proj\nr: 1\n", ("m",), "m", "- q_proj\n  - v_proj"),
        ("m: [q_proj, 'v_proj']\n", ("m", 1), None, "'v_proj'"),
        ("text: |\n  one\n  two\nr: 1\n", ("r",), "r", "1"),
        ("é: 'déjà'\nlora_r: 16\n", ("lora_r",), "lora_r", "16"),
        ("😀: 1\nlora_r: 16\n", ("lora_r",), "lora_r", "16"),
        ("a: 1\r\nlora_r: 16\r\n", ("lora_r",), "lora_r", "16"),
        ("a: &x 16\nb: *x\n", ("b",), "b", "*x"),
        ("a: &x 16\nb: 1\n", ("a",), "a", "&x 16"),
        ("a: 1\n---\nlora_r: 16\n", ("lora_r",), "lora_r", "16"),
        ("lora_r: 8\nlora_r: 16\n", ("lora_r",), "lora_r", "16"),
        ("lora_r:\nb: 1\n", ("lora_r",), "lora_r", ""),
        ("d: &d {r: 16}\ne:\n  <<: *d\n", ("e", "r"), "r", "16"),
        ("a: !!int '16'\n", ("a",), "a", "!!int '16'"),
        ("? a\n: 16\n", ("a",), "a", "16"),
    ],
)
def test_a_yaml_value_stands_where_it_is_written(text: str, path: Path, key: str | None, value: str) -> None:
    document = yaml_documents(text)[-1]
    entry = entry_of(document, path)
    assert (written(document, entry.key), written(document, entry.value)) == (key, value)


@pytest.mark.parametrize(
    ("text", "path", "literal"),
    [
        ("lora_r: 16\n", ("lora_r",), True),
        ("a: &x 16\nb: 1\n", ("a",), True),
        ("a: &x 16\nb: *x\n", ("a",), False),
        ("a: &x 16\nb: *x\n", ("b",), False),
        ("d: &d {r: 16}\ne: {<<: *d, alpha: 8}\n", ("e", "r"), False),
        ("d: &d {r: 16}\ne: {<<: *d, alpha: 8}\n", ("e", "alpha"), True),
        ("d: &d {r: 16}\ne: {<<: *d, alpha: 8}\n", ("d", "r"), False),
        ("d: &d {r: {s: 16}}\ne: *d\n", ("e", "r", "s"), False),
    ],
)
def test_a_value_that_an_alias_or_a_merge_shares_is_no_literal(text: str, path: Path, literal: bool) -> None:
    assert (entry_of(yaml_document(text), path).literal is not None) == literal


@pytest.mark.parametrize(
    ("text", "path", "first", "second"),
    [
        ("lora_r: 8\nx: 1\nlora_r: 16\n", ("lora_r",), 1, 3),
        ("a:\n  r: 8\n  'r': 16\n", ("a", "r"), 2, 3),
        ("- r: 1\n  r: 2\n", (0, "r"), 1, 2),
    ],
)
def test_a_repeated_key_of_yaml_is_reported_with_both_places(text: str, path: Path, first: int, second: int) -> None:
    document = yaml_document(text)
    (duplicate,) = document.duplicates
    lines = [document.source.position(span.start).line for span in (duplicate.first, duplicate.second)]
    assert (duplicate.path, lines) == (path, [first, second])


@pytest.mark.parametrize("text", ["a: {r: 1}\nb: {r: 2}", "a: &a {r: 1}\nb: {<<: *a, r: 2}", "- r: 1\n- r: 2"])
def test_the_same_key_in_two_mappings_is_no_repetition(text: str) -> None:
    assert yaml_document(text).duplicates == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("r: {{ rank }}", "{{ rank }} is filled in by a template"),
        ("r: '{{ rank }}'", "{{ rank }} is filled in by a template"),
        ("r: a{% if x %}", "a{% if x %} is filled in by a template"),
        ("r: !Ref Rank", "the tag !Ref isn't plain YAML"),
        ("r: !!python/object/apply:os.system [ls]", None),
        ("r: !!binary 'a'", "a isn't a binary that can be read"),
        ("r: 2001-99-99", "2001-99-99 isn't a timestamp that can be read"),
        ("r: 2001-01-01T99:00:00Z", "2001-01-01T99:00:00Z isn't a timestamp that can be read"),
        ("r: " + "9" * 4000, "a number too long to be read"),
        ("r: " + "9" * 5000, "9" * 40 + " isn't a int that can be read"),
    ],
)
def test_what_yaml_alone_does_not_settle_is_unknown_with_its_reason(text: str, reason: str | None) -> None:
    value = lookup(yaml_document(text).data, ("r",))
    assert (value.reason if isinstance(value, Unknown) else None) == reason


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: [1, 2\n", 2, 1),
        ("a: 'open\n", 2, 1),
        ("a: 1\nb\nc: 2\n", 3, 1),
        ("a: 1\n  b: 2\n", 2, 4),
        ("a:\n\t- 1\n", 2, 1),
        ("a: *nothing\n", 1, 4),
        ("a: \x01\n", 1, 4),
    ],
)
def test_a_syntax_error_of_yaml_has_its_place(text: str, line: int, column: int) -> None:
    source = Source("x.yaml", text)
    with pytest.raises(UnreadableError) as caught:
        list(yaml_reader.read(source))
    assert source.position(caught.value.problem.offset) == (line, column)


YAML_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.dates(),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12),
)
YAML_DATA = st.recursive(
    YAML_SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcäß_ 01:#-", min_size=1, max_size=5) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=120, deadline=None)
@given(YAML_DATA, st.sampled_from([True, False, None]), st.sampled_from([2, 4, 7]), st.sampled_from([20, 1000]))
def test_any_yaml_that_is_dumped_is_read_back_and_located(
    data: Any, flow: bool | None, indent: int, width: int
) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, indent=indent, width=width, allow_unicode=True)
    document = yaml_document(text)
    assert document.data == yaml.safe_load(text)
    for path, value in leaves(document.data):
        entry = document.entry(path)
        if entry is not None and entry.literal is not None and "\n" not in (written(document, entry.value) or "\n"):
            assert yaml.safe_load(written(document, entry.value) or "") == value


def test_a_date_is_what_pyyaml_makes_of_it() -> None:
    assert yaml_document("a: 2001-02-03").data == {"a": date(2001, 2, 3)}


JSON_TEXTS = [
    '{"r": 16, "lora_alpha": 32}',
    '\n{\t"r" : 16 ,\r\n "x":[1 , 2.5e3,{"y":null}] }\n',
    '{"a": {}, "b": [], "c": [[], {}], "d": [ ]}',
    '{"\\u0072": "\\"q\\\\", "é": "😀", "": 1}',
    "[true, false, null, -0.0, 1e5]",
    '"text"',
    "16",
]


@pytest.mark.parametrize("text", JSON_TEXTS)
def test_every_value_of_json_is_located(text: str) -> None:
    document = json_document(text)
    assert document.data == json.loads(text)
    for path, entry in document.entries.items():
        assert json.loads(written(document, entry.value) or "") == lookup(document.data, path)
        if entry.key is not None:
            assert json.loads(written(document, entry.key) or "") == path[-1]
    assert {path for path, _ in leaves(document.data)} <= document.entries.keys()


JSON_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=120, deadline=None)
@given(JSON_DATA, st.sampled_from([None, 0, 2, "\t"]), st.booleans())
def test_any_json_that_is_dumped_is_read_back_and_located(
    data: Any, indent: int | str | None, ascii_only: bool
) -> None:
    document = json_document(json.dumps(data, indent=indent, ensure_ascii=ascii_only))
    assert document.data == data
    for path, entry in document.entries.items():
        assert json.loads(written(document, entry.value) or "") == lookup(data, path)


@pytest.mark.parametrize(
    ("text", "path", "first", "second"),
    [
        ('{"r": 8, "r": 16}', ("r",), 2, 10),
        ('{"r": 8, "\\u0072": 16}', ("r",), 2, 10),
        ('{"a": [{"r": 1, "r": 2}]}', ("a", 0, "r"), 9, 17),
    ],
)
def test_a_repeated_key_of_json_is_reported_and_the_last_one_counts(
    text: str, path: Path, first: int, second: int
) -> None:
    document = json_document(text)
    (duplicate,) = document.duplicates
    assert (duplicate.path, duplicate.first.start + 1, duplicate.second.start + 1) == (path, first, second)
    assert json.loads(written(document, entry_of(document, path).value) or "") == lookup(document.data, path)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('{"r": 8, "r": 8}', True),
        ('{"r": 8, "r": 16}', False),
        ('{"r": {"a": 1}, "r": {"a": 1}}', True),
        ("r: 8\nr: 8\n", True),
        ("r: 8\nr:\n", False),
        ("r: &r [1, 2]\nr: *r\n", False),
        ("on: 1\non: true\n", False),
    ],
)
def test_a_key_that_is_repeated_with_the_same_value_is_told_apart(text: str, same: bool) -> None:
    document = json_document(text) if text.startswith("{") else yaml_document(text)
    assert [one.same for one in document.duplicates] == [same]


def test_the_same_key_in_two_objects_of_json_is_no_repetition() -> None:
    assert json_document('{"a": {"r": 1}, "b": {"r": 2}, "r": 3}').duplicates == ()


def test_json_takes_the_numbers_that_python_writes() -> None:
    data = json_document("[NaN, Infinity, -Infinity, 1e999]").data
    assert isinstance(data, list)
    assert math.isnan(data[0])
    assert data[1:] == [math.inf, -math.inf, math.inf]


def test_a_whole_number_without_end_is_infinite() -> None:
    assert json_document("[1" + "0" * 5000 + ", -1" + "0" * 400 + "]").data == [math.inf, -math.inf]


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ('{"r": 16,}', 9, "not JSON: illegal trailing comma before end of object"),
        ('{"r" 16}', 6, "not JSON: expecting ':' delimiter"),
        ("{'r': 16}", 2, "not JSON: expecting property name enclosed in double quotes"),
        ('{"r": 16', 9, "not JSON: expecting ',' delimiter"),
        ('{"r": 16} x', 11, "not JSON: extra data"),
        ('{"r": "a\nb"}', 9, "not JSON: invalid control character at"),
        ("[" * 201, 201, "not read: nested deeper than 200 levels"),
    ],
)
def test_a_syntax_error_of_json_has_its_place(text: str, column: int, words: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        json_document(text)
    if "trailing comma" in words and "property name" in caught.value.problem.message:
        words, column = "not JSON: expecting property name enclosed in double quotes", 10  # before Python 3.13
    assert (caught.value.problem.message, caught.value.problem.offset + 1) == (words, column)


def test_brackets_in_strings_are_no_nesting() -> None:
    assert json_document(json.dumps(["[{" * 300, '\\"[' * 300])).data == ["[{" * 300, '\\"[' * 300]


TOML = """
top = 1
"quoted key" = "é"
dotted.inner.deep = 2.5

[table]
list = [1, "two", [3]]
inline = {x = 1, y.z = 2}

[table.sub]
text = '''
lines'''

[[array]]
a = 1
[[array]]
a = 2
[array.inner]
b = 3
[[array.more]]
c = 4
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("top",), "top", "1"),
        (("quoted key",), '"quoted key"', '"é"'),
        (("dotted", "inner", "deep"), "dotted.inner.deep", "2.5"),
        (("table",), "table", "table"),
        (("table", "list"), "list", '[1, "two", [3]]'),
        (("table", "list", 1), None, '"two"'),
        (("table", "list", 2, 0), None, "3"),
        (("table", "inline", "y", "z"), "y.z", "2"),
        (("table", "sub", "text"), "text", "'''\nlines'''"),
        (("array", 0, "a"), "a", "1"),
        (("array", 1, "a"), "a", "2"),
        (("array", 1, "inner", "b"), "b", "3"),
        (("array", 1, "more", 0, "c"), "c", "4"),
    ],
)
def test_a_toml_value_stands_where_it_is_written(path: Path, key: str | None, value: str) -> None:
    (document,) = toml_reader.read(Source("x.toml", TOML))
    entry = entry_of(document, path)
    assert (written(document, entry.key), written(document, entry.value)) == (key, value)


def test_every_value_of_toml_is_located() -> None:
    (document,) = toml_reader.read(Source("x.toml", TOML))
    assert document.data == tomllib.loads(TOML)
    for path, value in leaves(document.data):
        assert tomllib.loads(f"x = {written(document, entry_of(document, path).value)}") == {"x": value}


def test_a_syntax_error_of_toml_has_its_place() -> None:
    source = Source("x.toml", "a = 1\nb = \n")
    with pytest.raises(UnreadableError, match="not TOML: invalid value") as caught:
        list(toml_reader.read(source))
    assert source.position(caught.value.problem.offset) == (2, 5)


@pytest.mark.parametrize(
    ("text", "offset", "position"),
    [
        ("", 0, (1, 1)),
        ("abc", 2, (1, 3)),
        ("a\nbc", 2, (2, 1)),
        ("a\r\nbc", 3, (2, 1)),
        ("a\n", 2, (2, 1)),
        ("é😀x", 2, (1, 3)),
        ("a\u2028b\nc", 4, (2, 1)),
    ],
)
def test_lines_and_columns_count_code_points_from_one(text: str, offset: int, position: tuple[int, int]) -> None:
    assert Source("x", text).position(offset) == Position(*position)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("lora", "r"), "16"),
        (("lora", "alpha"), "{r: 16}"),
        (("lora", "r", "int", 3), "16"),
        (("nothing",), "lora: {r: 16}"),
        ((), "lora: {r: 16}"),
    ],
)
def test_what_was_never_written_stands_at_its_parent(path: Path, text: str) -> None:
    document = yaml_document("lora: {r: 16}")
    assert written(document, document.span_of(path)) == text
