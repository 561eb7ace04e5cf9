"""The one place that names a device."""

from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import SepkitError, unknown

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(device: "str | torch.device" = "auto") -> "torch.device":
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
    kind, colon, number = name.partition(":")
    if kind not in DEVICES or (
        colon
        and not (number.isdecimal() and kind != "auto" and (kind == "cuda" or int(number) == 0))
    ):
        raise unknown("device", name, DEVICES)
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if kind == "auto":
        return torch.device(next(k for k in ("cuda", "mps", "cpu") if there[k]))
    if not there[kind]:
        raise SepkitError(
            f"device {name!r}: this machine has none that torch can use; use --device cpu or auto"
        )
    if kind == "cuda" and colon and int(number) >= torch.cuda.device_count():
        raise SepkitError(
            f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA device(s), "
            "counted from 0"
        )
    return torch.device(name if kind == "cuda" else kind)


@contextmanager
def denormals_as_zero():
    """Let numbers below 1e-38 count as zero, on processors that can, until the block is left.

    Also a decorator.

    Weight decay drives the weights of outputs that are never needed (bins above the music's
    highest frequency) towards zero without end. Once they are that small, a processor takes
    many times as long for a product with them: measured, five times as long for a step of
    Open-Unmix.
    """
    import torch

    before = _denormals_are_zero()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _denormals_are_zero():
    """Whether they count as zero now: half of the smallest normal number does, or does not."""
    import torch

    return float(torch.tensor([torch.finfo(torch.float64).tiny], dtype=torch.float64) * 0.5) == 0.0
