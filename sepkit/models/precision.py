"""Faster ways to run a trained network, at the price of digits or of a wait before the first song.

Measured in tests/bench/bench_open_unmix_separator.py. On a CPU without instructions for bfloat16,
Open-Unmix takes 0.9 of the time of float32 in bfloat16 and in 8 bits, and compiled hardly less
than as it is; the SDR of the shipped networks on a song of the band falls by 0.001 and 0.02 dB.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from ..errors import SepkitError, unknown

if TYPE_CHECKING:
    from .base import Model

Network = TypeVar("Network", bound=nn.Module)
PRECISIONS = ("float32", "bfloat16", "int8")


def runner(
    net: Model, method: str = "forward", precision: str | None = None, compile: bool = False
) -> Callable[..., Any]:
    """What to call instead of a network's method.

    Parameters
    ----------
    net : Model
        In evaluation mode, on its device. Not changed, except where it has `precisions`.
    method : {"forward", "magnitude"}
    precision : {"float32", "bfloat16", "int8"}, optional
        ``"bfloat16"``: products of matrices with 8 bits of mantissa (autocast). ``"int8"``:
        weights of linear and LSTM layers, and what comes in, with 8 bits; on a CPU only.
        A network with a way of its own, such as BSRNN, follows that. By default as built.
    compile : bool
        Let `torch.compile` join small steps. Takes tens of seconds at the first call.

    Returns
    -------
    callable

    Raises
    ------
    SepkitError
        If the network cannot be run so on this machine.
    """
    if precision is not None and precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    device = next((p.device.type for p in net.parameters()), "cpu")
    if net.precisions:
        if precision:
            net.set_precision(precision)
    elif precision not in (None, "float32") and method != "magnitude":
        raise SepkitError(
            f"precision={precision}: {net.name} computes in float32 only; leave it out"
        )
    elif precision == "int8":
        if device != "cpu":
            raise SepkitError(f"precision=int8 is for a CPU, not for {device}; use bfloat16 there")
        net = quantised(net)
    run = net if method == "forward" else getattr(net, method)
    if compile:
        _check_compiler(device)
        run = torch.compile(run, dynamic=True)
    if precision == "bfloat16" and not net.precisions:
        return torch.autocast(device, torch.bfloat16)(run)
    return run


def as_autocast(x: Tensor) -> Tensor:
    """What goes into an LSTM, in the type that autocast computes in.

    Autocast on a CPU looks at an LSTM's input before it chooses how to compute, and takes
    float32 for a reason to call oneDNN, which then meets 16 bits: processors without
    instructions for those have no such LSTM in oneDNN, only PyTorch's own.
    """
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        return x.to(torch.get_autocast_dtype("cpu"))
    return x


@cache
def convolves_in_bfloat16() -> bool:
    """Whether this processor's convolutions in bfloat16 can be trusted.

    With AMX, oneDNN in PyTorch 2.11 gets those wrong whose channels times taps fill its tiles.
    """
    x, taps = torch.ones(1, 4, 32), torch.ones(1, 4, 16)
    sums = nn.functional.conv1d(x.bfloat16(), taps.bfloat16())  # 64 each
    return bool((sums == 64).all())


def quantised(net: Network) -> Network:
    """A copy of a network whose linear and LSTM layers compute in 8 bits, on a CPU.

    Raises
    ------
    SepkitError
        If PyTorch has no such layers for this processor.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its place in PyTorch will change
            return torch.ao.quantization.quantize_dynamic(net, {nn.LSTM, nn.Linear})
    except (AttributeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise SepkitError(
            f"precision=int8: this PyTorch has no 8 bit layers for this processor ({reason}); "
            "use float32 or bfloat16"
        ) from None


def _check_compiler(device):
    """For a CPU, torch.compile writes C++, and says so at length if nothing can read it."""
    compiler = os.environ.get("CXX", "g++")
    if device == "cpu" and not shutil.which(compiler):
        raise SepkitError(
            f"torch.compile needs a C++ compiler, and there is no {compiler}; install one, name "
            "it in $CXX, or leave compile out"
        )
