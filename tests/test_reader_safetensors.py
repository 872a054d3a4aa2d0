"""The safetensors reader: our words for every fault, and the verdict of the reference library on mutated files."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lora_lint.document import UnreadableError
from lora_lint.readers.safetensors import BITS, LARGE_HEADER, Header, TensorInfo, parse_header, read_header
from tests.tensors import framed, write_safetensors

EXAMPLES = int(os.environ.get("LORA_LINT_SAFETENSORS_EXAMPLES", "1000"))
"""Mutated files for each of the differential tests; a long run takes 60000."""

EIGHT = b"\0" * 8
PAIR = '{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
A = f'"a":{PAIR}'


def parse(header: str, data: bytes = EIGHT) -> Header:
    whole = framed(header.encode(), data)
    return parse_header(whole, len(whole))


def tensor(dtype: str = '"F32"', shape: str = "[2]", offsets: str = "[0,8]") -> str:
    return f'{{"a":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}}}}}'


# What loaders accept.


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ('{"a":%s}', ["a"]),
        ('{ "a" : %s }\n', ["a"]),
        ('\n\t{"a":%s}', ["a"]),
        ('{"__metadata__":{"format":"pt"},"a":%s}', ["a"]),
        ('{"__metadata__":null,"a":%s}', ["a"]),
        ('{"__metadata__":{"k":"{}\\""},"a":%s}', ["a"]),
        ('{"":%s}', [""]),
        ('{"\\ud83d\\ude00":%s}', ["\U0001f600"]),
        ('{"lay\u00e9r":%s}', ["lay\u00e9r"]),
        ('{"z":{"dtype":"F16","shape":[0],"data_offsets":[8,8]},"a":%s}', ["z", "a"]),
    ],
)
def test_sound_headers_give_their_tensors(header: str, names: list[str]) -> None:
    assert list(parse(header % PAIR).tensors) == names


@pytest.mark.parametrize(
    "header",
    [
        pytest.param('{"a":["F32",[2],[0,8]]}', id="fields in a list"),
        pytest.param(tensor(dtype='{"F32":null}'), id="dtype as a mapping"),
        pytest.param(
            '{"a":{"x":[1e99,"\\u0041"],"x":-0,"data_offsets":[0,8],"shape":[2],"dtype":"F32"}}', id="more keys"
        ),
    ],
)
def test_unusual_spellings_that_loaders_take_are_taken(header: str) -> None:
    assert parse(header).tensors == {"a": TensorInfo("F32", (2,), 0, 8)}


@pytest.mark.parametrize("dtype", BITS)
def test_every_dtype_has_its_size(dtype: str, tmp_path: Path) -> None:
    header = read_header(write_safetensors(tmp_path / "a", {"t": (dtype, (3, 8))}))
    assert header.tensors["t"] == TensorInfo(dtype, (3, 8), 0, 3 * BITS[dtype])


def test_a_scalar_has_one_element_and_an_empty_dimension_none(tmp_path: Path) -> None:
    header = read_header(write_safetensors(tmp_path / "a", {"s": ("F32", ()), "e": ("F32", (4, 0))}))
    assert [(info.start, info.end) for info in header.tensors.values()] == [(0, 4), (4, 4)]


def test_a_header_longer_than_the_first_read_is_read_whole(tmp_path: Path) -> None:
    table = {f"layers.{number}.lora_A.weight": ("F16", (2, 3)) for number in range(500)}
    header = read_header(write_safetensors(tmp_path / "a", table, {"format": "pt"}))
    assert list(header.tensors) == list(table)
    assert header.metadata == {"format": "pt"}
    assert header.file_size == 8 + header.header_size + 500 * 12


def test_a_name_twice_is_reported_and_the_last_one_counts() -> None:
    header = parse(f'{{"a":{{"dtype":"F64","shape":[9],"data_offsets":[3,8]}},{A}}}')
    assert header.duplicates == ("a",)
    assert header.tensors == {"a": TensorInfo("F32", (2,), 0, 8)}


def test_a_large_header_is_read_with_a_warning() -> None:
    header = parse(f"{{{A}}}" + " " * LARGE_HEADER)
    assert header.warning == f"the header has {header.header_size} bytes, more than 16777216"


# What they refuse, in our words.

HUGE = str(2**40)
FAULTS = {
    "no tensors": ("", "the header is not JSON: expecting value at 0"),
    "not a mapping": ("[1]", "the header is a list, not a mapping"),
    "text after the mapping": (f"{{{A}}}}}", "the header is not JSON: extra data at 54"),
    "a colon too few": ('{"a"}', "the header is not JSON: expecting ':' delimiter at 4"),
    "NaN": (tensor(shape="[NaN]"), "the header is not JSON: NaN"),
    "half a surrogate pair": (f'{{"\\ud800":{PAIR}}}', "the header is not JSON: half of a surrogate pair at 1"),
    "128 levels": (
        tensor()[:-2] + ',"x":' + "[" * 126 + "]" * 126 + "}}",
        "the header is nested deeper than 127 levels",
    ),
    "100,000 levels": (tensor()[:-2] + ',"x":' + "[" * 100_000, "the header is nested deeper than 127 levels"),
    "a number beyond floats": (
        tensor()[:-2] + ',"x":1e999}}',
        "the header is not JSON: a number of 5 characters is out of range",
    ),
    "a tensor that is null": ('{"a":null}', "tensor 'a' is null, not a mapping with dtype, shape and data_offsets"),
    "a field missing": ('{"a":{"dtype":"F32","shape":[2]}}', "tensor 'a' has no data_offsets"),
    "a field twice": (f'{{"a":{{"dtype":"F32",{PAIR[1:]}}}', "tensor 'a' has dtype twice"),
    "unknown dtype": (tensor(dtype='"f32"'), "tensor 'a' has the unknown dtype 'f32'"),
    "shape null": (tensor(shape="null"), "tensor 'a' has null for a shape"),
    "a fraction in a shape": (tensor(shape="[2.0]"), "tensor 'a' has 2.0 in its shape, not a whole number"),
    "a boolean in a shape": (tensor(shape="[true,2]"), "tensor 'a' has True in its shape, not a whole number"),
    "beyond 64 bits": (
        tensor(shape=f"[{2**64}]"),
        "tensor 'a' has 1.8446744073709552e+19 in its shape, not a whole number",
    ),
    "negative": (tensor(shape="[-2]"), "tensor 'a' has -2 in its shape, not a whole number"),
    "minus zero": (tensor(offsets="[-0,8]"), "tensor 'a' has the data_offsets [-0.0, 8], not two whole numbers"),
    "three offsets": (tensor(offsets="[0,8,9]"), "tensor 'a' has the data_offsets [0, 8, 9], not two whole numbers"),
    "backwards": (tensor(offsets="[0,-8]"), "tensor 'a' has the data_offsets [0, -8], not two whole numbers"),
    "overflow before a zero": (
        tensor(shape=f"[{HUGE},{HUGE},0]", offsets="[0,0]"),
        f"tensor 'a' of shape [{HUGE}, {HUGE}, 0] has more than 2**64 bits",
    ),
    "wrong length": (
        tensor(shape="[3]"),
        "tensor 'a', F32 of shape [3], has 12 bytes, its offsets hold 8",
    ),
    "half a byte": (tensor('"F4"', "[3]"), "tensor 'a' has 12 bits, which is no whole number of bytes"),
    "a hole": (tensor(offsets="[4,12]"), "tensors leave a hole: 'a' begins at byte 4, the one before it ends at 0"),
    "an overlap": (
        f'{{{A},"b":{PAIR}}}',
        "tensors overlap: 'b' begins at byte 0, the one before it ends at 8",
    ),
    "data missing": (tensor(shape="[4]", offsets="[0,16]"), "the header describes 16 bytes of data, the file holds 8"),
    "data left over": (tensor(shape="[1]", offsets="[0,4]"), "the header describes 4 bytes of data, the file holds 8"),
    "metadata twice": ('{"__metadata__":{},"__metadata__":{}}', "the header has __metadata__ twice"),
    "metadata in a list": ('{"__metadata__":[]}', "__metadata__ is a list, not a mapping of strings"),
    "a number in metadata": (
        '{"__metadata__":{"r":8}}',
        "__metadata__ has a number under 'r', where only strings may stand",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_named(fault: str) -> None:
    header, message = FAULTS[fault]
    with pytest.raises(UnreadableError) as raised:
        parse(header)
    assert str(raised.value) == message


FILES = {
    "empty": (b"", "is empty"),
    "five bytes": (b"\0" * 5, "the file ends after 5 bytes, within the 8 bytes of the header's length"),
    "cut in the header": (struct.pack("<Q", 812) + b"{" * 300, "the header says 812 bytes, the file ends after 300"),
    "over the limit": (
        struct.pack("<Q", 100_000_001),
        "the header says 100000001 bytes, more than the 100000000 that loaders take",
    ),
    "not UTF-8": (framed(b'{"\xff":1}'), "the header is not UTF-8: byte 0xff at 2"),
    "a Git LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
        "is a Git LFS pointer, not the file itself; run git lfs pull",
    ),
}


@pytest.mark.parametrize("fault", FILES)
def test_every_fault_of_a_file_is_named(fault: str, tmp_path: Path) -> None:
    data, message = FILES[fault]
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(UnreadableError, match=f"^{message}$"):
        read_header(path)


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="is a directory, not a file"):
        read_header(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableError, match="is not a regular file"):
        read_header(tmp_path / "pipe")


# The verdict of the reference library.

Contents = tuple[dict[str, tuple[str, list[int]]], dict[str, str]]


def ours(path: Path) -> Contents | None:
    try:
        header = read_header(path)
    except UnreadableError:
        return None
    return {name: (info.dtype, list(info.shape)) for name, info in header.tensors.items()}, header.metadata


def theirs(path: Path) -> Contents | None:
    safetensors = pytest.importorskip("safetensors")
    pytest.importorskip("numpy")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            tensors = {name: (part.get_dtype(), part.get_shape()) for name, part in slices.items()}
            return tensors, file.metadata() or {}
    except (safetensors.SafetensorError, OSError):
        return None


class Raw(str):
    """A piece of JSON written as it is, valid or not."""

    __slots__ = ()


Pairs = list[tuple[str, Any]]
"""A mapping in which a key may occur twice; as JSON lists are `tuple`s here."""


def dump(value: object, gap: str) -> str:
    if isinstance(value, Raw):
        return value
    if isinstance(value, list):
        return (
            "{"
            + f",{gap}".join(f"{json.dumps(key, ensure_ascii=False)}:{gap}{dump(item, gap)}" for key, item in value)
            + "}"
        )
    if isinstance(value, tuple):
        return "[" + f",{gap}".join(dump(item, gap) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


plain = st.sampled_from(["a", "b.lora_A.weight", "c-0", "", "\u00e9", "\U0001f600", "__metadata__ ", "{}", "},"])
names = plain | st.sampled_from(['q"', "\\", "\0"]) | st.text(max_size=3)
odd = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        8,
        2**40,
        2**63,
        2**64 - 1,
        2**64,
        10**19,
        10**309,
        -1,
        0.0,
        8.0,
        1.5,
        "",
        "F32",
        "f32",
        "8",
    ]
    + [(), (0,), (0, 8), (0, 0), (2,), (2, 2), (0, 8, 8), (True,), (2**40, 2**40, 0), (0, 2**40, 2**40), ((0,),)]
    + [[], [("F32", None)], [("F32", None), ("F32", None)], [("F32", 1)], [("dtype", "F32")], [("k", "v"), ("k", "v")]]
    + [
        Raw(text)
        for text in (
            "-0",
            "-0.0",
            "1e2",
            "1e308",
            "1e309",
            "1E+400",
            "-1e-999",
            "NaN",
            "Infinity",
            "01",
            "1.",
            "",
            "tru",
        )
    ]
    + [
        Raw(text)
        for text in ('"\\ud800"', '"\\ud83d\\ude00"', '"\\udc00\\ud800"', '"\\\\ud800"', '"\\x"', '"\\u004"', '"\t"')
    ]
    + [Raw("[" * depth + "]" * depth) for depth in (124, 125, 126, 127)]
    + [Raw('{"":' * depth + "1" + "}" * depth) for depth in (125, 126)]
    + [Raw("9" * digits) for digits in (20, 308, 309, 310, 5000)]
)
# The samples are shared, and mappings are changed in place.
odd = odd.map(lambda value: [*value] if isinstance(value, list) else value)
small = st.sampled_from([1, 2, 3, 4, 8, 0])


@st.composite
def tables(draw: st.DrawFn, usual: bool = False) -> tuple[Pairs, int]:
    """A sound table, with its tensors in any order unless `usual`, and the size of its data."""
    pairs: Pairs = []
    at = 0
    for name in draw(st.lists(plain if usual else names, unique=True, min_size=usual, max_size=4)):
        dtype, shape = draw(st.sampled_from([*BITS])), tuple(draw(st.lists(small, max_size=3)))
        bits = BITS[dtype]
        for size in shape:
            bits *= size
        pairs.append((name, [("dtype", dtype), ("shape", shape), ("data_offsets", (at, at := at + bits // 8))]))
    if not usual and draw(st.booleans()):
        pairs = draw(st.permutations(pairs))
    if draw(st.booleans()):
        metadata = draw(st.dictionaries(names, st.sampled_from(["", "pt", '{"r": 8},', "\\", "\u00e9"]), max_size=2))
        pairs.insert(0 if usual else draw(st.integers(0, len(pairs))), ("__metadata__", [*metadata.items()]))
    return pairs, at


def mutate_mapping(draw: st.DrawFn, pairs: Pairs, keys: list[str]) -> None:
    """Add, repeat, drop, rename, replace or move one key."""
    at = draw(st.integers(0, len(pairs)))
    if at == len(pairs):
        pairs.insert(draw(st.integers(0, at)), (draw(st.sampled_from(keys)), draw(odd)))
        return
    key, value = pairs[at]
    match draw(st.integers(0, 5)):
        case 0:
            del pairs[at]
        case 1:
            pairs.append((key, draw(odd | st.just(value))))
        case 2:
            pairs[at] = draw(st.sampled_from(keys)), value
        case 3:
            pairs[at] = key, draw(odd)
        case 4:
            pairs[at] = key, tuple(item for _, item in value) if isinstance(value, list) else [(value, None)]
        case _:
            pairs.append(pairs.pop(at))


def mutate_numbers(draw: st.DrawFn, info: Pairs) -> None:
    """Change a dimension or an offset."""
    at = draw(st.integers(0, len(info) - 1))
    key, value = info[at]
    if isinstance(value, tuple) and value:
        numbers = [*value]
        place = draw(st.integers(0, len(numbers) - 1))
        if type(numbers[place]) is int and draw(st.booleans()):
            numbers[place] += draw(st.sampled_from([1, -1, 4, 8, -8]))
        else:
            numbers[place] = draw(odd)
        info[at] = key, tuple(numbers)


@st.composite
def mutated_tables(draw: st.DrawFn) -> bytes:
    """A table with up to three changes of its keys and values."""
    pairs, size = draw(tables())
    for _ in range(draw(st.integers(0, 3))):
        infos = [value for _, value in pairs if isinstance(value, list) and value]
        if not infos or draw(st.integers(0, 3)) == 0:
            mutate_mapping(draw, pairs, ["a", "", "__metadata__", *(name for name, _ in pairs)])
            continue
        info = draw(st.sampled_from(infos))
        if draw(st.booleans()):
            mutate_numbers(draw, info)
        else:
            mutate_mapping(draw, info, ["dtype", "shape", "data_offsets", "more", "\u00e9"])
    text = dump(pairs, draw(st.sampled_from(["", "", " ", "\n"])))
    return framed(text.encode(), bytes(max(0, size + draw(st.sampled_from([0, 0, 0, 0, 1, -1])))))


pieces = st.sampled_from(
    [
        *'"{}[],:\\ \t\n\r\0-+.eE019u\x7f\u00e9\ufeff',
        "\\u",
        "\\ud800",
        "\\udc00",
        "\\u0041",
        "-0",
        "null",
        "{}",
        "[]",
        '"a":',
        "//",
    ]
)


@st.composite
def mutated_texts(draw: st.DrawFn) -> bytes:
    """A table, mostly laid out as writers do it, with up to three changes of its text, its bytes or its frame."""
    usual = draw(st.integers(0, 3)) > 0
    pairs, size = draw(tables(usual))
    text = dump(pairs, "" if usual else draw(st.sampled_from(["", " "])))
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(text)))
        text = text[:start] + draw(pieces | st.just("")) + text[start + draw(st.integers(0, 2)) :]
    whole = framed(text.encode(), bytes(size))
    match draw(st.integers(0, 15)):
        case 0:
            at = draw(st.integers(0, len(whole) - 1))
            whole = whole[:at] + bytes([whole[at] ^ 1 << draw(st.integers(0, 7))]) + whole[at + 1 :]
        case 1:
            whole = whole[: draw(st.integers(0, len(whole)))]
        case 2:
            whole += bytes(draw(st.integers(1, 9)))
        case 3:
            length = int.from_bytes(whole[:8], "little") + draw(st.sampled_from([-8, -1, 1, 8, 10**8, 2**63, -(2**40)]))
            whole = (length % 2**64).to_bytes(8, "little") + whole[8:]
        case _:
            pass
    return whole


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], None]:
    path = tmp_path_factory.mktemp("mutated") / "model.safetensors"

    def compare(whole: bytes) -> None:
        path.write_bytes(whole)
        found = ours(path)
        assert found == theirs(path)

    return compare


many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[*HealthCheck])


@many
@given(mutated_tables())
def test_the_verdict_on_a_mutated_table_is_that_of_safe_open(verdicts: Callable[[bytes], None], whole: bytes) -> None:
    verdicts(whole)


@many
@given(mutated_texts())
def test_the_verdict_on_a_mutated_file_is_that_of_safe_open(verdicts: Callable[[bytes], None], whole: bytes) -> None:
    verdicts(whole)


USUAL = (
    '{"__metadata__":{"format":"pt","k":"v"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},'
    '"b":{"dtype":"F16","shape":[],"data_offsets":[8,10]},"c":{"dtype":"U8","shape":[0],"data_offsets":[10,10]}}'
)


@pytest.mark.parametrize("inserted", ["", *'"{}[],:\\ \n\t\0-.e019a'])
def test_the_verdict_on_every_small_edit_of_the_usual_layout_is_that_of_safe_open(
    verdicts: Callable[[bytes], None], inserted: str
) -> None:
    for start in range(len(USUAL) + 1):
        for end in (start, start + 1):
            verdicts(framed((USUAL[:start] + inserted + USUAL[end:]).encode(), bytes(10)))


@pytest.mark.parametrize("fault", FAULTS)
def test_safe_open_refuses_every_named_fault(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(framed(FAULTS[fault][0].encode(), EIGHT))
    assert theirs(path) is None
