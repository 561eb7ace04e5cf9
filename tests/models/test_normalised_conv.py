"""Convolution and normalisation in one: equal to both in turn, and training as it was."""

import pytest
import torch
from torch import nn

from sepkit.models.normalised_conv import NormalisedConv, normalised


def drawn(layer):
    """A layer and a normalisation whose statistics and weights are not the first ones."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(layer.out_channels)
    for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        value.data.uniform_(0.5, 1.5)
    return layer.double(), norm.double().eval()


LAYERS = {
    "with a bias": nn.Conv2d(4, 6, 3, padding=1),
    "without one": nn.Conv2d(4, 6, 3, padding=1, bias=False),
    "in groups": nn.Conv2d(4, 6, 3, padding=1, groups=2),
    "strided": nn.Conv2d(4, 6, (1, 2), (1, 2)),
    "dilated": nn.Conv2d(4, 6, 3, dilation=2),
    "transposed": nn.ConvTranspose2d(4, 6, (1, 2), (1, 2)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_it_is_the_normalisation_of_the_convolution(kind):
    layer, norm = drawn(LAYERS[kind])
    x = torch.randn(2, 4, 8, 10, dtype=torch.float64)
    expected = norm(layer(x))
    with torch.no_grad():
        torch.testing.assert_close(normalised(x, layer, norm), expected)


def test_in_training_the_statistics_are_those_of_the_batch():
    layer, norm = drawn(LAYERS["with a bias"])
    net, x = NormalisedConv(layer.float()).train(), 5 + torch.randn(2, 4, 8, 10)
    with torch.no_grad():
        y = layer(x)
        means, deviations = y.mean((0, 2, 3)), y.std((0, 2, 3), correction=0)
        expected = ((y - means[:, None, None]) / deviations[:, None, None]).relu()
        torch.testing.assert_close(net(x), expected, atol=1e-4, rtol=1e-4)
    assert net[1].running_mean.abs().max() > 0
    net(x).sum().backward()
    assert layer.weight.grad is not None and net[1].weight.grad.abs().sum() > 0
