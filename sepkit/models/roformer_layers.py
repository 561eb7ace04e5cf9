"""The parts of the RoFormers: rotated attention, and a linear way into bands and out of them.

Lu et al., arXiv 2309.02612, section 3; rotary position embedding is Su et al., "RoFormer: Enhanced
Transformer with Rotary Position Embedding", arXiv 2104.09864, equation 15. Chapter 10.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from .products import Linear

#: Base of the rotations' rates.
BASE = 10000.0


class RMSNorm(nn.Module):
    """x over its root mean square, and a factor for each feature."""

    def __init__(self, width):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(..., W) to the same."""
        return functional.normalize(x, dim=-1) * (x.shape[-1] ** 0.5 * self.gamma)


class Attention(nn.Module):
    """softmax(R Q (R K)^T / sqrt(head width)) V, where R turns each pair by its position.

    Parameters
    ----------
    width, heads, head_width : int
    dropout : float
    gates : bool
        Multiply each head by a sigmoid of the token.
    """

    def __init__(self, width, heads, head_width, dropout, gates):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm = RMSNorm(width)
        self.qkv = Linear(width, 3 * heads * head_width, bias=False)
        self.gates = Linear(width, heads) if gates else None
        self.out = Linear(heads * head_width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) to the same."""
        x = self.norm(x)
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # (B, T, 3, heads, V)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, T, V) each
        turn = rotations(q.shape[-2], q.shape[-1], q)  # (T, V / 2), complex
        y = functional.scaled_dot_product_attention(
            rotated(q, turn), rotated(k, turn), v, dropout_p=self.dropout if self.training else 0.0
        )
        if self.gates is not None:
            y = y * self.gates(x).transpose(1, 2).sigmoid().unsqueeze(-1)
        y = self.out(y.transpose(1, 2).flatten(2))  # (B, T, W)
        return functional.dropout(y, self.dropout, self.training)


class FeedForward(nn.Module):
    """Two linear layers with a GELU between, through `growth` times as many features."""

    def __init__(self, width, dropout, growth):
        super().__init__()
        self.norm, self.dropout = RMSNorm(width), nn.Dropout(dropout)
        self.up, self.down = Linear(width, growth * width), Linear(growth * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) to the same."""
        x = self.dropout(functional.gelu(self.up(self.norm(x))))  # (B, T, growth W)
        return self.dropout(self.down(x))


class Layer(nn.Module):
    """x + attention(x), x + feed_forward(x), and a norm where there is one for each."""

    def __init__(self, width, heads, head_width, dropout, gates, normalised, growth=4):
        super().__init__()
        self.attention = Attention(width, heads, head_width, dropout, gates)
        self.feed_forward = FeedForward(width, dropout, growth)
        self.norm = RMSNorm(width) if normalised else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) to the same."""
        x = x + self.attention(x)
        x = x + self.feed_forward(x)
        return self.norm(x)


class Block(nn.Module):
    """A layer along time, for each band by itself, then one along bands, for each frame."""

    def __init__(self, *options):
        super().__init__()
        self.time, self.bands = Layer(*options), Layer(*options)

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, N, W) to the same."""
        x = self.time(x.flatten(0, 1)).view(x.shape)  # (B, K, N, W)
        y = x.transpose(1, 2)  # (B, N, K, W)
        return self.bands(y.flatten(0, 1)).view(y.shape).transpose(1, 2)


class BandSplit(nn.Module):
    """The numbers of each band to one token, by a linear layer of its own.

    Parameters
    ----------
    ranges : sequence of (int, int)
        The bins [low, high) of each band.
    each : int
        Numbers of a bin: real and imaginary part of each channel.
    width : int
    """

    def __init__(self, ranges, each, width):
        super().__init__()
        self.ranges = [tuple(band) for band in ranges]
        self.norms = nn.ModuleList(RMSNorm(each * (high - low)) for low, high in ranges)
        self.linears = nn.ModuleList(Linear(each * (high - low), width) for low, high in ranges)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, F, 2 C) to (B, K, N, W)."""
        tokens = [
            linear(norm(x[:, :, low:high].flatten(2)))  # (B, N, W)
            for (low, high), norm, linear in zip(self.ranges, self.norms, self.linears)
        ]
        return torch.stack(tokens, 1)


class Masks(nn.Module):
    """Each band's token to a complex mask of its bins; where bands overlap, their mean.

    Parameters
    ----------
    ranges, each
        As for `BandSplit`.
    bins, width : int
    hidden : sequence of int
        Features of the hidden layers, which have a tanh.
    """

    def __init__(self, ranges, bins, each, width, hidden: Sequence[int]):
        super().__init__()
        self.ranges, self.bins = [tuple(band) for band in ranges], bins
        self.nets = nn.ModuleList()
        for low, high in ranges:
            sizes = [width, *hidden, 2 * each * (high - low)]
            layers: list[nn.Module] = []
            for size, following in zip(sizes, sizes[1:]):
                layers += [Linear(size, following), nn.Tanh()]
            self.nets.append(nn.Sequential(*layers[:-1], nn.GLU(-1)))
        count = torch.zeros(bins, device="cpu")
        for low, high in self.ranges:
            count[low:high] += 1
        self.share: Tensor
        self.register_buffer("share", (1 / count)[:, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, N, W) to (B, N, F, 2 C)."""
        bands = [net(token) for net, token in zip(self.nets, x.unbind(1))]  # (B, N, F of it 2 C)
        if all(low == before for (low, _), (_, before) in zip(self.ranges[1:], self.ranges)):
            return torch.cat(bands, -1).unflatten(-1, (self.bins, -1))
        total: Tensor | None = None
        for (low, high), band in zip(self.ranges, bands):
            band = band.unflatten(-1, (high - low, -1))  # (B, N, F of it, 2 C)
            if total is None:
                total = band.new_zeros(*band.shape[:2], self.bins, band.shape[-1])
            total[:, :, low:high] += band
        assert total is not None
        return total * self.share


def rotations(count: int, width: int, like: Tensor) -> Tensor:
    """e^(i p f) for each position p and rate f = BASE^(-2 k / width): (count, width / 2)."""
    rates = rotation_rates(width, like.device)
    at = torch.arange(count, device=like.device)
    phase = at[:, None] * rates
    return torch.polar(torch.ones_like(phase), phase)


def rotation_rates(width: int, device: torch.device | None = None) -> Tensor:
    """Radians a position, (width / 2,): of each pair of neighbouring features."""
    even = torch.arange(0, width, 2, device=device, dtype=torch.float32)
    return torch.exp(-math.log(BASE) * even / width)


def rotated(x: Tensor, turn: Tensor) -> Tensor:
    """Pairs of neighbouring features as complex numbers, turned: (..., T, V) to the same."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)
