"""Commands that a script's docstring shows are read, as notes."""

import pytest

from lora_lint.reading import read_bytes

HEAD = '"""Fine-tunes; it\'s short.\n\n'


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("python train.py --use_peft --lora_r 32 --lora_alpha 16\n", [(32, 16, 3)]),
        ("trl sft \\\n    --use_peft \\\n    --lora_r 32 \\\n    --lora_alpha 16\n", [(32, 16, 5)]),
        (
            "$ trl sft --use_peft --lora_r 8 --lora_alpha 16\n$ trl dpo --use_peft --lora_r 16\n",
            [(8, 16, 3), (16, 32, 4)],
        ),
        ("Set --output_dir to the folder you want.\n", []),
    ],
)
def test_usage_in_a_docstring_is_read_at_its_line(docstring: str, expected: list[tuple[int, int, int]]) -> None:
    reading = read_bytes("train.py", f'{HEAD}{docstring}"""\nfrom trl import ModelConfig\n'.encode())
    found = [(setup.document, site) for setup in reading.setups for site in setup.sites]
    assert [
        (site.rank.value, site.alpha.value, document.source.position(document.span_of(site.rank.path).start).line)
        for document, site in found
        if site.alpha is not None
    ] == expected
    assert all(document.example for document, _ in found)
