"""HTDemucs's middle: two transformers that look at each other.

Rouard, Massa and Défossez, "Hybrid Transformers for Music Source Separation", ICASSP 2023
(arXiv 2211.08553), section 2 and figure 1. Layers have the authors' names.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .demucs_layers import Scale
from .products import Linear, linear

#: Longest period of the positions' sines.
PERIOD = 10000.0
#: What a sublayer's output is multiplied by in the beginning.
FIRST_SCALE = 1e-4
#: Rounds of hashing, and buckets in each (section 3.3 of the paper).
ROUNDS, BUCKETS = 32, 4


class CrossTransformer(nn.Module):
    """Every other layer looks at itself, the others at the other branch.

    Parameters
    ----------
    width : int
        Of a token; a multiple of 4 and of `heads`.
    layers, heads : int
    dropout : float
    sparsity : float
        Share of the attention that is left out, see `LSHMask`; 0: none.
    """

    def __init__(self, width, layers, heads, dropout, sparsity=0.0):
        super().__init__()
        self.norm_in, self.norm_in_t = nn.LayerNorm(width), nn.LayerNorm(width)
        kinds = [CrossLayer if layer % 2 else SelfLayer for layer in range(layers)]
        self.layers, self.layers_t = (
            nn.ModuleList(kind(width, heads, dropout, sparsity) for kind in kinds) for _ in range(2)
        )

    def forward(self, z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, W, F, N) and (B, W, T) to the same."""
        bins, frames = z.shape[2:]
        z = z.permute(0, 3, 2, 1).flatten(1, 2)  # (B, N F, W): all bins of a frame, then the next
        x = x.transpose(1, 2)  # (B, T, W)
        z = self.norm_in(z) + positions_2d(bins, frames, z)
        x = self.norm_in_t(x) + positions_1d(x.shape[1], x)
        for index, (layer, layer_t) in enumerate(zip(self.layers, self.layers_t)):
            if index % 2:
                z, x = layer(z, x), layer_t(x, z)
            else:
                z, x = layer(z), layer_t(x)
        return z.unflatten(1, (frames, bins)).permute(0, 3, 2, 1), x.transpose(1, 2)


class Layer(nn.Module):
    """What follows the attention in both kinds of layers: x + two linear layers, and a norm."""

    def __init__(self, width, dropout):
        super().__init__()
        self.linear1, self.linear2 = Linear(width, 4 * width), Linear(4 * width, width)
        self.norm_out = TokensNorm(width)
        self.gamma_1 = Scale(width, FIRST_SCALE)
        self.gamma_2 = Scale(width, FIRST_SCALE)
        self.dropout = nn.Dropout(dropout)

    def fed(self, x: Tensor, normalised: Tensor) -> Tensor:
        """(B, T, W) to the same."""
        y = self.dropout(functional.gelu(self.linear1(normalised)))  # (B, T, 4 W)
        x = x + self.gamma_2(self.dropout(self.linear2(y)))  # (B, T, W)
        return self.norm_out(x)


class SelfLayer(Layer):
    """x + attention(x), then `Layer`; each normalised before it, and scaled behind it."""

    def __init__(self, width, heads, dropout, sparsity):
        super().__init__(width, dropout)
        self.self_attn = Attention(width, heads, dropout, sparsity)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) to the same."""
        y = self.norm1(x)
        x = x + self.gamma_1(self.dropout(self.self_attn(y, y)))
        return self.fed(x, self.norm2(x))


class CrossLayer(Layer):
    """As `SelfLayer`, but keys and values are the other branch's."""

    def __init__(self, width, heads, dropout, sparsity):
        super().__init__(width, dropout)
        self.cross_attn = Attention(width, heads, dropout, sparsity)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """(B, T, W) and (B, S, W) to (B, T, W)."""
        x = x + self.gamma_1(self.dropout(self.cross_attn(self.norm1(x), self.norm2(other))))
        return self.fed(x, self.norm3(x))


class TokensNorm(nn.Module):
    """One mean and deviation over all tokens and features, a factor and offset for each feature."""

    def __init__(self, width):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, W) to the same."""
        return functional.layer_norm(x, x.shape[1:]) * self.weight + self.bias


class Attention(nn.Module):
    """softmax(Q K^T / sqrt(W / heads)) V, with queries of x and keys and values of another."""

    def __init__(self, width, heads, dropout, sparsity):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.mask = LSHMask(sparsity) if sparsity else None
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """(B, T, W) and (B, S, W) to (B, T, W)."""
        q, k, v = (
            linear(y, weight, bias).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for y, weight, bias in zip(
                (x, other, other), self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
            )
        )  # (B, heads, T, W / heads) and twice (B, heads, S, W / heads)
        y = functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=self.mask(q, k) if self.mask else None,
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out_proj(y.transpose(1, 2).flatten(2))  # (B, T, W)  # (B, T, W)


class LSHMask:
    """Which keys each query looks at, by locality-sensitive hashing (section 3.3 of the paper).

    Queries and keys are hashed into `BUCKETS` buckets in each of `ROUNDS` rounds: the bucket is
    the largest of x R and -x R, with R drawn anew each time from the normal distribution. A pair
    counts that falls into the same bucket often enough; how often, is chosen per query such that
    about `sparsity` of all pairs are left out.

    The authors' kernels skip those pairs, and are not published. Here they are masked: the same
    sums, but neither memory nor time is saved: three layers on a piece of 7.8 s take 4.5 times as
    long as with attention to all (one thread of an EPYC, one run).
    """

    def __init__(self, sparsity):
        self.sparsity = sparsity

    @torch.no_grad()
    def __call__(self, q: Tensor, k: Tensor) -> Tensor:
        """(B, heads, T, W) and (B, heads, S, W) to (B, heads, T, S), bool."""
        plane = torch.randn(q.shape[-1], ROUNDS, BUCKETS // 2, device=q.device, dtype=q.dtype)
        codes = []
        for x in (q, k):
            y = torch.einsum("bhtw,wrc->bhtrc", x, plane)
            bucket = torch.cat([y, -y], -1).argmax(-1)  # (B, heads, T, ROUNDS)
            codes.append(functional.one_hot(bucket, BUCKETS).flatten(-2).to(q.dtype))
        matches = codes[0] @ codes[1].transpose(-1, -2)  # (B, heads, T, S), from 0 to ROUNDS
        kept = max(1, round((1 - self.sparsity) * k.shape[2]))
        least = matches.topk(kept, -1).values[..., -1:]  # (B, heads, T, 1)
        return matches >= least


def positions_1d(count: int, like: Tensor) -> Tensor:
    """Sines and cosines of the position, (count, W): all cosines, then all sines."""
    half = like.shape[-1] // 2
    at = torch.arange(count, device=like.device, dtype=torch.float32)
    index = torch.arange(half, device=like.device, dtype=torch.float32)
    phase = at[:, None] / PERIOD ** (index / (half - 1))  # (count, W / 2)
    return torch.cat([phase.cos(), phase.sin()], 1).to(like.dtype)


def positions_2d(bins: int, frames: int, like: Tensor) -> Tensor:
    """Sines and cosines by turns, (frames bins, W): of the frame, then of the bin."""
    half = like.shape[-1] // 2
    index = torch.arange(0, half, 2, device=like.device, dtype=torch.float32)
    rate = torch.exp(-math.log(PERIOD) * index / half)  # (W / 4,)
    parts = []
    for count in (frames, bins):
        phase = torch.arange(count, device=like.device)[:, None] * rate  # (count, W / 4)
        parts.append(torch.stack([phase.sin(), phase.cos()], -1).flatten(1))  # (count, W / 2)
    of_frame, of_bin = parts
    table = torch.cat(
        [of_frame[:, None].expand(-1, bins, -1), of_bin[None].expand(frames, -1, -1)], -1
    )  # (frames, bins, W)
    return table.flatten(0, 1).to(like.dtype)
