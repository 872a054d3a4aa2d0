"""What code does to a model around LoRA: thawing all of it, casting it to float16, wrapping it by a saved config.

PEFT freezes whatever it puts an adapter into (tuners/tuners_utils.py:1142 at 0.21.2), and casts adapters to float32 in
`PeftModel` alone (peft_model.py:180): `add_adapter` of transformers and diffusers leaves them in the base's type.
"""

import pytest

from lora_lint.reading import read_bytes

WRAP = "model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16))\n"
ADD = "unet.add_adapter(LoraConfig(r=8, lora_alpha=16))\n"
ALL = "for p in model.parameters():\n    p.requires_grad = True\n"
SOME = "for n, p in model.named_parameters():\n    if 'lora' in n:\n        p.requires_grad = True\n"
FP16 = "accelerator = Accelerator(mixed_precision='fp16')\n"
TO16 = "unet.to('cuda', dtype=torch.float16)\n"


@pytest.mark.parametrize(
    ("code", "deeds"),
    [
        (WRAP + ALL, [("thaws", "model", 3)]),
        (WRAP + "model.requires_grad_(True)\n", [("thaws", "model", 2)]),
        (WRAP + "model.base_model.requires_grad_()\n", [("thaws", "model", 2)]),
        (ADD + "unet.requires_grad_(True)\n", [("thaws", "unet", 2)]),
        ("unet.requires_grad_(True)\n" + ADD, [("thaws-in-vain", "unet", 1)]),
        (WRAP + SOME, []),
        (ALL + WRAP, []),
        (WRAP + ALL + "model.requires_grad_(False)\n", []),
        (WRAP + ALL + SOME, []),
        (WRAP + "for p in model.lm_head.parameters():\n    p.requires_grad = True\n", []),
        (WRAP + "model.lm_head.requires_grad_(True)\n", []),
        (WRAP + "if full:\n    model.requires_grad_(True)\n", []),
        (f"if lora:\n    {WRAP}else:\n    model.requires_grad_(True)\n", []),
        (f"if lora:\n    {WRAP}    model.requires_grad_(True)\n", [("thaws", "model", 3)]),
        (WRAP + "model = load()\n" + ALL, []),
        ("model.requires_grad_(True)\nmodel.requires_grad_(False)\n" + WRAP, []),
        (FP16 + TO16 + ADD, [("half", "unet", 3)]),
        (FP16 + "for m in (unet, vae):\n    m.to('cuda', dtype=torch.float16)\n" + ADD, [("half", "unet", 4)]),
        (FP16 + "d = torch.float16\nunet.to('cuda', d)\n" + ADD, [("half", "unet", 4)]),
        (FP16 + "d = torch.float32\nif half:\n    d = torch.float16\nunet.to('cuda', d)\n" + ADD, []),
        (FP16 + TO16 + ADD + "cast_training_params(unet)\n", []),
        (FP16 + TO16 + ADD + "unet.to(torch.float32)\n", []),
        (TO16 + ADD, []),
        (FP16 + TO16 + WRAP, []),
        (FP16 + "model.half()\n" + WRAP, []),
        (FP16 + WRAP + "model.half()\n", [("half", "model", 3)]),
        ("c = LoraConfig.from_pretrained('a/b')\nmodel = get_peft_model(m, c)\n", [("reads-config", "a/b", 1)]),
        ("P = 'a/b'\nmodel = get_peft_model(m, PeftConfig.from_pretrained(P))\n", [("reads-config", "a/b", 2)]),
        ("c = LoraConfig.from_pretrained('a/b')\nc.inference_mode = False\nget_peft_model(m, c)\n", []),
        ("c = PeftConfig.from_pretrained('a/b')\nname = c.base_model_name_or_path\n", []),
    ],
)
def test_what_is_done_to_a_model_is_told_where_it_is_certain(code: str, deeds: list[tuple[str, str, int]]) -> None:
    reading = read_bytes("a.py", code.encode())
    found = [setup.document for setup in reading.setups if setup.document.deed]
    places = [reading.source.position(document.span.start).line for document in found]
    assert [(one.deed, one.words[0], at) for one, at in zip(found, places, strict=True)] == deeds


def test_nothing_is_told_of_tests() -> None:
    reading = read_bytes("tests/test_a.py", (WRAP + ALL).encode(), inside="tests/test_a.py")
    assert [setup.document.deed for setup in reading.setups] == [""]
