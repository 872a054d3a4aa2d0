"""The weights beside a config, and the LoRA modules that real adapters consist of."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lora_lint.checkpoint import LoraModule, beside, tensor_modules
from lora_lint.linter import lint
from lora_lint.tensors import Checkpoint, Tensor
from tests.tensors import Table, write_safetensors

SOUND: Table = {
    "base_model.model.q.lora_A.weight": ("F32", (8, 64)),
    "base_model.model.q.lora_B.weight": ("F32", (64, 8)),
}
SINGLE = "adapter_model.safetensors"
INDEX = "adapter_model.safetensors.index.json"


def beside_adapter(folder: Path) -> Checkpoint:
    checkpoint = beside(str(folder / "adapter_config.json"))
    assert checkpoint is not None
    return checkpoint


def write_index(folder: Path, *shards: object) -> None:
    weight_map = {f"tensor.{number}": shard for number, shard in enumerate(shards)}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


# What there is.


@pytest.mark.parametrize(
    ("config", "present", "files"),
    [
        ("adapter_config.json", [], None),
        ("adapter_config.json", ["model.safetensors"], None),
        ("adapter_config.json", [SINGLE], (SINGLE,)),
        ("adapter_config.json", [SINGLE, "adapter_model.bin"], (SINGLE,)),
        ("adapter_config.json", ["adapter_model.bin"], ("adapter_model.bin",)),
        ("config.json", [SINGLE], None),
        ("config.json", ["model.safetensors"], ("model.safetensors",)),
        ("config.json", ["adapter_model.bin", "pytorch_model.bin"], ("pytorch_model.bin",)),
        ("config.json", ["model.safetensors", "pytorch_model.bin"], ("model.safetensors",)),
        ("adapter_config.json", ["adapters.safetensors"], ("adapters.safetensors",)),
        ("adapter_config.json", ["adapter.safetensors", "pytorch_adapter.bin"], ("adapter.safetensors",)),
        ("adapter_config.json", ["pytorch_adapter.bin"], ("pytorch_adapter.bin",)),
        ("adapter_config.json", ["adapter_model.pt", SINGLE], (SINGLE,)),
        ("adapter_config.json", ["adapter_model.pt"], ("adapter_model.pt",)),
        ("hyperparameters.yaml", ["lit_model.pth.lora"], ("lit_model.pth.lora",)),
        ("lora.yaml", [SINGLE, "model.safetensors"], None),
    ],
)
def test_the_weights_of_a_config_are_found_by_name(
    config: str, present: list[str], files: tuple[str, ...] | None, tmp_path: Path
) -> None:
    for name in present:
        write_safetensors(tmp_path / name, SOUND)
    checkpoint = beside(str(tmp_path / config))
    assert (checkpoint and checkpoint.files) == files


def test_tensors_and_metadata_come_from_the_header(tmp_path: Path) -> None:
    write_safetensors(tmp_path / SINGLE, SOUND, {"format": "pt"})
    checkpoint = beside_adapter(tmp_path)
    name = "base_model.model.q.lora_A.weight"
    assert checkpoint.tensors[name] == Tensor(name, "F32", (8, 64), SINGLE)
    assert checkpoint.metadata == {"format": "pt"}
    assert not checkpoint.problems


def test_a_pickled_adapter_that_leads_out_is_named_and_never_opened(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").symlink_to("/dev/zero")
    assert beside_adapter(tmp_path) == Checkpoint(("adapter_model.bin",), {}, {})


def test_a_config_in_the_current_folder_has_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_safetensors(tmp_path / SINGLE, SOUND)
    monkeypatch.chdir(tmp_path)
    checkpoint = beside("adapter_config.json")
    assert checkpoint is not None
    assert len(checkpoint.tensors) == 2


def test_shards_are_read_together(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write_safetensors(tmp_path / "one.safetensors", {"a": ("F32", (1,)), "both": ("F32", (1,))})
    write_safetensors(tmp_path / "sub" / "two.safetensors", {"b": ("F16", (2,)), "both": ("F32", (2,))})
    weight_map = {"a": "one.safetensors", "b": "sub/two.safetensors", "both": "sub/two.safetensors"}
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    checkpoint = beside_adapter(tmp_path)
    assert checkpoint.files == ("one.safetensors", "sub/two.safetensors")
    assert {tensor.name: tensor.file for tensor in checkpoint.tensors.values()} == weight_map


# What is wrong with it.


def test_shards_that_are_not_there_are_missing(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "one.safetensors", SOUND)
    write_index(tmp_path, "one.safetensors", "two.safetensors", "two.safetensors")
    checkpoint = beside_adapter(tmp_path)
    assert (checkpoint.files, checkpoint.missing_shards) == (("one.safetensors",), ("two.safetensors",))


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../outside.safetensors",
        "sub/../../outside.safetensors",
        "sub\\..\\outside.safetensors",
        "C:outside.safetensors",
        "\\\\server\\share\\outside.safetensors",
        "//server/share/outside.safetensors",
        "nul\0byte.safetensors",
        "half\ud800.safetensors",
        "",
        "link.safetensors",
        "folder/outside.safetensors",
    ],
)
def test_shards_outside_the_folder_are_never_opened(name: str, tmp_path: Path) -> None:
    write_safetensors(tmp_path / "outside.safetensors", SOUND)
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "link.safetensors").symlink_to(tmp_path / "outside.safetensors")
    (folder / "folder").symlink_to(tmp_path)
    write_index(folder, name)
    checkpoint = beside_adapter(folder)
    assert checkpoint == Checkpoint((), {}, {}, escaping_shards=(name,))


@pytest.mark.parametrize("name", [SINGLE, INDEX])
def test_a_link_out_of_the_folder_is_not_followed(name: str, tmp_path: Path) -> None:
    write_safetensors(tmp_path / "outside", SOUND)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / name).symlink_to(tmp_path / "outside")
    assert beside_adapter(tmp_path / "adapter") == Checkpoint((), {}, {}, escaping_shards=(name,))


def test_links_to_the_blobs_of_a_hugging_face_cache_are_followed(tmp_path: Path) -> None:
    model = tmp_path / "models--org--name"
    snapshot = model / "snapshots" / "0123abcd"
    (model / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    write_safetensors(model / "blobs" / "ffff", SOUND)
    write_safetensors(tmp_path / "outside", SOUND)
    (snapshot / "one.safetensors").symlink_to("../../blobs/ffff")
    (snapshot / "two.safetensors").symlink_to("../../../outside")
    write_index(snapshot, "one.safetensors", "two.safetensors")
    checkpoint = beside_adapter(snapshot)
    assert (checkpoint.files, checkpoint.escaping_shards) == (("one.safetensors",), ("two.safetensors",))


def cut(path: Path) -> None:
    write_safetensors(path, SOUND, cut=8)


def repeated(path: Path) -> None:
    write_safetensors(path, {"a": ("F32", (0,)), "b": ("F32", (0,))})
    path.write_bytes(path.read_bytes().replace(b'"b"', b'"a"'))


def unreadable(path: Path) -> None:
    write_safetensors(path, SOUND)
    path.chmod(0)


BROKEN: dict[str, tuple[Callable[[Path], Any], str, bool]] = {
    "cut": (cut, "the header describes 4096 bytes of data, the file holds 4088", True),
    "empty": (Path.touch, "is empty", True),
    "a directory": (Path.mkdir, "is a directory, not a file", True),
    "a link to itself": (
        lambda path: path.symlink_to(path.name),
        "can't be read: too many levels of symbolic links",
        True,
    ),
    "a link to nothing": (lambda path: path.symlink_to("gone"), "is a link to a file that isn't there", True),
    "a name twice": (repeated, "has the tensor 'a' twice; loaders take the last one", False),
    "no permission": (unreadable, "can't be read: permission denied", True),
}


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("indexed", [False, True])
def test_a_broken_file_is_a_problem_and_no_failure(fault: str, indexed: bool, tmp_path: Path) -> None:
    if fault == "no permission" and os.geteuid() == 0:
        pytest.skip("root reads everything")
    make, message, lost = BROKEN[fault]
    name = "one.safetensors" if indexed else SINGLE
    make(tmp_path / name)
    if indexed:
        write_index(tmp_path, name)
    checkpoint = beside_adapter(tmp_path)
    assert [(file, problem.message) for file, problem in checkpoint.problems] == [(name, message)]
    assert checkpoint.unreadable == lost
    assert checkpoint.files == (name,)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"{", "is not JSON: expecting property name enclosed in double quotes"),
        (b"\xff", "is not UTF-8: byte 0xff at 0"),
        (b"[" * 100_000, "is not read: nested too deep"),
        (b"[]", "has no weight_map, which says what tensor is in what file"),
        (b"{}", "has no weight_map, which says what tensor is in what file"),
        (b'{"weight_map": ["a"]}', "has no weight_map, which says what tensor is in what file"),
        (b'{"weight_map": {"a": 1}}', "weight_map has no file name under 'a'"),
    ],
)
def test_a_bad_index_is_a_problem(index: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(index)
    checkpoint = beside_adapter(tmp_path)
    assert [(file, problem.message) for file, problem in checkpoint.problems] == [(INDEX, message)]
    assert checkpoint.unreadable


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_an_index_that_is_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / INDEX)
    assert beside_adapter(tmp_path).problems[0][1].message == "is not a regular file"


# Names of tensors.


def modules(**shapes: tuple[int, ...]) -> list[LoraModule]:
    tensors = {name: Tensor(name, "F32", shape, SINGLE) for name, shape in shapes.items()}
    return list(tensor_modules(Checkpoint((SINGLE,), tensors, {})))


@pytest.mark.parametrize(
    ("name", "module", "adapter", "role"),
    [
        ("base_model.model.model.layers.0.q_proj.lora_A.weight", "model.layers.0.q_proj", "", "a"),
        ("base_model.model.model.layers.0.q_proj.lora_B.weight", "model.layers.0.q_proj", "", "b"),
        ("base_model.model.q.lora_A.default.weight", "q", "default", "a"),
        ("base_model.model.q.lora_A.lora_2.weight", "q", "lora_2", "a"),
        ("base_model.model.lora_proj.lora_A.weight", "lora_proj", "", "a"),
        ("base_model.model.q.lora_B.bias", "q", "", "bias"),
        ("base_model.model.q.lora_B.default.bias", "q", "default", "bias"),
        ("base_model.model.embed.lora_embedding_A", "embed", "", "a"),
        ("base_model.model.embed.lora_embedding_B.default", "embed", "default", "b"),
        ("base_model.model.q.lora_magnitude_vector", "q", "", "magnitude"),
        ("base_model.model.q.lora_magnitude_vector.default.weight", "q", "default", "magnitude"),
        ("base_model.model.q.lora_magnitude_vector.weight", "q", "", "magnitude"),
        ("language_model.base_model.model.model.q.lora_A.default.weight", "language_model.model.q", "default", "a"),
        ("base_model.model.mlp.experts.base_layer.lora_A.weight", "mlp.experts", "", "a"),
        ("base_model.model.v.weight", None, "", ""),
        ("base_model.model.q.base_layer.weight", None, "", ""),
        ("lora_unet_q.lora_down.weight", None, "", ""),
    ],
)
def test_a_name_says_module_adapter_and_role(name: str, module: str | None, adapter: str, role: str) -> None:
    found = modules(**{name: (4, 8)})
    if module is None:
        assert not found
    else:
        assert [(one.module, one.adapter) for one in found] == [(module, adapter)]
        assert getattr(found[0], role).name == name


@pytest.mark.parametrize(
    ("name", "shape", "rank", "fits"),
    [
        ("q.lora_A.weight", (8, 64), 8, True),
        ("q.lora_A.weight", (16, 64), 8, False),
        ("q.lora_B.weight", (64, 16), 8, True),
        ("q.lora_A.weight", (0,), 8, True),
        ("mlp.experts.lora_A.weight", (32, 64), 8, True),
        ("mlp.experts.lora_A.weight", (33, 64), 8, False),
        ("mlp.experts.lora_A.weight", (32, 64), 0, False),
        ("mlp.gate.base_layer.lora_A.weight", (32, 64), 8, True),
    ],
)
def test_tensors_fit_a_rank_when_their_rows_do(name: str, shape: tuple[int, ...], rank: float, fits: bool) -> None:
    (module,) = modules(**{f"base_model.model.{name}": shape})
    assert module.has_rank(rank) == fits


# Adapters that PEFT saved.


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., dict[str, list[LoraModule]]]]:
    torch, peft = pytest.importorskip("torch"), pytest.importorskip("peft")

    class Experts(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.up = torch.nn.Parameter(torch.zeros(4, 6, 10))
            self.down = torch.nn.Parameter(torch.zeros(4, 10, 6))

    class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.head = torch.nn.Linear(6, 10), torch.nn.Linear(6, 2)
            self.conv, self.grouped = torch.nn.Conv2d(4, 8, 3), torch.nn.Conv2d(4, 8, 3, groups=2)
            self.embedding = torch.nn.Embedding(20, 6)
            self.experts = Experts()

    def save(**settings: Any) -> dict[str, list[LoraModule]]:
        folder = tmp_path_factory.mktemp("adapter")
        peft.get_peft_model(Model(), peft.LoraConfig(**settings)).save_pretrained(folder)
        checkpoint = beside_adapter(folder)
        assert not checkpoint.problems
        by_name: dict[str, list[LoraModule]] = {}
        for module in tensor_modules(checkpoint):
            by_name.setdefault(module.module, []).append(module)
        return by_name

    yield save


def shapes(module: LoraModule) -> tuple[tuple[int, ...] | None, ...]:
    return tuple(tensor and tensor.shape for tensor in (module.a, module.b, module.magnitude, module.bias))


@pytest.mark.parametrize(
    ("target", "settings", "expected"),
    [
        ("linear", {}, ((4, 6), (10, 4), None, None)),
        ("linear", {"use_dora": True}, ((4, 6), (10, 4), (10,), None)),
        ("linear", {"lora_bias": True}, ((4, 6), (10, 4), None, (10,))),
        ("linear", {"modules_to_save": ["head"]}, ((4, 6), (10, 4), None, None)),
        ("linear", {"bias": "all"}, ((4, 6), (10, 4), None, None)),
        ("conv", {}, ((4, 4, 3, 3), (8, 4, 1, 1), None, None)),
        ("grouped", {}, ((4, 4, 3, 3), (8, 2, 1, 1), None, None)),
        ("embedding", {}, ((4, 20), (6, 4), None, None)),
    ],
)
def test_an_adapter_saved_by_peft_has_the_rank_of_its_config(
    saved: Callable[..., dict[str, list[LoraModule]]],
    target: str,
    settings: dict[str, Any],
    expected: tuple[tuple[int, ...] | None, ...],
) -> None:
    found = saved(r=4, target_modules=[target], **settings)
    assert list(found) == [target]
    (module,) = found[target]
    assert shapes(module) == expected
    assert module.rank == 4
    assert module.has_rank(4)
    assert not module.has_rank(2)


@pytest.mark.parametrize("targets", [["experts.up"], ["experts.up", "experts.down"]])
def test_an_adapter_of_parameters_has_the_rows_of_all_experts(
    saved: Callable[..., dict[str, list[LoraModule]]], targets: list[str]
) -> None:
    found = saved(r=2, target_modules=[], target_parameters=targets)
    assert list(found) == ["experts"]
    assert [module.rank for module in found["experts"]] == [4 * 2] * len(targets)
    assert all(module.of_parameter and module.has_rank(2) for module in found["experts"])


def test_weights_that_are_named_bring_the_config_beside_them(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8, "lora_alpha": 16}')
    stem = "base_model.model.q_proj.lora_"
    weights = tmp_path / "adapter_model.safetensors"
    write_safetensors(weights, {f"{stem}A.weight": ("F32", (4, 16)), f"{stem}B.weight": ("F32", (16, 4))})
    found = [diagnostic.rule for diagnostic in lint([str(weights)]).diagnostics]
    assert found == ["rank-differs-from-tensors"]
    assert [one.rule for one in lint([str(weights), str(tmp_path / "adapter_config.json")]).diagnostics] == found
