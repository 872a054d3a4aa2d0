"""What the rules say of weights without a config, of a run beside them, and of InternVL's flags.

`split_qkv`: networks/lora_flux.py:1090-1131 of sd-scripts at 48d368fa; ranks without alpha:
utils/peft_utils.py:153-176 of diffusers at 58eb52c0 and its issue 14409; InternVL's flags: tools/merge_lora.py at
2410d1d.
"""

import json
from pathlib import Path

import pytest

from lora_lint.linter import lint
from tests.tensors import Table, write_safetensors
from tests.test_lone import UNMERGED, UP, config, kohya, packed, pair

# What the rules say of them.


def rules_for(path: Path) -> list[str]:
    report = lint([str(path)], select=["checkpoint"])
    assert not report.failures
    return [diagnostic.rule for diagnostic in report.diagnostics]


FLUX = {"ss_network_dim": "16", "ss_network_alpha": "32", "ss_network_args": '{"split_qkv": "True"}'}
QKV = kohya("lora_unet_double_blocks_0_img_attn_qkv", 48) | kohya("lora_unet_double_blocks_0_img_attn_proj")
HALF_SCALED = {
    name: one for name, one in (kohya("lora_unet_a") | kohya("lora_unet_b")).items() if name != "lora_unet_b.alpha"
}


@pytest.mark.parametrize(
    ("table", "metadata", "fill", "rules"),
    [
        # Ranks without alpha: of one model, of two, of a convolution, with metadata.
        (pair("unet.q") | pair("unet.k", 4), {}, 1, ["mixed-rank-without-alpha"]),
        (pair("unet.q") | pair("text_encoder.k", 4), {}, 1, []),
        (
            {
                name: one
                for name, one in (kohya("lora_unet_a") | kohya("lora_unet_b", 4)).items()
                if "alpha" not in name
            },
            {},
            1,
            ["mixed-rank-without-alpha"],
        ),
        (kohya("lora_unet_a") | kohya("lora_unet_b", 4), {}, 4, []),
        (
            pair("unet.q") | pair("unet.k", 4),
            {"lora_adapter_metadata": json.dumps(packed("unet", {"r": 16, "rank_pattern": {"k": 4}}))},
            1,
            [],
        ),
        (pair("base_model.model.q") | pair("base_model.model.k", 4), {}, 1, []),
        # Metadata that disagrees with the tensors: a rank, an alpha; what is none, or may be another.
        (kohya("lora_unet_a"), {"ss_network_dim": "16", "ss_network_alpha": "8.0"}, 8, []),
        (kohya("lora_unet_a"), {"ss_network_dim": "32", "ss_network_alpha": "8.0"}, 8, ["ss-metadata-mismatch"]),
        (kohya("lora_unet_a"), {"ss_network_dim": "16", "ss_network_alpha": "1"}, 8, ["ss-metadata-mismatch"]),
        (kohya("lora_unet_a"), {"ss_network_dim": "Dynamic", "ss_network_alpha": "Dynamic"}, 8, []),
        (kohya("lora_unet_a"), {"ss_network_dim": "None", "ss_network_alpha": "None"}, 8, []),
        (kohya("lora_unet_a"), {"ss_network_dim": "16", "ss_network_alpha": "0"}, 16, []),
        (
            kohya("lora_unet_a"),
            {"ss_network_alpha": "8", "ss_network_args": '{"algo": "locon", "rs_lora": "True"}'},
            32,
            [],
        ),
        (kohya("lora_unet_a") | kohya("lora_unet_conv", 4), {"ss_network_dim": "4", "ss_network_alpha": "1"}, 1, []),
        # Alphas: none of 0, none of several numbers, none missing beside others that aren't the rank.
        (kohya("lora_unet_a"), {}, 0, ["alpha-tensor-bad"]),
        (kohya("lora_unet_a") | {"lora_unet_a.alpha": ("F32", (1,))}, {}, 8, []),
        (kohya("lora_unet_a") | {"lora_unet_a.alpha": ("F32", (16,))}, {}, 8, ["alpha-tensor-bad"]),
        (kohya("lora_unet_a"), {}, float("nan"), ["alpha-tensor-bad"]),
        (kohya("lora_unet_a"), {}, float("inf"), ["alpha-tensor-bad"]),
        (kohya("lora_unet_a") | {"lora_unet_a.alpha": ("F8_E4M3", ())}, {}, 8, ["alpha-tensor-bad"]),
        (kohya("lora_unet_a") | {"lora_unet_a.alpha": ("I64", ())}, {}, 8, []),
        (HALF_SCALED, {}, 8, ["alpha-tensor-bad"]),
        (HALF_SCALED, {}, 16, []),
        # sd-scripts' split_qkv: joined with the alpha of a part, with the sum, not split at all.
        (QKV, FLUX, 32, ["split-qkv-alpha"]),
        (QKV, FLUX | {"ss_network_alpha": "96"}, 32, ["ss-metadata-mismatch"]),
        (QKV, FLUX | {"ss_network_args": "{}"}, 32, []),
        # Halves.
        ({"lora_unet_a.lora_up.weight": UP}, {}, 1, ["missing-tensors"]),
        (kohya("lora_unet_a") | {"lora_unet_a.lora_up.weight": ("F16", (64, 8))}, {}, 16, ["a-differs-from-b"]),
        ({f"_orig_mod.{name}": one for name, one in pair("transformer.to_q").items()}, {}, 1, ["bad-key-prefix"]),
        (pair("transformer._orig_mod.to_q"), {}, 1, ["bad-key-prefix"]),
        # Dtypes.
        (kohya("lora_unet_a") | {"lora_unet_a.lora_up.weight": ("BF16", (64, 16))}, {}, 16, ["mixed-dtypes"]),
        (kohya("lora_unet_a") | {"lora_unet_a.dora_scale": ("F32", (64, 1))}, {}, 16, []),
    ],
)
def test_a_file_alone_is_told_what_is_wrong_with_it(
    table: Table, metadata: dict[str, str], fill: float, rules: list[str], tmp_path: Path
) -> None:
    assert rules_for(write_safetensors(tmp_path / "lora.safetensors", table, metadata, fill)) == rules


TRAINING = """\
job: extension
config:
  process:
    - type: sd_trainer
      network: {type: lora, linear: 16, linear_alpha: 32}
      model: {name_or_path: org/flux, is_flux: true}
"""


@pytest.mark.parametrize(
    ("name", "text", "rules"),
    [
        ("adapter_config.json", config(r=16, lora_alpha=32), ["diffusers-alpha-not-serialised"]),
        ("adapter_config.json", config(r=16, lora_alpha=16), []),
        ("adapter_config.json", config(r=8, lora_alpha=16), []),
        (
            "config.json",
            '{"model_family": "flux", "lora_rank": 16, "lora_alpha": 8}',
            ["diffusers-alpha-not-serialised"],
        ),
        ("config.json", '{"model_family": "flux", "lora_rank": 16}', []),
        ("config.yaml", TRAINING, []),
        (
            "run.sh",
            "python train_dreambooth_lora_flux.py --rank 16 --lora_alpha 32\n",
            ["diffusers-alpha-not-serialised"],
        ),
        ("run.sh", "python train_dreambooth_lora_sdxl.py --rank 16\n", []),
    ],
)
def test_a_run_beside_the_file_tells_the_alpha_that_it_lacks(
    name: str, text: str, rules: list[str], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    path = write_safetensors(
        tmp_path / "pytorch_lora_weights.safetensors", pair("transformer.transformer_blocks.0.to_q")
    )
    assert rules_for(path) == rules


def test_of_two_configs_neither_is_taken_for_the_run(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(config(r=16, lora_alpha=32))
    assert rules_for(write_safetensors(tmp_path / "lora.safetensors", pair("unet.mid_block.to_q"))) == []


# InternVL's flags.


PLAIN: Table = {"language_model.model.q.weight": ("F32", (4, 4)), "vision_model.q.weight": ("F32", (4, 4))}


@pytest.mark.parametrize(
    ("flags", "table", "rules"),
    [
        ({"use_llm_lora": 16}, PLAIN, ["stale-lora-flag"]),
        ({"use_llm_lora": 16, "use_backbone_lora": 16}, PLAIN, ["stale-lora-flag"] * 2),
        ({"use_llm_lora": 16, "use_backbone_lora": 0}, UNMERGED, ["unmerged-lora"]),
        ({"use_llm_lora": 16, "use_backbone_lora": 8}, UNMERGED, ["stale-lora-flag", "unmerged-lora"]),
        ({"use_llm_lora": 0}, UNMERGED, ["stale-lora-flag"]),
        ({"use_llm_lora": 0, "use_backbone_lora": 0}, PLAIN, []),
    ],
)
@pytest.mark.parametrize("sharded", ["no", "whole", "index alone", "pointers"])
def test_a_flag_for_lora_is_held_against_the_names_of_the_tensors(
    flags: dict[str, int], table: Table, rules: list[str], sharded: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "internvl_chat"} | flags))
    name = "model.safetensors" if sharded == "no" else "model-00001-of-00001.safetensors"
    write_safetensors(tmp_path / name, table)
    if sharded != "no":
        index = {"weight_map": dict.fromkeys(table, name)}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    if sharded == "index alone":
        (tmp_path / name).unlink()
    if sharded == "pointers":
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\n")
    report = lint([str(tmp_path / "config.json")], select=["stale-lora-flag", "unmerged-lora"])
    assert sorted(one.rule for one in report.diagnostics if one.rule != "syntax-error") == rules
