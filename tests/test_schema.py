"""A schema seen over a document: where facts come from, what is said of bad values, which key was meant."""

import json
import math
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices, Field

from lora_lint.document import Path, Source, Unknown
from lora_lint.facts import UnknownFact
from lora_lint.readers import json as json_reader
from lora_lint.readers import yaml as yaml_reader
from lora_lint.schema import Int, NonNegativeInt, Number, Old, PositiveInt, Probability, Schema, Words, since
from lora_lint.spelling import distance, nearest
from lora_lint.view import View


class Config(Schema):
    """A field of every kind that frameworks use."""

    MEANT: ClassVar[dict[str, str]] = {"rank": "r", "lora_rank": "r"}
    OLD: ClassVar[dict[str, Old]] = {
        "merge_weights": Old("PEFT", "0.3.0", neutral=(None, False)),
        "old_target": Old("PEFT", "0.9.0", "target"),
    }

    r: PositiveInt = 8
    lora_alpha: Number | None = 8
    dropout: Probability = 0.0
    layers: list[Int] | Int | None = None
    modules: list[str] | str | None = None
    words: Words = Field(default_factory=list)
    rank_pattern: dict[str, PositiveInt] | None = since("0.6.0", {})
    bias: Literal["none", "all"] = "none"
    use_rslora: bool = False
    init: bool | str | None = True
    gate: NonNegativeInt = 0
    target: str = Field("all", validation_alias=AliasChoices("target", "train.target"))


class Lenient(Schema, strict=False):
    r: Int | None = None
    lora_alpha: Int | None = None


def yaml_view(text: str, model: type[Schema] = Config, path: Path = ()) -> View[Any]:
    (document,) = yaml_reader.read(Source("x.yaml", text))
    return View(model, document, path, title="PEFT")


def json_view(text: str) -> View[Any]:
    (document,) = json_reader.read(Source("x.json", text))
    return View(Config, document, title="PEFT")


@pytest.mark.parametrize(
    ("text", "field", "value", "origin", "path"),
    [
        ("r: 16", "r", 16, "written", ("r",)),
        ("lora_alpha: 32", "r", 8, "default", ()),
        ("lora_alpha: 32", "lora_alpha", 32.0, "written", ("lora_alpha",)),
        ("lora_alpha: 0.5", "lora_alpha", 0.5, "written", ("lora_alpha",)),
        ("lora_alpha:", "lora_alpha", None, "written", ("lora_alpha",)),
        ("words: one", "words", ["one"], "written", ("words",)),
        ("train.target: q", "target", "q", "written", ("train.target",)),
        ("target: q", "target", "q", "written", ("target",)),
        ("x: 1", "target", "all", "default", ()),
        ("x: 1", "rank_pattern", {}, "default", ()),
        ("{}", "r", 8, "default", ()),
        ("- r", "r", 8, "default", ()),
    ],
)
def test_a_fact_says_who_gave_the_value_and_where(text: str, field: str, value: Any, origin: str, path: Path) -> None:
    fact = yaml_view(text).fact(field)
    assert (fact.value, fact.origin, fact.path) == (value, origin, path)


def test_a_view_may_start_inside_a_document() -> None:
    view = yaml_view("peft:\n  lora:\n    r: 16\n    lora_alpha: x\n", path=("peft", "lora"))
    assert view.fact("r").path == ("peft", "lora", "r")
    assert [bad.path for bad in view.bad_values] == [("peft", "lora", "lora_alpha")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("r: 'x'", 'r is "x", a string; PEFT needs an integer'),
        ("r: 0", "r is 0; PEFT needs more than 0"),
        ("r: {{ rank }}", "{{ rank }} is filled in by a template"),
        ("r: !Ref x", "the tag !Ref isn't plain YAML"),
    ],
)
def test_a_value_that_is_not_settled_is_unknown_with_its_reason(text: str, reason: str) -> None:
    fact = yaml_view(text).fact("r")
    assert (fact.known, fact.origin, fact.reason, fact.path) == (False, "unknown", reason, ("r",))
    with pytest.raises(UnknownFact):
        _ = fact.value


def test_a_field_that_no_schema_has_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        yaml_view("r: 16").fact("rank")


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("r: '16'", "wrong-type", 'r is "16", a string; PEFT needs an integer'),
        ("r: sixteen", "wrong-type", 'r is "sixteen", a string; PEFT needs an integer'),
        ("r: 16.0", "wrong-type", "r is 16.0, a float; PEFT needs an integer"),
        ("r: 16.5", "wrong-type", "r is 16.5, a float; PEFT needs an integer"),
        ("r: true", "wrong-type", "r is true, a boolean; PEFT needs an integer"),
        ("r:", "wrong-type", "r is null; PEFT needs an integer"),
        ("r: [16]", "wrong-type", "r is [16], a list; PEFT needs an integer"),
        ("r: {a: 1}", "wrong-type", 'r is {"a": 1}, a mapping; PEFT needs an integer'),
        ("r: 2001-02-03", "wrong-type", 'r is "2001-02-03", a date; PEFT needs an integer'),
        ("r: 0", "out-of-range", "r is 0; PEFT needs more than 0"),
        ("r: -8", "out-of-range", "r is -8; PEFT needs more than 0"),
        ("gate: -1", "out-of-range", "gate is -1; PEFT needs at least 0"),
        (f"r: {2**63}", "out-of-range", f"r is {2**63}; PEFT needs less than {2**63}"),
        ("lora_alpha: true", "wrong-type", "lora_alpha is true, a boolean; PEFT needs a number"),
        ("lora_alpha: '32'", "wrong-type", 'lora_alpha is "32", a string; PEFT needs a number'),
        ("lora_alpha: 1e4", "number-as-text", 'lora_alpha is read as the text "1e4"; PEFT needs a number'),
        ("dropout: 5e-2", "number-as-text", 'dropout is read as the text "5e-2"; PEFT needs a number'),
        ("dropout: 1.5", "out-of-range", "dropout is 1.5; PEFT needs at most 1"),
        ("dropout: -1", "out-of-range", "dropout is -1; PEFT needs at least 0"),
        ("bias: some", "out-of-range", "bias is \"some\"; PEFT needs 'none' or 'all'"),
        ("bias: 3", "wrong-type", "bias is 3, an integer; PEFT needs 'none' or 'all'"),
        ("use_rslora: 'yes'", "wrong-type", 'use_rslora is "yes", a string; PEFT needs true or false'),
        ("use_rslora: 1", "wrong-type", "use_rslora is 1, an integer; PEFT needs true or false"),
        ("init: 3", "wrong-type", "init is 3, an integer; PEFT needs true or false or a string"),
        ("modules: {a: 1}", "wrong-type", 'modules is {"a": 1}, a mapping; PEFT needs a list or a string'),
        ("modules: [q, 1]", "wrong-type", "modules.1 is 1, an integer; PEFT needs a string"),
        ("layers: [1, two]", "wrong-type", 'layers.1 is "two", a string; PEFT needs an integer'),
        ("layers: '3'", "wrong-type", 'layers is "3", a string; PEFT needs a list or an integer'),
        ("rank_pattern: [8]", "wrong-type", "rank_pattern is [8], a list; PEFT needs a mapping"),
        ("rank_pattern: {q: 0}", "out-of-range", "rank_pattern.q is 0; PEFT needs more than 0"),
        ("rank_pattern: {q: x, v: 8}", "wrong-type", 'rank_pattern.q is "x", a string; PEFT needs an integer'),
        ("words: 3", "wrong-type", "words is 3, an integer; PEFT needs a list"),
        ("r: " + "x" * 99, "wrong-type", f'r is "{"x" * 38}…, a string; PEFT needs an integer'),
    ],
)
def test_a_bad_value_is_one_message_with_value_type_and_need(text: str, kind: str, message: str) -> None:
    assert [(bad.kind, bad.message) for bad in yaml_view(text).bad_values] == [(kind, message)]


@pytest.mark.parametrize(
    ("text", "replacement"),
    [
        ("r: '16'", "16"),
        ("r: 16.0", "16"),
        ("r: 1e1", "10"),
        ("r: '1.5'", None),
        ("r: 16.5", None),
        ("lora_alpha: '010'", "10"),
        ("lora_alpha: '+5'", "5"),
        ("lora_alpha: 1e4", "1.0e+4"),
        ("lora_alpha: '1e4'", "1.0e+4"),
        ("lora_alpha: 1.5E-3", None),
        ("lora_alpha: 15e-3", "15.0e-3"),
        ("lora_alpha: '.5'", ".5"),
        ("lora_alpha: x", None),
        ("lora_alpha: '\uff11\uff16'", None),
    ],
)
def test_text_that_holds_a_number_can_be_written_as_one_in_yaml(text: str, replacement: str | None) -> None:
    bad = yaml_view(text).bad_values
    assert [one.replacement for one in bad] == ([replacement] if bad else [])
    if replacement is not None:
        assert yaml_view(f"{text.partition(':')[0]}: {replacement}").bad_values == []


@pytest.mark.parametrize("text", ["16", "1e4", "+5", ".5", "5.", "007", "-.5e3", "1E+2", "0.25", "1.e2"])
def test_text_that_holds_a_number_can_be_written_as_one_in_json(text: str) -> None:
    (bad,) = json_view(json.dumps({"lora_alpha": text})).bad_values
    assert float(json.loads(bad.replacement or "")) == float(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_in_quotes_is_the_same_number_without(value: float) -> None:
    for text in (repr(value), f"{value:e}"):
        (bad,) = json_view(json.dumps({"lora_alpha": text})).bad_values
        assert float(json.loads(bad.replacement or "")) == float(text)


def test_values_beside_a_bad_one_are_read() -> None:
    view = yaml_view("r: 0\nlora_alpha: 64\nrank_pattern: {q: x, v: 4}\nmodules: [q, 1]\nbias: all\n")
    assert {bad.path for bad in view.bad_values} == {("r",), ("rank_pattern", "q"), ("modules", 1)}
    assert view.fact("lora_alpha").value == 64
    assert view.fact("rank_pattern").value == {"v": 4}
    assert view.fact("bias").value == "all"


def test_a_framework_that_coerces_takes_text_for_a_number() -> None:
    view = yaml_view("r: '16'\nlora_alpha: 32.0\n", Lenient)
    assert (view.fact("r").value, view.fact("lora_alpha").value, view.bad_values) == (16, 32, [])


@pytest.mark.parametrize("text", ["r: 16.5", "r: x"])
def test_a_framework_that_coerces_refuses_what_is_no_number(text: str) -> None:
    assert [bad.path for bad in yaml_view(text, Lenient).bad_values] == [("r",)]


def test_a_value_that_is_not_finite_is_a_number() -> None:
    assert math.isnan(json_view('{"lora_alpha": NaN}').fact("lora_alpha").value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("r: 16\nlora_alpa: 32", [("lora_alpa", "lora_alpha")]),
        ("rank: 16", [("rank", "r")]),
        ("lora_rank: 16", [("lora_rank", "r")]),
        ("rank: 16\nr: 8", [("rank", None)]),
        ("lora_alpa: 32\nlora_alpha: 8", [("lora_alpa", None)]),
        ("UseRsLora: true", [("UseRsLora", "use_rslora")]),
        ("use-rslora: true", [("use-rslora", "use_rslora")]),
        ("something_else: 1", [("something_else", None)]),
        ("_private: 1\nx-note: 2", []),
        ("merge_weights: false", []),
        ("merge_weights: true", []),
        ("lora_alpa: {{ x }}", [("lora_alpa", "lora_alpha")]),
        ("train.target: q", []),
        ("-1: x\n7: y\ntrue: z", [("-1", None), ("7", None), ("True", None)]),
    ],
)
def test_an_unknown_key_is_reported_with_the_key_that_was_meant(text: str, found: list[tuple[str, str | None]]) -> None:
    keys = [(key.key, key.suggestion) for key in yaml_view(text).report_unknown("drops it")]
    assert keys == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("merge_weights: false", [("merge_weights", "0.3.0", "", True)]),
        ("merge_weights:", [("merge_weights", "0.3.0", "", True)]),
        ("merge_weights: 0", [("merge_weights", "0.3.0", "", False)]),
        ("merge_weights: true", [("merge_weights", "0.3.0", "", False)]),
        ("merge_weights: {{ x }}", [("merge_weights", "0.3.0", "", False)]),
        ("old_target: q", [("old_target", "0.9.0", "target", False)]),
        ("old_target: q\ntarget: v", [("old_target", "0.9.0", "", False)]),
        ("r: 8", []),
    ],
)
def test_a_key_of_earlier_releases_is_told_with_what_became_of_it(
    text: str, found: list[tuple[str, str, str, bool]]
) -> None:
    assert [(old.key, old.release, old.new, old.neutral) for old in yaml_view(text).old_keys] == found


def test_only_near_misses_are_reported_of_a_schema_that_is_not_known_whole() -> None:
    view = yaml_view("lora_alpa: 32\nsomething_else: 1\nrank: 3")
    assert [key.key for key in view.report_unknown("drops it", only_near=True)] == ["lora_alpa", "rank"]


def test_an_unknown_key_stands_where_it_is_written() -> None:
    view = yaml_view("- x\n- lora_alpa: 1", path=(1,))
    assert [key.path for key in view.report_unknown("drops it")] == [(1, "lora_alpa")]


def test_an_unknown_value_in_a_collection_leaves_the_others() -> None:
    view = yaml_view("rank_pattern: {q: !Ref x, v: 4}\nmodules: [!Ref x, k]")
    assert (view.fact("rank_pattern").value, view.fact("modules").value) == ({"v": 4}, ["k"])
    assert all(isinstance(value, Unknown) for value in view.unknown.values())


KEYS = ["r", "lora_alpha", "lora_dropout", "target_modules", "use_rslora", "use_dora", "rank_pattern", "alpha_pattern"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("lora_alpa", "lora_alpha"),
        ("lora_alhpa", "lora_alpha"),
        ("loraAlpha", "lora_alpha"),
        ("LORA-ALPHA", "lora_alpha"),
        ("lora_alphas", "lora_alpha"),
        ("target_module", "target_modules"),
        ("targetmodules", "target_modules"),
        ("use_rora", "use_dora"),
        ("use_rs_lora", "use_rslora"),
        ("use_dor", "use_dora"),
        ("R", "r"),
        ("x", None),
        ("alpha", None),
        ("lora", None),
        ("", None),
        ("y" * 10_000, None),
    ],
)
def test_the_nearest_word_is_the_one_that_was_likely_meant(word: str, meant: str | None) -> None:
    assert nearest(word, KEYS) == meant


def test_a_tie_is_no_suggestion() -> None:
    assert nearest("lora_beta", ["lora_bets", "lora_betb"]) is None


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [("", "", 0), ("a", "", 1), ("ab", "ba", 1), ("abc", "abd", 1), ("abc", "xabc", 1), ("abcd", "badc", 2)],
)
def test_edits_are_counted(a: str, b: str, edits: int) -> None:
    assert (distance(a, b, 3), distance(b, a, 3)) == (edits, edits)


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_more_edits_than_the_limit_are_the_limit_and_one(a: str, b: str) -> None:
    exact = distance(a, b, 10)
    assert [distance(a, b, limit) for limit in range(4)] == [min(exact, limit + 1) for limit in range(4)]
