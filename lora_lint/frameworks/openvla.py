"""OpenVLA and OpenVLA-OFT: `vla-scripts/finetune.py --lora_rank N`, where alpha is the smaller of N and 16."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from lora_lint.document import Document, Unknown
from lora_lint.facts import Fact, Site
from lora_lint.frameworks.commands import flags, runs
from lora_lint.frameworks.gates import state_of
from lora_lint.scaling import classic
from lora_lint.schema import PositiveInt, Schema
from lora_lint.view import View

NAME = "openvla"
TITLE = "OpenVLA"
DOCS = "https://github.com/openvla/openvla"

LARGEST_ALPHA = 16
"""`lora_alpha=min(cfg.lora_rank, 16)`: vla-scripts/finetune.py:176 at c8f03f48, openvla-oft's :849 at 213c5ff8.

So have the `finetune_*.py` that people put beside it.
"""


class Config(Schema):
    """`FinetuneConfig`, vla-scripts/finetune.py:99-103 at c8f03f48; draccus refuses flags that it doesn't know."""

    UNKNOWN_KEYS: ClassVar[str] = "refuses to start"
    UNKNOWN_KEYS_NEAR: ClassVar[bool] = True
    MEANT: ClassVar[Mapping[str, str]] = {"lora_r": "lora_rank"}
    SPELLED: ClassVar[Mapping[str, str]] = {"base_model": ".vla_path"}

    use_lora: bool = True
    lora_rank: PositiveInt = 32
    lora_dropout: float = 0.0
    use_quantization: bool = False
    merge_lora_during_training: bool = True


_COPY = re.compile(r"(^|/)finetune\w*\.py$")
_OWN_FLAGS = ("vla_path", "data_root_dir", "adapter_tmp_dir", "use_l1_regression", "image_aug")


def recognises(document: Document) -> tuple[str, ...]:
    program = runs(document, "vla-scripts/finetune")
    lora = flags(document, "use_lora", "lora_rank", "lora_dropout")
    own = flags(document, *_OWN_FLAGS)
    copied = _COPY.search(document.callee) is not None and "--vla_path" in own
    return (document.callee, *lora, *own) if program or (copied and lora) else ()


def sites(config: View[Any]) -> Iterator[Site]:
    rank: Fact[Any] = config.fact("lora_rank")
    config.refuse("lora_alpha", f"takes the smaller of the rank and {LARGEST_ALPHA}, and refuses to start")
    if rank.known:
        alpha: Fact[Any] = Fact(min(rank.value, LARGEST_ALPHA), rank.path, "derived")
    else:
        alpha = Fact(Unknown("", rank.reason), rank.path, "unknown")
    yield Site(("all-linear",), rank, alpha, classic, state_of(config.fact("use_lora")), fixed=True)
