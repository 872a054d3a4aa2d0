"""How large the models of the hub are that `hub_models` knows, in the words of their config.json."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple


class Sizes(NamedTuple):
    """Numbers of one model; a `head` of 0 is its share of `hidden`, other zeros aren't known."""

    layers: int
    hidden: int
    between: int
    heads: int
    groups: int
    vocabulary: int
    head: int = 0

    @property
    def config(self) -> Mapping[str, int]:
        """The numbers that are known, as config.json has them."""
        named = zip(_WORDS, self, strict=True)
        return MappingProxyType({word: number for word, number in named if number})


_WORDS = (
    *("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads"),
    *("vocab_size", "head_dim"),
)

_LLAMA_8B = (32, 4096, 14336, 32, 8, 128256)
_LLAMA_70B = (80, 8192, 28672, 64, 8, 128256)
_LLAMA_7B = (32, 4096, 11008, 32, 32, 32000)
_LLAMA_13B = (40, 5120, 13824, 40, 40, 32000)
_MISTRAL = (32, 4096, 14336, 32, 8, 32000)
_QWEN_HALF = (24, 896, 4864, 14, 2, 151936)
_QWEN_1 = (28, 1536, 8960, 12, 2, 151936)
_QWEN_3 = (36, 2048, 11008, 16, 2, 151936)
_QWEN_7 = (28, 3584, 18944, 28, 4, 152064)
_QWEN_14 = (48, 5120, 13824, 40, 8, 152064)
_QWEN_32 = (64, 5120, 27648, 40, 8, 152064)
_QWEN_72 = (80, 8192, 29568, 64, 8, 152064)
_OLDER = r"qwen2(?:\.5)?(?:-coder|-math)?"
_BERT = (12, 768, 3072, 12, 12)
_BERT_LARGE = (24, 1024, 4096, 16, 16)

_TABLE: tuple[tuple[str, tuple[int, ...]], ...] = (
    # litgpt/config.py at 26857050 has Llama, Mistral, Qwen, Gemma, Phi, Pythia, Falcon, StableLM, SmolLM, OLMo and R1.
    (r"llama-(?:2-)?7b", _LLAMA_7B),
    (r"llama-(?:2-)?13b", _LLAMA_13B),
    (r"llama-2-70b", (80, 8192, 28672, 64, 8, 32000)),
    (r"llama-30b", (60, 6656, 17920, 52, 52, 32000)),
    (r"llama-65b", (80, 8192, 22016, 64, 64, 32000)),
    (r"llama-3(?:\.1)?-8b|deepseek-r1-distill-llama-8b", _LLAMA_8B),
    (r"llama-3(?:\.1|\.3)?-70b|deepseek-r1-distill-llama-70b", _LLAMA_70B),
    (r"llama-3\.1-405b", (126, 16384, 53248, 128, 8, 128256)),
    (r"llama-3\.2-1b", (16, 2048, 8192, 32, 8, 128256)),
    (r"llama-3\.2-3b", (28, 3072, 8192, 24, 8, 128256)),
    (r"llama-4-(?:scout-17b-16e|maverick-17b-128e)", (48, 5120, 0, 40, 8, 202048, 128)),
    (r"vicuna-7b|open_llama_7b(?:_v2)?", _LLAMA_7B),
    (r"vicuna-13b|open_llama_13b", _LLAMA_13B),
    (r"vicuna-33b", (60, 6656, 17920, 52, 52, 32000)),
    (r"open_llama_3b(?:_v2)?", (26, 3200, 8640, 32, 32, 32000)),
    (r"codellama-7b(?:-python)?", (*_LLAMA_7B[:5], 0)),
    (r"codellama-13b(?:-python)?", (*_LLAMA_13B[:5], 0)),
    (r"codellama-34b(?:-python)?", (48, 8192, 22016, 64, 8, 32000)),
    (r"codellama-70b(?:-python)?", (80, 8192, 28672, 64, 8, 32016)),
    (r"tinyllama.*", (22, 2048, 5632, 32, 4, 32000)),
    (r"mistral-7b(?:-instruct)?-v0\.3.*", (*_MISTRAL[:5], 32768)),
    (r"mistral-7b(?:-instruct)?-v0\.[12].*|zephyr-7b-(?:alpha|beta)", _MISTRAL),
    (r"mistral-7b", (*_MISTRAL[:5], 0)),
    (r"mixtral-8x7b", _MISTRAL),
    (r"mixtral-8x22b", (56, 6144, 16384, 48, 8, 0)),
    (r"smollm2?-135m", (30, 576, 1536, 9, 3, 49152)),
    (r"smollm2?-360m", (32, 960, 2560, 15, 5, 49152)),
    (r"smollm2?-1\.7b", (24, 2048, 8192, 32, 32, 49152)),
    (rf"{_OLDER}-0\.5b", _QWEN_HALF),
    (rf"{_OLDER}-1\.5b|qwen2-vl-2b|deepseek-r1-distill-qwen-1\.5b", _QWEN_1),
    (rf"{_OLDER}-3b|qwen2\.5-vl-3b", _QWEN_3),
    (rf"{_OLDER}-7b|qwen2(?:\.5)?-vl-7b|deepseek-r1-distill-qwen-7b", _QWEN_7),
    (rf"{_OLDER}-14b|deepseek-r1-distill-qwen-14b", _QWEN_14),
    (rf"{_OLDER}-32b|qwen2\.5-vl-32b|qwq-32b(?:-preview)?|deepseek-r1-distill-qwen-32b", _QWEN_32),
    (rf"{_OLDER}-72b|qwen2(?:\.5)?-vl-72b", _QWEN_72),
    (r"qwen3-0\.6b", (28, 1024, 3072, 16, 8, 151936, 128)),
    (r"qwen3-1\.7b", (28, 2048, 6144, 16, 8, 151936, 128)),
    (r"qwen3-4b", (36, 2560, 9728, 32, 8, 151936, 128)),
    (r"qwen3-8b", (36, 4096, 12288, 32, 8, 151936, 128)),
    (r"qwen3-14b", (40, 5120, 17408, 40, 8, 151936, 128)),
    (r"qwen3-32b", (64, 5120, 25600, 64, 8, 151936, 128)),
    (r"qwen3-(?:coder-)?30b-a3b", (48, 2048, 0, 32, 4, 151936, 128)),
    (r"qwen3-235b-a22b", (94, 4096, 0, 64, 4, 151936, 128)),
    (r"gemma-(?:1\.1-)?2b", (18, 2048, 16384, 8, 1, 256000, 256)),
    (r"gemma-(?:1\.1-)?7b", (28, 3072, 24576, 16, 16, 256000, 256)),
    (r"gemma-2-2b", (26, 2304, 9216, 8, 4, 256000, 256)),
    (r"gemma-2-9b", (42, 3584, 14336, 16, 8, 256000, 256)),
    (r"gemma-2-27b", (46, 4608, 36864, 32, 16, 256000, 128)),
    (r"gemma-3-1b", (26, 1152, 6912, 4, 1, 262144, 256)),
    (r"gemma-3-4b", (34, 2560, 10240, 8, 4, 0, 256)),
    (r"gemma-3-12b", (48, 3840, 15360, 16, 8, 0, 256)),
    (r"gemma-3-27b", (62, 5376, 21504, 32, 16, 0, 128)),
    (r"microsoft/phi-(?:1|1_5)", (24, 2048, 8192, 32, 32, 51200)),
    (r"microsoft/phi-2", (32, 2560, 10240, 32, 32, 51200)),
    (r"microsoft/phi-3(?:\.5)?-mini.*", (32, 3072, 8192, 32, 32, 32064)),
    (r"microsoft/phi-4", (40, 5120, 17920, 40, 10, 100352)),
    (r"eleutherai/pythia-14m.*", (6, 128, 512, 4, 4, 50304)),
    (r"eleutherai/pythia-31m.*", (6, 256, 1024, 8, 8, 50304)),
    (r"eleutherai/pythia-70m.*", (6, 512, 2048, 8, 8, 50304)),
    (r"eleutherai/pythia-160m.*", (12, 768, 3072, 12, 12, 50304)),
    (r"eleutherai/pythia-410m.*", (24, 1024, 4096, 16, 16, 50304)),
    (r"eleutherai/pythia-1b(?:-.*)?", (16, 2048, 8192, 8, 8, 50304)),
    (r"eleutherai/pythia-1\.4b.*", (24, 2048, 8192, 16, 16, 50304)),
    (r"eleutherai/pythia-2\.8b.*", (32, 2560, 10240, 32, 32, 50304)),
    (r"eleutherai/pythia-6\.9b.*", (32, 4096, 16384, 32, 32, 50432)),
    (r"eleutherai/pythia-12b.*", (36, 5120, 20480, 40, 40, 50688)),
    (r"tiiuae/falcon-7b.*", (32, 4544, 18176, 71, 1, 65024)),
    (r"tiiuae/falcon-40b.*", (60, 8192, 32768, 128, 8, 65024)),
    (r"stablelm-3b-4e1t", (32, 2560, 6912, 32, 32, 50304)),
    (r"olmo-2-1124-7b", (32, 4096, 11008, 32, 32, 100352)),
    (r"olmo-2-1124-13b", (40, 5120, 13824, 40, 40, 100352)),
    # Their papers and cards: OPT (arXiv 2205.01068, table 1), GPT-2, GPT-Neo, BLOOM (2211.05100), Qwen1.5, gpt-oss.
    (r"facebook/opt-125m", (12, 768, 3072, 12, 12, 50272)),
    (r"facebook/opt-350m", (24, 1024, 4096, 16, 16, 50272)),
    (r"facebook/opt-1\.3b", (24, 2048, 8192, 32, 32, 50272)),
    (r"facebook/opt-2\.7b", (32, 2560, 10240, 32, 32, 50272)),
    (r"facebook/opt-6\.7b", (32, 4096, 16384, 32, 32, 50272)),
    (r"facebook/opt-13b", (40, 5120, 20480, 40, 40, 50272)),
    (r"facebook/opt-30b", (48, 7168, 28672, 56, 56, 50272)),
    (r"facebook/opt-66b", (64, 9216, 36864, 72, 72, 50272)),
    (r"(?:openai-community/)?gpt2", (12, 768, 3072, 12, 12, 50257)),
    (r"(?:openai-community/)?gpt2-medium", (24, 1024, 4096, 16, 16, 50257)),
    (r"(?:openai-community/)?gpt2-large", (36, 1280, 5120, 20, 20, 50257)),
    (r"(?:openai-community/)?gpt2-xl", (48, 1600, 6400, 25, 25, 50257)),
    (r"eleutherai/gpt-neo-125m", (12, 768, 3072, 12, 12, 50257)),
    (r"eleutherai/gpt-neo-1\.3b", (24, 2048, 8192, 16, 16, 50257)),
    (r"eleutherai/gpt-neo-2\.7b", (32, 2560, 10240, 20, 20, 50257)),
    (r"eleutherai/gpt-j-6b", (28, 4096, 16384, 16, 16, 50400)),
    (r"eleutherai/gpt-neox-20b", (44, 6144, 24576, 64, 64, 50432)),
    (r"bigscience/bloomz?-560m", (24, 1024, 4096, 16, 16, 250880)),
    (r"bigscience/bloomz?-1b1", (24, 1536, 6144, 16, 16, 250880)),
    (r"bigscience/bloomz?-1b7", (24, 2048, 8192, 16, 16, 250880)),
    (r"bigscience/bloomz?-3b", (30, 2560, 10240, 32, 32, 250880)),
    (r"bigscience/bloomz?-7b1", (30, 4096, 16384, 32, 32, 250880)),
    (r"bigscience/bloomz?", (70, 14336, 57344, 112, 112, 250880)),
    (r"qwen1\.5-0\.5b", (24, 1024, 2816, 16, 16, 151936)),
    (r"qwen1\.5-1\.8b", (24, 2048, 5504, 16, 16, 151936)),
    (r"qwen1\.5-4b", (40, 2560, 6912, 20, 20, 151936)),
    (r"qwen1\.5-7b", (32, 4096, 11008, 32, 32, 151936)),
    (r"qwen1\.5-14b", (40, 5120, 13696, 40, 40, 152064)),
    (r"openai/gpt-oss-20b", (24, 2880, 0, 64, 8, 201088, 64)),
    (r"openai/gpt-oss-120b", (36, 2880, 0, 64, 8, 201088, 64)),
    (r"bigcode/starcoder2-3b", (30, 3072, 12288, 24, 2, 49152)),
    (r"bigcode/starcoder2-7b", (32, 4608, 18432, 36, 4, 49152)),
    (r"bigcode/starcoder2-15b", (40, 6144, 24576, 48, 4, 49152)),
    # Google's BERT, Meta's RoBERTa, Microsoft's DeBERTa, Hugging Face's DistilBERT: the configs beside their weights.
    (r"(?:google-bert/)?bert-base-uncased", (*_BERT, 30522)),
    (r"(?:google-bert/)?bert-base-cased", (*_BERT, 28996)),
    (r"(?:google-bert/)?bert-large-uncased", (*_BERT_LARGE, 30522)),
    (r"(?:google-bert/)?bert-large-cased", (*_BERT_LARGE, 28996)),
    (r"(?:facebookai/)?roberta-base", (*_BERT, 50265)),
    (r"(?:facebookai/)?roberta-large", (*_BERT_LARGE, 50265)),
    (r"(?:facebookai/)?xlm-roberta-base", (*_BERT, 250002)),
    (r"(?:facebookai/)?xlm-roberta-large", (*_BERT_LARGE, 250002)),
    (r"google/vit-base-.*", (*_BERT, 0)),
    (r"google/vit-large-.*", (*_BERT_LARGE, 0)),
)
"""By whole id in lower case, by name, or by what is left of a name without the words for tuning and packing."""


@lru_cache(maxsize=1024)
def numbers(name: str, plain: str) -> Mapping[str, int]:
    """The numbers of a model by its names in `hub_models`; empty where they aren't known."""
    for pattern, row in _TABLE:
        if any(re.fullmatch(pattern, one.removeprefix("meta-")) for one in (name, plain)):
            return Sizes(*row).config
    return {}
