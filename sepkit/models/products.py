"""The same sums as PyTorch's layers in inference on the CPU, by the faster of its ways.

Products of matrices go to MKL, which is half as fast as oneDNN on AMD's processors (EPYC with
AVX-512, one thread: 100 against 220 billion operations a second) and as fast on Intel's.
Convolutions of a batch of 16 or more go to oneDNN, and a kernel of one point is such a product.

Transposed convolutions lay their results out anew several times. Each output of one whose kernel
is two strides long is the sum of two products, which makes it a convolution over two inputs with
as many outputs as the stride is long: 0.5 of the time over HTDemucs's layers (Xeon with AVX-512).
"""

import platform
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

#: The smallest batch with which PyTorch gives a convolution of one point to oneDNN.
_BATCH = 16


def _processor():
    """What the operating system says of it; Windows through `platform`, Linux in a file."""
    try:
        return platform.processor() + Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return platform.processor()


#: Whether MKL is the slower library on this processor.
SLOW_MKL = "AuthenticAMD" in _processor()


def _plain(x):
    """Whether PyTorch's own way is to be taken."""
    inference_on_cpu = x.device.type == "cpu" and not torch.is_grad_enabled()
    return not inference_on_cpu or x.dtype != torch.float32 or torch.is_autocast_enabled("cpu")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``torch.nn.functional.linear``: (..., V) to (..., W), to the last rounding.

    Parameters
    ----------
    x : Tensor
        (..., V)
    weight : Tensor
        (W, V)
    bias : Tensor, optional
        (W,)
    """
    rows = x.numel() // x.shape[-1]
    if not SLOW_MKL or rows < _BATCH or _plain(x):
        return functional.linear(x, weight, bias)
    y = x.reshape(rows, -1)
    if missing := -rows % _BATCH:
        y = functional.pad(y, (0, 0, 0, missing))
    y = y.view(_BATCH, -1, 1, x.shape[-1]).permute(0, 3, 1, 2)  # (16, V, rows / 16, 1)
    y = functional.conv2d(y, weight[:, :, None, None], bias)  # (16, W, rows / 16, 1)
    return y.permute(0, 2, 3, 1).flatten(0, 2)[:rows].view(*x.shape[:-1], -1)


class Linear(nn.Linear):
    """``torch.nn.Linear`` through `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., V) to (..., W)."""
        return linear(x, self.weight, self.bias)


def conv_transpose(x: Tensor, layer: nn.ConvTranspose2d) -> Tensor:
    """``layer(x)`` for a layer along the frequencies alone, to the last rounding.

    Parameters
    ----------
    x : Tensor
        (B, V, F, N)
    layer : ConvTranspose2d
        In one group, without padding, its kernel one frame long.

    Returns
    -------
    Tensor
        (B, W, (F - 1) stride + kernel, N)
    """
    stride = layer.stride[0]
    if layer.kernel_size[0] != 2 * stride or _plain(x):
        return layer(x)
    # Output stride f + k is weight[k] x[f] + weight[stride + k] x[f - 1].
    weight = layer.weight.unflatten(2, (2, stride)).flip(2)  # (V, W, 2, stride, 1)
    weight = weight.permute(1, 3, 0, 2, 4).flatten(0, 1)  # (W stride, V, 2, 1)
    bias = None if layer.bias is None else layer.bias.repeat_interleave(stride)
    y = functional.conv2d(x, weight, bias, padding=(1, 0))  # (B, W stride, F + 1, N)
    return y.unflatten(1, (-1, stride)).transpose(2, 3).flatten(2, 3)
