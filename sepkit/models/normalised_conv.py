"""A convolution and the batch normalisation behind it: in inference one convolution.

There the normalisation multiplies and adds what is known beforehand. Taken into the kernel and the
bias, it costs nothing; as a step of its own it reads and writes all feature maps once more.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class NormalisedConv(nn.Sequential):
    """A convolution, batch normalisation and a rectifier.

    Parameters
    ----------
    layer : Conv2d or ConvTranspose2d
    """

    def __init__(self, layer: nn.Conv2d | nn.ConvTranspose2d):
        super().__init__(layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """(B, V, N, F) to (B, W, N', F')."""
        layer: Any = self[0]
        norm: Any = self[1]
        return normalised(x, layer, norm).relu_()


def normalised(x: Tensor, layer: nn.Conv2d | nn.ConvTranspose2d, norm: nn.BatchNorm2d) -> Tensor:
    """``norm(layer(x))``, to the last rounding.

    Parameters
    ----------
    x : Tensor
        (B, V, N, F)
    layer : Conv2d or ConvTranspose2d
        The latter in one group, without padding.
    norm : BatchNorm2d
        One without running statistics stays a step of its own.

    Returns
    -------
    Tensor
        (B, W, N', F')
    """
    mean, variance = norm.running_mean, norm.running_var
    if norm.training or torch.is_grad_enabled() or mean is None or variance is None:
        return norm(layer(x))
    scale = norm.weight * (variance + norm.eps).rsqrt()  # (W,)
    bias = norm.bias - mean * scale
    if layer.bias is not None:
        bias = bias + layer.bias * scale
    if isinstance(layer, nn.ConvTranspose2d):
        weight = layer.weight * scale[:, None, None]  # (V, W, h, w)
        return functional.conv_transpose2d(x, weight, bias, layer.stride)
    weight = layer.weight * scale[:, None, None, None]  # (W, V / groups, h, w)
    return functional.conv2d(
        x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups
    )
