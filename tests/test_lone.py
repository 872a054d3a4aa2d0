"""Files of LoRA weights without a config: whose names they have, and the sites that their tensors make up.

Names, and what loaders take for an alpha that isn't there: comfy/weight_adapter/lora.py:92-177 of ComfyUI at a125cd84,
networks/lora.py:68-73 and 812-837 of sd-scripts at 48d368fa, lycoris/modules/{locon,loha,lokr}.py of LyCORIS at
f49d30d6, loaders/peft.py:178-240 and utils/peft_utils.py:153-208 of diffusers at 58eb52c0.
"""

import json
import os
import struct
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lora_lint.dialects import holds_lora, tensor_modules
from lora_lint.facts import Setup
from lora_lint.finding import Report
from lora_lint.linter import Linter, lint, read_setups
from lora_lint.readers.safetensors import read_header
from lora_lint.readers.scalars import read_scalars
from lora_lint.settings import Settings
from lora_lint.tensors import Checkpoint, Tensor
from tests.conftest import Run
from tests.tensors import Table, framed, write_safetensors

DOWN, UP = ("F16", (16, 64)), ("F16", (64, 16))
SCALAR: tuple[str, tuple[int, ...]] = ("F32", ())


def kohya(module: str, rank: int = 16) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        f"{module}.lora_down.weight": ("F16", (rank, 64)),
        f"{module}.lora_up.weight": ("F16", (64, rank)),
        f"{module}.alpha": SCALAR,
    }


def pair(module: str, rank: int = 16) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {f"{module}.lora_A.weight": ("F32", (rank, 64)), f"{module}.lora_B.weight": ("F32", (64, rank))}


# Names of tensors.


@pytest.mark.parametrize(
    ("name", "module", "role", "method", "component"),
    [
        ("lora_unet_mid_block_to_q.lora_down.weight", "lora_unet_mid_block_to_q", "a", "lora", "lora_unet"),
        ("lora_te_text_model_fc1.lora_up.weight", "lora_te_text_model_fc1", "b", "lora", "lora_te"),
        ("lora_te2_text_model_fc1.lora_up.weight", "lora_te2_text_model_fc1", "b", "lora", "lora_te2"),
        ("lora_transformer_single_0_proj.lora_down.weight", "lora_transformer_single_0_proj", "a", "lora", None),
        ("diffusion_model.blocks.0.q.lora_down.weight", "diffusion_model.blocks.0.q", "a", "lora", "diffusion_model"),
        ("unet.mid_block.to_k.lora.down.weight", "unet.mid_block.to_k", "a", "lora", "unet"),
        ("mid_block.processor.to_k_lora.up.weight", "mid_block.processor.to_k", "b", "lora", ""),
        ("text_encoder.q_proj.lora_linear_layer.up.weight", "text_encoder.q_proj", "b", "lora", "text_encoder"),
        ("transformer.to_q.lora_A.weight", "transformer.to_q", "a", "lora", "transformer"),
        ("blocks.0.attn.lora_B", "blocks.0.attn", "b", "lora", ""),
        ("transformer_blocks.0.to_q.lora_A.default.weight", "transformer_blocks.0.to_q", "a", "lora", ""),
        ("base_model.model.layers.0.q_proj.lora_A.weight", "layers.0.q_proj", "a", "lora", ""),
        ("lora_unet_to_q.hada_w1_a", "lora_unet_to_q", None, "loha", "lora_unet"),
        ("lycoris_to_q.lokr_w1", "lycoris_to_q", None, "lokr", "lycoris"),
        ("lora_unet_to_q.lokr_w2_b", "lora_unet_to_q", None, "lokr", "lora_unet"),
        ("lora_unet_to_q.oft_blocks", "lora_unet_to_q", None, "oft", "lora_unet"),
    ],
)
def test_a_name_says_module_role_method_and_component(
    name: str, module: str, role: str | None, method: str, component: str | None
) -> None:
    (found,) = tensor_modules(Checkpoint(("x",), {name: Tensor(name, "F32", (4, 8), "x")}, {}))
    assert (found.module, found.method) == (module, method)
    assert component is None or found.component == component
    assert role is None or getattr(found, role).name == name
    assert holds_lora([name])


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.self_attn.kv_a_proj_with_mqa.weight",
        "blocks.0.attn.w_lora.lora.0.weight",
        "lora_unet_mid_block_to_q_lora_down.weight",
        "model.layers.0.self_attn.q_proj.lora_c",
        "model.decoder.layers.0.recurrent_layer.linear_in.weight",
        "encoder.norm.diff",
        "backbone.fuse.b1.weight",
        "mixer.A",
        "alpha",
    ],
)
def test_tensors_of_models_and_under_unknown_names_are_no_lora(name: str) -> None:
    assert not holds_lora([name])


# Numbers.


@pytest.mark.parametrize(
    ("dtype", "data", "value"),
    [
        ("F32", struct.pack("<f", 0.5), 0.5),
        ("F16", struct.pack("<e", 12.0), 12.0),
        ("BF16", struct.pack("<f", 96.0)[2:], 96.0),
        ("F64", struct.pack("<d", 5.656854249492381), 5.656854249492381),
        ("I64", struct.pack("<q", 16), 16.0),
        ("U8", b"\x04", 4.0),
    ],
)
@pytest.mark.parametrize("shape", [[], [1], [1, 1]])
def test_a_number_is_read_where_its_offsets_say(
    dtype: str, data: bytes, value: float, shape: list[int], tmp_path: Path
) -> None:
    header = {
        "before": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]},
        "x.alpha": {"dtype": dtype, "shape": shape, "data_offsets": [3, 3 + len(data)]},
    }
    path = tmp_path / "x.safetensors"
    path.write_bytes(framed(json.dumps(header).encode(), b"\1\2\3" + data))
    assert read_scalars(path, read_header(path), ["x.alpha"]) == {"x.alpha": value}


@pytest.mark.parametrize(("dtype", "shape"), [("F32", (2,)), ("F32", (0,)), ("F8_E4M3", ()), ("BOOL", ())])
def test_what_is_not_one_number_has_no_value(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "x.safetensors", {"x.alpha": (dtype, shape)})
    assert read_scalars(path, read_header(path), ["x.alpha"]) == {}


def test_a_file_that_became_shorter_since_gives_no_value(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "x.safetensors", {"x.alpha": SCALAR})
    header = read_header(path)
    write_safetensors(path, {"x.alpha": SCALAR}, cut=1)
    assert read_scalars(path, header, ["x.alpha"]) == {}


# Sites.


class Said(NamedTuple):
    """A site: modules, rank, alpha (None: unknown), scale, method."""

    modules: int
    rank: float | None
    alpha: float | None
    scale: float | None
    method: str = "lora"


def said(setup: Setup) -> list[Said]:
    return [
        Said(
            len(site.modules),
            site.rank.value if site.rank.known else None,
            site.alpha.value if site.alpha is not None and site.alpha.known else None,
            None if site.undecided or site.state != "active" else site.scale,
            site.method,
        )
        for site in setup.sites
    ]


def config(**settings: Any) -> str:
    return json.dumps({"peft_type": "LORA", "target_modules": ["to_q"], **settings})


UNET = {"r": 16, "lora_alpha": 32, "target_modules": ["to_q", "to_k"], "rank_pattern": {"to_k": 4}}
TEXT_ENCODER = {"r": 8, "lora_alpha": 8, "target_modules": ["q_proj"], "use_rslora": True}


def packed(model: str, words: dict[str, Any]) -> dict[str, Any]:
    """As diffusers puts the configs of several models into one (loaders/lora_base.py:1085)."""
    return {f"{model}.{word}": value for word, value in words.items()}


FILES: dict[str, tuple[Table, dict[str, str], dict[str, float], str, list[Said]]] = {
    "kohya, one alpha": (
        kohya("lora_unet_a") | kohya("lora_te1_b"),
        {"ss_network_module": "networks.lora", "ss_network_dim": "16", "ss_network_alpha": "8"},
        {"lora_unet_a.alpha": 8, "lora_te1_b.alpha": 8},
        "kohya",
        [Said(2, 16, 8, 0.5)],
    ),
    "kohya, a convolution with a rank and an alpha of its own": (
        kohya("lora_unet_a")
        | {
            "lora_unet_conv.lora_down.weight": ("F16", (4, 64, 3, 3)),
            "lora_unet_conv.lora_up.weight": ("F16", (64, 4, 1, 1)),
            "lora_unet_conv.alpha": SCALAR,
        },
        {},
        {"lora_unet_a.alpha": 16, "lora_unet_conv.alpha": 1},
        "kohya",
        [Said(1, 16, 16, 1), Said(1, 4, 1, 0.25)],
    ),
    "kohya, no alpha: the rank": (
        {name: one for name, one in kohya("lora_unet_a").items() if not name.endswith("alpha")},
        {},
        {},
        "kohya",
        [Said(1, 16, 16, 1)],
    ),
    "kohya, alpha 0: loaders differ": (
        kohya("lora_unet_a"),
        {},
        {"lora_unet_a.alpha": 0},
        "kohya",
        [Said(1, 16, None, None)],
    ),
    "kohya with the magnitudes of DoRA": (
        kohya("lora_unet_a") | {"lora_unet_a.dora_scale": ("F16", (64, 1))},
        {},
        {"lora_unet_a.alpha": 32},
        "kohya",
        [Said(1, 16, 32, 2, "dora")],
    ),
    "LyCORIS LoCon, told by its metadata": (
        kohya("lora_unet_a"),
        {"ss_network_module": "lycoris.kohya"},
        {"lora_unet_a.alpha": 4},
        "lycoris",
        [Said(1, 16, 4, 0.25)],
    ),
    "LyCORIS LoHa: another product": (
        {
            "lora_unet_a.hada_w1_a": ("F32", (64, 4)),
            "lora_unet_a.hada_w1_b": ("F32", (4, 64)),
            "lora_unet_a.hada_w2_a": ("F32", (64, 4)),
            "lora_unet_a.hada_w2_b": ("F32", (4, 64)),
            "lora_unet_a.alpha": SCALAR,
        },
        {},
        {"lora_unet_a.alpha": 4},
        "lycoris",
        [Said(1, 4, 4, None, "loha")],
    ),
    "ComfyUI's names with alpha": (
        kohya("diffusion_model.blocks.0.q"),
        {},
        {"diffusion_model.blocks.0.q.alpha": 16},
        "kohya",
        [Said(1, 16, 16, 1)],
    ),
    "diffusers, no alpha: the rank of each": (
        pair("transformer.transformer_blocks.0.attn.to_q") | pair("text_encoder.q_proj", 8),
        {"format": "pt"},
        {},
        "diffusers",
        [Said(1, 16, 16, 1), Said(1, 8, 8, 1)],
    ),
    "diffusers, a U-Net saved alone before 0.17": (
        {
            "mid_block.attn1.processor.to_q_lora.down.weight": DOWN,
            "mid_block.attn1.processor.to_q_lora.up.weight": UP,
        },
        {"format": "pt"},
        {},
        "diffusers",
        [Said(1, 16, 16, 1)],
    ),
    "diffusers with the configs of two models": (
        pair("unet.mid_block.to_q") | pair("unet.mid_block.to_k", 4) | pair("text_encoder.q_proj", 8),
        {"lora_adapter_metadata": json.dumps(packed("unet", UNET) | packed("text_encoder", TEXT_ENCODER))},
        {},
        "diffusers",
        [Said(1, 16, 32, 2), Said(1, 4, 32, 8), Said(1, 8, 8, 8 / 8**0.5)],
    ),
    "diffusers, one model's config without its name": (
        pair("mid_block.attn1.to_q", 4),
        {"lora_adapter_metadata": config(r=4, lora_alpha=16)},
        {},
        "diffusers",
        [Said(1, 4, 16, 4)],
    ),
    "OneTrainer's Comfy names: alpha beside PEFT's halves": (
        pair("diffusion_model.blocks.0.q") | {"diffusion_model.blocks.0.q.alpha": SCALAR},
        {},
        {"diffusion_model.blocks.0.q.alpha": 1},
        "diffusers",
        [Said(1, 16, 1, 1 / 16)],
    ),
    "PEFT's names: alpha is in the config": (
        pair("base_model.model.layers.0.q_proj"),
        {},
        {},
        "peft",
        [Said(1, 16, None, None)],
    ),
    "PEFT's names around a model of diffusers": (
        pair("base_model.model.down_blocks.0.attn1.to_q"),
        {},
        {},
        "peft",
        [Said(1, 16, None, None)],
    ),
    "names without any prefix": (pair("layers.0.attention.wq"), {}, {}, "peft", [Said(1, 16, None, None)]),
    "a language model's transformer": (pair("transformer.h.0.attn.c_attn"), {}, {}, "peft", [Said(1, 16, None, None)]),
    "metadata that is no JSON": (
        pair("unet.mid_block.to_q"),
        {"lora_adapter_metadata": "{"},
        {},
        "diffusers",
        [Said(1, 16, 16, 1)],
    ),
    "one half only": ({"lora_unet_a.lora_up.weight": UP}, {}, {}, "kohya", [Said(1, None, None, None)]),
}


@pytest.mark.parametrize("file", FILES)
def test_a_file_without_a_config_has_the_sites_that_its_loader_makes(file: str, tmp_path: Path) -> None:
    table, metadata, values, framework, sites = FILES[file]
    path = write_safetensors(tmp_path / "lora.safetensors", table, metadata, values)
    (setup,) = read_setups([str(path)])
    assert (setup.framework, setup.kind, setup.trained) == (framework, "checkpoint", True)
    assert setup.recognised_by
    assert said(setup) == [pytest.approx(site) if None not in site else site for site in sites]


def test_modules_of_one_scale_are_one_finding_however_many_ranks_there_are(tmp_path: Path) -> None:
    table: dict[str, tuple[str, tuple[int, ...]]] = {}
    values = {}
    for at, rank in enumerate((4, 8, 16, 32)):
        table |= kohya(f"lora_unet_{at}", rank)
        values[f"lora_unet_{at}.alpha"] = rank / 2
    path = write_safetensors(tmp_path / "resized.safetensors", table, {"ss_network_dim": "Dynamic"}, values)
    report = lint([str(path)])
    assert report.summary.sites == 4
    assert [(one.rule, one.tensor, one.message) for one in report.diagnostics] == [
        ("alpha-not-2r", "lora_unet_0.alpha", "scale is 0.5, policy 2r wants alpha 8")
    ]


def test_weights_are_never_rewritten(tmp_path: Path, run: Run) -> None:
    path = write_safetensors(tmp_path / "a.safetensors", kohya("lora_unet_a"), fill=8)
    before = path.read_bytes()
    outcome = run("check", "--fix", "--unsafe-fixes", path)
    assert "alpha-not-2r" in outcome.out
    assert path.read_bytes() == before


# Which files are read with a config.


def reasons(folder: Path) -> dict[str, str]:
    linter = Linter(Settings(), None)
    readings = [reading for _, reading in linter.walk([str(folder)], Report())]
    return {os.path.basename(reading.path): reading.reason for reading in readings if "safetensors" in reading.path}


INTERNVL = '{"model_type": "internvl_chat", "use_llm_lora": 16}'
UNMERGED = pair("language_model.base_model.model.model.layers.0.q_proj")


@pytest.mark.parametrize(
    ("config", "text", "weights", "table", "reason"),
    [
        (
            "adapter_config.json",
            config(r=16),
            "adapter_model.safetensors",
            pair("base_model.model.q"),
            "adapter_config.json",
        ),
        ("adapter_config.json", config(r=16), "pytorch_lora_weights.safetensors", pair("unet.q"), ""),
        ("config.json", INTERNVL, "model.safetensors", UNMERGED, "config.json"),
        ("config.json", '{"model_type": "llama"}', "model.safetensors", UNMERGED, ""),
        ("other.json", "{}", "adapter_model.safetensors", pair("base_model.model.q"), ""),
        ("other.json", "{}", "model.safetensors", {"model.q.weight": ("F32", (2, 2))}, "holds no LoRA tensors"),
    ],
)
def test_weights_with_a_config_are_read_with_it(
    config: str, text: str, weights: str, table: Table, reason: str, tmp_path: Path
) -> None:
    (tmp_path / config).write_text(text)
    write_safetensors(tmp_path / weights, table)
    found = reasons(tmp_path)[weights]
    assert reason in found
    assert bool(reason) == bool(found)


def test_the_shards_of_a_checkpoint_are_one_setup(tmp_path: Path) -> None:
    shards = [f"model-{at:05d}-of-00003.safetensors" for at in (1, 2, 3)]
    tables: list[Table] = [{"embed.weight": ("F32", (4, 4))}, pair("layers.0.q"), pair("layers.1.q")]
    weight_map: dict[str, str] = {}
    for shard, table in zip(shards, tables, strict=True):
        write_safetensors(tmp_path / shard, table)
        weight_map |= dict.fromkeys(table, shard)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert reasons(tmp_path) == {
        shards[0]: "holds no LoRA tensors",
        shards[1]: "",
        shards[2]: f"is read with {shards[1]}",
        "model.safetensors.index.json": reasons(tmp_path)["model.safetensors.index.json"],
    }
    (setup,) = read_setups([str(tmp_path)])
    assert setup.sites[0].modules == ("layers.0.q", "layers.1.q")


def test_a_shard_that_is_not_there_stands_for_nothing(tmp_path: Path) -> None:
    """Nor does an index that doesn't list the file at all."""
    name = "model-00002-of-00002.safetensors"
    write_safetensors(tmp_path / name, pair("layers.1.q"))
    index = tmp_path / "model.safetensors.index.json"
    gone = dict.fromkeys(pair("layers.0.q"), "model-00001-of-00002.safetensors")
    for weight_map in (gone | dict.fromkeys(pair("layers.1.q"), name), gone, {"x": "../../x.safetensors"}):
        index.write_text(json.dumps({"weight_map": weight_map}))
        assert reasons(tmp_path)[name] == ""


# Strange files.


@pytest.mark.parametrize(
    "metadata",
    [
        {"lora_adapter_metadata": "[" * 100_000},
        {"lora_adapter_metadata": '{"r": "16", "lora_alpha": {}, "rank_pattern": {"(": 1}}'},
        {"lora_adapter_metadata": '{"unet.r": 1e400, "unet.lora_alpha": 1e400}'},
        {"lora_adapter_metadata": '{"r": 16, ".r": 8, "..r": 4}'},
        {"ss_network_dim": "9" * 5000, "ss_network_alpha": "nan", "ss_network_args": "[" * 100_000},
    ],
)
@pytest.mark.parametrize("alpha", [float("nan"), float("inf"), -1, 0, 1e-45])
def test_strange_metadata_and_alphas_end_in_findings_at_most(
    metadata: dict[str, str], alpha: float, tmp_path: Path
) -> None:
    table = kohya("lora_unet_a") | pair("unet.q", 4)
    report = lint([str(write_safetensors(tmp_path / "x.safetensors", table, metadata, {"lora_unet_a.alpha": alpha}))])
    assert not report.failures
    assert report.summary.setups == 1
