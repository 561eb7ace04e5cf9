"""The stages of Demucs's two U-Nets, over a waveform (B, C, T) and its spectrogram (B, C, F, N).

Défossez, arXiv 2111.03600, 2021, section 2 (Hybrid Demucs), and Rouard, Massa and Défossez,
arXiv 2211.08553, 2022 (HTDemucs). Both networks are built of them; their attributes have the
authors' names, so that published weights need no others. Chapter 09 uses Hybrid Demucs.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .precision import as_autocast
from .products import conv_transpose

#: Frames that an LSTM sees at once; longer input goes through in pieces that overlap by half.
LSTM_FRAMES = 200
#: Heads of `LocalAttention`, and how many rates each has by which distance counts.
HEADS, DECAYS = 4, 4
#: Numbers that a CPU takes through a branch at once: with what lies between its layers, 16 MB.
IN_CACHE = 2**20
#: Standard deviation that convolutions' first weights are brought near to.
_DEVIATION = 0.1


class Encoder(nn.Module):
    """A stage down: convolution, residual branch, and a gate over twice as many feature maps.

    Parameters
    ----------
    inputs, width : int
        Feature maps in and out.
    kernel, stride : int
        Along frequency in the spectral branch, along time in the temporal one.
    spectral : bool
        Which branch it is.
    padded : bool
        False where the kernel spans all frequencies that are left.
    groups : int
        Of the normalisation; 0 for none.
    empty : bool
        Nothing but the convolution.
    branch : dict
        Of the `Residual` branch.
    """

    def __init__(
        self, inputs, width, kernel, stride, spectral, padded=True, groups=0, empty=False, **branch
    ):
        super().__init__()
        self.spectral, self.empty, self.stride = spectral, empty, stride
        padding = kernel // 4 if padded else 0
        self.conv = _convolution(spectral, inputs, width, kernel, stride, padding)
        self.norm1 = _norm(groups, width)
        if not empty:
            self.rewrite = (nn.Conv2d if spectral else nn.Conv1d)(width, 2 * width, 1)
            self.norm2 = _norm(groups, 2 * width)
            self.dconv = Residual(width, **branch)

    def forward(self, x: Tensor, inject: Tensor | None = None) -> Tensor:
        """(B, V, F, N) to (B, W, F / stride, N), or (B, V, T) to (B, W, T / stride), rounded up.

        `inject`, (B, W, N), is added behind the convolution: the other branch.
        """
        if not self.spectral:
            x = x.flatten(1, 2) if x.ndim == 4 else x  # of the one frequency that is left
            if missing := -x.shape[-1] % self.stride:
                x = functional.pad(x, (0, missing))
        x = self.conv(x)
        if self.empty:
            return x
        if inject is not None:
            x = x + (inject.unsqueeze(2) if x.ndim == 4 else inject)
        x = self.dconv(functional.gelu(self.norm1(x)))
        return functional.glu(self.norm2(self.rewrite(x)), 1)


class Decoder(nn.Module):
    """A stage up: skip connection, a gate that sees its neighbours, transposed convolution.

    Parameters
    ----------
    width, outputs : int
        Feature maps in and out.
    last : bool
        Without an activation.
    branch : dict, optional
        Of the `Residual` branch; without, there is none.

    The others are those of `Encoder`.
    """

    def __init__(
        self,
        width,
        outputs,
        kernel,
        stride,
        spectral,
        padded=True,
        groups=0,
        empty=False,
        last=False,
        **branch,
    ):
        super().__init__()
        self.spectral, self.empty, self.last, self.width = spectral, empty, last, width
        self.crop = (kernel - stride) // 2 if padded else 0
        self.conv_tr = _convolution(spectral, width, outputs, kernel, stride, transposed=True)
        self.norm2 = _norm(groups, outputs)
        if not empty:
            kind = nn.Conv2d if spectral else nn.Conv1d
            self.rewrite = kind(width, 2 * width, 3, padding=1)
            self.norm1 = _norm(groups, 2 * width)
            self.dconv = Residual(width, **branch) if branch else nn.Identity()

    def forward(self, x: Tensor, skip: Tensor | None, length: int) -> tuple[Tensor, Tensor]:
        """(B, W, F, N) to (B, V, stride F, N), or (B, W, T) to (B, V, `length`).

        And what the transposed convolution is given: where the branches part, the temporal one
        begins with it.
        """
        if self.spectral and x.ndim == 3:
            x = x.unflatten(1, (self.width, -1))  # (B, W, 1, N)
        if not self.empty:
            x = x if skip is None else x + skip
            x = self.dconv(functional.glu(self.norm1(self.rewrite(x)), 1))
        if self.spectral:
            y = self.norm2(conv_transpose(x, self.conv_tr))
            y = y[:, :, self.crop : y.shape[2] - self.crop]
        else:
            y = self.norm2(self.conv_tr(x))[..., self.crop : self.crop + length]
        return (y if self.last else functional.gelu(y)), x


class Residual(nn.Module):
    """Branches of dilated convolutions along time through few feature maps, added up.

    In the spectral branch every frequency is a signal of its own.

    Parameters
    ----------
    width : int
        Feature maps.
    compress : int
        How many times fewer there are within a branch.
    scale : float
        What a branch is multiplied by in the beginning.
    recurrent : bool
        With an LSTM and attention in each branch.
    depth : int
        Branches, each with twice the dilation.
    """

    def __init__(self, width, compress, scale, recurrent=False, depth=2):
        super().__init__()
        hidden = width // compress
        self.layers = nn.ModuleList()
        for dilation in (2**branch for branch in range(depth)):
            extra = [LSTM(hidden), LocalAttention(hidden)] if recurrent else []
            layers = [
                nn.Conv1d(width, hidden, 3, padding=dilation, dilation=dilation),
                nn.GroupNorm(1, hidden),
                nn.GELU(),
                *extra,
                nn.Conv1d(hidden, 2 * width, 1),
                nn.GroupNorm(1, 2 * width),
                nn.GLU(1),
                Scale(width, scale),
            ]
            self.layers.append(Branch(*layers))

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, T) or (B, W, F, N) to the same."""
        if x.ndim == 3:
            return self._along_time(x)
        bins = x.shape[2]
        if x.device.type == "cpu":  # some frequencies at a time, so that they stay in its cache
            bins = max(1, IN_CACHE * bins // x.numel())
        return torch.cat([self._each_bin(some) for some in x.split(bins, 2)], 2)

    def _each_bin(self, x):
        y = self._along_time(x.transpose(1, 2).flatten(0, 1))  # (B F, W, N)
        return y.unflatten(0, (len(x), -1)).transpose(1, 2)  # (B, W, F, N)

    def _along_time(self, y):
        for layer in self.layers:
            y = layer(y)  # (B, W, T)
        return y


class Branch(nn.Sequential):
    """x + scale * layers(x), the scale being the last of the layers."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, T) to the same."""
        *layers, scale = self
        y = x
        for layer in layers:
            y = layer(y)
        return torch.addcmul(x, scale.get_parameter("scale")[:, None], y)  # in one pass


class Scale(nn.Module):
    """A factor for each feature."""

    def __init__(self, width, value):
        super().__init__()
        self.scale = nn.Parameter(torch.full((width,), float(value)))

    def forward(self, x: Tensor) -> Tensor:
        """(..., W) to the same."""
        return self.scale * x


class LSTM(nn.Module):
    """x + LSTM(x) in both directions; long input in overlapping pieces of `LSTM_FRAMES`."""

    def __init__(self, width):
        super().__init__()
        self.lstm = nn.LSTM(width, width, num_layers=2, bidirectional=True)
        self.linear = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, T) to the same."""
        frames, size, hop = x.shape[-1], LSTM_FRAMES, LSTM_FRAMES // 2
        if frames <= size:
            return x + self._run(x)
        pieces = -(-frames // hop)
        y = functional.pad(x, (0, (pieces - 1) * hop + size - frames))  # (B, W, T')
        y = y.unfold(-1, size, hop).transpose(1, 2).flatten(0, 1)  # (B pieces, W, size)
        y = self._run(y).unflatten(0, (len(x), pieces))  # (B, pieces, W, size)
        # Of each piece its middle, of the first one also its beginning.
        middle = y[..., hop // 2 : hop // 2 + hop].movedim(1, 2).flatten(2)
        y = torch.cat([y[:, 0, :, : hop // 2], middle], -1)  # (B, W, T'')
        return x + y[..., :frames]

    def _run(self, x):
        y = self.lstm(as_autocast(x.permute(2, 0, 1)))[0]  # (T, B, 2 W)
        return self.linear(y).permute(1, 2, 0)  # (B, W, T)


class LocalAttention(nn.Module):
    """Attention that fades with distance, at rates that each frame chooses; not to itself."""

    def __init__(self, width):
        super().__init__()
        self.content, self.query, self.key = (nn.Conv1d(width, width, 1) for _ in range(3))
        self.query_decay = nn.Conv1d(width, HEADS * DECAYS, 1)
        self.proj = nn.Conv1d(width, width, 1)
        with torch.no_grad():  # rates near 0: a wide view to begin with
            self.query_decay.weight.mul_(0.01)
            self.query_decay.bias.fill_(-2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, T) to the same."""
        frames = x.shape[-1]
        queries, keys, content, decays = (
            layer(x).unflatten(1, (HEADS, -1))  # (B, heads, W / heads, T); decays: (.., DECAYS, T)
            for layer in (self.query, self.key, self.content, self.query_decay)
        )
        scores = keys.transpose(-1, -2) @ queries / math.sqrt(keys.shape[2])  # (B, heads, T, T)
        at = torch.arange(frames, device=x.device, dtype=scores.dtype)
        distance = (at[:, None] - at).abs()  # (T, T)
        rates = torch.arange(1, DECAYS + 1, device=x.device, dtype=scores.dtype)
        decay = (rates[:, None] * decays.sigmoid() / 2).sum(2) / math.sqrt(DECAYS)  # (B, heads, T)
        scores = scores - distance * decay.unsqueeze(2)  # keys by rows, queries by columns
        itself = torch.eye(frames, device=x.device, dtype=torch.bool)
        weights = scores.masked_fill(itself, -100).softmax(2)  # (B, heads, T, T)
        return x + self.proj((content @ weights).flatten(1, 2))


class FrequencyEmbedding(nn.Module):
    """A vector for each frequency, added to the first stage's output: kernels see where they are.

    Parameters
    ----------
    bins, width : int
        Frequencies and feature maps of the first stage.
    rate : float
        By how much faster it learns than other weights: it is stored divided by this.
    share : float
        What it is multiplied by before it is added.
    """

    def __init__(self, bins, width, rate=10.0, share=0.2):
        super().__init__()
        self.embedding = nn.Embedding(bins, width)
        self.factor = rate * share
        with torch.no_grad():  # neighbours begin alike: a random walk of deviation 1
            walk = self.embedding.weight.cumsum(0)
            steps = torch.arange(1, bins + 1, device=walk.device).sqrt()
            self.embedding.weight.copy_(walk / steps[:, None] / rate)

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, F, N) to the same."""
        return x + self.factor * self.embedding.weight.T[:, :, None]


def rescale(module: nn.Module) -> None:
    """Bring the deviation of convolutions' first weights half way, in dB, to 0.1."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)):
            with torch.no_grad():
                factor = (layer.weight.std() / _DEVIATION).sqrt()
                for parameter in layer.parameters():
                    parameter.div_(factor)


def _convolution(spectral, inputs, outputs, kernel, stride, padding=0, transposed=False):
    """Along frequency where `spectral`, else along time."""
    one, two = (nn.ConvTranspose1d, nn.ConvTranspose2d) if transposed else (nn.Conv1d, nn.Conv2d)
    if spectral:
        return two(inputs, outputs, (kernel, 1), (stride, 1), (padding, 0))
    return one(inputs, outputs, kernel, stride, padding)


def _norm(groups, width):
    return nn.GroupNorm(groups, width) if groups else nn.Identity()
