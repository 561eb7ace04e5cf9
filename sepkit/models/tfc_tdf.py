"""TFC-TDF-U-Net v2: a U-Net that writes the target's spectrogram itself.

Kim, Choi, Chung, Lee and Jung, "KUIELab-MDX-Net: A Two-Stream Neural Network for
Music Demixing", MDX Workshop at ISMIR 2021 (arXiv 2111.12203), its time-frequency
branch; the blocks come from Choi, Kim, Chung, Lee and Jung, "Investigating U-Nets
with various Intermediate Blocks for Spectrogram-based Singing Voice Separation",
ISMIR 2020. There is no mask: real and imaginary parts go in and come out as channels.
"""

import torch
from torch import nn

from ..errors import SepkitError, unknown
from ..stft import STFT

#: The paper's STFT window for each target; any other target gets that of `other`.
WINDOWS = {"vocals": 6144, "drums": 4096, "bass": 16384, "other": 8192}


class TFCTDF(nn.Module):
    """Mixture in, one target out, through spectrograms as channels.

    Parameters
    ----------
    target : str
        The stem that the network estimates.
    n_fft : int, optional
        STFT window in samples; by default the paper's for this target.
    hop : int
    bins : int
        The lowest bins, which the network sees and writes; the others are silent.
    growth : int
        Feature maps of the first stage, and how many each stage adds.
    depth : int
        Stages of the encoder, each halving frames and bins.
    convolutions : int
        In each block.
    bottleneck : int
        How many times fewer units the block across frequencies has than bins.
    sample_rate, channels : int
        The audio that the network is for.

    Notes
    -----
    B, C, T: batch, channels, samples; N, F: frames, bins seen; W: feature maps.
    Frames are filled up with silence to a multiple of ``2 ** depth``.
    """

    name = "tfc-tdf"

    def __init__(
        self,
        target="vocals",
        n_fft=None,
        hop=1024,
        bins=2048,
        growth=32,
        depth=5,
        convolutions=3,
        bottleneck=8,
        sample_rate=44100,
        channels=2,
    ):
        super().__init__()
        n_fft = n_fft or WINDOWS.get(target, WINDOWS["other"])
        if not 0 < bins <= n_fft // 2 + 1 or bins % 2**depth or bins // 2**depth < bottleneck:
            raise SepkitError(
                f"bins={bins} with n_fft={n_fft}: expected at most {n_fft // 2 + 1}, a multiple of {2**depth}, "
                f"and at least {bottleneck * 2**depth} for a bottleneck of {bottleneck}"
            )
        self.settings = dict(
            target=target,
            n_fft=n_fft,
            hop=hop,
            bins=bins,
            growth=growth,
            depth=depth,
            convolutions=convolutions,
            bottleneck=bottleneck,
            sample_rate=sample_rate,
            channels=channels,
        )
        self.sample_rate, self.channels, self.targets = sample_rate, channels, (target,)
        self.stft = STFT(n_fft, hop)
        widths = [growth * (stage + 1) for stage in range(depth + 1)]
        sizes = [bins >> stage for stage in range(depth + 1)]

        def block(stage):
            return Block(widths[stage], sizes[stage], convolutions, bottleneck)

        self.first = _normalised(nn.Conv2d(2 * channels, growth, 1))
        self.encoder = nn.ModuleList(block(stage) for stage in range(depth))
        self.down = nn.ModuleList(
            _normalised(nn.Conv2d(low, high, 2, 2)) for low, high in zip(widths, widths[1:])
        )
        self.middle = block(depth)
        self.up = nn.ModuleList(
            _normalised(nn.ConvTranspose2d(high, low, 2, 2))
            for low, high in zip(widths, widths[1:])
        )
        self.decoder = nn.ModuleList(block(stage) for stage in range(depth))
        self.last = nn.Conv2d(growth, 2 * channels, 1)

    def set_loss(self, kind):
        """Choose what training minimises; there is one loss only, ``"l1"``."""
        if kind != "l1":
            raise unknown("loss", kind, ("l1",))

    def forward(self, mixture):
        """Separate.

        Parameters
        ----------
        mixture : Tensor
            (B, C, T), any T from 1 up.

        Returns
        -------
        Tensor
            The target, (B, C, T).

        Raises
        ------
        SepkitError
            If the mixture is empty, or has another number of channels.
        """
        if mixture.ndim != 3 or mixture.shape[1] != self.channels or mixture.shape[-1] == 0:
            raise SepkitError(
                f"{self.name} takes (batch, {self.channels}, samples), not {tuple(mixture.shape)}"
            )
        samples, settings = mixture.shape[-1], self.settings
        x = nn.functional.pad(mixture, (0, max(0, settings["n_fft"] - samples)))
        length = x.shape[-1]
        spectrum = self.stft(x).transpose(-1, -2)  # (B, C, N, n_fft / 2 + 1), complex
        frames, all_bins = spectrum.shape[-2:]
        x = spectrum[..., : settings["bins"]]  # (B, C, N, F), complex
        x = torch.cat([x.real, x.imag], 1)  # (B, 2 C, N, F)
        x = nn.functional.pad(x, (0, 0, 0, -frames % 2 ** settings["depth"]))
        x = self._u_net(x)[..., :frames, :]  # (B, 2 C, N, F)
        x = x.to(spectrum.real.dtype)  # the rest of mixed precision
        x = torch.complex(*x.chunk(2, 1))  # (B, C, N, F), complex
        x = nn.functional.pad(x, (0, all_bins - settings["bins"]))  # (B, C, N, n_fft / 2 + 1)
        return self.stft.inverse(x.transpose(-1, -2), length)[..., :samples]

    def _u_net(self, x):
        x = self.first(x)  # (B, W, N, F)
        skips = []
        for block, down in zip(self.encoder, self.down):
            skips.append(block(x))  # (B, W, N, F)
            x = down(skips[-1])  # (B, W + growth, N / 2, F / 2)
        x = self.middle(x)
        for block, up in zip(reversed(self.decoder), reversed(self.up)):
            x = block(up(x) * skips.pop())  # (B, W, N, F): skips multiply
        return self.last(x)  # (B, 2 C, N, F)

    def loss(self, mixture, target):
        """Mean absolute error of the waveform, the kit's choice.

        Parameters
        ----------
        mixture, target : Tensor
            (B, C, T), with T at least one window.
        """
        if mixture.shape[-1] < self.settings["n_fft"]:
            raise SepkitError(
                f"chunks of {mixture.shape[-1]} samples are shorter than one window; use longer chunks"
            )
        return (self(mixture) - target).abs().mean()


class Block(nn.Module):
    """Convolutions over time and frequency, plus a layer across all frequencies of each frame.

    x = TFC(x); x + TDF(x), where TDF squeezes the bins and spreads them again, alike for
    every frame and feature map (ISMIR 2020, section 3.3).
    """

    def __init__(self, width, bins, convolutions, bottleneck):
        super().__init__()
        self.tfc = nn.Sequential(
            *(_normalised(nn.Conv2d(width, width, 3, padding=1)) for _ in range(convolutions))
        )
        self.tdf = nn.Sequential(
            nn.Linear(bins, bins // bottleneck, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Linear(bins // bottleneck, bins, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )

    def forward(self, x):
        x = self.tfc(x)  # (B, W, N, F)
        return x + self.tdf(x)  # (B, W, N, F)


def _normalised(layer):
    return nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU())
