"""Which architecture a hub id names: only ids whose names leave no doubt."""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import NamedTuple


class HubModel(NamedTuple):
    """The `model_type`, and whether head and embedding share one weight, None where it isn't known."""

    architecture: str
    tied: bool | None = None


_TUNED = r"(?:-instruct|-chat|-base|-it|-pt|-hf|-thinking|-\d{4}|-v\d+(?:\.\d+)?|-1m)*"
_PACKED = r"(?:-(?:unsloth-)?bnb-[48]bit|-gptq(?:-int[48])?|-awq|-[48]bit|-bf16|-fp8|-hf)?"

_NAMES: dict[str, tuple[tuple[str, str, bool | None], ...]] = {
    "llama": (
        (r"(?:meta-)?llama-2-(?:7|13|70)b", "llama", False),
        (r"(?:meta-)?llama-3(?:\.1|\.3)?-(?:8|70|405)b", "llama", False),
        (r"(?:meta-)?llama-3\.2-[13]b", "llama", True),
        (r"llama-(?:7|13|30|65)b", "llama", False),
        (r"(?:meta-)?llama-3\.2-(?:11|90)b-vision", "mllama", False),
        (r"llama-4-(?:scout-17b-16e|maverick-17b-128e)", "llama4", False),
    ),
    "codellama": ((r"codellama-(?:7|13|34|70)b(?:-python)?", "llama", False),),
    "open": ((r"open_llama_(?:3|7|13)b(?:_v2)?", "llama", False),),
    "tinyllama": ((r"tinyllama-1\.1b.*|tinyllama_v1\.1", "llama", False),),
    "vicuna": ((r"vicuna-(?:7|13|33)b", "llama", False),),
    "deepseek": (
        (r"deepseek-coder-(?:1\.3|6\.7|33)b", "llama", False),
        (r"deepseek-r1-distill-llama-(?:8|70)b", "llama", False),
        (r"deepseek-r1-distill-qwen-(?:1\.5|7|14|32)b", "qwen2", None),
        (r"deepseek-v2(?:\.5)?(?:-lite)?|deepseek-coder-v2(?:-lite)?", "deepseek_v2", False),
        (r"deepseek-v3(?:\.1)?|deepseek-r1(?:-zero)?", "deepseek_v3", False),
    ),
    "smollm": ((r"smollm2?-(?:135m|360m|1\.7b)", "llama", True), (r"smollm3-3b", "smollm3", True)),
    "mistral": (
        (r"mistral-7b", "mistral", False),
        (r"mistral-nemo", "mistral", False),
        (r"mistral-small-24b", "mistral", False),
        (r"mistral-small-3\.[12]-24b", "mistral3", None),
    ),
    "ministral": ((r"ministral-8b", "mistral", False),),
    "zephyr": ((r"zephyr-7b-(?:alpha|beta)", "mistral", False),),
    "mixtral": ((r"mixtral-8x(?:7|22)b", "mixtral", False),),
    "qwen": (
        (r"qwen2(?:\.5)?(?:-coder|-math)?-(?:0\.5|1\.5|3)b", "qwen2", True),
        (r"qwen2(?:\.5)?(?:-coder|-math)?-(?:7|14|32|72)b", "qwen2", False),
        (r"qwen1\.5-(?:0\.5|1\.8|4|7|14|32|72|110)b", "qwen2", None),
        (r"qwen1\.5-moe-a2\.7b|qwen2-57b-a14b", "qwen2_moe", False),
        (r"qwen3-(?:0\.6|1\.7|4)b", "qwen3", True),
        (r"qwen3-(?:8|14|32)b", "qwen3", False),
        (r"qwen3-(?:coder-)?30b-a3b|qwen3-235b-a22b|qwen3-coder-480b-a35b", "qwen3_moe", False),
        (r"qwen3-next-80b-a3b", "qwen3_next", False),
        (r"qwen2-vl-2b", "qwen2_vl", True),
        (r"qwen2-vl-(?:7|72)b", "qwen2_vl", False),
        (r"qwen2\.5-vl-3b", "qwen2_5_vl", True),
        (r"qwen2\.5-vl-(?:7|32|72)b", "qwen2_5_vl", False),
        (r"qwen3-vl-[24]b", "qwen3_vl", True),
        (r"qwen3-vl-(?:8|32)b", "qwen3_vl", False),
        (r"qwen3-vl-(?:30b-a3b|235b-a22b)", "qwen3_vl_moe", False),
        (r"qwen3\.5-(?:0\.8|2|4|9|27)b", "qwen3_5", None),
        (r"qwen3\.5-(?:35b-a3b|122b-a10b|397b-a17b)", "qwen3_5_moe", None),
    ),
    "qwq": ((r"qwq-32b(?:-preview)?", "qwen2", False),),
    "gemma": (
        (r"gemma-(?:1\.1-)?[27]b", "gemma", True),
        (r"gemma-2-(?:2|9|27)b", "gemma2", True),
        (r"gemma-3-(?:270m|1b)", "gemma3_text", True),
        (r"gemma-3-(?:4|12|27)b", "gemma3", True),
    ),
    "internlm": ((r"internlm2(?:_5)?-(?:1_8b|7b|20b)", "internlm2", False),),
    "olmo": ((r"olmo-2-\d{4}-(?:1|7|13|32)b", "olmo2", False),),
    "stablelm": ((r"stablelm-2-(?:1_6b|12b)|stablelm-3b-4e1t|stablelm-2-zephyr-1_6b", "stablelm", False),),
}
"""By the letters that a name begins with, whoever published it; `_TUNED` and `_PACKED` may follow."""

_IDS: tuple[tuple[str, str, bool | None], ...] = (
    (r"microsoft/phi-(?:1|1_5|2)", "phi", False),
    (r"microsoft/phi-3-(?:mini|medium)-(?:4k|128k)-instruct|microsoft/phi-3\.5-mini-instruct", "phi3", False),
    (r"microsoft/phi-4", "phi3", False),
    (r"(?:openai-community/)?gpt2(?:-medium|-large|-xl)?", "gpt2", True),
    (r"eleutherai/pythia-\d[^/]*|eleutherai/gpt-neox-20b", "gpt_neox", False),
    (r"eleutherai/gpt-neo-(?:125m|1\.3b|2\.7b)", "gpt_neo", True),
    (r"eleutherai/gpt-j-6b", "gptj", False),
    (r"facebook/opt-(?:125m|350m|1\.3b|2\.7b|6\.7b|13b|30b|66b)", "opt", True),
    (r"bigscience/bloomz?(?:-(?:560m|1b1|1b7|3b|7b1))?", "bloom", True),
    (r"tiiuae/falcon-(?:7|40|180)b(?:-instruct|-chat)?", "falcon", None),
    (r"mosaicml/mpt-(?:7|30)b(?:-instruct|-chat|-storywriter)?", "mpt", True),
    (r"baichuan-inc/baichuan2?-(?:7|13)b(?:-base|-chat)?", "baichuan", False),
    (r"(?:thudm|zai-org)/(?:chatglm[23]?-6b(?:-32k|-base|-128k)?|glm-4-9b(?:-chat(?:-1m)?)?)", "chatglm", False),
    (r"openai/gpt-oss-(?:safeguard-)?(?:20|120)b", "gpt_oss", False),
    (r"(?:cohereforai|coherelabs)/c4ai-command-r(?:-plus)?(?:-v01|-08-2024)", "cohere", True),
    (r"(?:cohereforai|coherelabs)/c4ai-command-r7b-12-2024", "cohere2", True),
    (r"bigcode/starcoder2-(?:3|7|15)b", "starcoder2", None),
    (r"bigcode/(?:starcoder(?:base)?(?:-[137]b)?|starcoderplus|tiny_starcoder_py)", "gpt_bigcode", True),
    (r"qwen/qwen-(?:1_8|7|14|72)b(?:-chat)?", "qwen", False),
    (r"llava-hf/llava-1\.5-(?:7|13)b-hf", "llava", False),
    (r"llava-hf/llava-v1\.6-(?:mistral-7b|vicuna-7b|vicuna-13b)-hf", "llava_next", False),
    (r"(?:google-t5/)?t5-(?:small|base|large|3b|11b)|google/(?:flan-)?t5-[^/]*", "t5", None),
    (r"google/mt5-(?:small|base|large|xl|xxl)", "mt5", None),
    (r"(?:google-bert/)?bert-(?:base|large)-(?:un)?cased", "bert", True),
    (r"(?:facebookai/)?roberta-(?:base|large)", "roberta", True),
    (r"(?:facebookai/)?xlm-roberta-(?:base|large)", "xlm-roberta", True),
    (r"(?:distilbert/)?distilbert-base-(?:un)?cased", "distilbert", True),
    (r"microsoft/deberta-v3-(?:xsmall|small|base|large)", "deberta-v2", True),
    (r"openai/whisper-(?:tiny|base|small|medium|large)(?:\.en|-v[23]|-v3-turbo)?", "whisper", True),
    (r"google/vit-(?:base|large|huge)-patch\d+-\d+(?:-in21k)?", "vit", None),
)
"""Whole ids, where others publish other things under such a name: unsloth's Phi-3 and gpt-oss have layers of their own,
for example."""

_CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)/snapshots/[0-9a-f]+/?\Z")
LONGEST = 200


@lru_cache(maxsize=4096)
def hub_model(name: str) -> HubModel | None:
    """What an id, or a path into the hub's cache, names, or None where that isn't sure."""
    found = _found(name)
    return found[0] if found is not None else None


def hub_config(name: str) -> Mapping[str, int]:
    """The numbers of its config.json that are known; empty for other names."""
    from lora_lint.hub_sizes import numbers

    found = _found(name)
    return numbers(*found[1:]) if found is not None else {}


@lru_cache(maxsize=4096)
def _found(name: str) -> tuple[HubModel, str, str] | None:
    """The model, its name, and that without what says how it was tuned or packed; ids that count whole are both."""
    if len(name) > LONGEST:
        return None
    cached = _CACHED.search(name)
    plain = (f"{cached[1]}/{cached[2]}" if cached else name).lower()
    if plain.startswith((".", "/", "~")) or "\\" in plain or plain.count("/") > 1:
        return None
    owner, _, model = plain.rpartition("/")
    begins = re.match("(?:meta-)?([a-z]+)", model)
    for pattern, architecture, tied in _NAMES.get(begins[1], ()) if begins and owner else ():
        if (whole := re.fullmatch(f"({pattern}){_TUNED}{_PACKED}", model)) is not None:
            return HubModel(architecture, tied), model, whole[1]
    if not _any_id().fullmatch(plain):
        return None
    ids = (HubModel(found, tied) for pattern, found, tied in _IDS if re.fullmatch(pattern, plain))
    return next(((found, plain, plain) for found in ids), None)


@cache
def _any_id() -> re.Pattern[str]:
    """One pattern for all ids: most names are none of them."""
    return re.compile("|".join(f"(?:{pattern})" for pattern, _, _ in _IDS))
