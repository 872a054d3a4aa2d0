"""What lora-lint is measured against: general linters in an environment of their own, the smallest typer program."""

import subprocess
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

PEERS = ("check-jsonschema", "yamllint")
SENTRY = ("adaptersentry==2.0.2",)
"""A scanner of adapters that reads all tensors; with its libraries it takes 330 MB."""

SMALLEST = """
import json
from typing import Any

import typer
from pydantic import BaseModel, Field


class Config(BaseModel):
    peft_type: str
    task_type: str | None = None
    base_model_name_or_path: str | None = None
    revision: str | None = None
    inference_mode: bool = False
    auto_mapping: dict[str, Any] | None = None
    r: int = Field(8, gt=0)
    lora_alpha: float = 8
    lora_dropout: float = Field(0, ge=0, lt=1)
    target_modules: list[str] | str | None = None
    modules_to_save: list[str] | None = None
    fan_in_fan_out: bool = False
    bias: str = "none"
    use_rslora: bool = False
    use_dora: bool = False
    init_lora_weights: bool | str = True
    layers_to_transform: list[int] | int | None = None
    layers_pattern: list[str] | str | None = None
    rank_pattern: dict[str, int] = {}
    alpha_pattern: dict[str, float] = {}


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def check(path: str) -> None:
    with open(path) as file:
        config = Config.model_validate(json.load(file))
    print(config.lora_alpha / config.r)


if __name__ == "__main__":
    app()
"""
"""One command and one model of 20 fields: what typer and pydantic cost before anything is linted."""


def installed(peers: Sequence[str] = PEERS, name: str = "lora-lint-bench-peers") -> Path:
    """The programs of an environment with the peers, made once and kept in the system's temporary folder."""
    home = Path(tempfile.gettempdir()) / name
    programs = home / "bin"
    if not all((programs / peer.partition("=")[0]).exists() for peer in peers):
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([programs / "pip", "install", "--quiet", *peers], check=True)
    return programs
