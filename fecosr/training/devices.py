"""On what a market trains and evaluates: its processor, or a GPU where there is one.

The choice is the machine's alone: it is no part of a plan, and changes results by rounding and, in training,
by the dropout that a device draws from a generator of its own.
"""

import torch

from fecosr.errors import ConfigError
from fecosr.training.settings import Device


def torch_device(device: Device) -> torch.device:
    """Return the device that a setting means on this machine; "auto" is a GPU where torch can use one.

    Raises:
        ConfigError: "cuda" is asked for, and torch sees no GPU.
    """
    present = torch.cuda.is_available()
    if device == "cuda" and not present:
        raise ConfigError(
            "device is 'cuda', but torch sees no GPU here",
            remedy="use device = 'auto' or 'cpu', or install the driver and a CUDA build of torch",
        )
    return torch.device("cuda" if present and device != "cpu" else "cpu")
