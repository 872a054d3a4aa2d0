"""What the rules for checkpoints say of adapters that PEFT saved: nothing, until something is broken.

PEFT 0.21.2 and transformers are the oracles: whether PEFT loads tensors under changed names, and the sizes of layers.
"""

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lora_lint.base_files import BaseFiles
from lora_lint.linter import lint

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

WEIGHTS = "adapter_model.safetensors"
LLAMA = {
    "hidden_size": 12,
    "intermediate_size": 20,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "num_hidden_layers": 2,
    "vocab_size": 32,
}


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Parameter(torch.ones(2, 6, 8))
        self.down = nn.Parameter(torch.ones(2, 8, 6))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.v_proj, self.norm = nn.Linear(6, 6), nn.Linear(6, 4), nn.LayerNorm(6)
        self.conv, self.grouped = nn.Conv2d(4, 8, 3), nn.Conv2d(4, 8, 3, groups=2)
        self.experts = Experts()


class Net(nn.Module):
    """One of each layer that LoRA goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens, self.score = nn.Embedding(11, 6), nn.Linear(6, 2)
        self.attention = nn.MultiheadAttention(6, 2)
        self.layers = nn.ModuleList([Block(), Block()])


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small Llama."""
    folder = tmp_path_factory.mktemp("llama")
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA)).save_pretrained(folder)
    return folder


def wrapped(base: Path | None, **settings: Any) -> Any:
    model = transformers.AutoModelForCausalLM.from_pretrained(base) if base is not None else Net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return peft.get_peft_model(model, peft.LoraConfig(r=2, lora_alpha=4, **settings))


def save(folder: Path, base: Path | None = None, **settings: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped(base, **settings).save_pretrained(folder)
    return folder


def found(folder: Path) -> list[str]:
    """The rules that speak of a folder, those on the scale apart."""
    report = lint([str(folder)], select=["checkpoint"])
    assert not report.failures
    assert report.summary.setups
    return [diagnostic.rule for diagnostic in report.diagnostics]


KINDS: dict[str, dict[str, Any]] = {
    "names": {"target_modules": ["q_proj", "v_proj"]},
    "full names": {"target_modules": ["layers.0.q_proj", "layers.1.v_proj"]},
    "a regular expression": {"target_modules": r".*\.(q|v)_proj"},
    "an expression for one layer": {"target_modules": r"layers\.1\.q_proj"},
    "all but one": {"target_modules": ["q_proj", "v_proj"], "exclude_modules": ["layers.0.q_proj"]},
    "ranks by pattern": {"target_modules": ["q_proj", "v_proj"], "rank_pattern": {"v_proj": 3, "layers.0.q_proj": 1}},
    "rsLoRA": {"target_modules": ["q_proj"], "use_rslora": True},
    "DoRA": {"target_modules": ["q_proj", "conv"], "use_dora": True},
    "DoRA on an embedding": {"target_modules": ["embed_tokens", "q_proj"], "use_dora": True},
    "a bias of LoRA": {"target_modules": ["q_proj"], "lora_bias": True},
    "biases of the base": {"target_modules": ["q_proj"], "bias": "all"},
    "biases of the adapted layers": {"target_modules": ["q_proj"], "bias": "lora_only"},
    "a head": {"target_modules": ["q_proj"], "modules_to_save": ["score"]},
    "norms": {"target_modules": ["q_proj"], "modules_to_save": ["norm"]},
    "layers in full": {"target_modules": ["q_proj"], "modules_to_save": ["v_proj", "layers.0.conv"]},
    "an embedding": {"target_modules": ["embed_tokens"]},
    "rows of tokens": {"target_modules": ["q_proj"], "trainable_token_indices": {"embed_tokens": [1, 3]}},
    "convolutions": {"target_modules": ["conv", "grouped"]},
    "attention with a projection inside": {"target_modules": ["attention"]},
    "blocks of a diagonal": {
        "target_modules": ["q_proj", "v_proj"],
        "use_bdlora": peft.BdLoraConfig(target_modules_bd_a=["v_proj"], target_modules_bd_b=["q_proj"], nblocks=2),
    },
    "a parameter": {"target_modules": [], "target_parameters": ["experts.up"]},
    "parameters and layers": {"target_modules": ["q_proj"], "target_parameters": ["experts.up", "experts.down"]},
    "KaSA": {"target_modules": ["q_proj"], "kasa_config": peft.KasaConfig()},
    "an orthogonal start": {"target_modules": ["q_proj"], "init_lora_weights": "orthogonal"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_as_peft_saves_it_has_no_finding(kind: str, tmp_path: Path) -> None:
    assert found(save(tmp_path, **KINDS[kind])) == []


BLOCKS = [f"{part}_proj" for part in ("q", "k", "v", "o", "gate", "up", "down")]


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": "all-linear"},
        {"target_modules": BLOCKS},
        {"target_modules": BLOCKS, "layers_to_transform": [1]},
        {"target_modules": ["q_proj", "lm_head"]},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]},
        {"target_modules": ["q_proj"], "task_type": "CAUSAL_LM"},
        {"target_modules": ["embed_tokens"], "ensure_weight_tying": True},
    ],
    ids=str,
)
def test_an_adapter_of_a_model_on_this_disk_has_no_finding(
    settings: dict[str, Any], llama: Path, tmp_path: Path
) -> None:
    folder = save(tmp_path, llama, **settings)
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == str(llama)
    assert found(folder) == []


def test_experts_that_transformers_fuses_are_no_finding(tmp_path: Path) -> None:
    """`all-linear` becomes `target_parameters` without the names of their modules: gate_up_proj, gate.weight."""
    sizes = LLAMA | {"num_local_experts": 2, "num_hidden_layers": 1}
    transformers.MixtralForCausalLM(transformers.MixtralConfig(**sizes)).save_pretrained(tmp_path / "base")
    folder = save(tmp_path / "adapter", tmp_path / "base", target_modules="all-linear")
    assert "gate_up_proj" in json.loads((folder / "adapter_config.json").read_text())["target_parameters"]
    assert found(folder) == []


def test_a_resized_embedding_is_saved_along_and_no_finding(llama: Path, tmp_path: Path) -> None:
    model = wrapped(llama, target_modules=["q_proj"])
    model.resize_token_embeddings(40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(tmp_path)
    assert any("embed_tokens" in name for name in load_file(tmp_path / WEIGHTS))
    assert found(tmp_path) == []


# Broken by hand.


def rewrite(folder: Path, change: Callable[[str], str | None]) -> None:
    """Save the tensors under other names, without those for which there is none."""
    tensors = load_file(folder / WEIGHTS)
    kept = {new: tensor for name, tensor in tensors.items() if (new := change(name)) is not None}
    save_file(kept, folder / WEIGHTS)


def loaded(folder: Path) -> int:
    """How many of the LoRA tensors PEFT finds a place for; B begins at zero, these are all ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = peft.PeftModel.from_pretrained(Net(), folder)
    return sum(bool((tensor == 1).all()) for name, tensor in model.state_dict().items() if "lora_" in name)


def inside(wrapper: str) -> Callable[[str], str]:
    return lambda name: name.replace("layers.0.", f"layers.0.{wrapper}")


@pytest.mark.parametrize(
    ("change", "finds", "rules"),
    [
        (lambda name: name, 8, []),
        (lambda name: f"_orig_mod.{name}", 0, ["bad-key-prefix"]),
        (inside("_orig_mod."), 4, ["bad-key-prefix"]),
        (inside("_fsdp_wrapped_module."), 4, ["bad-key-prefix"]),
        (inside("_checkpoint_wrapped_module."), 4, ["bad-key-prefix"]),
        (lambda name: f"module.{name}", 0, ["bad-key-prefix"]),
        (lambda name: f"base_model.model.{name}", 0, ["bad-key-prefix"]),
        (lambda name: name.removeprefix("base_model.model."), 0, ["bad-key-prefix"]),
        # 0.21.2 takes this one under the same adapter name; 0.20.0 and 0.17.1 load 0 of 8.
        (lambda name: name.replace(".weight", ".default.weight"), 8, ["bad-key-prefix"]),
        (lambda name: name.replace(".weight", ".other.weight"), 0, ["bad-key-prefix"]),
    ],
)
def test_names_that_peft_does_not_find_are_reported(
    change: Callable[[str], str], finds: int, rules: list[str], tmp_path: Path
) -> None:
    save(tmp_path, target_modules=["q_proj", "v_proj"])
    ones = {name: torch.ones_like(tensor) for name, tensor in load_file(tmp_path / WEIGHTS).items()}
    save_file(ones, tmp_path / WEIGHTS)
    rewrite(tmp_path, change)
    assert loaded(tmp_path) == finds
    assert found(tmp_path) == rules


def edit(folder: Path, **words: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | words))


def without(*parts: str) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder, lambda name: None if any(part in name for part in parts) else name)


def with_tensor(name: str, *shape: int) -> Callable[[Path], None]:
    def add(folder: Path) -> None:
        save_file(load_file(folder / WEIGHTS) | {name: torch.zeros(*shape)}, folder / WEIGHTS)

    return add


LAYER = "base_model.model.layers.0"


@pytest.mark.parametrize(
    ("settings", "spoil", "rules"),
    [
        ({"target_modules": ["q_proj"]}, without("layers.0.q_proj.lora_B"), ["missing-tensors"]),
        ({"target_modules": ["q_proj"]}, with_tensor(f"{LAYER}.q_proj.lora_B.weight", 6, 3), ["a-differs-from-b"]),
        ({"target_modules": ["conv"]}, with_tensor(f"{LAYER}.conv.lora_B.weight", 8, 3, 1, 1), ["a-differs-from-b"]),
        ({"target_modules": ["q_proj"], "use_dora": True}, without("magnitude"), ["dora-differs-from-tensors"]),
        (
            {"target_modules": ["q_proj"], "use_dora": True},
            without("layers.1.q_proj.lora_magnitude"),
            ["dora-differs-from-tensors"],
        ),
        (
            {"target_modules": ["q_proj"], "use_dora": True},
            lambda folder: edit(folder, use_dora=False),
            ["dora-differs-from-tensors"],
        ),
        (
            {"target_modules": ["q_proj", "v_proj"]},
            lambda folder: edit(folder, target_modules=["v_proj"]),
            ["tensors-outside-targets"],
        ),
        (
            {"target_modules": ["q_proj", "v_proj"]},
            lambda folder: edit(folder, target_modules=r".*\.v_proj"),
            ["tensors-outside-targets"],
        ),
        (
            {"target_modules": ["q_proj"], "target_parameters": ["experts.up"]},
            lambda folder: edit(folder, target_parameters=["experts_of_another.up"]),
            ["tensors-outside-targets"],
        ),
        ({"target_modules": ["q_proj"]}, with_tensor(f"{LAYER}.v_proj.weight", 4, 6), ["base-weights-in-adapter"]),
        (
            {"target_modules": ["q_proj"]},
            with_tensor(f"{LAYER}.q_proj.base_layer.weight", 6, 6),
            ["base-weights-in-adapter"],
        ),
        (
            {"target_modules": ["q_proj"], "init_lora_weights": "pissa"},
            lambda folder: None,
            ["mutated-base-init-unconverted"],
        ),
        (
            {"target_modules": ["q_proj"], "init_lora_weights": "olora"},
            lambda folder: None,
            ["mutated-base-init-unconverted"],
        ),
    ],
)
def test_an_adapter_that_is_broken_has_one_finding(
    settings: dict[str, Any], spoil: Callable[[Path], None], rules: list[str], tmp_path: Path
) -> None:
    spoil(save(tmp_path, **settings))
    assert found(tmp_path) == rules


def test_a_converted_pissa_adapter_has_no_finding(tmp_path: Path) -> None:
    model = wrapped(None, target_modules=["q_proj"], init_lora_weights="pissa")
    model.peft_config["default"].init_lora_weights = True
    model.save_pretrained(tmp_path / "initial")
    model.peft_config["default"].init_lora_weights = "pissa"
    model.save_pretrained(tmp_path / "out", path_initial_model_for_weight_conversion=str(tmp_path / "initial"))
    saved = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (saved["r"], saved["init_lora_weights"]) == (4, True)
    assert found(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("size", "rules"),
    [(None, []), (1161, ["empty-tensors"]), (443, ["empty-tensors"]), (0, ["empty-tensors"]), (1941, [])],
)
def test_a_pickle_that_is_too_small_for_weights_is_reported(size: int | None, rules: list[str], tmp_path: Path) -> None:
    """443 bytes: alpaca-lora#334; torch 2.13 writes 1,161 for an empty dict, PEFT 1,941 for the smallest adapter."""
    save(tmp_path, target_modules=["q_proj"])
    (tmp_path / WEIGHTS).unlink()
    if size is not None:
        (tmp_path / "adapter_model.bin").write_bytes(b"\x80" * size)
    assert found(tmp_path) == rules


# The base model.


def test_an_adapter_for_a_model_of_another_size_is_reported(llama: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    folder = save(tmp_path / "adapter", llama, target_modules=["q_proj", "k_proj", "down_proj"])
    other = tmp_path / "other"
    larger = transformers.LlamaConfig(**LLAMA | {"hidden_size": 24})
    transformers.LlamaForCausalLM(larger).save_pretrained(other)
    edit(folder, base_model_name_or_path=str(other))
    assert found(folder) == ["base-shape-mismatch"]
    (other / "model.safetensors").unlink()
    assert found(folder) == ["base-shape-mismatch"]
    edit(folder, base_model_name_or_path="org/elsewhere")
    assert found(folder) == []
    shutil.copy(other / "config.json", folder)
    assert found(folder) == ["base-shape-mismatch"]


def test_modules_of_the_base_without_tensors_are_reported(llama: Path, tmp_path: Path) -> None:
    shutil.copytree(llama, tmp_path / "base")
    (tmp_path / ".git").mkdir()
    folder = save(tmp_path / "adapter", llama, target_modules=["q_proj", "v_proj"])
    edit(folder, base_model_name_or_path="../base")
    rewrite(folder, lambda name: None if "layers.1.self_attn.v_proj" in name else name)
    (diagnostic,) = lint([str(folder)], select=["checkpoint"]).diagnostics
    assert (diagnostic.rule, diagnostic.severity) == ("missing-tensors", "warning")
    assert diagnostic.message == (
        "target v_proj is 2 modules of the base model, 1 of which have no tensors: model.layers.1.self_attn.v_proj"
    )


def test_a_base_outside_of_the_repository_is_not_opened(llama: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    folder = save(tmp_path / "adapter", llama, target_modules=["q_proj", "v_proj"])
    rewrite(folder, lambda name: None if "layers.1.self_attn.v_proj" in name else name)
    edit(folder, base_model_name_or_path=str(llama))
    assert found(folder) == []


def test_gpt2_stores_its_weights_transposed(tmp_path: Path) -> None:
    base = tmp_path / "base"
    gpt2 = transformers.GPT2Config(n_embd=12, n_head=2, n_layer=2, vocab_size=32, n_positions=8)
    transformers.GPT2LMHeadModel(gpt2).save_pretrained(base)
    assert found(save(tmp_path / "adapter", base, target_modules=["c_attn"], fan_in_fan_out=True)) == []


FAMILIES = ["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "granite", "olmo2"]


def linear_layers(model: Any) -> Iterator[tuple[str, tuple[int, int]]]:
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and name.startswith("model.layers.0."):
            yield name.removeprefix("model.layers.0."), (module.out_features, module.in_features)


@pytest.mark.parametrize("head_dim", [None, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_layers_of_a_family_have_the_sizes_that_its_config_says(family: str, head_dim: int | None) -> None:
    given = LLAMA | ({"head_dim": head_dim} if head_dim else {})
    config = transformers.AutoConfig.for_model(family, **given)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    built = dict(linear_layers(model))
    read = dict(BaseFiles({"model_type": family, **given}).linear_sizes)
    assert read in ({}, built)
    assert read or (head_dim is None and family in ("qwen3", "gemma", "gemma2"))


# Folders.


FULL = {"model.layers.0.q_proj.weight": torch.zeros(64, 64)}


@pytest.mark.parametrize(
    ("config", "files", "found_at"),
    [
        ({"model_type": "llama"}, ["model.safetensors"], "warning"),
        ({"model_type": "llama"}, ["model-00001-of-00002.safetensors"], "warning"),
        ({"model_type": "llama"}, ["pytorch_model.bin"], "warning"),
        ({"model_type": "llama"}, ["model.safetensors", "adapter_model.pt"], "note"),
        ({"model_type": "llama"}, [], None),
        ({"model_type": "llama"}, ["pytorch_model_fsdp.bin"], None),
        (None, ["model.safetensors"], None),
        ({"model_type": "granite_speech", "has_lora_adapter": True}, ["model.safetensors"], None),
    ],
)
def test_a_full_model_beside_an_adapter_is_reported(
    config: dict[str, Any] | None, files: list[str], found_at: str | None, tmp_path: Path
) -> None:
    save(tmp_path, target_modules=["q_proj"])
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    for name in files:
        save_file(FULL, tmp_path / name)
    diagnostics = lint([str(tmp_path)], select=["checkpoint"]).diagnostics
    assert [one.rule for one in diagnostics] == (["adapter-mixed-with-full-model"] if found_at else [])
    assert [str(one.severity) for one in diagnostics] == ([found_at] if found_at else [])


def test_a_value_head_beside_an_adapter_is_no_full_model(tmp_path: Path) -> None:
    save(tmp_path, target_modules=["q_proj"])
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    save_file({"v_head.summary.weight": torch.zeros(1, 6)}, tmp_path / "pytorch_model.bin")
    assert found(tmp_path) == []


PHI = {"model_type": "phi4mm", "vision_lora": {"r": 256, "lora_alpha": 512}, "speech_lora": {"r": 320}}


@pytest.mark.parametrize(
    ("config", "rules"),
    [
        ({"model_type": "llama"}, ["merged-model-inconsistent"]),
        ({"model_type": "llama", "tie_word_embeddings": True}, ["merged-model-inconsistent"] * 2),
        (PHI, []),
        (None, []),
    ],
)
def test_adapter_tensors_in_a_full_model_are_reported_unless_its_config_has_them(
    config: dict[str, Any] | None, rules: list[str], llama: Path, tmp_path: Path
) -> None:
    state = wrapped(llama, target_modules=["q_proj"]).base_model.model.state_dict()
    save_file({name: tensor.clone() for name, tensor in state.items()}, tmp_path / "model.safetensors")
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    assert found(tmp_path) == rules


@pytest.mark.parametrize(
    ("named", "rules"), [({}, []), ({"base_model.model.layers.1.q_proj.lora_A.weight": WEIGHTS}, ["missing-tensors"])]
)
def test_a_tensor_that_the_index_names_and_no_file_holds_is_missing(
    named: dict[str, str], rules: list[str], tmp_path: Path
) -> None:
    save(tmp_path, target_modules=["layers.0.q_proj"])
    shard = "adapter_model-00001-of-00001.safetensors"
    (tmp_path / WEIGHTS).rename(tmp_path / shard)
    weight_map = dict.fromkeys((*load_file(tmp_path / shard), *named), shard)
    (tmp_path / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert found(tmp_path) == rules


@pytest.mark.parametrize(
    ("ids", "saved", "rows", "rules"),
    [
        ([31], [], 32, []),
        ([32], [], 32, ["tokenizer-larger-than-base"]),
        ([32], ["embed_tokens"], 32, []),
        ([32], [], 40, []),
    ],
    ids=["within", "beyond", "saved along", "a base with more rows"],
)
def test_tokens_past_the_embedding_of_the_base_are_told(
    ids: list[int], saved: list[str], rows: int, rules: list[str], tmp_path: Path
) -> None:
    (tmp_path / ".git").mkdir()
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA | {"vocab_size": rows})).save_pretrained(
        tmp_path / "base"
    )
    folder = save(tmp_path / "adapter", tmp_path / "base", target_modules=["q_proj"], modules_to_save=saved)
    decoder = {str(number): {"content": f"<{number}>"} for number in ids}
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))
    assert found(folder) == rules
