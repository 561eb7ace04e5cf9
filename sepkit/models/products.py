"""Products of matrices in inference on the CPU, by the faster of the two libraries PyTorch has.

PyTorch gives them to MKL, which is half as fast as oneDNN on processors that are not Intel's
(EPYC with AVX-512, one thread: 100 against 220 billion operations a second). Convolutions of a
batch of 16 or more go to oneDNN, and a kernel of one point is such a product.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

#: The smallest batch with which PyTorch gives a convolution of one point to oneDNN.
_BATCH = 16


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
    plain = torch.is_grad_enabled() or x.device.type != "cpu" or x.dtype != torch.float32
    if plain or rows < _BATCH or torch.is_autocast_enabled("cpu"):
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
