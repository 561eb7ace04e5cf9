"""The band-split RNN to read: band by band, as the paper has it.

Luo and Yu, "Music Source Separation with Band-split RNN", arXiv 2209.15174, 2022. One norm,
linear map and perceptron per band, one call each; in the shapes of the public layout's weights
if `norm_frames` is given. `sepkit.models.bsrnn` computes the same with bands of equal width
together, and tests hold the two equal. Chapter 06.

B, C: batch, channels; F, L: bins, frames; K: bands; N: features of a band.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .bsrnn import BSRNN


class Gate(nn.Module):
    """The public layout's gated linear unit, with a linear layer of its own."""

    def __init__(self, size):
        super().__init__()
        self.linear = nn.Linear(size, 2 * size)

    def forward(self, x: Tensor) -> Tensor:
        """(..., size) to the same."""
        value, gate = self.linear(x).chunk(2, -1)
        return value * torch.sigmoid(gate)


class Layer(nn.Module):
    """Group norm, bidirectional LSTM and linear map, added to the input."""

    def __init__(self, features, hidden, groups):
        super().__init__()
        self.groupnorm = nn.GroupNorm(groups, features)
        self.rnn = nn.LSTM(features, hidden, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, features)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, sequence, N) to the same."""
        y = self.groupnorm(x.transpose(1, 2)).transpose(1, 2)
        return x + self.fc(self.rnn(y)[0])


class Perceptron(nn.Module):
    """Two linear maps with a tanh between and a gate behind: from a band's N to its mask."""

    def __init__(self, features, mlp, size, gated):
        super().__init__()
        last = (
            [nn.Linear(mlp, size), Gate(size)] if gated else [nn.Linear(mlp, 2 * size), nn.GLU(-1)]
        )
        self.mlp = nn.Sequential(nn.Linear(features, mlp), nn.Tanh(), *last)

    def forward(self, x: Tensor) -> Tensor:
        """(..., N) to (..., size)."""
        return self.mlp(x)


class BandSplit(nn.Module):
    """A norm and a linear map per band, from its bins to N features."""

    def __init__(self, widths, channels, features, norm_frames):
        super().__init__()
        self.widths, self.norm_frames = widths, norm_frames
        sizes = [2 * channels * width for width in widths]
        frames = [norm_frames] if norm_frames else []
        self.layernorms = nn.ModuleList(nn.LayerNorm([size, *frames]) for size in sizes)
        self.fcs = nn.ModuleList(nn.Linear(size, features) for size in sizes)

    def forward(self, spectrum: Tensor) -> Tensor:
        """(B, C, F, L), complex, to (B, K, L, N)."""
        out = []
        for band, norm, fc in zip(spectrum.split(self.widths, 2), self.layernorms, self.fcs):
            x = torch.view_as_real(band)  # (B, C, F_k, L, 2)
            x = x.permute(0, 1, 4, 2, 3).flatten(1, 3)  # (B, C 2 F_k, L)
            x = norm(x).transpose(1, 2) if self.norm_frames else norm(x.transpose(1, 2))
            out.append(fc(x))  # (B, L, N)
        return torch.stack(out, 1)


class BandSequence(nn.Module):
    """Pairs of recurrent layers, over time and over bands."""

    def __init__(self, features, hidden, layers, groups):
        super().__init__()
        self.bsrnn = nn.ModuleList(
            nn.ModuleList(Layer(features, hidden, groups) for _ in range(2)) for _ in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, L, N) to the same."""
        batch, bands, frames, features = x.shape
        for over_time, over_bands in self.bsrnn:
            y = over_time(x.reshape(batch * bands, frames, features))  # sequences of L frames
            y = y.view(batch, bands, frames, features).transpose(1, 2)  # (B, L, K, N)
            y = over_bands(y.reshape(batch * frames, bands, features))  # sequences of K bands
            x = y.view(batch, frames, bands, features).transpose(1, 2)  # (B, K, L, N)
        return x


class MaskEstimation(nn.Module):
    """A norm and a perceptron per band, from its N features to its part of the mask."""

    def __init__(self, widths, channels, features, mlp, norm_frames):
        super().__init__()
        self.widths, self.channels = widths, channels
        frames, gated = [norm_frames] if norm_frames else [], bool(norm_frames)
        self.layernorms = nn.ModuleList(nn.LayerNorm([*frames, features]) for _ in widths)
        self.mlp = nn.ModuleList(
            Perceptron(features, mlp, 2 * channels * width, gated) for width in widths
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, L, N) to (B, C, F, L), complex."""
        out = []
        for k, (width, norm, mlp) in enumerate(zip(self.widths, self.layernorms, self.mlp)):
            y = mlp(norm(x[:, k])).transpose(1, 2)  # (B, C 2 F_k, L)
            y = y.unflatten(1, (self.channels, 2, width))  # (B, C, 2, F_k, L)
            y = y.permute(0, 1, 3, 4, 2)  # (B, C, F_k, L, 2)
            out.append(torch.view_as_complex(y.contiguous()))
        return torch.cat(out, 2)


class ReadableBSRNN(nn.Module):
    """The complex mask of a spectrogram, one band after the other.

    Parameters
    ----------
    widths : list of int
        Bins of each band.
    channels, features, hidden, layers, mlp, norm_frames
        As in `sepkit.models.bsrnn.BSRNN`.
    """

    def __init__(
        self,
        widths: list[int],
        channels: int,
        features: int,
        hidden: int,
        layers: int,
        mlp: int,
        norm_frames: int | None = None,
    ):
        super().__init__()
        self.bandsplit = BandSplit(widths, channels, features, norm_frames)
        groups = features if norm_frames else 1
        self.bandsequence = BandSequence(features, hidden, layers, groups)
        self.maskest = MaskEstimation(widths, channels, features, mlp, norm_frames)

    def forward(self, spectrum: Tensor) -> Tensor:
        """(B, C, F, L) to (B, C, F, L), both complex."""
        return self.maskest(self.bandsequence(self.bandsplit(spectrum)))


def _take_weights(readable, model):
    """Copy the weights of a `BSRNN` of the paper's layout."""
    channels = 1 if model.settings["stereo"] == "independent" else model.channels
    with torch.no_grad():
        for g, (width, bands) in enumerate(model.encoder.groups):
            for i, k in enumerate(bands):
                # The model's features are ordered (channel, bin, part), these (channel, part, bin).
                order = [
                    (c * width + b) * 2 + p
                    for c in range(channels)
                    for p in range(2)
                    for b in range(width)
                ]
                both = order + [o + len(order) for o in order]
                norm, fc = readable.bandsplit.layernorms[k], readable.bandsplit.fcs[k]
                norm.weight.copy_(model.encoder.norms[g].weight[i, 0][..., order].squeeze(0))
                norm.bias.copy_(model.encoder.norms[g].bias[i, 0][..., order].squeeze(0))
                fc.weight.copy_(model.encoder.maps[g].weight[i][order].T)
                fc.bias.copy_(model.encoder.maps[g].bias[i, 0])
                last = readable.maskest.mlp[k].mlp[2]
                last.weight.copy_(model.decoder.output[g].weight[i][:, both].T)
                last.bias.copy_(model.decoder.output[g].bias[i, 0][both])
                norm, first = readable.maskest.layernorms[k], readable.maskest.mlp[k].mlp[0]
                norm.weight.copy_(model.decoder.norms[g].weight[i].flatten())
                norm.bias.copy_(model.decoder.norms[g].bias[i].flatten())
                first.weight.copy_(model.decoder.hidden[g].weight[i].T)
                first.bias.copy_(model.decoder.hidden[g].bias[i, 0])
        theirs = {
            key.replace("groupnorm", "norm"): value
            for key, value in readable.bandsequence.bsrnn.state_dict().items()
        }
        for key, value in model.layers.state_dict().items():
            theirs[key].copy_(value)
    return readable


def readable_bsrnn(model: BSRNN) -> ReadableBSRNN:
    """The readable version of a `BSRNN`, with its weights where it has the paper's layout."""
    settings = model.settings
    widths = [0] * sum(len(bands) for _, bands in model.encoder.groups)
    for width, bands in model.encoder.groups:
        for band in bands:
            widths[band] = width
    channels = 1 if settings["stereo"] == "independent" else model.channels
    sizes = [settings[key] for key in ("features", "hidden", "layers", "mlp", "norm_frames")]
    readable = ReadableBSRNN(widths, channels, *sizes)
    return readable if settings["norm_frames"] else _take_weights(readable, model)
