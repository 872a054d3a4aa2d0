"""`lora-lint schema`: the JSON Schema of a framework's keys, for editors."""

from typing import Annotated

import typer

from lora_lint.cli.output import emit, fail


def schema(framework: Annotated[str, typer.Argument(help="Name of a framework, such as peft.")]) -> None:
    """Print the JSON Schema of the keys that a framework reads.

    \b
      lora-lint schema axolotl > axolotl.schema.json
    """
    import json

    from lora_lint.frameworks import MARKERS
    from lora_lint.frameworks import framework as module_of
    from lora_lint.spelling import nearest

    if framework not in MARKERS:
        meant = nearest(framework, MARKERS)
        hint = f"; {meant} was likely meant" if meant else f"; there are {', '.join(sorted(MARKERS))}"
        fail(f"there is no framework {framework!r}{hint}")
    module = module_of(framework)
    described = module.Config.model_json_schema()
    described = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": module.TITLE,
        "$comment": module.DOCS,
        **{key: value for key, value in described.items() if key != "title"},
    }
    emit(json.dumps(described, indent=2, ensure_ascii=False))
