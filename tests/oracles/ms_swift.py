"""ms-swift's arguments and `prepare_adapter`, on a small Llama."""

from collections.abc import Iterator
from pathlib import Path

from swift.arguments import SftArguments
from swift.cli.main import parse_yaml_args
from swift.pipelines.train.tuner import prepare_adapter
from swift.utils import parse_args

from tests.oracles.live import Layer, arguments, llama, of_peft

NEEDED = ["--model", "llama", "--model_type", "llama", "--template", "llama3_2", "--dataset", "d", "--use_hf", "true"]


def layers(name: str, text: str) -> Iterator[Layer]:
    model = llama()
    model.save_pretrained("llama")
    if name.endswith(".yaml"):
        Path(name).write_text(text)
        given = [name]
        parse_yaml_args(given)
    else:
        given = arguments(text, "swift", "sft")
    parsed, unknown = parse_args(SftArguments, [*given, *NEEDED])
    if unknown:
        raise ValueError(unknown)
    if parsed.tuner_type != "full":
        model.model_meta = parsed.model_meta
        yield from of_peft(prepare_adapter(parsed, model))
