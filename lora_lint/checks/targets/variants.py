"""Do variants of LoRA and the layers that they are put on go together?"""

from collections.abc import Iterator

from lora_lint.facts import Setup
from lora_lint.finding import Finding, Insert, Replace, Severity
from lora_lint.scaling import number


def target_parameters_incompatible(setup: Setup) -> Iterator[Finding]:
    adapter = setup.adapter
    stacked = adapter.target_parameters
    if stacked is None or not stacked.value or not setup.active:
        return
    if isinstance(stacked.value, str):
        yield Finding("target_parameters is one text; PEFT wants a list and fails", at=stacked.path)
    dropout = adapter.lora_dropout
    if dropout is not None and dropout.value > 0:
        written = dropout.origin == "written"
        yield Finding(
            f"lora_dropout is {number(dropout.value)}{'' if written else ' by default'}, and PEFT fails on "
            "target_parameters with any dropout",
            at=dropout.path if written else stacked.path,
            on_key=not written,
            fix=Replace(dropout.path, "0.0") if written else Insert(stacked.path, dropout.key, "0.0"),
        )
    for word in ("use_dora", "lora_bias", "fan_in_fan_out"):
        fact = getattr(adapter, word)
        if fact is not None and fact.value:
            yield Finding(f"{word} is true, and PEFT fails on target_parameters with it", at=fact.path)


def variant_unsupported_layer(setup: Setup) -> Iterator[Finding]:
    if not setup.active or setup.trained:
        return
    invocation, task = setup.adapter.alora_invocation_tokens, setup.adapter.task_type
    if invocation is not None and invocation.value and (task is None or task.value != "CAUSAL_LM"):
        yield Finding(
            "aLoRA is for causal language models alone, and "
            f"{f'task_type is {task.value}' if task is not None else 'no task_type is given'}: PEFT only warns",
            at=invocation.path,
            severity=Severity.WARNING,
        )
    if (base := setup.base) is None:
        return
    transposed, dora = setup.adapter.fan_in_fan_out, setup.adapter.use_dora
    if dora is not None and dora.value and base.quantised in _WITHOUT_DORA:
        yield Finding(f"use_dora on a base in {base.quantised.upper()}: PEFT fails", at=dora.path)
    wanted = base.architecture.conv1d
    if transposed is not None and transposed.origin == "written" and transposed.value is not wanted:
        layers = "Conv1D, whose weights are transposed" if wanted else "nn.Linear, whose weights aren't transposed"
        yield Finding(
            f"fan_in_fan_out is {str(transposed.value).lower()}, but {base.name} has {layers}: PEFT corrects it",
            at=transposed.path,
            severity=Severity.NOTE,
            fix=Replace(transposed.path, _boolean(setup, wanted)),
        )


_WITHOUT_DORA = ("gptq", "awq", "aqlm", "eetq")
"""peft/tuners/lora/{gptq,awq,aqlm,eetq}.py at 0.21.2 raise for it."""


def _boolean(setup: Setup, value: bool) -> str:
    return str(value) if setup.document.syntax == "python" else str(value).lower()
