"""ERNIEKit: `fine_tuning: LoRA` with `lora_rank` and `lora_alpha`, of which -1 is twice the rank."""

from collections.abc import Iterator
from typing import Any

from lora_lint.document import Document
from lora_lint.facts import Site
from lora_lint.frameworks import paddlenlp
from lora_lint.view import View

NAME = "erniekit"
TITLE = "ERNIEKit"
DOCS = "https://github.com/PaddlePaddle/ERNIE/blob/develop/docs/erniekit.md"


class Config(paddlenlp.Arguments):
    """erniekit/hparams/model_args.py:223-250 of 1.3.0; LoRA unless `fine_tuning` says another (313).

    ernie/utils/peft_utils.py takes a written alpha, unless `rslora_plus` makes it 4.
    """

    fine_tuning: str | None = "LoRA"


_OWN = (
    *("compute_type", "max_evaluate_steps", "release_grads", "disable_ckpt_quant", "use_sparse_head_and_loss_fn"),
    *("tensor_parallel_degree", "pipeline_parallel_degree", "sharding", "unified_checkpoint", "amp_master_grad"),
    *("unified_checkpoint_config", "batch_size", "train_dataset_type", "fuse_rope", "fp16_opt_level"),
)


def recognises(document: Document) -> tuple[str, ...]:
    marks = paddlenlp.arguments(document, _OWN)
    return marks if "fine_tuning" in marks and "lora" not in marks else ()


def sites(config: View[Any]) -> Iterator[Site]:
    return paddlenlp.trained(config, reads_alpha=True)
