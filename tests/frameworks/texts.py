"""Files as rows of a table write them: a name and a text."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.frameworks.rows import Row


def toml(*lines: str) -> tuple[str, str]:
    return "train.toml", "\n".join(lines)


def shell(*lines: str) -> tuple[str, str]:
    return "train.sh", " \\\n  ".join(lines)


def saved(**keys: object) -> tuple[str, str]:
    return "config.json", json.dumps(keys)


Table = list[tuple[tuple[str, str], list[Row]]]
"""Files with the sites that are in them."""


def named(tables: Mapping[str, Table]) -> list[Any]:
    """The rows of all tables with the name of their framework, each with an id of its own."""
    return [
        pytest.param(name, file, expected, id=f"{name}-{at}")
        for name, table in tables.items()
        for at, (file, expected) in enumerate(table)
    ]
