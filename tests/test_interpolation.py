"""OmegaConf's interpolations: the value, where it comes from, arithmetic over other keys, and what stays unknown."""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from lora_lint.document import Document, Source, Unknown, lookup
from lora_lint.interpolation.language import as_value
from lora_lint.readers import yaml
from lora_lint.reading import read_bytes

BASE = "base: {rank: 16, alpha: 32, list: [4, 8]}\nwhich: rank\nmodel:\n  rank: 16\n  name: lora\n"


def document(text: str) -> Document:
    (found,) = yaml.read(Source("x.yaml", text))
    return found


def value_of(written: str) -> object:
    """What `model.it` becomes, written under the keys of BASE."""
    return lookup(document(f"{BASE}  it: {written}\n").data, ("model", "it"))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${base.rank}", 16),
        ("${.rank}", 16),
        ("${..base.rank}", 16),
        ("${base.list[1]}", 8),
        ("${base.list.1}", 8),
        ("${base[rank]}", 16),
        ("${base.${which}}", 16),
        ("${base.list}", [4, 8]),
        ('"r${base.rank}-${.name}"', "r16-lora"),
        ("${mul:2,${base.rank}}", 32),
        ("${multiply:${base.rank},2}", 32),
        ("${add:${base.rank},${.rank}}", 32),
        ("${sub:${base.rank},1}", 15),
        ("${div:${base.rank},2}", 8.0),
        ("${int:${div:${base.rank},2}}", 8),
        ("${max:${base.rank},20}", 20),
        ("${my.resolvers.mul:2,3}", 6),
        ("${eval:'2*${base.rank}'}", 32),
        ('${eval:"${base.rank} * 2 + 1"}', 33),
        ("${eval:${base.rank}//3}", 5),
        ("${oc.env:RANK,8}", 8),
        ("${env:RANK,8}", 8),
        ("${RANK:-8}", 8),
        ("${oc.decode:${oc.env:RANK,12}}", 12),
        ("${oc.env:RANK,${base.rank}}", 16),
        ("${oc.select:base.rank,3}", 16),
        ("${oc.select:base.nothing,3}", 3),
    ],
)
def test_an_interpolation_becomes_the_value_that_omegaconf_gives(written: str, value: object) -> None:
    found = value_of(written)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("${oc.env:RANK}", "comes from the environment"),
        ("${base.nothing}", "base.nothing isn't in this file"),
        ("${.....rank}", "leads out of this file"),
        ("${.it}", "refers to itself"),
        ("${hydra:runtime.cwd}", "the resolver hydra, which is code"),
        ("${eval:'open(1)'}", "isn't arithmetic"),
        ("${eval:'1 +'}", "isn't arithmetic"),
        ("${div:1,0}", "isn't arithmetic"),
        ("${mul:2,text}", "isn't arithmetic"),
        ("${mul:}", "which is code"),
        ("${mul:2,${oc.env:RANK}}", "comes from the environment"),
        ("${mul:2,${base}}", "isn't arithmetic"),
        ("???", "must be given"),
        ('"${' + "x" * 2000 + '}"', "too long"),
    ],
)
def test_what_the_file_doesn_t_tell_is_unknown_with_the_reason(written: str, reason: str) -> None:
    found = value_of(written)
    assert isinstance(found, Unknown)
    assert reason in found.reason


@pytest.mark.parametrize("written", ["'\\${base.rank}'", "'$base'", "'${base.rank'", "'{base}'"])
def test_what_is_no_interpolation_stays_text(written: str) -> None:
    assert value_of(written) == written.strip("'")


def test_the_value_has_its_place_and_that_of_its_target_and_is_never_rewritten() -> None:
    text = f"{BASE}  it: ${{mul:2,${{base.rank}}}}\n"
    entry = document(text).entry(("model", "it"))
    assert entry is not None
    assert entry.origin is not None
    assert text[slice(*entry.value)] == "${mul:2,${base.rank}}"
    assert text[slice(*entry.origin)] == "16"
    assert entry.literal is None


def test_a_default_is_noted_as_one() -> None:
    assert document("r: ${oc.env:R,8}\n").defaults == {("r",)}


@pytest.mark.parametrize(
    ("written", "text", "names"),
    [
        ("${base.rank}", "${base.rank}", {"base.rank"}),
        ("${mul:2,${.rank}}", "${mul:2,${.rank}}", {"model.rank"}),
        (
            "${eval:'${base.rank} + ${base.alpha}'}",
            "${eval:'${base.rank} + ${base.alpha}'}",
            {"base.rank", "base.alpha"},
        ),
        ("${oc.env:RANK,8}", "${oc.env:RANK,8}", {"env.RANK"}),
        ("${base.list[1]}", "${base.list[1]}", {"base.list[1]"}),
    ],
)
def test_the_expression_is_kept_over_dotted_names(written: str, text: str, names: set[str]) -> None:
    expression = document(f"{BASE}  it: {written}\n").expressions["model", "it"]
    assert (expression.text, set(expression.names)) == (text, names)


TUNE = "model:\n  _component_: torchtune.models.llama3_1.lora_llama3_1_8b\n  lora_rank: {}\n  lora_alpha: {}\nx: {}\n"


@pytest.mark.parametrize(
    ("rank", "alpha", "other", "scale"),
    [
        ("16", "${mul:2,${model.lora_rank}}", "0", 2.0),
        ("${x}", "${x}", "8", 1.0),
        ("???", "${mul:2,${model.lora_rank}}", "0", 2.0),
        ("${x}", "${mul:2,${x}}", "???", 2.0),
        ("${oc.env:R}", "${mul:4,${oc.env:R}}", "0", 4.0),
        ("${x}", "${mul:2,${.lora_rank}}", "'{{ rank }}'", 2.0),
    ],
)
def test_rank_and_alpha_are_compared_as_expressions(rank: str, alpha: str, other: str, scale: float) -> None:
    reading = read_bytes("x.yaml", TUNE.format(rank, alpha, other).encode())
    assert [site.scale for setup in reading.setups for site in setup.sites] == [scale]


def test_a_mapping_can_be_referred_to() -> None:
    data: Any = document(
        "actor: {lora: {rank: 8, alpha: '${.rank}'}}\ncritic: ${actor}\nr: ${critic.lora.alpha}\n"
    ).data
    assert data["critic"] == {"lora": {"rank": 8, "alpha": 8}}
    assert data["r"] == 8


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16", 16),
        ("1e-4", 1e-4),
        ("true", True),
        ("null", None),
        ("'16'", "16"),
        ("[q_proj, v_proj]", ["q_proj", "v_proj"]),
        ("[1,[2,3]]", [1, [2, 3]]),
        ("q_proj,v_proj", "q_proj,v_proj"),
        ("", ""),
    ],
)
def test_a_value_on_the_command_line_is_read_as_omegaconf_reads_it(text: str, value: object) -> None:
    assert as_value(text) == value


HOSTILE: Mapping[str, str] = {
    "references that double": "a0: [1,1,1,1,1]\n"
    + "".join(f"a{i}: [" + f"'${{a{i - 1}}}'," * 5 + "]\n" for i in range(1, 2000)),
    "deep nesting": "".join(f"k{i}: {'${' * 200}{'}' * 200}\n" for i in range(1000)),
    "a long chain": "".join(f"a{i}: ${{a{i + 1}}}\n" for i in range(20_000)),
    "many references to much": "b: ["
    + ",".join("1" * 5000)
    + "]\n"
    + "".join(f"k{i}: ${{b}}\n" for i in range(10_000)),
    "deep data behind references": "".join(f"{a}: {'[' * 150}'${{{b}}}'{']' * 150}\n" for a, b in ("ab", "bc", "cd")),
    "brackets for the parser": "".join(f"k{i}: ${{eval:'{'(' * 400}1{')' * 400}'}}\n" for i in range(500)),
    "never closed": "k: '" + "${" * 300_000 + "'\n",
    "a power": "k: ${eval:'9**9**9**9'}\n",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_interpolations_end_in_bounded_time(text: str) -> None:
    start = time.process_time()
    found = document(text)
    assert len(found.entries) < 200_000
    assert time.process_time() - start < 10
