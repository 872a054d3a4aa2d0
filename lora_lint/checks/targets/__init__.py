"""Do the target modules mean what they say?"""

from lora_lint.checks.targets.classifier import classifier_head_not_saved
from lora_lint.checks.targets.experts import moe_experts_not_adapted, router_adapted
from lora_lint.checks.targets.layers import layers_to_transform_misuse, vlm_suffix_collision
from lora_lint.checks.targets.names import target_list_syntax, target_matches_nothing
from lora_lint.checks.targets.patterns import pattern_key_matches_nothing
from lora_lint.checks.targets.ranks import rank_exceeds_dimension
from lora_lint.checks.targets.saved import embedding_or_head_targeted, save_target_overlap, tied_embeddings_partial
from lora_lint.checks.targets.tokens import new_tokens_without_embeddings
from lora_lint.checks.targets.variants import target_parameters_incompatible, variant_unsupported_layer

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
