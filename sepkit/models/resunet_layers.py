"""The layers of ResUNet; tensors are (B, W, N, F): batch, feature maps, frames, bins."""

import torch
from torch import nn


class PreActivated(nn.Module):
    """Normalisation and leaky ReLU before a convolution without bias that keeps the size."""

    def __init__(self, inputs, outputs, kernel, momentum, groups=1):
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs, momentum=momentum)
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False
        )

    def forward(self, x):
        return self.conv(nn.functional.leaky_relu(self.norm(x), 0.01, inplace=True))


class Residual(nn.Module):
    """Layers that add to their input, which a 1x1 convolution adapts where the widths differ."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        inputs, outputs = layers[0].conv.in_channels, layers[-1].conv.out_channels
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        return self.shortcut(x) + self.layers(x)


class Encoder(nn.Module):
    """A stage, and its output averaged over `pool` (frames, bins)."""

    def __init__(self, stage, pool):
        super().__init__()
        self.stage, self.pool = stage, pool

    def forward(self, x):
        x = self.stage(x)
        return nn.functional.avg_pool2d(x, self.pool), x


class Decoder(nn.Module):
    """Enlarge, put the encoder's output beside it, and a stage."""

    def __init__(self, norm, slope, up, stage):
        super().__init__()
        self.norm, self.slope, self.up, self.stage = norm, slope, up, stage

    def forward(self, x, skip):
        x = self.up(nn.functional.leaky_relu(self.norm(x), self.slope, inplace=True))
        return self.stage(torch.cat([x, skip], 1))


def residual(inputs, outputs, momentum):
    """Two 3x3 convolutions."""
    return Residual(
        PreActivated(inputs, outputs, 3, momentum), PreActivated(outputs, outputs, 3, momentum)
    )


def separable(inputs, outputs, momentum):
    """A 3x3 convolution of each map alone, between two that mix the maps."""
    return Residual(
        PreActivated(inputs, outputs, 1, momentum),
        PreActivated(outputs, outputs, 3, momentum, groups=outputs),
        PreActivated(outputs, outputs, 1, momentum),
    )


def transposed(inputs, outputs, factors):
    """Enlarge by learned patches that do not overlap."""
    return nn.ConvTranspose2d(inputs, outputs, factors, stride=factors, bias=False)


def nearest(inputs, outputs, factors):
    """Mix the maps, then repeat each value; the authors' order is the other, with the same result."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.Upsample(scale_factor=factors)
    )


def initialise(module):
    """As the authors: Xavier's uniform weights and no bias; normalisations start as PyTorch's do."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
