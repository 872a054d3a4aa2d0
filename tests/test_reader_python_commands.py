"""Commands that Python code runs: what the shell would be given, as far as the code tells."""

import pytest

from lora_lint.document import Document, Source, Unknown
from lora_lint.readers.python import read
from tests.frameworks.rows import rows, setups

LIST = '["torchrun", "--nproc_per_node", "8", "train.py", "--lora_r", "16", "--lora_alpha", "32"]'


def commands(code: str) -> list[Document]:
    return [document for document in read(Source("launch.py", code)) if document.syntax == "shell"]


def told(document: Document) -> tuple[str, dict[str, object]]:
    data = document.data
    assert isinstance(data, dict)
    return document.callee, {
        key: f"? {value.reason}" if isinstance(value, Unknown) else value
        for key, value in data.items()
        if "lora" in key
    }


@pytest.mark.parametrize(
    ("code", "callee", "flags"),
    [
        (f"subprocess.run({LIST})", "train.py", {"lora_r": "16", "lora_alpha": "32"}),
        (f"cmd = {LIST}\nsubprocess.check_call(cmd)", "train.py", {"lora_r": "16", "lora_alpha": "32"}),
        (f"def launch():\n    cmd = {LIST}\n    return cmd", "train.py", {"lora_r": "16", "lora_alpha": "32"}),
        (f"cmd = {LIST}\nprint(' '.join(cmd))\nrun(cmd)", "train.py", {"lora_r": "16", "lora_alpha": "32"}),
        ("os.system('python train.py --lora_r 8')", "train.py", {"lora_r": "8"}),
        ("c = 'python train.py --lora_r 8'\nos.system(c)", "train.py", {"lora_r": "8"}),
        ("os.system('python train.py ' + '--lora_r 8')", "train.py", {"lora_r": "8"}),
        ("R = 8\nos.system(f'python train.py --lora_r {R}')", "train.py", {"lora_r": "8"}),
        ("R = 8\nrun(['python', 'train.py', '--lora_r', str(R)])", "train.py", {"lora_r": "8"}),
        ("R = 8\nrun(['python', 'train.py', f'--lora_r={2 * R}'])", "train.py", {"lora_r": "16"}),
        ("run(['python', '-m', 'a.train', '--lora_r', '8'])", "a.train", {"lora_r": "8"}),
        ("run([sys.executable, 'train.py', '--lora_r', '8'])", "train.py", {"lora_r": "8"}),
        ("c = ['python', 'train.py']\nc += ['--lora_r', '8']\nrun(c)", "train.py", {"lora_r": "8"}),
        ("c = ['python', 'train.py']\nc.extend(['--lora_r', '8'])\nrun(c)", "train.py", {"lora_r": "8"}),
        ("c = ['python', 'train.py']\nc.append('--lora_r=8')\nrun(c)", "train.py", {"lora_r": "8"}),
        ("b = ['python', 'train.py']\nrun(b + ['--lora_r', '8'])", "train.py", {"lora_r": "8"}),
        ("b = ['--lora_r', '8']\nrun(['python', 'train.py', *b])", "train.py", {"lora_r": "8"}),
        (
            "c = ['python', 'train.py']\nif big:\n    c += ['--lora_r', '8']\nrun(c)",
            "train.py",
            {"lora_r": "? lora_r is given only in a branch"},
        ),
        ("sys.argv = ['train.py', '--lora_r', '8']", "train.py", {"lora_r": "8"}),
        (
            "def f(r):\n    run(['python', 'train.py', '--lora_r', r])",
            "train.py",
            {"lora_r": "? ${r} isn't set in this script"},
        ),
        ("run(['sbatch', 'it''s.py', '--lora_r', '$8'])", "its.py", {"lora_r": "$8"}),
        ("a = parser.parse_args(['--lora_r', '8'])", "launch.py", {"lora_r": "8"}),
        ("v = ['--lora_r', '8']\na = parser.parse_args(v)", "launch.py", {"lora_r": "8"}),
        ("c = ['python', 'train.py']\nc += more(args)\nc += ['--lora_r', '8']\nrun(c)", "train.py", {"lora_r": "8"}),
        ("try:\n    run(['python', 'train.py', '--lora_r', '8'])\nfinally:\n    pass", "train.py", {"lora_r": "8"}),
    ],
)
def test_a_command_is_what_the_shell_is_given(code: str, callee: str, flags: dict[str, object]) -> None:
    assert [told(document) for document in commands(code)] == [(callee, flags)]


def test_two_values_over_one_name_are_compared() -> None:
    code = "def f(a):\n    run(['python', 'train.py', '--lora_r', str(a.r), '--lora_alpha', str(2 * a.r)])"
    assert [(row.rank, row.alpha, row.scale) for row in rows(setups("launch.py", code))] == [("?", "?", 2)]


def test_a_value_stands_where_it_is_written() -> None:
    code = "x = 'ä'\nsubprocess.run(['python', 'train.py', '--lora_r', '16'])\n"
    (document,) = commands(code)
    span = document.span_of(("lora_r",))
    assert code[slice(*span)] == "16"


@pytest.mark.parametrize(
    "code",
    [
        "parser.add_argument('--lora_r', default=8)",
        "names = ['--lora_r', '--lora_alpha']",
        "help = 'python train.py --lora_r 8'",
        "show(['--lora_r', '8'])",
        "print('python train.py --lora_r 8')",
        "run(words, 'python train.py --lora_r 8')",
    ],
)
def test_a_text_that_nobody_runs_is_no_command(code: str) -> None:
    assert commands(code) == []


@pytest.mark.parametrize(
    "code",
    [
        "\n".join(["if a:\n    pass", *["elif a:\n    pass"] * 900]) + "\nrun(['a.py', '--lora_r', '8'])",
        f"run(['a.py', '--lora_r', {' + '.join(['x'] * 900)}])",
        f"run([{', '.join(['x', 'y'] * 5_000)}, 'a.py', '--lora_r'])",
    ],
)
def test_long_code_comes_to_an_end(code: str) -> None:
    assert len(commands(code)) <= 1
