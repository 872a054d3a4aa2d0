"""Does the run train the adapter, at a rate that suits it, and save it?"""

from lora_lint.checks.training.freezing import (
    continue_training_frozen,
    grad_checkpoint_without_input_grads,
    lora_on_unfrozen_base,
)
from lora_lint.checks.training.precision import fp16_trainable_weights, quantisation_flags_inconsistent
from lora_lint.checks.training.rates import effective_lr_too_high, lora_lr_like_full_ft, loraplus_ratio_suspicious
from lora_lint.checks.training.resumed import resume_shape_changed
from lora_lint.checks.training.saving import zero3_fsdp_save_risk

__all__ = [
    "continue_training_frozen",
    "effective_lr_too_high",
    "fp16_trainable_weights",
    "grad_checkpoint_without_input_grads",
    "lora_lr_like_full_ft",
    "lora_on_unfrozen_base",
    "loraplus_ratio_suspicious",
    "quantisation_flags_inconsistent",
    "resume_shape_changed",
    "zero3_fsdp_save_risk",
]
