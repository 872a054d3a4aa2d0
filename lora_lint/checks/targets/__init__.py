"""Do the target modules mean what they say?"""

from lora_lint.checks.targets.experts import moe_experts_not_adapted, router_adapted
from lora_lint.checks.targets.layers import (
    layers_to_transform_misuse,
    pattern_key_matches_nothing,
    rank_exceeds_dimension,
    target_parameters_incompatible,
    variant_unsupported_layer,
    vlm_suffix_collision,
)
from lora_lint.checks.targets.names import target_list_syntax, target_matches_nothing
from lora_lint.checks.targets.saved import (
    classifier_head_not_saved,
    embedding_or_head_targeted,
    new_tokens_without_embeddings,
    save_target_overlap,
    tied_embeddings_partial,
)

__all__ = [
    "classifier_head_not_saved",
    "embedding_or_head_targeted",
    "layers_to_transform_misuse",
    "moe_experts_not_adapted",
    "new_tokens_without_embeddings",
    "pattern_key_matches_nothing",
    "rank_exceeds_dimension",
    "router_adapted",
    "save_target_overlap",
    "target_list_syntax",
    "target_matches_nothing",
    "target_parameters_incompatible",
    "tied_embeddings_partial",
    "variant_unsupported_layer",
    "vlm_suffix_collision",
]
