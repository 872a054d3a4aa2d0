"""The base of an adapter: what its id or config names, and the table of architectures beside the real classes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lora_lint.architectures import ARCHITECTURES
from lora_lint.base_model import any_module_matches, kinds, layer_names, modules
from lora_lint.hub_models import HubModel, hub_config, hub_model
from lora_lint.layer_sizes import FAMILIES, layer_sizes
from lora_lint.linter import lint, read_setups

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

from peft.tuners.tuners_utils import check_target_module_exists  # noqa: E402
from peft.utils import transformers_weight_conversion as conversion  # noqa: E402
from transformers.pytorch_utils import Conv1D  # noqa: E402

CLASSES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen2_moe": "Qwen2MoeForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "qwen3_next": "Qwen3NextForCausalLM",
    "qwen3_5": "Qwen3_5ForConditionalGeneration",
    "qwen3_5_moe": "Qwen3_5MoeForConditionalGeneration",
    "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
    "qwen3_vl_moe": "Qwen3VLMoeForConditionalGeneration",
    "gemma": "GemmaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "gemma3": "Gemma3ForConditionalGeneration",
    "phi": "PhiForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "gpt2": "GPT2LMHeadModel",
    "gpt_bigcode": "GPTBigCodeForCausalLM",
    "gpt_neo": "GPTNeoForCausalLM",
    "gpt_neox": "GPTNeoXForCausalLM",
    "gptj": "GPTJForCausalLM",
    "codegen": "CodeGenForCausalLM",
    "opt": "OPTForCausalLM",
    "bloom": "BloomForCausalLM",
    "falcon": "FalconForCausalLM",
    "mpt": "MptForCausalLM",
    "stablelm": "StableLmForCausalLM",
    "starcoder2": "Starcoder2ForCausalLM",
    "cohere": "CohereForCausalLM",
    "cohere2": "Cohere2ForCausalLM",
    "deepseek_v2": "DeepseekV2ForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
    "gpt_oss": "GptOssForCausalLM",
    "llama4": "Llama4ForCausalLM",
    "CLIPTextModel": "CLIPTextModel",
    "CLIPTextModelWithProjection": "CLIPTextModelWithProjection",
    "olmo2": "Olmo2ForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
    "granite": "GraniteForCausalLM",
    "internvl": "InternVLForConditionalGeneration",
    "llava": "LlavaForConditionalGeneration",
    "llava_next": "LlavaNextForConditionalGeneration",
    "mllama": "MllamaForConditionalGeneration",
    "mistral3": "Mistral3ForConditionalGeneration",
    "t5": "T5ForConditionalGeneration",
    "mt5": "MT5ForConditionalGeneration",
    "bart": "BartForConditionalGeneration",
    "whisper": "WhisperForConditionalGeneration",
    "bert": "BertLMHeadModel",
    "roberta": "RobertaForCausalLM",
    "xlm-roberta": "XLMRobertaForCausalLM",
    "distilbert": "DistilBertForMaskedLM",
    "deberta-v2": "DebertaV2ForSequenceClassification",
    "vit": "ViTForImageClassification",
    "dinov2": "Dinov2ForImageClassification",
}
"""Classes of transformers; the others of the table are models that bring their own code."""

of_the_release = pytest.mark.skipif(
    not transformers.__version__.startswith("5.24."), reason="the table was made for transformers 5.24 and 4.57"
)

SIZES = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "depth", "encoder_layers", "decoder_layers")


def real_modules(name: str) -> dict[str, str]:
    """Path -> kind of every module of a small model that PEFT can adapt, on the meta device."""
    found: dict[str, str] = {}
    model = small_model(name)
    head = model.get_output_embeddings()
    for path, module in model.named_modules():
        stacked = [key for key, value in module.named_parameters(recurse=False) if value.dim() == 3 and "proj" in key]
        if module is head:
            found[path] = "head"
        elif isinstance(module, torch.nn.Linear | Conv1D):
            found[path] = "layer"
        elif isinstance(module, torch.nn.Embedding | torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d):
            found[path] = "other"
        found |= {f"{path}.{key}": "expert" for key in stacked if path.endswith("experts")}
    return found


def small_model(name: str) -> Any:
    cls = getattr(transformers, CLASSES[name])
    config = cls.config_class()
    parts = [getattr(config, key) for key in dir(config) if key.endswith("_config")]
    for part in [config, *(part for part in parts if hasattr(part, "to_dict"))]:
        for key in SIZES:
            if isinstance(getattr(part, key, None), int):
                setattr(part, key, 4)
        if getattr(part, "layer_types", None):
            part.layer_types = part.layer_types[:4]
    with torch.device("meta"):
        return cls._from_config(config)


FINE = {"layer": {"layer", "tower", "router", "head"}, "other": {"other"}, "head": {"head"}, "expert": {"expert"}}

OPTIONAL = {
    "gpt2": {"q_attn"},
    "gpt_bigcode": {"q_attn"},
    "opt": {"project_in", "project_out"},
    "deepseek_v2": {"q_proj"},
    "deepseek_v3": {"q_proj"},
    "t5": {"wi_0", "wi_1"},
    "mt5": {"wi"},
    "roberta": {"out_proj"},
    "xlm-roberta": {"out_proj"},
    "distilbert": {"pre_classifier"},
    "deberta-v2": {"pos_key_proj", "pos_query_proj"},
    "dinov2": {"weights_in", "weights_out"},
}
"""Layers that the class has with another config, or a sibling of it for another task."""


@of_the_release
@pytest.mark.parametrize("name", CLASSES)
def test_the_table_knows_every_module_of_the_real_class_and_names_no_other_layer(name: str) -> None:
    real = real_modules(name)
    assert [(path, kind) for path, kind in real.items() if not kinds(name, path) & FINE[kind]] == []
    last = {path.rpartition(".")[2] for path in real}
    assert set(layer_names(name)) - last == OPTIONAL.get(name, set())


@of_the_release
@pytest.mark.parametrize("name", sorted(FAMILIES & CLASSES.keys() - {"falcon"}))
def test_the_sizes_of_layers_are_those_of_the_real_class(name: str) -> None:
    model = small_model(name)
    sizes = layer_sizes(name, model.config.to_dict() | NUMBERS.get(name, {}))
    assert sizes
    block = re.compile(r"(?!visual|vision|model\.vision)[\w.]*?(?:layers|layer|h)\.0\.([\w.]+)")
    real = {
        found[1]: tuple(module.weight.shape[:: -1 if isinstance(module, Conv1D) else 1])
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and (found := block.fullmatch(path)) and found[1] in sizes
    }
    assert real == sizes


NUMBERS = {"qwen3_moe": {"head_dim": 64}}
"""What the class's own config leaves out and the files of real models have."""


def test_falcon_shares_keys_and_values_in_one_layer() -> None:
    config = transformers.FalconConfig(
        hidden_size=4544, num_hidden_layers=1, num_attention_heads=71, multi_query=True, new_decoder_architecture=False
    )
    with torch.device("meta"):
        model = transformers.FalconForCausalLM._from_config(config)
    sizes = layer_sizes("falcon", hub_config("tiiuae/falcon-7b"))
    attention = model.transformer.h[0].self_attention
    assert sizes["self_attention.query_key_value"] == tuple(attention.query_key_value.weight.shape) == (4672, 4544)


@pytest.mark.parametrize(
    ("name", "layers", "hidden", "keys", "vocabulary"),
    [
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", 32, 4096, 1024, 128256),
        ("unsloth/Qwen2.5-0.5B-Instruct-bnb-4bit", 24, 896, 128, 151936),
        ("Qwen/Qwen2.5-Coder-7B-Instruct", 28, 3584, 512, 152064),
        ("Qwen/Qwen3-4B-Instruct-2507", 36, 2560, 1024, 151936),
        ("mistralai/Mistral-7B-Instruct-v0.3", 32, 4096, 1024, 32768),
        ("mistralai/Mistral-7B-v0.1", 32, 4096, 1024, 32000),
        ("unsloth/mistral-7b-bnb-4bit", 32, 4096, 1024, None),
        ("TinyLlama/TinyLlama-1.1B-Chat-v1.0", 22, 2048, 256, 32000),
        ("google/gemma-2-2b-it", 26, 2304, 1024, 256000),
        ("facebook/opt-125m", 12, 768, 768, 50272),
        ("org/unknown", None, None, None, None),
        ("deepseek-ai/DeepSeek-V3", None, None, None, None),
    ],
)
def test_an_id_says_how_large_the_model_is_only_where_that_is_known(
    name: str, layers: int | None, hidden: int | None, keys: int | None, vocabulary: int | None
) -> None:
    config, known = hub_config(name), hub_model(name)
    assert (config.get("num_hidden_layers"), config.get("hidden_size")) == (layers, hidden)
    assert config.get("vocab_size") == vocabulary
    sizes = layer_sizes(known.architecture, config) if known is not None else {}
    assert sizes.get("self_attn.k_proj", (None,))[0] == keys


POOL = sorted(
    {*(path[-1] for name in ARCHITECTURES for path, _ in modules(name)), "self_attn.q_proj", "mlp.gate"} - {"*"}
)
EXPRESSIONS = (
    *(r".*\.(q|v)_proj", "q_proj", r"model\.layers\.\d+\.self_attn\.q_proj", r".*layers\.[01]\..*", r".*\.attn\..*"),
    *(r"model\.language_model\.layers\.[\d]+\.mlp\.(up|down)_proj", r"transformer\.h\.\d+\.attn\.c_attn", ".*query.*"),
)


@of_the_release
@pytest.mark.parametrize(
    "name", ["llama", "mixtral", "qwen3_moe", "qwen2_5_vl", "gemma3", "gpt2", "gpt_neox", "bert", "t5"]
)
def test_what_peft_matches_is_never_called_absent(name: str) -> None:
    real = {path: module for path, module in small_model(name).named_modules() if path}
    for target in POOL:
        config = peft.LoraConfig(target_modules=[target])
        matched = [module for path, module in real.items() if check_target_module_exists(config, path)]
        assert not matched or kinds(name, target) - {"expert"}, target
        refused = kinds(name, target) == {"block"}
        assert not refused or not any(isinstance(module, torch.nn.Linear | Conv1D) for module in matched), target
    for expression in EXPRESSIONS:
        config = peft.LoraConfig(target_modules=expression)
        if any(check_target_module_exists(config, path) for path in real):
            assert any_module_matches(name, expression) is not False, expression


@of_the_release
@pytest.mark.parametrize("name", CLASSES)
def test_the_table_says_whose_experts_peft_converts(name: str) -> None:
    pattern = vars(conversion)["_MODEL_TO_CONVERSION_PATTERN"].get(name)
    assert ARCHITECTURES[name].converted == (pattern in vars(conversion)["_MOE_FUSED_TARGETS"])


@of_the_release
@pytest.mark.parametrize("name", CLASSES)
def test_the_table_says_tied_where_the_class_ties_by_default(name: str) -> None:
    config = getattr(transformers, CLASSES[name]).config_class()
    tied = ARCHITECTURES[name].tied
    assert tied is None or tied == bool(getattr(config, "tie_word_embeddings", False))


@pytest.mark.parametrize(
    ("name", "architecture", "tied"),
    [
        ("meta-llama/Llama-3.2-1B", "llama", True),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama", False),
        ("NousResearch/Meta-Llama-3-8B", "llama", False),
        ("unsloth/qwen2.5-3b-instruct-unsloth-bnb-4bit", "qwen2", True),
        ("TheBloke/Llama-2-7B-GPTQ", "llama", False),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3_moe", False),
        ("google/gemma-3-4b-it", "gemma3", True),
        ("gpt2", "gpt2", True),
        ("/x/.cache/huggingface/hub/models--gpt2/snapshots/607a30d783dfa663caf39e06633721c8d4cfcd7e", None, None),
        (
            "/x/hub/models--meta-llama--Llama-3.2-1B/snapshots/221e3535e1ac4840bdf061a12b634139c84e144c",
            "llama",
            True,
        ),
        ("meta-llama/Llama-3.2-11B-Vision-Instruct", "mllama", False),
        ("unsloth/Phi-3-mini-4k-instruct", None, None),
        ("someone/llama-3-8b-omni", None, None),
        ("llama-3-8b", None, None),
        ("/data/models/Llama-3.2-1B", None, None),
        ("./Llama-3.2-1B", None, None),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", None, None),
        ("meta-llama/Llama-3.2-1B" * 40, None, None),
    ],
)
def test_an_id_names_an_architecture_only_where_that_is_sure(name: str, architecture: str | None, tied: bool) -> None:
    found = hub_model(name)
    assert found == (HubModel(architecture, tied) if architecture else None)


@pytest.mark.parametrize(
    ("architecture", "name", "expected"),
    [
        ("llama", "q_proj", {"layer"}),
        ("llama", "self_attn.q_proj", {"layer"}),
        ("llama", "model.layers.0.self_attn.q_proj", {"layer"}),
        ("llama", "mlp.q_proj", set()),
        ("llama", "query_key_value", set()),
        ("llama", "proj", set()),
        ("llama", "mlp", {"block"}),
        ("llama", "0", {"block"}),
        ("llama", "lm_head", {"head"}),
        ("llama", "embed_tokens", {"other"}),
        ("mixtral", "w1", {"former"}),
        ("mixtral", "gate", {"router", "former"}),
        ("mixtral", "gate_proj", set()),
        ("qwen2_5_vl", "gate_proj", {"layer", "tower"}),
        ("qwen2_5_vl", "merger.mlp.0", {"tower"}),
        ("vit", "query", {"former"}),
        ("gpt_oss", "experts.gate_up_proj", {"expert"}),
    ],
)
def test_a_name_stands_for_modules_by_its_end(architecture: str, name: str, expected: set[str]) -> None:
    assert kinds(architecture, name) == expected


def adapter(folder: Path, base: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    return folder


LLAMA = {"model_type": "llama", "vocab_size": 128256, "num_hidden_layers": 16, "tie_word_embeddings": True}


def test_the_config_beside_an_adapter_is_its_base(tmp_path: Path) -> None:
    adapter(tmp_path, "org/unknown")
    (tmp_path / "config.json").write_text(json.dumps(LLAMA), "utf-8")
    (found,) = read_setups([str(tmp_path)])
    assert found.base is not None
    assert (found.base.name, found.base.source, found.base.tied) == ("llama", "config.json", True)
    assert (found.base.vocabulary, found.base.depth) == (128256, 16)


def test_a_folder_of_the_repository_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "models" / "llama").mkdir(parents=True)
    (tmp_path / "models" / "llama" / "config.json").write_text(json.dumps(LLAMA), "utf-8")
    adapter(tmp_path / "out" / "adapter", "./models/llama")
    (found,) = read_setups([str(tmp_path / "out")])
    assert found.base is not None
    assert (found.base.name, found.base.source) == ("llama", "./models/llama/config.json")


@pytest.mark.parametrize("base", ["../outside", "/etc", "models/link", "models/absent", "", "a\u0000b"])
def test_nothing_outside_of_the_repository_is_looked_into(base: str, tmp_path: Path) -> None:
    top = tmp_path / "repository"
    (top / ".git").mkdir(parents=True)
    (top / "models").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "config.json").write_text(json.dumps(LLAMA), "utf-8")
    (top / "models" / "link").symlink_to(tmp_path / "outside")
    adapter(top, base)
    (found,) = read_setups([str(top)])
    assert found.base is None


@pytest.mark.parametrize(
    "config", ['{"model_type": 3}', '{"model_type": ["llama"]}', "[]", "{", '{"model_type": "new"}']
)
def test_a_config_that_says_nothing_known_leaves_the_base_unknown(config: str, tmp_path: Path) -> None:
    adapter(tmp_path, "org/unknown")
    (tmp_path / "config.json").write_text(config, "utf-8")
    (found,) = read_setups([str(tmp_path)])
    assert found.base is None


@pytest.mark.parametrize(
    ("architecture", "expression", "expected"),
    [
        ("llama", r".*\.(q|v)_proj", True),
        ("llama", r"model\.layers\.31\.self_attn\.q_proj", True),
        ("gemma3", r"model.language_model.layers.[\d]+.(mlp|self_attn).(up|down|gate|q|k|v|o)_proj", True),
        ("llama", "q_proj", False),
        ("llama", r".*\.attn\.c_attn", False),
        ("llama", r"model\.layers\.300\.self_attn\.q_proj", False),
        ("mixtral", r"model\.layers\.0\.block_sparse_moe\.experts\.7\.w1", None),
        ("llama", "(", None),
        ("llama", r"(\w|\w\w|\.)+[!?]", None),
    ],
)
def test_an_expression_has_to_match_a_whole_path(architecture: str, expression: str, expected: bool | None) -> None:
    assert any_module_matches(architecture, expression) is expected


def test_a_list_of_thousands_of_dead_targets_is_reported_in_a_few_lines(tmp_path: Path) -> None:
    adapter(tmp_path, "meta-llama/Llama-3.2-1B")
    file = tmp_path / "adapter_config.json"
    targets = ["q_proj", *(f"layer{number}" for number in range(20_000))]
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"target_modules": targets}), "utf-8")
    found = lint([str(file)], select=["target-matches-nothing"]).diagnostics
    assert len(found) == 20
    assert "layer0" in found[0].message
