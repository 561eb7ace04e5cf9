"""The layers of the band-split RNN, `sepkit.models.bsrnn`.

B, C: batch, channels; F, L: bins, frames; K: bands; N: features of a band.
Tensors have the bands first, so that bands of equal width are computed by one
batched matrix product, and both directions of the RNN lie in memory as they are.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .bands import by_width
from .precision import as_autocast


class BandSplit(nn.Module):
    """Norm and linear map of every band's bins to N features.

    The features of a band are ordered (channel, bin, real and imaginary part).

    Parameters
    ----------
    edges : list of int
        As `band_edges` makes them.
    channels, features : int
    norm_frames : int, optional
        Normalise over this many frames at once instead of over each alone.
    """

    def __init__(self, edges, channels, features, norm_frames=None):
        super().__init__()
        self.widths, self.groups = [b - a for a, b in zip(edges, edges[1:])], by_width(edges)
        self.norms, self.maps = nn.ModuleList(), nn.ModuleList()
        for width, bands in self.groups:
            self.norms.append(BandNorm(len(bands), 2 * channels * width, norm_frames))
            self.maps.append(BandLinear(len(bands), 2 * channels * width, features))

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, C, F, 2), any strides, to (K, B, L, N)."""
        batch, frames = x.shape[:2]
        parts = x.split(self.widths, 3)  # (B, L, C, F_k, 2) each
        out: list[Any] = [None] * len(self.widths)
        for (_, bands), norm, linear in zip(self.groups, self.norms, self.maps):
            y = torch.cat([parts[band].flatten(-2) for band in bands])  # (bands B, L, C, 2 F_k)
            y = y.reshape(len(bands), batch, frames, -1)  # (bands, B, L, features of a band)
            _place(out, bands, linear(norm(y)))  # (bands, B, L, N)
        return torch.stack(out)


class RecurrentLayer(nn.Module):
    """Group norm, bidirectional LSTM and linear map, added to the input.

    Parameters
    ----------
    features, hidden : int
    public : bool
        A group norm of as many groups as features, as in the public
        implementation, where the authors use one group.
    """

    def __init__(self, features, hidden, public=False):
        super().__init__()
        self.norm = nn.GroupNorm(features if public else 1, features)
        self.rnn = nn.LSTM(features, hidden, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, features)

    def forward(self, x: Tensor) -> Tensor:
        """(sequence, ., ., N), any strides, to the same."""
        y = as_autocast(_group_norm(x, self.norm).flatten(1, 2))  # (sequence, others, N)
        if isinstance(self.rnn, nn.LSTM) and y.device.type == "cpu":
            y = self._two_directions(y)
        else:
            y = self.fc(self.rnn(y)[0])  # (sequence, others, N)
        return x + y.view(x.shape)

    def _two_directions(self, x):
        """LSTM and linear map with one call per direction.

        A sixth faster on a CPU, since nothing 2 H wide is put together.
        """
        weights, hidden = self.rnn._flat_weights, self.rnn.hidden_size
        zero = x.new_zeros(1, x.shape[1], hidden)
        ahead, back = (
            torch.lstm(y, (zero, zero), part, True, 1, 0.0, self.training, False, False)[0]
            for y, part in ((x, weights[:4]), (x.flip(0), weights[4:]))
        )  # (sequence, others, H) each
        left, right = self.fc.weight.split(hidden, 1)
        return functional.linear(ahead, left, self.fc.bias) + functional.linear(back, right).flip(0)


class MaskEstimation(nn.Module):
    """Norm and perceptron with one hidden layer for every band, to its part of the mask.

    The last layer is gated: of twice as many outputs, one half is multiplied with
    the sigmoid of the other. With `norm_frames` the gate has a linear layer of its
    own behind the last one, as in the public implementation.
    """

    def __init__(self, edges, channels, features, mlp, norm_frames=None):
        super().__init__()
        self.channels, self.groups, self.count = channels, by_width(edges), len(edges) - 1
        self.norms, self.hidden, self.output, self.gate = (nn.ModuleList() for _ in range(4))
        for width, bands in self.groups:
            size = 2 * channels * width
            self.norms.append(BandNorm(len(bands), features, norm_frames))
            self.hidden.append(BandLinear(len(bands), features, mlp))
            self.output.append(BandLinear(len(bands), mlp, size if norm_frames else 2 * size))
            if norm_frames:
                self.gate.append(BandLinear(len(bands), size, 2 * size))

    def forward(self, x: Tensor) -> Tensor:
        """(K, B, L, N) to (B, C, L, F, 2)."""
        out: list[Any] = [None] * self.count
        for g, (width, bands) in enumerate(self.groups):
            y = self.norms[g](torch.stack([x[band] for band in bands]))  # (bands, B, L, N)
            y = self.hidden[g](y).tanh_()  # (bands, B, L, mlp)
            y = self.output[g](y)  # (bands, B, L, twice the features of a band)
            y = functional.glu(self.gate[g](y) if self.gate else y)  # (bands, B, L, C F_k 2)
            y = y.unflatten(-1, (self.channels, width, 2))  # (bands, B, L, C, F_k, 2)
            y = y.transpose(2, 3)  # (bands, B, C, L, F_k, 2)
            _place(out, bands, y)
        return torch.cat(out, 3)


class BandNorm(nn.Module):
    """Layer norm of (bands, B, L, size) over the last axis, or over the last two.

    Every band has weights of its own.
    """

    def __init__(self, bands, size, norm_frames=None):
        super().__init__()
        self.shape = (norm_frames, size) if norm_frames else (size,)
        self.weight = nn.Parameter(torch.ones(bands, 1, norm_frames or 1, size))
        self.bias = nn.Parameter(torch.zeros(bands, 1, norm_frames or 1, size))

    def forward(self, x: Tensor) -> Tensor:
        """(bands, B, L, size) to the same."""
        return torch.addcmul(self.bias, functional.layer_norm(x, self.shape), self.weight)


class BandLinear(nn.Module):
    """One linear map for each of several bands: (bands, B, L, size) to (bands, B, L, out)."""

    def __init__(self, bands, size, out):
        super().__init__()
        bound = size**-0.5  # as in nn.Linear
        self.weight = nn.Parameter(torch.empty(bands, size, out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(bands, 1, out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """(bands, B, L, size) to (bands, B, L, out)."""
        return torch.baddbmm(self.bias, x.flatten(1, 2), self.weight).unflatten(1, x.shape[1:3])


def _place(out, bands, values):
    for band, value in zip(bands, values.unbind(0)):
        out[band] = value


def _group_norm(x, norm):
    """`norm` of (sequence, ., ., N) as nn.GroupNorm has it for (others, N, sequence).

    But without moving anything in memory.
    """
    over = (0, 3) if norm.num_groups == 1 else (0,)
    x = x - x.mean(over, keepdim=True)
    scale = norm.weight * torch.rsqrt(x.square().mean(over, keepdim=True) + norm.eps)
    return torch.addcmul(norm.bias, x, scale)
