"""Moises-Light: a U-Net over four bands side by side, with rotated attention in its middle.

Hung, Pereira and Korzeniowski, "Moises-Light: Resource-efficient Band-split U-Net for Music Source
Separation", WASPAA 2025 (arXiv 2510.06785). Chapter 10. The authors have published neither code nor
weights. What their paper leaves open is here as in the package moises-light 0.1.5, an independent
implementation (compared in tests/parity): heads, masks, the level of the input, which stage of the
decoder has a block, and that the bins stay as they are while the frames are halved.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import SepkitError
from ..stft import STFT
from ..validation import Number, Switch
from .base import SPECTROGRAM, ModelCard
from .demucs import normalised, undone
from .losses import LOSSES, MULTI_RESOLUTION, multi_resolution
from .normalised_conv import NormalisedConv
from .roformer_layers import Block, RMSNorm
from .settings import DEPTH, WIDTH
from .waveform import WaveformModel

#: Settings by size. The defaults are the paper's larger network for four stems at once.
SIZES: dict[str, dict[str, Any]] = {
    "small": dict(width=32, blocks=6),
    "full-band": dict(width=60, bands=6, bins=3072),
    "small-full-band": dict(width=36, bands=6, bins=3072, blocks=6),
    "student": dict(
        width=16, depth=2, convolutions=1, blocks=1, heads=2, head_width=16, n_fft=4096, bins=1536
    ),
}
#: What a name of the package moises-light becomes, by these substitutions one after the other.
_NAMES = (
    (r"^first_conv\b", "first"),
    (r"^encoder_blocks\b", "encoder"),
    (r"^ds\b", "down"),
    (r"^bottleneck\.split_merge\b", "middle"),
    (r"^bottleneck\.rope_blocks\b", "blocks"),
    (r"^bottleneck\.final_norm\b", "norm"),
    (r"^dec_heavy_us\b", "up"),
    (r"^dec_light_us\.(\d+)", lambda found: f"up.{int(found[1]) + 1}"),
    (r"^dec_heavy_blocks\.0\b", "decoder"),
    (r"^final_conv\b", "last"),
    (r"^source_head\b", "head"),
    (r"\bconv\b", "0"),
    (r"\bbn\b", "1"),
    (r"\bfc1\b", "0"),
    (r"\bbn1\b", "1"),
    (r"\bfc2\b", "3"),
    (r"\bbn2\b", "4"),
    (r"\btime_transformer\.layers\.0\b", "time"),
    (r"\bfreq_transformer\.layers\.0\b", "bands"),
    (r"\.0\.to_out\.0\b", ".attention.out"),
    (r"\.0\.to_(\w+)", r".attention.\1"),
    (r"\.0\.norm\b", ".attention.norm"),
    (r"\.1\.net\.0\b", ".feed_forward.norm"),
    (r"\.1\.net\.1\b", ".feed_forward.up"),
    (r"\.1\.net\.4\b", ".feed_forward.down"),
)
#: What else lies in its files: the STFT's window, zeros for the highest bins, rates of rotation.
_BUFFERS = ("stft_window", "freq_pad", "rotary_embed.freqs")


class MoisesLight(WaveformModel):
    """Mixture in, all targets out, through a U-Net of a few million weights.

    Parameters
    ----------
    target : str, optional
        A network for one stem only, as the paper trains them.
    targets : sequence of str, optional
        Drums, bass, other and vocals by default.
    width : int
        Feature maps of the first stage, a multiple of `bands`; each stage adds as many.
    depth : int
        Stages of the encoder, each halving the frames; the bins stay.
    bands : int
        Equally wide bands, side by side as feature maps: each has convolutions of its own.
    bins : int
        The lowest bins, which the network sees and writes; the others are silent.
    convolutions : int
        Before and behind the layers across frequencies, in a block of the encoder.
    bottleneck : int
        How many times fewer units those layers have than a band has bins.
    blocks : int
        Pairs of transformers in the middle, along time and along the bins of a band.
    heads, head_width, growth : int
        Of these transformers; their feed-forward layers are `growth` times as wide as they.
    dropout : float
        In the transformers, in training.
    masks : bool
        The output is a factor for real and imaginary part each; otherwise the spectrogram itself.
    n_fft, hop : int
        Of the STFT.
    sample_rate, channels : int
        The audio that the network is for.
    segment : float or None
        In evaluation, longer audio is separated in pieces of this many seconds.
    loss : {"multi-resolution", "l1", "mse", "nmse", "sdr", "si-sdr"}
        The first is `sepkit.models.losses.multi_resolution`, of the paper's kind; for the others
        see `sepkit.models.losses.LOSSES`.

    Raises
    ------
    SepkitError
        For sizes that make no network.

    Notes
    -----
    B, J, C, T: batch, targets, channels, samples; N, F: frames, bins seen; K: bands; W: feature
    maps. The first stage of the decoder alone has a block.
    """

    name = "moises-light"
    card = ModelCard(
        paper="Hung et al., WASPAA 2025, arXiv 2510.06785",
        domain=SPECTROGRAM,
        parameters=5_451_056,
        sizes=SIZES,
        recipes={"student": dict(batch=2, lr=1e-3, clip=5.0)},
        lacking="the learning rate, batch size, augmentation and length of the authors' training, "
        "of which the kit has read no source",
    )
    losses = (MULTI_RESOLUTION, *LOSSES)
    kinds = {
        **WaveformModel.kinds,
        "depth": Number(1, 8),
        "bands": Number(1, 64),
        "bins": Number(1, 2**17),
        "convolutions": DEPTH,
        "bottleneck": WIDTH,
        "heads": Number(1, 1024),
        "head_width": Number(2, 1024),
        "growth": Number(1, 64),
        "masks": Switch(),
    }
    stft: STFT

    def __init__(
        self,
        target: str | None = None,
        targets: Sequence[str] | None = None,
        width: int = 56,
        depth: int = 3,
        bands: int = 4,
        bins: int = 2048,
        convolutions: int = 3,
        bottleneck: int = 8,
        blocks: int = 5,
        heads: int = 4,
        head_width: int = 32,
        growth: int = 2,
        dropout: float = 0.0,
        masks: bool = True,
        n_fft: int = 6144,
        hop: int = 1024,
        sample_rate: int = 44100,
        channels: int = 2,
        segment: float | None = 9.0,
        loss: str = MULTI_RESOLUTION,
    ):
        super().__init__(locals())
        _check_sizes(width, bands, bins, bottleneck, head_width, n_fft)
        self.bands, self.bins, self.masks = bands, bins, masks
        self.min_samples, self.step = n_fft, hop
        self.stft = STFT(n_fft, hop)
        size, parts = bins // bands, 2 * channels
        widths = [width * (stage + 1) for stage in range(depth + 1)]
        steps = list(zip(widths, widths[1:]))
        self.first = _grouped(parts * bands, width, bands)
        self.encoder = nn.ModuleList(
            SplitAndMerge(w, size, bands, convolutions, bottleneck) for w in widths[:-1]
        )
        self.down = nn.ModuleList(
            NormalisedConv(nn.Conv2d(low, high, (1, 2), (1, 2))) for low, high in steps
        )
        self.middle = SplitAndMerge(widths[-1], size, bands, convolutions, bottleneck)
        self.blocks = nn.ModuleList(
            Block(widths[-1], heads, head_width, dropout, True, False, growth)
            for _ in range(blocks)
        )
        self.norm = RMSNorm(widths[-1])
        self.up = nn.ModuleList(
            NormalisedConv(nn.ConvTranspose2d(high, low, (1, 2), (1, 2)))
            for low, high in reversed(steps)
        )
        self.decoder = SplitAndMerge(widths[-2], size, bands, 1, bottleneck)
        self.last = nn.Conv2d(width, parts * bands, 3, padding=1, groups=bands)
        several = len(self.targets) > 1
        self.head = nn.Conv2d(parts, parts * len(self.targets), 1) if several else nn.Identity()

    def estimate(self, mixture: Tensor) -> Tensor:
        """All targets, (B, J, C, T), from the mixture, (B, C, T)."""
        spectrum = self.stft(self._filled(mixture))  # (B, C, n_fft / 2 + 1, N), complex
        z = torch.view_as_real(spectrum[..., : self.bins, :])  # (B, C, F, N, 2)
        z = z.movedim(-1, 2).flatten(1, 2)  # (B, 2 C, F, N)
        x, mean, deviation = normalised(z / self.stft.n_fft**0.5)  # (B, 2 C, F, N)
        x = self._u_net(_split(x, self.bands))  # (B, K 2 C, F / K, N)
        x = self.head(_merged(x, self.bands))  # (B, J 2 C, F, N)
        if self.masks:
            x = x.unflatten(1, (len(self.targets), -1)) * z.unsqueeze(1)  # (B, J, 2 C, F, N)
        else:
            x = undone(x, len(self.targets), mean, deviation) * self.stft.n_fft**0.5
        x = x.to(z.dtype).unflatten(2, (-1, 2)).movedim(3, -1).contiguous()  # (B, J, C, F, N, 2)
        x = functional.pad(torch.view_as_complex(x), (0, 0, 0, self.stft.bins - self.bins))
        return self.stft.inverse(x, self._length(mixture.shape[-1]))[..., : mixture.shape[-1]]

    def _length(self, samples):
        """Samples with silence behind: so that the frames can be halved `depth` times."""
        multiple, hop = 2 ** len(self.down), self.stft.hop
        frames = -(-(samples // hop + 2) // multiple) * multiple
        return (frames - 1) * hop

    def _filled(self, mixture):
        return functional.pad(mixture, (0, self._length(mixture.shape[-1]) - mixture.shape[-1]))

    def _u_net(self, x):
        """(B, K 2 C, F / K, N) to the same."""
        x = self.first(x)  # (B, W, F / K, N)
        skips = []
        for block, down in zip(self.encoder, self.down):
            skips.append(block(x))  # (B, W, F / K, N)
            x = down(skips[-1])  # (B, W + width, F / K, N / 2)
        x = self.middle(x).permute(0, 2, 3, 1)  # (B, F / K, N, W)
        for block in self.blocks:
            x = block(x)  # (B, F / K, N, W)
        x = self.norm(x).permute(0, 3, 1, 2)  # (B, W, F / K, N)
        x = self.decoder(self.up[0](x) * skips.pop())  # skips multiply
        for up in self.up[1:]:
            x = up(x) * skips.pop()  # (B, W - width, F / K, 2 N)
        return self.last(x)

    def loss(self, mixture: Tensor, target: Tensor) -> Tensor:
        """What training minimises, see `Model.loss` and `sepkit.models.losses`."""
        if self.loss_name != MULTI_RESOLUTION:
            return super().loss(mixture, target)
        targets = self.check_target(mixture, target)  # (B, J, C, T)
        return multi_resolution(self.estimate(mixture) - targets)

    def rename_published(self, state: Mapping[str, Any]) -> dict[str, Tensor]:
        """A state dict of the package moises-light under the names of this class."""
        weights = {}
        for name, value in state.items():
            if not name.endswith(_BUFFERS):
                for pattern, ours in _NAMES:
                    name = re.sub(pattern, ours, name)
                weights[name] = value
        return weights


class SplitAndMerge(nn.Module):
    """Convolutions in each band by itself, and layers across its bins that all bands share.

    x = S(x); x = x + D(x); x = S(x); x + R(x of the beginning), where S and R are convolutions and
    D squeezes the bins and spreads them again.

    Parameters
    ----------
    width : int
        Feature maps.
    size : int
        Bins of a band.
    bands, convolutions, bottleneck : int
        As for `MoisesLight`.
    """

    def __init__(self, width, size, bands, convolutions, bottleneck):
        super().__init__()

        def several():
            return nn.Sequential(*(_grouped(width, width, bands) for _ in range(convolutions)))

        self.res = _grouped(width, width, bands)
        self.split1, self.split2 = several(), several()
        self.tdf = nn.Sequential(
            nn.Linear(size, size // bottleneck),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Linear(size // bottleneck, size),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, W, F / K, N) to the same."""
        rest = self.res(x)
        x = self.split1(x)
        x = x + self.tdf(x.transpose(2, 3)).transpose(2, 3)
        return self.split2(x) + rest


def _grouped(low, high, bands):
    return NormalisedConv(nn.Conv2d(low, high, 3, padding=1, groups=bands))


def _split(x, bands):
    """(B, P, F, N) to (B, K P, F / K, N): the feature maps of one band, then the next."""
    return x.unflatten(2, (bands, -1)).transpose(1, 2).flatten(1, 2)


def _merged(x, bands):
    """The inverse of `_split`."""
    return x.unflatten(1, (bands, -1)).transpose(1, 2).flatten(2, 3)


def _check_sizes(width, bands, bins, bottleneck, head_width, n_fft):
    if width % bands:
        raise SepkitError(f"width={width}: a multiple of bands={bands} was expected")
    if not 0 < bins <= n_fft // 2 + 1 or bins % bands or bins // bands < bottleneck:
        raise SepkitError(
            f"bins={bins} with n_fft={n_fft}: expected at most {n_fft // 2 + 1}, a multiple of "
            f"bands={bands}, and at least {bands * bottleneck} for a bottleneck of {bottleneck}"
        )
    if head_width % 2:
        raise SepkitError(f"head_width={head_width}: an even number was expected")
