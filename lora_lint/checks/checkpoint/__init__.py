"""Do the weights beside a config say the same as the config, and do weights without one say enough?"""

from lora_lint.checks.checkpoint.agreement import (
    a_differs_from_b,
    alpha_differs_from_metadata,
    dora_differs_from_tensors,
    mixed_dtypes,
    rank_differs_from_tensors,
)
from lora_lint.checks.checkpoint.base import (
    adapter_mixed_with_full_model,
    base_shape_mismatch,
    mutated_base_init_unconverted,
)
from lora_lint.checks.checkpoint.contents import (
    base_weights_in_adapter,
    empty_tensors,
    index_path_escape,
    missing_projector,
    tensors_outside_targets,
)
from lora_lint.checks.checkpoint.folder import (
    adapter_saved_twice,
    tokenizer_larger_than_base,
    weights_left_in_shards,
)
from lora_lint.checks.checkpoint.lone import (
    alpha_tensor_bad,
    diffusers_alpha_not_serialised,
    mixed_rank_without_alpha,
    split_qkv_alpha,
    ss_metadata_mismatch,
)
from lora_lint.checks.checkpoint.merged import merged_model_inconsistent, stale_lora_flag, unmerged_lora
from lora_lint.checks.checkpoint.missing import missing_tensors
from lora_lint.checks.checkpoint.names import bad_key_prefix

__all__ = [
    "a_differs_from_b",
    "adapter_mixed_with_full_model",
    "adapter_saved_twice",
    "alpha_differs_from_metadata",
    "alpha_tensor_bad",
    "bad_key_prefix",
    "base_shape_mismatch",
    "base_weights_in_adapter",
    "diffusers_alpha_not_serialised",
    "dora_differs_from_tensors",
    "empty_tensors",
    "index_path_escape",
    "merged_model_inconsistent",
    "missing_projector",
    "missing_tensors",
    "mixed_dtypes",
    "mixed_rank_without_alpha",
    "mutated_base_init_unconverted",
    "rank_differs_from_tensors",
    "split_qkv_alpha",
    "ss_metadata_mismatch",
    "stale_lora_flag",
    "tensors_outside_targets",
    "tokenizer_larger_than_base",
    "unmerged_lora",
    "weights_left_in_shards",
]
