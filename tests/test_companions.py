"""The calls that a Python run is made of beside its LoRA call are read as one run, and only where they are one."""

from pathlib import Path
from textwrap import dedent

import pytest

from lora_lint import read_setups
from lora_lint.facts import Fact, Setup

LORA = 'config = LoraConfig(r=8, lora_alpha=16, task_type="CAUSAL_LM")'
ARGUMENTS = "args = TrainingArguments(output_dir='out', learning_rate=2e-4, fp16=True)"
MODEL = "model = AutoModelForCausalLM.from_pretrained('org/base', torch_dtype=torch.float16, trust_remote_code=True)"
VALUED = "model = AutoModelForCausalLMWithValueHead.from_pretrained('org/base', peft_config=config)"
CLASSIFIER = "reward = AutoModelForSequenceClassification.from_pretrained('a/b')"


def setup(folder: Path, code: str) -> Setup:
    file = folder / "train.py"
    file.write_text(dedent(code))
    (found,) = read_setups([str(file)])
    return found


def said(found: Setup, word: str) -> object:
    fact: Fact[object] | None = found.ask(word)
    return fact.value if fact is not None and fact.known else None


@pytest.mark.parametrize(
    ("code", "word", "value"),
    [
        (f"{ARGUMENTS}\n{LORA}", "learning_rate", 2e-4),
        (f"{LORA}\n{ARGUMENTS}", "stage", "sft"),
        (f"args = DPOConfig(learning_rate=5e-6)\n{LORA}", "stage", "dpo"),
        (f"{MODEL}\n{LORA}", "base_model", "org/base"),
        (f"name = 'org/base'\nmodel = AutoModel.from_pretrained(name)\n{LORA}", "base_model", "org/base"),
        (f"FastLanguageModel.from_pretrained(model_name='org/base')\n{LORA}", "base_model", "org/base"),
        (f"trainer = SFTTrainer('org/base', peft_config=None)\n{LORA}", "base_model", "org/base"),
        (f"{MODEL}\n{LORA}", "trust_remote_code", True),
        (f"{MODEL}\n{ARGUMENTS}\n{LORA}", "fp16_weights", True),
        (f"{MODEL}\n{LORA}", "fp16_weights", None),
        (f"{LORA}\nget_peft_model(model, config, autocast_adapter_dtype=False)", "autocast_adapter_dtype", False),
        (f"bnb = BitsAndBytesConfig(load_in_4bit=True)\n{LORA}", "load_in_4bit", True),
        (f"optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)\n{LORA}", "learning_rate", 3e-4),
        (f"{LORA}\ntrainer.train(resume_from_checkpoint='out/checkpoint-9')", "resume_from", "out/checkpoint-9"),
        (f"tokenizer.add_tokens(['<a>', '<b>'])\n{LORA}", "new_tokens", ["<a>", "<b>"]),
        (f"tokenizer.add_special_tokens({{'pad_token': '<pad>'}})\n{LORA}", "new_tokens", []),
        (f"{CLASSIFIER}\n{LORA}", "reward_model", True),
        (f"{CLASSIFIER}\nPPOConfig()\n{LORA}", "reward_model", None),
        (f"{LORA}\n{VALUED}\n{CLASSIFIER}", "reward_model", None),
        (f"{LORA}\n{CLASSIFIER.replace(')', ', peft_config=config)')}", "reward_model", True),
    ],
)  # fmt: skip
def test_a_call_of_the_run_answers_for_its_words(tmp_path: Path, code: str, word: str, value: object) -> None:
    assert said(setup(tmp_path, code), word) == value


TOGETHER = {
    "main calls what builds the adapter": f"""
        def adapter():
            {LORA}
        def main():
            {ARGUMENTS}
            adapter()
        """,
    "main calls both": f"""
        def adapter():
            {LORA}
        def arguments():
            {ARGUMENTS}
        def main():
            adapter()
            arguments()
        """,
    "two methods of one class": f"""
        class Run:
            def adapter(self):
                {LORA}
            def arguments(self):
                {ARGUMENTS}
        """,
    "the adapter under a condition": f"""
        {ARGUMENTS}
        if lora:
            {LORA}
        """,
    "as a script": f"""
        if __name__ == "__main__":
            {ARGUMENTS}
            {LORA}
        """,
}
APART = {
    "two functions that nothing calls together": f"""
        def adapter():
            {LORA}
        def whole():
            {ARGUMENTS}
        """,
    "two tests of one class": f"""
        class Tests:
            def test_adapter(self):
                {LORA}
            def test_whole(self):
                {ARGUMENTS}
        """,
    "two arguments, either of which may be meant": f"""
        {ARGUMENTS}
        other = TrainingArguments(learning_rate=1e-5)
        {LORA}
        """,
    "arguments under a condition of their own": f"""
        if whole:
            {ARGUMENTS}
        {LORA}
        """,
}


@pytest.mark.parametrize("code", TOGETHER.values(), ids=TOGETHER)
def test_calls_of_one_run_are_read_together(tmp_path: Path, code: str) -> None:
    assert said(setup(tmp_path, code), "learning_rate") == 2e-4


@pytest.mark.parametrize("code", APART.values(), ids=APART)
def test_calls_that_may_belong_to_other_runs_are_not(tmp_path: Path, code: str) -> None:
    assert setup(tmp_path, code).ask("learning_rate") is None


@pytest.mark.parametrize("code", ["", "ref = AutoModelForCausalLM.from_pretrained('org/base')\n"])
def test_one_model_that_is_loaded_twice_is_still_known(tmp_path: Path, code: str) -> None:
    assert said(setup(tmp_path, f"{code}{MODEL}\n{LORA}"), "base_model") == "org/base"


def test_two_models_are_none(tmp_path: Path) -> None:
    code = f"teacher = AutoModelForCausalLM.from_pretrained('org/other')\n{MODEL}\n{LORA}"
    assert setup(tmp_path, code).ask("base_model").value is None  # type: ignore[union-attr]


def test_a_finding_stands_where_the_other_call_has_the_value(tmp_path: Path) -> None:
    found = setup(tmp_path, f"{ARGUMENTS}\n{LORA}")
    rate = found.training.learning_rate
    assert rate is not None
    assert rate.path == ("TrainingArguments", "learning_rate")
    assert found.document.source.text[slice(*found.document.span_of(rate.path))] == "2e-4"


@pytest.mark.parametrize(
    ("written", "value"),
    [("TaskType.SEQ_CLS", "SEQ_CLS"), ("peft.TaskType.CAUSAL_LM", "CAUSAL_LM"), ("'TOKEN_CLS'", "TOKEN_CLS")],
)
def test_a_member_of_an_enumeration_is_its_text(tmp_path: Path, written: str, value: str) -> None:
    assert said(setup(tmp_path, f"LoraConfig(r=8, lora_alpha=16, task_type={written})"), "task_type") == value


MADE = """
def language_model():
    return AutoModelForCausalLM.from_pretrained('org/language')
def image_model(path):
    return {}
def with_head(model):
    return Headed(model)
def main():
    text = language_model()
    headed = with_head(text)
    model = image_model('x')
    config = LoraConfig(r=8, lora_alpha=16)
    model = get_peft_model({}, config)
"""


@pytest.mark.parametrize(
    ("loaded", "wrapped", "base"),
    [
        ("ImageModel.from_pretrained(path)", "model", None),
        ("AutoModelForCausalLM.from_pretrained('org/other')", "model", "org/other"),
        ("ImageModel.from_pretrained(path)", "text", "org/language"),
        ("ImageModel.from_pretrained(path)", "headed", "org/language"),
    ],
)
def test_the_base_is_what_the_adapted_model_is_made_of(tmp_path: Path, loaded: str, wrapped: str, base: object) -> None:
    code = MADE.format(loaded, wrapped)
    assert said(setup(tmp_path, code), "base_model") == base


OLD = "trainer = DPOTrainer(model=m, tokenizer=t)"


@pytest.mark.parametrize(
    ("imported", "old"),
    [
        ("from trl import DPOTrainer", ["tokenizer"]),
        ("from trl.trainer.dpo_trainer import DPOTrainer", ["tokenizer"]),
        ("from trl import *", ["tokenizer"]),
        ("from tunix.sft.dpo import DPOTrainer", []),
        ("from .trainer import DPOTrainer", []),
    ],
)
def test_a_class_of_another_library_has_lost_no_keys(tmp_path: Path, imported: str, old: list[str]) -> None:
    assert [key.key for key in setup(tmp_path, f"{imported}\n{LORA}\n{OLD}").old_keys] == old
