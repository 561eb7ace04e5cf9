"""SCNet: a spectrogram squeezed more where it holds less, and two LSTMs over what is left.

Tong, Zhu, Chen, Kang, Jiang, Li, Wu and Meng, "SCNet: Sparse Compression Network for
Music Source Separation", ICASSP 2024 (arXiv 2401.13276). Every stage of the encoder cuts
the frequencies into three bands; it keeps each bin of the lowest, and makes one of four,
and one of sixteen, in the others. There is no mask: real and imaginary parts go in and
come out as channels.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import SepkitError
from ..stft import STFT
from ..validation import Number, Several
from .base import SPECTROGRAM, ModelCard, positive
from .losses import ENERGY_FLOOR, LOSSES
from .precision import as_autocast
from .settings import SHARE, TAPS
from .waveform import STUDENT_RECIPE, WaveformModel

#: The loss of the authors, besides those on waveforms.
SPECTRAL = "spectral-rmse"
#: Sizes for `build("scnet", **SIZES[name])`. The defaults are the paper's SCNet, "large" its
#: SCNet-large; "student" is for training on one CPU core: 0.29 million parameters, and a step of
#: one stereo chunk of 3 s takes 0.6 s of processor time for all four targets, 0.35 s for one.
SIZES: dict[str, dict[str, Any]] = {
    "large": dict(widths=(64, 128, 256), shares=(0.225, 0.372, 0.403)),
    "student": dict(widths=(8, 16, 32), depths=(1, 1, 1), layers=2, segment=3.0),
}
#: Added to the deviation that the spectrogram is divided by.
LEAST_DEVIATION = 1e-5
#: Names of the parts in the authors' code, and here.
_PUBLISHED = (
    ("SDlayer.convs.", "compress."),
    ("conv_modules.", "refine."),
    ("globalconv.", "mix."),
    ("0.conv.", "fuse."),
    ("1.convtrs.", "expand."),
    ("separation_net.dp_modules.", "middle."),
    ("norm_layers.", "norms."),
    ("lstm_layers.", "lstms."),
    ("linear_layers.", "linears."),
)


class SCNet(WaveformModel):
    """Mixture in, all targets out, through a spectrogram compressed by bands.

    Parameters
    ----------
    target : str, optional
        A network for one stem only.
    targets : sequence of str, optional
        Drums, bass, other and vocals by default, the authors' order.
    widths : sequence of int
        Feature maps of each stage of the encoder, at least 4.
    shares : sequence of float
        What each band has of the bins that a stage gets, from the lowest up; together 1.
    strides, kernels : sequence of int
        Of the convolution that compresses each band, in bins.
    depths : sequence of int
        Residual blocks of each band after it.
    layers : int
        Pairs of LSTMs in the middle, an even number: every other one sees the Fourier
        transform over time of what the one before it made.
    n_fft, hop, window : int, int, str
        Of the STFT. The authors' code gives no window to it: that is the rectangular ``"ones"``.
    sample_rate, channels : int
        The audio that the network is for.
    segment : float or None
        In evaluation, longer audio is separated in overlapping pieces of this many seconds:
        as long as the chunks of training, since the transform over time spans a whole piece.
    as_published : bool
        Pad with silence and cut long audio as the authors do, for their weights: silence to the
        next hop, one sample at least, and to an even number of frames; pieces overlap by half.
        Also see `WaveformModel`. Their random shift of each piece by up to half a second is
        left out.
    loss : {"spectral-rmse", "l1", "mse", "nmse", "sdr", "si-sdr"}
        The authors' is the first, see `loss`; for the others see `sepkit.models.losses`.

    Raises
    ------
    SepkitError
        For sizes that make no network.

    Notes
    -----
    The spectrogram of each example is brought to mean 0 and deviation 1, and the estimates
    back: a louder mixture gives the same estimates, louder. B, J, C, T: batch, targets,
    channels, samples; F, N: bins and frames; W, V: feature maps.
    """

    name = "scnet"
    card = ModelCard(
        paper="Tong et al., ICASSP 2024, arXiv 2401.13276",
        domain=SPECTROGRAM,
        parameters=10_578_768,
        sizes=SIZES,
        recipes={"student": STUDENT_RECIPE},
        lacking="all four targets at once, remixing within a batch, songs brought to one level, "
        "four moving averages of the weights",
    )
    losses = (SPECTRAL, *LOSSES)
    kinds = {
        **WaveformModel.kinds,
        "shares": Several(SHARE),
        "strides": Several(TAPS),
        "kernels": Several(TAPS),
        "depths": Several(Number(0, 64)),
    }
    stft: STFT

    def __init__(
        self,
        target: str | None = None,
        targets: Sequence[str] | None = None,
        widths: Sequence[int] = (32, 64, 128),
        shares: Sequence[float] = (0.175, 0.392, 0.433),
        strides: Sequence[int] = (1, 4, 16),
        kernels: Sequence[int] = (3, 4, 16),
        depths: Sequence[int] = (3, 2, 1),
        layers: int = 6,
        n_fft: int = 4096,
        hop: int = 1024,
        window: str = "ones",
        sample_rate: int = 44100,
        channels: int = 2,
        segment: float | None = 11.0,
        as_published: bool = False,
        loss: str = SPECTRAL,
    ):
        super().__init__(locals())
        _check_sizes(widths, layers, shares, strides, kernels, depths)
        self.overlap = 0.5 if as_published else WaveformModel.overlap
        self.stft = STFT(n_fft, hop, window)
        self.min_samples, self.step = n_fft, hop
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        bins, inputs, outputs = self.stft.bins, 2 * channels, 2 * channels * len(self.targets)
        for width in widths:
            sizes = band_sizes(bins, shares)
            self.encoder.append(Down(inputs, width, sizes, strides, kernels, depths))
            self.decoder.insert(0, Up(width, outputs, sizes, strides, kernels))
            bins = sum(-(-size // stride) for size, stride in zip(sizes, strides))
            inputs = outputs = width
        self.middle = nn.ModuleList(DualPath(width * (1 + layer % 2)) for layer in range(layers))

    def estimate(self, mixture: Tensor) -> Tensor:
        """All targets, (B, J, C, T), from the mixture, (B, C, T)."""
        padded = self._padded(mixture)  # (B, C, T), longer
        x = torch.view_as_real(self._spectrum(padded))  # (B, C, F, N, 2)
        x = x.movedim(-1, 2).flatten(1, 2)  # (B, 2 C, F, N)
        mean = x.mean((1, 2, 3), keepdim=True)  # (B, 1, 1, 1)
        deviation = x.std((1, 2, 3), keepdim=True)  # (B, 1, 1, 1)
        x = self._u_net((x - mean) / (deviation + LEAST_DEVIATION))  # (B, J 2 C, F, N)
        x = x.to(mean.dtype) * deviation + mean
        x = x.unflatten(1, (-1, self.channels, 2)).movedim(3, -1)  # (B, J, C, F, N, 2)
        x = torch.view_as_complex(x.contiguous()) * math.sqrt(self.stft.n_fft)
        return self.stft.inverse(x, padded.shape[-1])[..., : mixture.shape[-1]]  # (B, J, C, T)

    def _padded(self, mixture):
        if not self.as_published:
            return self.pad(mixture)
        samples, hop = mixture.shape[-1], self.stft.hop
        hops = samples // hop + 1
        hops += 1 - hops % 2  # an odd number of hops, between an even number of frames
        return nn.functional.pad(mixture, (0, hops * hop - samples))  # (B, C, T)

    def _spectrum(self, audio):
        """(B, C, F, N), complex, divided by the root of the window's length as the authors do."""
        return self.stft(audio) / math.sqrt(self.stft.n_fft)

    def _u_net(self, x):
        skips = []
        for down in self.encoder:
            x, skip = down(x)  # (B, W, F', N), F' < F
            skips.append(skip)
        frames = x.shape[-1]
        for layer, path in enumerate(self.middle):
            x = path(x)  # (B, W, F, N), or (B, 2 W, F, N // 2 + 1)
            x = from_modulation(x, frames) if layer % 2 else to_modulation(x)
        for up in self.decoder:
            x = up(x, skips.pop())  # (B, V, F, N), at last (B, J 2 C, F, N)
        return x

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        """What training minimises, see `Model.loss`.

        ``"spectral-rmse"``: the root of the mean squared error of the spectrograms' real and
        imaginary parts, over channels, bins and frames; its mean over examples and targets.
        """
        if self.loss_name != SPECTRAL:
            return super().loss(mixture, target)
        targets = self.check_target(mixture, target)  # (B, J, C, T)
        error = self._spectrum((self.estimate(mixture) - targets).flatten(0, 1))  # (B J, C, F, N)
        power = torch.view_as_real(error).square().mean((1, 2, 3, 4))  # (B J,)
        # The root has no slope at 0: silence from silence.
        return (power + ENERGY_FLOOR).sqrt().mean()

    def rename_published(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """A state dict in the layout of the authors' code under the names of this class."""
        for theirs, ours in _PUBLISHED:
            state = {name.replace(theirs, ours): value for name, value in state.items()}
        return dict(state)


class Down(nn.Module):
    """A stage of the encoder: compress each band (`sizes`, in bins), refine it along time, join."""

    def __init__(self, inputs, width, sizes, strides, kernels, depths):
        super().__init__()
        self.sizes = list(sizes)
        self.paddings = [padding(*band) for band in zip(sizes, strides, kernels)]
        self.compress = nn.ModuleList(
            nn.Conv2d(inputs, width, (k, 1), (s, 1)) for k, s in zip(kernels, strides)
        )
        self.refine = nn.ModuleList(Refine(width, depth) for depth in depths)
        self.mix = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, V, F, N) to (B, W, F', N), and the same before the mixing, for the decoder."""
        bands = []
        for band, (low, high), compress, refine in zip(
            x.split(self.sizes, 2), self.paddings, self.compress, self.refine
        ):
            band = nn.functional.pad(band, (0, 0, low, high))  # (B, V, F of the band, N)
            band = compress(band)  # (B, W, F of the band / stride, N)
            bands.append(nn.functional.gelu(refine(band)))
        skip = torch.cat(bands, 2)  # (B, W, F', N)
        return self.mix(skip), skip


class Up(nn.Module):
    """A stage of the decoder: fuse with the encoder's, expand each band to its bins (`sizes`)."""

    def __init__(self, width, outputs, sizes, strides, kernels):
        super().__init__()
        self.sizes = list(sizes)
        self.paddings = [padding(*band) for band in zip(sizes, strides, kernels)]
        self.compressed = [-(-size // stride) for size, stride in zip(sizes, strides)]
        self.fuse = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.expand = nn.ModuleList(
            nn.ConvTranspose2d(width, outputs, (k, 1), (s, 1)) for k, s in zip(kernels, strides)
        )

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, W, F', N), both, to (B, V, F, N)."""
        # The authors' convolution gets x + skip twice over; adding its two halves first comes to
        # the same, in half the time.
        weight = sum(self.fuse.weight.chunk(2, 1))  # (2 W, W, 3, 3)
        x = nn.functional.conv2d(x + skip, weight, self.fuse.bias, padding=1)  # (B, 2 W, F', N)
        x = nn.functional.glu(x, 1)  # (B, W, F', N)
        bands = []
        for band, size, (low, _), expand in zip(
            x.split(self.compressed, 2), self.sizes, self.paddings, self.expand
        ):
            bands.append(expand(band)[:, :, low : low + size])  # (B, V, F of the band, N)
        return torch.cat(bands, 2)  # (B, V, F, N)


class Refine(nn.Module):
    """x + convolutions along time, `depth` times over, each bin by itself.

    They go through a quarter of the feature maps.
    """

    def __init__(self, width, depth, kernel=3):
        super().__init__()
        hidden = width // 4
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, width),
                nn.Conv1d(width, 2 * hidden, kernel, padding=kernel // 2),
                nn.GLU(1),
                nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden),
                nn.GroupNorm(1, hidden),
                nn.SiLU(),
                nn.Conv1d(hidden, width, 1),
            )
            for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, F, N) to the same."""
        y = x.transpose(1, 2).flatten(0, 1)  # (B F, W, N)
        for layer in self.layers:
            y = y + layer(y)
        return y.unflatten(0, (len(x), -1)).transpose(1, 2)  # (B, W, F, N)


class DualPath(nn.Module):
    """x + LSTM(x) along frequency, then along time; both in both directions."""

    def __init__(self, width):
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for _ in range(2))
        self.lstms = nn.ModuleList(
            nn.LSTM(width, width, batch_first=True, bidirectional=True) for _ in range(2)
        )
        self.linears = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, F, N) to the same."""
        for norm, lstm, linear, order in zip(
            self.norms, self.lstms, self.linears, ((0, 3, 2, 1), (0, 2, 3, 1))
        ):
            y = as_autocast(norm(x).permute(order))  # (B, N, F, W), then (B, F, N, W)
            y = linear(lstm(y.flatten(0, 1))[0]).view(y.shape)
            x = x + y.permute([order.index(axis) for axis in range(4)])  # (B, W, F, N)
        return x


def to_modulation(x: Tensor) -> Tensor:
    """Fourier transform over time: (B, W, F, N) to (B, 2 W, F, N // 2 + 1), real parts first."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))  # half precision has no such transform
    x = torch.fft.rfft(x, norm="ortho")  # (B, W, F, N // 2 + 1), complex
    return torch.cat([x.real, x.imag], 1)


def from_modulation(x: Tensor, frames: int) -> Tensor:
    """The inverse of `to_modulation`: (B, 2 W, F, frames // 2 + 1) to (B, W, F, frames)."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    return torch.fft.irfft(torch.complex(*x.chunk(2, 1)), n=frames, norm="ortho")


def band_sizes(bins: int, shares: Sequence[float]) -> list[int]:
    """How many of `bins` each band has; edges are rounded up, and the last band has the rest."""
    edges = [*(math.ceil(bins * sum(shares[:band])) for band in range(len(shares))), bins]
    sizes = [stop - start for start, stop in zip(edges, edges[1:])]
    if min(sizes) < 1:
        raise SepkitError(
            f"shares={list(shares)}: of {bins} bins, the bands get {sizes}; give each a larger "
            "share, or take fewer stages"
        )
    return sizes


def padding(size: int, stride: int, kernel: int) -> tuple[int, int]:
    """Empty bins below and above a band, so that ``ceil(size / stride)`` steps of a kernel fit."""
    total = kernel - stride + -size % stride
    return total // 2, total - total // 2


def _check_sizes(widths, layers, shares, strides, kernels, depths):
    for name, values in dict(
        widths=widths, strides=strides, kernels=kernels, layers=[layers]
    ).items():
        for value in values:
            positive(name, value)
    if not len(shares) == len(strides) == len(kernels) == len(depths):
        raise SepkitError(
            f"shares, strides, kernels and depths have {len(shares)}, {len(strides)}, "
            f"{len(kernels)} and {len(depths)} values; expected one a band each"
        )
    if not widths or min(widths) < 4:
        raise SepkitError(
            f"widths={list(widths)}: expected at least one stage, of 4 feature maps or more"
        )
    if abs(sum(shares) - 1) > 1e-6:
        raise SepkitError(
            f"shares={list(shares)} add up to {sum(shares):g}; expected 1, so that every bin is in "
            "one band"
        )
    if any(k < s for k, s in zip(kernels, strides)):
        raise SepkitError(
            f"kernels={list(kernels)}, strides={list(strides)}: a kernel below its stride leaves "
            "bins out; give larger ones"
        )
    if layers % 2:
        raise SepkitError(
            f"layers={layers}: expected an even number, so that what goes into Fourier transforms "
            "comes back"
        )
