"""The arbiter of what `s` means: a reference module in torch, measured scales, and checkpoints held against both."""

try:
    import torch  # noqa: F401 - the only question is whether it is there
except ImportError as error:
    raise ImportError("verify needs torch: pip install 'lora-lint[torch]'", name="torch") from error

from lora_lint.reference.adapter import ModuleClaim
from lora_lint.reference.device import pick_device, pick_devices
from lora_lint.reference.layer import Geometry, Kind, ReferenceLoRA
from lora_lint.reference.measure import Measurement, assert_scale, measure_scale
from lora_lint.reference.merged import merged_scale
from lora_lint.reference.model import assert_policy, measure_scales
from lora_lint.reference.module_verdict import ModuleVerdict, incomplete
from lora_lint.reference.stream import TensorRef
from lora_lint.reference.verdict import likely_cause
from lora_lint.reference.verify import verify
from lora_lint.reference.weights import Weights

__all__ = [
    "Geometry",
    "Kind",
    "Measurement",
    "ModuleClaim",
    "ModuleVerdict",
    "ReferenceLoRA",
    "TensorRef",
    "Weights",
    "assert_policy",
    "assert_scale",
    "incomplete",
    "likely_cause",
    "measure_scale",
    "measure_scales",
    "merged_scale",
    "pick_device",
    "pick_devices",
    "verify",
]
