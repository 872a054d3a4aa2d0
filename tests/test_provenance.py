"""Tokens in texts, base models by their spelling, and what a model card says."""

import json
from pathlib import Path

import pytest

from lora_lint.base_name import BaseName, where
from lora_lint.credentials import credentials
from lora_lint.document import Source
from lora_lint.folder import Folder
from lora_lint.linter import lint
from lora_lint.reporters import FORMATS
from tests.conftest import Cli
from tests.tensors import write_safetensors

LETTERS = "QmZpLwKvRtYbNcXsGdJfHuEiOaTyWqUzVk"
DIGITS = "3f9a1c7be2d84065af13c92e7b5d08416a2fce97"
# Put together here, so that no scanner of this repository takes them for real ones.
HF = "hf_" + LETTERS


@pytest.mark.parametrize(
    ("text", "kind", "token"),
    [
        (f"token: {HF}", "Hugging Face token", HF),
        (f'"api_org_{LETTERS}"', "Hugging Face token", f"api_org_{LETTERS}"),
        (f"--hub_token={HF} \\", "Hugging Face token", HF),
        (f"wandb login {DIGITS}", "W&B key", DIGITS),
        (f'os.environ[\\"WANDB_API_KEY\\"] = \\"{DIGITS}\\"', "W&B key", DIGITS),
        (f"wandb.login(key='{DIGITS}')", "W&B key", DIGITS),
        ("key=sk-" + LETTERS[:20] + "T3BlbkFJ" + LETTERS[:20], "OpenAI key", None),
        ("key=sk-proj-" + LETTERS + "T3BlbkFJ" + LETTERS, "OpenAI key", None),
        ("key=sk-" + DIGITS[:32], "API key", None),
        ("https://ghp_" + LETTERS + "a1@github.com/org/repo", "GitHub token", None),
        ("AWS_ACCESS_KEY_ID=AKIA" + "Q3ZLWKVRTYBNCXSG", "AWS access key", None),
        ("r8_" + LETTERS + "a1b", "Replicate token", None),
    ],
)
def test_a_token_is_known_by_its_form(text: str, kind: str, token: str | None) -> None:
    (found,) = credentials(text)
    assert found.kind == kind
    if token is not None:
        assert text[slice(*found.span)] == token


def test_tokens_are_told_once_each_and_no_more_than_twenty_of_a_kind() -> None:
    both = f"WANDB_API_KEY={DIGITS}\nwandb login {DIGITS[::-1]}\n{HF}"
    assert [one.kind for one in credentials(both)] == ["Hugging Face token", "W&B key", "W&B key"]
    assert len(list(credentials(f"{HF}\n" * 30))) == 20


@pytest.mark.parametrize(
    "text",
    [
        "token: hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "token: hf_yourHuggingFaceTokenGoesInHerePleaseX",
        "token: hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
        "token: hf_...",
        "token: <token>",
        "token: ${HF_TOKEN}",
        "hf_model_name_or_path: org/model",
        f"hf_{LETTERS}more",
        f"self_{HF}",
        f"commit {DIGITS}",
        f"wandb: {DIGITS}",
        f"WANDB_API_KEY=\nCOMMIT={DIGITS}",
        "WANDB_API_KEY=" + "0" * 40,
        "WANDB_API_KEY=your_key_here",
        "AWS_ACCESS_KEY_ID=AKIA" + "IOSFODNN7EXAMPLE",
        "sk-learn-contrib and sk-" + "a" * 32,
    ],
)
def test_what_stands_in_for_a_token_or_resembles_one_is_none(text: str) -> None:
    assert list(credentials(text)) == []


AXOLOTL = "base_model: org/model\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n"
CELLS = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": ["LoraConfig(r=8)\n", f"login('{HF}')\n"]}]
NOTEBOOK = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": CELLS}


@pytest.mark.parametrize(
    ("name", "text", "line", "column"),
    [
        ("a.yaml", f"{AXOLOTL}hub_token: {HF}\n", 5, 12),
        ("a.yaml", f"# {HF}\n{AXOLOTL}", 1, 3),
        ("a.json", f'{{"peft_type": "LORA", "r": 8, "lora_alpha": 16,\n "token": "{HF}"}}', 2, 12),
        ("a.sh", f"export T={HF}\ntrl sft --use_peft --lora_r 8 --lora_alpha 16 --dataset_name d\n", 1, 10),
        ("a.py", f"login('{HF}')\nLoraConfig(r=8, lora_alpha=16)\n", 1, 8),
        ("a.ipynb", json.dumps(NOTEBOOK, indent=1), 12, 13),
        ("a.toml", f'# é {HF}\nnetwork_module = "networks.lora"\nnetwork_dim = 8\n', 1, 5),
    ],
)
def test_a_token_is_placed_exactly_in_every_syntax(
    name: str, text: str, line: int, column: int, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    (found,) = lint([str(tmp_path)], select=["hard-coded-token"]).diagnostics
    assert (found.range.start, found.range.end) == ((line, column), (line, column + len(HF)))
    assert LETTERS not in repr(found.message) + repr(found.source_lines)


@pytest.mark.parametrize("form", FORMATS)
def test_no_report_repeats_a_token_that_stands_beside_another_finding(form: str, here: Path, cli: Cli) -> None:
    (here / "a.sh").write_text(f"HF_TOKEN={HF} trl sft --use_peft --lora_r 8 --lora_alpha 8 --dataset_name d\n")
    done = cli("check", "--format", form, "a.sh", env={"FORCE_COLOR": "1", "COLUMNS": "200"})
    assert "scale is 1" in done.out
    assert LETTERS not in done.out


def test_a_line_shows_asterisks_in_place_of_a_token() -> None:
    assert Source("a.sh", f"one\nT={HF} run\n").line(2) == "T=************************************* run"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("meta-llama/Llama-3.1-8B", "hub"),
        ("gpt2", "unclear"),
        ("accounts/fireworks/models/llama", "unclear"),
        ("https://huggingface.co/org/model", "unclear"),
        ("s3://bucket/org/model", "unclear"),
        ("/home/ada/llama", "path"),
        ("~/llama", "path"),
        ("./llama", "path"),
        ("../llama", "path"),
        (r"C:\models\llama", "path"),
        ("D:/models/llama", "path"),
        (r"models\llama", "path"),
        ("ckpt/llama/final", "path"),
        ("models/llama", "path"),
        ("run7/checkpoint-500", "path"),
        ("", "nowhere"),
        ("a" * 2000, "unclear"),
    ],
)
def test_a_base_model_is_a_path_or_an_id_by_its_spelling(name: str, place: str) -> None:
    assert where(name) == place


@pytest.mark.parametrize(
    ("path", "repository"),
    [
        ("/root/.cache/huggingface/hub/models--meta-llama--Llama-3.2-1B/snapshots/221e", "meta-llama/Llama-3.2-1B"),
        (r"D:\hub\models--org--name.v2-a\snapshots\1", "org/name.v2-a"),
        ("/root/hub/models--gpt2/snapshots/1", ""),
        ("/root/llama", ""),
    ],
)
def test_a_path_into_a_cache_tells_the_repository(path: str, repository: str) -> None:
    assert BaseName(path, (), "path").repository == repository


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ("---\nlicense: mit\nbase_model: org/a\n---\n# Card\n", [("org/a", 3)]),
        ("---\r\nbase_model: org/a\r\n---\r\n", [("org/a", 2)]),
        ("---\nbase_model:\n- org/a\n- org/b\n---\n", [("org/a", 3), ("org/b", 4)]),
        ("---\nbase_model: [org/a]\n---\n", [("org/a", 2)]),
        ("---\nbase_model: 3\n---\n", []),
        ("---\nbase_model: {a: b}\n---\n", []),
        ("---\nbase_model: [unclosed\n---\n", []),
        ("---\nlicense: mit\n---\nbase_model: org/a\n", []),
        ("base_model: org/a\n", []),
        ("---\nbase_model: org/a\n", []),
        ("", []),
    ],
)
def test_the_head_of_a_card_names_base_models(card: str, said: list[tuple[str, int]], tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card, "utf-8", newline="")
    assert list(Folder(str(tmp_path / "adapter_config.json")).card_base_models) == said


def test_the_metadata_of_many_tensors_is_looked_at(tmp_path: Path) -> None:
    table = {f"lora_unet_{at}.lora_down.weight": ("F32", (1, 1)) for at in range(3_000)}
    write_safetensors(tmp_path / "lora.safetensors", table, {"ss_output_dir": "/home/ada/loras"})
    (found,) = lint([str(tmp_path)], select=["private-path"]).diagnostics
    assert found.message == "ss_output_dir tells the home folder /home/ada to whoever gets the adapter"
