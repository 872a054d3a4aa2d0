"""Commands and configs inside other files: Makefiles, Dockerfiles, Markdown, YAML and what scripts write."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml as pyyaml

from lora_lint.document import Document, Source
from lora_lint.facts import Setup
from lora_lint.files import syntax_of_name
from lora_lint.linter import lint, read_setups
from lora_lint.readers import yaml
from lora_lint.readers.yaml_scalars import places
from lora_lint.reading import read_bytes

TRAIN = "deepspeed llava/train/train_mem.py --lora_enable True"


def setups(name: str, text: str) -> list[Setup]:
    reading = read_bytes(name, text.encode())
    assert reading.problem is None
    return reading.setups


def facts(name: str, text: str) -> list[tuple[object, object]]:
    """Rank and alpha of every site, or why they are unknown."""
    return [
        (
            site.rank.value if site.rank.known else site.rank.reason,
            site.alpha.value if site.alpha is not None and site.alpha.known else site.alpha and site.alpha.reason,
        )
        for setup in setups(name, text)
        for site in setup.sites
    ]


def yaml_document(text: str) -> Document:
    (found,) = yaml.composed(Source("x.yaml", text))
    return found


def place(document: Document, key: str) -> tuple[int, str]:
    """The line of a value and the text that stands there."""
    span = document.span_of((key,))
    return document.source.position(span.start).line, document.source.text[slice(*span)]


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("Makefile", "makefile"),
        ("GNUmakefile", "makefile"),
        ("train.mk", "makefile"),
        ("train.PS1", "powershell"),
        ("train.bat", "batch"),
        ("train.cmd", "batch"),
        ("Dockerfile", "dockerfile"),
        ("Dockerfile.gpu", "dockerfile"),
        ("gpu.dockerfile", "dockerfile"),
        ("Containerfile", "dockerfile"),
        ("README.md", "markdown"),
        ("a.markdown", "markdown"),
        ("makefile.py", "python"),
        ("notes.txt", None),
    ],
)
def test_a_name_tells_the_syntax(name: str, syntax: str | None) -> None:
    assert syntax_of_name(name) == syntax


MAKEFILES: Mapping[str, tuple[str, tuple[object, object]]] = {
    "a recipe": (f"train:\n\t{TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16)),
    "prefixes and continued lines": (f"train:\n\t@-{TRAIN} \\\n\t\t--lora_r 8 \\\n\t\t--lora_alpha 16\n", (8, 16)),
    "a variable": (f"R := 8\ntrain:\n\t{TRAIN} --lora_r $(R) --lora_alpha ${{R}}\n", (8, 8)),
    "a variable set below": (f"train:\n\t{TRAIN} --lora_r $(R) --lora_alpha 16\nR = 8\n", (8, 16)),
    "flags in a variable": (f'F = --lora_r "8" \\\n  --lora_alpha 16  # x\nt:\n\t{TRAIN} $(F)\n', (8, 16)),
    "added flags": (f"F = --lora_r 8\nF += --lora_alpha 16\nt:\n\t{TRAIN} $(F)\n", (8, 16)),
    "a value that may be given": (f"R ?= 8\nt:\n\t{TRAIN} --lora_r $(R) --lora_alpha 16\n", (8, 16)),
    "shell arithmetic": (f"R = 8\nt:\n\t{TRAIN} --lora_r $(R) --lora_alpha $$((2*$(R)))\n", (8, 16)),
    "a variable of the target": (f"R = 4\nt: R = 8\nt:\n\t{TRAIN} --lora_r $(R) --lora_alpha 16\n", (8, 16)),
    "a variable of another target": (f"R = 8\nu: R = 4\nt:\n\t{TRAIN} --lora_r $(R) --lora_alpha 16\n", (8, 16)),
    "a recipe on the line of the rule": (f"t: deps ; {TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16)),
    "a target with a reference": (f"$(O:.a=.b)/t: x\n\t{TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16)),
    "a variable in one arm": (
        f"ifeq ($(X),1)\nR = 8\nelse\nR = 16\nendif\nt:\n\t{TRAIN} --lora_r $(R) --lora_alpha 16\n",
        ("$R is set only in a branch", 16),
    ),
    "a command's output": (
        f"R = $(shell nproc)\nt:\n\t{TRAIN} --lora_r $(R) --lora_alpha 16\n",
        ("${_} isn't set in this script", 16),
    ),
    "an automatic variable": (
        f"t:\n\t{TRAIN} --lora_r $@ --lora_alpha 16\n",
        ("${_} isn't set in this script", 16),
    ),
    "a shell variable": (
        f"t:\n\t{TRAIN} --lora_r $$R --lora_alpha 16\n",
        ("$R isn't set in this script", 16),
    ),
}


@pytest.mark.parametrize(("text", "values"), MAKEFILES.values(), ids=MAKEFILES)
def test_makefile(text: str, values: tuple[object, object]) -> None:
    assert facts("Makefile", text) == [values]


def test_what_a_makefile_defines_or_says_in_comments_is_no_command() -> None:
    flags = "--lora_r 8 --lora_alpha 8"
    assert facts("Makefile", f"define X\n{TRAIN} {flags}\nendef\n# {TRAIN} {flags}\nt:\n\t# {TRAIN} {flags}\n") == []


DOCKERFILES: Mapping[str, tuple[str, tuple[object, object]]] = {
    "RUN": (f"FROM x\nRUN {TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16)),
    "continued, with a comment": (f"RUN x && \\\n  # c\n\n  {TRAIN} \\\n --lora_r 8 --lora_alpha 16\n", (8, 16)),
    "options of RUN": (f"RUN --mount=type=cache {TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16)),
    "words": ('CMD ["deepspeed", "llava/train/train_mem.py", "--lora_enable=True", "--lora_r", "8"]\n', (8, 16.0)),
    "words on several lines": (
        'CMD ["deepspeed", "llava/train/train_mem.py", \\\n "--lora_enable=True", "--lora_r", "8"]\n',
        (8, 16.0),
    ),
    "a shell in words": (f'CMD ["sh", "-c", "{TRAIN} --lora_r 8 --lora_alpha 16"]\n', (8, 16)),
    "ENTRYPOINT and CMD": (
        'ENTRYPOINT ["deepspeed", "llava/train/train_mem.py"]\nCMD ["--lora_enable=True", "--lora_r", "8"]\n',
        (8, 16.0),
    ),
    "ENV": (f"ENV R=8 A=16\nRUN {TRAIN} --lora_r $R --lora_alpha ${{A}}\n", (8, 16)),
    "the old ENV": (f"ENV R 8\nRUN {TRAIN} --lora_r $R --lora_alpha 16\n", (8, 16)),
    "ARG": (f"ARG R=8\nRUN {TRAIN} --lora_r $R --lora_alpha 16\n", (8, 16)),
    "ARG without a value": (
        f"ARG R\nRUN {TRAIN} --lora_r $R --lora_alpha 16\n",
        ("$R isn't set in this script", 16),
    ),
    "a here-document": (f"RUN <<EOF\n{TRAIN} --lora_r 8 --lora_alpha 16\nEOF\nRUN x\n", (8, 16)),
    "a file": ("COPY <<EOF /a.yaml\nbase_model: m\nadapter: lora\nlora_r: 8\nlora_alpha: 16\nEOF\n", (8, 16)),
    "HEALTHCHECK": (f"HEALTHCHECK --interval=5m CMD {TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16)),
}


@pytest.mark.parametrize(("text", "values"), DOCKERFILES.values(), ids=DOCKERFILES)
def test_dockerfile(text: str, values: tuple[object, object]) -> None:
    assert facts("Dockerfile", text) == [values]


def test_the_last_command_of_an_image_counts() -> None:
    text = "".join(
        f'CMD ["deepspeed", "llava/train/train_mem.py", "--lora_enable=True", "--lora_r={r}"]\n' for r in (4, 8)
    )
    assert facts("Dockerfile", text) == [(8, 16.0)]


AXOLOTL = "base_model: m\nadapter: lora\nlora_r: 8\nlora_alpha: 8\n"
MARKDOWN: Mapping[str, str] = {
    "bash": f"```bash\n{TRAIN} --lora_r 8 --lora_alpha 8\n```\n",
    "attributes": f'~~~~{{.sh title="x"}}\n{TRAIN} --lora_r 8 --lora_alpha 8\n~~~~\n',
    "prompts": f"```console\n$ {TRAIN} \\\n    --lora_r 8 --lora_alpha 8\n{TRAIN} --lora_r 4 --lora_alpha 4\n```\n",
    "in a list": f"- x\n\n  ```sh\n  {TRAIN} --lora_r 8 --lora_alpha 8\n  ```\n",
    "in a quotation": f"> ```sh\n> {TRAIN} \\\n>   --lora_r 8 --lora_alpha 8\n> ```\n",
    "python": "```python\nfrom peft import LoraConfig\nLoraConfig(r=8, lora_alpha=8)\n```\n",
    "prompts of python": "```pycon\n>>> from peft import LoraConfig\n>>> LoraConfig(r=8,\n...     lora_alpha=8)\n```\n",
    "yaml": f"```yml\n{AXOLOTL}```\n",
    "json": '```json\n{"peft_type": "LORA", "r": 8, "lora_alpha": 8}\n```\n',
    "a Dockerfile": f"```dockerfile\nRUN {TRAIN} --lora_r 8 --lora_alpha 8\n```\n",
    "a Makefile": f"```make\nt:\n\t{TRAIN} --lora_r 8 --lora_alpha 8\n```\n",
    "dots": f"```sh\n{TRAIN} --lora_alpha 8 --lora_r 8 \\\n    ...\n```\n",
    "never closed": f"```bash\n{TRAIN} --lora_r 8 --lora_alpha 8\n",
}


@pytest.mark.parametrize("text", MARKDOWN.values(), ids=MARKDOWN)
def test_a_fenced_block_is_an_example(text: str) -> None:
    assert facts("README.md", f"# Title\n\n{text}") == [(8, 8)]
    assert all(setup.document.example and setup.document.embedded for setup in setups("README.md", text))


@pytest.mark.parametrize(
    "text",
    [
        f"```text\n{TRAIN} --lora_r 8 --lora_alpha 8\n```\n",
        f"````markdown\n```bash\n{TRAIN} --lora_r 8 --lora_alpha 8\n```\n````\n",
        f"{TRAIN} --lora_r 8 --lora_alpha 8\n",
        "```yaml\nlora_r: [8\n```\n",
        "```python\nLoraConfig(r=8, lora_alpha=...\n```\n",
        "```json\n{...}\n```\n",
    ],
)
def test_other_blocks_prose_and_fragments_hold_nothing(text: str) -> None:
    assert facts("README.md", text) == []


WAYS = """model_name_or_path: Qwen/Qwen2-7B
stage: sft
finetuning_type: lora
{}
# With less memory
lora_rank: 8
lora_alpha: 16
"""


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({}, ["removed-key"]),
        ({"ckpt_dir": None, "global_world_size": 8, "model_info": "ModelInfo(...)"}, []),
    ],
)
def test_what_wrote_a_record_knew_its_keys(record: dict[str, object], found: list[str], tmp_path: Path) -> None:
    data = {"tuner_type": "lora", "lora_rank": 8, "lora_alpha": 16, "eval_strategy": "no", "evaluation_strategy": "no"}
    (tmp_path / "args.json").write_text(json.dumps({**data, **record}), "utf-8")
    assert [one.rule for one in lint([str(tmp_path)]).diagnostics] == found


@pytest.mark.parametrize(
    ("name", "before", "found"),
    [
        ("README.md", "lora_rank: 32", []),
        ("train.yaml", "lora_rank: 32", ["duplicate-key"]),
        ("README.md", "freeze_extra_modules: {a: 1, a: 2}", ["duplicate-key"]),
    ],
)
def test_a_page_shows_one_way_below_the_other(name: str, before: str, found: list[str], tmp_path: Path) -> None:
    text = WAYS.format(before)
    (tmp_path / name).write_text(f"```yaml\n{text}```\n" if name.endswith(".md") else text, "utf-8")
    said = [one.rule for one in lint([str(tmp_path / name)]).diagnostics]
    assert [rule for rule in said if rule == "duplicate-key"] == found


def test_a_checkpoint_in_a_readme_is_not_the_one_beside_it(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(MARKDOWN["json"], "utf-8")
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    report = lint([str(tmp_path / "README.md")])
    assert [(one.rule, one.severity.value) for one in report.diagnostics] == [("alpha-not-2r", "note")]


WORKFLOWS: Mapping[str, tuple[str, tuple[object, object], tuple[int, str]]] = {
    "a plain string": (f"- run: {TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16), (1, "16")),
    "lines": (f"- run: |\n    cd x\n    {TRAIN} \\\n      --lora_r 8 --lora_alpha 16\n", (8, 16), (4, "16")),
    "folded lines": (f"- run: >-\n    {TRAIN}\n    --lora_r 8\n    --lora_alpha 16\n", (8, 16), (4, "16")),
    "double quotes": (f'- run: "cd \\"x\\"\\n{TRAIN} --lora_r 8\\\n    \\ --lora_alpha 16"\n', (8, 16), (2, "16")),
    "single quotes": (f"- run: 'echo ''x'' && {TRAIN} --lora_r 8\n    --lora_alpha 16'\n", (8, 16), (2, "16")),
    "a plain string on two lines": (f"- run: {TRAIN} --lora_r 8\n    --lora_alpha 16\n", (8, 16), (2, "16")),
    "lines of GitLab": (f"j:\n  script:\n    - R=8\n    - {TRAIN} --lora_r $R --lora_alpha 16\n", (8, 16), (4, "16")),
    "a task of go-task": (f"tasks:\n  t:\n    cmds:\n    - {TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16), (4, "16")),
    "a stage of DVC": (f"stages:\n  t:\n    cmd: {TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16), (3, "16")),
    "words": (
        "command: [deepspeed, llava/train/train_mem.py]\nargs: [--lora_enable=True, --lora_r, 8, --lora_alpha, '16']\n",
        (8, 16),
        (2, "16"),
    ),
    "arguments of an image": (
        "image: x\nargs: [llava/train/train_mem.py, --lora_enable=True, --lora_r=8, --lora_alpha=16]\n",
        (8, 16),
        (2, "16"),
    ),
    "a shell in words": (f"command: [sh, -c]\nargs:\n  - {TRAIN} --lora_r 8 --lora_alpha 16\n", (8, 16), (3, "16")),
    "variables of the job": (f"env: {{R: 8}}\njobs:\n- run: {TRAIN} --lora_r $R --lora_alpha 16\n", (8, 16), (3, "16")),
    "variables of Kubernetes": (
        "command: [deepspeed, llava/train/train_mem.py, --lora_enable=True, --lora_r=$(R), --lora_alpha=16]\n"
        "env: [{name: R, value: '8'}]\n",
        (8, 16),
        (1, "16"),
    ),
    "an expression of GitHub": (
        f"env: {{R: 8}}\nrun: {TRAIN} --lora_r ${{{{ env.R }}}} --lora_alpha 16\n",
        (8, 16),
        (2, "16"),
    ),
    "a matrix": (
        f"run: {TRAIN} --lora_r ${{{{ matrix.r }}}} --lora_alpha 16\n",
        ("${_matrix_r} isn't set in this script", 16),
        (1, "16"),
    ),
    "a chart": (
        f"command: {TRAIN} --lora_r {{{{ .Values.r }}}} --lora_alpha 16\n",
        ("${_Values_r} isn't set in this script", 16),
        (1, "16"),
    ),
}


@pytest.mark.parametrize(("text", "values", "where"), WORKFLOWS.values(), ids=WORKFLOWS)
def test_commands_in_yaml(text: str, values: tuple[object, object], where: tuple[int, str]) -> None:
    assert facts("x.yaml", text) == [values]
    (setup,) = setups("x.yaml", text)
    assert place(setup.document, "lora_alpha") == where
    assert not setup.document.example


@pytest.mark.parametrize(
    "text",
    [
        "run: {lora_r: 8}\nargs: {lora_alpha: 8}\n",
        "lora_r: 8\nscript: train\n",
        "name: lora_r\ncommand:\n",
        "run: [[1]]\nsetup: 3\nlora_rank: 1\n",
    ],
)
def test_keys_that_are_called_like_commands_are_none(text: str) -> None:
    assert facts("x.yaml", text) == []


@pytest.mark.parametrize("style", ["|", ">", "|2-", ">+", "'", '"', "plain"])
@pytest.mark.parametrize("text", ["a b\n\n  c   d\ne", "x", "a 'b' \"c\" \\ é\nz"])
def test_every_visible_character_of_a_yaml_string_has_its_place(style: str, text: str) -> None:
    quotes = style if style in "'\"" else None
    written = (
        f"k: {style}\n" + "".join(f"  {line}\n" for line in text.split("\n"))
        if style[0] in "|>"
        else pyyaml.safe_dump({"k": text}, default_style=quotes, width=5)
    )
    value = pyyaml.safe_load(written)["k"]
    entry = yaml_document(written).entry(("k",))
    assert entry is not None
    found = places(written, entry.value, value)
    assert len(found) == len(value)
    pairs = [(sign, written[at]) for sign, at in zip(value, found, strict=True) if not sign.isspace()]
    assert all(sign == there or there == "\\" for sign, there in pairs)


HEREDOCS: Mapping[str, tuple[str, tuple[object, object]]] = {
    "as it stands": (f"cat > a.yaml <<'EOF'\n{AXOLOTL}EOF\n", (8, 8)),
    "expanded": (
        "R=8\ncat <<EOF > a.yml\nbase_model: m\nadapter: lora\nlora_r: $R\nlora_alpha: $((2*R))\nEOF\n",
        (8, 16),
    ),
    "through tee": (f"cat <<EOF | tee a.yaml\n{AXOLOTL}EOF\n", (8, 8)),
    "json": ('cat > a.json <<EOF\n{"base_model": "m", "adapter": "lora", "lora_r": 8, "lora_alpha": 8}\nEOF\n', (8, 8)),
    "json, a value unknown": (
        'cat > a.json <<EOF\n{"base_model": "m", "adapter": "lora", "lora_r": $R, "lora_alpha": "$A"}\nEOF\n',
        ("$R isn't set in this script", "$A isn't set in this script"),
    ),
    "python": ("python3 - <<'EOF'\nfrom peft import LoraConfig\nLoraConfig(r=8, lora_alpha=8)\nEOF\n", (8, 8)),
    "python in a file": ("cat > t.py <<EOF\nfrom peft import LoraConfig\nLoraConfig(r=8, lora_alpha=8)\nEOF\n", (8, 8)),
}


@pytest.mark.parametrize(("text", "values"), HEREDOCS.values(), ids=HEREDOCS)
def test_what_a_script_writes_is_read(text: str, values: tuple[object, object]) -> None:
    assert facts("x.sh", text) == [values]


@pytest.mark.parametrize(
    "text",
    [
        'cat > a.json <<EOF\n{"base_model": "m", "adapter": "lora", "lora_r": $R, "lora_alpha": $((2*R))}\nEOF\n',
        "cat > a.yaml <<EOF\nbase_model: m\nadapter: lora\nlora_r: $R\nlora_alpha: $((2*R))\nEOF\n",
        "python - <<EOF\nfrom peft import LoraConfig\nLoraConfig(r=$R, lora_alpha=2 * $R)\nEOF\n",
    ],
)
def test_what_a_script_writes_is_compared_as_expressions(text: str) -> None:
    assert [site.scale for setup in setups("x.sh", text) for site in setup.sites] == [2.0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.sh", HEREDOCS["as it stands"][0]),
        ("x.yaml", f"- run: {TRAIN} --lora_r 8 --lora_alpha 8\n"),
        ("Makefile", f"t:\n\t{TRAIN} --lora_r 8 --lora_alpha 8\n"),
        ("Dockerfile", f"RUN {TRAIN} --lora_r 8 --lora_alpha 8\n"),
        ("README.md", MARKDOWN["bash"]),
        ("Dockerfile", "RUN deepspeed llava/train/train_mem.py --lora_enable True --lora_r 64\n"),
    ],
)
def test_nothing_is_rewritten_in_a_text_of_another_syntax(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    report = lint([str(tmp_path / name)])
    assert report.diagnostics
    assert [one.suggestion for one in report.diagnostics] == [None] * len(report.diagnostics)


def test_hidden_folders_with_workflows_and_runs_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        ".github/workflows/ci.yml": f"- run: {TRAIN} --lora_r 8 --lora_alpha 8\n",
        "outputs/1/.hydra/config.yaml": AXOLOTL,
        "outputs/1/.hydra/overrides.yaml": "- lora_r=8\n- lora_alpha=8\n",
        "outputs/1/.hydra/hydra.yaml": "hydra: {overrides: {task: [lora_r=8, lora_alpha=8]}}\n",
        ".cache/a.yaml": AXOLOTL,
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    report = lint(["."])
    assert sorted(one.file for one in report.diagnostics) == [
        ".github/workflows/ci.yml",
        "outputs/1/.hydra/config.yaml",
    ]
    assert report.summary.setups == 2


@pytest.mark.parametrize(
    ("name", "text", "framework"),
    [
        (".hydra/config.yaml", "actor_rollout_ref:\n  model: {path: m, lora_rank: 8, lora_alpha: 16}\n", "verl"),
        ("hyperparameters.yaml", "checkpoint_dir: c\nlora_r: 8\nlora_alpha: 16\nlora_query: true\n", "litgpt"),
        ("training_args.yaml", "stage: sft\nfinetuning_type: lora\nlora_rank: 8\ntemplate: x\n", "llama_factory"),
        ("args.json", '{"tuner_type": "lora", "lora_rank": 8, "lora_alpha": 16, "template": "x"}\n', "ms_swift"),
    ],
)
def test_what_a_run_leaves_is_read(name: str, text: str, framework: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text, "utf-8")
    (setup,) = read_setups([str(tmp_path)])
    assert (setup.framework, setup.sites[0].scale) == (framework, 2.0)


@pytest.mark.parametrize("name", ["README.md", "Makefile", "Dockerfile", "x.ps1", "x.bat"])
def test_prose_in_another_encoding_is_no_fault_of_a_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"# lora_r lora_alpha caf\xe9\n")
    assert lint([str(tmp_path)]).diagnostics == []


HOSTILE: Mapping[str, tuple[str, str]] = {
    "many blocks": ("README.md", "```sh\nlora_r x\n```\n" * 40_000),
    "fences in a row": ("README.md", "lora_r\n" + "`" * 500_000),
    "many commands": ("x.yaml", "lora_alpha: 1\na:\n" + "- run: a b\n" * 60_000),
    "aliases of a script": ("x.yaml", f"a: &a {{run: '{'lora_alpha ' * 2000}'}}\nb: [{'*a,' * 5000}]\n"),
    "many variables": (
        "x.yaml",
        "env:\n" + "".join(f"  lora_r{i}: 1\n" for i in range(20_000)) + "run: lora_alpha x\n",
    ),
    "references in targets": ("Makefile", "lora_alpha = 1\n" + "$(a)" * 100_000 + "\n"),
    "open calls": ("Makefile", "lora_alpha = " + "$(a " * 100_000 + "\nt:\n\t$(" + "(" * 100_000 + "\n"),
    "a recipe of dollars": ("Makefile", "lora_alpha:\n\t" + "$" * 500_000 + "\n"),
    "conditions": ("Makefile", "lora_alpha = 1\n" + "ifdef X\n" * 50_000),
    "blanks": ("Dockerfile", "RUN lora_alpha" + " " * 500_000 + "\\\n"),
    "here-documents": ("Dockerfile", "RUN lora_alpha " + "<<A " * 5_000 + "\n" + "x\n" * 50_000),
    "words": ("Dockerfile", "CMD [" + ", ".join(['"lora_alpha"'] * 40_000) + "]\n"),
    "brackets": ("Dockerfile", "CMD " + "[" * 300_000 + "lora_alpha\n"),
    "expansions": ("x.sh", "cat > lora_alpha.yaml <<EOF\n" + '"$a' * 100_000 + "\nEOF\n"),
    "variables in words": ("x.yaml", f"lora_alpha: 1\nargs: ['{'$(' * 200_000}']\n"),
}


@pytest.mark.parametrize(("name", "text"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_end_in_bounded_time(name: str, text: str) -> None:
    assert_nothing_soon(name, text)


def assert_nothing_soon(name: str, text: str) -> None:
    """That a hostile file holds no setup, which is found out in bounded time."""
    start = time.process_time()
    reading = read_bytes(name, text.encode())
    assert reading.setups == []
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Makefile", MAKEFILES["flags in a variable"][0]),
        ("Dockerfile", DOCKERFILES["ENTRYPOINT and CMD"][0]),
        ("README.md", MARKDOWN["prompts"]),
        ("x.yaml", WORKFLOWS["words"][0]),
        ("x.sh", HEREDOCS["expanded"][0]),
    ],
)
def test_a_place_is_never_outside_of_the_file(name: str, text: str) -> None:
    assert_inside(name, text)


def assert_inside(name: str, text: str) -> None:
    """That all that is found in a file has a place there."""
    for setup in setups(name, text):
        spans = [entry.value for entry in setup.document.entries.values()]
        assert spans
        assert all(0 <= span.start <= span.end <= len(text) for span in spans)


CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
data:
  {}: |
{}
"""


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("config.yaml", "base_model: m\nadapter: lora\nlora_r: 16\nlora_alpha: 32", [(16, 32)]),
        ("qlora.yml", "training_config:\n  LoraConfig:\n    r: 8\n    lora_alpha: 8", [(8, 8)]),
        ('"lora.json"', '{"lora":\n  {"r": 8, "alpha": 4}}', [(8, 4)]),
        ("lora.toml", "[lora]\nrank = 8\nalpha = 4", [(8, 4)]),
        ("run.sh", f"{TRAIN} \\\n  --lora_r 8 --lora_alpha 16", [(8, 16)]),
        ("train.py", "from peft import LoraConfig\nLoraConfig(r=4, lora_alpha=8)", [(4, 8)]),
        ("notes", "lora_r: 16\nlora_alpha: 32", []),
        ("notes.txt", "lora_r: 16\nlora_alpha: 32", []),
        ("config.yaml", "not: {yaml", []),
    ],
)
def test_files_in_a_config_map_are_read(key: str, text: str, expected: list[tuple[object, object]]) -> None:
    indented = "\n".join(f"    {line}" for line in text.splitlines())
    assert facts("configmap.yaml", CONFIG_MAP.format(key, indented)) == expected


def test_a_value_of_a_file_in_a_config_map_stands_where_it_is_written() -> None:
    text = CONFIG_MAP.format("config.yaml", "    base_model: m\n    adapter: lora\n    lora_r: 16\n    lora_alpha: 32")
    (setup,) = setups("configmap.yaml", text)
    assert place(setup.document, "lora_alpha") == (8, "32")
