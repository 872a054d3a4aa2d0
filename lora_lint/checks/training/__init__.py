"""Does the run train the adapter, at a rate that suits it, and save it?"""

from lora_lint.checks import on_demand

__getattr__ = on_demand(
    __name__,
    {
        "freezing": (
            "continue_training_frozen",
            "grad_checkpoint_without_input_grads",
            "lora_on_unfrozen_base",
        ),
        "precision": (
            "fp16_trainable_weights",
            "quantisation_flags_inconsistent",
        ),
        "rates": (
            "effective_lr_too_high",
            "lora_lr_like_full_ft",
            "loraplus_ratio_suspicious",
        ),
        "resumed": ("resume_shape_changed",),
        "saving": ("zero3_fsdp_save_risk",),
    },
)
