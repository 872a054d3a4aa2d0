"""Float32 that is multiplied as float32, whatever the settings of the process allow in its place."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch


@contextmanager
def full_precision() -> Iterator[None]:
    """Meanwhile float32 isn't cut to TF32 or bfloat16 before it is multiplied; settings are as before afterwards.

    On a GPU convolutions are by default, and products are after `set_float32_matmul_precision("high")`, which many
    training scripts call. A scale is then off by a part in ten thousand: enough to fail an assertion, and no fault of
    the layer.
    """
    operations = list(_operations())
    as_before = [operation.fp32_precision for operation in operations]
    # The old settings go along with the new ones, or torch would refuse to tell them to whoever asks meanwhile. It
    # refuses to tell them here where a user has set the new ones alone.
    products: str | None = None
    convolutions: bool | None = None
    with suppress(RuntimeError):
        products = torch.get_float32_matmul_precision()
    with suppress(RuntimeError):
        convolutions = torch.backends.cudnn.allow_tf32
    try:
        if products is not None:
            torch.set_float32_matmul_precision("highest")
        if convolutions is not None:
            torch.backends.cudnn.allow_tf32 = False
        for operation in operations:
            operation.fp32_precision = "ieee"
        yield
    finally:
        if products is not None:
            torch.set_float32_matmul_precision(products)
        if convolutions is not None:
            torch.backends.cudnn.allow_tf32 = convolutions
        for operation, precision in zip(operations, as_before, strict=True):
            operation.fp32_precision = precision


def _operations() -> Iterator[Any]:
    """What has a precision of its own since torch 2.9."""
    backends: Any = torch.backends
    if hasattr(backends.cudnn, "conv"):
        yield backends.cuda.matmul
        for backend in (backends.cudnn, backends.mkldnn):
            yield from (getattr(backend, name) for name in ("conv", "rnn", "matmul") if hasattr(backend, name))
