"""Do the weights beside a config say the same as the config, and do weights without one say enough?"""

from lora_lint.checks import on_demand

__getattr__ = on_demand(
    __name__,
    {
        "agreement": (
            "a_differs_from_b",
            "alpha_differs_from_metadata",
            "dora_differs_from_tensors",
            "mixed_dtypes",
            "rank_differs_from_tensors",
        ),
        "base": (
            "adapter_mixed_with_full_model",
            "base_shape_mismatch",
            "mutated_base_init_unconverted",
        ),
        "contents": (
            "base_weights_in_adapter",
            "empty_tensors",
            "index_path_escape",
            "missing_projector",
            "tensors_outside_targets",
        ),
        "folder": (
            "adapter_saved_twice",
            "tokenizer_larger_than_base",
        ),
        "lone": (
            "alpha_tensor_bad",
            "diffusers_alpha_not_serialised",
            "mixed_rank_without_alpha",
            "split_qkv_alpha",
            "ss_metadata_mismatch",
        ),
        "merged": (
            "merged_model_inconsistent",
            "stale_lora_flag",
            "unmerged_lora",
        ),
        "missing": ("missing_tensors",),
        "names": ("bad_key_prefix",),
        "shards": ("weights_left_in_shards",),
    },
)
