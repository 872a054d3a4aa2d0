"""Roots in Google's storage: the rows of a folder, few requests and few bytes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audits import audited, config, laid_out
from tests.buckets import BUCKET, weights
from tests.conftest import Run
from tests.gcs import Google, google

# When gcsfs is imported: what kind of bucket it is would be asked for by gRPC, which the server doesn't speak.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
pytest.importorskip("gcsfs", reason="needs the extra remote")
pytest.importorskip("gcp_storage_emulator", reason="needs the extra test")

ROOT = f"gs://{BUCKET}/x"
FILES = {
    "a/adapter_config.json": config(8, 16).encode(),
    "a/adapter_model.safetensors": weights(),
    "b/README.md": b"---\nbase_model: org/other\n---\n# Card\n",
    "b/adapter_config.json": config(8, 8).encode(),
    "c/run/checkpoint-1/adapter_config.json": config(16, 16, use_rslora=True).encode(),
    "c/run/checkpoint-2/adapter_config.json": b'{"peft_type": "LORA", "r": 8',
    "d/weights.safetensors": weights(4, 4),
}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, repository_top: Path) -> Iterator[Google]:
    """A server with `FILES`, and the environment that leads there."""
    with google() as running:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", running.url)
        running.put({f"x/{name}": data for name, data in FILES.items()})
        yield running


@pytest.mark.parametrize("workers", [0, 2])
def test_the_rows_are_those_of_a_folder(workers: int, bucket: Google) -> None:
    laid_out("x", FILES)
    rows = audited(ROOT, workers)
    assert rows == audited("x")
    assert [(row.adapter, row.scale, [found.rule for found in row.findings]) for row in rows[:2]] == [
        ("a", 2, []),
        ("b", 1, ["alpha-not-2r"]),
    ]


def test_an_adapter_of_28_mb_takes_two_reads(bucket: Google) -> None:
    bucket.put({"big/adapter_config.json": config(16, 32).encode()})
    bucket.put({"big/adapter_model.safetensors": weights(224, 16, 2000, "BF16")})
    (row,) = audited(f"gs://{BUCKET}/big")
    assert (row.modules, row.scale) == (224, 2)
    assert len(bucket.asked) == 3
    assert bucket.reads() == [
        ("big/adapter_config.json", "bytes=0-126"),
        ("big/adapter_model.safetensors", "bytes=0-131071"),
    ]


def test_what_is_unchanged_costs_one_listing(bucket: Google) -> None:
    first = audited(ROOT, store="audit.db")
    bucket.asked.clear()
    assert audited(ROOT, store="audit.db") == first
    assert bucket.reads() == []
    bucket.put({"x/b/adapter_config.json": config(8, 16).encode()})
    changed = audited(ROOT, store="audit.db")
    assert [row.scale for row in changed] == [2, 2, *(row.scale for row in first[2:])]
    assert [name for name, _ in bucket.reads()] == ["x/b/README.md", "x/b/adapter_config.json"]


def test_a_refusal_is_a_row_that_tells_no_secret(bucket: Google, run: Run) -> None:
    bucket.refused.append("x/b/adapter_config")
    done = run("audit", ROOT, "--workers", "0", "--format", "json", "-v")
    assert [(row["file"], row["problem"]) for row in done.data["rows"]][1] == (
        "b/adapter_config.json",
        "can't be fetched: access is denied",
    )
    assert "hf_secret" not in done.out + done.err


def test_a_root_that_isn_t_there_is_misuse(bucket: Google, run: Run) -> None:
    done = run("audit", f"gs://{BUCKET}/nothing")
    assert (
        done.status,
        done.err.strip().endswith("gs://adapters/nothing: can't be reached: there is no such object"),
    ) == (
        2,
        True,
    )
