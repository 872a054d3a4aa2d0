"""How many features the linear layers of a model's blocks take and give, by the numbers of its config."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Sizes = tuple[int, int]
"""Output and input features."""

_PARTS = ("text_config", "llm_config", "language_config")


@dataclass(frozen=True)
class Numbers:
    """Widths of the residual stream, between the two halves of the MLP (0 where experts stand there), and of a head."""

    hidden: int
    between: int
    heads: int
    groups: int
    head: int

    @property
    def attention(self) -> int:
        return self.heads * self.head

    @property
    def shared(self) -> int:
        """Features of the keys, or of the values, of all groups of heads."""
        return self.groups * self.head

    def attends(self, names: str = "self_attn.{}_proj", output: str = "self_attn.o_proj") -> dict[str, Sizes]:
        """Query, key, value and output where each is a layer."""
        widths = {"q": self.attention, "k": self.shared, "v": self.shared}
        sizes = {names.format(part): (width, self.hidden) for part, width in widths.items()}
        return sizes | {output: (self.hidden, self.attention)}

    def fused(self, name: str, output: str) -> dict[str, Sizes]:
        """Query, key and value in one layer, and the output."""
        return {name: (self.attention + 2 * self.shared, self.hidden), output: (self.hidden, self.attention)}

    def widens(self, *names: str, by: int = 1) -> dict[str, Sizes]:
        """The MLP: the last name is the way back."""
        if not self.between:
            return {}
        ahead = dict.fromkeys(names[:-1], (by * self.between, self.hidden))
        return ahead | {names[-1]: (self.hidden, self.between)}


def _llama(numbers: Numbers) -> dict[str, Sizes]:
    return numbers.attends() | numbers.widens("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


def _bloom(numbers: Numbers) -> dict[str, Sizes]:
    attention = numbers.fused("self_attention.query_key_value", "self_attention.dense")
    return attention | numbers.widens("mlp.dense_h_to_4h", "mlp.dense_4h_to_h")


def _bert(numbers: Numbers) -> dict[str, Sizes]:
    square = (numbers.hidden, numbers.hidden)
    names = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    return dict.fromkeys(names, square) | numbers.widens("intermediate.dense", "output.dense")


_BLOCKS: Mapping[str, Callable[[Numbers], dict[str, Sizes]]] = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "granite"), _llama),
    **dict.fromkeys(("olmo2", "stablelm", "smollm3", "cohere", "cohere2"), _llama),
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemma3"), _llama),
    **dict.fromkeys(("mixtral", "qwen3_moe", "gpt_oss", "llama4"), Numbers.attends),
    "torchtune": lambda one: one.attends("attn.{}_proj", "attn.output_proj"),
    "opt": lambda one: one.attends(output="self_attn.out_proj") | one.widens("fc1", "fc2"),
    "gptj": lambda one: one.attends("attn.{}_proj", "attn.out_proj") | one.widens("mlp.fc_in", "mlp.fc_out"),
    "gpt_neo": lambda one: (
        one.attends("attn.attention.{}_proj", "attn.attention.out_proj") | one.widens("mlp.c_fc", "mlp.c_proj")
    ),
    "phi": lambda one: one.attends(output="self_attn.dense") | one.widens("mlp.fc1", "mlp.fc2"),
    "starcoder2": lambda one: one.attends() | one.widens("mlp.c_fc", "mlp.c_proj"),
    "phi3": lambda one: (
        one.fused("self_attn.qkv_proj", "self_attn.o_proj") | one.widens("mlp.gate_up_proj", "mlp.down_proj", by=2)
    ),
    "gpt2": lambda one: one.fused("attn.c_attn", "attn.c_proj") | one.widens("mlp.c_fc", "mlp.c_proj"),
    "gpt_neox": lambda one: (
        one.fused("attention.query_key_value", "attention.dense") | one.widens("mlp.dense_h_to_4h", "mlp.dense_4h_to_h")
    ),
    **dict.fromkeys(("bloom", "falcon"), _bloom),
    **dict.fromkeys(("bert", "roberta", "xlm-roberta"), _bert),
}
"""What a block holds in transformers 5.24, by `model_type`."""

FAMILIES = frozenset(_BLOCKS)

_HEAD_IS_GIVEN = ("qwen3", "qwen3_moe", "gemma", "gemma2", "gemma3_text", "gemma3", "qwen3_vl", "gpt_oss")
"""Families in which a head isn't its share of the hidden size where `head_dim` isn't given."""
_GROUPS_ARE_GIVEN = ("falcon",)
"""Families in which the key's absence doesn't mean as many groups as heads."""
_FOURFOLD = ("gpt2", "gptj", "gpt_neo", "bloom", "falcon")
"""Families whose MLP is four times as wide as the stream where nothing is said."""


def layer_sizes(family: str, config: Mapping[str, Any]) -> Mapping[str, Sizes]:
    """Output and input features by name inside a block; empty where the family or a number isn't known."""
    numbers = _numbers(family, config) if family in _BLOCKS else None
    return _BLOCKS[family](numbers) if numbers is not None else {}


def _numbers(family: str, config: Mapping[str, Any]) -> Numbers | None:
    part = next((inner for name in _PARTS if isinstance(inner := config.get(name), Mapping)), config)
    hidden = _first(part, "hidden_size", "n_embd", "d_model")
    heads = _first(part, "num_attention_heads", "n_head", "num_heads")
    if not hidden or not heads:
        return None
    groups = _first(part, "num_key_value_heads") or (0 if family in _GROUPS_ARE_GIVEN else heads)
    head = _first(part, "head_dim") or (0 if family in _HEAD_IS_GIVEN else hidden // heads)
    between = _first(part, "intermediate_size", "ffn_dim", "n_inner") or (4 * hidden if family in _FOURFOLD else 0)
    return Numbers(hidden, between, heads, groups, head) if groups and head else None


def _first(config: Mapping[str, Any], *words: str) -> int:
    """The first of the words that is a number; 0 for none."""
    found = (config.get(word) for word in words)
    return next((one for one in found if isinstance(one, int) and not isinstance(one, bool) and one > 0), 0)
