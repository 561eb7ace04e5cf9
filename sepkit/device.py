"""The one place that names a device."""

from .errors import SepkitError, unknown

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(device="auto"):
    """Turn a device name into a ``torch.device`` that exists on this machine.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` takes CUDA, then MPS, then the CPU. ``"cuda:1"`` picks a card.

    Raises
    ------
    SepkitError
        If the device is unknown, or is asked for by name and is not there.
    """
    import torch

    name = str(device)
    kind = name.split(":")[0]
    if kind not in DEVICES:
        raise unknown("device", name, DEVICES)
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind == "auto":
        return torch.device(next(k for k in ("cuda", "mps", "cpu") if there[k]))
    if not there[kind]:
        raise SepkitError(f"device {name!r}: this machine has none that torch can use; use --device cpu or auto")
    if kind == "cuda" and ":" in name and not 0 <= int(name.split(":")[1]) < torch.cuda.device_count():
        raise SepkitError(f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA device(s), counted from 0")
    return torch.device(name)
