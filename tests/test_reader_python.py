"""What the Python reader makes of LoRA calls, and that nothing it reads can hurt it."""

import subprocess
import sys
import textwrap

import pytest

from lora_lint.document import Document, Path, Source, Span, Unknown, UnreadableError
from lora_lint.expression import constant_over_names
from lora_lint.readers.python import read

IMPORT = "from peft import LoraConfig\n"


def documents(text: str, name: str = "train.py") -> list[Document]:
    text = textwrap.dedent(text)
    return list(read(Source(name, text)))


def only(text: str) -> Document:
    (document,) = documents(text)
    return document


def shown(value: object) -> object:
    return "?" if isinstance(value, Unknown) else value


def rank_and_alpha(document: Document) -> tuple[object, object]:
    assert isinstance(document.data, dict)
    return shown(document.data.get("r", "absent")), shown(document.data.get("lora_alpha", "absent"))


def written(document: Document, span: Span | None) -> str | None:
    return None if span is None else document.source.text[slice(*span)]


def line(document: Document) -> int:
    return document.source.position(document.span.start).line


@pytest.mark.parametrize(
    ("text", "callee"),
    [
        ("LoraConfig(r=8)", "LoraConfig"),
        ("from peft import LoraConfig\nLoraConfig(r=8)", "peft.LoraConfig"),
        ("from peft import LoraConfig as LC\nLC(r=8)", "peft.LoraConfig"),
        ("import peft\npeft.LoraConfig(r=8)", "peft.LoraConfig"),
        ("import peft as p\np.LoraConfig(r=8)", "peft.LoraConfig"),
        ("import peft.tuners.lora\npeft.tuners.lora.LoraConfig(r=8)", "peft.tuners.lora.LoraConfig"),
        ("import peft.tuners.lora as tl\ntl.LoraConfig(r=8)", "peft.tuners.lora.LoraConfig"),
        ("from .config import LoraConfig\nLoraConfig(r=8)", ".config.LoraConfig"),
        ("model.wrap_llm_lora(r=8)", "model.wrap_llm_lora"),
        ("build().wrap_lora(r=8)", "build().wrap_lora"),
        ("FastModel.adapt(model, r=8, lora_alpha=8)", "FastModel.adapt"),
        ("train(lora_rank=8)", "train"),
        ("train(lora_r=8)", "train"),
        ("dict(r=8, lora_alpha=16)", "dict"),
        ("{'r': 8, 'lora_alpha': 16}", "dict"),
        ("from peft import LoraConfig\ndict(type=LoraConfig, r=8)", "peft.LoraConfig"),
        ("dict(type='LoraConfig', r=8)", "LoraConfig"),
        ("{'type': 'mmengine.LoRAModel', 'r': 8}", "mmengine.LoRAModel"),
        ("try:\n    from peft import LoraConfig\nexcept ImportError:\n    pass\nLoraConfig(r=8)", "peft.LoraConfig"),
    ],
)
def test_calls_of_interest_and_their_names(text: str, callee: str) -> None:
    assert only(text).callee == callee


@pytest.mark.parametrize(
    "text",
    [
        "print('lora')",
        "explore_exploration(r=8)  # lora",
        "llm.generate(prompt, lora_request=request)",
        "Repetition(r=8)  # a peft",
        "labels = {'lora_rank': 'Rank of LoRA', 'lora_alpha': 'Alpha'}",
        "def lora(r=8): pass",
        "x = 8",
    ],
)
def test_other_code_has_no_documents(text: str) -> None:
    assert documents(text) == []


@pytest.mark.parametrize(
    ("before", "arguments", "expected"),
    [
        ("", "r=8, lora_alpha=16", (8, 16)),
        ("", "r=2 * 8, lora_alpha=16 * 2", (16, 32)),
        ("", "r=+8, lora_alpha=-16.5", (8, -16.5)),
        ("", "r=16 // 3, lora_alpha=2 ** 5", (5, 32)),
        ("", "r=8, lora_alpha=9 ** 9 ** 9 ** 9", (8, "?")),
        ("", "r=8, lora_alpha=1 / 0", (8, "?")),
        ("", "r='8', lora_alpha=None", ("8", None)),
        ("", "r=True, lora_alpha=int('16')", (True, 16)),
        ("R = 16", "r=R, lora_alpha=2 * R", (16, 32)),
        ("R = 16\nA = 2 * R", "r=R, lora_alpha=A", (16, 32)),
        ("R, A = 16, 32", "r=R, lora_alpha=A", (16, 32)),
        ("R = A = 16", "r=R, lora_alpha=A", (16, 16)),
        ("R: int = 16", "r=R", (16, "absent")),
        ("R = 16\nR = 32", "r=R", ("?", "absent")),
        ("R = 16\nR = 16", "r=R", (16, "absent")),
        ("R = 16\nR += 1", "r=R", ("?", "absent")),
        ("R = 16\ndel R", "r=R", ("?", "absent")),
        ("if X:\n    R = 16", "r=R", ("?", "absent")),
        ("for R in (8, 16): pass", "r=R", ("?", "absent")),
        ("while X:\n    R = 16", "r=R", ("?", "absent")),
        ("with X as R: pass", "r=R", ("?", "absent")),
        ("with X:\n    R = 16", "r=R", (16, "absent")),
        ("import R", "r=R", ("?", "absent")),
        ("R = 16\ndef f():\n    global R\n    R = 8", "r=R", ("?", "absent")),
        ("cfg = {'r': 8, 'a': 2 * 8}", "r=cfg['r'], lora_alpha=cfg['a']", (8, 16)),
        ("cfg = dict(r=8, a=16)", "r=cfg.r, lora_alpha=cfg['a']", (8, 16)),
        ("cfg = EasyDict({'r': 8})", "r=cfg.r", (8, "absent")),
        ("cfg = SimpleNamespace(r=8)\ncfg.r = 16", "r=cfg.r", (16, "absent")),
        ("cfg = {'r': 8}\ncfg['r'] = 16", "r=cfg['r']", (16, "absent")),
        ("cfg = {'r': 8}\ncfg.update(x)", "r=cfg['r']", ("?", "absent")),
        ("cfg = {'lora': {'r': 8}}", "r=cfg['lora']['r']", (8, "absent")),
        ("cfg = {'r': 8}\nother = cfg", "r=other['r']", (8, "absent")),
        ("import os", "r=int(os.environ.get('R', '8')), lora_alpha=2 * int(os.getenv('R', 8))", (8, 16)),
        ("", "r=args.r, lora_alpha=args.alpha", ("?", "?")),
        ("", "r=cfg.get('r', 8), lora_alpha=cfg.get('alpha')", (8, "?")),
        ("", "r=getattr(args, 'r', 8), lora_alpha=getattr(args, 'a')", (8, "?")),
        ("", "r=kwargs.pop('r', 8)", (8, "absent")),
        ("class C:\n    r = 8", "r=C.r", (8, "absent")),
        ("class C:\n    r = 8\nc = C()", "r=c.r", (8, "absent")),
        ("R = 8", "r=(lambda R: R)(1)", ("?", "absent")),
        ("a = b\nb = a", "r=a", ("?", "absent")),
        ("a = a", "r=a", ("?", "absent")),
    ],
)
def test_values_are_followed(before: str, arguments: str, expected: tuple[object, object]) -> None:
    (found,) = [d for d in documents(f"{before}\nLoraConfig({arguments})") if d.callee == "LoraConfig"]
    assert rank_and_alpha(found) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f():\n    R = 8\n    LoraConfig(r=R)", 8),
        ("R = 4\ndef f():\n    R = 8\n    LoraConfig(r=R)", 8),
        ("R = 4\ndef f():\n    LoraConfig(r=R)", 4),
        ("def f():\n    LoraConfig(r=R)\nR = 4", 4),
        ("LoraConfig(r=R)\nR = 4", "?"),
        ("def f():\n    R = 8\nLoraConfig(r=R)", "?"),
        ("class C:\n    R = 8\n    def f(self):\n        LoraConfig(r=R)", "?"),
        ("class C:\n    R = 8\n    x = LoraConfig(r=R)", 8),
        ("class C:\n    R = 8\n    def f(self):\n        LoraConfig(r=self.R)", 8),
        ("class C:\n    def g(self):\n        self.R = 8\n    def f(self):\n        LoraConfig(r=self.R)", 8),
        ("class C:\n  R = 4\n  def g(self):\n    self.R = 8\n  def f(self):\n    LoraConfig(r=self.R)", "?"),
        ("class C:\n    def g(self, x):\n        if x:\n            self.R = 8\n        LoraConfig(r=self.R)", "?"),
        ("if X:\n    R = 8\n    LoraConfig(r=R)", 8),
        ("if X:\n    R = 8\nelse:\n    LoraConfig(r=R)", "?"),
        ("if __name__ == '__main__':\n    R = 8\nLoraConfig(r=R)", 8),
        ("try:\n    R = 8\nexcept E:\n    pass\nLoraConfig(r=R)", 8),
        ("try:\n    pass\nexcept E:\n    R = 8\nLoraConfig(r=R)", "?"),
        ("R = 8\n[LoraConfig(r=R) for R in (1, 2)]", "?"),
        ("R = 8\n[LoraConfig(r=R) for x in (1, 2)]", 8),
        ("def f():\n    def g():\n        LoraConfig(r=R)\n    R = 8", 8),
        ("match x:\n    case R:\n        LoraConfig(r=R)", "?"),
        ("if (R := 8):\n    LoraConfig(r=R)", 8),
    ],
)
def test_scopes_are_pythons(text: str, expected: object) -> None:
    assert rank_and_alpha(only(text))[0] == expected


ARGPARSE = "p = ArgumentParser()\np.add_argument({})\nargs = p.parse_args()\nLoraConfig(r=args.lora_r)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ARGPARSE.format("'--lora_r', type=int, default=8"), 8),
        (ARGPARSE.format("'-r', '--lora-r', '--rank', default=8"), 8),
        (ARGPARSE.format("'--rank', dest='lora_r', default=8"), 8),
        (ARGPARSE.format("'--lora_r', type=int, default='8'"), 8),
        (ARGPARSE.format("'--lora_r', action='store_true'"), False),
        (ARGPARSE.format("'--lora_r', type=int"), "?"),
        (ARGPARSE.format("'--lora_r', default=None"), "?"),
        (ARGPARSE.format("'--lora_r', default=8") + "\nargs.lora_r = 4", "?"),
        ("args.lora_r = 4\n" + ARGPARSE.format("'--lora_r', default=8"), 4),
        (ARGPARSE.format("'--lora_r', default=8").replace("args =", "p.set_defaults(lora_r=5)\nargs ="), 5),
        ("def f(r=8):\n    LoraConfig(r=r)", 8),
        ("def f(*, r=2 * 4):\n    LoraConfig(r=r)", 8),
        ("R = 8\ndef f(r=R):\n    LoraConfig(r=r)", 8),
        ("def f(r=None):\n    LoraConfig(r=r)", "?"),
        ("def f(r=8):\n    r = r + 1\n    LoraConfig(r=r)", "?"),
        ("@dataclass\nclass A:\n    lora_r: int = 64\ndef f(a):\n    LoraConfig(r=a.lora_r)", 64),
        ("@dataclass\nclass A:\n    lora_r: int = field(default=64)\ndef f(a):\n    LoraConfig(r=a.b.lora_r)", 64),
        ("class A(BaseModel):\n    lora_r: int = Field(64, gt=0)\ndef f(a):\n    LoraConfig(r=a.lora_r)", 64),
        ("class A(BaseModel):\n    lora_r: int = Field(..., gt=0)\ndef f(a):\n    LoraConfig(r=a.lora_r)", "?"),
        ("class A:\n    lora_r: int\ndef f(a):\n    LoraConfig(r=a.lora_r)", "?"),
        ("class A:\n    lora_r: int = 8\nclass B:\n    lora_r: int = 4\ndef f(a):\n    LoraConfig(r=a.lora_r)", "?"),
        ("class A:\n    lora_r: int = 8\nclass B:\n    lora_r: int = 8\ndef f(a):\n    LoraConfig(r=a.lora_r)", 8),
        ("class A:\n    lora_r: int = 8\nclass B:\n    lora_r: int = 4\ndef f(a: A):\n    LoraConfig(r=a.lora_r)", 8),
        ("from x import B\nclass A:\n    lora_r: int = 8\ndef f(a: B):\n    LoraConfig(r=a.lora_r)", "?"),
        ("import args\nclass A:\n    lora_r: int = 8\nLoraConfig(r=args.lora_r)", "?"),
        ("@click.option('--lora-r', default=8)\ndef f(lora_r):\n    LoraConfig(r=lora_r)", 8),
        ("def f(lora_r: int = typer.Option(8, help='')):\n    LoraConfig(r=lora_r)", 8),
        ("flags.DEFINE_integer('lora_r', 8, 'rank')\nLoraConfig(r=FLAGS.lora_r)", 8),
        ("class A:\n  def __init__(self, r=8):\n    self.r = r\n  def f(self):\n    LoraConfig(r=self.r)", 8),
    ],
)
def test_defaults_of_the_file_count_as_defaults(text: str, expected: object) -> None:
    found = documents(text)[-1]
    assert rank_and_alpha(found)[0] == expected
    assert (("r",) in found.defaults) == (expected not in ("?", 4))
    assert (("r",) in found.expressions) == (expected != 4)


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("LoraConfig(r=args.r, lora_alpha=2 * args.r)", 2),
        ("LoraConfig(r=args.r, lora_alpha=args.r * 2)", 2),
        ("LoraConfig(r=args.r, lora_alpha=args.r)", 1),
        ("LoraConfig(r=args.r, lora_alpha=args.alpha)", None),
        ("LoraConfig(r=args.r, lora_alpha=16)", None),
        ("rank = args.r\nLoraConfig(r=rank, lora_alpha=2 * args.r)", 2),
        ("rank = args.r\nalpha = 2 * rank\nLoraConfig(r=rank, lora_alpha=alpha)", 2),
        ("K = 2\nLoraConfig(r=args.r, lora_alpha=K * args.r)", 2),
        ("cfg = self.config\nLoraConfig(r=cfg.r, lora_alpha=2 * self.config.r)", 2),
        ("LoraConfig(r=ranks[i], lora_alpha=2 * ranks[i])", 2),
        ("LoraConfig(r=cfg['r'], lora_alpha=2 * cfg.get('r', 8))", 2),
        ("LoraConfig(r=args.r, lora_alpha=2 * getattr(args, 'r', 8))", 2),
        ("for r in (4, 8):\n    LoraConfig(r=r, lora_alpha=2 * r)", 2),
        ("for r in (4, 8):\n    a = 2 * r\n    LoraConfig(r=r, lora_alpha=a)", 2),
        ("def f(r=8):\n    LoraConfig(r=r, lora_alpha=2 * r)", 2),
        ("LoraConfig(r=f(x), lora_alpha=2 * f(x))", None),
        ("class C:\n def g(self, r):\n  self.r = r\n def f(self, r):\n  LoraConfig(r=r, lora_alpha=self.r)", None),
    ],
)
def test_expressions_speak_of_the_same_names(text: str, scale: float | None) -> None:
    found = only(text)
    assert isinstance(found.data, dict)
    rank, alpha = (found.expressions.get((key,)) or found.data[key] for key in ("r", "lora_alpha"))
    if isinstance(rank, Unknown) or isinstance(alpha, Unknown):
        assert scale is None
    else:
        assert constant_over_names(lambda alpha, rank: alpha / rank, alpha, rank) == scale


CHOOSING = "def f(r=16, a=None, b=8):\n    LoraConfig(r=r, lora_alpha={})"
ASSIGNING = "def f(r=16, a=None, b=8, c=True):\n    {}\n    LoraConfig(r=r, lora_alpha={})"
OPTION = "p.add_argument('--a', type=int{})\nargs = p.parse_args()\n{}\nLoraConfig(r=16, lora_alpha=args.a)"


@pytest.mark.parametrize(
    ("text", "alpha"),
    [
        (CHOOSING.format("a if a is not None else 2 * r"), 32),
        (CHOOSING.format("2 * r if a is None else a"), 32),
        (CHOOSING.format("a if a else 2 * r"), 32),
        (CHOOSING.format("2 * r if not a else a"), 32),
        (CHOOSING.format("a or 2 * r"), 32),
        (CHOOSING.format("b if b is not None else 2 * r"), 8),
        (CHOOSING.format("b or 2 * r"), 8),
        (CHOOSING.format("a if a is not None else other"), "?"),
        (CHOOSING.format("other if other is not None else 2 * r"), "?"),
        (CHOOSING.format("a if b > 4 else 2 * r"), "?"),
        (ASSIGNING.format("a = a or 2 * r", "a"), 32),
        (ASSIGNING.format("a = 2 * r if a is None else a", "a"), 32),
        (ASSIGNING.format("b = b or 2 * r", "b"), 8),
        (ASSIGNING.format("if a is None:\n        a = 2 * r", "a"), 32),
        (ASSIGNING.format("if not a:\n        a = r", "a"), 16),
        (ASSIGNING.format("if b is None:\n        b = 2 * r", "b"), 8),
        (ASSIGNING.format("if c:\n        a = 2 * r", "a"), "?"),
        (ASSIGNING.format("if a is not None:\n        a = 2 * r", "a"), "?"),
        (ASSIGNING.format("if a is None:\n        a = 2 * r\n    if c:\n        a = 4", "a"), "?"),
        (OPTION.format("", "if args.a is None:\n    args.a = 2 * 16"), 32),
        (OPTION.format("", "args.a = args.a or 2 * 16"), 32),
        (OPTION.format(", default=8", "if args.a is None:\n    args.a = 2 * 16"), 8),
        (OPTION.format("", "if x:\n    args.a = 2 * 16"), "?"),
        ("if args.a is None:\n    args.a = 32\nLoraConfig(r=16, lora_alpha=args.a)", "?"),
        ("def f(r, a=None):\n    LoraConfig(r=r, lora_alpha=a or 2 * r)\nf(8)", 16),
        ("def f(r, a=None):\n    LoraConfig(r=r, lora_alpha=a or 2 * r)\nf(8, 8)", 8),
    ],
)
def test_what_is_none_by_default_has_the_value_that_stands_for_none(text: str, alpha: object) -> None:
    found = documents(text)[-1]
    assert rank_and_alpha(found)[1] == alpha


@pytest.mark.parametrize(
    ("text", "expected", "unclear"),
    [
        ("LoraConfig(**dict(r=8, lora_alpha=16))", (8, 16), False),
        ("LoraConfig(**{'r': 8, 'lora_alpha': 16})", (8, 16), False),
        ("LoraConfig(**{'r': 8, **{'lora_alpha': 16}})", (8, 16), False),
        ("LoraConfig(lora_alpha=4, **{'lora_alpha': 16, 'r': 8})", (8, 4), False),
        ("K = dict(r=8, lora_alpha=16)\nLoraConfig(**K)", (8, 16), False),
        ("K = {'r': 8}\nK['lora_alpha'] = 16\nLoraConfig(**K)", (8, 16), False),
        ("K = {'r': 8}\nK.update(more)\nLoraConfig(**K)", ("absent", "absent"), True),
        ("LoraConfig(r=8, **kwargs)", (8, "absent"), True),
        ("LoraConfig(r=8, **{'lora_alpha': 16, **more})", (8, 16), True),
        ("LoraConfig(*args, r=8)", (8, "absent"), True),
        ("def f(**kwargs):\n    LoraConfig(r=8, **kwargs)", (8, "absent"), True),
        ("class C:\n    K = dict(r=8)\n    def f(self):\n        LoraConfig(**self.K)", (8, "absent"), False),
        ("LoraConfig(**cfg.get('peft', {}))", ("absent", "absent"), True),
        ("def f(k={'r': 8}):\n    LoraConfig(**k)", (8, "absent"), True),
    ],
)
def test_keywords_come_in_through_two_stars(text: str, expected: tuple[object, object], unclear: bool) -> None:
    found = only(text)
    assert (found.callee, rank_and_alpha(found)) == ("LoraConfig", expected)
    assert (found.words == ("**",)) == unclear


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("LoraConfig(r=args.r)", "args.r isn't set in this file"),
        ("import args\nLoraConfig(r=args.r)", "args.r is imported"),
        ("R = 8\nR = 9\nLoraConfig(r=R)", "R is set more than once"),
        ("if x:\n    R = 8\nLoraConfig(r=R)", "R is set only under a condition"),
        ("def f(r):\n    LoraConfig(r=r)", "r is a parameter"),
        ("def f(r=None):\n    LoraConfig(r=r)", "r is None unless it is set"),
        ("R = get()\nLoraConfig(r=R)", "get() is only known when it runs"),
        ("LoraConfig(r=2 * args.r)", "args.r isn't set in this file"),
        ("class C:\n    def f(self):\n        LoraConfig(r=self.r)", "self.r isn't set in this class"),
    ],
)
def test_unknown_values_say_why(text: str, reason: str) -> None:
    data = only(text).data
    assert isinstance(data, dict)
    assert data["r"].reason == reason


def test_other_values_are_plain_data() -> None:
    text = "get_lora(m, 8, target_modules=['q', 'v'], t=('a',), bias='none', d={'a': 1, 'b': [2]}, n=None, x=f())"
    data = only(text).data
    assert isinstance(data, dict)
    assert isinstance(data.pop(0), Unknown)
    assert data.pop("x") == Unknown("f()", "f() is only known when it runs")
    assert data == {1: 8, "target_modules": ["q", "v"], "t": ["a"], "bias": "none", "d": {"a": 1, "b": [2]}, "n": None}


def test_positional_arguments_have_the_names_of_a_function_of_the_file() -> None:
    found = only("def add_lora(model, rank, alpha=16): ...\nadd_lora(m, 8)")
    assert isinstance(found.data, dict)
    assert list(found.data) == ["model", "rank", "alpha"]
    assert (found.data["rank"], found.data["alpha"]) == (8, 16)
    assert found.defaults == {("alpha",)}


SPANS = """\
R = 16
A = 16
B = 2
print(B)
LoraConfig(r=R, lora_alpha=A, lora_dropout=0.5, bias=B, target_modules=["é", "q"], x=2 * A0, y=2 * 8)
"""


@pytest.mark.parametrize(
    ("path", "key", "value", "literal", "origin"),
    [
        (("r",), "r", "R", "16", "16"),
        (("lora_alpha",), "lora_alpha", "A", "16", "16"),
        (("lora_dropout",), "lora_dropout", "0.5", "0.5", None),
        (("bias",), "bias", "B", None, "2"),
        (("target_modules",), "target_modules", '["é", "q"]', '["é", "q"]', None),
        (("target_modules", 1), None, '"q"', '"q"', None),
        (("x",), "x", "2 * A0", None, None),
        (("y",), "y", "2 * 8", "2 * 8", None),
    ],
)
def test_entries_say_where_values_stand(
    path: Path, key: str | None, value: str, literal: str | None, origin: str | None
) -> None:
    found = only(SPANS)
    entry = found.entry(path)
    assert entry is not None
    spans = (entry.key, entry.value, entry.literal, entry.origin)
    assert tuple(written(found, span) for span in spans) == (key, value, literal, origin)


def test_the_span_is_the_whole_call_and_a_missing_path_falls_back_to_its_name() -> None:
    found = only("x = 1; y = f(LoraConfig(\n    r=8,\n), 'é')")
    assert written(found, found.span) == "LoraConfig(\n    r=8,\n)"
    assert written(found, found.span_of(("lora_alpha",))) == "LoraConfig"


@pytest.mark.parametrize("before", ["é = 1; ", "'😀 ü'; ", "x = 1\r\n", "x = 1\r", "x = '''\r\né'''; ", "\x0c", "\\\n"])
def test_positions_count_code_points(before: str) -> None:
    (found,) = documents(f"{before}LoraConfig(r=8, lora_alpha='ß' '€', bias=1)")
    assert written(found, found.span_of(("r",))) == "8"
    assert written(found, found.span_of(("bias",))) == "1"


INTERNVL = """\
class Model:
    def __init__(self, config):
        if config.use_backbone_lora:
            self.wrap_backbone_lora(r=config.use_backbone_lora, lora_alpha=2 * config.use_backbone_lora)
        if config.use_llm_lora:
            self.wrap_backbone_lora(r=config.use_llm_lora)
        self.wrap_backbone_lora(8, 16)

    def wrap_backbone_lora(self, r=128, lora_alpha=256, lora_dropout=0.05):
        lora_config = LoraConfig(r=r, target_modules=["qkv"], lora_alpha=lora_alpha, lora_dropout=lora_dropout)
        self.model = wrap(self.model, lora_config)
"""


def test_a_wrapper_speaks_through_its_calls_and_its_defaults() -> None:
    found = documents(IMPORT + INTERNVL)
    assert [(line(d), d.callee, d.through, *rank_and_alpha(d)) for d in found] == [
        (5, "self.wrap_backbone_lora", "peft.LoraConfig", "?", "?"),
        (7, "self.wrap_backbone_lora", "peft.LoraConfig", "?", 256),
        (8, "self.wrap_backbone_lora", "peft.LoraConfig", 8, 16),
        (10, "wrap_backbone_lora", "peft.LoraConfig", 128, 256),
    ]
    assert [sorted(d.defaults) for d in found] == [
        [("lora_dropout",)],
        [("lora_alpha",), ("lora_dropout",)],
        [("lora_dropout",)],
        [("lora_alpha",), ("lora_dropout",), ("r",)],
    ]
    assert [d.expressions[("r",)].text for d in found[:2]] == ["config.use_backbone_lora", "config.use_llm_lora"]
    assert all(isinstance(d.data, dict) and d.data["target_modules"] == ["qkv"] for d in found)


@pytest.mark.parametrize(
    ("number", "path", "value", "key", "origin"),
    [
        (0, ("lora_alpha",), "2 * config.use_backbone_lora", "lora_alpha", None),
        (1, ("lora_alpha",), "self.wrap_backbone_lora(r=config.use_llm_lora)", None, "256"),
        (2, ("lora_alpha",), "16", None, None),
        (3, ("lora_alpha",), "256", "lora_alpha", None),
        (0, ("target_modules",), '["qkv"]', "target_modules", None),
    ],
)
def test_values_through_a_wrapper_stand_where_they_are_given(
    number: int, path: Path, value: str, key: str | None, origin: str | None
) -> None:
    found = documents(IMPORT + INTERNVL)[number]
    entry = found.entry(path)
    assert entry is not None
    assert tuple(written(found, span) for span in (entry.value, entry.key, entry.origin)) == (value, key, origin)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def build(rank, alpha):\n    LoraConfig(r=rank, lora_alpha=alpha)\nbuild(8, 4)", [("build", 8, 4)]),
        ("def build(rank, alpha):\n    LoraConfig(r=rank, lora_alpha=alpha)", [("LoraConfig", "?", "?")]),
        (
            "def build(rank=8, alpha=16):\n    LoraConfig(r=rank, lora_alpha=alpha)\nbuild(alpha=4)",
            [("build", 8, 16), ("build", 8, 4)],
        ),
        (
            "def a(r, s):\n    LoraConfig(r=r, lora_alpha=s)\ndef b(x, y):\n    a(s=y, r=x)\ndef c():\n    b(8, 4)",
            [("b", 8, 4)],
        ),
        (
            "class T:\n  def __init__(self, rank=8, alpha=16):\n    LoraConfig(r=rank, lora_alpha=alpha)\nT(4, 4)",
            [("T", 8, 16), ("T", 4, 4)],
        ),
        (
            "class T:\n def __init__(self, r, a):\n  self.r = r\n  self.a = a\n def f(self):\n"
            "  LoraConfig(r=self.r, lora_alpha=self.a)\nT(4, 8)",
            [("T", 4, 8)],
        ),
        ("def f(rank=8):\n    LoraConfig(r=rank, lora_alpha=16)", [("LoraConfig", 8, 16)]),
        ("def f(rank=8):\n    LoraConfig(r=rank, lora_alpha=16)\nf(64)", [("LoraConfig", 8, 16), ("f", 64, 16)]),
        ("def lora(rank):\n    LoraConfig(r=rank, lora_alpha=2 * rank)\nlora(8)", [("LoraConfig", "?", "?")]),
        ("def f(r, a):\n    LoraConfig(r=r, lora_alpha=a)\nf(**k)", [("f", "?", "?")]),
        ("def f(r, a):\n    LoraConfig(r=r, lora_alpha=a)\nf(8, a=args.a)", [("f", 8, "?")]),
        ("def f(r, a):\n    f(r, a)\n    LoraConfig(r=r, lora_alpha=a)", [("LoraConfig", "?", "?")]),
        ("def f(r, a):\n    rank = r\n    LoraConfig(r=rank, lora_alpha=a)\nf(8, 4)", [("f", 8, 4)]),
        ("def f(r, k):\n    LoraConfig(r=r, lora_alpha=k * r)\nf(8, 3)", [("f", 8, 24)]),
        ("def f(r, a):\n    return dict(type='LoraConfig', r=r, lora_alpha=a)\nf(8, 4)", [("f", 8, 4)]),
        ("def f(r=0, a=16):\n    if r:\n        LoraConfig(r=r, lora_alpha=a)\nf()\nf(8)", [("f", 8, 16)]),
        ("def f(r=8):\n    LoraConfig(r=r, lora_alpha=16)\nf(0)", [("LoraConfig", 8, 16), ("f", 0, 16)]),
        ("model.wrap_llm_lora(r=8, lora_alpha=4)", [("model.wrap_llm_lora", 8, 4)]),
        (
            "class M:\n    def wrap_lora(self, r, lora_alpha):\n        LoraConfig(r=r, lora_alpha=lora_alpha)\n"
            "m = M()\nm.wrap_lora(8, lora_alpha=4)",
            [("m.wrap_lora", 8, 4)],
        ),
    ],
)
def test_wrappers_are_followed_to_their_callers(text: str, expected: list[tuple[object, ...]]) -> None:
    assert [(d.callee, *rank_and_alpha(d)) for d in documents(text)] == expected


@pytest.mark.parametrize(("number", "literal"), [(0, None), (1, "64")])
def test_only_what_the_caller_gives_may_be_rewritten(number: int, literal: str | None) -> None:
    found = documents("def f(rank):\n    LoraConfig(r=rank, lora_alpha=16)\nf(64)")[1]
    entry = found.entry((("lora_alpha",), ("r",))[number])
    assert entry is not None
    assert written(found, entry.literal) == literal


def test_alpha_that_follows_another_rank_keeps_both_expressions() -> None:
    found = only(
        """
        @dataclass
        class ModelArguments:
            use_backbone_lora: int = field(default=0)
            use_qllama_lora: int = field(default=0)

        def main(model, model_args):
            model.wrap_qllama_lora(r=model_args.use_qllama_lora, lora_alpha=model_args.use_backbone_lora * 2)
        """
    )
    assert {path: sorted(expression.names) for path, expression in found.expressions.items()} == {
        ("r",): ["model_args.use_qllama_lora"],
        ("lora_alpha",): ["model_args.use_backbone_lora"],
    }
    assert found.expressions[("lora_alpha",)].text == "model_args.use_backbone_lora * 2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cfg = {'r': 8, 'lora_alpha': 16}\nLoraConfig(**cfg)", ["LoraConfig"]),
        ("cfg = {'r': 8, 'lora_alpha': 16}\nLoraConfig(r=cfg['r'], lora_alpha=cfg['lora_alpha'])", ["LoraConfig"]),
        ("model = dict(lora=dict(type=LoraConfig, r=64, lora_alpha=16))", ["LoraConfig"]),
        ("get_peft_model(model, LoraConfig(r=8))", ["get_peft_model", "LoraConfig"]),
        ("cfg = LoraConfig(r=8)\nprint(cfg.r, cfg.other)\nuse_lora(cfg.r)", ["LoraConfig", "use_lora"]),
    ],
)
def test_one_place_is_one_document(text: str, expected: list[str]) -> None:
    assert [document.callee for document in documents(text)] == expected


def test_the_type_of_a_dict_is_no_argument() -> None:
    assert only("dict(type=LoraConfig, r=64, lora_alpha=16)").data == {"r": 64, "lora_alpha": 16}


@pytest.mark.parametrize("handler", ["except OSError:", "except OSError, a.ValueError:", "except* A, B, C :"])
def test_exceptions_need_no_parentheses(handler: str) -> None:
    found = only(f"try:\n    f()\n{handler}\n    pass\nLoraConfig(r=8)\n")
    assert (line(found), rank_and_alpha(found)[0]) == (5, 8)


DOCSTRING = '''\
def f():
    """Wraps a model, é.

    >>> config = LoraConfig(
    ...     r=8, lora_alpha=32,
    ... )
    >>> config
    LoraConfig(...)
    >>> x ===
    ```python
    rank = 4
    LoraConfig(r=rank, lora_alpha=8)
    ```
    ```bash
    LoraConfig(r=1)
    ```
    """
    LoraConfig(r=16)
'''


def test_usage_in_strings_is_an_example_at_its_place() -> None:
    found = documents(DOCSTRING)
    assert [(line(d), rank_and_alpha(d), d.example) for d in found] == [
        (18, (16, "absent"), False),
        (4, (8, 32), True),
        (12, (4, 8), True),
    ]
    assert written(found[1], found[1].span_of(("lora_alpha",))) == "32"
    assert written(found[2], found[2].span_of(("lora_alpha",))) == "8"


@pytest.mark.parametrize(
    ("name", "example"),
    [
        ("train.py", False),
        ("tests/train.py", True),
        ("a/test/b/train.py", True),
        ("src/testing/x.py", True),
        ("test_train.py", True),
        ("src/train_test.py", True),
        ("conftest.py", True),
        ("latest/train.py", False),
        ("contest.py", False),
        ("test.py", False),
    ],
)
def test_tests_are_examples(name: str, example: bool) -> None:
    (found,) = documents("LoraConfig(r=8)", name)
    assert found.example == example


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        ("x = 1\nprint 'lora'\n", 6, "not Python"),
        ("lora = (\n", 7, "never closed"),
        ("lora\0", 4, "null character"),
        ("lora = '\ud800'", 0, "surrogates"),
        ("lora = " + "9" * 5000, 0, "not Python"),
        ("# lora\n" + "x\n" * 100_001, 0, "not read"),
    ],
)
def test_what_is_not_python_says_where(text: str, offset: int, words: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        list(read(Source("a.py", text)))
    assert words in raised.value.problem.message
    assert offset <= raised.value.problem.offset <= len(text)


def test_what_does_not_speak_of_lora_is_not_even_parsed() -> None:
    assert documents("print 'hello' (((") == []


HOSTILE = {
    "brackets": "lora(" + "(" * 100_000 + ")" * 100_000 + ")",
    "minuses": "lora(r=" + "-" * 100_000 + "1)",
    "attributes": "lora(r=a" + ".b" * 70_000 + ")",
    "short attributes": "lora(r=a" + ".b" * 900 + ")",
    "subscripts": "lora(r=a" + "[0]" * 70_000 + ")",
    "sum": "lora(r=" + "1+" * 70_000 + "1)",
    "short sum": "lora(r=" + "x+" * 900 + "1)",
    "calls": "lora" + "(r=1)" * 30_000,
    "elif": "if lora:\n  pass\n" + "elif x:\n  pass\n" * 20_000,
    "powers": "lora(r=9**9**9**9**9, lora_alpha=9.0**9**9**9)",
    "doubling": "a0 = x\n" + "".join(f"a{i + 1} = a{i} + a{i}\n" for i in range(60)) + "lora(r=a60)",
    "lists": "a0 = [1]\n" + "".join(f"a{i + 1} = [a{i}, a{i}]\n" for i in range(60)) + "lora(r=a60)",
    "stars": "a0 = {'r': 1}\n" + "".join(f"a{i + 1} = {{**a{i}, **a{i}}}\n" for i in range(60)) + "lora(**a60)",
    "many calls": "lora(r=1)\n" * 24_900,
    "many wrappers": "def f(r, a): lora(r=r, lora_alpha=a)\n" * 2_000 + "f(1, 2)\n" * 10_000,
    "long line": "é; " + "lora(r=1);" * 24_900,
    "prompts": '"""' + ">>> lora(r=1)\n" * 40_000 + '"""',
    "fences": '"""' + "```python\nlora(r=1)\n```\n" * 20_000 + '"""',
    "strings": "'''>>> lora()'''\n" * 50_000,
    "long number": "lora(r=0x" + "f" * 1_000_000 + ")",
    "keywords": "lora(" + ",".join(f"a{i}=1" for i in range(37_000)) + ")",
}

PROGRAM = """
import resource, sys
from lora_lint.document import Source, UnreadableError
from lora_lint.readers.python import read
try:
    found = list(read(Source("a.py", sys.stdin.read())))
    print("documents", len([document.entries for document in found]))
except UnreadableError as error:
    print("unreadable", error)
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_ends_in_documents_or_an_error(name: str) -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, input=HOSTILE[name], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.startswith(("documents", "unreadable"))


USED = "\nget_peft_model(model, config)\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("config.r = 64" + USED, (64, 16)),
        ("config.r = 32\nconfig.r = 64" + USED, (64, 16)),
        ("config.r = 64\nconfig.lora_alpha = 2 * 64" + USED, (64, 128)),
        ("config.r: int = 64" + USED, (64, 16)),
        ("config.r += 8" + USED, ("?", 16)),
        ("setattr(config, 'r', 64)" + USED, (64, 16)),
        ("config.update({'r': 64})" + USED, (64, 16)),
        ("config.update(dict(r=64), lora_alpha=8)" + USED, (64, 8)),
        ("config['r'] = 64" + USED, (64, 16)),
        ("if big:\n    config.r = 64" + USED, ("?", 16)),
        ("for r in (4, 64):\n    config.r = r\n    get_peft_model(model, config)\n", ("?", 16)),
        ("def change():\n    config.r = 64\n" + USED, ("?", 16)),
        ("def other(config):\n    config.r = 64\n" + USED, (8, 16)),
        ("print(config)\nconfig.r = 64" + USED, (64, 16)),
        (USED + "config.r = 64\n", (8, 16)),
        (USED + "config.r = 64" + USED, ("?", 16)),
        ("config = other()\nconfig.r = 64" + USED, (8, 16)),
        ("config.r = args.rank" + USED, ("?", 16)),
        ("config.inference_mode = True" + USED, (8, 16)),
    ],
)
def test_the_last_assignment_before_the_first_use_counts(text: str, expected: tuple[object, object]) -> None:
    (document, *_) = [
        one for one in documents(f"{IMPORT}config = LoraConfig(r=8, lora_alpha=16)\n{text}") if one.span.start < 80
    ]
    assert rank_and_alpha(document) == expected


def test_an_assignment_after_a_call_stands_where_it_is_written() -> None:
    (document, *_) = documents(f"{IMPORT}config = LoraConfig(r=8, lora_alpha=16)\nconfig.r = 64{USED}")
    assert document.source.position(document.span_of(("r",)).start).line == 3
    assert written(document, document.entries[("r",)].literal) == "64"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("config = replace(config, r=64)", [(64, 16)]),
        ("config = dataclasses.replace(config, lora_alpha=64)" + USED, [(8, 64)]),
        ("config = attrs.evolve(config, r=2, lora_alpha=2)", [(2, 2)]),
        ("other = replace(config, r=64)" + USED, [(8, 16), (64, 16)]),
        ("other = replace(config, **changes)", [(8, 16)]),
        ("name = name.replace('a', 'b')", [(8, 16)]),
        ("if big:\n    config = replace(config, r=64)" + USED, [(64, 16)]),
    ],
)
def test_a_copy_has_the_values_of_the_original_and_its_own(text: str, expected: list[tuple[object, object]]) -> None:
    found = documents(f"{IMPORT}config = LoraConfig(r=8, lora_alpha=16)\n{text}")
    assert [rank_and_alpha(one) for one in found if one.callee == "peft.LoraConfig"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("args.update(r=64)", (64, 16)),
        ("args.update({'lora_alpha': 64})", (8, 64)),
        ("args['r'] = 64\nargs.update(lora_alpha=64)", (64, 64)),
        ("args['r'] = 64\nargs.update(r=32)", ("absent", "absent")),
        ("if big:\n    args.update(r=64)", ("absent", "absent")),
        ("args.update(others)", ("absent", "absent")),
    ],
)
def test_a_dict_is_what_its_updates_make_it(text: str, expected: tuple[object, object]) -> None:
    document = documents(f"{IMPORT}args = dict(r=8, lora_alpha=16)\n{text}\nLoraConfig(**args)\n")[-1]
    assert rank_and_alpha(document) == expected


@pytest.mark.parametrize(
    ("text", "callee", "data"),
    [
        ("cfg.peft.dim = 8\ncfg.peft.alpha = 32", "assigned to cfg.peft", {"dim": 8, "alpha": 32}),
        ("cfg['lora']['rank'] = 8\ncfg['lora']['alpha'] = 8", "assigned to cfg['lora']", {"rank": 8, "alpha": 8}),
        ("args.lora_r = 8\nargs.lora_alpha = 8", "assigned to args", {"lora_r": 8, "lora_alpha": 8}),
        ("a.peft.dim = 4\na.peft.dim = 8\na.peft.alpha = 8", "assigned to a.peft", {"dim": 8, "alpha": 8}),
        ("def f(a):\n    a.peft.dim = 8\n    a.peft.alpha = 8", "assigned to a.peft", {"dim": 8, "alpha": 8}),
        ("cfg.peft.dim = 8", "assigned to cfg.peft", {"dim": 8}),
        ("cfg.peft.dim += 8\ncfg.peft.alpha = 8", "assigned to cfg.peft", {"dim": "?", "alpha": 8}),
        ("a.lora['r'] = 8\na.lora['alpha'] = 2 * a.lora['r']", "assigned to a.lora", {"r": 8, "alpha": 16}),
    ],
)
def test_rank_and_alpha_that_are_assigned_to_a_config_are_a_document(
    text: str, callee: str, data: dict[str, object]
) -> None:
    document = only(text)
    assert isinstance(document.data, dict)
    assert (document.callee, {key: shown(value) for key, value in document.data.items()}) == (callee, data)


def test_what_a_branch_assigns_goes_over_what_is_assigned_before() -> None:
    found = documents("a.peft.dim = 8\na.peft.alpha = 8\nif big:\n    a.peft.alpha = 16\n")
    assert [one.data for one in found] == [{"dim": 8, "alpha": 8}, {"dim": 8, "alpha": 16}]


def test_a_function_that_assigns_its_parameters_speaks_through_its_callers() -> None:
    found = documents("def f(a, r, alpha):\n    a.peft.dim = r\n    a.peft.alpha = alpha\nf(x, 8, 16)\nf(x, 4, 4)\n")
    assert [(one.callee, one.through, one.data) for one in found] == [
        ("f", "assigned to a.peft", {"dim": 8, "alpha": 16}),
        ("f", "assigned to a.peft", {"dim": 4, "alpha": 4}),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "blend.alpha = 8\nblend.dim = 3  # lora",
        "self.lora.r = 8\nself.lora.alpha = 8",
        "layer.lora.r = r\nlayer.lora.alpha = alpha",
        "layer.lora.r += 1\ndel layer.lora.alpha",
    ],
)
def test_other_assignments_are_none(text: str) -> None:
    assert documents(text) == []


def test_what_a_call_of_the_file_reads_is_said_there() -> None:
    found = documents(
        f"{IMPORT}args.lora_r = 8\nargs.lora_alpha = 8\nLoraConfig(r=args.lora_r, lora_alpha=args.lora_alpha)"
    )
    assert [one.callee for one in found] == ["peft.LoraConfig"]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("LORA_R = 16\nLORA_ALPHA = 32", {"lora_r": 16, "lora_alpha": 32}),
        ("LORA_RANK: int = 8\nLORA_ALPHA = 2 * LORA_RANK", {"lora_rank": 8, "lora_alpha": 16}),
        ("lora_r = 16\nlora_alpha = 32", {"lora_r": 16, "lora_alpha": 32}),
        (
            "lora_r, lora_alpha = 16, 32\nlog({'lora_rank': lora_r, 'lora_alpha': lora_alpha})",
            {"lora_r": 16, "lora_alpha": 32},
        ),
        ("LORA_R = 16\nLORA_ALPHA = 32\nLORA_R = 8", None),
        ("LORA_R = 16\nif big:\n    LORA_ALPHA = 32", None),
        ("LORA_R = rank()\nLORA_ALPHA = 32", None),
        ("LORA_R = 16\nLORA_ALPHA = 32\nlora_alpha = 8", None),
        ("def f():\n    LORA_R = 16\n    LORA_ALPHA = 32", None),
        ("LORA_R = 16\nLORA_ALPHA = 32\nLoraConfig(r=LORA_R, lora_alpha=LORA_ALPHA)", None),
        ("LORA_R = 16\nLORA_ALPHA = 32\nFastModel.get_peft_model(m, r=LORA_R, lora_alpha=LORA_ALPHA)", None),
        ("LORA_R = 16\nLORA_ALPHA = 32\nadd_lora(m, LORA_R, LORA_ALPHA)", None),
    ],
)
def test_constants_that_no_call_of_the_file_takes_are_a_document(text: str, data: dict[str, object] | None) -> None:
    found = [one.data for one in documents(text) if one.callee.startswith("constants ")]
    assert found == ([data] if data else [])


@pytest.mark.parametrize(
    ("text", "callee", "data"),
    [
        ("run(['python', 'x.py', '--lora_r', '8'])", "x.py", {"lora_r": "8"}),
        ("cmd = ['x.py', '--lora_r', str(8), '--lora_alpha=16']", "x.py", {"lora_r": "8", "lora_alpha": "16"}),
        ("R = 8\ncmd = (sys.executable, 'x.py', '--lora_r', str(R))", "x.py", {"lora_r": "8"}),
        ("R = 8\ncmd = ['x.py', '--lora_r', f'{R}', f'--peft={2 * R}']", "x.py", {"lora_r": "8", "peft": "16"}),
        ("def f(r):\n    run(['x.py', '--lora_r', str(r), '--a', '1'])", "x.py", {"lora_r": "?", "a": "1"}),
        ("def f(r=4):\n    run(['x.py', '--lora_r', r])", "x.py", {"lora_r": "?"}),
        ("cmd = ['x.py', '--name', 'a b', '--lora_r', '8']", "x.py", {"name": "a b", "lora_r": "8"}),
        ("R = 8\nos.system(f'python x.py --lora_r {R}')", "x.py", {"lora_r": "8"}),
        ("cmd = f'''\n  x.py\n  --lora_r={8}\n  --peft={a}'''.split()", "x.py", {"lora_r": "8", "peft": "?"}),
        ("cmd = shlex.split(f'''x.py\n  --lora_r {8}''')", "x.py", {"lora_r": "8"}),
        ("cmd = ['x.py', '--lora_r', '8']\ncmd += ['--a', '16']", "x.py", {"lora_r": "8", "a": "16"}),
        ("cmd = ['x.py', '--lora_r', '8']\nif b:\n    cmd.append('--a')", "x.py", {"lora_r": "8", "a": "?"}),
        ("cmd = f'x.py --lora_r {8}'\ncmd += ' --a 16'", "x.py", {"lora_r": "8", "a": "16"}),
        ("cmd = f'x.py --lora_r {8}'\nrun(cmd.split())", "x.py", {"lora_r": "8"}),
        ("c = 'x.py'\nc += f' --lora_r {8}'\nrun(c, shell=True)\nrun(c, shell=True)", "x.py", {"lora_r": "8"}),
        ("b = 'x.py --a 1'\nc = b + f' --lora_r {8}'", "x.py", {"a": "1", "lora_r": "8"}),
        (
            "if b:\n    c = ['torchrun', '--n', '8']\nelse:\n    c = ['sh']\nc += ['x.py', '--lora_r', '8']\nrun(c)",
            "x.py",
            {"lora_r": "8"},
        ),
        ("for cmd in [['x.py', '--lora_r', '8'], ['y.py']]:\n    run(cmd)", "x.py", {"lora_r": "8"}),
        ("jobs = {'a': ['x.py', '--lora_r', '8']}", "x.py", {"lora_r": "8"}),
        ("def f():\n    return f'x.py --lora_r {8}'", "x.py", {"lora_r": "8"}),
        ("c = ['x.py', '--lora_r', '8']\nc = c + ['--a', '16']\nrun(c)", "x.py", {"lora_r": "8", "a": "16"}),
        ("c = ['x.py']\nprint(' '.join(c))\nc += ['--lora_r', '8']\nos.system(' '.join(c))", "x.py", {"lora_r": "8"}),
        ("def f():\n    c = f'x.py --lora_r {8}'\n    go(c)\ndef go(c):\n    os.system(c)", "x.py", {"lora_r": "8"}),
    ],
)  # fmt: skip
def test_commands_that_code_puts_together_are_read(text: str, callee: str, data: dict[str, object]) -> None:
    document = only(text)
    assert isinstance(document.data, dict)
    assert (document.syntax, document.callee, document.embedded) == ("shell", callee, True)
    assert document.opened(("lora_alpha",)) == ""
    assert {key: shown(value) for key, value in document.data.items()} == data


@pytest.mark.parametrize(
    "text",
    [
        "FLAGS = ['--lora_r']",
        "print(f'--lora_r {r}')",
        "print(f'run x.py --lora_r {r}')",
        "raise ValueError(f'run x.py --lora_r {r}')",
        "a, b = '--lora', '--peft'",
        "help = ['no --lora flag']",
        "cmd += ['x.py', '--lora_r', '8']",
        "cmd.extend(['x.py', '--lora_r', '8'])",
        "run(base + ['x.py', '--lora_r', '8'])",
        "cmd = f'x.py --lora_r {r}' + more",
    ],
)
def test_words_that_are_no_command_are_none(text: str) -> None:
    assert [one.data for one in documents(text) if one.data] == []


def test_a_word_of_a_command_stands_where_it_is_written() -> None:
    document = only("cmd = ['x.py',\n  '--lora_r', '64']")
    assert written(document, document.span_of(("lora_r",))) == "64"


@pytest.mark.parametrize(
    "text",
    [
        "cmd = ['swift', 'sft', '--lora_rank', '8']\ncmd += more(args)",
        "cmd = ['swift', 'sft', '--lora_rank', '8']\ncmd.insert(2, more)",
        "cmd = ['swift', 'sft', '--lora_rank', '8']\ncmd.extend(more)",
        "cmd = ['swift', 'sft', '--lora_rank', '8']\nrun(cmd + more)",
        "cmd = ['swift', 'sft', '--lora_rank', '8', *more]",
        "cmd = f'swift sft --lora_rank {8}'\nif a:\n    cmd += ' --lora_alpha 16'",
        "if b:\n    cmd = f'swift sft --lora_rank {8}'\ncmd += ' --lora_alpha 16'",
        "c = ''\nif b:\n    c = f'cd {b}; '\nc += f'swift sft --lora_rank {8}'\nif a:\n    c += ' --lora_alpha 8'",
    ],
)
def test_a_command_to_which_words_are_added_is_open(text: str) -> None:
    assert only(text).opened(("lora_alpha",)) == "more words are added to the command"


@pytest.mark.parametrize(
    ("code", "targets"),
    [
        ("ATT = ['q_proj', 'v_proj']\nMLP = ['up_proj']\nX = ATT + MLP", ["q_proj", "v_proj", "up_proj"]),
        ("ATT = ['q_proj']\nX = ATT + ['up_proj'] + ['down_proj']", ["q_proj", "up_proj", "down_proj"]),
        ("X = ['q_proj'] + ['k_proj' 'v_proj']", ["q_proj", "k_projv_proj"]),
    ],
)
def test_lists_that_are_added_are_one_list(code: str, targets: list[str]) -> None:
    data = only(f"{IMPORT}{code}\nLoraConfig(r=8, lora_alpha=16, target_modules=X)").data
    assert isinstance(data, dict)
    assert data["target_modules"] == targets


def test_a_list_that_is_added_to_what_nobody_knows_is_unknown() -> None:
    data = only(f"{IMPORT}X = ['q_proj'] + extra\nLoraConfig(r=8, lora_alpha=16, target_modules=X)").data
    assert isinstance(data, dict)
    assert isinstance(data["target_modules"], Unknown)
