"""The devices that are here, all of which tests of tensors are to run on."""

import torch

DEVICES = [
    "cpu",
    *(f"cuda:{index}" for index in range(torch.cuda.device_count())),
    *(["mps"] if torch.backends.mps.is_available() else []),
]
