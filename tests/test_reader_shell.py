"""Shell scripts: the flags that a command gets, as bash would give them, and where each one stands."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lora_lint.document import Document, Entry, Source, Span, Unknown
from lora_lint.readers import shell

bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash to compare with")


def documents(text: str) -> list[Document]:
    return list(shell.read(Source("x.sh", text)))


def only(text: str) -> Document:
    (document,) = documents(text)
    return document


def data(text: str) -> dict[str, object]:
    found = documents(text)[-1].data
    assert isinstance(found, dict)
    return found


def entry(document: Document, key: str) -> Entry:
    found = document.entry((key,))
    assert found is not None, key
    return found


def written(document: Document, span: Span | None) -> str | None:
    return None if span is None else document.source.text[slice(*span)]


def reason(text: str, key: str = "r") -> str:
    value = data(text)[key]
    assert isinstance(value, Unknown), value
    return value.reason


FLAGS = [
    ("--lora_r 8", {"lora_r": "8"}),
    ("--lora-alpha 16", {"lora_alpha": "16"}),
    ("--ds.lora.rank 64", {"ds.lora.rank": "64"}),
    ("-r 8", {"r": "8"}),
    ("--lora_r=8", {"lora_r": "8"}),
    ("--lora_r='8'", {"lora_r": "8"}),
    ('"--lora_r=8"', {"lora_r": "8"}),
    ("--a=", {"a": ""}),
    ("--a ''", {"a": ""}),
    ("--lora_enable --r 8", {"lora_enable": True, "r": "8"}),
    ("--r 8 --lora_enable", {"r": "8", "lora_enable": True}),
    ("--targets q_proj v_proj", {"targets": ["q_proj", "v_proj"]}),
    ("--layer -2 --rate -1e-3 --x -.5", {"layer": "-2", "rate": "-1e-3", "x": "-.5"}),
    ("--r 8 --r 16", {"r": "16"}),
    ("--name 'a b'", {"name": "a b"}),
    ("""--name "it's"'"'""", {"name": "it's\""}),
    (r"--name a\ b\"", {"name": 'a b"'}),
    (r"--name $'a\tb'", {"name": "a\tb"}),
    ("--r \\\n 8", {"r": "8"}),
    ("--r \\\r\n 8 \\\r\n --a 16\r\n", {"r": "8", "a": "16"}),
    ("--r 8 \\", {"r": "8"}),
    ("--r 8 \\\n  --a 16\\", {"r": "8", "a": "16"}),
    ("--r 8 # --a 16", {"r": "8"}),
    ("--r 8#9", {"r": "8#9"}),
    ("--r 8 2>&1 | tee log.txt", {"r": "8"}),
    ("--r 8 > log 2> err < in &", {"r": "8"}),
    ("--r 8; --a 16", {"r": "8"}),
    ('--r 8 $@ "$@" $*', {"r": "8"}),
    ("--r 8 $EXTRA_ARGS --a 16", {"r": "8", "a": "16"}),
    ("--b $@", {"b": True}),
    ("model.lora_rank=64 +a.b=c ++x=y", {"model.lora_rank": "64", "a.b": "c", "x": "y"}),
    ("lora_rank=64 --r 8 lora_alpha=16", {"lora_rank": "64", "r": "8", "lora_alpha": "16"}),
    ("--config c.yaml lora_rank=8", {"config": "c.yaml", "lora_rank": "8"}),
    ('--network_args "conv_dim=4" "conv_alpha=1"', {"network_args": ["conv_dim=4", "conv_alpha=1"]}),
    ("--multirun a=1,2", {"multirun": True, "a": "1,2"}),
    ("--r 8 -- --a 16", {"r": "8", "a": "16"}),
    ("--$NAME 5 --r 8", {"r": "8"}),
]


@pytest.mark.parametrize(("flags", "expected"), FLAGS, ids=[flags for flags, _ in FLAGS])
def test_flags_and_keys_become_data(flags: str, expected: dict[str, object]) -> None:
    assert documents(f"python x.py {flags}")[0].data == expected


CALLEES = [
    ("python x.py --r 8", "x.py", ("python", "x.py")),
    ("./x.py --r 8", "./x.py", ("./x.py",)),
    ("A=1 B=2 python -u x.py a --r 8", "x.py", ("python", "x.py", "a")),
    ("sudo -E python x.py --r 8", "x.py", ("python", "x.py")),
    ("env A=1 nohup python x.py --r 8", "x.py", ("python", "x.py")),
    ("python -m llava.train --r 8", "llava.train", ("python", "llava.train")),
    (
        "python -m torch.distributed.run --nproc_per_node 8 x.py --r 8",
        "x.py",
        ("python", "torch.distributed.run", "x.py"),
    ),
    (
        "deepspeed --module openrlhf.cli.train_sft --r 8",
        "openrlhf.cli.train_sft",
        ("deepspeed", "openrlhf.cli.train_sft"),
    ),
    ("torchrun --nnodes=1 --standalone x.py --r 8", "x.py", ("torchrun", "x.py")),
    ("srun -N 1 --kill-on-bad-exit python x.py --r 8", "x.py", ("srun", "python", "x.py")),
    ("accelerate launch --config_file c.yaml x.py --r 8", "x.py", ("accelerate", "launch", "x.py")),
    (
        "accelerate launch -m axolotl.cli.train c.yml --r 8",
        "axolotl.cli.train",
        ("accelerate", "launch", "axolotl.cli.train", "c.yml"),
    ),
    ("tune run --nproc_per_node 2 full --config c.yaml", "tune", ("tune", "run", "full")),
    ("llamafactory-cli train c.yaml lora_rank=8", "llamafactory-cli", ("llamafactory-cli", "train", "c.yaml")),
    ("swift sft --external_plugins plugin.py --r 8", "swift", ("swift", "sft")),
    ("S=x.py; python $S --r 8", "x.py", ("python", "x.py")),
    ("$LAUNCH x.py --r 8", "x.py", ("$LAUNCH", "x.py")),
    ("torchrun $DISTRIBUTED_ARGS x.py --r 8", "x.py", ("torchrun", "x.py")),
]


@pytest.mark.parametrize(("text", "callee", "words"), CALLEES, ids=[text for text, _, _ in CALLEES])
def test_the_callee_is_what_reads_the_flags(text: str, callee: str, words: tuple[str, ...]) -> None:
    assert (only(text).callee, only(text).words) == (callee, words)


def test_flags_of_the_launcher_are_read_but_the_scripts_count() -> None:
    assert only("torchrun --nnodes=2 --r 4 x.py --r 8").data == {"nnodes": "2", "r": "8"}


COUNTS = [
    ("cd x && mkdir -p y; export A=1; echo python x.py --r 8; set -x", 0),
    ("# python x.py --r 8", 0),
    ("python x.py --r 8 && python y.py --r 8 || python z.py --r 8", 3),
    ("python x.py --r 8 \\\n# a comment ends the command\n --a 16", 2),
    ("(cd x; python x.py --r 8)", 1),
    ("f() { python x.py --r 8; }", 1),
    ("function f { python x.py --r 8\n}\nf", 1),
    ("if a; then python x.py --r 8; elif b; then python y.py --r 8; else python z.py --r 8; fi", 3),
    ("case $1 in a|b) python x.py --r 8;; (c) python y.py --r 8 ;; esac\npython z.py --r 8", 3),
    ("for i in 1 2; do python x.py --r 8; done", 1),
    ("for ((i=0; i<3; i++)); do python x.py --r 8; done", 1),
    ("while read l; do python x.py --r 8; done < file", 1),
    ("until [[ $a =~ ^(a|b)$ && -n x ]]; do python x.py --r 8; done", 1),
    ("OUT=$(python x.py --r 8)", 1),
    ("OUT=`python x.py --r 8`", 1),
    ("python a.py --x $(python b.py --r 8)", 2),
    ("diff <(python x.py --r 8) <(python y.py --r 8)", 2),
    ('bash -c "cd x && python x.py --r 8"', 1),
    ("srun -n 1 bash -lc 'python x.py --r 8'", 1),
    ("eval python x.py --r 8", 1),
    ('CMD="python x.py --r 8"; $CMD', 1),
    ('CMD="python x.py --r 8"\necho $CMD\neval "$CMD"', 1),
    ('CMD="python x.py --r 8\n--a 16"\neval $CMD', 1),
    ('CMD="python x.py --r 8\npython y.py --r 8"\neval "$CMD"', 2),
    ('CMD="python x.py --r 8"; bash -c "$CMD"', 1),
    ('ssh host "cd x; python x.py --r 8"', 1),
    ("tmux send-keys -t a 'python x.py --r 8' C-m", 1),
    ('sbatch --wrap="python x.py --r 8"', 1),
    ("bash <<EOF\npython x.py --r 8\nEOF\npython y.py --r 8", 2),
    ("cat <<EOF | bash\npython x.py --r 8\nEOF", 1),
    ("cat > x.sh <<'EOF'\npython x.py --r 8\nEOF", 1),
    ("cat > x.txt <<'EOF'\npython x.py --r 8\nEOF", 0),
    ("bash <<-EOF\n\tpython x.py --r 8\n\tEOF\n", 1),
    ("bash <<< 'python x.py --r 8'", 1),
    ("read -r -d '' ARGS <<EOF\nx.py --r 8\nEOF\npython $ARGS", 1),
    ("read -r -d '' CMD <<EOF\npython x.py --r 8\nEOF\n", 1),
    ("x=1 y=(a b) z[1]=2", 0),
    ("", 0),
]


@pytest.mark.parametrize(("text", "count"), COUNTS, ids=[text for text, _ in COUNTS])
def test_every_command_that_runs_is_one_document(text: str, count: int) -> None:
    assert len(documents(text)) == count


KNOWN = [
    ("R=64; python x.py --r $R", "64"),
    ('R="64"; python x.py --r ${R}', "64"),
    ("export R=64\npython x.py --r $R", "64"),
    ("declare -i R=64\npython x.py --r $R", "64"),
    ("readonly R=64\npython x.py --r $R", "64"),
    ("f() { local R=64; python x.py --r $R; }", "64"),
    ("R=8; R=64; python x.py --r $R", "64"),
    ("R=64; (R=8); python x.py --r $R", "64"),
    ("R=64; if a; then python x.py --r $R; fi", "64"),
    ("if a; then R=64; python x.py --r $R; fi", "64"),
    ("for R in 64; do python x.py --r $R; done", "64"),
    ("python x.py --r ${R:-64}", "64"),
    ("python x.py --r ${R-64}", "64"),
    ("python x.py --r ${1:-64}", "64"),
    ("python x.py --r ${R:-${S:-64}}", "64"),
    ("R=${R:-64}; python x.py --r $R", "64"),
    ("R=64; python x.py --r ${R:-8}", "64"),
    (': "${R:=64}"; python x.py --r $R', "64"),
    ("R=32; python x.py --r $((2*R))", "64"),
    ("R=32; python x.py --r $(( $R * 2 ))", "64"),
    ("R=32; python x.py --r $[R*2]", "64"),
    ("R=129; python x.py --r $((R/2))", "64"),
    ("R=8; A=$((R*4)); B=$((A*2)); python x.py --r $B", "64"),
    ("python x.py --r $((2*${R:-32}))", "64"),
    ("A=(8 64); python x.py --r ${A[1]}", "64"),
    ("R=6; R+=4; python x.py --r $R", "64"),
    ("R=8; R=64 python x.py --r 64 && python x.py --r $R", "8"),
]


WHERE_EMPTY = [
    'if [ -z "$R" ]; then R=8; fi',
    "if [[ -z ${R} ]]; then\n  echo 8\n  R=8\nfi",
    'if test -z "$R"; then export R=8; fi',
    'if [ ! "$R" ]; then R=8; fi',
    'if [ "$R" == "" ]; then R=8; else echo $R; fi',
    "if [ -z ${R+x} ]; then R=8; fi",
    '[ -z "$R" ] && R=8',
    '[[ -n "$R" ]] || R=8',
    '[ -z "$R" ] && { R=8; }',
    'if [ -z "$R" ]; then if a; then b; fi; R=8; fi',
]


@pytest.mark.parametrize("text", WHERE_EMPTY)
@pytest.mark.parametrize(
    ("before", "value", "origin"),
    [("", "8", "default"), ('R=""\n', "8", ""), ("R=16\n", "16", ""), ("R=$1\n", "8", "default")],
)
def test_what_a_variable_gets_where_it_is_empty_is_its_default(text: str, before: str, value: str, origin: str) -> None:
    if "+x" in text and before == 'R=""\n':
        value = ""
    document = only(f'{before}{text}\npython x.py --r "$R"')
    assert isinstance(document.data, dict)
    assert document.data["r"] == value
    assert (("r",) in document.defaults) == (origin == "default")


@bash
@pytest.mark.parametrize("text", WHERE_EMPTY)
@pytest.mark.parametrize("before", ["", 'R=""', "R=16"])
def test_bash_gives_it_the_same(text: str, before: str, tmp_path: Path) -> None:
    whole = f"a() {{ true; }}; b() {{ true; }}\n{before}\n{text}\n"
    done = subprocess.run(["bash", "-c", f'{whole}echo "$R"'], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert data(f'{whole}python x.py --r "$R"')["r"] == done.stdout.splitlines()[-1]


@pytest.mark.parametrize(("text", "value"), KNOWN, ids=[text for text, _ in KNOWN])
def test_variables_of_the_script_are_resolved(text: str, value: str) -> None:
    assert data(text)["r"] == value


UNKNOWN = [
    ("python x.py --r $R", "$R isn't set in this script"),
    ("python x.py --r $R; R=8", "$R isn't set in this script"),
    ("R=8 python x.py --r $R", "$R isn't set in this script"),
    ("python x.py --r $1", "$1 is known only when the script runs"),
    ("read R; python x.py --r $R", "$R is set when the script runs"),
    ("python x.py --r $(expr 2 + 2)", "$(expr 2 + 2) is the output of a command"),
    ("python x.py --r ${R%.*}", "${R%.*} is made from another value"),
    ("python x.py --r $((2*R))", "$((2*R)) needs $R, which isn't set in this script"),
    ("for R in 8 16; do python x.py --r $R; done", "$R takes several values in a loop"),
    ("if a; then R=8; fi; python x.py --r $R", "$R is set only in a branch"),
    ("R=8; if a; then R=16; fi; python x.py --r $R", "$R is set only in a branch"),
    ("if a; then R=8; else R=16; fi; python x.py --r $R", "$R is set only in a branch"),
    ("case $1 in a) R=8;; esac; python x.py --r $R", "$R is set only in a branch"),
    ("[ -z x ] && R=8\npython x.py --r $R", "$R is set only in a branch"),
    ('[ -z "$S" ] && R=8\npython x.py --r $R', "$R is set only in a branch"),
    ('[ -n "$R" ] && R=8\npython x.py --r $R', "$R is set only in a branch"),
    ('[ -z "$R" ] && [ -n "$S" ] && R=8\npython x.py --r $R', "$R is set only in a branch"),
    ('if [ -z "$R" ] && a; then R=8; fi; python x.py --r $R', "$R is set only in a branch"),
    ('if a; then b; elif [ -z "$R" ]; then R=8; fi; python x.py --r $R', "$R is set only in a branch"),
    ('if [ -z "$R" ]; then b; else R=8; fi; python x.py --r $R', "$R is set only in a branch"),
    ('if [ -z "$R" ]; then R=8; else R=16; fi; python x.py --r $R', "$R is set only in a branch"),
    ('case $1 in a) [ -z "$R" ]; R=8;; esac; python x.py --r $R', "$R is set only in a branch"),
    ("while a; do R=8; done; python x.py --r $R", "$R is set in a loop"),
    ("R=1; while a; do python x.py --r $R; R=$((R*2)); done", "$R changes in a loop"),
    ("f() { R=8; }; f; python x.py --r $R", "$R is set in the function f"),
    ("R=8; f() { python x.py --r $R; }; R=16; f", "$R may change before the function runs"),
    ("R=8; ((R++)); python x.py --r $R", "$R is changed by arithmetic"),
    ('A="--z 1"; if a; then A="$A --r 8"; fi; python x.py $A', "r is given only in a branch"),
    ("A=(--r 8); if a; then A+=(--r 16); fi; python x.py ${A[@]}", "r is given only in a branch"),
]


@pytest.mark.parametrize(("text", "because"), UNKNOWN, ids=[text for text, _ in UNKNOWN])
def test_what_the_script_does_not_settle_is_unknown_with_a_reason(text: str, because: str) -> None:
    assert reason(text) == because


SPLIT = [
    'ARGS="--r 8 --a 16"; python x.py $ARGS',
    "ARGS='--r 8\n  --a 16'; python x.py ${ARGS} --b",
    'ARGS=(--r 8 # rank\n  --a 16\n); python x.py "${ARGS[@]}"',
    "ARGS=(--r 8); ARGS+=(--a 16); python x.py ${ARGS[*]}",
    'ARGS=("--r 8" "--a 16"); python x.py ${ARGS[@]}',
    'ARGS="--r 8"; ARGS="$ARGS --a 16"; python x.py $ARGS',
    'ARGS="--r 8"; ARGS+=" --a 16"; python x.py $ARGS',
    'ARGS=""; ARGS+="--r 8 --a 16"; python x.py $ARGS --x $OTHER',
    "R=8; ARGS=(--r $R --a $((R*2))); python x.py ${ARGS[@]}",
    'ARGS="--r 8 --a 16 --out $DIR/x"; python x.py $ARGS',
    'ARGS="--r 8"; for i in 1 2; do ARGS+=" --i $i"; done; python x.py $ARGS --a 16',
    "python x.py ${ARGS:---r 8 --a 16}",
    "read -r -d '' ARGS <<EOF\n--r 8 \\\n --a 16\nEOF\npython x.py $ARGS",
]


@pytest.mark.parametrize("text", SPLIT)
def test_flags_in_strings_and_arrays_are_read_where_they_stand(text: str) -> None:
    document = documents(text)[-1]
    assert isinstance(document.data, dict)
    assert (document.data["r"], document.data["a"]) == ("8", "16")
    assert written(document, entry(document, "r").key) == "--r"
    assert written(document, entry(document, "a").key) == "--a"


def test_a_quoted_string_of_flags_is_one_word() -> None:
    assert only('ARGS="--r 8"; python x.py "$ARGS" a').words == ("python", "x.py", "--r 8", "a")


PLACES = [
    ("python x.py --r 8", "--r", "8", "8", None),
    ("python x.py --r=8", "--r", "8", "8", None),
    ('python x.py --r "8"', "--r", '"8"', "8", None),
    ('python x.py --r="8"', "--r", '"8"', "8", None),
    ("python x.py '--r=8'", "--r", "8", "8", None),
    ("python x.py é --r 8", "--r", "8", "8", None),
    ("python x.py +r=8", "+r", "8", "8", None),
    ("python x.py --r 1'6'", "--r", "1'6'", None, None),
    ("python x.py --r q k", "--r", "q k", None, None),
    ("python x.py --r", "--r", "--r", None, None),
    ("python x.py --r $R", "--r", "$R", None, None),
    ("R=8; python x.py --r $R", "--r", "$R", "8", "8"),
    ('R="8"; python x.py --r "$R"', "--r", '"$R"', "8", "8"),
    ("S=8; R=$S; python x.py --r $R", "--r", "$R", "8", "8"),
    ("R=8; echo $R; python x.py --r $R", "--r", "$R", None, "8"),
    ("R=8; R=9; python x.py --r $R", "--r", "$R", None, "9"),
    ("R=8; python x.py --r 1$R", "--r", "1$R", None, None),
    ("R=8; python x.py --r $((R))", "--r", "$((R))", None, None),
    ("python x.py --r ${R:-8}", "--r", "${R:-8}", None, "8"),
    ("R=${R:-8}; python x.py --r $R", "--r", "$R", None, "8"),
    ("A=(--r 8); python x.py ${A[@]}", "--r", "8", "8", None),
    ("A=(--r 8); python x.py ${A[@]}; python y.py ${A[@]}", "--r", "8", None, None),
    ('A="--r 8"; python x.py $A', "--r", "8", "8", None),
    ("bash -c 'python x.py --r 8'", "--r", "8", "8", None),
    ('bash -c "python \\"x.py\\" --r 8"', "--r", "8", "8", None),
    ("bash <<EOF\npython x.py \\$A --r 8\nEOF", "--r", "8", "8", None),
]


@pytest.mark.parametrize(("text", "key", "value", "literal", "origin"), PLACES, ids=[row[0] for row in PLACES])
def test_each_value_is_placed(text: str, key: str, value: str, literal: str | None, origin: str | None) -> None:
    document = documents(text)[-1]
    place = entry(document, "r")
    assert (written(document, place.key), written(document, place.value)) == (key, value)
    assert (written(document, place.literal), written(document, place.origin)) == (literal, origin)


def test_a_document_spans_its_command() -> None:
    document = only("é; R=8\n  A=1 python x.py \\\n --r 8  # rank\n")
    assert written(document, document.span) == "A=1 python x.py \\\n --r 8"


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        ("python x.py --r 8 --a 1 --r 16", ["r"]),
        ("accelerate launch --num 1 --num 2 x.py --r 8", ["num"]),
        ("accelerate launch --bf16 yes x.py --bf16 no", []),
        ("accelerate launch --bf16 yes -m x.y --bf16 no --r 8 --r 16", ["r"]),
    ],
)
def test_flags_that_are_repeated_to_the_same_program_are_noted(text: str, twice: list[str]) -> None:
    document = only(text)
    assert [(path, written(document, one), written(document, two)) for path, one, two, _ in document.duplicates] == [
        ((name,), f"--{name}", f"--{name}") for name in twice
    ]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("python x.py --r 8 --r 16", False),
        ("python x.py --r 8 --r=8", True),
        ("python x.py --task $TASK --task $TASK", True),
        ("python x.py --fast --fast", True),
        ("python x.py --r 8 --r $R", False),
    ],
)
def test_a_flag_that_is_repeated_with_the_same_value_is_told_apart(text: str, same: bool) -> None:
    assert [one.same for one in only(text).duplicates] == [same]


DEFAULTS = [
    ("python x.py --r ${R:-8} --a 16", {("r",)}),
    ("R=${R:-8}; python x.py --r $R --a $((2*R))", {("r",), ("a",)}),
    ("R=8; python x.py --r ${R:-4}", set()),
    ("python x.py --r ${R:-$S}", set()),
]


@pytest.mark.parametrize(("text", "paths"), DEFAULTS, ids=[text for text, _ in DEFAULTS])
def test_values_from_a_default_are_named(text: str, paths: set[tuple[str]]) -> None:
    assert documents(text)[-1].defaults == paths


EXPRESSIONS = [
    ("python x.py --r $R --a $((2*R))", "$R", "R", "$((2*R))", "2 * R"),
    ("R=8; python x.py --r $R --a $(( ${R} * 2 ))", "$R", "R", "$(( ${R} * 2 ))", "R * 2"),
    ("R=$1; A=$((R*2)); python x.py --r $R --a $A", "$R", "R", "$A", "R * 2"),
    ("R=$1; A=$R; python x.py --r $R --a ${A}", "$R", "R", "${A}", "R"),
    ("R=8; A=$((2*R)); R=9; python x.py --r $R --a $A", "$R", "R#2", "$A", "2 * R"),
    ("R=8; (R=9); python x.py --r $R --a $((R/2))", "$R", "R", "$((R/2))", "R // 2"),
]


@pytest.mark.parametrize(("text", "rank", "over", "alpha", "made"), EXPRESSIONS, ids=[row[0] for row in EXPRESSIONS])
def test_values_written_with_variables_keep_their_expression(
    text: str, rank: str, over: str, alpha: str, made: str
) -> None:
    found = documents(text)[-1].expressions
    assert (found["r",].text, ast.unparse(found["r",].node)) == (rank, over)
    assert (found["a",].text, ast.unparse(found["a",].node)) == (alpha, made)


WORDS = [
    r"a\ b 'c d' \"e ''",
    r"""x"y z"'w'$'\n\t'q""",
    '"$A" $A "$B" $B $B$A a$B"b"',
    '${A}b ${C:-d e} ${C:-"d e"} "${C:-d e}" ${A:-x} ${C-} ${C:+x}y',
    '$((A + 2)) $((A*2))x "$((7/2))" $[A+1] $((2**3))',
    '"${L[@]}" ${L[@]} x"${L[@]}"y ${L[1]} "${M[@]}"',
    'a"b\\$c\\"d\\\\e\\f" "x\\\ny" z\\\nw',
    "a#b '#c' \"#d\" = %x y=",
    '\'\'$N ""$N $N "$N"',
    "a # b",
    "a 2>/dev/null b",
    "a; true b",
]


@bash
@pytest.mark.parametrize("words", WORDS)
def test_words_are_cut_and_expanded_as_bash_does(words: str) -> None:
    setting = "A=8; B='1 2'; L=('p q' r); M=(); N=''\n"
    script = f'show() {{ printf "%s\\0" "$@"; }}\n{setting}show {words}'
    shown = subprocess.run(["bash", "-fc", script], capture_output=True, check=True, env={}, text=True).stdout
    document = documents(f"{setting}show {words}")[0]
    assert isinstance(document.data, dict)
    keys = [f"{key}={value}" for key, value in document.data.items()]
    assert [*document.words[1:], *keys] == shown.split("\0")[:-1]


HOSTILE = [
    "(", "$(", "$( ", "((", "$((", "${a:-", '"$(', '"${a:-', "{ ", "[[ ", '"', "'", "`", "$'", "\\", "\\\n", "$",
    "<", ")", "\0", "|", "a|", "a=(", "@(", "<(", "a\n", "a ", "--a 1 ", "a.b=1 ", "a=b ", "$a ", "${a:-1} ",
    "$((a+1)) ", "$(y --a 1) ", "\n", "if ", "case a in a) ", "for a in b; do ", "f(){ ", "cat <<A\n",
    "bash <<A\nx --a 1\nA\n", "bash -c 'x --a 1'\n", 'eval "', 'A="$A$A" ', 'A+=" --a 1"\n',
    "A+=(--a 1)\nx ${A[@]}\n", 'A="--a 1"\nx $A\n', 'if a; then A+=" --b"; fi\n', "a && b=1\n",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_text_yields_what_can_be_read(unit: str) -> None:
    text = "python x.py --r 8\nA=12345678\n" + unit * (1 << 16)
    found = documents(text[: 1 << 18])
    assert found[0].data == {"r": "8"}
    assert all(document.entries is not None for document in found)


def test_deep_nesting_does_not_crash_the_process() -> None:
    program = """
from lora_lint.document import Source
from lora_lint.readers import shell
pairs = ("(", ")"), ("$(", ")"), ('"$(', ')"'), ("{ ", "; }"), ("$((", "))"), ("${a:-", "}"), ("a=(", ")")
for opening, closing in pairs:
    list(shell.read(Source("x.sh", opening * 100_000 + closing * 100_000)))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    assert (ended.returncode, ended.stderr) == (0, "")


SCRIPT = """#!/bin/bash
set -x

GPUS=${GPUS:-2}
RANK=${RANK:-16}
export PYTHONPATH="${PYTHONPATH}:$(pwd)"
OUTPUT='work_dirs/lora'

if [ ! -d "$OUTPUT" ]; then
  mkdir -p "$OUTPUT"
fi

# number of gpus: 2
torchrun \\
  --nnodes=1 \\
  --nproc_per_node=${GPUS} \\
  internvl/train/internvl_chat_finetune.py \\
  --output_dir ${OUTPUT} \\
  --overwrite_output_dir True \\
  --use_llm_lora ${RANK} \\
  --vision_select_layer -1 \\
  2>&1 | tee -a "${OUTPUT}/training_log.txt"
"""


def test_a_training_script_gives_one_document() -> None:
    document = only(SCRIPT)
    assert document.callee == "internvl/train/internvl_chat_finetune.py"
    assert document.data == {
        "nnodes": "1",
        "nproc_per_node": "2",
        "output_dir": "work_dirs/lora",
        "overwrite_output_dir": "True",
        "use_llm_lora": "16",
        "vision_select_layer": "-1",
    }
    assert document.defaults == {("nproc_per_node",), ("use_llm_lora",)}
