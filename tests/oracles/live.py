"""What live layers do, and the small models and parsed texts that the modules beside this one need for it."""

import shlex
from collections.abc import Iterator
from typing import Any

import torch
import yaml
from torch import nn

Layer = tuple[int, float]
"""The rank of a layer, and the number that its `B @ A` is multiplied by."""

WIDTH = 8


class Attention(nn.Module):
    """Two linear layers with the names that most configs target."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(WIDTH, WIDTH)
        self.v_proj = nn.Linear(WIDTH, WIDTH)


def llama() -> Any:
    """The smallest causal language model of transformers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    heads: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1}
    return LlamaForCausalLM(LlamaConfig(vocab_size=11, hidden_size=WIDTH, intermediate_size=WIDTH, **heads))


def ratio(added: torch.Tensor, product: torch.Tensor) -> float:
    """By how much `product` was multiplied to give `added`, by least squares; both are of one shape."""
    scale = float((added * product).sum() / (product * product).sum())
    assert torch.allclose(added, scale * product, atol=1e-4), "it is no multiple"
    return scale


def measured(layer: nn.Module, a: torch.Tensor, b: torch.Tensor) -> Layer:
    """The rank and the multiplier of a layer, from its outputs with and without its `b`: a is (r, in), b (out, r)."""
    inputs = torch.randn(3, a.shape[1])
    with torch.no_grad():
        a.normal_()
        plain = layer(inputs)
        b.normal_()
        return a.shape[0], ratio(layer(inputs) - plain, inputs @ a.T @ b.T)


def of_peft(model: nn.Module) -> Iterator[Layer]:
    """Every adapted layer of a model that PEFT has wrapped."""
    from peft.tuners.lora import LoraLayer

    for module in model.modules():
        if isinstance(module, LoraLayer):
            for adapter in module.scaling:
                yield module.r[adapter], module.scaling[adapter]


def peft_layers(**settings: Any) -> Iterator[Layer]:
    """The layers that PEFT makes of a LoraConfig with these settings."""
    from peft import LoraConfig, get_peft_model

    yield from of_peft(get_peft_model(Attention(), LoraConfig(**{"target_modules": ["q_proj", "v_proj"], **settings})))


def arguments(text: str, *program: str) -> list[str]:
    """The words of a shell command after its program."""
    words = shlex.split(text)
    assert words[: len(program)] == list(program)
    return words[len(program) :]


def mapping(text: str) -> dict[str, Any]:
    """A YAML or JSON file as PyYAML loads it."""
    loaded = yaml.safe_load(text)
    assert isinstance(loaded, dict)
    return loaded


def called(text: str, **names: Any) -> Any:
    """What the last line of a Python file gives; the lines before it are its imports."""
    return eval(text.strip().splitlines()[-1], names)
