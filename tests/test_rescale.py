"""Rescaled adapters: PEFT's own layers do what they did, and what can't be rewritten exactly is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

from lora_lint.linter import lint  # noqa: E402
from tests.conftest import Run  # noqa: E402


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.q_proj = nn.Linear(6, 8)
        self.v_proj = nn.Linear(8, 4)
        self.conv = nn.Conv1d(1, 3, 2)

    def forward(self, tokens: Any) -> Any:
        x = self.v_proj(self.q_proj(self.embed(tokens)))
        return self.conv(x.mean(0, keepdim=True))


ALL = ["embed", "q_proj", "v_proj", "conv"]
TOKENS = torch.arange(11)


def trained(folder: Path, dtype: Any = None, **settings: Any) -> tuple[Net, Any]:
    """An adapter with random A and B, saved; the base it was made on and its output."""
    torch.manual_seed(1)
    base = Net()
    state = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    model = peft.get_peft_model(base, peft.LoraConfig(**{"target_modules": ALL, **settings}))
    for name, parameter in model.named_parameters():
        if "lora_" in name and "magnitude" not in name:
            parameter.data = torch.randn_like(parameter) * 0.1
            if dtype is not None:
                parameter.data = parameter.data.to(dtype).float()
    model.eval()
    output = model(TOKENS)
    model.save_pretrained(folder, save_embedding_layers=False)
    if dtype is not None:
        weights = folder / "adapter_model.safetensors"
        save_file({name: tensor.to(dtype) for name, tensor in load_file(weights).items()}, weights, {"format": "pt"})
    fresh = Net()
    fresh.load_state_dict(state)
    return fresh, output


CASES: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"r": 4, "lora_alpha": 4}, "2r", {"lora_alpha": 8}),
    ({"r": 4, "lora_alpha": 8}, "2r", {"lora_alpha": 8}),
    ({"r": 4, "lora_alpha": 8}, "r", {"lora_alpha": 4}),
    ({"r": 4, "lora_alpha": 8}, "fixed:32", {"lora_alpha": 32}),
    ({"r": 4, "lora_alpha": 3}, "scale:0.5", {"lora_alpha": 2}),
    ({"r": 4, "lora_alpha": 4, "use_rslora": True}, "2r", {"lora_alpha": 4}),
    ({"r": 4, "lora_alpha": 4, "use_dora": True}, "2r", {"lora_alpha": 8}),
    ({"r": 4, "lora_alpha": 4, "lora_bias": True, "target_modules": ["q_proj", "v_proj"]}, "2r", {"lora_alpha": 8}),
    ({"r": 4, "lora_alpha": 8, "rank_pattern": {"q_proj": 2}}, "2r", {"lora_alpha": 8, "alpha_pattern": {"q_proj": 4}}),
    ({"r": 4, "lora_alpha": 8, "alpha_pattern": {"v_proj": 4}}, "2r", {"lora_alpha": 8, "alpha_pattern": {}}),
]


@pytest.mark.parametrize(("settings", "policy", "expected"), CASES)
def test_a_rescaled_adapter_does_in_peft_what_it_did(
    settings: dict[str, Any], policy: str, expected: dict[str, Any], run: Run, tmp_path: Path
) -> None:
    base, before = trained(tmp_path / "old", **settings)
    outcome = run("rescale", tmp_path / "old", "--policy", policy, "--output", tmp_path / "new")
    assert outcome.status == 0, outcome.err
    config = json.loads((tmp_path / "new" / "adapter_config.json").read_text("utf-8"))
    assert {key: config[key] for key in expected} == expected
    model = peft.PeftModel.from_pretrained(base, tmp_path / "new").eval()
    torch.testing.assert_close(model(TOKENS), before, rtol=1e-4, atol=1e-5)
    scales = {round(layer.scaling["default"], 6) for layer in model.modules() if hasattr(layer, "scaling")}
    wanted = {"2r": {2.0}, "r": {1.0}, "fixed:32": {8.0}, "scale:0.5": {0.5}}[policy]
    assert scales == wanted
    found = lint([str(tmp_path / "new")], select=["scaling"])
    assert policy != "2r" or found.diagnostics == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_powers_of_two_lose_nothing_at_any_dtype(dtype: Any, run: Run, tmp_path: Path) -> None:
    base, before = trained(tmp_path / "old", dtype, r=4, lora_alpha=4)
    outcome = run("rescale", tmp_path / "old", "--output", tmp_path / "new")
    assert outcome.status == 0, outcome.err
    assert "4 modules: scale 1 -> 2, B times 0.5\nthe update moved by 0.0e+00 of its size at most" in outcome.out
    old, new = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("old", "new"))
    assert {name for name in old if not torch.equal(old[name], new[name])} == {
        name for name in old if "lora_B" in name or "lora_embedding_B" in name
    }
    model = peft.PeftModel.from_pretrained(base, tmp_path / "new").eval()
    torch.testing.assert_close(model(TOKENS), before, rtol=1e-4, atol=1e-5)


def test_other_files_come_along_and_the_old_folder_stays_as_it_was(run: Run, tmp_path: Path) -> None:
    trained(tmp_path / "old", r=4, lora_alpha=4)
    (tmp_path / "old" / "tokenizer.json").write_text("{}", "utf-8")
    (tmp_path / "old" / "secret").symlink_to("/etc/hostname")
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir() if not path.is_symlink()}
    assert run("rescale", tmp_path / "old", "--output", tmp_path / "new").status == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(before)
    assert {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir() if path.name in before} == before


def _pickled(folder: Path) -> None:
    weights = folder / "adapter_model.safetensors"
    torch.save(load_file(weights), folder / "adapter_model.bin")
    weights.unlink()


def _with_metadata(folder: Path) -> None:
    weights = folder / "adapter_model.safetensors"
    save_file(load_file(weights), weights, {"lora_alpha": "4"})


def _as_float8(folder: Path) -> None:
    weights = folder / "adapter_model.safetensors"
    save_file({name: tensor.to(torch.float8_e4m3fn) for name, tensor in load_file(weights).items()}, weights)


def _without_b(folder: Path) -> None:
    weights = folder / "adapter_model.safetensors"
    save_file({name: tensor for name, tensor in load_file(weights).items() if "q_proj.lora_B" not in name}, weights)


def _tiny(folder: Path) -> None:
    weights = folder / "adapter_model.safetensors"
    tensors = {name: tensor.half() for name, tensor in load_file(weights).items()}
    save_file({name: torch.full_like(one, 6e-8) if "lora_B" in name else one for name, one in tensors.items()}, weights)


def _no_config(folder: Path) -> None:
    (folder / "adapter_config.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_pickled, "adapter_model.bin is pickled; convert it to safetensors first"),
        (_with_metadata, "the metadata of the tensors states an alpha"),
        (_as_float8, "is F8_E4M3, which can't be multiplied exactly"),
        (_without_b, "q_proj lacks lora_B"),
        (_tiny, "can't hold its values times 0.5 in F16"),
        (_no_config, "holds no LoRA setup"),
    ],
)
def test_what_cannot_be_rewritten_exactly_is_refused_and_nothing_is_left(
    spoil: Any, said: str, run: Run, tmp_path: Path
) -> None:
    trained(tmp_path / "old", r=4, lora_alpha=4)
    spoil(tmp_path / "old")
    outcome = run("rescale", tmp_path / "old", "--output", tmp_path / "new")
    assert (outcome.status, said in outcome.err) == (2, True), outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "old"]


def test_a_folder_that_holds_something_is_left_alone(run: Run, tmp_path: Path) -> None:
    trained(tmp_path / "old", r=4, lora_alpha=4)
    outcome = run("rescale", tmp_path / "old", "--output", tmp_path / "old")
    assert (outcome.status, "exists and isn't an empty folder" in outcome.err) == (2, True)
