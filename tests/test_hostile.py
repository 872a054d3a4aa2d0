"""Strangers' files: every one ends in a finding or in silence, in bounded time and memory, and nothing is executed."""

import json
import os
import pickle
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lora_lint.catalogue import load_rules
from lora_lint.checks import scaling
from lora_lint.facts import Site
from lora_lint.finding import Finding
from tests.conftest import Cli, Outcome, Run
from tests.tensors import framed, write_safetensors

SECONDS = 20
"""At most, on a machine that is busy with other things; each takes a second or less on one that isn't."""

MEGABYTES = 1500
"""Of address space, interpreter and libraries included."""

DEEP = 100_000
LORA = '{"peft_type": "LORA", "r": 8, "lora_alpha": 16'
YAML = "peft_type: LORA\nr: 8\nlora_alpha: 16\n"
PYTHON = "from peft import LoraConfig\n"
SHELL = "deepspeed llava/train/train.py --lora_enable True --lora_alpha 16 --lora_r "


def nested_aliases(first: str, next_one: str, levels: int) -> str:
    lines = [f"a0: &a0 {first}", *(f"a{at}: &a{at} {next_one.format(at - 1)}" for at in range(1, levels))]
    return YAML + "\n".join(lines) + "\n"


BOMBS = {
    "aliases-of-aliases.yaml": nested_aliases("[x, x]", "[*a{0}, *a{0}, *a{0}, *a{0}, *a{0}, *a{0}]", 40),
    "merges-of-merges.yaml": nested_aliases("{{k: 1}}", "{{<<: [*a{0}, *a{0}]}}", 60),
    "chain-of-merges.yaml": nested_aliases("{{k: 1}}", "{{<<: *a{0}}}", 20_000),
    "chain-of-aliases.yaml": nested_aliases("[x]", "[*a{0}]", 20_000),
    "deep-through-aliases.yaml": nested_aliases("[x]", "[" * 150 + "*a{0}" + "]" * 150, 20),
    "nested-lists.yaml": YAML + "x: " + "[" * DEEP + "]" * DEEP,
    "nested-mappings.yaml": YAML + "x: " + "{a: " * DEEP + "}" * DEEP,
    "nested-blocks.yaml": YAML + "x:\n" + "\n".join(" " * at + "- a:" for at in range(1, 2000)),
    "nested-keys.yaml": YAML + "? " * DEEP,
    "nested-lists.json": LORA + ', "x": ' + "[" * DEEP + "]" * DEEP + "}",
    "nested-objects.json": '{"peft_type": ' * DEEP + "1" + "}" * DEEP,
    "unclosed.json": LORA + ', "x": ' + "[" * DEEP,
    "barely-nested.json": LORA + ', "r": ' + "[" * 990 + "]" * 990 + "}",
    "nested-parentheses.py": PYTHON + "LoraConfig(r=" + "(" * DEEP + "8" + ")" * DEEP + ")",
    "nested-brackets.py": PYTHON + "x = " + "[" * DEEP,
    "long-sum.py": PYTHON + "LoraConfig(r=" + "1 + " * 30_000 + "1)",
    "long-chain.py": PYTHON + "LoraConfig(r=a" + ".b" * 20_000 + ")",
    "minus-signs.py": PYTHON + "LoraConfig(r=" + "-" * DEEP + "8)",
    "power.py": PYTHON + "LoraConfig(r=9 ** 9 ** 9 ** 9, lora_alpha=2 << 2 ** 40)",
    "repeated-string.py": PYTHON + "x = 'a' * 10 ** 12\nLoraConfig(r=[8] * 10 ** 12, lora_alpha=x)",
    "f-strings.py": PYTHON + 'x = f"' + "{" * 3000,
    "nested-commands.sh": SHELL + "$(" * DEEP + ")" * DEEP,
    "nested-defaults.sh": SHELL + "${a:-" * DEEP + "}" * DEEP,
    "nested-quotes.sh": SHELL + '"$(' * DEEP,
    "nested-arithmetic.sh": SHELL + "$((" + "(" * DEEP + "8" + ")" * DEEP + "))",
    "nested-ifs.sh": "if true; then " * 5000 + SHELL + "8; " + "fi; " * 5000,
    "doubling.sh": "a=x\n" + "a=$a$a\n" * 60 + SHELL + "$a\n",
    "heredocs.sh": "cat <<A\n" * 5000 + SHELL + "8\n",
    "power.sh": SHELL + "$((9**9**9**9))\n",
    "many-keys.json": LORA + "".join(f', "lora_alph{at}": 1' for at in range(30_000)) + "}",
    "many-keys.yaml": YAML + "".join(f"lora_alph{at}: 1\n" for at in range(20_000)),
    "one-key-often.json": LORA + ', "lora_alpha": 8' * 20_000 + "}",
    "many-bad-values.json": LORA + ', "rank_pattern": {' + ", ".join(f'"m{at}": "x"' for at in range(20_000)) + "}}",
    "many-patterns.json": LORA + ', "rank_pattern": {' + ", ".join(f'"m{at}": {at + 1}' for at in range(10_000)) + "}}",
    "many-dotted-patterns.json": LORA
    + ', "alpha_pattern": {'
    + ", ".join(f'"a.{"b." * (at % 40)}m{at}": {at + 1}' for at in range(10_000))
    + "}}",
    "many-expressions.json": LORA + ', "rank_pattern": {' + ", ".join(f'"(a+)+{at}": 4' for at in range(10_000)) + "}}",
    "many-documents.yaml": ("---\n" + YAML) * 2000,
    "many-ignores.yaml": ("---\n" + YAML.replace("16", "8 # lora-lint: ignore[alpha-not-2r]")) * 2000,
    "many-calls.py": PYTHON + "LoraConfig(r=8, lora_alpha=8)\n" * 2000,
    "one-long-line.json": LORA + ', "x": "' + "[\\u001b" * 150_000 + '"}',
    "growing-expression.json": LORA + ', "rank_pattern": {"((((a{1000}){1000}){1000}){1000})": 4}}',
    "growing-twice.json": LORA + ', "rank_pattern": {"a{0}(((a{99999}){99999}){99999})": 4}}',
    "nested-expression.json": LORA + ', "rank_pattern": {"' + "(" * 9000 + ")" * 9000 + '": 4}}',
    "backtracking.json": LORA + ', "rank_pattern": {"([a-z]|[a-z._0-9])*[A-Z]": 4}, "target_modules": "(.|.)*!"}',
    "backtracking-often.json": LORA
    + ', "rank_pattern": {'
    + ", ".join(f'"([a-z]|[a-z._0-9])*[A-Z]{at}": 4' for at in range(500))
    + "}}",
}


def limited() -> None:
    size = MEGABYTES * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_in_a_verdict_in_bounded_time_and_memory(name: str, here: Path, cli: Cli) -> None:
    (here / name).write_text(BOMBS[name])
    start = time.monotonic()
    outcome = cli("check", "-q", name, before=limited)
    assert outcome.status in (0, 1), outcome.err[-500:]
    assert outcome.err == ""
    assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("aliases-of-aliases.yaml", "not read: its aliases stand for more than 100000 values"),
        ("merges-of-merges.yaml", "not read: its aliases stand for more than 100000 values"),
        ("chain-of-merges.yaml", "not read: nested deeper than 200 levels"),
        ("deep-through-aliases.yaml", "not read: nested deeper than 200 levels"),
        ("nested-lists.yaml", "not read: nested deeper than 200 levels"),
        ("nested-lists.json", "not read: nested deeper than 200 levels"),
        ("barely-nested.json", "not read: nested deeper than 200 levels"),
        ("long-sum.py", "not read: nested too deeply"),
        ("growing-expression.json", "is too large to be matched"),
        ("growing-twice.json", "is too large to be matched"),
        ("nested-expression.json", "is too large to be matched"),
        ("backtracking.json", "takes over 0.05 s to match one module name; PEFT would hang on it"),
        ("many-expressions.json", "isn't tried: too many regular expressions"),
    ],
)
def test_a_bomb_is_told_for_what_it_is(name: str, words: str, here: Path, run: Run) -> None:
    (here / name).write_text(BOMBS[name])
    assert words in run("check", name).out


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("adapter_config.json", b"", "is empty"),
        ("adapter_config.json", b" \n", "is empty"),
        ("adapter_config.json", b"\x80\x04\x95", "isn't UTF-8: byte 0x80 at offset 0"),
        ("adapter_config.json", LORA.encode() + b', "x": "\xe9"}', "isn't UTF-8: byte 0xe9 at offset 54"),
        ("adapter_config.json", LORA.encode() + b"}\0\0\0", "holds NUL bytes"),
        ("adapter_config.json", b"\0" * 100, "holds NUL bytes"),
        ("adapter_config.json", b"\xff\xfe{", "isn't UTF-16-LE"),
        ("adapter_config.json", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n", "Git LFS"),
        ("adapter_config.json", b"<!DOCTYPE html><html>Not found</html>", "not JSON: expecting value"),
        ("adapter_config.json", b"{'peft_type': 'LORA'}", "not JSON: expecting property name"),
        ("adapter_model.safetensors", b"", "is empty"),
        (
            "adapter_model.safetensors",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n",
            "Git LFS",
        ),
        ("adapter_model.safetensors", b"\xff" * 100, ""),
        ("adapter_model.safetensors", framed(b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}'), ""),
        ("adapter_model.safetensors", framed(b'{"a": {"dtype": "F3", "shape": [], "data_offsets": [0, 0]}}'), ""),
        ("adapter_model.safetensors", framed(b"[" * 10_000), ""),
    ],
)
def test_a_file_that_cannot_be_read_is_told_of_whether_named_or_met(
    name: str, data: bytes, words: str, here: Path, run: Run
) -> None:
    (here / name).write_bytes(data)
    (here / "zz.yaml").write_text(YAML.replace("16", "8"))
    for arguments in (["."], [name, "zz.yaml"]):
        outcome = run("check", "--format", "json", *arguments)
        assert outcome.status == 1
        first, *others = outcome.data["diagnostics"]
        assert (first["rule"], first["file"]) == ("syntax-error", name)
        assert words in first["message"]
        assert [one["rule"] for one in others] == ["alpha-not-2r"], "the run goes on"


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n"


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("model-00001-of-00002.safetensors", POINTER, False),
        ("diffusion_pytorch_model.fp16.safetensors", b"", False),
        ("IP Adapter Plus.safetensors", b"\xff" * 100, False),
        ("flux_lora.safetensors", POINTER, False),
        ("my_style_LoRA.safetensors", b"\xff" * 100, True),
        ("outfit.lokr.safetensors", b"", True),
        ("step_100_adapter_model.safetensors", POINTER, True),
    ],
)
def test_only_weights_of_lora_are_told_of_where_nobody_named_them(
    name: str, data: bytes, told: bool, here: Path, run: Run
) -> None:
    (here / name).write_bytes(data)
    for arguments, expected in (["."], told), ([name], True):
        found = run("check", "--format", "json", *arguments).data["diagnostics"]
        assert [one["rule"] for one in found] == ["syntax-error"] * expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lines.json", '{"peft_type": "LORA", "r": 8}\n{"peft_type": "LORA", "r": 8}\n'),
        ("large.py", PYTHON + "x = (" + "1,\n" * 80_000 + ")\nLoraConfig(r=8, lora_alpha=16)\n"),
    ],
)
def test_data_and_code_that_may_be_right_are_told_of_only_where_they_are_named(
    name: str, text: str, here: Path, run: Run
) -> None:
    (here / name).write_text(text, "utf-8")
    met = run("check", "-v", ".")
    assert (met.status, "holds no LoRA setting that can be read: not" in met.err) == (0, True)
    named = run("check", name)
    assert (named.status, "error[syntax-error] not" in named.out) == (1, True)


def test_what_is_not_there_or_cannot_be_opened_is_told_of(here: Path, run: Run) -> None:
    (here / "dangling.json").symlink_to("nowhere.json")
    (here / "loop.json").symlink_to("loop.json")
    for name, words in [
        ("none.json", "no such file"),
        ("dangling.json", "no such file"),
        ("loop.json", "symbolic link"),
    ]:
        outcome = run("check", name)
        assert outcome.status == 2
        assert f"{name}:1:1: error[syntax-error] can't be read: " in outcome.out
        assert words in outcome.out


def test_links_to_nowhere_in_a_folder_are_counted_and_an_adapters_is_told_of(here: Path, run: Run) -> None:
    (here / "other.json").symlink_to("nowhere.json")
    (here / "adapter_config.json").symlink_to("nowhere.json")
    outcome = run("check", "--format", "json", ".")
    assert [one["file"] for one in outcome.data["diagnostics"]] == ["adapter_config.json"]
    assert outcome.status == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_told_of(here: Path, run: Run) -> None:
    (here / "adapter_config.json").write_text(LORA + "}")
    (here / "adapter_config.json").chmod(0)
    assert "can't be read: permission denied" in run("check", ".").out


def test_what_is_no_file_is_not_waited_for(here: Path, cli: Cli) -> None:
    os.mkfifo(here / "adapter_config.json")
    os.mkfifo(here / "pipe.yaml")
    (here / "zero.json").symlink_to("/dev/zero")
    outcome = cli("check", "-v", ".")
    assert "adapter_config.json:1:1: error[syntax-error] can't be read: is not a regular file" in outcome.out
    assert "zero.json: can't be read: is not a regular file" in outcome.err


def test_folders_with_the_names_of_files_are_walked(here: Path, run: Run) -> None:
    (here / "adapter_config.json").mkdir()
    (here / "adapter_config.json" / "adapter_config.json").write_text(LORA + "}")
    (here / "adapter_config.json" / "adapter_model.safetensors").mkdir()
    outcome = run("check", ".")
    assert outcome.status == 1
    assert "adapter_config.json/adapter_model.safetensors:1:1: error[syntax-error] is a directory" in outcome.out


def test_folders_that_link_to_each_other_are_walked_once(here: Path, run: Run) -> None:
    (here / "a").mkdir()
    (here / "a" / "x.json").write_text(LORA + "}")
    (here / "a" / "up").symlink_to("..", target_is_directory=True)
    assert run("check", "--format", "json", ".").data["summary"]["setups"] == 1


def test_a_file_over_the_limit_is_not_read(here: Path, cli: Cli) -> None:
    for name in ("adapter_config.json", "other.json"):
        with (here / name).open("wb") as file:
            file.write(LORA.encode() + b', "x": "')
            file.truncate(200 * 2**20)
    outcome = cli("check", "--format", "json", ".", before=limited)
    assert [(one["file"], one["message"]) for one in outcome.data["diagnostics"]] == [
        ("adapter_config.json", "not read: larger than 10485760 bytes")
    ]
    assert outcome.data["summary"]["skipped"] >= 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (YAML + "x: 1" + "0" * 5000, []),
        (YAML.replace("8", "9" * 5000, 1), []),
        (YAML.replace("16", "1" + "0" * 400), []),
        (f"{YAML}x: 2001-99-99\n", []),
        (YAML.replace("16", "2001-99-99"), []),
        (YAML.replace("16", "2001-01-01"), ["wrong-type"]),
        (YAML.replace("16", "!!python/object/apply:os.system ['touch owned']"), ["wrong-type"]),
        (YAML.replace("16", "!ENV ${ALPHA}"), []),
        (YAML.replace("16", "{{ alpha }}"), []),
        (YAML.replace("16", "'{{ alpha }}'"), []),
        (YAML.replace("16", ".nan"), ["alpha-missing-or-invalid"]),
        (YAML.replace("16", "1:30"), ["alpha-not-2r"]),
        (f"{YAML}.inf: 1\nnull: 2\n? [1, 2]\n: 3\n", ["unknown-key"] * 3),
        ("{% if x %}\n" + YAML, ["syntax-error"]),
    ],
)
def test_a_strange_value_of_yaml_is_a_finding_or_undecided(text: str, found: list[str], here: Path, run: Run) -> None:
    (here / "a.yaml").write_text(text)
    rules = run(
        "check", "--format", "json", "--ignore", "unknown-key" if "unknown-key" not in found else "suppression", "."
    )
    assert rules.rules == found
    assert not (here / "owned").exists()


@pytest.mark.parametrize(
    ("r", "alpha", "found"),
    [
        ("8", "1" + "0" * 5000, ["alpha-missing-or-invalid"]),
        ("1" + "0" * 5000, "8", ["wrong-type"]),
        ("1" + "0" * 300, "8", ["out-of-range"]),
        ("8", "1" + "0" * 300, ["alpha-not-2r"]),
        ("8", "1e999", ["alpha-missing-or-invalid"]),
        ("8", "-Infinity", ["alpha-missing-or-invalid"]),
        ("8", "NaN", ["alpha-missing-or-invalid"]),
        ("8", "5e-324", ["alpha-not-2r"]),
        ("8", "-0.0", ["alpha-missing-or-invalid"]),
        ("-8", "16", ["out-of-range"]),
        ("0", "16", ["out-of-range"]),
    ],
)
def test_a_strange_number_of_json_is_a_finding(r: str, alpha: str, found: list[str], here: Path, run: Run) -> None:
    (here / "a.json").write_text(f'{{"peft_type": "LORA", "r": {r}, "lora_alpha": {alpha}}}')
    assert run("check", "--format", "json", "a.json").rules == found
    assert run("facts", "--format", "json", "a.json").status == 0
    assert run("facts", "a.json").status == 0


class Malice:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch owned",)


def test_a_pickle_is_never_opened(here: Path, cli: Cli) -> None:
    (here / "adapter_config.json").write_text(LORA + "}")
    os.mkfifo(here / "adapter_model.bin")
    (here / "model.pt").write_bytes(pickle.dumps(Malice()))
    assert cli("check", ".").status == 0
    assert cli("check", "model.pt").status == 0
    assert not (here / "owned").exists()


@pytest.mark.parametrize(
    "shard", ["../secret.safetensors", "/etc/passwd", "a/../../secret.safetensors", "..\\x", "C:x"]
)
def test_an_index_that_leads_out_of_its_folder_is_flagged_and_not_followed(shard: str, here: Path, run: Run) -> None:
    write_safetensors(here / "secret.safetensors", {"base_model.model.q.lora_A.weight": ("F32", (8, 4))})
    folder = here / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(LORA + "}")
    (folder / "adapter_model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": shard}}))
    outcome = run("check", "--format", "json", "adapter")
    assert "index-path-escape" in outcome.rules
    assert outcome.data["summary"]["setups"] == 1


def test_a_link_out_of_the_folder_is_not_followed(here: Path, run: Run) -> None:
    write_safetensors(here / "secret.safetensors", {"base_model.model.q.lora_A.weight": ("F32", (4, 4))})
    folder = here / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(LORA + "}")
    (folder / "adapter_model.safetensors").symlink_to("../secret.safetensors")
    assert "rank-differs-from-tensors" not in run("check", "--format", "json", "adapter").rules


ESCAPES = "\x1b[31m\x1b]8;;http://x\x07\x9b1m\r\x08"
BIDI = "\u202eevil\u2066\u200b"
MARKUP = "[bold red]x[/] [link=http://x]y[/link]"
COMMANDS = "\n::error file=x::owned\n##[error]owned\n::stop-commands::x\n%0A::error::"
HTML = "</script><script>alert(1)</script><!--"
NASTY = ESCAPES + BIDI + MARKUP + COMMANDS + HTML + "\ud800" + "|`$(touch owned)`"


def nasty_files(folder: Path) -> None:
    """The same text in a key, a value, a module, a pattern, a tensor and a file name."""
    config = {
        "peft_type": "LORA",
        "r": 8,
        "lora_alpha": 8,
        "target_modules": [NASTY, "q"],
        "lora_dropout": NASTY,
        "bias": NASTY,
        NASTY: 1,
        f"lora_alph{BIDI[0]}": 2,
        "rank_pattern": {f"({NASTY[:-20]}": 4, "k": NASTY},
        "task_type": [NASTY],
    }
    adapter = folder / f"x{ESCAPES}{BIDI}{MARKUP}\n::error::x".replace("/", "")
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    tensor = {f"base_model.model.{NASTY[:-20]}.lora_A.weight": ("F32", (4, 0))}
    write_safetensors(adapter / "adapter_model.safetensors", tensor, {"lora_alpha": "9"})
    broken = {"weight_map": {"a": f"../{NASTY[:-20]}"}}
    second = folder / "second"
    second.mkdir()
    (second / "adapter_config.json").write_text(LORA + "}")
    (second / "adapter_model.safetensors.index.json").write_text(json.dumps(broken))
    (folder / "broken\x1b[2J\n::error::.json").write_text('{"peft_type": "LORA" ')
    plain = ESCAPES.replace("\r", "").replace("\x08", "") + BIDI + HTML
    (folder / "a.py").write_text(f"{PYTHON}LoraConfig(r=8, lora_alpha=8, **{{'{plain}': 1}})  # {plain}\n", "utf-8")
    (folder / "a.sh").write_text(f"{SHELL}8 --lora_alpah '{plain}' --lora_alpha 8 # {plain}\n", "utf-8")
    (folder / "b.yaml").write_text(f"{YAML}lora_alpa: '{BIDI}{HTML}' # lora-lint: ignore[{plain}]\n", "utf-8")


def raw(text: str) -> list[str]:
    """What a terminal or a reader's eye would obey, of our own colours and links apart."""
    bad = [char for char in text if (ord(char) < 32 and char not in "\n\t") or 0x7F <= ord(char) < 0xA0]
    return bad + [char for char in text if char in "\u202e\u2066\u200b"]


@pytest.fixture
def nasty(here: Path) -> Path:
    nasty_files(here)
    return here


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "."],
        ["check", "-v", "."],
        ["check", "--format", "json", "."],
        ["check", "--format", "sarif", "."],
        ["check", "--format", "github", "."],
        ["check", "--format", "gitlab", "."],
        ["check", "--format", "junit", "."],
        ["check", "--statistics", "."],
        ["check", "--diff", "--unsafe-fixes", "."],
        ["check", "--fix", "--unsafe-fixes", "."],
        ["facts", "."],
        ["facts", "--format", "json", "."],
        [],
    ],
    ids=lambda arguments: " ".join(arguments) or "alone",
)
def test_nothing_from_a_file_is_obeyed_by_what_shows_it(arguments: list[str], nasty: Path, run: Run) -> None:
    outcome = run(*arguments)
    assert outcome.out
    assert raw(outcome.out + outcome.err) == []
    lines = (outcome.out + outcome.err).splitlines()
    ours = ("::error file=", "::warning file=", "::notice file=") if "github" in arguments else ("::never",)
    assert [line for line in lines if line.lstrip().startswith("::") and not line.startswith(ours)] == []
    assert [line for line in lines if line.lstrip().startswith("##")] == []
    assert not (nasty / "owned").exists()


def test_nothing_from_a_file_is_obeyed_by_a_terminal(nasty: Path, cli: Cli) -> None:
    out = cli("check", ".", env={"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "100"}).out
    assert raw(out) == []
    assert "[bold red]" in out, "markup is text"


@pytest.mark.parametrize("name", ["json", "sarif", "gitlab"])
def test_json_reads_back_whatever_stood_in_the_file(name: str, nasty: Path, run: Run) -> None:
    outcome = run("check", "--format", name, ".")
    text = json.dumps(outcome.data, ensure_ascii=False)
    assert outcome.out.isprintable() or raw(outcome.out) == []
    assert "\u202eevil" in text or "u202eevil" in text


def test_a_baseline_takes_every_name(nasty: Path, run: Run) -> None:
    assert run("check", "--write-baseline", "known.json", ".").status == 0
    assert run("check", "--baseline", "known.json", ".").status == 0


@pytest.fixture
def broken_check(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A check that raises, in place of extreme-scale."""

    def extreme_scale(site: Site, *, floor: float = 0.0, ceiling: float = 0.0) -> Iterator[Finding]:
        raise ZeroDivisionError(f"{floor} {ceiling} {site.state}")

    monkeypatch.setattr(scaling, "extreme_scale", extreme_scale)
    load_rules.cache_clear()
    yield
    load_rules.cache_clear()


@pytest.mark.usefixtures("broken_check")
def test_a_check_that_raises_is_told_of_and_the_run_goes_on(here: Path, run: Run) -> None:
    for name in ("a.json", "b.json"):
        (here / name).write_text(LORA.replace("16", "8") + "}")
    outcome = run("check", "--format", "json", ".")
    assert outcome.status == 2
    assert [(one["file"], one["rule"]) for one in outcome.data["diagnostics"]] == [
        ("a.json", "internal-error"),
        ("a.json", "alpha-not-2r"),
        ("b.json", "internal-error"),
        ("b.json", "alpha-not-2r"),
    ]
    assert "the rule extreme-scale failed: ZeroDivisionError" in outcome.data["diagnostics"][0]["message"]
    assert "Traceback" not in outcome.err
    assert told(run("check", "-v", ".")) == 2
    assert run("check", "--exit-zero", ".").status == 2
    assert run("check", "--ignore", "extreme-scale", ".").status == 1


def told(outcome: Outcome) -> int:
    return outcome.err.count("ZeroDivisionError: 0.0 0.0 active")
