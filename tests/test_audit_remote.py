"""Roots behind URLs: the rows of a folder, few requests and few bytes, and nothing that is a secret."""

import json
import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest

from lora_lint.audit.local import Here
from lora_lint.audit.remote import RemoteError, absolute, is_remote, normal, reason
from lora_lint.audit.roots import Place
from lora_lint.audit.run import Audit, apart
from lora_lint.audit.shares import FOLDERS, ordered
from lora_lint.audit.work import Work
from lora_lint.settings import Settings
from tests.audits import adapter, audited, config, laid_out
from tests.buckets import BUCKET, Server, server, weights
from tests.checkout import ROOT as CHECKOUT
from tests.conftest import Cli, Run
from tests.hub import REPOSITORY, Hub, hub

pytest.importorskip("s3fs", reason="needs the extra remote")
pytest.importorskip("moto", reason="needs the extra test")

ROOT = f"s3://{BUCKET}/x"
CARD = b"---\nbase_model: org/other\n---\n# Card\n"
FILES = {
    "a/adapter_config.json": config(8, 16).encode(),
    "a/adapter_model.safetensors": weights(),
    "b/adapter_config.json": config(8, 8).encode(),
    "b/adapter_model.safetensors": weights(),
    "b/README.md": CARD,
    "c/run/checkpoint-1/adapter_config.json": config(16, 16, use_rslora=True).encode(),
    "c/run/checkpoint-1/optimizer.pt": b"\x80" * 100,
    "c/run/checkpoint-2/adapter_config.json": b'{"peft_type": "LORA", "r": 8',
    "c/train.sh": b"torchrun train.py --use_llm_lora 16\n",
    "d/weights.safetensors": weights(4, 4),
}


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with server() as found:
        yield found


@pytest.fixture
def bucket(running: Server, monkeypatch: pytest.MonkeyPatch, repository_top: Path) -> Server:
    """An S3 server with `FILES`, and the environment that leads there."""
    for name, value in {
        "AWS_ENDPOINT_URL": running.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "sekret-sekret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    running.refused.clear()
    running.empty()
    running.put({f"x/{name}": data for name, data in FILES.items()})
    return running


@pytest.mark.parametrize("workers", [0, 2])
def test_the_rows_are_those_of_a_folder(workers: int, bucket: Server) -> None:
    laid_out("x", FILES)
    rows = audited(ROOT, workers)
    assert rows == audited("x")
    assert [(row.adapter, row.scale, [found.rule for found in row.findings]) for row in rows[:2]] == [
        ("a", 2, []),
        ("b", 1, ["alpha-not-2r", "stale-base-model-metadata"]),
    ]


def test_an_adapter_of_28_mb_takes_two_reads_and_one_percent(bucket: Server) -> None:
    data = weights(224, 16, 2000, "BF16")
    assert len(data) > 28e6
    bucket.put({"big/adapter_config.json": config(16, 32).encode(), "big/adapter_model.safetensors": data})
    (row,) = audited(f"s3://{BUCKET}/big")
    assert (row.modules, row.scale) == (224, 2)
    asked = bucket.taken()
    assert [(path.partition("?")[0], part) for _, path, part, *_ in asked] == [
        ("/adapters", ""),
        ("/adapters/big/adapter_config.json", "bytes=0-126"),
        ("/adapters/big/adapter_model.safetensors", "bytes=0-131071"),
    ]
    assert sum(sent for *_, sent in asked) < 0.01 * len(data)


def test_a_long_header_takes_a_second_read(bucket: Server) -> None:
    data = weights(1000, 1, 1, "BF16")
    end = 8 + int.from_bytes(data[:8], "little")
    assert 131_072 < end < len(data)
    bucket.put({"long/adapter_config.json": config(1, 2).encode(), "long/adapter_model.safetensors": data})
    assert audited(f"s3://{BUCKET}/long")[0].modules == 1000
    assert bucket.reads()[1:] == [
        ("/adapters/long/adapter_model.safetensors", "bytes=0-131071"),
        ("/adapters/long/adapter_model.safetensors", f"bytes=131072-{end - 1}"),
    ]


def test_a_header_that_claims_more_than_is_ever_fetched_is_a_row(bucket: Server) -> None:
    bucket.put({"lie/adapter_model.safetensors": (20 * 2**20).to_bytes(8, "little") + bytes(21 * 2**20)})
    (row,) = audited(f"s3://{BUCKET}/lie")
    assert row.problem == "is not fetched: the header has 20971520 bytes, more than 16777216"
    assert bucket.reads() == [("/adapters/lie/adapter_model.safetensors", "bytes=0-131071")]


def kohya(alpha: float, width: int) -> bytes:
    """Two modules as sd-scripts saves them, in the order of their names, alpha before the weights of each."""
    header: dict[str, object] = {}
    data = b""
    for name in ("k", "v"):
        module = f"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_{name}"
        parts: list[tuple[str, list[int], bytes]] = [
            ("alpha", [], struct.pack("<f", alpha)),
            ("lora_down.weight", [4, width], bytes(16 * width)),
            ("lora_up.weight", [width, 4], bytes(16 * width)),
        ]
        for part, shape, values in parts:
            offsets = [len(data), len(data) + len(values)]
            header[f"{module}.{part}"] = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
            data += values
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_alphas_that_aren_t_fetched_are_unknown_not_zero(bucket: Server) -> None:
    bucket.put({"image/near.safetensors": kohya(4, 320), "image/wide.safetensors": kohya(4, 10_000)})
    near, wide = audited(f"s3://{BUCKET}/image")
    assert (near.file, near.alpha, near.scale, wide.file, wide.rank, wide.alpha, wide.scale) == (
        *("near.safetensors", 4, 1),
        *("wide.safetensors", 4, None, None),
    )
    assert (wide.undecided or "").endswith(".alpha is 0 or can't be read")
    assert [found.rule for found in wide.findings] == []


def test_listings_come_by_pages(bucket: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put({f"many/{number}/adapter_config.json": config(8, 16).encode() for number in range(12)})
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "5")
    assert len(audited(f"s3://{BUCKET}/many")) == 12
    assert sum("prefix=many%2F&" in path for _, path, *_ in bucket.taken()) == 3


def test_what_is_unchanged_costs_one_listing(bucket: Server) -> None:
    first = audited(ROOT, store="audit.db")
    bucket.taken()
    assert audited(ROOT, store="audit.db") == first
    assert bucket.reads() == []
    bucket.put({"x/b/adapter_config.json": config(8, 16).encode()})
    changed = audited(ROOT, store="audit.db")
    assert [row.scale for row in changed] == [2, 2, *(row.scale for row in first[2:])]
    assert [path for path, _ in bucket.reads()] == [
        "/adapters/x/b/README.md",
        "/adapters/x/b/adapter_config.json",
        "/adapters/x/b/adapter_model.safetensors",
    ]


@pytest.mark.parametrize(
    ("refused", "file", "problem"),
    [
        ("x/b/adapter_model", "b/adapter_config.json", "adapter_model.safetensors: can't be fetched: access is denied"),
        ("x/b/adapter_config", "b/adapter_config.json", "can't be fetched: access is denied"),
        ("x/b/adapter", "b/adapter_config.json", "can't be fetched: access is denied"),
        ("x/d/", "d/weights.safetensors", "can't be fetched: access is denied"),
        ("prefix=x%2Fb", "b", "could not be gone through: can't be listed: access is denied"),
    ],
)
def test_an_object_that_fails_is_one_row(refused: str, file: str, problem: str, bucket: Server) -> None:
    good = audited(ROOT)
    bucket.refused.append(refused)
    rows = audited(ROOT)
    folder = file.partition("/")[0]
    assert [(row.file, row.problem) for row in rows if row.file.partition("/")[0] == folder] == [(file, problem)]
    assert [row for row in rows if row.file[0] != folder] == [row for row in good if row.file[0] != folder]


def test_a_folder_that_cannot_be_listed_is_neither_gone_nor_forgotten(bucket: Server, run: Run) -> None:
    given = ("audit", ROOT, "--workers", "0", "--store", "s.db", "--against", "s.db", "--format", "json")
    first = run(*given[:6], *given[-2:]).data["rows"]
    bucket.refused.append("prefix=x%2Fb")
    broken = run(*given).data
    assert {row["problem"] for row in broken["rows"] if row["adapter"] == "b"} == {
        "could not be gone through: can't be listed: access is denied"
    }
    assert broken["summary"]["changes"]["gone"] == 0
    bucket.refused.clear()
    bucket.taken()
    again = run(*given).data
    assert (again["rows"], bucket.reads()) == (first, [])
    assert again["summary"]["changes"]["new"] == 0


def test_no_secret_is_told(bucket: Server, run: Run) -> None:
    bucket.refused += ["x/b/adapter_model", "prefix=x%2Fc%2F"]
    done = run("audit", ROOT, "--workers", "0", "-v", "--format", "json", "--store", "s.db", "--table", "t.csv")
    assert done.status == 2
    written = done.out + done.err + Path("t.csv").read_text("utf-8") + "\n".join(sqlite3.connect("s.db").iterdump())
    assert "access is denied" in written
    assert [
        word for word in ("5ec2e7", "Signature", "hf_secret", "sekret", "adapters.example") if word in written
    ] == []


def test_what_failed_is_asked_for_again(bucket: Server) -> None:
    bucket.refused.append("x/b/adapter_model")
    assert audited(ROOT, store="audit.db")[1].problem is not None
    bucket.refused.clear()
    bucket.taken()
    assert audited(ROOT, store="audit.db")[1].scale == 1
    assert {path.split("/")[3] for path, _ in bucket.reads()} == {"b"}


def test_nothing_that_a_file_names_is_fetched(bucket: Server) -> None:
    files = {
        "adapter_config.json": config(8, 16, base_model_name_or_path="../a").encode(),
        "adapter_model.safetensors.index.json": b'{"weight_map": {"w": "../a/adapter_model.safetensors"}}',
        "run.yaml": b"defaults: [../a]\nbase_model: s3://adapters/x/a\nadapter: lora\nlora_r: 8\nlora_alpha: 16\n",
    }
    bucket.put({f"named/{name}": data for name, data in files.items()})
    audited(f"s3://{BUCKET}/named")
    asked = bucket.taken()
    assert [path for _, path, *_ in asked[1:]] == [f"/adapters/named/{name}" for name in files]


def test_names_that_no_file_can_have_are_left_out(bucket: Server) -> None:
    good = config(8, 16).encode()
    names = ("odd/../adapter_config.json", "odd//adapter_config.json", f"odd/{'n' * 300}.json", "odd/.git/a.json")
    bucket.put(dict.fromkeys((*names, "odd/both", "odd/both/adapter_config.json"), good))
    whole = Audit([f"s3://{BUCKET}/odd"], Settings(), 0)
    assert [row.file for rows in whole for row in rows] == ["both/adapter_config.json"]
    assert sum(whole.tally.skipped.values()) >= 4
    assert not Path("adapter_config.json").exists()


def test_excludes_and_overrides_hold_below_the_root(bucket: Server) -> None:
    overrides = [{"paths": ["b/**"], "policy": "r"}]
    settings = Settings.model_validate({"exclude": ["c/**"], "overrides": overrides})
    rows = [row for found in Audit([ROOT], settings, 0) for row in found]
    assert [(row.adapter, row.holds) for row in rows] == [
        ("a", True),
        ("b", True),
        ("d/weights.safetensors", None),
    ]


def test_several_roots_keep_their_names(bucket: Server) -> None:
    rows = [row for found in Audit([f"{ROOT}/a", f"{ROOT}/b/", ROOT + "/a"], Settings(), 0) for row in found]
    assert [row.adapter for row in rows] == [f"{ROOT}/a", f"{ROOT}/b"]


def on_hub(found: Hub) -> dict[str, str]:
    return {"HF_ENDPOINT": found.url, "HF_TOKEN": "hf_sekret", "HF_HUB_DISABLE_TELEMETRY": "1"}


def test_a_hub_is_read_with_ranges(cli: Cli) -> None:
    files = {**{name: data for name, data in FILES.items() if name[0] in "ab"}, "tokenizer.json": b" " * 2_000_000}
    with hub({REPOSITORY: files}) as found:
        done = cli("audit", f"hf://{REPOSITORY}", "--format", "json", "--workers", "0", env=on_hub(found))
    assert [(row["adapter"], row["scale"]) for row in done.data["rows"]] == [("a", 2), ("b", 1)]
    assert "sekret" not in done.out + done.err
    reads = [(path.partition("/main/")[2], part) for path, part in found.asked if "/resolve/" in path]
    assert sorted(reads) == sorted((name, f"bytes=0-{len(data) - 1}") for name, data in files.items() if "/" in name)


OWNED = {
    "org/whole": {"adapter_config.json": config(8, 16).encode(), "adapter_model.safetensors": weights()},
    "other/not-asked-for": {"adapter_config.json": config(8, 1).encode()},
    "org/build": {"seed-1/adapter_config.json": config(8, 16).encode(), "seed-2/adapter_config.json": b"{"},
    "org/a.model": {"config.json": b'{"model_type": "llama"}', "README.md": b"# A model\n"},
    "org/gated": {"adapter_config.json": config(4, 8).encode()},
    "org/alpha-r": {"adapter_config.json": config(8, 8).encode()},
}
"""Three pages of the models of `org`, in the order of the hub."""


@pytest.mark.parametrize("hands", [["--workers", "0"], ["--workers", "2"], ["--workers", "2", "--engine", "ray"]])
def test_an_owner_s_models_are_audited_one_after_the_other(hands: list[str], cli: Cli) -> None:
    if "ray" in hands:
        pytest.importorskip("ray")
    with hub(OWNED) as found:
        found.refused.append("/org/gated/resolve")
        more = ("--format", "json", *hands, "--table", "t.csv", "--store", "s.db")
        done = cli("audit", "hf://org/", *more, env=on_hub(found))
        assert [(row["file"], row["scale"], row["problem"]) for row in done.data["rows"]] == [
            ("whole/adapter_config.json", 2, None),
            ("build/seed-1/adapter_config.json", 2, None),
            ("build/seed-2/adapter_config.json", None, "not JSON: expecting property name enclosed in double quotes"),
            ("gated/adapter_config.json", None, "can't be fetched: access is denied"),
            ("alpha-r/adapter_config.json", 1, None),
        ]
        assert [row["adapter"] for row in done.data["rows"]][:2] == ["whole", "build/seed-1"]
        assert [path for path in found.listings() if "cursor" in path] == [
            "/api/models?author=org&cursor=2",
            "/api/models?author=org&cursor=4",
        ]
        assert "sekret" not in done.out + done.err + Path("t.csv").read_text("utf-8")
        found.asked.clear()
        again = cli("audit", "hf://org", *more, env=on_hub(found))
        assert again.data["rows"] == done.data["rows"]
        assert {path.split("/")[2] for path, _ in found.asked if "/resolve/" in path} == {"gated"}


def test_an_owner_and_one_of_its_models_are_one_root(cli: Cli) -> None:
    with hub(OWNED) as found:
        given = ("hf://org/whole", "hf://other", "hf://org")
        done = cli("audit", *given, "--format", "json", "--workers", "0", env=on_hub(found))
    assert [row["adapter"] for row in done.data["rows"]] == [
        "hf://other/not-asked-for",
        *(f"hf://org/{name}" for name in ("whole", "build/seed-1", "build/seed-2")),
        *(f"hf://org/{name}" for name in ("gated", "alpha-r")),
    ]


@pytest.mark.parametrize(
    ("owner", "refused", "message"),
    [
        ("nobody", "", "hf://nobody: the hub lists no models of such an owner"),
        ("org", "/api/models", "hf://org: can't be listed: access is denied"),
    ],
)
def test_an_owner_without_models_is_misuse(owner: str, refused: str, message: str, cli: Cli) -> None:
    with hub(OWNED) as found:
        found.refused += [refused] if refused else []
        done = cli("audit", f"hf://{owner}", env=on_hub(found))
    assert (done.status, done.out, done.err.strip().endswith(message)) == (2, "", True)


def test_a_listing_that_breaks_off_is_a_row_and_nothing_is_forgotten(cli: Cli) -> None:
    with hub(OWNED) as found:
        given = ("audit", "hf://org", "--format", "json", "--workers", "0", "--store", "s.db", "--exit-zero")
        whole = cli(*given, env=on_hub(found))
        found.refused.append("cursor=4")
        broken = cli(*given, "--against", "s.db", "-v", env=on_hub(found))
        found.refused.clear()
        found.asked.clear()
        again = cli(*given, env=on_hub(found))
    assert (whole.status, broken.status, again.status) == (0, 2, 0)
    assert [(row["adapter"], row["problem"]) for row in broken.data["rows"] if row["framework"] is None][1:] == [
        ("hf://org", "could not be gone through: can't be listed: access is denied")
    ]
    assert broken.data["summary"]["changes"]["gone"] == 0
    assert "hf_secret" not in broken.out + broken.err
    assert again.data["rows"] == whole.data["rows"]
    assert [path for path, _ in found.asked if "/resolve/" in path] == []


def test_what_is_coming_is_asked_for_as_it_is_needed(repository_top: Path) -> None:
    adapter("a")
    endless = (Place("a", "folder") for _ in count())
    work = Work(Settings(), ("a",), ("",))
    taken = [outcome for _, outcome in islice(ordered([(0, endless)], Here(work)), 3)]
    assert [len(outcome.items) for outcome in taken] == [FOLDERS, FOLDERS, FOLDERS]


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("http://host/x?token=sekret", "http://: there are no such roots; there are s3://, gs://, hf://"),
        ("s3://", "s3://: names no bucket or repository"),
        (
            "s3://key:sekret@bucket/x",
            "s3://: only a bucket and a path are read; credentials are the library's own business",
        ),
        ("s3://bucket/x?X-Amz-Signature=sekret", "s3://: only a bucket and a path are read; credentials are the libr"),
        ("hf://user:hf_sekret@org/name", "hf://: only a bucket and a path are read; credentials are the library's own"),
        ("s3://key:sekret/x", "s3://: has a part that is no name of a folder"),
        ("gs://bucket/../x", "gs://: has a part that is no name of a folder"),
        ("hf://hf_sekret", "hf://: names no repository, as hf://ORGANISATION/NAME does, nor those of an ORGANISATION"),
        ("hf://datasets", "hf://: names no repository, as hf://ORGANISATION/NAME does"),
        ("hf://datasets/org", "hf://: names no repository, as hf://ORGANISATION/NAME does"),
        ("hf://org@v1", "hf://: names no repository, as hf://ORGANISATION/NAME does"),
    ],
)
def test_a_root_that_can_t_be_used_is_refused_without_repeating_it(root: str, message: str, run: Run) -> None:
    with pytest.raises(RemoteError) as error:
        normal(root)
    assert str(error.value).startswith(message)
    done = run("audit", root, "--workers", "0")
    assert (done.status, "sekret" in done.out + done.err) == (2, False)


@pytest.mark.parametrize(
    ("root", "package", "message"),
    [
        ("s3://bucket/x", "s3fs", "s3:// needs fsspec and s3fs; the extra has it: pip install 'lora-lint[remote]'"),
        ("hf://org/name", "huggingface_hub", "hf:// needs fsspec and huggingface_hub; the extra has it: pip install"),
        ("gs://bucket/x", "gcsfs", "gs:// needs fsspec and gcsfs; the extra has it: pip install"),
        ("s3://bucket/x", "fsspec", "s3:// needs fsspec and s3fs; the extra has it"),
    ],
)
def test_a_library_that_isn_t_there_is_named(root: str, package: str, message: str, tmp_path: Path) -> None:
    code = "import sys; sys.modules[sys.argv.pop(1)] = None; from lora_lint.cli import main; main()"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-c", code, package, "audit", root]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, message in done.stderr) == (2, True)


def test_a_root_that_isn_t_there_is_misuse(bucket: Server, run: Run) -> None:
    done = run("audit", f"s3://{BUCKET}/nothing")
    assert (done.status, "s3://adapters/nothing: can't be reached: there is no such object" in done.err) == (2, True)
    done = run("audit", f"{ROOT}/a/adapter_config.json")
    assert (done.status, "is one object; name the folder that it is in" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("s3://b/x/", "s3://b/x"),
        ("hf://org/name@v1/", "hf://org/name@v1"),
        ("hf://org/", "hf://org"),
        ("gs://b//x", "gs://b/x"),
    ],
)
def test_what_a_root_is_known_as(given: str, known: str) -> None:
    assert (is_remote(given), absolute(given)) == (True, known)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["hf://org/name", "hf://org/"], ["hf://org"]),
        (["hf://org", "hf://org/name@v1"], ["hf://org", "hf://org/name@v1"]),
        (["s3://b/x@v1", "s3://b"], ["s3://b"]),
    ],
)
def test_what_lies_below_another_root_is_named_once(given: list[str], kept: list[str]) -> None:
    assert list(apart(given)) == kept


class ReadTimeoutError(Exception): ...


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError("https://x/?Signature=s"), "there is no such object"),
        (PermissionError("sekret"), "access is denied"),
        (OSError("Forbidden: sekret"), "access is denied"),
        (OSError(5, "sekret"), "input/output error"),
        (OSError("sekret"), "OSError"),
        (ReadTimeoutError("sekret"), "no answer came in time"),
        (ValueError("sekret"), "ValueError"),
    ],
)
def test_reasons_are_not_the_library_s_words(error: Exception, told: str) -> None:
    assert reason(error) == told


def test_verify_fetches_weights_whole(bucket: Server) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra torch")
    assert torch is not None
    (row,) = [row for rows in Audit([f"{ROOT}/a"], Settings(), 0, verify=True) for row in rows]
    assert (row.scale, row.problem) == (2, None)
    reads = [(path, status) for method, path, _, status, _ in bucket.taken() if method == "GET" and "?" not in path]
    assert reads == [("/adapters/x/a/adapter_config.json", 206), ("/adapters/x/a/adapter_model.safetensors", 200)]
