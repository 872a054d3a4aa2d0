"""Do the target modules mean what they say?"""

from lora_lint.checks import on_demand

__getattr__ = on_demand(
    __name__,
    {
        "classifier": ("classifier_head_not_saved",),
        "experts": (
            "moe_experts_not_adapted",
            "router_adapted",
        ),
        "layers": (
            "layers_to_transform_misuse",
            "vlm_suffix_collision",
        ),
        "names": (
            "target_list_syntax",
            "target_matches_nothing",
        ),
        "patterns": ("pattern_key_matches_nothing",),
        "ranks": ("rank_exceeds_dimension",),
        "saved": (
            "embedding_or_head_targeted",
            "save_target_overlap",
            "tied_embeddings_partial",
        ),
        "tokens": ("new_tokens_without_embeddings",),
        "variants": (
            "target_parameters_incompatible",
            "variant_unsupported_layer",
        ),
    },
)
