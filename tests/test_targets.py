"""What is said of targets in the frameworks' own spellings, and of what stands beside them.

torchtune/modules/peft/_utils.py:16 at bd2a0fc7; swift/pipelines/train/tuner.py:92-112 and 178-205 and
swift/model/register.py:357-372 at 36023605; src/llamafactory/model/adapter.py:246-255 at ff6d4d1; diffusers'
examples/dreambooth at 58eb52c0; peft/tuners/tuners_utils.py:2334-2362 at 0.21.2.
"""

import json
from pathlib import Path
from textwrap import dedent

import pytest

from lora_lint.image_models import image_model
from lora_lint.linter import lint

SWIFT = "swift sft --model Qwen/Qwen2.5-7B-Instruct --tuner_type lora --lora_rank 8 --lora_alpha 16"
MEGATRON = "megatron sft --tuner_type lora --lora_rank 8 --lora_alpha 16"
FACTORY = "model_name_or_path: org/model\nstage: sft\nfinetuning_type: lora\nlora_rank: 8\nlora_target: all\n"
TUNE = """
    model:
      _component_: torchtune.models.llama3_1.lora_llama3_1_8b
      lora_attn_modules: [q_proj, {}]
      lora_rank: 8
      lora_alpha: 16
    """
BRIDGE = "from megatron.bridge.peft.lora import LoRA\nlora = LoRA(target_modules={}, dim=8, alpha=16)"
PARSED = """
    parser.add_argument("--model", default="{}")
    model = AutoModelForCausalLM.from_pretrained(args.model)
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules={}))
    """
DIFFUSERS = """
    unet = UNet2DConditionModel.from_pretrained(args.model, subfolder="unet")
    text_encoder = CLIPTextModel.from_pretrained(args.model, subfolder="text_encoder")
    config = LoraConfig(r=8, lora_alpha=16, target_modules={})
    unet.add_adapter(config)
    config = LoraConfig(r=8, lora_alpha=16, target_modules={})
    text_encoder.add_adapter(config)
    unet = accelerator.prepare(unet)
    """
TOKENS = 'tokenizer.{}\nconfig = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj"])\n'
VISION = """
    model = AutoModelForImageClassification.from_pretrained("google/vit-base-patch16-224"{})
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["query"]{}))
    """
LAYERS = """
    {}
    model = AutoModelForCausalLM.from_pretrained("Qwen/Qwen2.5-7B")
    config = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj"], layers_to_transform={})
    model = get_peft_model(model, config)
    """
MATCHES, SYNTAX, ROWS, HEAD = (
    *("target-matches-nothing", "target-list-syntax"),
    *("new-tokens-without-embeddings", "classifier-head-not-saved"),
)
CHOSEN = "layers-to-transform-misuse"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.yaml", TUNE.format("output_proj"), []),
        ("a.yaml", TUNE.format("o_proj"), [(MATCHES, "warning", 4)]),
        ("a.sh", f"{SWIFT} --target_modules q_proj all-embedding", []),
        ("a.sh", f"{SWIFT} --target_modules all-linear", []),
        ("a.sh", f"{SWIFT} --target_modules q_proj query_key_value", [(MATCHES, "warning", 1)]),
        ("a.sh", f"{SWIFT} --target_modules q_proj,v_proj", [(SYNTAX, "error", 1)]),
        ("a.sh", f"{SWIFT} --target_regex '.*\\.self_attn\\.(q|v)_proj' --target_modules c_attn", []),
        ("a.sh", f"{SWIFT} --target_regex '.*\\.attn\\.c_attn'", [(MATCHES, "warning", 1)]),
        ("a.sh", f"{MEGATRON} --target_modules linear_qkv linear_proj all-router", []),
        ("a.sh", f"{MEGATRON} --model Qwen/Qwen2.5-7B --target_modules q_proj", [(MATCHES, "error", 1)]),
        ("a.py", BRIDGE.format('["linear_qkv", "*.layers.0.*.linear_fc1", "in_proj"]'), []),
        ("a.py", BRIDGE.format('["q_proj", "v_proj"]'), [(MATCHES, "error", 2)]),
        ("a.sh", f"{SWIFT} --new_special_tokens '<a>'", [(ROWS, "error", 1)]),
        ("a.sh", f"{SWIFT} --new_special_tokens '<a>' --modules_to_save all-embedding", []),
        ("a.sh", f"{SWIFT} --new_special_tokens '<a>' --target_modules all-linear all-embedding", []),
        ("a.yaml", f"{FACTORY}add_tokens: <a>,<b>", []),
        ("a.yaml", f"{FACTORY}add_tokens: <a>,<b>\nadditional_target: norm", [(ROWS, "error", 6)]),
        ("a.yaml", f"{FACTORY}add_special_tokens: <a>\nadditional_target: embed_tokens,lm_head", []),
        ("a.yaml", f"{FACTORY}lora_alpha: 16", []),
        ("a.py", PARSED.format("tiiuae/falcon-7b", '["q_proj"]'), [(MATCHES, "warning", 4)]),
        ("a.py", PARSED.format("tiiuae/falcon-7b", '["query_key_value", "q_proj"]'), [(MATCHES, "note", 4)]),
        ("a.py", PARSED.format("tiiuae/falcon-7b", '["query_key_value"]'), []),
        ("a.py", PARSED.format("facebook/opt-125m", '["query_key_value"]'), []),
        ("a.py", PARSED.format("org/model", '["base_model.model.model.layers.0.q_proj"]'), [(MATCHES, "warning", 4)]),
        ("a.py", DIFFUSERS.format('["to_q", "to_out.0", "ff.net.0.proj"]', '["q_proj", "fc1"]'), []),
        ("a.py", DIFFUSERS.format('["q_proj", "v_proj"]', '["q_proj"]'), [(MATCHES, "error", 4)]),
        ("a.py", DIFFUSERS.format('["to_q"]', '["to_q", "out_proj"]'), [(MATCHES, "warning", 6)]),
        ("a.py", TOKENS.format('add_tokens(["<a>"])'), [(ROWS, "error", 1)]),
        ("a.py", TOKENS.format("add_tokens(names)"), [(ROWS, "warning", 1)]),
        ("a.py", TOKENS.format('add_special_tokens({"additional_special_tokens": names})'), [(ROWS, "warning", 1)]),
        ("a.py", TOKENS.format('add_special_tokens({"additional_special_tokens": ["<a>"]})'), [(ROWS, "error", 1)]),
        ("a.py", TOKENS.format('add_special_tokens({"pad_token": pad, "eos_token": "</s>"})'), []),
        ("a.py", TOKENS.format("add_special_tokens(special)"), []),
        ("a.py", TOKENS.format("add_tokens(names)") + "model.get_input_embeddings().weight.requires_grad = True", []),
        ("a.py", VISION.format(", num_labels=10", ""), [(HEAD, "warning", 3)]),
        ("a.py", VISION.format(", num_labels=10", ', modules_to_save=["classifier"]'), []),
        ("a.py", VISION.format("", ""), []),
        ("a.py", LAYERS.format("", "list(range(20, 28))"), []),
        ("a.py", LAYERS.format("", "list(range(20, 29))"), [(CHOSEN, "warning", 4)]),
        ("a.py", LAYERS.format("", "[*range(26, 30)]"), [(CHOSEN, "warning", 4)]),
        ("a.py", LAYERS.format("last = 30", "[n for n in range(26, last)]"), [(CHOSEN, "warning", 4)]),
        ("a.py", LAYERS.format("", "[n * 2 for n in range(26, 30)]"), []),
        ("a.py", LAYERS.format("", "list(range(first, 30))"), []),
        ("a.py", LAYERS.format("", "range(0, 10 ** 9)"), []),
    ],
)
def test_targets_are_judged_as_the_framework_reads_them(
    name: str, text: str, expected: list[tuple[str, str, int]], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(dedent(text) + "\n", "utf-8")
    found = lint([str(tmp_path)], select=[MATCHES, SYNTAX, ROWS, HEAD, CHOSEN]).diagnostics
    assert [(one.rule, one.severity, one.range.start.line) for one in found] == expected


@pytest.mark.parametrize(
    ("base", "tokens", "targets", "expected"),
    [
        ("mistralai/Mistral-7B-v0.1", {"<|im_start|>": 32000, "<|im_end|>": 32001}, ["q_proj"], 1),
        ("mistralai/Mistral-7B-v0.1", {"<|im_start|>": 32000}, ["q_proj", "embed_tokens"], 0),
        ("mistralai/Mistral-7B-v0.1", {"[PAD]": 32000}, ["q_proj"], 0),
        ("mistralai/Mistral-7B-v0.1", {"</s>": 2}, ["q_proj"], 0),
        # 151,936 rows for 151,665 tokens: a new token takes one of those to spare.
        ("Qwen/Qwen2.5-0.5B", {"<new>": 151665}, ["q_proj"], 0),
        ("org/unknown", {"<new>": 32000}, ["q_proj"], 0),
    ],
)
@pytest.mark.parametrize("decoder", [False, True])
def test_the_tokenizer_beside_a_saved_adapter_tells_of_rows_that_the_base_lacks(
    base: str, tokens: dict[str, int], targets: list[str], expected: int, decoder: bool, tmp_path: Path
) -> None:
    config = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "inference_mode": True, "target_modules": targets}
    config["base_model_name_or_path"] = base
    (tmp_path / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    decoded = {"added_tokens_decoder": {str(at): {"content": token} for token, at in tokens.items()}}
    name, data = ("tokenizer_config.json", decoded) if decoder else ("added_tokens.json", tokens)
    (tmp_path / name).write_text(json.dumps(data), "utf-8")
    found = lint([str(tmp_path)], select=[ROWS]).diagnostics
    assert len(found) == expected


@pytest.mark.parametrize(
    ("name", "narrowest"),
    [
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", 320),
        ("runwayml/stable-diffusion-v1-5", 320),
        ("CompVis/stable-diffusion-v1-4", 320),
        ("D:\\models\\v1-5-pruned-emaonly.safetensors", 320),
        ("stabilityai/stable-diffusion-2-1-base", 320),
        ("stabilityai/stable-diffusion-xl-base-1.0", 640),
        ("/models/sd_xl_base_1.0.safetensors", 640),
        ("/models/my-style-v1-5.safetensors", None),
        ("black-forest-labs/FLUX.1-dev", None),
        ("model", None),
    ],
)
def test_a_diffusion_model_is_known_by_the_name_of_its_weights(name: str, narrowest: int | None) -> None:
    found = image_model(name)
    assert (found.narrowest if found is not None else None) == narrowest
