"""Python that loads a saved adapter and trains it as it was loaded.

`PeftModel.from_pretrained` sets `inference_mode` unless `is_trainable` is given (peft/peft_model.py:496 at 0.21.2).
"""

import pytest

from lora_lint.reading import read_bytes

LOAD = "model = PeftModel.from_pretrained(base, path)\n"
TRAIN = "trainer = Trainer(model=model)\ntrainer.train()\n"


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    ("code", "trainers"),
    [
        (LOAD + TRAIN, ["Trainer"]),
        ("def f():\n" + indented(LOAD + TRAIN), ["Trainer"]),
        ("model = peft.PeftModel.from_pretrained(base, path)\nt = trl.SFTTrainer(model)\nt.train()\n", ["SFTTrainer"]),
        ("if path:\n" + indented(LOAD) + "else:\n    model = get_peft_model(base, config)\n" + TRAIN, ["Trainer"]),
        (
            "self.model = AutoPeftModelForCausalLM.from_pretrained(path)\nt = Trainer(self.model)\nt.train()",
            ["Trainer"],
        ),
        ("model = PeftModel.from_pretrained(base, path, is_trainable=True)\n" + TRAIN, []),
        (LOAD + "model = model.merge_and_unload()\n" + TRAIN, []),
        ("model = PeftModel.from_pretrained(base, path).merge_and_unload()\n" + TRAIN, []),
        (LOAD + "for p in model.parameters():\n    if p.ndim > 1:\n        p.requires_grad = True\n" + TRAIN, []),
        ("if path:\n" + indented(LOAD + "thaw.requires_grad_()") + TRAIN, []),
        (LOAD + "if a:\n    def hook(m, i, output):\n        output.requires_grad_(True)\n" + TRAIN, ["Trainer"]),
        (LOAD + "model = get_peft_model(base, config)\n" + TRAIN, []),
        (TRAIN + LOAD, []),
        (LOAD + "Trainer(model=model).train()\n", ["Trainer"]),
        (LOAD + "optimizer = AdamW(model.parameters(), lr=1e-4)\nfor b in data:\n    model(b).backward()\n", ["AdamW"]),
        (LOAD + "trainer = SFTTrainer(model=model, peft_config=config)\ntrainer.train()\n", []),
        (LOAD + "model.set_adapter('default')\n" + TRAIN, []),
        (LOAD + "trainer = Trainer(model=model)\ntrainer.evaluate()\n", []),
        ("reference" + LOAD.removeprefix("model") + "t = DPOTrainer(model=base, ref_model=reference)\nt.train()\n", []),
        (LOAD + "def f(model):\n" + indented(TRAIN), []),
        (LOAD + TRAIN + "(", []),
        ("if a:\n    pass\n" + "elif a:\n    pass\n" * 900 + LOAD + TRAIN, []),
    ],
)
def test_an_adapter_is_trained_frozen_where_nothing_thaws_it_on_the_way(code: str, trainers: list[str]) -> None:
    setups = read_bytes("a.py", code.encode()).setups
    assert [setup.document.words[0] for setup in setups if setup.document.deed == "loads-frozen"] == trainers
